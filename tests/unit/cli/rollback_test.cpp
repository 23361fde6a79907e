#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/resource.h>

#include <csignal>

#include "store/epoch_store.h"
#include "store/room_store.h"
#include "support/room_rig.h"
#include "support/sweeps.h"

// Files of a member put back as they were some time ago (boolean-engine.md §8.2): what is noticed,
// and what of it an honest peer makes good.

namespace flexroom {
namespace {

using support::RoomRig;
using Ended = RoomRig::Ended;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

class RollbackTest : public ::testing::TestWithParam<size_t> {
 protected:
  void SetUp() override {
    rig_ = std::make_unique<RoomRig>(GetParam());
    all_ok(rig_->init());
    rig_->write_shares("k.json", "k", "0123456789abcdef");
    all_ok(rig_->import("k.json"));
  }
  static void all_ok(const std::vector<Ended>& ended) {
    for (const Ended& e : ended) ASSERT_EQ(e.code, cli::kOk) << e.out;
  }
  /// Member 0's files of a saved state, and only those.
  void put_back(const std::string& saved, const std::vector<std::string>& files) {
    for (const std::string& file : files) {
      const fs::path from = rig_->root() / saved / "0" / file, to = rig_->dir(0) / file;
      fs::remove_all(to);
      for (const char* suffix : {"-wal", "-shm"}) fs::remove(to.string() + suffix);
      if (fs::is_directory(from)) {
        RoomRig::copy(from, to);
      } else if (fs::exists(from)) {
        fs::copy_file(from, to);
      }
      for (const char* suffix : {"-wal", "-shm"}) {
        if (fs::exists(from.string() + suffix)) {
          fs::copy_file(from.string() + suffix, to.string() + suffix);
        }
      }
    }
  }
  /// Who stops before it joins leaves the others waiting; they need not do that for a minute.
  void wait_briefly(bool briefly) {
    const std::string name = "name = \"rig\"\n", brief = name + "timeout_seconds = 3\n";
    briefly ? rig_->edit_room(name, brief) : rig_->edit_room(brief, name);
  }
  std::vector<Ended> use_secret() {
    return rig_->run([](PartyId, cli::Output& out, cli::Common& common) {
      support::Inside joined(out, common);
      joined.session().guard([&] {
        joined.session().start();
        joined.state().secrets().agree(joined.session().party(),
                                       std::vector<store::RecordMeta>{joined.state().secret("k")});
      });
      out.result({{"version", joined.state().secret("k").version}});
      return cli::kOk;
    });
  }
  /// The operator of member 0 goes on with what is there.
  void accept() {
    const Ended e = rig_->run_one(0, [](PartyId, cli::Output& out, cli::Common& common) {
      return cli::peer_accept(out, common);
    });
    ASSERT_EQ(e.code, cli::kOk) << e.out;
  }
  std::vector<Ended> fill() {
    return rig_->run(
        [](PartyId, cli::Output& out, cli::Common& common) { return cli::stock(out, common, 1); });
  }
  /// Takes items of the pool at all members; tells from which cursor on and what is left.
  std::vector<Ended> take(size_t count) {
    return rig_->run([&](PartyId, cli::Output& out, cli::Common& common) {
      support::Inside joined(out, common);
      joined.session().guard([&] {
        joined.session().start();
        const auto stock = joined.state().once().pool().stock();
        ASSERT_FALSE(stock.empty());
        const uint64_t cursor = stock[0].cursor;
        prep::AndTriples triples = joined.session().source().and_triples(count);
        // Of a stock that is not used up, nothing is made beside it.
        EXPECT_GT(joined.session().pool().stock().triples, 0u);
        out.result({{"cursor", cursor},
                    {"next", joined.state().once().pool().stock().at(0).cursor},
                    {"mac", to_hex(block_bytes(triples.x.mac[joined.state().self() == 0][0]))}});
      });
      return cli::kOk;
    });
  }
  Ended status() {
    return rig_->run_one(
        0, [](PartyId, cli::Output& out, cli::Common& common) { return cli::status(out, common); });
  }

  std::vector<Ended> new_epoch() {
    return rig_->run([](PartyId, cli::Output& out, cli::Common& common) {
      return cli::init_room(out, common, true);
    });
  }
  /// After member 0's rows are gone for good.
  void make_anew() {
    size_t named = 0;  // whoever hears first that another one ended does not say why
    for (const Ended& e : new_epoch()) {
      EXPECT_TRUE(e.code == cli::kRefused || e.code == cli::kNetworkFailed) << e.out;
      if (e.code == cli::kRefused) {
        EXPECT_THAT(e.error(), HasSubstr("secret remove"));
        ++named;
      }
    }
    EXPECT_GE(named, 1u);
    all_ok(rig_->run([](PartyId, cli::Output& out, cli::Common& common) {
      return cli::secret_remove(out, common, "k");
    }));
    all_ok(rig_->init());
    all_ok(rig_->import("k.json"));
  }
  Ended give_up() {
    return rig_->run_one(0, [](PartyId, cli::Output& out, cli::Common& common) {
      return cli::init_after_loss(out, common);
    });
  }
  void burn() {
    rig_->run_one(0, [](PartyId, cli::Output& out, cli::Common& common) {
      room::open_state(common.member_file, nullptr)->once().burn(AbortCode::kMac);
      out.result({});
      return cli::kOk;
    });
  }
  /// Of member 0's epoch in state.db.
  bool keys_erased() {
    return rig_
        ->run_one(0,
                  [](PartyId, cli::Output& out, cli::Common& common) {
                    const auto db = session::open_state_db(MemberConfig::load(common.member_file));
                    const auto record = store::RoomStore(*db).find("rig");
                    const auto saved = store::EpochStore(*db).load(record->rid);
                    out.result({{"erased", saved->state.size() == 0}});
                    return cli::kOk;
                  })
        .last()["erased"];
  }

  std::unique_ptr<RoomRig> rig_;
};

TEST_P(RollbackTest, AnOlderStateDbIsNoticedBeforeTheSecretIsUsed) {
  rig_->save("version 1");
  rig_->write_shares("k2.json", "k", "0123456789abcdef", "raw", {{"replaces", 1}});
  all_ok(rig_->import("k2.json"));
  for (const Ended& e : use_secret()) {
    ASSERT_EQ(e.code, cli::kOk) << e.out;
    EXPECT_EQ(e.last()["version"], 2);
  }
  rig_->save("version 2");
  put_back("version 1", {"state/state.db"});
  // The own log knows it first, before anything is told to the others.
  const auto noticed = use_secret();
  EXPECT_EQ(noticed[0].code, cli::kBadInput) << noticed[0].out;
  EXPECT_THAT(noticed[0].error(),
              AllOf(HasSubstr("state.db is older than once.db"), HasSubstr("restore the newest")));
  put_back("version 2", {"state/state.db"});  // the remedy
  all_ok(use_secret());
  // If its last entries are given up, the secret's version tells.
  put_back("version 1", {"state/state.db"});
  accept();
  bool said = false;
  for (const Ended& e : use_secret()) {
    EXPECT_TRUE(e.code == cli::kRefused || e.code == cli::kNetworkFailed) << e.out;
    said = said || (e.error().find("version 1") != std::string::npos &&
                    e.error().find("version 2") != std::string::npos &&
                    e.error().find("restore the newer state.db") != std::string::npos);
  }
  EXPECT_TRUE(said);
}

TEST_P(RollbackTest, AnOlderStateDbWithoutTheSecretNamesTheWayBack) {
  rig_->save("now");
  all_ok(rig_->run([](PartyId, cli::Output& out, cli::Common& common) {
    return cli::secret_remove(out, common, "k");
  }));
  rig_->save("removed");
  rig_->restore("now");
  put_back("removed", {"state/state.db"});
  EXPECT_EQ(use_secret()[0].code, cli::kBadInput);
  accept();
  const auto again = rig_->import("k.json");
  for (const Ended& e : again) {
    EXPECT_TRUE(e.code == cli::kRefused || e.code == cli::kNetworkFailed) << e.out;
  }
  EXPECT_THAT(again[0].error() + again[1].error(), HasSubstr("secret remove"));
  all_ok(rig_->run([](PartyId, cli::Output& out, cli::Common& common) {
    return cli::secret_remove(out, common, "k");
  }));
  all_ok(rig_->import("k.json"));
  all_ok(use_secret());
}

TEST_P(RollbackTest, OnceDbWithoutItsKeyVoidsThePoolsUntilTheOperatorConfirms) {
  all_ok(fill());
  rig_->save("backup");
  all_ok(take(256));
  put_back("backup", {"state/once.db", "state/pool"});
  fs::remove(rig_->dir(0) / "identity/once.key");  // in no backup
  const auto after = status().last();
  EXPECT_EQ(after["needs_operator"], true);
  EXPECT_GE(after["dirty"].get<int>(), 16);
  EXPECT_GE(after["life"].get<int>(), 64);
  const auto refused = rig_->import("k.json");
  EXPECT_EQ(refused[0].code, cli::kRefused) << refused[0].out;
  EXPECT_THAT(refused[0].error(), HasSubstr("peer accept"));
  for (PartyId i = 1; i < GetParam(); ++i) EXPECT_NE(refused[i].code, cli::kOk);
  const auto triples = [&](PartyId i) {
    const Ended e = rig_->run_one(i, [](PartyId, cli::Output& out, cli::Common& common) {
      return cli::stock(out, common, 0);
    });
    return e.last()["triples"].get<int>();
  };
  EXPECT_EQ(triples(0), 0);  // void here
  // A new epoch is not made before either.
  const auto new_epoch = [&] {
    return rig_->run([](PartyId, cli::Output& out, cli::Common& common) {
      return cli::init_room(out, common, true);
    });
  };
  EXPECT_EQ(new_epoch()[0].code, cli::kRefused);
  accept();
  EXPECT_EQ(status().last()["needs_operator"], false);
  EXPECT_EQ(status().last()["life"], 0);
  all_ok(use_secret());                                               // stored secrets are whole
  for (PartyId i = 0; i < GetParam(); ++i) EXPECT_EQ(triples(i), 0);  // and at the others
  // dirty stays full: preprocessing needs a new epoch, in which the secrets stay.
  const auto dirty = fill();
  EXPECT_EQ(dirty[0].code, cli::kRefused) << dirty[0].out;
  EXPECT_THAT(dirty[0].error(), HasSubstr("init --new-epoch"));
  all_ok(new_epoch());
  all_ok(use_secret());
}

// Put back beside its key it is not noticed, as once_db.h says; but an honest peer's cursor moves
// the old one on, and the items that passed do not come again.
TEST_P(RollbackTest, AnOlderCursorMeetsTheMaximumOfTheOthers) {
  all_ok(fill());
  rig_->save("before");
  const auto first = take(256);
  all_ok(first);
  for (const Ended& e : first) EXPECT_EQ(e.last()["cursor"], 0) << e.out;
  put_back("before", {"state/once.db", "state/pool"});
  const auto second = take(256);
  all_ok(second);
  for (PartyId i = 0; i < GetParam(); ++i) {
    EXPECT_EQ(second[i].last()["cursor"], first[i].last()["next"]);
    EXPECT_NE(second[i].last()["mac"], first[i].last()["mac"]);
  }
}

// The pool's files alone, beside today's once.db: the keys of what was used are gone.
TEST_P(RollbackTest, OldPoolFilesOpenNothingThatWasUsed) {
  all_ok(fill());
  rig_->save("before");
  const auto first = take(256);
  all_ok(first);
  put_back("before", {"state/pool"});
  const auto second = take(256);
  all_ok(second);
  for (PartyId i = 0; i < GetParam(); ++i) {
    EXPECT_EQ(second[i].last()["cursor"], first[i].last()["next"]);
  }
}

// once.db is in no backup: it knows that state.db is of before the present epoch.
TEST_P(RollbackTest, AStateDbOfBeforeTheEpochIsNamedAndTheWayForwardIsTheOperators) {
  rig_->save("old");
  all_ok(new_epoch());
  rig_->save("now");
  put_back("old", {"state/state.db"});
  wait_briefly(true);
  const std::vector<Ended> refused = {status(), rig_->init()[0], new_epoch()[0]};
  wait_briefly(false);
  for (const Ended& e : refused) {
    EXPECT_EQ(e.code, cli::kBadInput) << e.out;
    EXPECT_THAT(e.error(),
                AllOf(HasSubstr("older than the present epoch"),
                      HasSubstr("put the newest state.db back"), Not(HasSubstr("--new-epoch"))));
  }
  put_back("now", {"state/state.db"});  // the way back: nothing was lost
  all_ok(use_secret());
  put_back("old", {"state/state.db"});
  all_ok({give_up()});
  // The others still have their part, and say who has none.
  const auto alone = rig_->init();
  for (const Ended& e : alone) EXPECT_NE(e.code, cli::kOk);
  EXPECT_THAT(alone[1].error(), HasSubstr("does not have the epoch"));
  // Its keys are given up; the rows in it still fit the others'.
  all_ok(new_epoch());
  all_ok(use_secret());
}

// What goes and what stays is named before anybody says yes.
TEST_P(RollbackTest, GivingUpNamesWhatIsLost) {
  class Asked final : public Decider {
   public:
    Answer approve(const Summary&) override { return Answer::kNo; }
    std::optional<std::string> human_input(const Question& question) override {
      text = question.text;
      return "no";
    }
    std::string text;
  };
  RoomOptions options;
  options.member_file = rig_->dir(0) / "member.toml";
  const auto asked = [&] {
    Asked operator_of_0;
    EXPECT_FALSE(give_up_state(options, operator_of_0));
    return operator_of_0.text;
  };
  all_ok(fill());
  rig_->save("old");
  rig_->write_shares("k2.json", "later", "0123456789abcdef");
  all_ok(rig_->import("k2.json"));
  rig_->save("now");
  put_back("old", {"state/state.db"});
  EXPECT_THAT(asked(), AllOf(HasSubstr("is an older one"), HasSubstr("of use unless it was"),
                             HasSubstr(": k v1. Secrets and versions that are not in this list"),
                             HasSubstr("part of the epoch of 20"), HasSubstr("stock of "),
                             Not(HasSubstr("later"))));
  fs::remove(rig_->dir(0) / "state/state.db");
  EXPECT_THAT(asked(), AllOf(HasSubstr("No state.db lies in"), HasSubstr("of room rig are lost"),
                             HasSubstr("stock of ")));
  EXPECT_FALSE(fs::exists(rig_->dir(0) / "state/state.db"));
  put_back("now", {"state/state.db"});  // nothing was changed by asking
  all_ok(use_secret());
}

TEST_P(RollbackTest, AMissingStateDbIsNotMadeAnew) {
  rig_->save("now");
  for (const char* suffix : {"", "-wal", "-shm"}) {
    fs::remove(rig_->dir(0) / ("state/state.db" + std::string(suffix)));
  }
  wait_briefly(true);
  const std::vector<Ended> refused = {status(), rig_->init()[0], new_epoch()[0],
                                      rig_->import("k.json")[0]};
  wait_briefly(false);
  for (const Ended& e : refused) {
    EXPECT_EQ(e.code, cli::kBadInput) << e.out;
    EXPECT_THAT(e.error(), AllOf(HasSubstr("is missing"), HasSubstr("put it back"),
                                 Not(HasSubstr("--new-epoch"))));
  }
  EXPECT_FALSE(fs::exists(rig_->dir(0) / "state/state.db"));
  put_back("now", {"state/state.db"});
  all_ok(use_secret());
  // Gone for good.
  fs::remove(rig_->dir(0) / "state/state.db");
  all_ok({give_up()});
  make_anew();
  all_ok(use_secret());
}

// Another name, profile or courier in room.toml, or a second room: nothing of the first is touched.
TEST_P(RollbackTest, AnotherRoomOfTheSameFolderTouchesNothing) {
  all_ok(fill());
  const auto before = status().last();
  burn();
  rig_->edit_room("name = \"rig\"", "name = \"second\"");
  const auto second = rig_->init();
  all_ok(second);
  EXPECT_EQ(status().last()["secrets"], 0);
  EXPECT_EQ(status().last()["burned"], false);
  EXPECT_GE(status().last()["life"].get<int>(), 1) << "LIFE is the member's, in whatever room";
  rig_->write_shares("other.json", "other", "0123");
  all_ok(rig_->import("other.json"));
  rig_->edit_room("name = \"second\"", "name = \"rig\"");
  EXPECT_EQ(status().last()["secrets"], before["secrets"]);
  EXPECT_EQ(status().last()["burned"], true) << "cleared by a room of another name";
  rig_->edit_room("name = \"rig\"", "name = \"second\"");
  EXPECT_EQ(status().last()["secrets"], 1);
}

TEST_P(RollbackTest, ARoomThatIsAnotherOneInAllButNameIsRefusedInWords) {
  const auto refused = [&](const std::string& why) {
    for (const Ended& e : {status(), rig_->init()[0]}) {
      EXPECT_EQ(e.code, cli::kBadInput) << e.out;
      EXPECT_THAT(e.error(), HasSubstr(why));
    }
  };
  rig_->edit_room("name = \"rig\"", "name = \"rig\"\nprofile = \"high\"");
  refused("was made with \"default\"");
  rig_->edit_room("\nprofile = \"high\"", "");
  rig_->edit_room("name = \"m1\"", "name = \"other\"");
  EXPECT_THAT(status().error(), HasSubstr("lists the members"));
  rig_->edit_room("name = \"other\"", "name = \"m1\"");
  all_ok(use_secret());
  if (GetParam() == 3) {  // another courier is the same room
    rig_->edit_room("name = \"rig\"", "name = \"rig\"\ncourier = \"m2\"");
    all_ok(use_secret());
  }
}

// A member under its next certificate is the same member: its secrets, and what is counted of it.
TEST_P(RollbackTest, ANewCertificateKeepsTheMember) {
  rig_->run_one(0, [](PartyId, cli::Output& out, cli::Common& common) {
    room::open_state(common.member_file, nullptr)->once().begin_batches(3);
    out.result({});
    return cli::kOk;
  });
  const auto old = rig_->run_one(1, [](PartyId, cli::Output& out, cli::Common& common) {
    out.result({{"fingerprint",
                 to_hex(room::open_state(common.member_file, nullptr)->identity().fingerprint())}});
    return cli::kOk;
  });
  const net::Identity next = net::Identity::make("m1");
  for (const char* file : {"member.key", "tls.key", "tls.crt"}) {
    fs::remove(rig_->dir(1) / "identity" / file);
  }
  next.save(rig_->dir(1) / "identity");
  rig_->edit_room(old.last()["fingerprint"], to_hex(next.fingerprint()));
  all_ok(use_secret());
  EXPECT_EQ(status().last()["life"], 3);
  const auto ids = rig_->run([](PartyId, cli::Output& out, cli::Common& common) {
    const auto opened = room::open_state(common.member_file, nullptr);
    session::MemberState& state = *opened;
    nlohmann::json mids;
    for (const store::MemberId& mid : state.mids()) mids.push_back(to_hex(mid));
    out.result({{"rid", to_hex(state.rid())}, {"mids", mids}});
    return cli::kOk;
  });
  const Digest first = net::parse_fingerprint(old.last()["fingerprint"].get<std::string>(), "test");
  for (const Ended& e : ids) {
    EXPECT_EQ(e.last(), ids[0].last());
    EXPECT_EQ(e.last()["mids"][1], to_hex(store::first_member_id(first)));
  }
}

// A cheat while once.db cannot be written: kept beside it, and in force from the next command on.
TEST_P(RollbackTest, ACheatIsRecordedAlsoWhileOnceDbIsLocked) {
  const auto ended = rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
    support::Inside joined(out, common);
    joined.session().guard([&] {
      joined.session().start();
      if (i != 0) {
        (void)joined.session().party().receive(0, "test/never", 1);
        return;
      }
      sqlite3* lock = nullptr;
      sqlite3_open((rig_->dir(0) / "state/once.db").c_str(), &lock);
      EXPECT_EQ(sqlite3_exec(lock, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
      throw ProtocolAbort(AbortCode::kMac, "test", "a wrong MAC");
    });
    return cli::kOk;
  });
  EXPECT_EQ(ended[0].code, cli::kCheat) << ended[0].out;
  const auto next = rig_->init();
  EXPECT_EQ(next[0].code, cli::kRefused) << next[0].out;
  EXPECT_EQ(status().last()["burned"], true);
  EXPECT_GE(status().last()["life"].get<int>(), 64) << "not known which check: the worst";
  EXPECT_TRUE(keys_erased());
}

// And where it cannot be kept beside it either: the session counts as the worst that a verdict it
// awaited could have been. (RLIMIT_FSIZE is a full disk of the process's own.)
TEST_P(RollbackTest, ACheatThatCouldBeWrittenNowhereCountsAsTheWorst) {
  const auto ended = rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
    support::Inside joined(out, common);
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    const auto failed_check = [&] {
      joined.session().start();
      if (i != 0) {
        (void)joined.session().party().receive(0, "test/never", 1);
        return;
      }
      const prep::Verdict verdict(&joined.state().once());
      sqlite3* lock = nullptr;
      sqlite3_open((rig_->dir(0) / "state/once.db").c_str(), &lock);
      EXPECT_EQ(sqlite3_exec(lock, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
      signal(SIGXFSZ, SIG_IGN);
      const rlimit full{0, before.rlim_max};
      setrlimit(RLIMIT_FSIZE, &full);
      throw ProtocolAbort(AbortCode::kZeroTest, "test", "a member deviated");
    };
    try {
      joined.session().guard(failed_check);
    } catch (const ProtocolAbort&) {
      setrlimit(RLIMIT_FSIZE, &before);  // there is room again before the session ends
      throw;
    }
    return cli::kOk;
  });
  EXPECT_NE(ended[0].code, cli::kOk);
  rig_->save("after");
  accept();  // before any session entered the mark
  all_ok(fill());
  EXPECT_EQ(status().last()["life"], 0);
  rig_->restore("after");
  all_ok(use_secret());  // what needs no preprocessing
  EXPECT_EQ(status().last()["burned"], false);
  EXPECT_GE(status().last()["life"].get<int>(), 64);
  EXPECT_EQ(fill()[0].code, cli::kRefused);
  accept();
  all_ok(fill());
}

// The same of a check behind which nothing is awaited: the session's mark stays, also where there
// is room again when it ends, and counts as a batch without a verdict.
TEST_P(RollbackTest, ACheatOutsideOfVerdictsThatCouldBeWrittenNowhereCountsAsABatch) {
  const auto before = status().last();
  const auto ended = rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
    support::Inside joined(out, common);
    rlimit room{};
    getrlimit(RLIMIT_FSIZE, &room);
    try {
      joined.session().guard([&] {
        joined.session().start();
        if (i != 0) {
          (void)joined.session().party().receive(0, "test/never", 1);
          return;
        }
        sqlite3* lock = nullptr;
        sqlite3_open((rig_->dir(0) / "state/once.db").c_str(), &lock);
        EXPECT_EQ(sqlite3_exec(lock, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
        signal(SIGXFSZ, SIG_IGN);
        const rlimit full{0, room.rlim_max};
        setrlimit(RLIMIT_FSIZE, &full);
        throw ProtocolAbort(AbortCode::kMac, "test", "a wrong MAC");
      });
    } catch (const ProtocolAbort&) {
      setrlimit(RLIMIT_FSIZE, &room);
      throw;
    }
    return cli::kOk;
  });
  EXPECT_NE(ended[0].code, cli::kOk);
  all_ok(use_secret());
  EXPECT_EQ(status().last()["dirty"].get<int>(), before["dirty"].get<int>() + 1);
  EXPECT_EQ(status().last()["life"].get<int>(), before["life"].get<int>() + 1);
}

// A kill while the others' messages are awaited is no hidden verdict: the operator is not asked.
TEST_P(RollbackTest, AKilledSetUpOrRefreshCountsAsABatchWithoutAVerdict) {
  rig_->save("before");
  const int life = status().last()["life"].get<int>();
  for (const bool refresh : {false, true}) {
    rig_->restore("before");
    const std::string label = refresh ? "rows/own row" : "setup/trees";
    const auto ended = rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
      common.connected = [i, label](net::Party& party) {
        party.set_tamper([i, label](const net::MessageId& message, Bytes&) {
          if (i == 0 && message.label.starts_with(label)) kill(getpid(), SIGKILL);
        });
      };
      return refresh ? cli::secret_refresh(out, common) : cli::init_room(out, common, true);
    });
    EXPECT_TRUE(ended[0].killed) << ended[0].out;
    all_ok(use_secret());  // the epoch is the old one
    EXPECT_EQ(status().last()["life"].get<int>(), life + 1);
    EXPECT_EQ(status().last()["burned"], false);
    EXPECT_EQ(status().last()["needs_operator"], false);
  }
}

// Killed in a session: what it may have known and not written down counts as one batch without a
// verdict, and nothing is lost.
TEST_P(RollbackTest, AKilledSessionCountsAsABatchWithoutAVerdict) {
  const auto before = status().last();
  rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
    support::Inside joined(out, common);
    joined.session().guard([&] {
      joined.session().start();
      if (i == 0) kill(getpid(), SIGKILL);
      (void)joined.session().party().receive(0, "test/never", 1);
    });
    return cli::kOk;
  });
  all_ok(use_secret());
  const auto after = status().last();
  EXPECT_EQ(after["dirty"].get<int>(), before["dirty"].get<int>() + 1);
  EXPECT_EQ(after["life"].get<int>(), before["life"].get<int>() + 1);
  EXPECT_EQ(after["burned"], false);
  all_ok(use_secret());
  EXPECT_EQ(status().last()["dirty"], after["dirty"]) << "once only";
}

TEST_P(RollbackTest, ABurnedEpochKeepsNoKeys) {
  EXPECT_FALSE(keys_erased());
  burn();
  (void)rig_->init();
  EXPECT_TRUE(keys_erased());
}

INSTANTIATE_TEST_SUITE_P(Rooms, RollbackTest, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, RollbackTest, ::testing::ValuesIn(support::in_long_runs({3})));

}  // namespace
}  // namespace flexroom
