#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agreement/change.h"
#include "agreement/statement.h"
#include "agreement/switch.h"
#include "store/once_db.h"
#include "store/room_store.h"
#include "store/sealed_db.h"

namespace flexroom::store {

/// once.db, row (rid): in which configuration this member is, and where it stands in the newest
/// attempt to change it (members.md §4.2, Appendix B). No state.db of another time brings an old
/// room back to life.
struct RegisterRow {
  uint32_t number = 0;     // g, of the configuration that it is in
  Digest configuration{};  // C_g
  Digest attempt{};        // a; zeros: none yet
  agreement::Standing standing;
  uint64_t since = 0;  // Unix seconds by this member's clock
};

class RoomRegister {
 public:
  RoomRegister(OnceDb& once, const RoomId& rid) : db_(once.rows()), rid_(rid) {}
  std::optional<RegisterRow> get();
  /// Durable on return: before what the place says is signed.
  void set(const RegisterRow& row);
  /// This member's BIND about that attempt was due at some time, whatever the register says now.
  bool was_bound(const Digest& attempt);

 private:
  SealedDb& db_;
  const RoomId rid_;
};

/// What lies in state.db of a change of a room: the attempt, statements about it, and the last
/// configuration that came of one. By the room's name, as who joins knows the room by it before it
/// is in it.
class ChangeStore {
 public:
  ChangeStore(SealedDb& db, std::string_view room_name) : db_(db), name_(room_name) {}

  struct Attempt {
    agreement::ChangeStart start;
    std::string room_text;  // room.toml of CONF_{g+1}, this member's own
    /// Where each of U is met, in its order: "HOST:PORT".
    std::vector<std::string> addresses;
    std::optional<agreement::ReadyBody> ready;  // what this member's READY says
    bool moved = false;     // this member is in CONF_{g+1}, and its rows with it
    bool written = false;   // room.toml says so
    bool complete = false;  // all of U came to their end
  };
  /// The newest one, also when it is over: who comes late is told how it ended.
  std::optional<Attempt> attempt();
  void put(const Attempt& attempt);
  void forget();

  /// Verified statements about an attempt. What a peer says twice is kept once.
  std::vector<agreement::Statement> statements(const Digest& attempt);
  void put(const Digest& attempt, const agreement::Statement& statement);

  /// The newest configuration that this member is in through a change; nothing while the room is
  /// as it was founded.
  std::optional<agreement::ChangeBody> configuration();
  void put(const agreement::ChangeBody& body);
  /// CONF_0.. as a member of before showed them to this one when it joined.
  std::vector<agreement::ChangeBody> shown();
  void put_shown(const std::vector<agreement::ChangeBody>& chain);

 private:
  SealedDb& db_;
  const std::string name_;
};

/// What the register allows when a member's state is opened for anything but `flexroom room
/// change` (members.md §4.2 "nothing runs", 4.4): throws InputError with the remedy while a change
/// is under way, after this member left, and where state.db is older than the change. `state_file`
/// for the message; `there`: the number of the configuration that state.db knows.
void require_place_to_run(const std::optional<RegisterRow>& row, uint32_t there,
                          std::string_view room, const std::string& state_file);

}  // namespace flexroom::store
