#include "store/pool.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>

#include "base/codec.h"
#include "base/error.h"
#include "base/private_file.h"
#include "prep/protocol.h"
#include "store/row_reader.h"

namespace flexroom::store {
namespace {

constexpr std::string_view kKind = "batch";
constexpr std::string_view kLabel = "pool/batches";
constexpr size_t kMaxBatchIdBytes = 64;
constexpr uint64_t kMaxItemBytes = uint64_t{1} << 26;
constexpr size_t kMaxBatches = 65536;
constexpr size_t kMaxEntryBytes = 4 + kMaxBatchIdBytes + 24;

// What one member says about a batch.
struct Entry {
  uint64_t count = 0, item_bytes = 0, cursor = 0;
  bool same_shape(const Entry& other) const {
    return count == other.count && item_bytes == other.item_bytes;
  }
};

constexpr size_t kMetaBytes1 = 32 + 3 * 8;  // of protocol 1, which named no number

uint16_t protocol_of(ByteView meta) {
  if (meta.size() == kMetaBytes1) return 1;
  RowReader in(meta, "once.db, a batch of the pool");
  (void)in.raw(kMetaBytes1);
  return in.u16();
}

std::map<Bytes, Entry> read_list(Reader& in, PartyId from) {
  std::map<Bytes, Entry> list;
  while (in.remaining() > 0) {
    const ByteView id = in.field(kMaxBatchIdBytes);
    Entry entry;
    entry.count = in.u64();
    entry.item_bytes = in.u64();
    entry.cursor = in.u64();
    // A repeated id must not stand in for another member's.
    if (entry.cursor > entry.count || !list.emplace(Bytes(id.begin(), id.end()), entry).second) {
      throw ProtocolAbort(AbortCode::kBadFrame, kLabel, "an impossible list of batches", from);
    }
  }
  return list;
}

}  // namespace

Pool::Pool(SealedDb& db, std::filesystem::path directory,
           std::function<void(std::string_view)> fault)
    : db_(db), directory_(std::move(directory)), fault_(std::move(fault)) {
  const bool look = db_.only_looks();
  if (!look) make_private_folder(directory_);
  // add() writes its file inside a transaction, so no file of another process is without its row.
  db_.transaction([&] {
    std::set<Bytes> keep;
    for (auto& label : db_.labels(kKind)) {
      if (prep::is_usable_protocol(protocol_of(label.meta))) {
        keep.insert(std::move(label.id));
      } else {
        db_.remove(kKind, label.id);
      }
    }
    if (!look) keep_pool_files(directory_, keep);
  });
}

Pool::~Pool() { unlock(); }

bool Pool::lock() {
  if (lock_.valid()) return true;
  const std::filesystem::path file = directory_ / "lock";
  Fd fd(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) throw InputError(file.string(), std::strerror(errno));
  if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return false;
  lock_ = std::move(fd);
  return true;
}

void Pool::unlock() {
  lock_.reset(-1);
  usable_.clear();
}

Pool::Batch Pool::load(ByteView id) {
  auto row = db_.get(kKind, id);
  if (!row) throw InputError("pool", "no batch " + to_hex(id).substr(0, 16), "flexroom stock");
  RowReader in(row->meta, "once.db, a batch of the pool");
  BatchShape shape;
  shape.id = Bytes(id.begin(), id.end());
  shape.epoch = in.digest();
  shape.count = in.u64();
  shape.item_bytes = in.u64();
  const uint64_t cursor = in.u64();
  shape.protocol = in.u16();
  in.finish();
  const bool fits = !id.empty() && shape.item_bytes > 0 && shape.item_bytes <= kMaxItemBytes &&
                    cursor <= shape.count;
  if (!fits) throw damaged_row("once.db, a batch of the pool", "impossible numbers");
  return {std::move(shape), cursor, ItemKey(std::move(row->secret))};
}

void Pool::save(const Batch& batch) {
  Writer meta;
  meta.raw(batch.shape.epoch).u64(batch.shape.count).u64(batch.shape.item_bytes).u64(batch.cursor);
  meta.u16(batch.shape.protocol);
  db_.put(kKind, batch.shape.id, meta.bytes(), batch.key.reveal());
}

// The rows go first: a file without its key is only garbage.
void Pool::erase(const std::vector<Bytes>& ids) {
  db_.transaction([&] {
    for (const Bytes& id : ids) db_.remove(kKind, id);
  });
  for (const Bytes& id : ids) {
    usable_.erase(id);
    remove_pool_file(directory_, id);
  }
}

void Pool::use_epoch(const Digest& epoch) {
  epoch_ = epoch;
  usable_.clear();
}

std::vector<Bytes> Pool::of_epoch() {
  std::vector<Bytes> ids;
  for (auto& label : db_.labels(kKind)) {
    const bool ours = !epoch_ || (label.meta.size() >= epoch_->size() &&
                                  std::equal(epoch_->begin(), epoch_->end(), label.meta.begin()));
    if (ours) ids.push_back(std::move(label.id));
  }
  return ids;
}

void Pool::forget_all() {
  for (const Bytes& id : of_epoch()) db_.remove(kKind, id);
  usable_.clear();
}

void Pool::add(ByteView batch_id, const Digest& epoch, size_t item_bytes, ByteView items,
               uint16_t protocol) {
  FLEXROOM_ASSERT(!batch_id.empty() && batch_id.size() <= kMaxBatchIdBytes && item_bytes > 0);
  FLEXROOM_ASSERT(!items.empty() && items.size() % item_bytes == 0);
  FLEXROOM_ASSERT(!db_.get(kKind, batch_id) && prep::is_usable_protocol(protocol));
  Batch batch;
  batch.shape.id.assign(batch_id.begin(), batch_id.end());
  batch.shape.epoch = epoch;
  batch.shape.count = items.size() / item_bytes;
  batch.shape.item_bytes = item_bytes;
  batch.shape.protocol = protocol;
  db_.transaction([&] {
    if (db_.count(kKind) >= kMaxBatches) {
      throw InputError("pool", "holds as many batches as it can");
    }
    write_pool_file(directory_, batch.shape, batch.key, items);
    save(batch);
  });
  if (fault_) fault_("added");
}

void Pool::confirm(ByteView batch_id) {
  FLEXROOM_ASSERT(connected());
  usable_.emplace(batch_id.begin(), batch_id.end());
}

std::vector<Pool::Stock> Pool::on_disk() {
  const std::vector<Bytes> ids = of_epoch();
  return describe({ids.begin(), ids.end()});
}

std::vector<Pool::Stock> Pool::describe(const std::set<Bytes>& ids) {
  std::vector<Stock> out;
  for (const Bytes& id : ids) {
    const Batch batch = load(id);
    out.push_back({id, batch.shape.item_bytes, batch.shape.count, batch.cursor});
  }
  return out;
}

void Pool::advance(Batch& batch, uint64_t cursor) {
  FLEXROOM_ASSERT(cursor >= batch.cursor && cursor <= batch.shape.count);
  batch.key.skip(cursor - batch.cursor);
  batch.cursor = cursor;
  if (cursor == batch.shape.count) {
    db_.remove(kKind, batch.shape.id);
  } else {
    save(batch);
  }
}

void Pool::take(std::span<const Range> ranges, const std::function<void(ByteView)>& sink) {
  struct Burned {
    BatchShape shape;
    ItemKey key;
    uint64_t first, count;
    bool used_up;
  };
  std::vector<Burned> burned;
  db_.transaction([&] {
    for (const Range& range : ranges) {
      FLEXROOM_ASSERT(usable_.contains(range.batch_id));
      Batch batch = load(range.batch_id);
      const uint64_t left = batch.shape.count - batch.cursor;
      if (range.count == 0 || range.count > left) {
        throw InputError("pool",
                         "a batch holds " + std::to_string(left) + " usable items, " +
                             std::to_string(range.count) + " wanted",
                         "flexroom stock");
      }
      burned.push_back(
          {batch.shape, batch.key.clone(), batch.cursor, range.count, range.count == left});
      advance(batch, batch.cursor + range.count);
    }
  });
  if (fault_) fault_("burned");
  // The cursors are on disk.
  for (Burned& range : burned) {
    const bool whole = read_pool_file(directory_, range.shape, std::move(range.key), range.first,
                                      range.count, sink);
    if (!whole || range.used_up) erase({range.shape.id});
    if (!whole) {
      throw InputError(directory_.string(),
                       "a file of the pool is damaged or missing; it was erased",
                       "run the same command again; flexroom stock fills the pool");
    }
  }
}

bool Pool::connect(net::Party& party) {
  use_epoch(party.scope().eid);
  bool locked = lock();
  std::map<Bytes, Entry> common;
  std::vector<Bytes> gone;
  Writer list;
  list.u8(locked ? 1 : 0);
  if (locked) {
    for (Bytes& id : of_epoch()) {
      const Batch batch = load(id);
      list.field(id).u64(batch.shape.count).u64(batch.shape.item_bytes).u64(batch.cursor);
      common[std::move(id)] = {batch.shape.count, batch.shape.item_bytes, batch.cursor};
    }
  }
  party.broadcast(kLabel, list.bytes());
  for (const PartyId j : party.peers()) {
    const Bytes theirs = party.receive_broadcast_up_to(j, kLabel, 1 + kMaxBatches * kMaxEntryBytes);
    Reader in(theirs, kLabel, j);
    locked = in.u8() == 1 && locked;
    const std::map<Bytes, Entry> other = read_list(in, j);
    for (auto it = common.begin(); it != common.end();) {
      const auto found = other.find(it->first);
      if (found != other.end() && found->second.same_shape(it->second)) {
        it->second.cursor = std::max(it->second.cursor, found->second.cursor);
        ++it;
      } else {
        gone.push_back(it->first);
        it = common.erase(it);
      }
    }
  }
  // Members that were told different cursors would use different items together.
  party.echo(kLabel, AbortCode::kDisagreement);
  if (!locked) {
    unlock();
    return false;
  }
  db_.transaction([&] {
    for (const auto& [id, entry] : common) {
      Batch batch = load(id);
      if (entry.cursor == batch.shape.count) {
        gone.push_back(id);
        continue;
      }
      if (entry.cursor > batch.cursor) advance(batch, entry.cursor);
      usable_.insert(id);
    }
  });
  erase(gone);
  return true;
}

}  // namespace flexroom::store
