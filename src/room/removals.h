#pragma once

#include <map>
#include <string>

#include "base/bytes.h"
#include "room/named_secrets.h"
#include "session/member_state.h"

namespace flexroom::room {

/// A removal of a secret, as it is on disk (docs/formats.md, `removal@ROOM`).
struct Removal {
  enum class Phase : uint8_t {
    kStaged = 1,
    kErased = 2,  // here; some member may still have to hear it
    kLogged = 3,  // and this member's log says so
  };
  Phase phase = Phase::kStaged;
  NamedSecret target;

  bool is_erased() const { return phase != Phase::kStaged; }
};

/// The removals of this room in state.db. Several sessions of a member may see the same one: what
/// is decided is decided on the row as it is then, in one transaction.
class Removals {
 public:
  explicit Removals(session::MemberState& state);
  std::map<Bytes, Removal> all();
  void put(const Bytes& id, const Removal& removal);
  void drop(const Bytes& id);
  /// Unless it was erased meanwhile.
  void drop_staged(const Bytes& id);
  /// Erases what a staged one names, with the note that it is. False, and nothing is changed, if it
  /// is not staged (any more): a secret that has the name since then is another one.
  [[nodiscard]] bool erase(const Bytes& id);
  /// That the log says so, unless the row is gone meanwhile.
  void mark_logged(const Bytes& id);
  /// What is left of values that are erased: keys of the day, and the file's log.
  void clean();

 private:
  bool is_staged(const Bytes& id);

  session::MemberState& state_;
  const std::string kind_;
};

}  // namespace flexroom::room
