#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <map>
#include <set>

#include "prep/rows.h"
#include "support/parties.h"
#include "unit/store/store_fixture.h"

// Secrets as rows (members.md §3.1): what they are sealed under, and that new rows take the place
// of old ones at all members or at none.

namespace flexroom::store {
namespace {

using ::testing::HasSubstr;

const RoomId kRid{1};

class RowStoreTest : public StoreTest {
 protected:
  static RecordMeta row_meta(uint8_t set, uint32_t version = 1) {
    RecordMeta m = meta(version);
    m.set[0] = set;
    return m;
  }
  /// Tells sets and members apart.
  static Record record(PartyId self, uint8_t set, uint32_t version = 1) {
    Record out{row_meta(set, version), SecretBytes(prep::row_bytes(meta().bits))};
    out.bytes.writable()[0] = set;
    out.bytes.writable()[1] = static_cast<uint8_t>(self);
    return out;
  }
  static bool put(SecretStore& store, net::Party& party, uint8_t set, uint32_t version = 1) {
    const Record one[] = {record(party.id(), set, version)};
    store.put(party, one);
    return true;
  }
  void begin(size_t n) {
    for (PartyId i = 0; i < n; ++i) fs::remove_all(root_ / name(i));
    support::run_parties(n, [&](net::Party& party) {
      const auto db = open(name(party.id()));
      SecretStore store(*db, kRid);
      return put(store, party, 1);
    });
  }
  /// The set of what member i holds, after checking that it is whole.
  uint8_t set_of(PartyId i) {
    const auto db = open(name(i));
    SecretStore store(*db, kRid);
    const auto all = store.list();
    EXPECT_EQ(all.size(), 1u);
    const SecretBytes row = store.row(all[0].id, 1);
    EXPECT_EQ(row.reveal()[0], all[0].set[0]);
    EXPECT_EQ(row.reveal()[1], i);
    return all[0].set[0];
  }
  size_t staged(PartyId i) {
    const auto db = open(name(i));
    return SecretStore(*db, kRid).num_staged();
  }
  auto reconcile(size_t n, net::Tamper tamper = nullptr) {
    return support::run_parties(
        n,
        [&](net::Party& party) {
          const auto db = open(name(party.id()));
          return SecretStore(*db, kRid).reconcile(party).size();
        },
        std::move(tamper));
  }
  /// As of a member that was killed at `step` of new rows.
  void stage(PartyId i, const std::string& step = "staged") {
    const pid_t child = fork();
    if (child == 0) {
      support::run_parties(2, [&](net::Party& party) {
        if (party.id() != 0) return party.exchange("store/ok", Digest{}).empty();
        const auto db = open(name(i));
        SecretStore store(*db, kRid, [&](std::string_view s) {
          if (s == step) kill(getpid(), SIGKILL);
        });
        const Record one[] = {record(i, 2)};
        store.put(party, one);
        return true;
      });
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status));
  }
  /// As of one that heard everybody's ok.
  void commit_alone(PartyId i) {
    support::run_parties(2, [&](net::Party& party) {
      if (party.id() != 0) {
        const Digest ok = RandomOracle("records", RoScope{}).field(row_meta(2).digest()).digest();
        return party.exchange("store/ok", ok).empty();
      }
      const auto db = open(name(i));
      SecretStore store(*db, kRid);
      const Record one[] = {record(i, 2)};
      store.put(party, one);
      return true;
    });
    EXPECT_EQ(set_of(i), 2);
  }
};

// members.md, Appendix A: the bytes of a sealed row, opened with nothing but the key.
TEST_F(RowStoreTest, ARowIsSealedUnderItsRecordVersionSetAndMetadata) {
  begin(2);
  const SealKey key = SealKey::load(root_ / "m0.key");
  const RecordMeta meta = row_meta(1);
  Bytes expected = from_hex("0000000e");
  append(expected, as_bytes("flexroom/row/1"));
  append(expected, from_hex("07000000000000000000000000000000"     // record
                            "00000001"                             // version
                            "01000000000000000000000000000000"));  // set
  append(expected, ByteView(meta.digest()));
  EXPECT_EQ(row_associated_data(meta), expected);
  sqlite3* raw = nullptr;
  sqlite3_open((root_ / "m0" / "state.db").c_str(), &raw);
  sqlite3_stmt* row = nullptr;
  const std::string kind = "row@" + to_hex(ByteView(kRid).first(16));
  sqlite3_prepare_v2(raw, "SELECT sealed FROM rows WHERE kind = ?", -1, &row, nullptr);
  sqlite3_bind_blob(row, 1, kind.data(), static_cast<int>(kind.size()), SQLITE_STATIC);
  ASSERT_EQ(sqlite3_step(row), SQLITE_ROW);
  const auto* data = static_cast<const uint8_t*>(sqlite3_column_blob(row, 0));
  const Bytes sealed(data, data + sqlite3_column_bytes(row, 0));
  sqlite3_finalize(row);
  sqlite3_close(raw);
  const auto plain = unseal(key, sealed, expected);
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(plain->size(), 16u * 5);  // L = 1
  for (const size_t byte : {0u, 20u, 34u, 40u, 70u}) {
    Bytes other = expected;
    other[byte] ^= 1;
    EXPECT_FALSE(unseal(key, sealed, other).has_value()) << byte;
  }
}

// The metadata of a row, byte by byte.
TEST_F(RowStoreTest, MetadataAreTheKnownBytes) {
  RecordMeta m = row_meta(1);
  m.purposes = {"p"};
  m.entropy = 3;
  m.provider = "q";
  m.owner = "o";
  const std::string zeros(64, '0');
  const std::string expected =
      zeros + "07000000000000000000000000000000" + "00000001" + "0000000c61636d652f6170692d6b6579" +
      "00000007617069206b6579" + "000000095052494e5441424c45" + "00000028" + zeros + "01" +
      "0000000170" + "00000003" + "0000000171" + "000000016f" + "01000000000000000000000000000000";
  EXPECT_EQ(to_hex(m.encode()), expected);
  EXPECT_EQ(RecordMeta::decode(m.encode()).digest(), m.digest());
  EXPECT_LE(m.encode().size(), kMaxMetaBytes);
  RecordMeta other = m;
  other.set[0] = 2;
  EXPECT_EQ(other.origin(), m.origin()) << "what is derived from it stays after a refresh";
  EXPECT_NE(other.digest(), m.digest());
  other = m;
  other.descent = Descent::kBorn;
  EXPECT_EQ(to_hex(other.encode()), expected + "01");
  EXPECT_EQ(RecordMeta::decode(other.encode()).descent, Descent::kBorn);
  EXPECT_NE(other.origin(), m.origin()) << "another secret";
  EXPECT_EQ(first_difference(m, other), "descent");
  for (const uint8_t bad : {uint8_t{0}, uint8_t{3}, uint8_t{255}}) {  // one meaning has one form
    Bytes bytes = m.encode();
    bytes.push_back(bad);
    EXPECT_THROW((void)RecordMeta::decode(bytes), InputError);
    try {
      (void)RecordMeta::decode_from(bytes, "row/meta", 2);
      ADD_FAILURE();
    } catch (const ProtocolAbort& abort) {
      EXPECT_EQ(abort.code(), AbortCode::kBadFrame);
      EXPECT_EQ(abort.peer(), PartyId{2});
    }
  }
}

TEST_F(RowStoreTest, KilledAnywhereAllHaveTheSameRowsAfterTheNextContact) {
  for (const size_t n : {2u, 3u}) {
    for (const std::string step : {"begin", "staged", "exchanged", "committed"}) {
      for (PartyId victim = 0; victim < n; ++victim) {
        begin(n);
        const pid_t child = fork();
        if (child == 0) {
          support::run_parties(n, [&](net::Party& party) {
            const auto db = open(name(party.id()));
            SecretStore store(*db, kRid, [&](std::string_view s) {
              if (party.id() == victim && s == step) kill(getpid(), SIGKILL);
            });
            return put(store, party, 2);
          });
          _exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        ASSERT_TRUE(WIFSIGNALED(status)) << step;
        for (const auto& outcome : reconcile(n).outcomes) {
          EXPECT_EQ(outcome.value, 1u) << step << (outcome.abort ? outcome.abort->what() : "");
        }
        const uint8_t set = set_of(0);
        for (PartyId i = 0; i < n; ++i) {
          EXPECT_EQ(set_of(i), set) << step;
          EXPECT_EQ(staged(i), 0u);
        }
        if (step == "begin") {
          EXPECT_EQ(set, 1);
        } else if (step != "staged") {
          EXPECT_EQ(set, 2);
        }
      }
    }
  }
}

// Member 1 was killed before it committed what member 0 has; member 2 says that it has nothing (a
// lie, or an older state.db): member 1 keeps the only rows that fit member 0's, and uses neither.
TEST_F(RowStoreTest, NobodyMakesAMemberDropWhatAnotherCommitted) {
  begin(3);
  commit_alone(0);
  stage(1);
  reconcile(3);
  EXPECT_EQ(staged(1), 1u);
  EXPECT_EQ(set_of(1), 1);
  const auto again = support::run_parties(3, [&](net::Party& party) {
    const auto db = open(name(party.id()));
    SecretStore store(*db, kRid);
    store.agree(party, std::vector<RecordMeta>{store.newest(meta().id)});
    return true;
  });
  bool said = false;
  for (const auto& outcome : again.outcomes) {
    said = said || (outcome.abort &&
                    std::string(outcome.abort->what()).find("set of rows") != std::string::npos);
  }
  EXPECT_TRUE(said);
  {  // what is not settled stands in the way of other rows
    const auto db = open(name(1));
    const auto run = support::run_parties(2, [&](net::Party& party) {
      if (party.id() == 1) return true;
      SecretStore store(*db, kRid);
      return error_of([&] { put(store, party, 3); }).find("not settled") != std::string::npos;
    });
    EXPECT_EQ(run.outcomes[0].value, true);
  }
  stage(2);
  reconcile(3);
  for (PartyId i = 0; i < 3; ++i) {
    EXPECT_EQ(set_of(i), 2);
    EXPECT_EQ(staged(i), 0u);
  }
}

TEST_F(RowStoreTest, DifferentClaimsToDifferentMembersSettleNothing) {
  begin(3);
  for (PartyId i = 0; i < 3; ++i) stage(i);
  const auto run = reconcile(3, support::flip_bit_of({0, 2, "store/reconcile", 0, 0}, 30));
  for (const PartyId honest : {1u, 2u}) {
    EXPECT_FALSE(run.outcomes[honest].value.has_value());
    EXPECT_EQ(staged(honest), 1u);
    EXPECT_EQ(set_of(honest), 1);
  }
  reconcile(3);
  for (PartyId i = 0; i < 3; ++i) EXPECT_EQ(set_of(i), 2);
}

// New rows are rows of the same secret.
TEST_F(RowStoreTest, OnlyTheSetMayDiffer) {
  begin(2);
  const auto run = support::run_parties(2, [&](net::Party& party) {
    const auto db = open(name(party.id()));
    SecretStore store(*db, kRid);
    Record other[] = {record(party.id(), 2)};
    other[0].meta.purposes = {"anything"};
    EXPECT_THAT(error_of([&] { store.put(party, other); }), HasSubstr("exists already"));
    EXPECT_EQ(store.num_staged(), 0u);
    return put(store, party, 2) && put(store, party, 1, 2);
  });
  for (const auto& outcome : run.outcomes) EXPECT_TRUE(outcome.value.value_or(false));
}

// members.md §3.2(1): whatever one member describes otherwise, all stop and hear which field.
TEST_F(RowStoreTest, ALiarsMetadataAreRefusedByField) {
  const std::map<std::string, std::function<void(RecordMeta&)>> lies = {
      {"name", [](RecordMeta& m) { m.name = "other"; }},
      {"version", [](RecordMeta& m) { m.version = 2; }},
      {"kind", [](RecordMeta& m) { m.kind = "other"; }},
      {"class", [](RecordMeta& m) { m.value_class = "raw"; }},
      {"length", [](RecordMeta& m) { m.bits = 48; }},
      {"set of purposes", [](RecordMeta& m) { m.purposes = {"POST https://evil.example/ body"}; }},
      {"provider", [](RecordMeta& m) { m.provider = "evil"; }},
      {"owner", [](RecordMeta& m) { m.owner = "m1"; }},
      {"entropy", [](RecordMeta& m) { m.entropy = 128; }},
      {"provenance", [](RecordMeta& m) { m.provenance[0] = 1; }},
      {"epoch", [](RecordMeta& m) { m.epoch[0] = 1; }},
      {"set of rows", [](RecordMeta& m) { m.set[0] = 2; }},
      {"record id", [](RecordMeta& m) { m.id[0] = 2; }},
  };
  for (const size_t n : {2u, 3u}) {
    for (const auto& [field, lie] : lies) {
      const auto run = support::run_parties(n, [&](net::Party& party) {
        const auto db = open(name(party.id()));
        RecordMeta mine = row_meta(1);
        if (party.id() == 1) lie(mine);
        SecretStore(*db, kRid).agree(party, std::vector<RecordMeta>{mine});
        return true;
      });
      const auto& honest = run.outcomes[0];
      ASSERT_FALSE(honest.value.has_value()) << field;
      if (honest.code() == AbortCode::kCancelled) continue;  // the other one said it first
      EXPECT_EQ(honest.code(), AbortCode::kDisagreement);
      EXPECT_THAT(honest.abort->what(),
                  HasSubstr(field == "version" ? "another there: version 2"
                                               : "another " + field + " there"));
    }
  }
}

// Whatever a peer says of its records, cut or altered, ends the session and nothing else.
TEST_F(RowStoreTest, ForeignMetadataAreReadSafely) {
  RecordMeta m = row_meta(1);
  m.purposes = {"p", "q"};
  m.owner = "o";
  const Bytes whole = m.encode();
  for (size_t size = 0; size < whole.size(); ++size) {
    const ByteView cut = ByteView(whole).first(size);
    try {
      // Three of them end where records of before did.
      EXPECT_NE(RecordMeta::decode_from(cut, "test", 1).digest(), m.digest());
    } catch (const ProtocolAbort& abort) {
      EXPECT_EQ(abort.code(), AbortCode::kBadFrame);
      EXPECT_EQ(abort.peer(), 1u);
    }
    EXPECT_TRUE(error_of([&] { RecordMeta::decode(cut); }).find("damaged") != std::string::npos ||
                error_of([&] { RecordMeta::decode(cut); }) == "no error");
  }
  for (const std::string label : {"store/agree", "store/reconcile", "store/compare"}) {
    for (const size_t keep : {0u, 1u, 3u, 19u, 60u}) {
      fs::remove_all(root_ / "m0");
      fs::remove_all(root_ / "m1");
      begin(2);
      const auto run = support::run_parties(
          2,
          [&](net::Party& party) {
            const auto db = open(name(party.id()));
            SecretStore store(*db, kRid);
            store.reconcile(party);
            store.compare(party);
            store.agree(party, std::vector<RecordMeta>{row_meta(1)});
            return true;
          },
          [&](const net::MessageId& message, Bytes& payload) {
            if (message.sender == 1 && message.label == label) payload.resize(keep);
          });
      const bool empty_list = keep == 0 && label == "store/reconcile";  // it says it has nothing
      EXPECT_EQ(run.outcomes[0].value.has_value(), empty_list) << label << " " << keep;
      if (run.outcomes[0].abort) {
        EXPECT_NE(run.outcomes[0].abort->abort_class(), AbortClass::kBooleanCheat);
      }
      EXPECT_EQ(set_of(0), 1);
    }
  }
}

TEST_F(RowStoreTest, AnotherSetIsSeenWhenAllIsCompared) {
  begin(2);
  commit_alone(0);
  const auto run = support::run_parties(2, [&](net::Party& party) {
    const auto db = open(name(party.id()));
    SecretStore(*db, kRid).compare(party);
    return true;
  });
  EXPECT_FALSE(run.outcomes[0].value.has_value() || run.outcomes[1].value.has_value());
}

TEST_F(RowStoreTest, ARowOfAnImpossibleSizeIsDamage) {
  const auto db = open("m0");
  SecretStore store(*db, kRid);
  for (const uint32_t bits : {40u, 1u << 30}) {
    RecordMeta m = row_meta(1);
    m.bits = bits;
    db->put(rows_of_room("row", kRid), record_key(m.id, 1), m.encode(), Bytes(96),
            [](ByteView meta) { return row_associated_data(RecordMeta::decode(meta)); });
    EXPECT_THAT(error_of([&] { (void)store.row(m.id, 1); }), HasSubstr("impossible size"));
  }
}

// At most 64 bytes of state a byte of a secret of 40, with everything that is stored beside it.
TEST_F(RowStoreTest, StateOnDiskIsWithinItsBound) {
  constexpr uint32_t kSecrets = 64, kBytes = 40;
  const auto size_with = [&](uint32_t count) {
    const std::string member = "size" + std::to_string(count);
    {
      const auto db = open(member);
      for (uint32_t s = 0; s < count; ++s) {
        RecordMeta m = row_meta(1, s + 1);
        m.bits = 8 * kBytes;
        m.purposes = {"sigv4 ec2 us-east-1"};
        m.provider = "sandbox";
        m.entropy = 128;
        db->put(rows_of_room("row", kRid), record_key(m.id, m.version), m.encode(),
                Bytes(prep::row_bytes(m.bits)),
                [](ByteView meta) { return row_associated_data(RecordMeta::decode(meta)); });
      }
    }
    uint64_t total = 0;
    for (const auto& entry : fs::directory_iterator(root_ / member)) total += entry.file_size();
    return total;
  };
  const uint64_t more = size_with(kSecrets) - size_with(0);
  EXPECT_LE(more, uint64_t{64} * kSecrets * kBytes) << more / (kSecrets * kBytes) << " a byte";
}

}  // namespace
}  // namespace flexroom::store
