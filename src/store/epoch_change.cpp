#include "store/epoch_change.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/codec.h"
#include "base/error.h"

namespace flexroom::store {
namespace {

constexpr std::string_view kNextRecord = "secret/next";  // id: room, record_key
constexpr std::string_view kConfirmLabel = "epoch change/confirm";
constexpr std::string_view kSettleLabel = "epoch change/settle";

// What a member has, as the others see it.
struct Claim {
  Digest current{}, next{}, next_digest{};

  Bytes encode() const { return Writer().raw(current).raw(next).raw(next_digest).take(); }
  static Claim decode(ByteView bytes, PartyId peer) {
    Reader in(bytes, kSettleLabel, peer);
    Claim claim;
    claim.current = in.digest();
    claim.next = in.digest();
    claim.next_digest = in.digest();
    in.finish();
    return claim;
  }
};

}  // namespace

EpochChange::EpochChange(SealedDb& db, const Digest& room,
                         std::function<void(std::string_view)> fault)
    : db_(db), room_(room), records_(rows_of_room(kRecordKind, room)), fault_(std::move(fault)) {}

void EpochChange::reached(std::string_view step) const {
  if (fault_) fault_(step);
}

std::vector<Bytes> EpochChange::staged_ids() {
  std::vector<Bytes> ids = db_.ids(kNextRecord);
  std::erase_if(ids, [&](const Bytes& id) {
    return id.size() < room_.size() || !std::equal(room_.begin(), room_.end(), id.begin());
  });
  return ids;
}

std::optional<EpochChange::Next> EpochChange::next() {
  const auto epoch = EpochStore(db_, kNextEpoch).load(room_);
  if (!epoch) return std::nullopt;
  RandomOracle digest("epoch change", RoScope{});
  digest.field(room_).field(epoch->epoch_id);
  for (const Bytes& id : staged_ids()) {
    digest.field(RecordMeta::decode(db_.get(kNextRecord, id)->meta).digest());
  }
  return Next{epoch->epoch_id, digest.digest()};
}

bool EpochChange::staged() { return next().has_value(); }

void EpochChange::stage(const EpochStore::Saved& epoch, const std::vector<Record>& records) {
  reached("begin");
  db_.transaction([&] {
    discard();
    const auto current = EpochStore(db_).load(room_);
    FLEXROOM_ASSERT(current && current->epoch_id != epoch.epoch_id);
    size_t left_behind = 0;
    for (const Bytes& key : db_.ids(records_)) {
      if (RecordMeta::decode(db_.get(records_, key)->meta).epoch == current->epoch_id) {
        ++left_behind;
      }
    }
    FLEXROOM_ASSERT(left_behind == records.size());
    for (const Record& record : records) {
      FLEXROOM_ASSERT(record.meta.epoch == epoch.epoch_id);
      const Bytes key = record_key(record.meta.id, record.meta.version);
      FLEXROOM_ASSERT(db_.get(records_, key).has_value());
      db_.put(kNextRecord, Writer().raw(room_).raw(key).bytes(), record.meta.encode(),
              record.shares.reveal());
    }
    EpochStore(db_, kNextEpoch).save(room_, epoch);
  });
  reached("staged");
}

// Part of a transaction, or one of its own.
void EpochChange::discard() {
  db_.transaction([&] {
    for (const Bytes& id : staged_ids()) db_.remove(kNextRecord, id);
    EpochStore(db_, kNextEpoch).erase(room_);
  });
}

void EpochChange::commit() {
  db_.transaction([&] {
    const auto epoch = EpochStore(db_, kNextEpoch).load(room_);
    if (!epoch) return;  // another session of this member settled it
    for (const Bytes& id : staged_ids()) {
      const auto row = db_.get(kNextRecord, id);
      db_.put(records_, ByteView(id).subspan(room_.size()), row->meta, row->secret.reveal());
      db_.remove(kNextRecord, id);
    }
    EpochStore(db_).save(room_, *epoch);
    EpochStore(db_, kNextEpoch).erase(room_);
  });
  reached("committed");
}

void EpochChange::commit_with(net::Party& party) {
  const std::optional<Next> own = next();
  FLEXROOM_ASSERT(own.has_value());
  const std::vector<Bytes> all = party.exchange(kConfirmLabel, own->digest);
  // Members that were told different things would decide differently.
  party.echo(kConfirmLabel, AbortCode::kDisagreement);
  reached("confirmed");
  for (const PartyId j : party.peers()) {
    if (all[j] == all[party.id()]) continue;
    discard();
    throw ProtocolAbort(AbortCode::kDisagreement, "epoch",
                        "other records were staged there for the new epoch; nothing was changed",
                        j);
  }
  commit();
}

bool EpochChange::settle(net::Party& party) {
  Claim own;
  if (const auto current = EpochStore(db_).load(room_)) own.current = current->epoch_id;
  if (const auto staged = next()) {
    own.next = staged->epoch;
    own.next_digest = staged->digest;
  }
  const std::vector<Bytes> all = party.exchange(kSettleLabel, own.encode());
  party.echo(kSettleLabel, AbortCode::kDisagreement);
  reached("settle exchanged");
  if (own.next == Digest{}) return false;

  std::optional<PartyId> without, committed;
  for (const PartyId j : party.peers()) {
    const Claim theirs = Claim::decode(all[j], j);
    if (theirs.current == own.next) {
      committed = j;
    } else if (theirs.next != own.next || theirs.next_digest != own.next_digest) {
      without = j;
    }
  }
  if (!without) {
    commit();
    return true;
  }
  if (committed) {
    throw ProtocolAbort(AbortCode::kDisagreement, "epoch",
                        "does not have the epoch that another member has moved the secrets to; "
                        "restore its newest state.db",
                        *without);
  }
  discard();
  reached("discarded");
  return false;
}

void take_over_epochs(SealedDb& db, const Digest& old, const Digest& rid) {
  for (const std::string_view kind : {EpochStore::kKind, kNextEpoch}) {
    EpochStore epochs(db, kind);
    if (const auto saved = epochs.load(old)) epochs.save(rid, *saved);
    epochs.erase(old);
  }
  for (const Bytes& id : db.ids(kNextRecord)) {
    if (id.size() < old.size() || !std::equal(old.begin(), old.end(), id.begin())) continue;
    const auto row = db.get(kNextRecord, id);
    db.put(kNextRecord, Writer().raw(rid).raw(ByteView(id).subspan(old.size())).bytes(), row->meta,
           row->secret.reveal());
    db.remove(kNextRecord, id);
  }
}

SessionLock::SessionLock(const std::filesystem::path& directory)
    : file_(directory / "session.lock") {
  fd_.reset(open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd_.valid()) throw InputError(file_.string(), std::strerror(errno));
  take(LOCK_SH, "another command of this member is changing the epoch");
}

void SessionLock::require_alone() {
  take(LOCK_EX, "another command of this member runs, or waits for the others");
}

void SessionLock::take(int mode, std::string_view problem) {
  if (flock(fd_.get(), mode | LOCK_NB) == 0) return;
  throw InputError(file_.parent_path().string(), problem, "let it end, then run this one again");
}

}  // namespace flexroom::store
