#pragma once

#include <filesystem>
#include <string>

#include "cli/commands.h"
#include "session/member_session.h"

namespace flexroom::cli {

/// The result of a run is at the service, and too large to fetch here.
inline constexpr int kResultElsewhere = 10;

/// Looks for this member's result of a run and saves it in the run's folder; with `wait` until the
/// run's deadline. Shows it and returns the exit code. What is here already is shown again.
int collect_result(Output& out, session::MemberState& state, const std::string& run, bool wait);

/// `flexroom runs`, `show RUN`, `result RUN`, `stop RUN`. RUN: the first digits of an id, or
/// "last".
int list_runs(Output& out, const Common& common);
int show_run(Output& out, const Common& common, const std::string& run);
int fetch_result(Output& out, const Common& common, const std::string& run);
/// All members run it: the machine is terminated by an agreed call, signed as the run was.
int stop_run(Output& out, const Common& common, const std::string& run);

}  // namespace flexroom::cli
