#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "session/member_session.h"

namespace flexroom::session {
namespace {

// What an abort leaves on disk (boolean-engine.md §10.2): read back through a second OnceDb, as the
// next run would.
class RecordAbortTest : public ::testing::Test {
 protected:
  void SetUp() override {
    dir_ = std::filesystem::path(::testing::TempDir()) / ("abort-" + std::to_string(getpid()));
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
    std::filesystem::permissions(dir_, std::filesystem::perms::owner_all);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  store::OnceDb::Counters after(AbortCode code, int times = 1) {
    {
      store::OnceDb once(dir_ / "once.db", dir_ / "once.key", false, {16, 64});
      for (int i = 0; i < times; ++i) record_abort(once, ProtocolAbort(code, "test", "made up"), 0);
    }
    return store::OnceDb(dir_ / "once.db", dir_ / "once.key", true, {16, 64}).counters();
  }
  std::filesystem::path dir_;
};

TEST_F(RecordAbortTest, BooleanCheatBurnsTheEpoch) { EXPECT_TRUE(after(AbortCode::kMac).burned); }

// The named peer is the one of the room, whatever this member's own place in it.
TEST_F(RecordAbortTest, AGuessCountsTowardsTheMemberThatMadeIt) {
  const auto peer = [](uint8_t name) {
    store::MemberId out{};
    out[0] = name;
    return out;
  };
  for (PartyId self = 0; self < 3; ++self) {
    for (PartyId named = 0; named < 3; ++named) {
      if (named == self) continue;
      SetUp();
      std::vector<store::MemberId> peers;
      for (PartyId i = 0; i < 3; ++i) {
        if (i != self) peers.push_back(peer(static_cast<uint8_t>(i + 1)));
      }
      {
        store::OnceDb once(dir_ / "once.db", dir_ / "once.key", false, {16, 64}, peers);
        record_abort(once, ProtocolAbort(AbortCode::kRowCheck, "test", "made up", named), self);
      }
      for (const store::MemberId& one : peers) {
        store::OnceDb once(dir_ / "once.db", dir_ / "once.key", true, {16, 64}, {one});
        EXPECT_EQ(once.counters().life, one[0] == named + 1 ? 64u : 0u);
      }
    }
  }
}

TEST_F(RecordAbortTest, FpCheatIsAStrikeAndTheSixteenthBurns) {
  const auto first = after(AbortCode::kFpMac);
  EXPECT_FALSE(first.burned);
  EXPECT_EQ(first.strikes, 1u);
  EXPECT_TRUE(after(AbortCode::kFpMac, 15).burned);
}

TEST_F(RecordAbortTest, NetworkAndRefuseLeaveNothing) {
  for (const AbortCode code : {AbortCode::kServer, AbortCode::kPeerLost, AbortCode::kViewMismatch,
                               AbortCode::kDisagreement, AbortCode::kCancelled}) {
    const auto counters = after(code);
    EXPECT_FALSE(counters.burned);
    EXPECT_EQ(counters.strikes, 0u);
    EXPECT_EQ(counters.life, 0u);
  }
}

}  // namespace
}  // namespace flexroom::session
