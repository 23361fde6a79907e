#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/room_rig.h"

// Files of a member put back as they were some time ago (boolean-engine.md §8.2): what is noticed,
// and what of it an honest peer makes good.

namespace flexroom {
namespace {

using support::RoomRig;
using Ended = RoomRig::Ended;
using ::testing::HasSubstr;
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
  std::vector<Ended> use_secret() {
    return rig_->run([](PartyId, cli::Output& out, cli::Common& common) {
      support::Inside joined(out, common);
      joined.session().guard([&] {
        joined.session().start();
        joined.state().secrets().agree(joined.session().party(), {joined.state().secret("k").id});
      });
      out.result({{"version", joined.state().secret("k").version}});
      return cli::kOk;
    });
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
        EXPECT_FALSE(joined.session().pool().live_was_needed());
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

  std::unique_ptr<RoomRig> rig_;
};

TEST_P(RollbackTest, AnOlderStateDbIsNoticedBeforeTheSecretIsUsed) {
  rig_->save("version 1");
  all_ok(rig_->import("k.json"));
  for (const Ended& e : use_secret()) {
    ASSERT_EQ(e.code, cli::kOk) << e.out;
    EXPECT_EQ(e.last()["version"], 2);
  }
  rig_->save("version 2");
  put_back("version 1", {"state/state.db"});
  bool said = false;
  for (const Ended& e : use_secret()) {
    EXPECT_TRUE(e.code == cli::kRefused || e.code == cli::kNetworkFailed) << e.out;
    said = said || (e.error().find("version 1") != std::string::npos &&
                    e.error().find("version 2") != std::string::npos &&
                    e.error().find("restore the newer state.db") != std::string::npos);
  }
  EXPECT_TRUE(said);
  put_back("version 2", {"state/state.db"});  // the remedy
  all_ok(use_secret());
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
  ASSERT_EQ(rig_->run_one(0, [](PartyId, cli::Output& out,
                                cli::Common& common) { return cli::peer_accept(out, common); })
                .code,
            cli::kOk);
  EXPECT_EQ(status().last()["needs_operator"], false);
  EXPECT_EQ(status().last()["life"], 0);
  all_ok(use_secret());                                               // stored secrets are whole
  for (PartyId i = 0; i < GetParam(); ++i) EXPECT_EQ(triples(i), 0);  // and at the others
  // dirty stays full: preprocessing needs a new epoch, with or without the secrets.
  const auto dirty = fill();
  EXPECT_EQ(dirty[0].code, cli::kRefused) << dirty[0].out;
  EXPECT_THAT(dirty[0].error(), HasSubstr("secret refresh"));
  all_ok(new_epoch());
  all_ok(rig_->import("k.json"));
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

INSTANTIATE_TEST_SUITE_P(Rooms, RollbackTest, ::testing::Values(2, 3));

}  // namespace
}  // namespace flexroom
