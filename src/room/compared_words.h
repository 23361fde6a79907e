#pragma once

#include "config/config.h"

namespace flexroom::room {

/// Of a member whose member.toml has a `words_file`: throws Error, Exit::kRefused, naming a member
/// whose words its person has not compared, or not of the entry that room.toml has now
/// (members.md 1.1).
void require_compared(const MemberConfig& member, const RoomConfig& config);
/// The room is set up: from now on a member's certificate alone must be the compared one, so that
/// addresses and other keys of room.toml may change.
void note_set_up(const MemberConfig& member);

}  // namespace flexroom::room
