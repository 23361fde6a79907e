#include "store/handed_rows.h"

#include <algorithm>

#include "base/codec.h"
#include "base/display.h"
#include "base/error.h"
#include "prep/rows.h"

namespace flexroom::store {
namespace {

Bytes associated(ByteView meta) { return row_associated_data(RecordMeta::decode(meta)); }

bool is_of(const Digest& attempt, const Bytes& key) {
  return key.size() > attempt.size() && std::equal(attempt.begin(), attempt.end(), key.begin());
}

}  // namespace

HandedRows::HandedRows(SealedDb& db, const RoomId& rid, std::function<void(std::string_view)> fault)
    : db_(db),
      rid_(rid),
      rows_(rows_of_room("row/handed", rid)),
      heads_(rows_of_room("handed", rid)),
      fault_(std::move(fault)) {}

void HandedRows::reached(std::string_view step) const {
  if (fault_) fault_(step);
}

Bytes HandedRows::key(const Digest& attempt, const RecordId& id, uint32_t version) const {
  Writer out;
  out.raw(attempt).raw(record_key(id, version));
  return out.take();
}

void HandedRows::erase(const Digest& attempt) {
  for (const Bytes& key : db_.ids(rows_)) {
    if (is_of(attempt, key)) db_.remove(rows_, key);
  }
  db_.remove(heads_, attempt);
}

void HandedRows::stage(const Digest& attempt, std::span<const Record> rows, ByteView carried) {
  FLEXROOM_ASSERT(!carried.empty());
  db_.transaction([&] {
    erase(attempt);
    for (const Record& row : rows) {
      FLEXROOM_ASSERT(row.bytes.size() == prep::row_bytes(row.meta.bits));
      db_.put(rows_, key(attempt, row.meta.id, row.meta.version), row.meta.encode(),
              row.bytes.reveal(), associated);
    }
    db_.put(heads_, attempt, carried, {});
  });
  reached("handed rows staged");
}

std::vector<Digest> HandedRows::attempts() {
  std::vector<Digest> out;
  for (const Bytes& id : db_.ids(heads_)) {
    out.emplace_back();
    FLEXROOM_ASSERT(id.size() == out.back().size());
    std::copy(id.begin(), id.end(), out.back().begin());
  }
  return out;
}

std::optional<Bytes> HandedRows::carried(const Digest& attempt) {
  auto row = db_.get(heads_, attempt);
  if (!row) return std::nullopt;
  return std::move(row->meta);
}

std::vector<RecordMeta> HandedRows::list(const Digest& attempt) {
  std::vector<RecordMeta> out;
  for (const SealedDb::Label& label : db_.labels(rows_)) {
    if (is_of(attempt, label.id)) out.push_back(RecordMeta::decode(label.meta));
  }
  return out;
}

SecretBytes HandedRows::row(const Digest& attempt, const RecordMeta& meta) {
  auto row = db_.get(rows_, key(attempt, meta.id, meta.version), associated);
  const std::string name = "'" + display_short(meta.name) + "'";
  if (!row || row->meta != meta.encode()) {
    throw InputError("state.db", "the new row of " + name + " is not there", "try again");
  }
  if (row->secret.size() != prep::row_bytes(meta.bits)) {
    throw InputError("state.db", "the new row of " + name + " has an impossible size", "try again");
  }
  return std::move(row->secret);
}

void HandedRows::drop(const Digest& attempt) {
  db_.transaction([&] { erase(attempt); });
  reached("handed rows dropped");
}

void HandedRows::move_in(const Digest& attempt) {
  db_.transaction([&] {
    if (!carried(attempt)) {
      throw InputError("state.db", "the new rows of this change are not there",
                       "restore the newest state.db");
    }
    std::vector<Record> records;
    for (const RecordMeta& meta : list(attempt)) records.push_back({meta, row(attempt, meta)});
    SecretStore(db_, rid_).replace_all(records);
    for (const Digest& other : attempts()) erase(other);
  });
  reached("handed rows in use");
}

}  // namespace flexroom::store
