#include "prep/masked_ands.h"

#include <gtest/gtest.h>

#include <map>
#include <tuple>

#include "support/masked_rig.h"

// Masked triples over real COT (engine-v2.md §V2): honest runs, every message altered, and the
// leaks that a wrong string or a wrong tuple buys.

namespace flexroom::prep {
namespace masked_ands_test {

using support::expect_masked_triples;
using support::flip_bit_of;
using support::run_masked;

// --- Honest runs ---------------------------------------------------------------------------------

class MaskedAndsTest
    : public ::testing::TestWithParam<std::tuple<size_t /* n */, unsigned /* K = w */>> {};

TEST_P(MaskedAndsTest, AreRightAndAuthentic) {
  const auto [n, bits] = GetParam();
  for (const size_t items : {size_t{1}, size_t{9}, size_t{300}, size_t{5000}, size_t{20000}}) {
    MemorySafety safety[4];
    const auto run = run_masked(n, {items, bits}, safety);
    ASSERT_TRUE(run.outcomes[0].value.has_value());
    EXPECT_EQ(run.outcomes[0].value->triples.size(), items);
    expect_masked_triples(run, n);
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(safety[i].dirty() + safety[i].life(), 0u);
  }
}

// engine-v2.md §2.2, §2.3: the shares Psi sum to y * G, and <G> is the key that all bits are
// authentic under.
TEST_P(MaskedAndsTest, SharesOfTheKeyProductAreThoseOfTheKey) {
  const size_t n = std::get<0>(GetParam());
  const unsigned bits = std::get<1>(GetParam());
  constexpr size_t kItems = 700;
  MemorySafety safety[4];
  const auto run = run_masked(n, {kItems, bits}, safety);
  const auto views = support::views_of<support::MaskedRun>(run);
  const auto part = [&](AuthBits support::MaskedRun::*member) {
    support::Views<AuthBits> out;
    for (const auto* view : views) out.push_back(&(view->*member));
    support::expect_authentic(out, support::epoch_deltas(n));
    return support::secret_bits(out);
  };
  const auto key = part(&support::MaskedRun::key), y = part(&support::MaskedRun::y);
  const size_t words = bits / 64;
  for (size_t t = 0; t < kItems; ++t) {
    for (size_t word = 0; word < words; ++word) {
      uint64_t sum = 0, expected = 0;
      for (const auto* view : views) sum ^= view->psi[t * words + word];
      for (size_t q = 0; q < 64; ++q) expected |= uint64_t{key[64 * word + q]} << q;
      ASSERT_EQ(sum, y[t] != 0 ? expected : 0) << t;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, MaskedAndsTest,
                         ::testing::Values(std::tuple(2, 64u), std::tuple(2, 128u),
                                           std::tuple(3, 64u), std::tuple(3, 128u),
                                           std::tuple(4, 64u)));

// Two batches of one session: another key, other tweaks, other streams.
TEST(MaskedAnds, EveryBatchHasItsOwnKey) {
  const auto epochs = support::deal_epoch(2);
  const auto run = support::run_parties(2, [&](net::Party& party) {
    MemorySafety safety;
    BitGenerator generator(party, epochs[party.id()], 4096, 0, &safety);
    GeneratorSupply supply(generator);
    Context context{party, supply, safety};
    std::vector<Bytes> keys;
    for (uint64_t batch = 1; batch <= 2; ++batch) {
      const size_t counts[] = {1};
      VecTriple product = std::move(make_field_products(context, counts)[0].triple);
      make_masked_ands(context, supply, {40, 64}, std::move(product));
      keys.push_back(supply.keyed_bits(8, 64).key().packed_shares());
      EXPECT_EQ(context.leaky_and_counter, 40 * batch);
      EXPECT_EQ(context.key_tuple_counter, 2 * 64 * batch);
    }
    return keys[0] != keys[1];
  });
  for (const auto& outcome : run.outcomes) EXPECT_EQ(outcome.value, true);
}

// --- Cost (engine-v2.md §2.8) --------------------------------------------------------------------

TEST(MaskedAnds, MessagesHaveTheSizesOfTheSpecification) {
  constexpr size_t kItems = size_t{1} << 13;
  MemorySafety safety[2];
  const auto run = run_masked(2, {kItems, 64}, safety);
  std::map<std::string, size_t> bytes;
  for (const auto& message : run.trace) {
    if (message.sender == 0) bytes[message.label] += message.bytes;
  }
  EXPECT_EQ(bytes["key trees"], 2592u);
  EXPECT_EQ(bytes["key cot/corrections"], (31 + 16) * (kItems + 128) / 8);
  EXPECT_EQ(bytes["key cot/check answer"], 3088u);
  EXPECT_EQ(bytes["key tuple/u"], 2048u);
  EXPECT_EQ(bytes["key tuple/g"], 32u);
  EXPECT_EQ(bytes["key tuple/o"], 1040u);
  EXPECT_EQ(bytes["key tuple/v"], 32u);
  EXPECT_EQ(bytes["masked and/U"], 8 * kItems);
  EXPECT_EQ(bytes["masked and/d"], kItems / 8);
  EXPECT_EQ(bytes["masked and/p"], 1040u);
  EXPECT_EQ(bytes["masked and/zero masked"], 16u);
  EXPECT_EQ(bytes["masked and/zero e"], 32u);
  EXPECT_EQ(bytes["masked and/zero verdict"], 32u);
}

// --- One altered message -------------------------------------------------------------------------

class MaskedTamperTest : public ::testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Sizes, MaskedTamperTest, ::testing::Values(2, 3));

// Where a wrong bit may have no effect at all; each has a test of its own.
bool may_be_harmless(const std::string& label) {
  return label == "masked and/U" || label == "key tuple/u" || label == "key trees" ||
         label.ends_with("cot/corrections");
}

TEST_P(MaskedTamperTest, NoAlteredMessageYieldsTriples) {
  const size_t n = GetParam();
  constexpr MaskedBatchSize kSize{9, 64};
  MemorySafety clean[4];
  const auto honest = run_masked(n, kSize, clean);
  size_t tried = 0;
  for (const net::MessageId& message : honest.trace) {
    if (may_be_harmless(message.label) || support::of_the_product(message)) continue;
    if (n > 2 && message.sender != 1) continue;  // by symmetry
    MemorySafety safety[4];
    const auto run = run_masked(n, kSize, safety, flip_bit_of(message));
    ++tried;
    EXPECT_FALSE(run.outcomes[message.receiver].value.has_value())
        << message.label << " #" << message.index << " from " << message.sender;
    EXPECT_TRUE(std::any_of(run.outcomes.begin(), run.outcomes.end(),
                            [](const auto& outcome) {
                              return outcome.abort &&
                                     outcome.abort->abort_class() == AbortClass::kBooleanCheat;
                            }))
        << message.label << " #" << message.index;
  }
  EXPECT_GE(tried, n == 2 ? 30u : 30u);
}

struct Attack {
  std::string label;
  AbortCode expected;
};

// engine-v2.md §2.7: each check by the message that fails it. n = 2: party 0 holds constants, so
// that its lie about a masked value does not fit its own shares.
TEST_P(MaskedTamperTest, EveryCheckFailsForItsOwnReason) {
  const size_t n = GetParam();
  const auto honest = static_cast<PartyId>(n - 1);
  const bool two = n == 2;
  const std::vector<Attack> attacks = {
      {"key cot/check answer", AbortCode::kRowCheck},
      {"key tuple/g", two ? AbortCode::kMac : AbortCode::kEcho},
      {"key tuple/o", AbortCode::kMac},
      {"key tuple/v", AbortCode::kMac},
      {"key tuple/eta/coin open", AbortCode::kCoin},
      {"masked and/h/coin open", AbortCode::kCoin},
      {"masked and/d", two ? AbortCode::kZeroTest : AbortCode::kEcho},
      {"masked and/chi/coin open", AbortCode::kCoin},
      {"masked and/p", AbortCode::kMac},
      {"masked and/zero masked", two ? AbortCode::kMac : AbortCode::kEcho},
      {"masked and/zero e", AbortCode::kMac},
      {"masked and/zero verdict", AbortCode::kMac},
  };
  for (const Attack& attack : attacks) {
    const auto code = support::decided_code([&] {
      MemorySafety safety[4];
      return run_masked(n, {9, 64}, safety, flip_bit_of({0, honest, attack.label}))
          .outcomes[honest]
          .code();
    });
    EXPECT_EQ(code, attack.expected) << attack.label;
  }
}

// Told to everybody alike the echo passes; the checks behind it do not.
TEST_P(MaskedTamperTest, TheSameLieToAllFails) {
  const size_t n = GetParam();
  const auto cheat = static_cast<PartyId>(n - 1);
  for (const auto& [label, code] : {std::pair("masked and/d", AbortCode::kZeroTest),
                                    std::pair("key tuple/g", AbortCode::kSacrifice)}) {
    MemorySafety safety[4];
    const std::string lie = label;
    const auto run =
        run_masked(n, {9, 64}, safety, [&](const net::MessageId& message, Bytes& payload) {
          if (message.sender == cheat && message.label == lie) payload[0] ^= 1;
        });
    const AbortCode expected = code;
    for (PartyId i = 0; i + 1 < n; ++i) EXPECT_FALSE(run.outcomes[i].value.has_value());
    EXPECT_TRUE(std::any_of(run.outcomes.begin(), run.outcomes.end(), [&](const auto& outcome) {
      // n > 2: the liar's own record of what it said differs, which the echo finds first.
      return outcome.code() == expected || outcome.code() == AbortCode::kEcho;
    })) << label;
  }
}

TEST_P(MaskedTamperTest, WrongLengthsAreRefused) {
  const size_t n = GetParam();
  for (const std::string label :
       {"key trees", "key cot/corrections", "key cot/check seed", "key cot/check answer",
        "key tuple/u", "key tuple/g", "key tuple/o", "key tuple/v", "masked and/U", "masked and/d",
        "masked and/p"}) {
    MemorySafety safety[4];
    const auto run =
        run_masked(n, {9, 64}, safety, [&](const net::MessageId& message, Bytes& payload) {
          if (message.sender == 1 && message.receiver == 0 && message.label == label) {
            payload.push_back(0);
          }
        });
    EXPECT_EQ(run.outcomes[0].code(), AbortCode::kUnexpectedMessage) << label;
  }
}

// --- What wrong strings and wrong tuples tell ----------------------------------------------------

class MaskedLeakTest
    : public ::testing::TestWithParam<std::tuple<size_t /* n */, unsigned /* K = w */>> {};
INSTANTIATE_TEST_SUITE_P(Sizes, MaskedLeakTest,
                         ::testing::Values(std::tuple(2, 64u), std::tuple(2, 128u),
                                           std::tuple(3, 64u)));

// A wrong U at item t is unnoticed iff the receiver's x is 0 there. The triples are right then, and
// the receiver's x^ of that item is a coin to whoever learnt x: that is what the mask is for.
TEST_P(MaskedLeakTest, AWrongStringPassesExactlyWhereXIsZeroAndTellsNothingOfTheMaskedX) {
  const auto [n, bits] = GetParam();
  constexpr size_t kItem = 2;
  const size_t runs = n == 2 ? 60 : 24;
  size_t passed = 0, ones = 0;
  for (size_t seed = 100; seed < 100 + runs; ++seed) {
    std::optional<bool> x;
    MemorySafety safety[4], clean[4];
    const auto honest = run_masked(n, {8, bits}, clean, nullptr, seed);
    x = honest.outcomes[1].value->xr.share(kItem);
    const auto run = run_masked(n, {8, bits}, safety,
                                flip_bit_of({0, 1, "masked and/U"}, kItem * bits / 8 + 3, 3), seed);
    EXPECT_EQ(run.outcomes[1].value.has_value(), !*x);
    if (*x) continue;
    ++passed;
    expect_masked_triples(run, n);
    ones += run.outcomes[1].value->triples.x.share(kItem);
  }
  EXPECT_GT(passed, runs / 5);
  EXPECT_LT(passed, runs - runs / 5);
  EXPECT_GT(ones, 0u);
  EXPECT_LT(ones, passed);
}

// engine-v2.md §2.4: a wrong u is unnoticed iff that bit of the chooser's key is 0.
TEST_P(MaskedLeakTest, AWrongTuplePassesExactlyWhereTheKeyBitIsZero) {
  const auto [n, bits] = GetParam();
  size_t passed = 0;
  const size_t step = n == 2 ? 3 : 9;
  MemorySafety clean[4];
  const auto honest = run_masked(n, {8, bits}, clean);
  for (size_t q = 0; q < bits; q += step) {
    for (const size_t h : {size_t{0}, size_t{1}}) {
      MemorySafety safety[4];
      const auto run = run_masked(n, {8, bits}, safety,
                                  flip_bit_of({0, 1, "key tuple/u"}, 16 * (h * bits + q) + 7, 2));
      const bool bit = honest.outcomes[1].value->key.share(q);
      EXPECT_EQ(run.outcomes[1].value.has_value(), !bit) << q;
      if (bit) continue;
      ++passed;
      expect_masked_triples(run, n);
    }
  }
  EXPECT_GT(passed, 2u);
}

// engine-v2.md §2.4, "all u are wrong": a failing v shows a form of the key, of a batch that does
// not come to be.
TEST_P(MaskedLeakTest, AWrongTupleEndsTheBatchBeforeItsCoin) {
  const auto [n, bits] = GetParam();
  MemorySafety safety[4];
  const auto run =
      run_masked(n, {8, bits}, safety, [&](const net::MessageId& message, Bytes& payload) {
        if (message.sender == 0 && message.label == "key tuple/u") {
          // Another bit for every bit of the key: no key but zero passes.
          for (size_t at = 0; at < payload.size(); at += 16) {
            const size_t q = at / 16 % 128;
            payload[at + q / 8] ^= static_cast<uint8_t>(1u << (q % 8));
          }
        }
      });
  for (PartyId i = 1; i < n; ++i) {
    EXPECT_FALSE(run.outcomes[i].value.has_value());
    EXPECT_EQ(safety[i].dirty(), 1u);  // counted before the own share of v left
  }
  for (const auto& message : run.trace) EXPECT_FALSE(message.label.starts_with("masked and/h"));
}

}  // namespace masked_ands_test
}  // namespace flexroom::prep
