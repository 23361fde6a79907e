#include <gmock/gmock.h>

#include "store/epoch_change.h"
#include "store/room_store.h"
#include "store_fixture.h"
#include "support/parties.h"

namespace flexroom::store {
namespace room_test {

Digest named(uint8_t name) {
  Digest out{};
  out[0] = name;
  return out;
}

using RoomStoreTest = StoreTest;

TEST_F(RoomStoreTest, ARoomComesBackAsItWasSaved) {
  RoomRecord room{named(1), "study", "default", {}};
  room.members.push_back({first_member_id(named(2)), "a", named(2), named(12)});
  room.members.push_back({first_member_id(named(3)), "b", named(3), named(13)});
  RoomStore(*open("a")).save(room);
  const auto db = open("a");
  RoomStore rooms(*db);
  EXPECT_EQ(rooms.names(), std::vector<std::string>{"study"});
  EXPECT_FALSE(rooms.find("another").has_value());
  const auto found = rooms.find("study");
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->rid, room.rid);
  EXPECT_EQ(found->profile, "default");
  ASSERT_EQ(found->members.size(), 2u);
  EXPECT_EQ(found->members[1].id, room.members[1].id);
  EXPECT_EQ(found->members[1].name, "b");
  EXPECT_EQ(found->members[1].certificate, named(3));
  EXPECT_EQ(found->members[1].key, named(13));
}

// A certificate stays with the member it was first seen at, in every room.
TEST_F(RoomStoreTest, ACertificateKeepsItsMemberAndAMemberItsId) {
  const auto db = open("a");
  RoomStore rooms(*db);
  const MemberId id = first_member_id(named(2));
  EXPECT_NE(id, first_member_id(named(3)));
  EXPECT_EQ(rooms.id_of(named(2)), id);
  EXPECT_TRUE(rooms.fits(named(2), id));
  // The same member under its next certificate.
  rooms.save({named(1), "study", "default", {{id, "a", named(2), {}}}});
  rooms.save({named(1), "study", "default", {{id, "a", named(4), {}}}});
  EXPECT_EQ(rooms.id_of(named(2)), id);
  EXPECT_EQ(rooms.id_of(named(4)), id);
  EXPECT_TRUE(rooms.fits(named(4), id));
  EXPECT_FALSE(rooms.fits(named(4), first_member_id(named(4)))) << "a second life";
  EXPECT_FALSE(rooms.fits(named(5), id)) << "another member's life";
}

TEST_F(RoomStoreTest, IdsDependOnEveryNonceAndTheirOrder) {
  EXPECT_NE(new_room_id({named(1), named(2)}), new_room_id({named(2), named(1)}));
  EXPECT_NE(new_room_id({named(1), named(2)}), new_room_id({named(1), named(3)}));
  EXPECT_NE(old_room_id(named(1), named(2)), old_room_id(named(1), named(3)));
}

// state.db of before there were ids: all that lay under the digest of room.toml lies under the id.
TEST_F(RoomStoreTest, WhatAnOldRoomHadIsTakenOver) {
  const auto db = open("a");
  const Digest old = named(7), rid = named(8);
  RecordMeta staged = meta(2);
  const Bytes key = record_key(meta().id, 1), next = record_key(meta().id, 2);
  EpochStore(*db).save(old, {named(1), SecretBytes::copy_of(to_bytes("state")), 5});
  EpochStore(*db, kNextEpoch).save(old, {named(2), SecretBytes::copy_of(to_bytes("next")), 6});
  db->put("secret", key, meta().encode(), encode_auth_bits(some_bits(0, 2)).reveal());
  db->put("secret/staged", next, staged.encode(), encode_auth_bits(some_bits(0, 2)).reveal());
  Bytes staged_key(old.begin(), old.end());
  append(staged_key, ByteView(key));
  db->put("secret/next", staged_key, meta().encode(), {});
  db->transaction([&] {
    take_over_epochs(*db, old, rid);
    take_over_secrets(*db, rid);
  });
  EXPECT_FALSE(EpochStore(*db).load(old).has_value());
  EXPECT_EQ(EpochStore(*db).load(rid)->epoch_id, named(1));
  EXPECT_EQ(EpochStore(*db, kNextEpoch).load(rid)->epoch_id, named(2));
  LoadedStore secrets(*db, rid);
  EXPECT_EQ(secrets.list().size(), 1u);
  EXPECT_EQ(secrets.num_staged(), 1u);
  EXPECT_EQ(secrets.get(meta().id, 1).size(), 40u);
  EXPECT_TRUE(db->ids("secret").empty() && db->ids("secret/staged").empty());
  EXPECT_TRUE(EpochChange(*db, rid).staged());
  EXPECT_FALSE(EpochChange(*db, old).staged());
}

TEST_F(RoomStoreTest, TwoRoomsOfOneFolderDoNotSeeEachOthersSecrets) {
  support::run_parties(2, [&](net::Party& party) {
    const auto db = open(name(party.id()));
    LoadedStore first(*db, named(1)), second(*db, named(2));
    first.put(party, meta(), some_bits(party.id(), 2));
    EXPECT_EQ(first.list().size(), 1u);
    EXPECT_TRUE(second.list().empty());
    second.remove(meta().id);
    second.keep_only(named(9));
    EXPECT_EQ(first.list().size(), 1u);
    return true;
  });
}

}  // namespace room_test
}  // namespace flexroom::store
