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
#include <iostream>

#include "base/codec.h"
#include "prep/protocol.h"
#include "store/epoch_store.h"
#include "store/once_db.h"
#include "store/room_store.h"
#include "store/row_reader.h"
#include "store/secret_store.h"
#include "support/parties.h"
#include "unit/store/store_fixture.h"

namespace flexroom::store {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Neither closed nor open (with -wal and -shm), and no name either; only the kind of a row.
TEST_F(StoreTest, NoSecretIsReadableInAnyFile) {
  const std::string canary = "CANARY-3f9a77b1-do-not-leak", id = "acme/key-CANARY",
                    meta = "META-CANARY-5d";
  const auto expect_sealed = [&](const char* when) {
    const std::string all = everything_on_disk();
    EXPECT_NE(all.find("KIND-VISIBLE"), std::string::npos) << when;  // it looks where rows are
    for (const std::string& text : {canary, id, meta}) {
      EXPECT_EQ(all.find(text), std::string::npos) << when << " " << text;
    }
  };
  {
    const auto db = open("a");
    db->put("KIND-VISIBLE", as_bytes(id), as_bytes(meta), as_bytes(canary));
    expect_sealed("open");
    EXPECT_TRUE(fs::exists(root_ / "a" / "state.db-wal"));
    EXPECT_EQ(as_text(db->get("KIND-VISIBLE", as_bytes(id))->secret.reveal()), canary);
    EXPECT_EQ(as_text(db->get("KIND-VISIBLE", as_bytes(id))->meta), meta);
    EXPECT_EQ(db->ids("KIND-VISIBLE"), std::vector<Bytes>{to_bytes(id)});
    for (const auto& entry : fs::recursive_directory_iterator(root_)) {
      if (!entry.is_regular_file()) continue;
      struct stat info {};
      stat(entry.path().c_str(), &info);
      EXPECT_EQ(info.st_mode & 077, 0u) << entry.path();
    }
    db->remove("KIND-VISIBLE", as_bytes(id));
    EXPECT_FALSE(db->get("KIND-VISIBLE", as_bytes(id)).has_value());
    db->put("KIND-VISIBLE", as_bytes(id), as_bytes(meta), as_bytes(canary));
  }
  expect_sealed("closed");
}

TEST_F(StoreTest, AlteredOrMovedRowsAreRefused) {
  {
    const auto db = open("a");
    for (const char* id : {"1", "2", "3", "4"}) {
      db->put("k", as_bytes(id), as_bytes("m"), as_bytes(std::string("secret ") + id));
    }
  }
  sqlite3* raw = nullptr;
  sqlite3_open((root_ / "a" / "state.db").c_str(), &raw);
  sqlite3_exec(raw,
               "CREATE TABLE pick AS SELECT name FROM rows WHERE kind = x'6b' ORDER BY name;"
               "UPDATE rows SET label = label || x'00'"
               " WHERE name = (SELECT name FROM pick WHERE rowid = 1);"
               "UPDATE rows SET sealed = (SELECT sealed FROM rows WHERE name ="
               " (SELECT name FROM pick WHERE rowid = 3))"
               " WHERE name = (SELECT name FROM pick WHERE rowid = 2);"
               "UPDATE rows SET (label, sealed) = (SELECT label, sealed FROM rows WHERE name ="
               " (SELECT name FROM pick WHERE rowid = 4))"
               " WHERE name = (SELECT name FROM pick WHERE rowid = 3)",
               nullptr, nullptr, nullptr);
  EXPECT_EQ(sqlite3_total_changes(raw), 3);
  sqlite3_close(raw);
  const auto db = open("a");
  // A changed label, another row's secret, another row as a whole: three of the four.
  size_t altered = 0;
  for (const char* id : {"1", "2", "3", "4"}) {
    altered += error_of([&] { db->get("k", as_bytes(id)); }).find("altered") != std::string::npos;
  }
  EXPECT_EQ(altered, 3u);
}

TEST_F(StoreTest, WrongKeyLockDamageAndFullDiskSaySo) {
  {
    const auto db = open("a");
    db->set_max_pages(12);
    EXPECT_THAT(error_of([&] { db->put("k", {}, {}, Bytes(1 << 20)); }),
                AllOf(HasSubstr("full"), Not(HasSubstr("nothing was changed")),
                      Not(HasSubstr("again"))));  // a request may have left before
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

TEST_F(StoreTest, SecretsComeBackAsTheyWerePut) {
  const auto run = support::run_parties(3, [&](net::Party& party) {
    const auto db = open(name(party.id()));
    LoadedStore store(*db, {});
    store.put(party, meta(), some_bits(party.id(), 3));
    store.agree(party, std::vector<RecordId>{meta().id});
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

// boolean-engine.md §2.1: what no honest member can hold is damage of this store, found when it is
// loaded: bit0 of a key, or macs of one bit that disagree about the share (n > 2).
TEST_F(StoreTest, SharesThatContradictThemselvesAreRefused) {
  for (const size_t n : {size_t{2}, size_t{3}}) {
    for (PartyId self = 0; self < n; ++self) {
      const SecretBytes good = encode_auth_bits(some_bits(self, n));
      EXPECT_EQ(decode_auth_bits(good).size(), 40u);
      for (PartyId j = 0; j < n; ++j) {
        if (j == self) continue;
        prep::AuthBits bits = some_bits(self, n);
        bits.key[j][39].lo ^= 1;
        EXPECT_THAT(error_of([&] { decode_auth_bits(encode_auth_bits(bits)); }),
                    HasSubstr("contradicts itself"));
        bits.key[j][39].lo ^= 1;
        bits.mac[j][7].lo ^= 1;
        EXPECT_THAT(error_of([&] { decode_auth_bits(encode_auth_bits(bits)); }),
                    HasSubstr(n == 2 ? "no error" : "contradicts itself"));
      }
    }
  }
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
          LoadedStore store(*db, {}, [&](std::string_view s) {
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
        LoadedStore store(*db, {});
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
    LoadedStore store(*db, {});
    store.put(party, meta(1), some_bits(party.id(), 2));
    store.put(party, meta(2), some_bits(party.id(), 2));
    EXPECT_EQ(store.newest(meta().id).version, 2u);
    if (party.id() == 1) {  // as after restoring an older backup
      store.remove(meta().id);
    }
    store.agree(party, std::vector<RecordId>{meta().id});
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
    LoadedStore store(*db, {});
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

// After a new epoch, also what was staged when the old one ended.
TEST_F(StoreTest, OnlyTheNewEpochsRecordsStay) {
  const auto run = support::run_parties(2, [&](net::Party& party) {
    const auto db = open(name(party.id()));
    RecordMeta kept = meta();
    kept.epoch[0] = 9;
    kept.id[0] = 8;
    try {
      LoadedStore(*db, {}, [](std::string_view step) {
        if (step == "staged") throw InputError("test", "stopped");
      }).put(party, meta(2), some_bits(party.id(), 2));
    } catch (const InputError&) {
    }
    LoadedStore store(*db, {});
    store.put(party, meta(1), some_bits(party.id(), 2));
    store.put(party, kept, some_bits(party.id(), 2));
    EXPECT_EQ(store.num_staged(), 1u);
    store.keep_only(kept.epoch);
    EXPECT_EQ(store.num_staged(), 0u);
    EXPECT_EQ(store.list().size(), 1u);
    return store.newest(kept.id).epoch == kept.epoch;
  });
  for (const auto& o : run.outcomes) EXPECT_TRUE(o.value.value_or(false));
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
      once->pool().add(as_bytes("b"), {}, 16, Bytes(160));
    }
    lose_key ? fs::remove(root_ / "a.once") : fs::remove(root_ / "a" / "once.db");
    const auto once = open_once("a", true);
    EXPECT_EQ(once->counters().dirty, kLimits.dirty_max);
    EXPECT_EQ(once->counters().life, kLimits.life_max);
    EXPECT_TRUE(once->counters().needs_operator);
    EXPECT_TRUE(once->pool().on_disk().empty());
    EXPECT_TRUE(fs::is_empty(root_ / "a" / "pool"));
    EXPECT_THROW(once->require_preprocessing_allowed(), ProtocolAbort);
    once->operator_accepts();
    EXPECT_THROW(once->require_preprocessing_allowed(), ProtocolAbort);  // dirty: refresh first
    begin_epoch(*once);
    EXPECT_NO_THROW(once->require_preprocessing_allowed());
  }
}

// Two rooms of one folder, and one room under two names: flags and counters go with the epoch.
TEST_F(StoreTest, AnotherRoomOrNameClearsNothing) {
  Digest first{}, second{}, rid{}, other{};
  first[0] = 1, second[0] = 2, rid[0] = 3, other[0] = 4;
  using Seen = OnceDb::StateDb;
  const auto found = [](OnceDb& once, const char* name, const RoomId& id, const Digest& epoch) {
    EXPECT_EQ(once.enter(name, std::nullopt, std::nullopt), Seen::kPresent);
    once.prepare_epoch(epoch);
    once.set_room(name, id);
    once.start_epoch(epoch);
  };
  const auto add = [](OnceDb& once, const char* batch, const Digest& epoch) {
    once.pool().add(as_bytes(batch), epoch, 16, Bytes(160));
  };
  {
    const auto once = open_once("a");
    found(*once, "study", rid, first);
    add(*once, "b1", first);
    once->add_strike();
    once->begin_batches(3);
  }
  {
    const auto once = open_once("a", true);
    found(*once, "another", other, second);
    EXPECT_EQ(once->counters().dirty + once->counters().strikes, 0u);
    EXPECT_EQ(once->counters().life, 3u);
    EXPECT_TRUE(once->pool().on_disk().empty());
    add(*once, "b2", second);
  }
  {
    const auto once = open_once("a", true);
    EXPECT_EQ(once->enter("study", rid, first), Seen::kPresent);
    EXPECT_EQ(once->counters().dirty, 3u);
    EXPECT_EQ(once->counters().strikes, 1u);
    EXPECT_EQ(once->pool().on_disk().size(), 1u);
    once->burn(AbortCode::kMac);
    EXPECT_TRUE(once->pool().on_disk().empty());
  }
  const auto once = open_once("a", true);
  EXPECT_EQ(once->enter("another", other, second), Seen::kPresent);
  EXPECT_FALSE(once->counters().burned);
  EXPECT_EQ(once->pool().on_disk().size(), 1u);
  EXPECT_EQ(once->enter("study", rid, first), Seen::kPresent);
  EXPECT_TRUE(once->counters().burned);
  once->start_epoch(first);
  EXPECT_TRUE(once->counters().burned) << "set up twice";
}

// once.db is in no backup: it knows of what time state.db is.
TEST_F(StoreTest, AnOlderOrForeignStateDbIsKnownByOnceDb) {
  Digest first{}, second{}, rid{}, unheard{};
  first[0] = 1, second[0] = 2, rid[0] = 3, unheard[0] = 4;
  using Seen = OnceDb::StateDb;
  {
    const auto once = open_once("a");
    once->enter("study", std::nullopt, std::nullopt);
    once->prepare_epoch(first);
    once->set_room("study", rid);
    // Killed here: state.db has it, once.db not yet.
    EXPECT_EQ(open_once("a", true)->enter("study", rid, first), Seen::kPresent);
    once->start_epoch(first);
    once->prepare_epoch(second);
    EXPECT_EQ(once->enter("study", rid, first), Seen::kPresent) << "not changed yet";
    once->start_epoch(second);
  }
  const auto once = open_once("a", true);
  EXPECT_EQ(once->enter("study", rid, first), Seen::kOlder);
  EXPECT_EQ(once->enter("study", rid, std::nullopt), Seen::kOlder);
  EXPECT_EQ(once->enter("study", std::nullopt, std::nullopt), Seen::kMissing);
  EXPECT_EQ(once->enter("study", rid, second), Seen::kPresent);
  EXPECT_FALSE(once->counters().needs_operator);
  // And an epoch that once.db never heard of: once.db itself was put back.
  EXPECT_EQ(once->enter("study", rid, unheard), Seen::kPresent);
  EXPECT_TRUE(once->counters().needs_operator);
  EXPECT_EQ(once->counters().dirty, kLimits.dirty_max);
  once->forget_room("study");
  EXPECT_EQ(once->enter("study", std::nullopt, std::nullopt), Seen::kPresent);
  EXPECT_EQ(once->enter("study", rid, unheard), Seen::kOlder) << "given up is given up";
}

// A once.db of before epochs and members had ids.
TEST_F(StoreTest, CountersOfBeforeAreThoseOfTheEpochAndLifeOfTheMember) {
  MemberId id{};
  id[0] = 1;
  Digest certificate{}, epoch{}, rid{};
  certificate[0] = 2, epoch[0] = 3, rid[0] = 4;
  {
    fs::create_directory(root_ / "a");
    fs::permissions(root_ / "a", fs::perms::owner_all);
    SealedDb db(root_ / "a" / "once.db",
                [&](bool, Bytes&) { return SealKey::create(root_ / "a.once"); });
    db.put("counters", {}, {}, Writer().u8(1).u8(0).u32(5).u32(6).bytes());
    db.put("life", certificate, {}, Writer().u32(7).bytes());
  }
  for (int again = 0; again < 2; ++again) {
    const auto once = open_once("a", true, {id});
    once->rename_life(certificate, id);
    EXPECT_EQ(once->enter("study", rid, epoch), OnceDb::StateDb::kPresent);
    const auto counters = once->counters();
    EXPECT_TRUE(counters.burned);
    EXPECT_EQ(counters.dirty, 5u);
    EXPECT_EQ(counters.strikes, 6u);
    EXPECT_EQ(counters.life, 7u);
  }
}

TEST_F(StoreTest, MarksHoldAcrossARestart) {
  EXPECT_TRUE(open_once("a")->mark("token", as_bytes("t")));
  EXPECT_FALSE(open_once("a", true)->mark("token", as_bytes("t")));
  EXPECT_TRUE(open_once("a", true)->mark("request", as_bytes("t")));
}

// boolean-engine.md §8.2: several in one step, all or none.
TEST_F(StoreTest, SeveralMarksAreOneStep) {
  Digest one{}, two{}, three{};
  one[0] = 1, two[0] = 2, three[0] = 3;
  {
    const auto once = open_once("a");
    EXPECT_TRUE(once->mark_all("instance", std::vector{one, two}));
  }
  const auto once = open_once("a", true);
  EXPECT_FALSE(once->mark("instance", one));
  EXPECT_FALSE(once->mark_all("instance", std::vector{three, two}));
  EXPECT_FALSE(once->marked("instance", three));
  EXPECT_TRUE(once->mark_all("instance", std::vector{three}));
  EXPECT_NO_THROW(once->require_not_burned("instance"));
  once->burn(AbortCode::kMac, 0);
  try {
    once->require_not_burned("instance");
    FAIL();
  } catch (const ProtocolAbort& abort) {
    EXPECT_EQ(abort.code(), AbortCode::kEpochBurned);
  }
  EXPECT_THROW(once->mark_all("instance", std::vector{one}), ProtocolAbort);
}

// once.db does not grow with every call: a session's marks end with it, or with its epoch.
TEST_F(StoreTest, MarksOfASessionEndWithIt) {
  Digest first{}, second{}, epoch{}, next{};
  first[0] = 1, second[0] = 2, epoch[0] = 3, next[0] = 4;
  const auto once = open_once("a");
  once->prepare_epoch(epoch);
  once->start_epoch(epoch);
  EXPECT_TRUE(once->mark("for ever", as_bytes("r")));
  once->begin_session(first);
  for (const char* id : {"1", "2"}) EXPECT_TRUE(once->mark("instance", as_bytes(id)));
  once->begin_session(second);
  EXPECT_TRUE(once->mark("instance", as_bytes("3")));
  EXPECT_FALSE(once->mark("instance", as_bytes("1")));
  once->end_session(first);
  EXPECT_FALSE(once->marked("instance", as_bytes("1")));
  EXPECT_FALSE(once->marked("instance", as_bytes("2")));
  EXPECT_TRUE(once->marked("instance", as_bytes("3"))) << "its session was killed";
  once->prepare_epoch(next);
  once->start_epoch(next);
  EXPECT_FALSE(once->marked("instance", as_bytes("3")));
  EXPECT_TRUE(once->marked("for ever", as_bytes("r")));
}

TEST_F(StoreTest, WhatIsBoundFirstStays) {
  EXPECT_EQ(open_once("a")->bind("class", as_bytes("list"), as_bytes("b64")), to_bytes("b64"));
  EXPECT_EQ(open_once("a", true)->bind("class", as_bytes("list"), as_bytes("hex")),
            to_bytes("b64"));
}

// What cannot be decoded is damage of the own disk, not a message of a peer.
TEST_F(StoreTest, ARowThatCannotBeReadIsDamage) {
  const auto db = open("a");
  db->put("epoch", Digest{}, Bytes(3), {});
  EXPECT_THAT(error_of([&] { (void)EpochStore(*db).load(Digest{}); }),
              AllOf(HasSubstr("damaged"), HasSubstr("backup")));
  EXPECT_THAT(error_of([&] { (void)RecordMeta::decode(Bytes(40)); }), HasSubstr("damaged"));
  EXPECT_THAT(error_of([&] { (void)decode_auth_bits(SecretBytes(5)); }), HasSubstr("damaged"));
  db->put("room", as_bytes("r"), Bytes{1, 2}, {});
  EXPECT_THAT(error_of([&] { (void)RoomStore(*db).find("r"); }), HasSubstr("damaged"));
  // By its type, too: neither a wrong file of a person's nor a peer's message.
  EXPECT_THROW((void)EpochStore(*db).load(Digest{}), DamagedState);
  EXPECT_THROW((void)RecordMeta::decode(Bytes(40)), DamagedState);
  EXPECT_THROW((void)RoomStore(*db).find("r"), DamagedState);
}

// Nor does it end the program: each kind of row of once.db, with its file and the way back.
TEST_F(StoreTest, ARowOfOnceDbThatCannotBeReadIsDamage) {
  const Digest room{1}, run{2};
  {
    const auto once = open_once("a");
    begin_epoch(*once);
    once->set_log_head(room, {1, 2, {}});
    once->open_run({run, room, {}, false, "call"});
  }
  const auto damage = [&](std::string_view kind, ByteView id, size_t bytes) {
    SealedDb db(root_ / "a" / "once.db",
                [&](bool, Bytes&) { return SealKey::load(root_ / "a.once"); });
    db.put(kind, id, Bytes(bytes), {});
  };
  const auto damaged = AllOf(HasSubstr("once.db"), HasSubstr("damaged"), HasSubstr("remove"));
  damage("log head", room, 9);
  EXPECT_THAT(error_of([&] { (void)open_once("a", true)->log_head(room); }), damaged);
  damage("open run", run, 2 * sizeof(Digest));
  EXPECT_THAT(error_of([&] { (void)open_once("a", true)->open_runs(room); }), damaged);
  EXPECT_THAT(error_of([&] { open_once("a", true)->run_released(run); }), damaged);
  damage("open run", Bytes(5), 2 * sizeof(Digest) + 5);  // no run's name
  damage("open run", run, 2 * sizeof(Digest) + 5);
  EXPECT_THAT(error_of([&] { (void)open_once("a", true)->open_runs(room); }), damaged);
  EXPECT_THAT(error_of([&] { open_once("a", true)->finish_batches(1); }), damaged);
  {  // a batch of the pool with items of no size
    Writer meta;
    Digest epoch{};
    epoch[0] = 1;
    meta.raw(epoch).u64(4).u64(0).u64(0).u16(prep::kProtocol);
    SealedDb db(root_ / "a" / "once.db",
                [&](bool, Bytes&) { return SealKey::load(root_ / "a.once"); });
    db.put("batch", as_bytes("batch"), meta.bytes(), Bytes(32));
  }
  EXPECT_THAT(error_of([&] {
                const auto once = open_once("a", true);
                Digest epoch{};
                epoch[0] = 1;
                once->pool().use_epoch(epoch);
                (void)once->pool().on_disk();
              }),
              damaged);
}

TEST_F(StoreTest, AFileOfAnotherVersionIsNotCalledDamaged) {
  { const auto db = open("a"); }
  sqlite3* raw = nullptr;
  sqlite3_open((root_ / "a" / "state.db").c_str(), &raw);
  sqlite3_exec(raw, "UPDATE header SET value = CAST('flexroom store 2' AS BLOB) WHERE name = x'00'",
               nullptr, nullptr, nullptr);
  EXPECT_EQ(sqlite3_changes(raw), 1);
  sqlite3_close(raw);
  EXPECT_THAT(error_of([&] { open("a"); }),
              AllOf(HasSubstr("another version"), Not(HasSubstr("damaged"))));
}

TEST_F(StoreTest, LookingReadsOneStateAndWritesNothing) {
  const auto look = [&] {
    return std::make_unique<SealedDb>(
        root_ / "a" / "state.db", [&](bool, Bytes&) { return SealKey::load(root_ / "a.key"); },
        SealedDb::Access::kLook);
  };
  const auto db = open("a");
  db->put("k", as_bytes("1"), as_bytes("m"), as_bytes("s"));  // still in the log beside the file
  const auto copy = look();
  db->put("k", as_bytes("2"), {}, {});
  EXPECT_EQ(copy->ids("k").size(), 1u);
  EXPECT_EQ(as_text(copy->get("k", as_bytes("1"))->secret.reveal()), "s");
  copy->put("k", as_bytes("3"), {}, {});
  EXPECT_EQ(db->count("k"), 2u);
  EXPECT_EQ(look()->count("k"), 2u);
}

// As on a full disk, or one mounted read-only: no file can be written.
TEST_F(StoreTest, LookingWorksWhereNothingCanBeWritten) {
  { open("a")->put("k", as_bytes("1"), {}, {}); }
  { (void)open_once("a")->mark("k", as_bytes("1")); }
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit none{0, 0};
    setrlimit(RLIMIT_FSIZE, &none);
    try {
      try {
        open("a")->put("k", as_bytes("2"), {}, {});
        _exit(1);
      } catch (const InputError&) {  // so nothing can be written
      }
      SealedDb db(
          root_ / "a" / "state.db", [&](bool, Bytes&) { return SealKey::load(root_ / "a.key"); },
          SealedDb::Access::kLook);
      OnceDb once(root_ / "a" / "once.db", root_ / "a.once", true, kLimits, {}, nullptr,
                  SealedDb::Access::kLook);
      _exit(db.count("k") == 1 && once.marked("k", as_bytes("1")) ? 0 : 2);
    } catch (const std::exception& error) {
      std::cerr << error.what() << "\n";
      _exit(3);
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(StoreTest, LookingAtALostOnceDbSaysSoAndMakesNone) {
  { (void)open_once("a"); }
  fs::remove(root_ / "a.once");
  const std::string before = everything_on_disk();
  OnceDb once(root_ / "a" / "once.db", root_ / "a.once", true, kLimits, {}, nullptr,
              SealedDb::Access::kLook);
  EXPECT_TRUE(once.counters().needs_operator);
  EXPECT_EQ(everything_on_disk(), before);
  EXPECT_FALSE(fs::exists(root_ / "a.once"));
}

TEST_F(StoreTest, TheEpochComesBack) {
  const auto db = open("a");
  EpochStore epochs(*db);
  EXPECT_FALSE(epochs.load(Digest{}).has_value());
  Digest id{};
  id[1] = 9;
  epochs.save(Digest{}, {id, SecretBytes::copy_of(as_bytes("state")), 7});
  EXPECT_EQ(epochs.load(Digest{})->made, 7u);
  EXPECT_EQ(epochs.load(Digest{})->epoch_id, id);
  EXPECT_EQ(as_text(epochs.load(Digest{})->state.reveal()), "state");
}

}  // namespace
}  // namespace flexroom::store
