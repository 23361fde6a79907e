#include "net/coin.h"

#include <gtest/gtest.h>

#include "support/parties.h"

// A coin whose commitments leave with messages of before (boolean-engine.md §3.2).

namespace flexroom::net {
namespace {

constexpr std::string_view kWord = "a word";

Bytes word_of(PartyId id) { return Bytes(1, static_cast<uint8_t>(id)); }

/// A word to all, the commitment behind it, and the coin once their words are here.
auto early_coins(size_t n, Tamper tamper = nullptr) {
  return support::run_parties(
      n,
      [](Party& party) {
        Coin coin(party, "test");
        party.broadcast(kWord, word_of(party.id()));
        coin.commit();
        for (const PartyId j : party.peers()) {
          EXPECT_EQ(party.receive_broadcast(j, kWord, 1), word_of(j));
        }
        coin.receive_commitments();
        return coin.toss();
      },
      std::move(tamper));
}

class CoinSteps : public ::testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Sizes, CoinSteps, ::testing::Values(2, 3));

TEST_P(CoinSteps, AreThoseOfTheCoinInOneCall) {
  const size_t n = GetParam();
  const auto early = early_coins(n);
  const auto whole = support::run_parties(n, [](Party& party) { return party.coin("test"); });
  for (size_t i = 0; i < n; ++i) {
    ASSERT_TRUE(early.outcomes[i].value && whole.outcomes[i].value);
    EXPECT_EQ(*early.outcomes[i].value, *whole.outcomes[0].value);
  }
}

TEST_P(CoinSteps, AnotherOpeningThanTheOneCommittedToIsRefused) {
  for (const std::string label : {"test/coin commit", "test/coin open"}) {
    const auto run = early_coins(GetParam(), [&](const MessageId& message, Bytes& payload) {
      if (message.sender == 0 && message.label == label) payload[7] ^= 1;
    });
    // n > 2: party 0's own record of its broadcast differs, which the echo may find first; and who
    // finds something first leaves the others a lost link.
    bool found = false;
    for (PartyId i = 1; i < GetParam(); ++i) {
      ASSERT_FALSE(run.outcomes[i].value.has_value()) << label;
      const auto code = run.outcomes[i].code();
      found = found || code == AbortCode::kCoin || code == AbortCode::kEcho;
    }
    EXPECT_TRUE(found) << label;
  }
}

// What was told before the coin is covered by the echo in front of its openings.
TEST(CoinOfThree, WordsThatDifferAreFoundBeforeAnythingIsOpened) {
  const auto run = early_coins(3, [&](const MessageId& message, Bytes& payload) {
    if (message.sender == 0 && message.receiver == 1 && message.label == "test/coin commit") {
      payload[0] ^= 1;
    }
  });
  for (const auto& outcome : run.outcomes) EXPECT_FALSE(outcome.value.has_value());
  for (const MessageId& message : run.trace) EXPECT_NE(message.label, "test/coin open");
}

TEST(CoinStepsDeathTest, OneStepAfterTheOther) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto alone = [](auto body) {
    support::run_parties(2, [&](Party& party) {
      Coin coin(party, "test");
      body(coin);
      return true;
    });
  };
  EXPECT_DEATH(alone([](Coin& coin) { (void)coin.toss(); }), "state_ == from");
  EXPECT_DEATH(alone([](Coin& coin) { coin.receive_commitments(); }), "state_ == from");
  EXPECT_DEATH(alone([](Coin& coin) {
                 coin.commit();
                 coin.commit();
               }),
               "state_ == from");
}

}  // namespace
}  // namespace flexroom::net
