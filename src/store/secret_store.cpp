#include "store/secret_store.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/codec.h"
#include "base/error.h"
#include "store/row_reader.h"

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
  const bool has_terms = entropy != 0 || !provider.empty() || !owner.empty();
  if (!purposes.empty() || has_terms) {
    FLEXROOM_ASSERT(purposes.size() <= kMaxPurposes);
    out.u8(static_cast<uint8_t>(purposes.size()));
    for (const std::string& purpose : purposes) out.field(purpose);
  }
  if (has_terms) out.u32(entropy).field(provider).field(owner);
  return out.take();
}

RecordMeta RecordMeta::decode(ByteView bytes) {
  RowReader in(bytes, "state.db, a secret's metadata");
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
    if (count > kMaxPurposes) {
      throw InputError("state.db", "a record has an impossible number of purposes",
                       "restore a backup");
    }
    for (uint8_t k = 0; k < count; ++k)
      meta.purposes.push_back(to_text(in.field(kMaxPurposeBytes)));
  }
  if (in.remaining() > 0) {
    meta.entropy = in.u32();
    meta.provider = to_text(in.field(kMaxMetaTextBytes));
    meta.owner = to_text(in.field(kMaxMetaTextBytes));
  }
  in.finish();
  return meta;
}

Digest RecordMeta::digest() const {
  return RandomOracle("record", RoScope{}).field(encode()).digest();
}

Digest RecordMeta::origin() const {
  RecordMeta anywhere = *this;
  anywhere.epoch = {};
  return RandomOracle("record origin", RoScope{}).field(anywhere.encode()).digest();
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
  // Members that were told different things would decide differently. Whoever fails here keeps it
  // staged: reconcile() decides.
  party.echo("store/ok", AbortCode::kDisagreement);
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

void SecretStore::compare(net::Party& party, const std::function<bool(const RecordMeta&)>& counts) {
  // (name, version, provenance) of each, in the order of the names: equal at all members.
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
    if (counts(meta)) own.field(meta.name).u32(meta.version).raw(meta.origin());
  }
  const std::map<Key, Digest> mine = list_of(own.bytes(), party.id());
  for (const PartyId j : party.peers()) party.send(j, "store/compare", own.bytes());
  for (const PartyId j : party.peers()) {
    const Bytes bytes = party.receive_up_to(
        j, "store/compare", kMaxEntries * (kMaxMetaTextBytes + 2 * sizeof(uint32_t) + 32));
    const std::map<Key, Digest> theirs = list_of(bytes, j);
    const auto differ = [&](const Key& key, std::string_view how) {
      // Names are ours, or a peer's: what of it could not be a name is not shown.
      std::string shown = key.first;
      std::erase_if(shown, [](char c) { return c < 0x20 || c > 0x7e; });
      throw ProtocolAbort(AbortCode::kDisagreement, "store",
                          "'" + shown + "' version " + std::to_string(key.second) + " " +
                              std::string(how) +
                              ": a state.db there or here is not the newest; put the newest one "
                              "back, or `flexroom secret remove` it at all members",
                          j);
    };
    for (const auto& [key, origin] : mine) {
      const auto found = theirs.find(key);
      if (found == theirs.end()) differ(key, "is here and not there");
      if (found->second != origin) differ(key, "is another one there");
    }
    for (const auto& [key, origin] : theirs) {
      if (!mine.contains(key)) differ(key, "is there and not here");
    }
  }
}

void SecretStore::reconcile(net::Party& party) {
  std::map<Bytes, Digest> have;  // (id, version) -> metadata digest
  const std::vector<Bytes> staged = db_.ids(staged_);
  for (const std::string& kind : {staged_, committed_}) {
    for (const auto& label : db_.labels(kind)) {
      have[label.id] = RecordMeta::decode(label.meta).digest();
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
  for (const auto& label : db_.labels(committed_)) out.push_back(RecordMeta::decode(label.meta));
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
      for (const auto& label : db_.labels(kind)) {
        if (RecordMeta::decode(label.meta).epoch != epoch) db_.remove(kind, label.id);
      }
    }
  });
}

size_t SecretStore::num_staged() { return db_.count(staged_); }

}  // namespace flexroom::store
