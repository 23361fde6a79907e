#include "store/once_db.h"

#include <algorithm>
#include <map>

#include "base/codec.h"
#include "base/error.h"

namespace flexroom::store {
namespace {

namespace fs = std::filesystem;

constexpr size_t kChunkBytes = 64 * 1024;
constexpr size_t kMaxBatchIdBytes = 64;
constexpr size_t kMaxBatches = 65536;

uint64_t items_per_chunk(uint64_t item_bytes) {
  return std::max<uint64_t>(1, kChunkBytes / item_bytes);
}

Bytes chunk_id(ByteView batch, uint64_t chunk) {
  Writer out;
  out.field(batch).u64(chunk);
  return out.take();
}

uint32_t saturating_add(uint32_t a, size_t b) {
  return static_cast<uint32_t>(std::min<uint64_t>(UINT32_MAX, uint64_t{a} + b));
}

void remove_file(const fs::path& file) {
  for (const char* suffix : {"", "-wal", "-shm"}) fs::remove(file.string() + suffix);
}

}  // namespace

OnceDb::OnceDb(const fs::path& file, const fs::path& key_file, bool expected, Limits limits)
    : limits_(limits) {
  const bool has_key = fs::exists(key_file), has_file = fs::exists(file);
  const auto open_with = [&](bool create) {
    db_ = std::make_unique<SealedDb>(file, [&](ByteView) {
      return create ? SealKey::create(key_file) : SealKey::load(key_file);
    });
  };
  if (has_key && has_file) {
    open_with(false);
    // A crash between making the file and its first counters: nothing was ever used.
    if (!db_->get("counters", {})) expected ? void_everything() : save({});
    return;
  }
  // Without its key (or without itself) the file says nothing: it is made anew. Only a member
  // without an epoch may begin at zero.
  remove_file(file);
  open_with(!has_key);
  if (expected || has_key || has_file) {
    void_everything();
  } else {
    save({});
  }
}

void OnceDb::void_everything() {
  Counters full;
  full.needs_operator = true;
  full.dirty = limits_.dirty_max;
  full.life = limits_.life_max;
  save(full);
}

void OnceDb::save(const Counters& c) {
  Writer out;
  out.u8(c.burned ? 1 : 0).u8(c.needs_operator ? 1 : 0).u32(c.dirty).u32(c.life).u32(c.strikes);
  db_->put("counters", {}, {}, out.bytes());
}

OnceDb::Counters OnceDb::counters() {
  const auto row = db_->get("counters", {});
  FLEXROOM_ASSERT(row.has_value());
  Reader in(row->secret.reveal(), "once.db counters");
  Counters c;
  c.burned = in.u8() != 0;
  c.needs_operator = in.u8() != 0;
  c.dirty = in.u32();
  c.life = in.u32();
  c.strikes = in.u32();
  in.finish();
  return c;
}

void OnceDb::require_preprocessing_allowed() {
  const Counters c = counters();
  const auto refuse = [](AbortCode code, const std::string& text) {
    throw ProtocolAbort(code, "preprocessing", text);
  };
  if (c.burned) {
    refuse(AbortCode::kEpochBurned, "a check failed; set up a new one: flexroom init --new-epoch");
  }
  if (c.needs_operator) {
    refuse(AbortCode::kTooManyUnfinished,
           "single-use state was lost (restored machine?); flexroom peer accept");
  }
  if (c.dirty >= limits_.dirty_max) {
    refuse(AbortCode::kTooManyUnfinished,
           std::to_string(c.dirty) + " batches ended without a verdict; refresh the secrets");
  }
  if (c.life >= limits_.life_max) {
    refuse(
        AbortCode::kTooManyUnfinished,
        std::to_string(c.life) + " batches ended without a verdict so far; flexroom peer accept");
  }
}

void OnceDb::begin_batches(size_t count) {
  db_->transaction([&] {
    Counters c = counters();
    c.dirty = saturating_add(c.dirty, count);
    c.life = saturating_add(c.life, count);
    save(c);
  });
}

void OnceDb::finish_batches(size_t count) {
  db_->transaction([&] {
    Counters c = counters();
    FLEXROOM_ASSERT(c.dirty >= count && c.life >= count);
    c.dirty -= static_cast<uint32_t>(count);
    c.life -= static_cast<uint32_t>(count);
    save(c);
  });
}

void OnceDb::burn() {
  db_->transaction([&] {
    Counters c = counters();
    if (c.burned) return;
    c.burned = true;
    c.life = saturating_add(c.life, 1);
    save(c);
  });
}

void OnceDb::add_strike() {
  db_->transaction([&] {
    Counters c = counters();
    c.strikes = saturating_add(c.strikes, 1);
    save(c);
    if (c.strikes >= kMaxStrikes) burn();
  });
}

void OnceDb::start_epoch() {
  db_->transaction([&] {
    for (const Bytes& id : db_->ids("batch")) erase_batch(id);
    Counters c = counters();
    c.burned = false;
    c.dirty = c.strikes = 0;
    save(c);
  });
}

void OnceDb::operator_accepts() {
  db_->transaction([&] {
    Counters c = counters();
    c.needs_operator = false;
    c.life = 0;
    save(c);
  });
}

bool OnceDb::mark(std::string_view kind, ByteView id) {
  bool first = false;
  db_->transaction([&] {
    first = !marked(kind, id);
    if (first) db_->put("mark/" + std::string(kind), id, {}, {});
  });
  return first;
}

bool OnceDb::marked(std::string_view kind, ByteView id) {
  return db_->get("mark/" + std::string(kind), id).has_value();
}

OnceDb::Batch OnceDb::load_batch(ByteView id) {
  const auto row = db_->get("batch", id);
  if (!row) throw InputError("pool", "no batch " + to_hex(id).substr(0, 16));
  Reader in(row->secret.reveal(), "once.db batch");
  Batch batch;
  batch.count = in.u64();
  batch.item_bytes = in.u64();
  batch.cursor = in.u64();
  batch.durable_at_all = in.u8() != 0;
  in.finish();
  return batch;
}

void OnceDb::save_batch(ByteView id, const Batch& batch) {
  Writer out;
  out.u64(batch.count).u64(batch.item_bytes).u64(batch.cursor).u8(batch.durable_at_all ? 1 : 0);
  db_->put("batch", id, {}, out.bytes());
}

void OnceDb::erase_batch(ByteView id) {
  const Batch batch = load_batch(id);
  const uint64_t per_chunk = items_per_chunk(batch.item_bytes);
  for (uint64_t k = 0; k * per_chunk < batch.count; ++k) db_->remove("items", chunk_id(id, k));
  db_->remove("batch", id);
}

void OnceDb::add_batch(ByteView batch_id, size_t item_bytes, const SecretBytes& items) {
  FLEXROOM_ASSERT(!batch_id.empty() && batch_id.size() <= kMaxBatchIdBytes && item_bytes > 0);
  FLEXROOM_ASSERT(!items.empty() && items.size() % item_bytes == 0);
  FLEXROOM_ASSERT(!db_->get("batch", batch_id));
  const size_t chunk_bytes = items_per_chunk(item_bytes) * item_bytes;
  db_->transaction([&] {
    for (size_t at = 0, k = 0; at < items.size(); at += chunk_bytes, ++k) {
      const size_t size = std::min(chunk_bytes, items.size() - at);
      db_->put("items", chunk_id(batch_id, k), {}, items.reveal().subspan(at, size));
    }
    save_batch(batch_id, {items.size() / item_bytes, item_bytes, 0, false});
  });
}

std::vector<OnceDb::Stock> OnceDb::stock() {
  std::vector<Stock> out;
  for (Bytes& id : db_->ids("batch")) {
    const Batch batch = load_batch(id);
    if (batch.durable_at_all) out.push_back({std::move(id), batch.count, batch.cursor});
  }
  return out;
}

// Erases what the cursor passed: whole chunks, and the used part of the chunk it stands in.
void OnceDb::advance(ByteView id, Batch batch, uint64_t cursor) {
  const uint64_t per_chunk = items_per_chunk(batch.item_bytes);
  for (uint64_t k = batch.cursor / per_chunk; k * per_chunk < cursor; ++k) {
    const uint64_t end = std::min(batch.count, (k + 1) * per_chunk);
    if (cursor >= end) {
      db_->remove("items", chunk_id(id, k));
    } else if (auto row = db_->get("items", chunk_id(id, k))) {
      wipe(row->secret.writable().data(), (cursor - k * per_chunk) * batch.item_bytes);
      db_->put("items", chunk_id(id, k), {}, row->secret.reveal());
    }
  }
  batch.cursor = cursor;
  save_batch(id, batch);
}

OnceDb::Taken OnceDb::take(ByteView batch_id, uint64_t count) {
  Taken taken;
  db_->transaction([&] {
    const Batch batch = load_batch(batch_id);
    if (!batch.durable_at_all || count == 0 || count > batch.count - batch.cursor) {
      throw InputError("pool",
                       "batch holds " + std::to_string(batch.count - batch.cursor) +
                           " usable items, " + std::to_string(count) + " wanted",
                       "flexroom stock");
    }
    taken.first = batch.cursor;
    taken.items = SecretBytes(count * batch.item_bytes);
    const uint64_t per_chunk = items_per_chunk(batch.item_bytes);
    for (uint64_t done = 0; done < count;) {
      const uint64_t item = batch.cursor + done, k = item / per_chunk;
      const auto row = db_->get("items", chunk_id(batch_id, k));
      if (!row) throw InputError("once.db", "a chunk of a batch is missing", "flexroom stock");
      const uint64_t n = std::min(count - done, (k + 1) * per_chunk - item);
      const ByteView from = row->secret.reveal().subspan((item - k * per_chunk) * batch.item_bytes,
                                                         n * batch.item_bytes);
      std::copy(from.begin(), from.end(),
                taken.items.writable().begin() + static_cast<ptrdiff_t>(done * batch.item_bytes));
      done += n;
    }
    advance(batch_id, batch, batch.cursor + count);
  });
  return taken;  // the cursor is on disk
}

void OnceDb::connect(net::Party& party) {
  std::map<Bytes, Batch> own;
  Writer list;
  for (Bytes& id : db_->ids("batch")) {
    const Batch batch = load_batch(id);
    list.field(id).u64(batch.count).u64(batch.cursor);
    own.emplace(std::move(id), batch);
  }
  for (const PartyId j : party.peers()) party.send(j, "pool/batches", list.bytes());
  std::map<Bytes, uint64_t> cursors;
  std::map<Bytes, size_t> seen;
  for (const PartyId j : party.peers()) {
    const Bytes theirs = party.receive_up_to(j, "pool/batches", kMaxBatches * 84);
    Reader in(theirs, "pool/batches", j);
    std::map<Bytes, bool> once;  // a repeated id must not stand in for another member's
    while (in.remaining() > 0) {
      const ByteView raw = in.field(kMaxBatchIdBytes);
      const Bytes id(raw.begin(), raw.end());
      const uint64_t count = in.u64(), cursor = in.u64();
      const auto mine = own.find(id);
      if (mine == own.end() || mine->second.count != count || cursor > count) continue;
      if (!once.emplace(id, true).second) continue;
      ++seen[id];
      cursors[id] = std::max(cursors[id], cursor);
    }
  }
  db_->transaction([&] {
    for (auto& [id, batch] : own) {
      const uint64_t cursor = std::max(batch.cursor, cursors[id]);
      if (seen[id] != party.peers().size() || cursor == batch.count) {
        erase_batch(id);
        continue;
      }
      batch.durable_at_all = true;
      advance(id, batch, cursor);
    }
  });
}

}  // namespace flexroom::store
