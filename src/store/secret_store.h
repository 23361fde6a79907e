#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/hash.h"
#include "net/party.h"
#include "prep/prep.h"
#include "store/limits.h"
#include "store/room_store.h"
#include "store/sealed_db.h"

namespace flexroom::store {

using RecordId = std::array<uint8_t, 16>;

/// What everybody may know about a secret; equal at all members.
struct RecordMeta {
  Digest epoch{};
  RecordId id{};  // agreed by all members
  uint32_t version = 1;
  std::string name, kind, value_class;
  uint32_t bits = 0;
  Digest provenance{};  // proposal that made it
  /// Where in requests it may stand and what is computed with it (tls-in-mpc.md §5.1;
  /// call/purpose.h). Empty: it is usable nowhere.
  std::vector<std::string> purposes;
  uint32_t entropy = 0;  // bits of min-entropy that all members believe it has (§3.4(i))
  std::string provider;  // [provider.NAME] of room.toml whose hosts may get it
  std::string owner;     // the member who gave the value; empty: shares of an issuer

  Bytes encode() const;
  static RecordMeta decode(ByteView bytes);
  Digest digest() const;
  /// Of this version of this secret, in whatever epoch it is: what is derived from it belongs to
  /// it by this.
  Digest origin() const;
};

/// Where a version of a record lies in state.db: (rows_of_room(kRecordKind, rid), record_key).
inline constexpr std::string_view kRecordKind = "secret";
Bytes record_key(const RecordId& id, uint32_t version);

/// Shares of the secrets that a room's members hold jointly, in state.db (boolean-engine.md §8.1,
/// product.md §4).
///
/// A put is two-phase over the members: staged at each, ok's exchanged, committed. Killed anywhere,
/// the next reconcile() commits what all members have (staged or committed) and voids the rest, so
/// no committed secret is lost and no member keeps a share that others never had.
class SecretStore {
 public:
  /// `fault` is called with the name of each step that just became durable or visible (tests).
  SecretStore(SealedDb& db, const RoomId& rid,
              std::function<void(std::string_view)> fault = nullptr);

  void put(net::Party& party, const RecordMeta& meta, const prep::AuthBits& bits);
  /// Before anything else on a new connection.
  void reconcile(net::Party& party);
  /// All members hold the same secrets by name, version and provenance: kDisagreement naming the
  /// first that differs otherwise. Of those for which `counts` is true.
  void compare(net::Party& party, const std::function<bool(const RecordMeta&)>& counts);
  /// All members hold the same (id, version, count, metadata): kDisagreement otherwise.
  void agree(net::Party& party, const std::vector<RecordId>& ids);

  std::vector<RecordMeta> list();  // committed, all versions
  /// The newest committed version. Throws InputError if there is none.
  RecordMeta newest(const RecordId& id);
  prep::AuthBits get(const RecordId& id, uint32_t version);
  /// All versions of it; every member must do the same.
  void remove(const RecordId& id);
  /// Erases what belongs to another epoch, staged or committed.
  void keep_only(const Digest& epoch);
  size_t num_staged();

 private:
  void reached(std::string_view step) const;
  void commit(ByteView key);

  SealedDb& db_;
  const std::string staged_, committed_;  // kinds of the room's rows
  std::function<void(std::string_view)> fault_;
};

/// Part of a transaction: records of the one room of a state.db of before there were ids become
/// those of the room `rid`.
void take_over_secrets(SealedDb& db, const RoomId& rid);

/// M and K arrays: n, self, size, then per peer the macs and the keys.
SecretBytes encode_auth_bits(const prep::AuthBits& bits);
prep::AuthBits decode_auth_bits(const SecretBytes& bytes);

}  // namespace flexroom::store
