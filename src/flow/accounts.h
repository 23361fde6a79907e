#pragma once

#include <map>
#include <optional>
#include <string>

#include "flow/flow.h"

namespace flexroom::flow {

// Accounts of the ledger: where a short secret comes from, never what a file calls it
// (tls-in-mpc.md §5.6, operations.md (a) "The ledger"). Two names, or two spellings of one
// selector, share one account, so that the eight bits of a place's life are spent once.

/// Of a value that an answer gives: the host and the part of the answer, of the parsed selector:
/// a cookie with the path and domain that hold by default, a header by its lower-case name, of a
/// body the way to the element, `item` written out with its array; without literals around the
/// value.
std::string account_of_kept(const Step& step, const Selector& at);

/// Who is meant by the name of a member or by `{{ARGUMENT}}`.
std::string member_of(const std::string& text, const std::map<std::string, std::string>& arguments);
/// Of `room:PREFIX`: the prefix of the flow that left it in the room; nothing of other sources.
std::optional<std::string> prefix_of_source(const std::string& source);
/// Of `secret:NAME`: the secret of `secret import` or `secret draw`; nothing of other sources.
std::optional<std::string> secret_of_source(const std::string& source);
/// Whether a member gives the input in each run, and no store has it: it is none of `room:PREFIX`
/// and of `secret:NAME`.
bool is_of_member(const Input& input, const std::map<std::string, std::string>& arguments);

/// Of an input: who gives it (after `arguments`) and which of card, telephone and postal it is, or
/// none of them: an input of another name is the same place.
std::string account_of_input(const Input& input,
                             const std::map<std::string, std::string>& arguments);

}  // namespace flexroom::flow
