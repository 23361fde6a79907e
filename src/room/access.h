#pragma once

#include <string>
#include <vector>

#include "flexroom/session.h"
#include "room/joined.h"

namespace flexroom::room {

/// What the operations of this library see of a room and a session.
class Access {
 public:
  enum Asking : bool { kAsks = true, kAsksNothing = false };

  static session::MemberState& state(Room& room);
  static session::MemberState& state(Session& session);
  static Decider& decider(Session& session);
  static const Hooks* hooks(const Session& session);
  static const std::atomic<bool>* cancel(const Room& room);
  /// RoomOptions::only_looks.
  static bool only_looks(const Room& room);
  static const std::atomic<bool>* cancel(const Session& session);
  /// Names by party id.
  static std::vector<std::string> members(const Room& room);
  static std::vector<std::string> members(const Session& session);
  /// Connects to all members, which run the same command, once a session. With kAsks the decider is
  /// asked first whether anybody could answer.
  /// Joins so that one operation may follow in the same session: join() gives that one then, as it
  /// is.
  static Joined& open(Session& session, const std::string& command);
  static Joined& join(Session& session, Asking asking, const std::string& command);
};

}  // namespace flexroom::room
