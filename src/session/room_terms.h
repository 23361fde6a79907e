#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "net/party.h"

namespace flexroom::session {

/// One thing that all members must have alike before they run anything together.
struct Term {
  std::string name;   // as in room.toml, or "command"
  std::string value;  // as an operator reads it
};

/// Of room.toml: the room, its members in order, of each provider its group and open calls. Where a
/// provider is reached and which roots it is checked against is each member's own.
std::vector<Term> room_terms(const RoomConfig& room);

/// The first thing that members say to each other. Throws kDisagreement naming the member, the
/// first term that differs and both values.
void agree_on_terms(net::Party& party, const RoomConfig& room, const std::vector<Term>& own);

}  // namespace flexroom::session
