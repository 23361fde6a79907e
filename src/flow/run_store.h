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

namespace flexroom::flow {

/// Of a room, as store/ has it.
inline constexpr size_t kMostMembers = 16;

/// A value as this member holds it: a public text, or its own row of a secret.
struct StoredValue {
  ValueMeta meta;
  SecretBytes bytes;
};
/// The bytes that go with a Change, by the names of its values.
using ValueBytes = std::map<std::string, SecretBytes>;

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
  /// The staged change, with the ok's of all members to it, becomes the run's last one; returned.
  Change commit(const RunId& id, const std::vector<net::Signature>& oks);
  /// Of the run's last commit.
  std::vector<net::Signature> oks(const RunId& id);

  /// Of the run, where there is one and it has its own; else of the room.
  std::optional<StoredValue> value(const RunId& run, std::string_view prefix,
                                   std::string_view name);
  std::optional<StoredValue> room_value(std::string_view prefix, std::string_view name);
  std::optional<StoredValue> run_value(const RunId& run, std::string_view name);
  std::vector<ValueMeta> room_values(std::string_view prefix);
  std::vector<ValueMeta> run_values(const RunId& run);
  void erase_room_value(std::string_view prefix, std::string_view name);

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
  void reached(std::string_view step) const;
  std::string kind(std::string_view name) const { return store::rows_of_room(name, rid_); }
  void put_value(std::string_view owner, const ValueMeta& meta, ByteView bytes);
  std::optional<StoredValue> get_value(std::string_view owner, std::string_view name);
  std::vector<ValueMeta> values_of(std::string_view owner);
  void apply(const Change& change, const ValueBytes& bytes, const std::vector<net::Signature>& oks);
  void enter_loss(int64_t now);
  std::optional<Armed> lost(const RunId& run, std::string_view step);

  store::SealedDb& state_;
  store::OnceDb& once_;
  const store::RoomId rid_;
  const std::function<void(std::string_view)> fault_;
};

}  // namespace flexroom::flow
