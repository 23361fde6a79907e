#include "store/room_store.h"

#include <algorithm>

#include "base/codec.h"
#include "base/error.h"
#include "store/limits.h"
#include "store/row_reader.h"

namespace flexroom::store {
namespace {

constexpr std::string_view kRoom = "room";              // id: its name
constexpr std::string_view kCertificate = "member id";  // id: certificate's SHA-256
constexpr uint8_t kFormat = 1;

Bytes encode(const RoomRecord& room) {
  FLEXROOM_ASSERT(room.members.size() <= kMaxMembers);
  Writer out;
  out.u8(kFormat).raw(room.rid).field(room.profile);
  out.u32(static_cast<uint32_t>(room.members.size()));
  for (const RoomRecord::Member& member : room.members) {
    out.raw(member.id).field(member.name).raw(member.certificate).raw(member.key);
  }
  return out.take();
}

RoomRecord decode(std::string_view name, ByteView bytes) {
  RowReader in(bytes, "state.db, a room");
  RoomRecord room;
  room.name = std::string(name);
  if (in.u8() != kFormat) {
    throw InputError("state.db", "describes its room in a form this program does not know",
                     "use the version of flexroom that wrote it, or a newer one");
  }
  room.rid = in.digest();
  room.profile = to_text(in.field(kMaxNameBytes));
  const uint32_t count = in.u32();
  for (uint32_t k = 0; k < std::min<uint32_t>(count, kMaxMembers); ++k) {
    RoomRecord::Member member;
    const ByteView id = in.raw(member.id.size());
    std::copy(id.begin(), id.end(), member.id.begin());
    member.name = to_text(in.field(kMaxNameBytes));
    member.certificate = in.digest();
    member.key = in.digest();
    room.members.push_back(std::move(member));
  }
  in.finish();
  return room;
}

}  // namespace

MemberId first_member_id(const Digest& certificate) {
  const Digest digest = RandomOracle("member id", RoScope{}).field(certificate).digest();
  MemberId id{};
  std::copy_n(digest.begin(), id.size(), id.begin());
  return id;
}

RoomId new_room_id(const std::vector<Digest>& nonces) {
  RandomOracle hash("room id", RoScope{});
  for (const Digest& nonce : nonces) hash.field(nonce);
  return hash.digest();
}

RoomId old_room_id(const Digest& old_digest, const Digest& epoch) {
  return RandomOracle("room id of before", RoScope{}).field(old_digest).field(epoch).digest();
}

std::string rows_of_room(std::string_view kind, const RoomId& rid) {
  return std::string(kind) + "@" + to_hex(ByteView(rid).first(16));
}

std::optional<RoomRecord> RoomStore::find(std::string_view name) {
  const auto row = db_.get(kRoom, as_bytes(name));
  if (!row) return std::nullopt;
  return decode(name, row->meta);
}

std::vector<std::string> RoomStore::names() {
  std::vector<std::string> out;
  for (const Bytes& name : db_.ids(kRoom)) out.push_back(to_text(name));
  return out;
}

void RoomStore::save(const RoomRecord& room) {
  db_.transaction([&] {
    db_.put(kRoom, as_bytes(room.name), encode(room), {});
    for (const RoomRecord::Member& member : room.members) {
      db_.put(kCertificate, member.certificate, member.id, {});
    }
  });
}

std::optional<MemberId> RoomStore::known(const Digest& certificate) {
  const auto row = db_.get(kCertificate, certificate);
  MemberId id{};
  if (!row || row->meta.size() != id.size()) return std::nullopt;
  std::copy(row->meta.begin(), row->meta.end(), id.begin());
  return id;
}

MemberId RoomStore::id_of(const Digest& certificate) {
  return known(certificate).value_or(first_member_id(certificate));
}

bool RoomStore::fits(const Digest& certificate, const MemberId& id) {
  if (const auto mine = known(certificate)) return *mine == id;
  if (id == first_member_id(certificate)) return true;
  for (const Bytes& other : db_.ids(kCertificate)) {
    const auto row = db_.get(kCertificate, other);
    if (std::equal(row->meta.begin(), row->meta.end(), id.begin(), id.end())) return false;
  }
  return true;
}

}  // namespace flexroom::store
