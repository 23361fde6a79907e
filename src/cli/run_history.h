#pragma once

#include <string>

#include "cli/commands.h"
#include "flexroom/runs.h"

namespace flexroom::cli {

/// Shows a run's result, or why it is not here. Returns the exit code.
int show_result(Output& out, const RunResult& got);
/// A command's last object, with what is wrong where the code is not 0.
void end_of_run(Output& out, int code, const std::string& error, nlohmann::json fields);

/// `flexroom runs`, `show RUN`, `result RUN`, `stop RUN`. RUN: the first digits of an id, or
/// "last".
int list_runs(Output& out, const Common& common);
int show_run(Output& out, const Common& common, const std::string& run);
int fetch_result(Output& out, const Common& common, const std::string& run);
/// All members run it: the machine, and the training job of --classic, end by agreed calls.
int stop_run(Output& out, const Common& common, const std::string& run);

}  // namespace flexroom::cli
