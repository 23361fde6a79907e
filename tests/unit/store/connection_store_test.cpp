#include "store/connection_store.h"

#include <gtest/gtest.h>

#include "store/row_reader.h"
#include "unit/store/store_fixture.h"

namespace flexroom::store {
namespace {

class ConnectionStoreTest : public StoreTest {
 protected:
  static ConnectionRecord record(const std::string& host, NamedGroup group) {
    ConnectionRecord out;
    out.unix_seconds = 1'800'000'000;
    out.session[0] = 7;
    out.what = "call who-am-i";
    out.host = host;
    out.group = group;
    out.links_kept = true;
    return out;
  }
  std::unique_ptr<SealedDb> db_ = open("a");
  ConnectionStore store_{*db_, RoomId{1}};
};

// tls-complete.md §2.3: against who recorded everything both it takes, ML-KEM on the service's line
// and on the members'.
TEST_F(ConnectionStoreTest, WhatOutlastsARecordingHasMlKemOnEveryLine) {
  for (const NamedGroup group : all_groups()) {
    for (const bool links : {false, true}) {
      ConnectionRecord one = record("a.example", group);
      one.links_kept = links;
      EXPECT_EQ(one.outlasts_recording(), links && group == NamedGroup::kX25519MlKem768);
    }
  }
}

TEST_F(ConnectionStoreTest, KeepsTheNewestAndCountsAll) {
  for (size_t k = 0; k < ConnectionStore::kKept + 20; ++k) {
    ConnectionRecord one = record("a.example", NamedGroup::kX25519);
    one.unix_seconds += k;
    one.retried = k % 2 == 1;
    store_.add(one);
  }
  store_.add(record("b.example", NamedGroup::kX25519MlKem768));
  ConnectionRecord next = record("b.example", NamedGroup::kX25519MlKem768);
  next.what = "flow: second";
  next.goes_on = true;
  store_.add(next);

  const auto newest = store_.newest();
  ASSERT_EQ(newest.size(), ConnectionStore::kKept);
  EXPECT_EQ(newest.front().unix_seconds, 1'800'000'000 + 22);
  EXPECT_FALSE(newest.front().retried);
  EXPECT_TRUE(newest[1].retried);
  EXPECT_EQ(newest.back().what, "flow: second");
  EXPECT_TRUE(newest.back().goes_on);
  EXPECT_EQ(newest.back().session[0], 7);

  const auto counts = store_.counts();
  ASSERT_EQ(counts.size(), 2u);
  EXPECT_EQ(counts[0].host, "a.example");
  EXPECT_EQ(counts[0].count, ConnectionStore::kKept + 20);
  EXPECT_FALSE(counts[0].outlasts_recording);
  EXPECT_EQ(counts[0].last.unix_seconds, 1'800'000'000 + ConnectionStore::kKept + 19);
  EXPECT_EQ(counts[1].count, 1u);  // requests that share a connection are one
  EXPECT_TRUE(counts[1].outlasts_recording);
}

// Connections of the same host that were protected otherwise are counted apart.
TEST_F(ConnectionStoreTest, CountsEachProtectionApart) {
  ConnectionRecord one = record("a.example", NamedGroup::kX25519MlKem768);
  store_.add(one);
  one.links_kept = false;
  store_.add(one);
  store_.add(record("a.example", NamedGroup::kP256));
  const auto counts = store_.counts();
  ASSERT_EQ(counts.size(), 3u);
  size_t outlast = 0;
  for (const auto& each : counts) outlast += each.outlasts_recording ? 1 : 0;
  EXPECT_EQ(outlast, 1u);
}

// tls-complete.md §1.1: by the last connection to that host, in that room.
TEST_F(ConnectionStoreTest, AHostFactIsOfTheRoomTheHostAndTheLastConnection) {
  EXPECT_FALSE(store_.likely_curve("a.example").has_value());
  store_.add(record("a.example", NamedGroup::kP256));
  EXPECT_EQ(store_.likely_curve("a.example"), NamedGroup::kP256);
  EXPECT_FALSE(store_.likely_curve("b.a.example").has_value());
  EXPECT_FALSE((ConnectionStore{*db_, RoomId{2}}).likely_curve("a.example").has_value());
  store_.add(record("a.example", NamedGroup::kX25519MlKem768));
  EXPECT_FALSE(store_.likely_curve("a.example").has_value());
  store_.add(record("a.example", NamedGroup::kP256));
  store_.forget_curve("a.example");
  store_.forget_curve("a.example");
  EXPECT_FALSE(store_.likely_curve("a.example").has_value());
}

TEST_F(ConnectionStoreTest, ADamagedRowIsSaidToBeOne) {
  db_->put(rows_of_room("host fact", RoomId{1}), as_bytes("a.example"), Bytes{9}, {});
  EXPECT_THROW((void)store_.likely_curve("a.example"), DamagedState);
}

}  // namespace
}  // namespace flexroom::store
