#pragma once

#include <map>
#include <string>
#include <string_view>

#include "agreement/proposal.h"
#include "call/open_call.h"
#include "call/recipe.h"
#include "flexroom/session.h"
#include "inbox/terms.h"
#include "room/own_inputs.h"
#include "session/member_state.h"

// What a proposal that waits is made of: the proposal that the operation itself makes when it runs,
// behind the terms and, of a recipe, its text (members.md §6.1). Every member makes the same bytes
// from the arguments, or does not approve.

namespace flexroom::room {

/// Kinds that can wait; those of proposals. kWaitingScript: room/waiting_script.h.
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
  /// Those of a run-script: of its job (arguments_of_job()).
  std::map<std::string, std::string> arguments = {};
  std::string script = {};  // of a run-script: the text
};

/// Who proposes, when, how often; definition, arguments and secrets are filled in.
agreement::Proposal waiting_proposal(session::MemberState& state, const Waiting& what,
                                     inbox::Terms terms);
/// Of a proposal that came: what would run. Throws InputError where it is of a kind that cannot
/// wait, or its fields are not those that follow from the arguments (M27).
Waiting waiting_of(session::MemberState& state, const agreement::Proposal& proposal,
                   const inbox::Terms& terms);
using Inputs = std::vector<agreement::GivenInput>;
/// Of a complete proposal: what the members gave is what `what` needs, and this member's private
/// parts are here. Throws InputError.
void check_inputs(session::MemberState& state, const Digest& proposal, const Waiting& what,
                  const Inputs& inputs);
/// The request that every member makes of it once all inputs are there, for people; empty where the
/// proposal itself says all.
std::string filled_in_text(session::MemberState& state, const Waiting& what, const Inputs& inputs);
/// This member's private values for a call, by slot.
std::map<std::string, SecretBytes> own_values(session::MemberState& state, const Digest& proposal,
                                              const Inputs& inputs);
/// One input of this member that `what` wants, of a text that a person wrote: the content of
/// links.toml, or a value. Throws InputError; never shows it.
OwnInput input_for(session::MemberState& state, const Waiting& what, const std::string& slot,
                   std::string_view text);

/// What stands in `waiting` before the operation's own proposal, put before `own`.
agreement::Proposal framed(const agreement::Proposal& waiting, const agreement::Proposal& own);

}  // namespace flexroom::room
