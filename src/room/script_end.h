#pragma once

#include "runs/history.h"
#include "session/member_session.h"

namespace flexroom::room {

/// Enters into this member's log how the script of a run ended, by what `run` says now: done,
/// failed with step and exit status, or a note that no result came. To be called once, when that
/// becomes known. Throws InputError if the log cannot be written.
void log_script_end(session::MemberState& state, const runs::Run& run);

}  // namespace flexroom::room
