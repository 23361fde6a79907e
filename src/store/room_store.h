#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "net/identity.h"
#include "store/sealed_db.h"

namespace flexroom::store {

/// Of a member, for life, whatever its name, key or address.
using MemberId = std::array<uint8_t, 16>;
/// Of a room, for life: RO over its founders' nonces.
using RoomId = Digest;

/// The id of a member whose certificate was never seen before. It holds fresh keys, so that this is
/// as good as 16 random bytes, needs no message, and nobody can claim another's.
MemberId first_member_id(const Digest& certificate);
/// The id of a new room. One nonce of every founder, in the order of its members.
RoomId new_room_id(const std::vector<Digest>& nonces);
/// The id of a room made before there were ids.
RoomId old_room_id(const Digest& old_digest, const Digest& epoch);

/// What a member keeps about a room it is in.
struct RoomRecord {
  struct Member {
    MemberId id{};
    std::string name;
    Digest certificate{};
    net::SigningKey key{};  // zero: not known yet
  };
  RoomId rid{};
  std::string name, profile;
  std::vector<Member> members;  // in the order of the room's epochs
};

/// Where a room's rows of one kind lie in state.db or once.db: each room has its own.
std::string rows_of_room(std::string_view kind, const RoomId& rid);

/// The rooms of a state.db, found by their names, and the ids of all certificates it has met
/// (members.md §1.1). A room's name is this member's way to it; everything else goes by its id.
class RoomStore {
 public:
  explicit RoomStore(SealedDb& db) : db_(db) {}
  std::optional<RoomRecord> find(std::string_view name);
  std::vector<std::string> names();
  /// Also of its members' certificates. Part of the caller's transaction, or one of its own.
  void save(const RoomRecord& room);
  /// The id that this certificate had in any room; first_member_id() if it was in none.
  MemberId id_of(const Digest& certificate);
  /// The certificate's member has that id already, or neither was ever seen with another.
  bool fits(const Digest& certificate, const MemberId& id);

 private:
  std::optional<MemberId> known(const Digest& certificate);
  SealedDb& db_;
};

}  // namespace flexroom::store
