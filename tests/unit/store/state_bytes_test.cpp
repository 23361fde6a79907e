#include <gtest/gtest.h>
#include <sodium.h>
#include <sqlite3.h>

#include "base/codec.h"
#include "prep/protocol.h"
#include "store/open_mark.h"
#include "store/passphrase.h"
#include "store/pool_file.h"
#include "unit/store/store_fixture.h"

// Bytes of docs/formats.md, written down here by hand. Whoever changes one of these changes what
// other versions read: then also the page, and its form.

namespace flexroom::store {
namespace {

class StateBytesTest : public StoreTest {
 protected:
  StateBytesTest() {
    rid_.fill(1);
    eid_.fill(2);
    members_.fill(3);
    mid_.fill(4);
  }
  /// once.db as a database of rows, while nobody else has it open.
  std::unique_ptr<SealedDb> once_rows() {
    return std::make_unique<SealedDb>(root_ / "a" / "once.db",
                                      [&](bool, Bytes&) { return SealKey::load(once_key()); });
  }
  fs::path once_key() const { return root_ / "a.once"; }
  Bytes file(const fs::path& path) const {
    std::ifstream in(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    return to_bytes(text);
  }
  /// The blobs of the one row that the query finds.
  static std::vector<Bytes> query(const fs::path& database, const std::string& sql) {
    sqlite3* db = nullptr;
    sqlite3_open_v2(database.c_str(), &db, SQLITE_OPEN_READONLY, nullptr);
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(db, sql.c_str(), -1, &statement, nullptr);
    EXPECT_EQ(sqlite3_step(statement), SQLITE_ROW) << sql;
    std::vector<Bytes> out;
    for (int k = 0; k < sqlite3_column_count(statement); ++k) {
      const auto* blob = static_cast<const uint8_t*>(sqlite3_column_blob(statement, k));
      out.emplace_back(blob, blob + sqlite3_column_bytes(statement, k));
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return out;
  }
  static std::string repeated(const char* byte, int count) {
    std::string out;
    for (int k = 0; k < count; ++k) out += byte;
    return out;
  }

  Digest rid_, eid_, members_;
  MemberId mid_{};
};

std::string text_field(std::string_view text) {
  Writer out;
  out.field(text);
  return to_hex(out.bytes());
}

TEST_F(StateBytesTest, AnOpenSession) {
  fs::create_directory(root_ / "a");
  OpenMark mark(root_ / "a", rid_, eid_, members_);
  const std::string prefix = "666c6578726f6f6d206f70656e2f310a";  // flexroom open/1, newline
  const std::string rest = repeated("01", 32) + repeated("02", 32) + repeated("03", 32);
  const fs::path path = root_ / "a" / "open" / "0";
  EXPECT_EQ(to_hex(file(path)), prefix + "6f" + rest);
  mark.arm();
  EXPECT_EQ(to_hex(file(path)), prefix + "61" + rest);
  EXPECT_TRUE(mark.put(OpenMark::State::kStrike));
  EXPECT_EQ(to_hex(file(path)), prefix + "73" + rest);
  EXPECT_TRUE(mark.put(OpenMark::State::kBurn));
  EXPECT_EQ(to_hex(file(path)), prefix + "62" + rest);
}

TEST_F(StateBytesTest, AnOpenSessionThatEndedWell) {
  fs::create_directory(root_ / "a");
  { const OpenMark mark(root_ / "a", rid_, eid_, members_); }
  EXPECT_EQ(file(root_ / "a" / "open" / "0").at(16), 'c');
}

TEST_F(StateBytesTest, CountersAndLife) {
  { begin_epoch(*open_once("a", false, {mid_})); }
  Digest epoch{};
  epoch[0] = 1;
  {
    const auto rows = once_rows();
    EXPECT_EQ(to_hex(rows->get("format", {})->meta), "02");
    EXPECT_EQ(to_hex(rows->get("epoch", epoch)->meta), "02");
    EXPECT_EQ(to_hex(rows->get("counters", epoch)->secret.reveal()), repeated("00", 10));
    rows->put("counters", epoch, {}, from_hex("01000000000500000006"));
    rows->put("life", mid_, {}, from_hex("00000007"));
  }
  {
    const auto once = open_once("a", true, {mid_});
    once->enter("", std::nullopt, epoch);
    const OnceDb::Counters counters = once->counters();
    EXPECT_TRUE(counters.burned);
    EXPECT_FALSE(counters.needs_operator);
    EXPECT_EQ(counters.dirty, 5u);
    EXPECT_EQ(counters.strikes, 6u);
    EXPECT_EQ(counters.life, 7u);
    once->add_strike();
  }
  EXPECT_EQ(to_hex(once_rows()->get("counters", epoch)->secret.reveal()), "01000000000500000007");
}

TEST_F(StateBytesTest, WhatStrangersCountAfterALoss) {
  { const auto lost = open_once("a", true); }
  const auto rows = once_rows();
  // needs_operator, dirty at its most; LIFE at its most.
  EXPECT_EQ(to_hex(rows->get("counters of strangers", {})->secret.reveal()),
            "00010000001000000000");
  EXPECT_EQ(to_hex(rows->get("life of strangers", {})->secret.reveal()), "00000040");
}

TEST_F(StateBytesTest, RoomRunAndLogHead) {
  Digest run{}, proposal{};
  run.fill(5);
  proposal.fill(6);
  {
    const auto once = open_once("a");
    begin_epoch(*once, 9);
    once->set_room("r", rid_);
    once->open_run({run, rid_, proposal, false, "call"});
    once->set_log_head(rid_, {7, 8, eid_});
  }
  const std::string of_run = repeated("01", 32) + repeated("06", 32);
  EXPECT_EQ(to_hex(once_rows()->get("open run", run)->meta), of_run + "00" + "0000000463616c6c");
  EXPECT_EQ(to_hex(once_rows()->get("log head", rid_)->meta),
            "00000007" + std::string("0000000000000008") + repeated("02", 32));
  EXPECT_EQ(to_hex(once_rows()->get("room", as_bytes("r"))->meta),
            repeated("01", 32) + "09" + repeated("00", 31));
  { open_once("a", true)->run_released(run); }
  EXPECT_EQ(to_hex(once_rows()->get("open run", run)->meta), of_run + "01" + "0000000463616c6c");
}

TEST_F(StateBytesTest, ABatchOfThePoolAndItsItems) {
  const Bytes id = to_bytes("b1"), items = to_bytes("firstother");
  { open_once("a")->pool().add(id, eid_, 5, items); }
  const auto row = once_rows()->get("batch", id);
  ASSERT_TRUE(row);
  EXPECT_EQ(to_hex(row->meta), repeated("02", 32) + "0000000000000002" + "0000000000000005" +
                                   "0000000000000000" + "0007");
  ASSERT_EQ(prep::kProtocol, 7);
  const Bytes pool = file(root_ / "a" / "pool" / "6231.pool");
  ASSERT_EQ(pool.size(), 2 * (5 + kSealBytes));
  SealKey state(SecretBytes::copy_of(row->secret.reveal()));
  for (size_t k = 0; k < 2; ++k) {
    const Bytes associated =
        from_hex(text_field("flexroom pool/2") + "000000026231" + repeated("02", 32) + "0007" +
                 "0000000000000002" + "0000000000000005" + "000000000000000" + std::to_string(k));
    const auto item =
        unseal(state.derive("flexroom pool item/1"),
               ByteView(pool).subspan(k * (5 + kSealBytes), 5 + kSealBytes), associated);
    ASSERT_TRUE(item) << k;
    EXPECT_EQ(as_text(item->reveal()), k == 0 ? "first" : "other");
    state = state.derive("flexroom pool next/1");
  }
}

TEST_F(StateBytesTest, HeaderLabelAndRow) {
  { open("a")->put("kind", as_bytes("id"), as_bytes("meta"), as_bytes("secret")); }
  const fs::path database = root_ / "a" / "state.db";
  EXPECT_EQ(as_text(query(database, "SELECT value FROM header WHERE name = x'00'")[0]),
            "flexroom store 1");
  const auto row =
      query(database, "SELECT name, label, sealed FROM rows WHERE kind = CAST('kind' AS BLOB)");
  const SealKey key = SealKey::load(root_ / "a.key");
  Bytes name(32);
  const SealKey names = key.derive("flexroom store row names/1");
  const Bytes named = from_hex("000000046b696e64" + to_hex(as_bytes("id")));
  crypto_generichash(name.data(), name.size(), named.data(), named.size(), names.reveal().data(),
                     32);
  EXPECT_EQ(to_hex(row[0]), to_hex(name));
  const auto label =
      unseal(key, row[1], from_hex(text_field("flexroom store label/1") + text_field("kind")));
  ASSERT_TRUE(label);
  EXPECT_EQ(to_hex(label->reveal()), "00000002" + to_hex(as_bytes("idmeta")));
  const auto secret = unseal(key, row[2],
                             from_hex(text_field("flexroom store/1") + text_field("kind") +
                                      text_field("id") + text_field("meta")));
  ASSERT_TRUE(secret);
  EXPECT_EQ(as_text(secret->reveal()), "secret");
}

TEST_F(StateBytesTest, AKeyRecord) {
  const SealKey key = SealKey::random();
  const std::string passphrase = "correct horse battery";
  const Bytes record =
      make_key_record(key, SecretBytes::copy_of(as_bytes(passphrase)), PassphraseCost{1, 8192});
  const std::string head =
      text_field("flexroom passphrase argon2id 1") + "0000000000000001" + "0000000000002000";
  const size_t salt_at = head.size() / 2, sealed_at = salt_at + 16;
  ASSERT_EQ(record.size(), sealed_at + 32 + kSealBytes);
  EXPECT_EQ(to_hex(record).substr(0, head.size()), head);
  SecretBytes derived(32);
  ASSERT_EQ(crypto_pwhash(derived.writable().data(), 32, passphrase.data(), passphrase.size(),
                          record.data() + salt_at, 1, 8192, crypto_pwhash_ALG_ARGON2ID13),
            0);
  const auto opened = unseal(SealKey(std::move(derived)), ByteView(record).subspan(sealed_at),
                             ByteView(record).first(sealed_at));
  ASSERT_TRUE(opened);
  EXPECT_EQ(to_hex(opened->reveal()), to_hex(key.reveal()));
}

}  // namespace
}  // namespace flexroom::store
