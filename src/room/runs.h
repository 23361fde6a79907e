#pragma once

#include "flexroom/room.h"
#include "flexroom/runs.h"
#include "runs/history.h"
#include "session/member_session.h"

namespace flexroom::room {

/// Of the shipped run-script-classic.toml: the step that starts the machine.
inline constexpr std::string_view kMachineStep = "StartEC2Instance";

runs::RunHistory history_of(const session::MemberState& state);
/// The state is what the record says where that is the last word; what a killed command left as
/// `starting` is told by once.db.
RunInfo info_of(session::MemberState& state, const runs::Run& run);
/// Throws InputError for a room that was opened to look at.
void require_use(const Room& room);
/// State and detail, in one line.
std::string tell_state(const runs::Run& run);
/// Once the request may have left, what came of it counts more than whether it can be written down.
/// Returns why it cannot be; empty: it is.
std::string remember(runs::RunHistory& history, const runs::Run& run) noexcept;

}  // namespace flexroom::room
