#pragma once

#include <map>
#include <string>
#include <string_view>

#include "agreement/proposal.h"
#include "call/open_call.h"
#include "call/recipe.h"
#include "flexroom/session.h"
#include "inbox/terms.h"
#include "session/member_state.h"

// What a proposal that waits is made of: the proposal that the operation itself makes when it runs,
// behind the terms and, of a recipe, its text (members.md §6.1). Every member makes the same bytes
// from the arguments, or does not approve.

namespace flexroom::room {

/// Kinds that can wait; those of proposals.
inline constexpr std::string_view kWaitingGet = "get", kWaitingCall = "call";

/// The operation's own proposal, as Session::get() and Session::call() make it, without a session.
/// Throws InputError for what they refuse before they join.
agreement::Proposal proposal_of_get(session::MemberState& state, const GetRequest& request);
struct CallProposal {
  agreement::Proposal proposal;
  CallSecrets secrets;
};
CallProposal proposal_of_call(session::MemberState& state, const Recipe& recipe,
                              const std::map<std::string, std::string>& arguments);

/// What can run when everybody has approved.
struct Waiting {
  std::string kind;
  GetRequest get = {};
  /// Of a call: the recipe's text, which stands in the proposal in full, and its arguments.
  std::string recipe = {};
  std::map<std::string, std::string> arguments = {};
};

/// Who proposes, when, how often; definition, arguments and secrets are filled in.
agreement::Proposal waiting_proposal(session::MemberState& state, const Waiting& what,
                                     inbox::Terms terms);
/// Of a proposal that came: what would run. Throws InputError where it is of a kind that cannot
/// wait, or its fields are not those that follow from the arguments (M27).
Waiting waiting_of(session::MemberState& state, const agreement::Proposal& proposal,
                   const inbox::Terms& terms);
/// What stands in `waiting` before the operation's own proposal, put before `own`.
agreement::Proposal framed(const agreement::Proposal& waiting, const agreement::Proposal& own);

}  // namespace flexroom::room
