#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agreement/member_statements.h"
#include "call/links.h"
#include "call/run_script.h"
#include "config/config.h"
#include "flexroom/session.h"
#include "inbox/terms.h"
#include "room/named_secrets.h"
#include "room/own_inputs.h"
#include "session/member_state.h"

// run-script as a proposal that waits: the job and the script go to all in it, each member's links
// by its INPUT, and every member makes the one request of them (members.md §6.1).

namespace flexroom::room {

inline constexpr std::string_view kWaitingScript = "run-script";

/// A job of a proposal, with the key that it means in this room now.
struct ScriptToRun {
  JobConfig job;
  KeyOfJob key;
};
ScriptToRun script_to_run(session::MemberState& state,
                          const std::map<std::string, std::string>& arguments,
                          const std::string& script);
/// A `links` of every member, in the order of CONF.
std::vector<inbox::WantedInput> inputs_of_script(session::MemberState& state);

/// What all gave, by party. Throws InputError naming whose part is none.
std::vector<PublicLinks> links_given(session::MemberState& state,
                                     const std::vector<agreement::GivenInput>& inputs);
/// This member's part of it, found here and held against what it gave: the same public part, the
/// private one by its commitment, links that will last.
StoredLinks own_links_given(session::MemberState& state, const Digest& proposal,
                            const JobConfig& job, const std::vector<agreement::GivenInput>& inputs);
/// The idempotency token of a run: of a coin of its session, or of the id of one that waited.
std::string client_token_of(const Digest& coin);
/// The request that every member makes of it, as the command shows it; without a run with
/// everything but the client token. Throws InputError where a rule of this member forbids it.
agreement::Proposal filled_in(session::MemberState& state, const ScriptToRun& script,
                              const std::vector<PublicLinks>& links,
                              const std::optional<Digest>& run = std::nullopt);

/// A run that all members approved.
struct WaitingScript {
  JobConfig job;
  StoredLinks links;             // this member's
  std::vector<PublicLinks> all;  // by party
  Digest run{};                  // its id; the client token is made of it
  uint32_t index = 0;
};
RunStarted run_waiting_script(Session& session, const WaitingScript& waiting);

}  // namespace flexroom::room
