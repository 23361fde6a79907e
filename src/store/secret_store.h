#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "net/party.h"
#include "prep/prep.h"
#include "store/record_meta.h"
#include "store/room_store.h"
#include "store/sealed_db.h"

namespace flexroom::store {

/// Where loaded forms lie in state.db: (rows_of_room(kRecordKind, rid), record_key). Rows have
/// their own kind.
inline constexpr std::string_view kRecordKind = "secret";
Bytes record_key(const RecordId& id, uint32_t version);

/// What a member holds of a secret, with what all may know of it.
struct Record {
  RecordMeta meta;
  SecretBytes bytes;
};

/// Records of a room in state.db, each by (id, version), put in two phases over the members:
/// staged at each, ok's exchanged, committed.
///
/// Guarantee  killed anywhere, the next reconcile() commits what all members have (staged or
///            committed) and voids the rest. No committed record is lost, and none is voided that a
///            peer says it has committed: it stays staged, used by nobody, until all agree
/// Threads    one; one session of a member at a time changes records that exist (SessionLock)
class RecordStore {
 public:
  RecordStore(const RecordStore&) = delete;
  RecordStore& operator=(const RecordStore&) = delete;

  /// Before anything else on a new connection. Returns what all members have committed now.
  std::vector<RecordMeta> reconcile(net::Party& party);
  /// All members hold the same records by name, version and the rest of their metadata, but for
  /// those of flows: kDisagreement naming the first that differs otherwise.
  void compare(net::Party& party);
  /// All members describe these records alike, in every field: kDisagreement naming the field
  /// otherwise. Equal calls at all members.
  void agree(net::Party& party, const std::vector<RecordMeta>& metas);
  /// The same for the newest version of each, which not all may have.
  void agree(net::Party& party, const std::vector<RecordId>& ids);

  std::vector<RecordMeta> list();  // committed, all versions
  /// The newest committed version. Throws InputError if there is none.
  RecordMeta newest(const RecordId& id);
  bool has(const RecordId& id, uint32_t version);
  /// All versions of it, staged ones too; every member must do the same.
  void remove(const RecordId& id);
  void remove(const RecordId& id, uint32_t version);
  size_t num_staged();

 protected:
  /// `fault` is called with the name of each step that just became durable or visible (tests).
  RecordStore(SealedDb& db, std::string staged, std::string committed,
              SealedDb::Associated associated, std::function<void(std::string_view)> fault);
  ~RecordStore() = default;
  /// All of them or none. `may_replace`: a record may take the place of one that differs from it
  /// in its set alone; anything else under its key is refused.
  void put_all(net::Party& party, std::span<const Record> records, bool may_replace);
  /// Within the caller's transaction.
  void write_committed(const Record& record);
  std::optional<Record> read(const RecordId& id, uint32_t version);
  /// Erases what `which` says, staged or committed.
  void erase_if(const std::function<bool(const RecordMeta&)>& which);

 private:
  struct Claims;
  void reached(std::string_view step) const;
  void require_free(const RecordMeta& meta, bool may_replace);
  void commit(std::span<const Bytes> keys);
  Claims exchange_claims(net::Party& party);
  void agree_on(net::Party& party, const std::vector<std::optional<RecordMeta>>& mine,
                const std::vector<RecordId>& ids);

  SealedDb& db_;
  const std::string staged_, committed_;  // kinds of the room's rows
  const SealedDb::Associated associated_;
  std::function<void(std::string_view)> fault_;
};

/// The secrets that a room's members hold jointly, as rows (members.md §3.1; prep/rows.h): of no
/// epoch, sealed under the record's id, version, set and metadata.
class SecretStore : public RecordStore {
 public:
  SecretStore(SealedDb& db, const RoomId& rid,
              std::function<void(std::string_view)> fault = nullptr);
  /// New secrets, new versions, or new rows (another set) of what is there.
  void put(net::Party& party, std::span<const Record> records);
  /// This member's row. Throws InputError where its size is not that of its metadata.
  SecretBytes row(const RecordId& id, uint32_t version);
  /// As it lies there, committed.
  std::optional<Record> find(const RecordId& id, uint32_t version) { return read(id, version); }
  /// Part of a commit of the caller's own, which all members decided about (flow/run_store.h), in
  /// its transaction: the record takes the place of whatever has its id and version.
  void put_committed(const Record& record);
  /// Part of a switch of the members (store/handed_rows.h), in its transaction: these are the
  /// room's rows from now on; all others, staged ones too, are erased.
  void replace_all(std::span<const Record> records);
};

/// Associated data of a sealed row (members.md, Appendix A): text "flexroom/row/1", raw record,
/// u32 version, raw set, raw RO(meta).
Bytes row_associated_data(const RecordMeta& meta);

/// Loaded forms: authenticated share arrays under the global keys of one epoch (boolean-engine.md
/// §8.1), void with it. The day's signing keys; and secrets as they lay before there were rows.
class LoadedStore : public RecordStore {
 public:
  LoadedStore(SealedDb& db, const RoomId& rid,
              std::function<void(std::string_view)> fault = nullptr);
  void put(net::Party& party, const RecordMeta& meta, const prep::AuthBits& bits);
  prep::AuthBits get(const RecordId& id, uint32_t version);
  /// Erases what belongs to another epoch, staged or committed.
  void keep_only(const Digest& epoch);
};

/// Part of a transaction: records of the one room of a state.db of before there were ids become
/// those of the room `rid`.
void take_over_secrets(SealedDb& db, const RoomId& rid);

/// M and K arrays: n, self, size, then per peer the macs and the keys.
SecretBytes encode_auth_bits(const prep::AuthBits& bits);
prep::AuthBits decode_auth_bits(const SecretBytes& bytes);

}  // namespace flexroom::store
