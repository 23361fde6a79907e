#include "store/secret_store.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/codec.h"
#include "base/error.h"

namespace flexroom::store {
namespace {

constexpr std::string_view kStaged = "secret/staged";
constexpr size_t kEntryBytes = 20 + 32;
constexpr size_t kMaxEntries = 100'000;

}  // namespace

Bytes record_key(const RecordId& id, uint32_t version) {
  Writer out;
  out.raw(id).u32(version);
  return out.take();
}

Bytes RecordMeta::encode() const {
  Writer out;
  out.raw(epoch).raw(id).u32(version).field(name).field(kind).field(value_class).u32(bits);
  out.raw(provenance);
  // Nothing for none: records made before there were purposes keep their digests.
  if (!purposes.empty()) {
    FLEXROOM_ASSERT(purposes.size() <= kMaxPurposes);
    out.u8(static_cast<uint8_t>(purposes.size()));
    for (const std::string& purpose : purposes) out.field(purpose);
  }
  return out.take();
}

RecordMeta RecordMeta::decode(ByteView bytes) {
  Reader in(bytes, "secret metadata");
  RecordMeta meta;
  meta.epoch = in.digest();
  const ByteView id = in.raw(meta.id.size());
  std::copy(id.begin(), id.end(), meta.id.begin());
  meta.version = in.u32();
  meta.name = to_text(in.field(kMaxMetaTextBytes));
  meta.kind = to_text(in.field(kMaxMetaTextBytes));
  meta.value_class = to_text(in.field(kMaxMetaTextBytes));
  meta.bits = in.u32();
  meta.provenance = in.digest();
  if (in.remaining() > 0) {
    const uint8_t count = in.u8();
    if (count == 0 || count > kMaxPurposes) {
      throw InputError("state.db", "a record has an impossible number of purposes",
                       "restore a backup");
    }
    for (uint8_t k = 0; k < count; ++k)
      meta.purposes.push_back(to_text(in.field(kMaxPurposeBytes)));
  }
  in.finish();
  return meta;
}

Digest RecordMeta::digest() const {
  return RandomOracle("record", RoScope{}).field(encode()).digest();
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
  Reader in(bytes.reveal(), "stored shares");
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

SecretStore::SecretStore(SealedDb& db, const RoomId& rid,
                         std::function<void(std::string_view)> fault)
    : db_(db),
      staged_(rows_of_room(kStaged, rid)),
      committed_(rows_of_room(kRecordKind, rid)),
      fault_(std::move(fault)) {}

void take_over_secrets(SealedDb& db, const RoomId& rid) {
  for (const std::string_view kind : {kStaged, kRecordKind}) {
    for (const Bytes& key : db.ids(kind)) {
      const auto row = db.get(kind, key);
      db.put(rows_of_room(kind, rid), key, row->meta, row->secret.reveal());
      db.remove(kind, key);
    }
  }
}

void SecretStore::reached(std::string_view step) const {
  if (fault_) fault_(step);
}

void SecretStore::commit(ByteView key) {
  db_.transaction([&] {
    const auto row = db_.get(staged_, key);
    if (!row) return;
    db_.put(committed_, key, row->meta, row->secret.reveal());
    db_.remove(staged_, key);
  });
}

void SecretStore::put(net::Party& party, const RecordMeta& meta, const prep::AuthBits& bits) {
  FLEXROOM_ASSERT(meta.bits == bits.size());
  const Bytes key = record_key(meta.id, meta.version);
  if (db_.get(committed_, key)) throw InputError(meta.name, "this version exists already");
  reached("begin");
  // Step 1: durable here, but not yet a secret of the room.
  db_.put(staged_, key, meta.encode(), encode_auth_bits(bits).reveal());
  reached("staged");
  // Step 2: everybody says that it is durable there, for the same metadata.
  const std::vector<Bytes> oks = party.exchange("store/ok", meta.digest());
  reached("exchanged");
  for (const PartyId j : party.peers()) {
    if (oks[j] != oks[party.id()]) {
      db_.remove(staged_, key);
      throw ProtocolAbort(AbortCode::kDisagreement, "store",
                          "another record than '" + meta.name +
                              "' was staged there (members hold different earlier versions?); "
                              "nothing was kept; `flexroom secret remove` at all members, then "
                              "import it again",
                          j);
    }
  }
  // Step 3.
  commit(key);
  reached("committed");
}

void SecretStore::reconcile(net::Party& party) {
  std::map<Bytes, Digest> have;  // (id, version) -> metadata digest
  const std::vector<Bytes> staged = db_.ids(staged_);
  for (const std::string& kind : {staged_, committed_}) {
    for (const Bytes& key : db_.ids(kind)) {
      have[key] = RecordMeta::decode(db_.get(kind, key)->meta).digest();
    }
  }
  Writer list;
  for (const auto& [key, digest] : have) list.raw(key).raw(digest);
  for (const PartyId j : party.peers()) party.send(j, "store/reconcile", list.bytes());
  std::map<Bytes, size_t> held_by;
  for (const PartyId j : party.peers()) {
    const Bytes theirs = party.receive_up_to(j, "store/reconcile", kMaxEntries * kEntryBytes);
    Reader in(theirs, "store/reconcile", j);
    std::set<Bytes> once;
    while (in.remaining() > 0) {
      const ByteView raw = in.raw(20);
      const Bytes key(raw.begin(), raw.end());
      const Digest digest = in.digest();
      const auto mine = have.find(key);
      if (mine != have.end() && mine->second == digest && once.insert(key).second) ++held_by[key];
    }
  }
  reached("reconcile exchanged");
  for (const Bytes& key : staged) {
    if (held_by[key] == party.peers().size()) {
      commit(key);
    } else {
      db_.remove(staged_, key);
    }
    reached("reconciled one");
  }
}

void SecretStore::agree(net::Party& party, const std::vector<RecordId>& ids) {
  for (const RecordId& id : ids) {
    Writer own;
    std::string name = "record " + to_hex(id);
    uint32_t version = 0;
    Digest digest{};
    for (const RecordMeta& meta : list()) {
      if (meta.id != id || meta.version < version) continue;
      version = meta.version;
      name = meta.name;
      digest = meta.digest();
    }
    own.u32(version).raw(digest);
    const std::vector<Bytes> all = party.exchange("store/agree", own.bytes());
    for (const PartyId j : party.peers()) {
      if (all[j] == own.bytes()) continue;
      Reader in(all[j], "store/agree", j);
      const uint32_t theirs = in.u32();
      throw ProtocolAbort(
          AbortCode::kDisagreement, "store",
          "'" + name + "' is version " + std::to_string(version) + " here and version " +
              std::to_string(theirs) +
              " there (0: none), or its metadata differ; restore the newer "
              "state.db at the member that is behind, or `flexroom secret remove` it "
              "at all members",
          j);
    }
  }
}

std::vector<RecordMeta> SecretStore::list() {
  std::vector<RecordMeta> out;
  for (const Bytes& key : db_.ids(committed_)) {
    out.push_back(RecordMeta::decode(db_.get(committed_, key)->meta));
  }
  return out;
}

RecordMeta SecretStore::newest(const RecordId& id) {
  std::optional<RecordMeta> found;
  for (RecordMeta& meta : list()) {
    if (meta.id == id && (!found || meta.version > found->version)) found = std::move(meta);
  }
  if (!found) throw InputError("record " + to_hex(id), "no such secret", "flexroom secret list");
  return *found;
}

prep::AuthBits SecretStore::get(const RecordId& id, uint32_t version) {
  const auto row = db_.get(committed_, record_key(id, version));
  if (!row) {
    throw InputError("record " + to_hex(id), "no version " + std::to_string(version),
                     "flexroom secret list");
  }
  prep::AuthBits bits = decode_auth_bits(row->secret);
  if (bits.size() != RecordMeta::decode(row->meta).bits) {
    throw InputError("state.db", "a share does not have the length of its metadata");
  }
  return bits;
}

void SecretStore::remove(const RecordId& id) {
  db_.transaction([&] {
    for (const RecordMeta& meta : list()) {
      if (meta.id == id) db_.remove(committed_, record_key(id, meta.version));
    }
  });
}

void SecretStore::keep_only(const Digest& epoch) {
  db_.transaction([&] {
    for (const std::string& kind : {staged_, committed_}) {
      for (const Bytes& key : db_.ids(kind)) {
        if (RecordMeta::decode(db_.get(kind, key)->meta).epoch != epoch) db_.remove(kind, key);
      }
    }
  });
}

size_t SecretStore::num_staged() { return db_.ids(staged_).size(); }

}  // namespace flexroom::store
