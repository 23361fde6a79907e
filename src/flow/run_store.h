#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "flow/run_state.h"
#include "net/identity.h"
#include "store/once_db.h"
#include "store/room_store.h"
#include "store/sealed_db.h"
#include "store/secret_store.h"

namespace flexroom::flow {

/// Of a room, as store/ has it.
inline constexpr size_t kMostMembers = 16;

/// A value as this member holds it: a public text, or which record of the room's store a secret is
/// (store/secret_store.h), whose row is loaded as every other one's.
struct StoredValue {
  ValueMeta meta;
  SecretBytes bytes;  // the text of a public one
  std::optional<store::RecordMeta> record = {};
  /// Of a secret, in bytes.
  uint32_t length() const { return record ? record->bits / 8 : 0; }
};
/// Which value this is, and in which rows: what members compare. With `tag` alone a member whose
/// state.db is of before a refresh would pass, and every load fail (members.md §3.1). Public; the
/// same at all members that hold the same.
Digest sharing_of(const StoredValue& value);
/// The bytes that go with a Change, by the names of its values: a text, or secret_bytes().
using ValueBytes = std::map<std::string, SecretBytes>;
/// A secret that all members just got: this member's row (members.md §3.1), and which one it is.
/// All but the row is the same at all members; `tag` and `set` are others for every sharing.
struct NewSecret {
  Digest tag{};
  uint32_t length = 0;  // bytes
  store::RowSet set{};
  SecretBytes row;
};
/// u32 length, raw16 set, the row.
SecretBytes secret_bytes(const NewSecret& secret);

/// How people call a flow's value of the room: "PREFIX:NAME".
std::string name_in_room(std::string_view prefix, std::string_view name);

/// A step that was about to be released, or was (operations.md (c)).
struct Armed {
  std::string step;  // nothing where `of_loss`
  uint32_t attempt = 0;
  int64_t time = 0;  // of this member's clock
  std::string prefix, flow;
  std::string leaves;  // in words, for --abandon
  int64_t settle_seconds = kSettleLeavesSeconds;
  bool of_loss = false;  // once.db was lost: what was armed nobody knows
};
/// A run that once.db knows.
struct KnownRun {
  RunId id;
  std::string prefix, flow;
  bool closed = false;
};

/// What one member keeps of the flows of a room, in state.db and, what may never be rolled back, in
/// once.db (docs/formats.md). Every change is durable when its call returns; `fault` hears of each
/// (tests).
///
/// Secrets  their rows are records of the room's SecretStore, of kind kFlowKind, which the commits
///          here write and erase and `secret refresh` renews. A secret whose record is gone is not
///          there
/// Lost   a once.db that is new while state.db has runs, or was lost once: every step of an open
/// run
///        counts as armed, every account of the ledger is full (operations.md (c))
class RunStore {
 public:
  RunStore(store::SealedDb& state, store::OnceDb& once, const store::RoomId& rid, int64_t now,
           std::function<void(std::string_view)> fault = nullptr);

  // ---- state.db
  std::vector<RunState> runs();
  std::optional<RunState> run(const RunId& id);
  struct Staged {
    Change change;
    Digest digest{};
  };
  std::optional<Staged> staged(const RunId& id);
  std::vector<RunId> staged_runs();
  void stage(const Change& change, const ValueBytes& bytes);
  void drop_staged(const RunId& id);
  /// Calls `write`, once, in a transaction of state.db to which it may add.
  using Together = std::function<void(const Change& change, const std::function<void()>& write)>;
  /// The staged change, with the ok's of all members to it, becomes the run's last one; returned.
  Change commit(const RunId& id, const std::vector<net::Signature>& oks,
                const Together& together = nullptr);
  /// Of the run's last commit.
  std::vector<net::Signature> oks(const RunId& id);

  /// Of the run, where there is one and it has its own; else of the room.
  std::optional<StoredValue> value(const RunId& run, std::string_view prefix,
                                   std::string_view name);
  std::optional<StoredValue> room_value(std::string_view prefix, std::string_view name);
  std::optional<StoredValue> run_value(const RunId& run, std::string_view name);
  std::vector<ValueMeta> room_values(std::string_view prefix);
  /// Under all prefixes.
  struct RoomValue {
    std::string prefix;
    ValueMeta meta;
  };
  std::vector<RoomValue> all_room_values();
  std::vector<ValueMeta> run_values(const RunId& run);
  void erase_room_value(std::string_view prefix, std::string_view name);
  /// Part of the caller's transaction; what was there is in the file's log until scrub().
  void remove_room_value(std::string_view prefix, std::string_view name);

  // ---- once.db
  /// Armed, and the bits of the ledger booked, in one durable step. The attempt must be higher than
  /// the one before. Throws ProtocolAbort(kReuse) if it is not, InputError if an account is full.
  void arm(const RunId& run, std::string_view step, const Armed& armed,
           const std::map<std::string, unsigned>& bits);
  std::optional<Armed> armed(const RunId& run, std::string_view step);
  std::vector<Armed> all_armed(const RunId& run);
  /// Bits that were booked on an account; kLifeBits once once.db was lost.
  unsigned booked(std::string_view account);
  std::vector<KnownRun> known_runs();
  /// A run is of one prefix and flow for good: throws ProtocolAbort(kReuse) where it is known as
  /// another one's.
  void close(const KnownRun& run);
  bool is_closed(const RunId& run);
  /// Prefix and flow of a run that is committed, staged or was armed here.
  std::optional<std::pair<std::string, std::string>> owner_of(const RunId& run);
  /// once.db was lost: every account counts as full.
  bool ledger_is_lost();
  /// Erases what the run kept and staged; its record stays, done.
  void erase_run(const RunId& run);

 private:
  struct Owner;
  void reached(std::string_view step) const;
  std::string kind(std::string_view name) const { return store::rows_of_room(name, rid_); }
  /// `flow` made it; of a secret the bytes are secret_bytes().
  void put_value(const Owner& owner, std::string_view flow, const ValueMeta& meta, ByteView bytes);
  void prove_value(const Owner& run, const Owner& room, std::string_view flow,
                   const ValueMeta& meta);
  void remove_value(const Owner& owner, std::string_view name);
  std::optional<StoredValue> get_value(const Owner& owner, std::string_view name);
  std::vector<ValueMeta> rows_of(const Owner& owner);
  std::vector<ValueMeta> values_of(const Owner& owner);
  /// Of a secret that is there.
  std::optional<store::RecordMeta> record_of(const Owner& owner, const ValueMeta& meta);
  void apply(const Change& change, const ValueBytes& bytes, const std::vector<net::Signature>& oks);
  void enter_loss(int64_t now);
  std::optional<Armed> lost(const RunId& run, std::string_view step);

  store::SealedDb& state_;
  store::OnceDb& once_;
  const store::RoomId rid_;
  store::SecretStore secrets_;
  const std::function<void(std::string_view)> fault_;
};

}  // namespace flexroom::flow
