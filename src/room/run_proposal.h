#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agreement/proposal.h"
#include "call/open_call.h"
#include "call/run_script.h"

namespace flexroom::room {

/// What a run is made of, as far as it is known.
struct ShownRun {
  const RunScriptTerms& terms;
  const OpenCall& call;
  const CallSecrets& secrets;
  const std::string& script;
  /// Of a plan: only this member's links are known, and no client token; those of the others in
  /// `terms` stand for their lengths alone and are not shown.
  std::optional<size_t> only;
  store::RecordMeta key = {};   // of the job
  std::string key_origin = {};  // where it comes from, of a job that names none
  bool no_token = false;        // the client token of `terms` is of no run yet
};

/// Of both forms of run-script, below sections of their own: the script, the loader, the members'
/// links without their private parts. `only`: as in ShownRun.
void add_script_parts(agreement::Proposal& proposal, const RoomConfig& room,
                      const RunScriptTerms& terms, const std::string& script,
                      std::optional<size_t> only = std::nullopt);

/// What all members approve of a run: the script, what the machine does around it, every member's
/// links without their private parts, the request (product.md §3). Equal at all members.
agreement::Proposal run_proposal(const RoomConfig& room, const ShownRun& run);

/// Of a run that waits for its members' inputs: all that is known without any of them. `job` with
/// its script's text.
agreement::Proposal run_before_inputs(const RoomConfig& room, const JobConfig& job,
                                      const store::RecordMeta& key, const std::string& key_origin);

/// What a plan cannot show before the members meet, as sentences.
std::vector<std::string> not_known_before_meeting();

/// What the machine costs at most by the job's price, said as an estimate.
std::string machine_cost(const JobConfig& job);

}  // namespace flexroom::room
