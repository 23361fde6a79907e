#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flexroom/session.h"
#include "room/access.h"
#include "room/guarded_decider.h"
#include "room/joined.h"

namespace flexroom {

struct Room::State {
  RoomOptions options;
  std::unique_ptr<session::MemberState> member;
};

struct Session::State {
  State(Room& of, Decider& who) : room(of), decider(who) {}
  Room& room;
  room::GuardedDecider decider;
  std::optional<room::Joined> joined;
  bool opened = false;  // Access::open(), and no operation yet
};

namespace room {

SecretInfo info_of(const store::RecordMeta& meta);
Stock stock_of(session::MemberState& state);
std::vector<std::string> member_names(const RoomConfig& config);

}  // namespace room
}  // namespace flexroom
