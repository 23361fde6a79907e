#pragma once

#include "flexroom/room.h"
#include "flexroom/runs.h"
#include "flexroom/session.h"
#include "runs/history.h"
#include "session/member_session.h"

namespace flexroom::room {

/// Of the shipped run-script-classic.toml: the step that starts the machine.
inline constexpr std::string_view kMachineStep = "StartEC2Instance";

runs::RunHistory history_of(const session::MemberState& state);
/// The state is what the record says where that is the last word; what a killed command left as
/// `starting` is told by once.db.
RunInfo info_of(session::MemberState& state, const runs::Run& run);
/// One look for the result of a run whose machine was started, or may have been; what comes of it
/// is entered into its record and the log. `is_over`: its deadline has passed, and nothing is
/// looked for any more.
RunResult look_for_result(Room& room, const std::string& id, bool is_over, Decider& decider);
/// Of a run of the lean form: the recipe of the call that ends its machine, or of the one that
/// looks for it by its token where it is not known. Throws InputError: it has none.
std::string stop_recipe(session::MemberState& state, const std::string& run);
/// What the answer to a call of that recipe says: the machine is entered into the record of its
/// run, or that it was ended; the id of a run that was. Of any other recipe nothing.
std::optional<std::string> take_stop(session::MemberState& state, const std::string& recipe,
                                     const ServiceAnswer& answer);
/// Throws InputError for a room that was opened to look at.
void require_use(const Room& room);
/// State and detail, in one line.
std::string tell_state(const runs::Run& run);
/// Once the request may have left, what came of it counts more than whether it can be written down.
/// Returns why it cannot be; empty: it is.
std::string remember(runs::RunHistory& history, const runs::Run& run) noexcept;

}  // namespace flexroom::room
