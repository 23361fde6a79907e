#pragma once

#include <vector>

#include "config/config.h"
#include "flexroom/doctor.h"

namespace flexroom::room {

/// Meets the other members, which run `doctor --with-members` too, and compares what must be alike
/// (command, room.toml, version, protocol, epoch, secrets by name, version and provenance), clocks,
/// and what each says of its state (burned, dirty, LIFE, lost single-use state). One Check for each
/// difference, with the member, both values and the remedy; then one for each member's clock and
/// state.
///
/// Needs      this member's state, read only: no engine, no epoch is used, nothing is written
/// Not given  that the others tell the truth: it is for honest members with mistakes
/// Errors     as a session's join (they do not come, another certificate), ProtocolAbort;
///            InputError of this member's own files. What was found before is in `found`
void compare_with_members(const RoomConfig& room, const ExamineOptions& options,
                          std::vector<Check>& found);

}  // namespace flexroom::room
