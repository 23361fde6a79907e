#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "store/agreement.h"
#include "store/audit_log.h"
#include "store/epoch_store.h"
#include "store/once_db.h"
#include "store/secret_store.h"
#include "support/parties.h"

namespace flexroom::store {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr OnceDb::Limits kLimits{16, 64};

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() {
    char name[] = "/tmp/flexroom-store-XXXXXX";
    root_ = mkdtemp(name);
  }
  ~StoreTest() override { fs::remove_all(root_); }

  std::unique_ptr<SealedDb> open(const std::string& member) {
    const fs::path key = root_ / (member + ".key");
    return std::make_unique<SealedDb>(root_ / member / "state.db", [key](ByteView) {
      return fs::exists(key) ? SealKey::load(key) : SealKey::create(key);
    });
  }
  std::unique_ptr<OnceDb> open_once(const std::string& member, bool expected = false) {
    return std::make_unique<OnceDb>(root_ / member / "once.db", root_ / (member + ".once"),
                                    expected, kLimits);
  }
  static std::string name(PartyId i) { return "m" + std::to_string(i); }

  static prep::AuthBits some_bits(PartyId self, size_t n) {
    prep::AuthBits bits(self, n, 40);
    for (PartyId j = 0; j < n; ++j) {
      if (j == self) continue;
      for (size_t t = 0; t < 40; ++t) {
        bits.mac[j][t] = Block(0x1234567890abcdefULL + t, self);
        bits.key[j][t] = Block(t, 2 * (self + 1));
      }
    }
    return bits;
  }
  static RecordMeta meta(uint32_t version = 1) {
    RecordMeta m;
    m.id[0] = 7;
    m.version = version;
    m.name = "acme/api-key";
    m.kind = "api key";
    m.value_class = "PRINTABLE";
    m.bits = 40;
    return m;
  }
  template <typename Action>
  static std::string error_of(Action action) {
    try {
      action();
    } catch (const InputError& error) {
      return error.what();
    }
    return "no error";
  }
  fs::path root_;
};

TEST_F(StoreTest, NoSecretIsReadableInAnyFile) {
  const std::string canary = "CANARY-3f9a77b1-do-not-leak";
  {
    const auto db = open("a");
    db->put("k", as_bytes("id"), as_bytes("META-VISIBLE"), as_bytes(canary));
    EXPECT_EQ(as_text(db->get("k", as_bytes("id"))->secret.reveal()), canary);
  }
  bool meta_seen = false;
  for (const auto& entry : fs::recursive_directory_iterator(root_)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    const std::string all((std::istreambuf_iterator<char>(in)), {});
    EXPECT_EQ(all.find(canary), std::string::npos) << entry.path();
    meta_seen = meta_seen || all.find("META-VISIBLE") != std::string::npos;
    struct stat info {};
    stat(entry.path().c_str(), &info);
    EXPECT_EQ(info.st_mode & 077, 0u) << entry.path();
  }
  EXPECT_TRUE(meta_seen);  // the search does look where rows are
}

TEST_F(StoreTest, AlteredOrMovedRowsAreRefused) {
  {
    const auto db = open("a");
    db->put("k", as_bytes("1"), as_bytes("m"), as_bytes("s1"));
    db->put("k", as_bytes("2"), as_bytes("m"), as_bytes("s2"));
  }
  sqlite3* raw = nullptr;
  sqlite3_open((root_ / "a" / "state.db").c_str(), &raw);
  sqlite3_exec(raw,
               "UPDATE rows SET meta = x'6e' WHERE id = x'31';"
               "UPDATE rows SET sealed = (SELECT sealed FROM rows WHERE id = x'31')"
               " WHERE id = x'32'",
               nullptr, nullptr, nullptr);
  sqlite3_close(raw);
  const auto db = open("a");
  EXPECT_THAT(error_of([&] { db->get("k", as_bytes("1")); }), HasSubstr("altered"));
  EXPECT_THAT(error_of([&] { db->get("k", as_bytes("2")); }), HasSubstr("altered"));
}

TEST_F(StoreTest, WrongKeyLockDamageAndFullDiskSaySo) {
  {
    const auto db = open("a");
    db->set_max_pages(12);
    EXPECT_THAT(error_of([&] { db->put("k", {}, {}, Bytes(1 << 20)); }), HasSubstr("full"));
    EXPECT_FALSE(db->get("k", {}).has_value());
    db->put("k", {}, {}, Bytes(10));
    sqlite3* other = nullptr;
    sqlite3_open((root_ / "a" / "state.db").c_str(), &other);
    sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr);
    EXPECT_THAT(error_of([&] { db->put("k", {}, {}, Bytes(11)); }), HasSubstr("in use"));
    sqlite3_close(other);
  }
  fs::rename(root_ / "a.key", root_ / "saved.key");
  EXPECT_THAT(error_of([&] { open("a"); }), HasSubstr("another key"));
  fs::rename(root_ / "saved.key", root_ / "a.key");
  EXPECT_NO_THROW(open("a"));
  std::fstream file(root_ / "a" / "state.db", std::ios::in | std::ios::out | std::ios::binary);
  file.write("not a database at all", 21);
  file.close();
  EXPECT_THAT(error_of([&] { open("a"); }), HasSubstr("damaged"));
}

TEST_F(StoreTest, APassphraseOpensOnlyItsOwnDatabase) {
  const auto with = [&](const char* text) {
    return SealedDb(root_ / "p" / "state.db", [&](ByteView salt) {
      return SealKey::from_passphrase(SecretBytes::copy_of(as_bytes(text)), salt);
    });
  };
  { const auto db = with("correct horse"); }
  EXPECT_NO_THROW(with("correct horse"));
  EXPECT_THAT(error_of([&] { with("wrong horse"); }), HasSubstr("another key"));
}

TEST_F(StoreTest, SecretsComeBackAsTheyWerePut) {
  const auto run = support::run_parties(3, [&](net::Party& party) {
    const auto db = open(name(party.id()));
    SecretStore store(*db);
    store.put(party, meta(), some_bits(party.id(), 3));
    store.agree(party, {meta().id});
    const prep::AuthBits got = store.get(meta().id, 1), want = some_bits(party.id(), 3);
    bool same = store.list().size() == 1 && store.newest(meta().id).name == meta().name;
    for (PartyId j = 0; j < 3; ++j) {
      for (size_t t = 0; j != party.id() && t < 40; ++t) {
        same = same && got.mac[j][t] == want.mac[j][t] && got.key[j][t] == want.key[j][t];
      }
    }
    return same;
  });
  for (const auto& outcome : run.outcomes) EXPECT_TRUE(outcome.value.value_or(false));
}

// Both members' process is killed with SIGKILL when one of them reaches a step. After the next
// contact both hold the secret, or neither does.
TEST_F(StoreTest, KillingAMemberAtAnyStepLeavesBothOrNeither) {
  for (const std::string step : {"begin", "staged", "exchanged", "committed"}) {
    for (const PartyId victim : {0u, 1u}) {
      fs::remove_all(root_ / "m0");
      fs::remove_all(root_ / "m1");
      const pid_t child = fork();
      if (child == 0) {
        // Both members live in the child; the victim's store stops it all at its step, while the
        // other is wherever it is then.
        support::run_parties(2, [&](net::Party& party) {
          const auto db = open(name(party.id()));
          SecretStore store(*db, [&](std::string_view s) {
            if (party.id() == victim && s == step) kill(getpid(), SIGKILL);
          });
          store.put(party, meta(), some_bits(party.id(), 2));
          return true;
        });
        _exit(0);
      }
      int status = 0;
      waitpid(child, &status, 0);
      ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << step;
      const auto run = support::run_parties(2, [&](net::Party& party) {
        const auto db = open(name(party.id()));
        SecretStore store(*db);
        const size_t before = store.list().size();
        store.reconcile(party);
        EXPECT_EQ(store.num_staged(), 0u);
        EXPECT_GE(store.list().size(), before) << "a committed secret was lost";
        return store.list().size();
      });
      ASSERT_TRUE(run.outcomes[0].value && run.outcomes[1].value);
      EXPECT_EQ(*run.outcomes[0].value, *run.outcomes[1].value) << step << " " << victim;
      if (step == "begin") {
        EXPECT_EQ(*run.outcomes[0].value, 0u);
      }
      if (step == "exchanged" || step == "committed") {
        EXPECT_EQ(*run.outcomes[0].value, 1u);
      }
    }
  }
}

TEST_F(StoreTest, DifferentVersionsAreRefusedWithARemedy) {
  const auto run = support::run_parties(2, [&](net::Party& party) {
    const auto db = open(name(party.id()));
    SecretStore store(*db);
    store.put(party, meta(1), some_bits(party.id(), 2));
    store.put(party, meta(2), some_bits(party.id(), 2));
    EXPECT_EQ(store.newest(meta().id).version, 2u);
    if (party.id() == 1) {  // as after restoring an older backup
      store.remove(meta().id);
    }
    store.agree(party, {meta().id});
    return true;
  });
  for (const auto& outcome : run.outcomes) {
    EXPECT_EQ(outcome.code(), AbortCode::kDisagreement);
    EXPECT_THAT(outcome.abort->what(), HasSubstr("restore"));
  }
}

TEST_F(StoreTest, AStagedRecordWithOtherMetadataIsNotCommitted) {
  const auto run = support::run_parties(2, [&](net::Party& party) {
    const auto db = open(name(party.id()));
    SecretStore store(*db);
    RecordMeta m = meta();
    if (party.id() == 1) m.value_class = "DIGITS";
    try {
      store.put(party, m, some_bits(party.id(), 2));
    } catch (const ProtocolAbort&) {
      EXPECT_EQ(store.list().size() + store.num_staged(), 0u);
      throw;
    }
    return true;
  });
  for (const auto& o : run.outcomes) EXPECT_EQ(o.code(), AbortCode::kDisagreement);
}

TEST_F(StoreTest, CountersSurviveARestartAndStopPreprocessing) {
  open_once("a")->begin_batches(15);
  auto once = open_once("a", true);
  EXPECT_EQ(once->counters().dirty, 15u);
  EXPECT_NO_THROW(once->require_preprocessing_allowed());
  once->begin_batches(1);
  EXPECT_THROW(once->require_preprocessing_allowed(), ProtocolAbort);
  once->finish_batches(1);
  EXPECT_NO_THROW(once->require_preprocessing_allowed());
  for (int i = 0; i < 15; ++i) once->add_strike();
  EXPECT_FALSE(once->counters().burned);
  once->add_strike();
  EXPECT_TRUE(once->counters().burned);
  EXPECT_EQ(once->counters().life, 16u);
  once.reset();
  once = open_once("a", true);
  once->operator_accepts();
  EXPECT_TRUE(once->counters().burned);
  EXPECT_THROW(once->require_preprocessing_allowed(), ProtocolAbort);
}

TEST_F(StoreTest, ALostKeyOrFileVoidsPoolsAndFillsTheCounters) {
  for (const bool lose_key : {true, false}) {
    fs::remove_all(root_ / "a");
    fs::remove(root_ / "a.once");
    {
      const auto once = open_once("a");
      EXPECT_TRUE(once->mark("instance", as_bytes("i1")));
      once->add_batch(as_bytes("b"), 16, SecretBytes(160));
    }
    lose_key ? fs::remove(root_ / "a.once") : fs::remove(root_ / "a" / "once.db");
    const auto once = open_once("a", true);
    EXPECT_EQ(once->counters().dirty, kLimits.dirty_max);
    EXPECT_EQ(once->counters().life, kLimits.life_max);
    EXPECT_TRUE(once->counters().needs_operator);
    EXPECT_TRUE(once->stock().empty());
    EXPECT_THROW(once->require_preprocessing_allowed(), ProtocolAbort);
    once->operator_accepts();
    EXPECT_THROW(once->require_preprocessing_allowed(), ProtocolAbort);  // dirty: refresh first
    once->start_epoch();
    EXPECT_NO_THROW(once->require_preprocessing_allowed());
  }
}

TEST_F(StoreTest, MarksHoldAcrossARestart) {
  EXPECT_TRUE(open_once("a")->mark("token", as_bytes("t")));
  EXPECT_FALSE(open_once("a", true)->mark("token", as_bytes("t")));
  EXPECT_TRUE(open_once("a", true)->mark("request", as_bytes("t")));
}

TEST_F(StoreTest, PoolsTakeTheMaximumOfCursorsAndTheIntersectionOfBatches) {
  SecretBytes items(10'000 * 16);
  for (size_t i = 0; i < items.size(); ++i) items.writable()[i] = static_cast<uint8_t>(i / 16 + 1);
  const auto connect = [&](bool fill) {
    return support::run_parties(2, [&](net::Party& party) {
      const auto once = open_once(name(party.id()), !fill);
      if (fill) {
        once->add_batch(as_bytes("both"), 16, items.clone());
        if (party.id() == 0) once->add_batch(as_bytes("mine"), 16, items.clone());
        EXPECT_TRUE(once->stock().empty());  // not durable at all members yet
        EXPECT_THROW(once->take(as_bytes("both"), 1), InputError);
      }
      once->connect(party);
      if (fill && party.id() == 1) once->take(as_bytes("both"), 5000);  // ahead of the other
      const auto stock = once->stock();
      return stock.size() == 1 ? stock[0].cursor : 99999;
    });
  };
  connect(true);
  const auto run = connect(false);
  for (const auto& o : run.outcomes) EXPECT_EQ(o.value, 5000u);
  const auto once = open_once("m0", true);
  const auto taken = once->take(as_bytes("both"), 7);
  EXPECT_EQ(taken.first, 5000u);
  EXPECT_EQ(taken.items.reveal()[0], static_cast<uint8_t>(5001));
  EXPECT_EQ(open_once("m0", true)->take(as_bytes("both"), 1).first, 5007u);
  EXPECT_THROW(once->take(as_bytes("both"), 10'000), InputError);
}

struct Signers {
  explicit Signers(size_t n) {
    for (size_t i = 0; i < n; ++i) {
      identities.push_back(net::Identity::make("m" + std::to_string(i)));
      keys.push_back(identities.back().signing_key());
    }
  }
  std::vector<net::Identity> identities;
  std::vector<net::SigningKey> keys;
};

TEST_F(StoreTest, EqualProposalsAreSignedByAllForThisSessionOnly) {
  const Signers s(3);
  const auto run = support::run_parties(3, [&](net::Party& party) {
    const Proposal p{{{"recipe", to_bytes("call"), false}, {"slot", to_bytes("com"), true}}};
    const Approval a = approve(party, s.identities[party.id()], s.keys, p);
    Digest other = party.scope().sid;
    other[3] ^= 1;
    return verify_approval(a, party.scope().sid, s.keys) && !verify_approval(a, other, s.keys);
  });
  for (const auto& o : run.outcomes) EXPECT_TRUE(o.value.value_or(false));
}

TEST_F(StoreTest, TheDifferingFieldIsNamedAndASecretOneIsNotShown) {
  const Signers s(2);
  for (const bool secret : {false, true}) {
    const auto run = support::run_parties(2, [&](net::Party& party) {
      const Proposal p{{{"recipe", to_bytes("same"), false},
                        {"region", to_bytes(party.id() == 0 ? "eu-1" : "us-1"), secret}}};
      approve(party, s.identities[party.id()], s.keys, p);
      return true;
    });
    for (const auto& o : run.outcomes) {
      ASSERT_EQ(o.code(), AbortCode::kDisagreement);
      EXPECT_THAT(o.abort->what(), HasSubstr("region"));
      EXPECT_EQ(std::string(o.abort->what()).find("us-1") == std::string::npos, secret);
    }
  }
}

TEST_F(StoreTest, AnyAlteredMessageOfAnApprovalOrLogEntryIsRefused) {
  const Signers s(2);
  struct Case {
    std::string label;
    size_t byte;
    AbortCode expected;
  };
  // Who lies about its digest goes on with signatures while we ask for its fields.
  for (const auto& [label, byte, expected] :
       {Case{"proposal/digest", 3, AbortCode::kUnexpectedMessage},
        Case{"proposal/signature", 40, AbortCode::kRefusedByRule},
        Case{"log/entry", 3, AbortCode::kDisagreement},
        Case{"log/entry", 40, AbortCode::kRefusedByRule}}) {
    const auto run = support::run_parties(
        2,
        [&](net::Party& party) {
          const auto db = open(name(party.id()));
          approve(party, s.identities[party.id()], s.keys, {{{"recipe", to_bytes("x"), false}}});
          AuditLog log(*db, s.identities[party.id()], s.keys, party.id());
          log.append(party, {1, {}, LogOutcome::kDone, "x"});
          return true;
        },
        support::flip_bit_of({1, 0, label, 0, 0}, byte), std::chrono::seconds(2));
    EXPECT_FALSE(run.outcomes[0].value.has_value()) << label;
    EXPECT_EQ(run.outcomes[0].code(), expected) << label;
  }
}

TEST_F(StoreTest, TheLogVerifiesAndAnyChangeShows) {
  const Signers s(2);
  support::run_parties(2, [&](net::Party& party) {
    const auto db = open(name(party.id()));
    AuditLog log(*db, s.identities[party.id()], s.keys, party.id());
    log.append(party, {1700000000, {}, LogOutcome::kDone, "create-account"});
    if (party.id() == 0) {
      log.append_alone({1700000001, {}, LogOutcome::kEffectMayHaveHappened, "run-script"});
    }
    log.append(party, {1700000002, {}, LogOutcome::kDone, "run-script"});
    return true;
  });
  const auto db = open("m0");
  AuditLog log(*db, s.identities[0], s.keys, 0);
  const auto entries = log.verify();
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_TRUE(entries[0].joint && !entries[1].joint && entries[2].joint);
  EXPECT_THAT(std::string(to_string(entries[1].entry.outcome)), HasSubstr("may have happened"));
  // Whoever holds the database key still cannot change an entry, or leave one out.
  const Bytes second = db->ids("log")[1];
  const auto row = db->get("log", second);
  Bytes changed = row->meta;
  changed[10] ^= 1;
  db->put("log", second, changed, {});
  EXPECT_THAT(error_of([&] { log.verify(); }), HasSubstr("entry 2"));
  db->remove("log", second);
  EXPECT_THAT(error_of([&] { log.verify(); }), HasSubstr("missing"));
}

TEST_F(StoreTest, TheEpochComesBack) {
  const auto db = open("a");
  EpochStore epochs(*db);
  EXPECT_FALSE(epochs.load(Digest{}).has_value());
  Digest id{};
  id[1] = 9;
  epochs.save(Digest{}, id, SecretBytes::copy_of(as_bytes("state")));
  EXPECT_EQ(epochs.load(Digest{})->epoch_id, id);
  EXPECT_EQ(as_text(epochs.load(Digest{})->state.reveal()), "state");
}

}  // namespace
}  // namespace flexroom::store
