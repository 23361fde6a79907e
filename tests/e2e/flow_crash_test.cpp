#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "e2e/crash_rig.h"

// An account, its key and their rotation, killed anywhere (crash_rig.h); other shipped flows:
// flows_crash_test.cpp.

namespace flexroom::flow {
namespace {

using ::testing::HasSubstr;

TEST_F(FlowCrash, AnAccountIsMadeOnceWhereverItIsKilledSweep) {
  const Counts first = counts();
  auto base = history();
  ASSERT_TRUE(base->finish(shipped_file("create-account"), 1)) << base->last[0];
  ASSERT_EQ(harm(*base, first, false), "");
  size_t turn = 0;
  for (const size_t at : some_of(base->steps(0), 7)) {
    for (const Kill& kill : kills(at, turn++)) {
      SCOPED_TRACE(std::to_string(at) + (kill.all ? " all" : " of " + std::to_string(kill.member)));
      const Counts before = counts();
      auto h = history(2 + turn % 2);  // attack 62: rooms of two and of three
      ASSERT_TRUE(fired(h->session(shipped_file("create-account"), History::Op::kRun, kill), kill));
      ASSERT_TRUE(h->finish(shipped_file("create-account"))) << h->last[0] << " / " << h->last[1];
      ASSERT_EQ(harm(*h, before, false), "");
    }
  }
}

// operations.md (f): the member's card is charged once, and the one card that it bought is the
// room's, wherever its purchase is killed; then that one pays for the account.
TEST_F(FlowCrash, ACardIsBoughtOnceWhereverItsPurchaseIsKilledSweep) {
  const auto bought_once = [&](History& h, size_t charges, size_t cards) -> std::string {
    const std::vector<std::string> paid = seen_->values("charge"),
                                   made = seen_->values("card number");
    if (paid.size() != charges + 1) return "charges: " + std::to_string(paid.size() - charges);
    if (made.size() != cards + 1) return "cards: " + std::to_string(made.size() - cards);
    if (paid.back() != kCard) return "another card was charged";
    return h.current("card", "card-number") == made.back() ? "" : "the room has another card";
  };
  const auto counted = [&] {
    return std::pair(seen_->values("charge").size(), seen_->values("card number").size());
  };
  const auto [no_charges, no_cards] = counted();
  auto base = history();
  ASSERT_TRUE(base->finish(shipped_file("buy-card"), 1)) << base->last[0];
  ASSERT_EQ(bought_once(*base, no_charges, no_cards), "");
  size_t turn = 0;
  const size_t steps = base->steps(0);
  for (const size_t at : some_of(steps, 9)) {
    for (const Kill& kill : kills(at, turn++)) {
      SCOPED_TRACE(std::to_string(at) + (kill.all ? " all" : " of " + std::to_string(kill.member)));
      const auto [charges, cards] = counted();
      auto h = history();
      ASSERT_TRUE(fired(h->session(shipped_file("buy-card"), History::Op::kRun, kill), kill));
      ASSERT_TRUE(h->finish(shipped_file("buy-card"))) << h->last[0] << " / " << h->last[1];
      ASSERT_EQ(bought_once(*h, charges, cards), "");
    }
  }
  const std::string card = base->current("card", "card-number");
  const Counts before = counts();
  base->arguments["payer"] = "room:card";
  ASSERT_TRUE(base->finish(shipped_file("create-account"), 1)) << base->last[0];
  ASSERT_EQ(harm(*base, before, false), "");
  EXPECT_EQ(seen_->values("charge").back(), card);
}

TEST_F(FlowCrash, AKeyIsMadeOnceWhereverItIsKilledSweep) {
  const Counts before = counts();
  auto base = history();
  ASSERT_TRUE(base->finish(shipped_file("create-account"), 1)) << base->last[0];
  ASSERT_TRUE(base->finish(shipped_file("create-session"), 1)) << base->last[0];
  ASSERT_EQ(harm(*base, before, true), "");
  size_t turn = 0;
  for (const size_t at : some_of(base->steps(0), 4)) {
    for (const Kill& kill : kills(at, turn++)) {
      SCOPED_TRACE(std::to_string(at) + (kill.all ? " all" : " of " + std::to_string(kill.member)));
      const Counts now = counts();
      auto h = history(2 + turn % 2);
      ASSERT_TRUE(h->finish(shipped_file("create-account"), 1)) << h->last[0];
      ASSERT_TRUE(fired(h->session(shipped_file("create-session"), History::Op::kRun, kill), kill));
      ASSERT_TRUE(h->finish(shipped_file("create-session"))) << h->last[0] << " / " << h->last[1];
      ASSERT_EQ(harm(*h, now, true), "");
    }
  }
}

// operations.md (d): run again it makes a key, proves it, and then the one before goes, at the
// provider and in the state.
TEST_F(FlowCrash, ARotationProvesTheNewKeyBeforeTheOldOneGoes) {
  const Counts before = counts();
  auto h = history();
  ASSERT_TRUE(h->finish(shipped_file("create-account"), 1)) << h->last[0];
  ASSERT_TRUE(h->finish(shipped_file("create-session"), 1)) << h->last[0];
  const std::string first = h->current("account", "keys/id");
  const std::string secret = h->current("account", "keys/secret");
  std::vector<std::string> order;
  h->toy.at_step = [&](const std::string& step) { order.push_back(step); };
  watch_keys(*h, h->current("account", "account-id"));
  ASSERT_TRUE(h->finish(shipped_file("create-session"), 1)) << h->last[0];
  EXPECT_NE(h->current("account", "keys/id"), first);
  EXPECT_NE(h->current("account", "keys/secret"), secret);
  EXPECT_EQ(harm(*h, before, true), "");
  EXPECT_FALSE(keys(*h).contains(first));
  const auto place = [&](const char* step) {
    return std::find(order.begin(), order.end(), step) - order.begin();
  };
  EXPECT_LT(place("CreateAWSCredentials"), place("GetCallerIdentity"));
  EXPECT_LT(place("GetCallerIdentity"), place("DeleteOldKey"));
  EXPECT_LT(place("DeleteOldKey"), static_cast<ptrdiff_t>(order.size()));
}

TEST_F(FlowCrash, ARotationKilledAnywhereLeavesOneKeyAndNeverNoneSweep) {
  const Counts before = counts();
  auto h = history();
  ASSERT_TRUE(h->finish(shipped_file("create-account"), 1)) << h->last[0];
  ASSERT_TRUE(h->finish(shipped_file("create-session"), 1)) << h->last[0];
  watch_keys(*h, h->current("account", "account-id"));
  ASSERT_TRUE(h->finish(shipped_file("create-session"), 1)) << h->last[0];
  const size_t steps = h->steps(0);
  size_t turn = 0;
  // One rotation behind the other: each begins with the key that the one before left.
  for (const size_t at : some_of(steps, 8)) {
    for (const Kill& kill : kills(at, turn++)) {
      SCOPED_TRACE(std::to_string(at) + (kill.all ? " all" : " of " + std::to_string(kill.member)));
      const std::string old = h->current("account", "keys/id");
      ASSERT_TRUE(fired(h->session(shipped_file("create-session"), History::Op::kRun, kill), kill));
      ASSERT_TRUE(h->finish(shipped_file("create-session"))) << h->last[0] << " / " << h->last[1];
      ASSERT_EQ(harm(*h, before, true), "");
      ASSERT_NE(h->current("account", "keys/id"), old);
    }
  }
}

// A member whose backup is of before a rotation has the key that is gone.
TEST_F(FlowCrash, ABackupOfBeforeARotationIsRefusedWithItsRemedy) {
  const Counts before = counts();
  auto h = history();
  ASSERT_TRUE(h->finish(shipped_file("create-account"), 1)) << h->last[0];
  ASSERT_TRUE(h->finish(shipped_file("create-session"), 1)) << h->last[0];
  h->save(1, "backup");
  ASSERT_TRUE(h->finish(shipped_file("create-session"), 1)) << h->last[0];
  const std::set<std::string> live = keys(*h);
  h->restore(1, "backup");
  const std::vector<std::string> refused = h->session(shipped_file("create-session"));
  for (const std::string& one : refused) {
    EXPECT_THAT(one, HasSubstr("restored: once.db of m1"));
    EXPECT_THAT(one, HasSubstr("only --abandon, then a new run"));
  }
  EXPECT_EQ(keys(*h), live) << "no key was made or deleted";
  ASSERT_TRUE(History::done(h->session(shipped_file("create-session"), History::Op::kAbandon)));
  ASSERT_TRUE(h->finish(shipped_file("create-session"))) << h->last[0];
  EXPECT_EQ(harm(*h, before, true), "");
}

// The same of an account in the making: nothing is made a second time, and nothing is lost.
TEST_F(FlowCrash, ARestoredMemberFindsTheAccountThatIsBeingMade) {
  const Counts before = counts();
  auto h = history();
  const Kill first{0, 30}, second{0, 40};
  ASSERT_TRUE(fired(h->session(shipped_file("create-account"), History::Op::kRun, first), first));
  h->save(1, "backup");
  ASSERT_TRUE(fired(h->session(shipped_file("create-account"), History::Op::kRun, second), second));
  h->restore(1, "backup");
  for (const std::string& one : h->session(shipped_file("create-account"))) {
    EXPECT_THAT(one, HasSubstr("restored: m1 lacks what all had committed"));
  }
  ASSERT_TRUE(History::done(h->session(shipped_file("create-account"), History::Op::kGoOn)));
  ASSERT_TRUE(h->finish(shipped_file("create-account"))) << h->last[0];
  EXPECT_EQ(harm(*h, before, false), "");
}

}  // namespace
}  // namespace flexroom::flow
