#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "math/gf128.h"
#include "prep/and_triples.h"
#include "prep/field_products.h"
#include "prep/memory_safety.h"
#include "support/dependent.h"
#include "support/parties.h"
#include "support/relations.h"

// Coins come after what they check, and their own messages in their order (boolean-engine.md §3.2,
// §5.2, §9.3): with one known too early a cheater fits its errors to it.

namespace flexroom::prep {
namespace {

RoScope test_scope() {
  RoScope scope;
  scope.eid[0] = 1;
  scope.sid[0] = 2;
  return scope;
}

template <typename Protocol>
auto run_with_context(size_t n, Protocol protocol, net::Tamper tamper) {
  support::Dealer dealer(n, 7);
  return support::run_parties(
      n,
      [&](net::Party& party) {
        support::DealerSupply supply(dealer.source(party.id()));
        MemorySafety safety;
        Context context{party, supply, safety};
        return protocol(context, dealer.source(party.id()));
      },
      std::move(tamper), std::chrono::seconds(60), 7);
}

constexpr size_t kItems = 256;

AndTriples triples(Context& context, Source& source) {
  std::vector<VecTriple> products;
  for (int k = 0; k < 2; ++k) products.push_back(source.vec_triple(1));
  return make_and_triples(context, {2, kItems, 64, true}, std::move(products));
}

/// Every party's last message `first` precedes the first part of any party in the coin.
void expect_before(const std::vector<net::MessageId>& sent, std::string_view first,
                   std::string_view coin) {
  size_t firsts = 0, coins = 0;
  bool late = false;
  for (const net::MessageId& message : sent) {
    if (message.label == first) {
      ++firsts;
      late |= coins > 0;
    }
    if (message.label.starts_with(coin)) ++coins;
  }
  EXPECT_GT(firsts, 0u) << first;
  EXPECT_GT(coins, 0u) << coin;
  EXPECT_FALSE(late) << coin << " before " << first;
}

class CoinOrderTest : public ::testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Sizes, CoinOrderTest, ::testing::Values(2, 3));

TEST_P(CoinOrderTest, CoinsFollowWhatTheyCheck) {
  std::vector<net::MessageId> sent;
  const auto note = [&](const net::MessageId& message, Bytes&) { sent.push_back(message); };
  run_with_context(GetParam(), triples, note);
  // Opened: with n > 2 a commitment may overtake another pair's last message, its seed may not.
  const std::string_view step = GetParam() == 2 ? "/coin" : "/coin open";
  expect_before(sent, "leaky and/U", std::string("leaky and/chi").append(step));
  expect_before(sent, "leaky and/d", std::string("leaky and/chi").append(step));
  sent.clear();
  run_with_context(
      GetParam(),
      [](Context& context, Source&) {
        const size_t counts[] = {2};
        return make_field_products(context, counts).size();
      },
      note);
  expect_before(sent, "field products/u", std::string("field products/chi").append(step));
  expect_before(sent, "field products/g", std::string("field products/eta").append(step));
}

// n = 2: party 1 shows its seed only once party 0 is bound to its own.
TEST(CoinOrder, TheSecondSeedLeavesBehindTheFirstCommitment) {
  std::atomic<bool> committed = false;
  const auto run = support::run_parties(
      2,
      [&](net::Party& party) {
        // Time for a party 1 that does not wait.
        if (party.id() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(200));
        return party.coin("test");
      },
      [&](const net::MessageId& m, Bytes&) {
        if (m.sender == 0 && m.label == "test/coin commit") committed = true;
        if (m.sender == 1 && m.label == "test/coin open") {
          EXPECT_TRUE(committed);
        }
      });
  EXPECT_EQ(*run.outcomes[0].value, *run.outcomes[1].value);
}

// What a chi known too early buys: party 1 alters d at items whose coefficients sum to zero.
TEST(CoinOrder, AKnownChiWouldForgeTriples) {
  Digest seed{};
  int opened = 0;
  const auto run = run_with_context(2, triples, [&](const net::MessageId& m, Bytes& payload) {
    if (m.label == "leaky and/chi/coin open") {
      ++opened;
      for (size_t b = 0; b < seed.size(); ++b) seed[b] ^= payload[b];
    }
    if (m.sender != 1 || m.label != "leaky and/d") return;
    Block chi_seed(1, 1);  // its best guess, if it does not know chi yet
    if (opened == 2) {
      chi_seed = load_block(
          RandomOracle("coin", test_scope(), 0).field("leaky and/chi").field(seed).digest().data());
    }
    std::vector<Block> chi(kItems);
    math::ChiStream(chi_seed).fill(0, chi);
    for (const size_t t : support::dependent(chi)) {
      payload[t / 8] ^= static_cast<uint8_t>(1u << (t % 8));
    }
  });
  EXPECT_FALSE(run.outcomes[0].value.has_value()) << "took triples with wrong products";
}

}  // namespace
}  // namespace flexroom::prep
