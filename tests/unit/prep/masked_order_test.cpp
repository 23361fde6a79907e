#include <gtest/gtest.h>

#include <set>
#include <type_traits>

#include "math/gf128.h"
#include "support/dependent.h"
#include "support/masked_rig.h"

// Order, states and counts of masked triples (engine-v2.md §2.5, §2.6), and the attacks on variants
// without a rule (V7), which have to fail here.

namespace flexroom::prep {
namespace masked_order_test {

using support::run_masked;

// --- States (Q2): a key goes one way, and is moved all the way -----------------------------------

static_assert(!std::is_copy_constructible_v<KeyedBits> && !std::is_copy_assignable_v<KeyedBits>);
static_assert(!std::is_copy_constructible_v<TupledKey> && !std::is_copy_assignable_v<TupledKey>);
static_assert(!std::is_copy_constructible_v<TossedKey> && !std::is_copy_assignable_v<TossedKey>);
// No key without rows, no rows without their key, no tuple or coin without both.
static_assert(!std::is_default_constructible_v<KeyedBits>);
static_assert(!std::is_default_constructible_v<TupledKey>);
static_assert(
    !std::is_constructible_v<KeyedBits, AuthBits, AuthBits, math::SecretVector<uint64_t>>);
// Only by giving the key away.
template <typename Key>
concept TossesAKeptKey = requires(Key& key) {
  key.toss();
};
static_assert(!TossesAKeptKey<TupledKey>);
template <typename Key>
concept FinishesAKeptKey = requires(Key& key) {
  key.finish();
};
static_assert(!FinishesAKeptKey<TossedKey>);
// After its coin a key makes no rows, no tuple and no second coin, by type, and is not put
// together.
static_assert(!std::is_aggregate_v<TossedKey> && !std::is_default_constructible_v<TossedKey>);
static_assert(!std::is_move_assignable_v<TossedKey>);
static_assert(!std::is_constructible_v<KeyedBits, TossedKey>);
static_assert(!std::is_constructible_v<TupledKey, TossedKey>);
static_assert(!std::is_invocable_v<decltype(&TupledKey::make), Context&, TossedKey>);
template <typename Key>
concept MayBeTossed = requires(Key key) {
  std::move(key).toss();
};
static_assert(MayBeTossed<TupledKey> && !MayBeTossed<TossedKey> && !MayBeTossed<KeyedBits>);

/// Runs `body(context, supply)` at two parties.
template <typename Body>
void with_supply(Body body) {
  const auto epochs = support::deal_epoch(2);
  support::run_parties(2, [&](net::Party& party) {
    MemorySafety safety;
    BitGenerator generator(party, epochs[party.id()], 4096, 0, &safety);
    GeneratorSupply supply(generator);
    Context context{party, supply, safety};
    body(context, supply);
    return true;
  });
}

TossedKey tossed(Context& context, TupledKey& key) {
  key.commit_coin(context);
  key.receive_commitments();
  return std::move(key).toss();
}

TEST(MaskedStatesDeathTest, AKeyHasOneTuple) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto twice = [] {
    with_supply([](Context& context, KeyedBitSupply& supply) {
      KeyedBits bits = supply.keyed_bits(8, 64);
      (void)TupledKey::make(context, std::move(bits));
      (void)TupledKey::make(context, std::move(bits));  // NOLINT(bugprone-use-after-move)
    });
  };
  EXPECT_DEATH(twice(), "key_bits");
}

TEST(MaskedStatesDeathTest, AKeyHasOneCoin) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto twice = [] {
    with_supply([](Context& context, KeyedBitSupply& supply) {
      TupledKey key = TupledKey::make(context, supply.keyed_bits(8, 64));
      (void)tossed(context, key);
      (void)std::move(key).toss();  // NOLINT(bugprone-use-after-move)
    });
  };
  EXPECT_DEATH(twice(), "counted");
  const auto committed_twice = [] {
    with_supply([](Context& context, KeyedBitSupply& supply) {
      TupledKey key = TupledKey::make(context, supply.keyed_bits(8, 64));
      key.commit_coin(context);
      key.commit_coin(context);
    });
  };
  EXPECT_DEATH(committed_twice(), "coin_ == nullptr");
}

TEST(MaskedStatesDeathTest, ATossedKeyServesOneBatch) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto twice = [] {
    with_supply([](Context& context, KeyedBitSupply& supply) {
      TupledKey key = TupledKey::make(context, supply.keyed_bits(8, 64));
      TossedKey last = tossed(context, key);
      (void)std::move(last).finish();
      (void)std::move(last).finish();  // NOLINT(bugprone-use-after-move)
    });
  };
  EXPECT_DEATH(twice(), "count_ != nullptr");
}

// --- Order (Q1, Q4, Q6, Q7, Q9) ------------------------------------------------------------------

/// What party `of` sent, in order, after the product was made.
std::vector<std::string> labels_sent(size_t n, PartyId of, MemorySafety* safety) {
  std::vector<std::string> out;
  const auto run = run_masked(n, {9, 64}, safety);
  EXPECT_TRUE(run.outcomes[of].value.has_value());
  for (const auto& message : run.trace) {
    if (message.sender == of && !support::of_the_product(message)) out.push_back(message.label);
  }
  return out;
}

size_t last_of(const std::vector<std::string>& sent, std::string_view label) {
  size_t at = sent.size();
  for (size_t i = 0; i < sent.size(); ++i) {
    if (sent[i] == label) at = i;
  }
  EXPECT_LT(at, sent.size()) << label;
  return at;
}

size_t first_of(const std::vector<std::string>& sent, std::string_view prefix) {
  for (size_t i = 0; i < sent.size(); ++i) {
    if (sent[i].starts_with(prefix)) return i;
  }
  ADD_FAILURE() << prefix;
  return sent.size();
}

class MaskedOrderTest : public ::testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Sizes, MaskedOrderTest, ::testing::Values(2, 3));

// Q1, Q6 at the sender, and over all parties: nobody's part of a coin before anybody's last message
// that the coin is about.
TEST_P(MaskedOrderTest, CoinsFollowWhatTheyAreAbout) {
  const size_t n = GetParam();
  std::vector<std::string> sent;
  MemorySafety safety[4];
  run_masked(n, {20000, 64}, safety, [&](const net::MessageId& message, Bytes&) {
    if (!support::of_the_product(message)) sent.push_back(message.label);
  });
  // Commitments leave early, they tell nothing; what was committed to does not.
  const std::string step = "/coin open";
  const auto expect_before = [&](std::string_view first, const std::string& coin) {
    EXPECT_LT(last_of(sent, first), first_of(sent, coin + step)) << first << " " << coin;
  };
  for (const std::string_view first : {"key trees", "key cot/check answer", "key tuple/v"}) {
    expect_before(first, "masked and/h");
  }
  expect_before("masked and/U", "masked and/h");
  expect_before("key tuple/u", "key tuple/eta");
  expect_before("key tuple/g", "key tuple/eta");
  expect_before("masked and/d", "masked and/chi");
}

// A party whose peer holds back its last U, or its share of v, sends no part of coin h.
TEST_P(MaskedOrderTest, NoPartOfTheCoinBeforeTheLastStringAndTheOwnChecks) {
  const size_t n = GetParam();
  for (const std::string held : {"masked and/U", "key tuple/v"}) {
    MemorySafety safety[4];
    const auto run = run_masked(n, {9, 64}, safety, [&](const net::MessageId& message, Bytes&) {
      if (message.sender == 1 && message.receiver == 0 && message.label == held) {
        throw ProtocolAbort(AbortCode::kPeerLost, "test", "vanishes");
      }
    });
    for (const auto& message : run.trace) {
      if (message.sender != 0) continue;
      EXPECT_NE(message.label, "masked and/h/coin open") << held;
      EXPECT_NE(message.label, "masked and/d") << held;
    }
  }
}

// Q9: what is computed from bits leaves after the row checks of these bits.
TEST_P(MaskedOrderTest, StringsLeaveAfterTheRowChecks) {
  MemorySafety safety[4];
  const auto sent = labels_sent(GetParam(), 0, safety);
  for (const std::string_view later : {"key tuple/u", "masked and/U"}) {
    EXPECT_LT(last_of(sent, "key cot/check answer"), first_of(sent, later));
    EXPECT_LT(last_of(sent, "cot/check answer"), first_of(sent, later));
    if (GetParam() > 2) {
      EXPECT_LT(first_of(sent, "bits/consistency tag"), first_of(sent, later));
    }
  }
}

// A row check that fails is the last thing of a party: neither u nor U leaves after it.
TEST_P(MaskedOrderTest, NothingLeavesAfterAFailedCheck) {
  const size_t n = GetParam();
  struct Case {
    std::string altered;
    std::vector<std::string> kept;  // never sent by party 0 then
  };
  for (const Case& one :
       {Case{"key trees", {"key cot/check seed", "key tuple", "masked and"}},
        Case{"key cot/check answer", {"key tuple", "masked and"}},
        Case{"key tuple/o", {"key tuple/v", "masked and"}},
        Case{"masked and/p", {"masked and/zero"}},  // T is checked before p is used (Q6)
        Case{"masked and/zero e", {"masked and/zero verdict"}}}) {
    MemorySafety safety[4];
    const auto run =
        run_masked(n, {9, 64}, safety, [&](const net::MessageId& message, Bytes& payload) {
          if (message.sender == 1 && message.receiver == 0 && message.label == one.altered) {
            payload.back() ^= 1;
          }
        });
    EXPECT_FALSE(run.outcomes[0].value.has_value());
    for (const auto& message : run.trace) {
      if (message.sender != 0) continue;
      for (const std::string& kept : one.kept) {
        EXPECT_FALSE(message.label.starts_with(kept)) << message.label << ", " << one.altered;
      }
    }
  }
}

// --- The count (Q4, Q5; engine-v2.md §2.6) -------------------------------------------------------

/// Notes what had left when the counts went up and down.
class ObservingSafety : public Safety {
 public:
  void watch(net::Party& party) { party_ = &party; }
  void require_preprocessing_allowed() override {}
  void begin_batches(size_t count) override { begun.push_back({count, sent()}); }
  void finish_batches(size_t count) override { finished.push_back({count, sent()}); }
  void before_verdict() override { ++awaited; }
  void after_verdict() override { ++passed; }
  struct Step {
    size_t count;
    std::set<std::string> sent;
  };
  std::vector<Step> begun, finished;
  size_t awaited = 0, passed = 0;

 private:
  std::set<std::string> sent() const {
    std::set<std::string> out;
    for (const auto& [label, bytes] : party_->traffic().bytes_sent_by_label) out.insert(label);
    return out;
  }
  net::Party* party_ = nullptr;
};

TEST_P(MaskedOrderTest, CountsBeforeTheShareOfVAndUntilTheZeroTestPassed) {
  const size_t n = GetParam();
  const auto epochs = support::deal_epoch(n);
  std::vector<ObservingSafety> safety(n);
  const auto run = support::run_parties(n, [&](net::Party& party) {
    ObservingSafety& own = safety[party.id()];
    own.watch(party);
    BitGenerator generator(party, epochs[party.id()], 4096, 0, &own);
    GeneratorSupply supply(generator);
    Context context{party, supply, own};
    const size_t counts[] = {1};
    VecTriple product = std::move(make_field_products(context, counts)[0].triple);
    make_masked_ands(context, supply, {9, 64}, std::move(product));
    return true;
  });
  for (PartyId i = 0; i < n; ++i) {
    ASSERT_TRUE(run.outcomes[i].value.has_value());
    ASSERT_EQ(safety[i].begun.size(), 2u);  // the product's, then the batch's
    ASSERT_EQ(safety[i].finished.size(), 2u);
    const auto& begun = safety[i].begun[1].sent;
    EXPECT_TRUE(begun.contains("key tuple/o"));
    EXPECT_FALSE(begun.contains("key tuple/v"));
    EXPECT_FALSE(begun.contains("masked and/U"));
    EXPECT_TRUE(safety[i].finished[1].sent.contains("masked and/zero verdict"));
    EXPECT_EQ(safety[i].awaited, safety[i].passed);
    EXPECT_GE(safety[i].awaited, 5u);  // sacrifice, row checks, trees, v, zero test
  }
}

// A peer that goes away at any message: counted iff it could have seen something first.
TEST_P(MaskedOrderTest, ACutAtAnyMessageCountsAsTheSpecificationSays) {
  const size_t n = GetParam();
  MemorySafety clean[4];
  const auto honest = run_masked(n, {9, 64}, clean);
  std::set<std::string> labels;
  for (const auto& message : honest.trace) {
    if (message.sender == 1 && message.receiver == 0) labels.insert(message.label);
  }
  size_t counted = 0;
  for (const std::string& label : labels) {
    MemorySafety safety[4];
    const auto run = run_masked(n, {9, 64}, safety, [&](const net::MessageId& message, Bytes&) {
      if (message.sender == 1 && message.receiver == 0 && message.label == label) {
        throw ProtocolAbort(AbortCode::kPeerLost, "test", "vanishes");
      }
    });
    EXPECT_FALSE(run.outcomes[0].value.has_value()) << label;
    if (label.starts_with("field products/")) {
      continue;  // ALookAtTheCoinChiIsCounted
    }
    // Bits that the zero test takes are made before, or are part of a batch that was begun.
    const bool expected = label == "key tuple/v" || label.starts_with("masked and/");
    EXPECT_EQ(safety[0].dirty(), expected ? 1u : 0u) << label;
    EXPECT_EQ(safety[0].life(), safety[0].dirty()) << label;
    counted += expected;
  }
  EXPECT_GE(counted, 8u);
}

TEST_P(MaskedOrderTest, NoMoreHiddenFailuresThanTheLimit) {
  const size_t n = GetParam();
  MemorySafety safety[4] = {MemorySafety(3, 64), MemorySafety(3, 64), MemorySafety(3, 64),
                            MemorySafety(3, 64)};
  for (size_t round = 1; round <= 3; ++round) {
    run_masked(n, {9, 64}, safety, [](const net::MessageId& message, Bytes&) {
      if (message.sender == 1 && message.label == "masked and/zero verdict") {
        throw ProtocolAbort(AbortCode::kPeerLost, "test", "vanishes");
      }
    });
    EXPECT_EQ(safety[0].dirty(), round);
    EXPECT_EQ(safety[0].life(), round);
  }
  EXPECT_THROW(safety[0].require_preprocessing_allowed(), ProtocolAbort);
  const auto refused = run_masked(n, {9, 64}, safety);
  EXPECT_EQ(refused.outcomes[0].code(), AbortCode::kTooManyUnfinished);
  EXPECT_EQ(safety[0].dirty(), 3u);
}

// A class A failure in a batch is no guess to be repeated: LIFE is full (boolean-engine.md §10.3).
TEST(MaskedCounts, AFailureOfClassAFillsLife) {
  for (const std::string label :
       {"key cot/check answer", "key tuple/g", "masked and/d", "key trees"}) {
    MemorySafety safety[2];
    const auto run =
        run_masked(2, {9, 64}, safety, [&](const net::MessageId& message, Bytes& payload) {
          if (message.sender == 1 && message.label == label) payload.back() ^= 1;
        });
    ASSERT_TRUE(run.outcomes[0].abort.has_value()) << label;
    safety[0].burn(run.outcomes[0].abort->code());
    EXPECT_EQ(safety[0].life(), 64u) << label;
  }
}

// --- Attacks on variants without a rule (engine-v2.md, V7) ---------------------------------------

RoScope test_scope() {
  RoScope scope;
  scope.eid[0] = 1;
  scope.sid[0] = 2;
  return scope;
}

// Chi known before d (Q6): party 1 alters d at items whose coefficients sum to zero.
TEST(MaskedAttacks, AKnownChiWouldForgeTriples) {
  constexpr size_t kItems = 256;
  constexpr uint64_t kCoinsBefore = 4;  // chi and eta of the product, eta, h
  Digest seed{};
  int opened = 0;
  MemorySafety safety[2];
  const auto run =
      run_masked(2, {kItems, 64}, safety, [&](const net::MessageId& m, Bytes& payload) {
        if (m.label == "masked and/chi/coin open") {
          ++opened;
          for (size_t b = 0; b < seed.size(); ++b) seed[b] ^= payload[b];
        }
        if (m.sender != 1 || m.label != "masked and/d") return;
        Block chi_seed(1, 1);  // its best guess, if it does not know chi yet
        if (opened == 2) {
          chi_seed = load_block(RandomOracle("coin", test_scope(), kCoinsBefore)
                                    .field("masked and/chi")
                                    .field(seed)
                                    .digest()
                                    .data());
        }
        std::vector<Block> chi(kItems);
        math::ChiStream(chi_seed).fill(0, chi);
        for (const size_t t : support::dependent(chi)) {
          payload[t / 8] ^= static_cast<uint8_t>(1u << (t % 8));
        }
      });
  EXPECT_FALSE(run.outcomes[0].value.has_value()) << "took triples with wrong products";
}

// The coin h decides after U (Q1): a sender that knew it could leave the relation between the x^ of
// two items whose words agree. Known before, it would always hold; here it is a coin.
TEST(MaskedAttacks, WrongStringsAtTwoItemsTellNoRelationOfTheMaskedX) {
  size_t passed = 0, equal = 0;
  for (uint64_t seed = 1; seed <= 120; ++seed) {
    MemorySafety safety[2];
    const auto run = run_masked(
        2, {4, 64}, safety,
        [&](const net::MessageId& m, Bytes& payload) {
          if (m.sender != 0 || m.label != "masked and/U") return;
          payload[3] ^= 8;
          payload[8 + 3] ^= 16;
        },
        seed);
    if (!run.outcomes[1].value) continue;
    ++passed;
    const AuthBits& x = run.outcomes[1].value->triples.x;
    equal += x.share(0) == x.share(1);
  }
  EXPECT_GT(passed, 12u);
  EXPECT_GT(equal, 0u);
  EXPECT_LT(equal, passed);
}

}  // namespace masked_order_test
}  // namespace flexroom::prep
