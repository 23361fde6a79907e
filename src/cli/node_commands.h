#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "cli/commands.h"

// Commands that speak to this member's resident node (docs/node.md). None of them opens the state:
// the node has it.

namespace flexroom::cli {

int node_status(Output& out, const Common& common);
/// Follows the node's events until it ends or somebody stops this.
int node_events(Output& out, const Common& common);
int node_runs(Output& out, const Common& common);
/// The answer of a run, byte for byte. `run`: the first digits of its id, or "last".
int node_result(Output& out, const Common& common, const std::string& run);

/// A link that opens the console's page in a browser of this machine.
int console(Output& out, const Common& common);

/// When what is proposed may run: "2027-06-30T08:00:00Z", or empty: from now on, for a week.
struct ProposalTimes {
  std::string from, until;
  uint32_t times = 1;
  std::string every;
};
int propose_get(Output& out, const Common& common, const GetRequest& request,
                const ProposalTimes& times);
int propose_call(Output& out, const Common& common, const std::filesystem::path& recipe,
                 const std::map<std::string, std::string>& arguments, const ProposalTimes& times);
/// The job and its script, which is read here, go to the others; with `links` this member's input
/// is given in the same breath.
int propose_script(Output& out, const Common& common, const std::filesystem::path& job,
                   const std::filesystem::path& links, const ProposalTimes& times);

/// That the machine of a run ends, or where it is not known that it is looked for.
int propose_stop(Output& out, const Common& common, const std::string& run,
                 const ProposalTimes& times);
/// This member's private input for a proposal. `links`: a links.toml, for its slot; else `slot` is
/// given what the file `inputs` (JSON, {"SLOT": "value"}) says of it, all of its slots where it is
/// empty.
int proposal_input(Output& out, const Common& common, const std::string& id,
                   const std::filesystem::path& links, const std::filesystem::path& inputs);

/// What waits; `all`: also what is closed.
int inbox(Output& out, const Common& common, bool all);
int proposal_show(Output& out, const Common& common, const std::string& id);
int proposal_diff(Output& out, const Common& common, const std::string& id);
/// Shows it from the bytes that are signed, asks, and signs with the member's key, which this user
/// must be able to read. `kind`: "approve", "reject", "withdraw"; `reason`: of reject.
int proposal_say(Output& out, const Common& common, const std::string& id, const std::string& kind,
                 const std::string& reason);

}  // namespace flexroom::cli
