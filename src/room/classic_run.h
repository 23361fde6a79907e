#pragma once

#include "flexroom/session.h"

namespace flexroom::room {

/// `run-script --classic` (operations.md (d)): the ten calls of share/flows/run-script-classic.toml
/// for a job. The flow's machine makes and repeats them; what is the job's is run-script's own: the
/// agreed script, loader and links in what is approved, the boot script with every member's private
/// bytes as slots of StartEC2Instance, the record of the run, the links tried before the first
/// call.
///
/// Security  as run-script and as the flow; RunInstances is the one open answer to a request with
///           private bytes (tls-in-mpc.md R2-3)
/// Killed    anywhere: the same command goes on with the flow's open run and with its record. The
///           keys that seal the links are drawn from a seed of that record, so a machine that was
///           started already finds the loader that it was given
/// Errors    Error, as Session::flow()
RunStarted run_classic(Session& session, const RunScriptRequest& request);

/// Ends the flow of a run (`request.abandon`), and enters into its record what that leaves.
FlowEnd abandon_classic(Session& session, const RunScriptRequest& request);

/// What run_classic() would have approved, as far as this member knows it, and what it costs.
RunScriptPlan plan_classic(Room& room, const RunScriptRequest& request);

}  // namespace flexroom::room
