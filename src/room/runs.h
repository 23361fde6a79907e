#pragma once

#include "flexroom/runs.h"
#include "runs/history.h"
#include "session/member_session.h"

namespace flexroom::room {

runs::RunHistory history_of(const session::MemberState& state);
RunInfo info_of(const runs::Run& run, const runs::RunHistory& history);
/// State and detail, in one line.
std::string tell_state(const runs::Run& run);
/// Once the request may have left, what came of it counts more than whether it can be written down.
/// Returns why it cannot be; empty: it is.
std::string remember(runs::RunHistory& history, const runs::Run& run) noexcept;

}  // namespace flexroom::room
