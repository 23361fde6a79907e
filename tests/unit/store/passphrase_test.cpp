#include "store/passphrase.h"

#include <gmock/gmock.h>
#include <sqlite3.h>

#include "unit/store/store_fixture.h"

namespace flexroom::store {
namespace {

using ::testing::HasSubstr;
using PassphraseTest = StoreTest;

constexpr PassphraseCost kCheap{1, 8192};
constexpr std::string_view kRight = "correct horse battery", kWrong = "correct horse batterY";

SecretBytes secret(std::string_view text) { return SecretBytes::copy_of(as_bytes(text)); }

class PassphraseDbTest : public StoreTest {
 protected:
  SealedDb open_with(std::string_view passphrase) {
    return {file(), [&](bool is_new, Bytes& record) {
              if (!is_new) return open_key_record(record, secret(passphrase));
              SealKey key = SealKey::random();
              record = make_key_record(key, secret(passphrase), kCheap);
              return key;
            }};
  }
  fs::path file() const { return root_ / "p" / "state.db"; }
  Bytes stored_record() const { return Bytes(raw_record()); }
  void alter(size_t byte) {
    Bytes record = raw_record();
    record[byte % record.size()] ^= 1;
    sqlite3* raw = nullptr;
    sqlite3_open(file().c_str(), &raw);
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(raw, "UPDATE header SET value = ? WHERE name = x'01'", -1, &statement,
                       nullptr);
    sqlite3_bind_blob(statement, 1, record.data(), static_cast<int>(record.size()), nullptr);
    EXPECT_EQ(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
    EXPECT_EQ(sqlite3_changes(raw), 1);
    sqlite3_close(raw);
  }

 private:
  Bytes raw_record() const {
    sqlite3* raw = nullptr;
    sqlite3_open(file().c_str(), &raw);
    sqlite3_stmt* statement = nullptr;
    sqlite3_prepare_v2(raw, "SELECT value FROM header WHERE name = x'01'", -1, &statement, nullptr);
    Bytes out;
    if (sqlite3_step(statement) == SQLITE_ROW) {
      const auto* data = static_cast<const uint8_t*>(sqlite3_column_blob(statement, 0));
      out.assign(data, data + sqlite3_column_bytes(statement, 0));
    }
    sqlite3_finalize(statement);
    sqlite3_close(raw);
    return out;
  }
};

TEST_F(PassphraseDbTest, OnlyTheRightPassphraseOpens) {
  { open_with(kRight).put("k", {}, {}, as_bytes("held")); }
  const std::string before = everything_on_disk();
  EXPECT_THAT(error_of([&] { open_with(kWrong); }), HasSubstr("not its passphrase"));
  EXPECT_THAT(error_of([&] { open_with(std::string(kRight) + " "); }),
              HasSubstr("not its passphrase"));
  EXPECT_EQ(everything_on_disk(), before);
  EXPECT_EQ(as_text(open_with(kRight).get("k", {})->secret.reveal()), "held");
  EXPECT_EQ(everything_on_disk().find(kRight), std::string::npos);
}

TEST_F(PassphraseDbTest, ANewPassphraseReplacesTheOldOneAndNoRowChanges) {
  {
    SealedDb db = open_with(kRight);
    db.put("k", {}, {}, as_bytes("held"));
    const Bytes old = stored_record();
    db.set_key_record([&](const SealKey& key) {
      return make_key_record(key, secret("another long one"), kCheap);
    });
    // Also out of the write-ahead log and the free pages.
    EXPECT_EQ(everything_on_disk().find(to_text(old).substr(60)), std::string::npos);
  }
  EXPECT_THAT(error_of([&] { open_with(kRight); }), HasSubstr("not its passphrase"));
  EXPECT_EQ(as_text(open_with("another long one").get("k", {})->secret.reveal()), "held");
}

TEST_F(PassphraseDbTest, ADatabaseOfAKeyFileCanGetAPassphrase) {
  fs::create_directory(root_ / "p");
  fs::permissions(root_ / "p", fs::perms::owner_all);
  const auto with_file = [&] {
    return SealedDb(file(), [&](bool is_new, Bytes&) {
      return is_new ? SealKey::create(root_ / "k") : SealKey::load(root_ / "k");
    });
  };
  with_file().set_key_record(
      [&](const SealKey& key) { return make_key_record(key, secret(kRight), kCheap); });
  EXPECT_NO_THROW(open_with(kRight));
  EXPECT_NO_THROW(with_file());
}

TEST_F(PassphraseDbTest, AnyAlteredByteOfTheRecordIsRefused) {
  { open_with(kRight); }
  const size_t size = stored_record().size();
  ASSERT_GT(size, 100u);
  for (size_t byte = 0; byte < size; ++byte) {
    alter(byte);
    const std::string error = error_of([&] { open_with(kRight); });
    EXPECT_TRUE(error.find("altered") != std::string::npos ||
                error.find("not its passphrase") != std::string::npos)
        << byte << ": " << error;
    alter(byte);
  }
  EXPECT_NO_THROW(open_with(kRight));
}

TEST_F(PassphraseTest, WhatAsksForTheWholeMachineIsNotTried) {
  const Bytes record = make_key_record(SealKey::random(), secret(kRight), kCheap);
  const size_t memory = record.size() - (32 + kSealBytes) - 16 - 8;
  for (const auto& [byte, value] : {std::pair<size_t, uint8_t>{memory, 1},  // 2^56 bytes
                                    {memory - 7, 1},                        // 2^48 passes
                                    {memory + 6, 0}}) {                     // below the least
    Bytes changed = record;
    changed[byte] = value;
    EXPECT_THAT(error_of([&] { open_key_record(changed, secret(kRight)); }), HasSubstr("altered"));
  }
  for (const size_t size : {size_t{0}, size_t{1}, record.size() - 1}) {
    EXPECT_THAT(error_of([&] { open_key_record(ByteView(record).first(size), secret(kRight)); }),
                HasSubstr("no passphrase that this version knows"));
  }
}

TEST_F(PassphraseTest, AShortOneIsNotSet) {
  const std::string eleven(kMinPassphraseBytes - 1, 'x');
  EXPECT_THAT(error_of([&] { make_key_record(SealKey::random(), secret(eleven), kCheap); }),
              HasSubstr("shorter than 12"));
  EXPECT_NO_THROW(make_key_record(SealKey::random(), secret(eleven + "x"), kCheap));
}

TEST_F(PassphraseTest, TheDefaultCostIsNotAToy) {
  const PassphraseCost cost;
  EXPECT_GE(cost.passes, 3u);
  EXPECT_GE(cost.memory_bytes, uint64_t{256} << 20);
}

TEST_F(PassphraseTest, SaltsDiffer) {
  const SealKey key = SealKey::random();
  EXPECT_NE(make_key_record(key, secret(kRight), kCheap),
            make_key_record(key, secret(kRight), kCheap));
}

}  // namespace
}  // namespace flexroom::store
