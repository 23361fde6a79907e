#include "store/secret_store.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/codec.h"
#include "base/display.h"
#include "base/error.h"
#include "prep/rows.h"
#include "store/row_reader.h"

namespace flexroom::store {
namespace {

constexpr std::string_view kStaged = "secret/staged";
constexpr std::string_view kRow = "row";
constexpr std::string_view kStagedRow = "row/staged";
constexpr size_t kEntryBytes = 20 + 32 + 1;
constexpr size_t kMaxEntries = 100'000;

}  // namespace

Bytes record_key(const RecordId& id, uint32_t version) {
  Writer out;
  out.raw(id).u32(version);
  return out.take();
}

Bytes row_associated_data(const RecordMeta& meta) {
  Writer out;
  out.field("flexroom/row/1").raw(meta.id).u32(meta.version).raw(meta.set).raw(meta.digest());
  return out.take();
}

void take_over_secrets(SealedDb& db, const RoomId& rid) {
  for (const std::string_view kind : {kStaged, kRecordKind}) {
    for (const Bytes& key : db.ids(kind)) {
      const auto row = db.get(kind, key);
      db.put(rows_of_room(kind, rid), key, row->meta, row->secret.reveal());
      db.remove(kind, key);
    }
  }
}

SecretBytes encode_auth_bits(const prep::AuthBits& bits) {
  const size_t peers = bits.num_parties() - 1;
  SecretBytes out(12 + peers * bits.size() * 32);
  Writer header;
  header.u32(static_cast<uint32_t>(bits.num_parties())).u32(bits.self());
  header.u32(static_cast<uint32_t>(bits.size()));
  auto at = std::copy(header.bytes().begin(), header.bytes().end(), out.writable().begin());
  for (PartyId j = 0; j < bits.num_parties(); ++j) {
    if (j == bits.self()) continue;
    for (const BlockVec* array : {&bits.mac[j], &bits.key[j]}) {
      const ByteView view = array->bytes();
      at = std::copy(view.begin(), view.end(), at);
    }
  }
  return out;
}

prep::AuthBits decode_auth_bits(const SecretBytes& bytes) {
  RowReader in(bytes.reveal(), "state.db, a secret's shares");
  const uint32_t n = in.u32(), self = in.u32(), size = in.u32();
  if (n < 2 || self >= n || in.remaining() != uint64_t{n - 1} * size * 32) {
    throw InputError("state.db", "a stored share has an impossible size", "restore a backup");
  }
  prep::AuthBits bits(self, n, size);
  for (PartyId j = 0; j < n; ++j) {
    if (j == self) continue;
    for (BlockVec* array : {&bits.mac[j], &bits.key[j]}) {
      const ByteView raw = in.raw(size_t{size} * 16);
      std::copy(raw.begin(), raw.end(), array->mutable_bytes().begin());
    }
  }
  in.finish();
  bits.pin_bit1();  // before any use: the share may be one that protocol 1 made
  if (!bits.pinned(0, size)) {
    throw InputError("state.db", "a stored share contradicts itself", "restore a backup");
  }
  return bits;
}

// --- Two phases ---------------------------------------------------------------------------------

RecordStore::RecordStore(SealedDb& db, std::string staged, std::string committed,
                         SealedDb::Associated associated,
                         std::function<void(std::string_view)> fault)
    : db_(db),
      staged_(std::move(staged)),
      committed_(std::move(committed)),
      associated_(std::move(associated)),
      fault_(std::move(fault)) {}

void RecordStore::reached(std::string_view step) const {
  if (fault_) fault_(step);
}

void RecordStore::commit(std::span<const Bytes> keys) {
  db_.transaction([&] {
    for (const Bytes& key : keys) {
      const auto row = db_.get(staged_, key, associated_);
      if (!row) continue;
      db_.put(committed_, key, row->meta, row->secret.reveal(), associated_);
      db_.remove(staged_, key);
    }
  });
}

void RecordStore::require_free(const RecordMeta& meta, bool may_replace) {
  const Bytes key = record_key(meta.id, meta.version);
  if (db_.get(staged_, key, associated_)) {
    throw InputError(meta.name,
                     "an earlier change of it is not settled: a member says that it has it, "
                     "another that it has not",
                     "put the newest state.db back there, or `flexroom secret remove` it at all "
                     "members");
  }
  const auto row = db_.get(committed_, key, associated_);
  if (!row) return;
  RecordMeta before = RecordMeta::decode(row->meta);
  before.set = meta.set;
  if (may_replace && before.digest() == meta.digest()) return;
  throw InputError(meta.name, "this version exists already");
}

void RecordStore::put_all(net::Party& party, std::span<const Record> records, bool may_replace) {
  if (records.empty()) return;
  std::vector<Bytes> keys;
  RandomOracle digest("records", RoScope{});
  for (const Record& record : records) {
    require_free(record.meta, may_replace);
    keys.push_back(record_key(record.meta.id, record.meta.version));
    digest.field(record.meta.digest());
  }
  reached("begin");
  // Step 1: durable here, but not yet secrets of the room.
  db_.transaction([&] {
    for (size_t k = 0; k < keys.size(); ++k) {
      db_.put(staged_, keys[k], records[k].meta.encode(), records[k].bytes.reveal(), associated_);
    }
  });
  reached("staged");
  // Step 2: everybody says that it is durable there, for the same metadata.
  const std::vector<Bytes> oks = party.exchange("store/ok", digest.digest());
  // Members that were told different things would decide differently. Whoever fails here keeps it
  // staged: reconcile() decides.
  party.echo("store/ok", AbortCode::kDisagreement);
  reached("exchanged");
  for (const PartyId j : party.peers()) {
    if (oks[j] == oks[party.id()]) continue;
    db_.transaction([&] {
      for (const Bytes& key : keys) db_.remove(staged_, key);
    });
    throw ProtocolAbort(AbortCode::kDisagreement, "store",
                        "another record than '" + records[0].meta.name +
                            "' was staged there (members hold different earlier versions?); "
                            "nothing was changed: put the newest state.db back, or `flexroom "
                            "secret remove` it at all members and import it again",
                        j);
  }
  // Step 3.
  commit(keys);
  reached("committed");
}

/// What the members say they have: by key and digest of the metadata.
struct RecordStore::Claims {
  struct By {
    size_t members = 0;  // peers, staged or committed
    bool committed = false;
  };
  std::map<std::pair<Bytes, Digest>, By> peers;
};

RecordStore::Claims RecordStore::exchange_claims(net::Party& party) {
  constexpr std::string_view kLabel = "store/reconcile";
  Writer own;
  for (const bool committed : {false, true}) {
    for (const auto& label : db_.labels(committed ? committed_ : staged_)) {
      own.raw(label.id).raw(RecordMeta::decode(label.meta).digest()).u8(committed ? 1 : 0);
    }
  }
  party.broadcast(kLabel, own.bytes());
  Claims out;
  for (const PartyId j : party.peers()) {
    const Bytes theirs = party.receive_broadcast_up_to(j, kLabel, kMaxEntries * kEntryBytes);
    Reader in(theirs, kLabel, j);
    std::set<std::pair<Bytes, Digest>> once;
    while (in.remaining() > 0) {
      const ByteView raw = in.raw(20);
      std::pair<Bytes, Digest> what{Bytes(raw.begin(), raw.end()), in.digest()};
      Claims::By& by = out.peers[what];
      const bool committed = in.u8() != 0;
      by.committed = by.committed || committed;
      if (once.insert(std::move(what)).second) ++by.members;
    }
  }
  // Who is told different things decides differently: with new rows in the place of old ones, one
  // member would keep the new and another the old ones.
  party.echo(kLabel, AbortCode::kDisagreement);
  return out;
}

std::vector<RecordMeta> RecordStore::reconcile(net::Party& party) {
  Claims claims = exchange_claims(party);
  reached("reconcile exchanged");
  const auto of = [&](const SealedDb::Label& label) {
    return claims.peers[{label.id, RecordMeta::decode(label.meta).digest()}];
  };
  for (const auto& label : db_.labels(staged_)) {
    const Claims::By by = of(label);
    if (by.members == party.peers().size()) {
      commit({&label.id, 1});
    } else if (!by.committed) {
      db_.remove(staged_, label.id);
    }
    reached("reconciled one");
  }
  std::vector<RecordMeta> everywhere;
  for (const auto& label : db_.labels(committed_)) {
    if (of(label).members == party.peers().size()) {
      everywhere.push_back(RecordMeta::decode(label.meta));
    }
  }
  return everywhere;
}

// --- Comparing ----------------------------------------------------------------------------------

void RecordStore::compare(net::Party& party) {
  // (name, version, all of it) of each, in the order of the names: equal at all members.
  using Key = std::pair<std::string, uint32_t>;
  const auto list_of = [&](ByteView bytes, PartyId from) {
    std::map<Key, Digest> out;
    Reader in(bytes, "store/compare", from);
    while (in.remaining() > 0) {
      std::string name = to_text(in.field(kMaxMetaTextBytes));
      const uint32_t version = in.u32();
      out[{std::move(name), version}] = in.digest();
    }
    return out;
  };
  Writer own;
  for (const RecordMeta& meta : list()) {
    if (meta.is_of_flow()) continue;  // a run's contact brings these together (flow/members.h)
    own.field(meta.name).u32(meta.version).raw(meta.digest());
  }
  const std::map<Key, Digest> mine = list_of(own.bytes(), party.id());
  for (const PartyId j : party.peers()) party.send(j, "store/compare", own.bytes());
  for (const PartyId j : party.peers()) {
    const Bytes bytes = party.receive_up_to(
        j, "store/compare", kMaxEntries * (kMaxMetaTextBytes + 2 * sizeof(uint32_t) + 32));
    const std::map<Key, Digest> theirs = list_of(bytes, j);
    const auto differ = [&](const Key& key, std::string_view how) {
      throw ProtocolAbort(AbortCode::kDisagreement, "store",
                          "'" + display_short(key.first) + "' version " +
                              std::to_string(key.second) + " " + std::string(how) +
                              ": a state.db there or here is not the newest; put the newest one "
                              "back, or `flexroom secret remove` it at all members",
                          j);
    };
    for (const auto& [key, digest] : mine) {
      const auto found = theirs.find(key);
      if (found == theirs.end()) differ(key, "is here and not there");
      if (found->second != digest) differ(key, "is another one there");
    }
    for (const auto& [key, digest] : theirs) {
      if (!mine.contains(key)) differ(key, "is there and not here");
    }
  }
}

namespace {

/// How a peer's description of a record differs; empty: not.
std::string difference(const std::optional<RecordMeta>& mine,
                       const std::optional<RecordMeta>& theirs, const RecordId& id) {
  if (!mine && !theirs) return {};
  const auto words = [](const RecordMeta& meta) {
    return "version " + std::to_string(meta.version);
  };
  if (!mine) return "record " + to_hex(id) + " is there as " + words(*theirs) + " and not here";
  const std::string name = "'" + mine->name + "' ";
  if (!theirs) return name + words(*mine) + " is not there";
  const std::string_view field = first_difference(*mine, *theirs);
  if (field.empty()) return {};
  if (field == "version") {
    return name + "is " + words(*mine) + " here and another there: " + words(*theirs);
  }
  return name + "has another " + std::string(field) + " there";
}

}  // namespace

void RecordStore::agree_on(net::Party& party, const std::vector<std::optional<RecordMeta>>& mine,
                           const std::vector<RecordId>& ids) {
  constexpr std::string_view kLabel = "store/agree";
  Writer own;
  for (const auto& meta : mine) own.field(meta ? meta->encode() : Bytes());
  for (const PartyId j : party.peers()) party.send(j, kLabel, own.bytes());
  for (const PartyId j : party.peers()) {
    const Bytes bytes = party.receive_up_to(j, kLabel, (4 + kMaxMetaBytes) * mine.size());
    Reader in(bytes, kLabel, j);
    for (size_t k = 0; k < mine.size(); ++k) {
      const ByteView meta = in.field(kMaxMetaBytes);
      std::optional<RecordMeta> theirs;
      if (!meta.empty()) theirs = RecordMeta::decode_from(meta, kLabel, j);
      const std::string problem = difference(mine[k], theirs, ids[k]);
      if (problem.empty()) continue;
      throw ProtocolAbort(
          AbortCode::kDisagreement, "store",
          problem +
              "; nothing was done with it: restore the newer state.db at the "
              "member that is behind, or `flexroom secret remove` it at all members",
          j);
    }
    in.finish();
  }
}

void RecordStore::agree(net::Party& party, const std::vector<RecordMeta>& metas) {
  std::vector<RecordId> ids;
  for (const RecordMeta& meta : metas) ids.push_back(meta.id);
  agree_on(party, {metas.begin(), metas.end()}, ids);
}

void RecordStore::agree(net::Party& party, const std::vector<RecordId>& ids) {
  std::vector<std::optional<RecordMeta>> mine(ids.size());
  for (const RecordMeta& meta : list()) {
    for (size_t k = 0; k < ids.size(); ++k) {
      if (meta.id == ids[k] && (!mine[k] || mine[k]->version < meta.version)) mine[k] = meta;
    }
  }
  agree_on(party, mine, ids);
}

// --- Reading ------------------------------------------------------------------------------------

std::vector<RecordMeta> RecordStore::list() {
  std::vector<RecordMeta> out;
  for (const auto& label : db_.labels(committed_)) out.push_back(RecordMeta::decode(label.meta));
  return out;
}

RecordMeta RecordStore::newest(const RecordId& id) {
  std::optional<RecordMeta> found;
  for (RecordMeta& meta : list()) {
    if (meta.id == id && (!found || meta.version > found->version)) found = std::move(meta);
  }
  if (!found) throw InputError("record " + to_hex(id), "no such secret", "flexroom secret list");
  return *found;
}

bool RecordStore::has(const RecordId& id, uint32_t version) {
  return db_.get(committed_, record_key(id, version), associated_).has_value();
}

std::optional<Record> RecordStore::read(const RecordId& id, uint32_t version) {
  auto row = db_.get(committed_, record_key(id, version), associated_);
  if (!row) return std::nullopt;
  return Record{RecordMeta::decode(row->meta), std::move(row->secret)};
}

void RecordStore::write_committed(const Record& record) {
  db_.put(committed_, record_key(record.meta.id, record.meta.version), record.meta.encode(),
          record.bytes.reveal(), associated_);
}

void RecordStore::erase_if(const std::function<bool(const RecordMeta&)>& which) {
  db_.transaction([&] {
    for (const std::string& kind : {staged_, committed_}) {
      for (const auto& label : db_.labels(kind)) {
        if (which(RecordMeta::decode(label.meta))) db_.remove(kind, label.id);
      }
    }
  });
}

void RecordStore::remove(const RecordId& id) {
  erase_if([&](const RecordMeta& meta) { return meta.id == id; });
}

void RecordStore::remove(const RecordId& id, uint32_t version) {
  erase_if([&](const RecordMeta& meta) { return meta.id == id && meta.version == version; });
}

size_t RecordStore::num_staged() { return db_.count(staged_); }

// --- The two forms ------------------------------------------------------------------------------

namespace {

[[noreturn]] void no_version(const RecordId& id, uint32_t version) {
  throw InputError("record " + to_hex(id), "no version " + std::to_string(version),
                   "flexroom secret list");
}

}  // namespace

SecretStore::SecretStore(SealedDb& db, const RoomId& rid,
                         std::function<void(std::string_view)> fault)
    : RecordStore(
          db, rows_of_room(kStagedRow, rid), rows_of_room(kRow, rid),
          [](ByteView meta) { return row_associated_data(RecordMeta::decode(meta)); },
          std::move(fault)) {}

void SecretStore::put(net::Party& party, std::span<const Record> records) {
  for (const Record& record : records) {
    FLEXROOM_ASSERT(record.meta.set != RowSet{} && record.meta.epoch == Digest{});
    FLEXROOM_ASSERT(record.bytes.size() == prep::row_bytes(record.meta.bits));
  }
  put_all(party, records, true);
}

SecretBytes SecretStore::row(const RecordId& id, uint32_t version) {
  auto record = read(id, version);
  if (!record) no_version(id, version);
  const uint32_t bits = record->meta.bits;
  if (bits > 8 * kMaxSecretBytes || record->bytes.size() != prep::row_bytes(bits)) {
    throw InputError("state.db",
                     "the row of '" + display_short(record->meta.name) + "' has an impossible size",
                     "restore a backup");
  }
  return std::move(record->bytes);
}

void SecretStore::put_committed(const Record& record) {
  FLEXROOM_ASSERT(record.meta.set != RowSet{} && record.meta.epoch == Digest{});
  write_committed(record);
}

void SecretStore::replace_all(std::span<const Record> records) {
  erase_if([](const RecordMeta&) { return true; });
  for (const Record& record : records) put_committed(record);
}

LoadedStore::LoadedStore(SealedDb& db, const RoomId& rid,
                         std::function<void(std::string_view)> fault)
    : RecordStore(db, rows_of_room(kStaged, rid), rows_of_room(kRecordKind, rid), nullptr,
                  std::move(fault)) {}

void LoadedStore::put(net::Party& party, const RecordMeta& meta, const prep::AuthBits& bits) {
  FLEXROOM_ASSERT(meta.bits == bits.size());
  const Record record{meta, encode_auth_bits(bits)};
  put_all(party, {&record, 1}, false);
}

prep::AuthBits LoadedStore::get(const RecordId& id, uint32_t version) {
  const auto record = read(id, version);
  if (!record) no_version(id, version);
  prep::AuthBits bits = decode_auth_bits(record->bytes);
  if (bits.size() != record->meta.bits) {
    throw InputError("state.db", "a share does not have the length of its metadata",
                     "restore a backup");
  }
  return bits;
}

void LoadedStore::keep_only(const Digest& epoch) {
  erase_if([&](const RecordMeta& meta) { return meta.epoch != epoch; });
}

}  // namespace flexroom::store
