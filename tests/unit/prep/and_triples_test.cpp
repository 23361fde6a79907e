#include "prep/and_triples.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <tuple>

#include "prep/field_products.h"
#include "prep/leaky_ands.h"
#include "prep/memory_safety.h"
#include "support/parties.h"
#include "support/relations.h"

// Runs on the dealer's bits and field products, so that a failure here is a failure of the triples.

namespace flexroom::prep {
namespace {

using support::Dealer;
using support::deltas_of;
using support::expect_triples;

TripleParameters small(size_t bucket_size, size_t batch, unsigned string_bits) {
  return {bucket_size, batch, string_bits, true};
}

std::vector<VecTriple> products_for(Source& source, size_t count) {
  std::vector<VecTriple> out;
  for (size_t k = 0; k < count; ++k) out.push_back(source.vec_triple(1));
  return out;
}

auto run_triples(size_t num_parties, const TripleParameters& parameters, MemorySafety* safety,
                 net::Tamper tamper = nullptr, uint64_t seed = 7) {
  Dealer dealer(num_parties, seed);
  return support::run_parties(
      num_parties,
      [&](net::Party& party) {
        Source& source = dealer.source(party.id());
        support::DealerSupply supply(source);
        Context context{party, supply, safety[party.id()]};
        return make_and_triples(context, parameters, products_for(source, parameters.bucket_size));
      },
      std::move(tamper), std::chrono::seconds(20), seed);
}

// --- Honest runs --------------------------------------------------------------------------------

class AndTriplesTest : public ::testing::TestWithParam<
                           std::tuple<size_t /* n */, unsigned /* w */, size_t /* B */>> {};

TEST_P(AndTriplesTest, AreRightAndAuthentic) {
  const auto [n, w, buckets] = GetParam();
  for (const size_t batch : {size_t{4}, size_t{1024}, size_t{16384}}) {
    MemorySafety safety[4];
    const auto run = run_triples(n, small(buckets, batch, w), safety);
    const auto views = support::views_of<AndTriples>(run);
    ASSERT_EQ(views[0]->size(), batch);
    expect_triples(views, deltas_of(Dealer(n, 7), n));
    for (size_t i = 0; i < n; ++i) EXPECT_EQ(safety[i].dirty() + safety[i].life(), 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, AndTriplesTest,
                         ::testing::Values(std::tuple(2, 64u, 4), std::tuple(2, 128u, 3),
                                           std::tuple(3, 64u, 4), std::tuple(3, 128u, 3),
                                           std::tuple(4, 64u, 3)));

// Layer by layer (high profile) and all layers together give the same kind of triples.
TEST(AndTriplesLargeTest, LayersOfLargeBatchesAreMadeOneByOne) {
  MemorySafety safety[2];
  const auto run = run_triples(2, small(2, size_t{1} << 18, 64), safety);
  expect_triples(support::views_of<AndTriples>(run), deltas_of(Dealer(2, 7), 2));
  const auto coins = std::count_if(run.trace.begin(), run.trace.end(), [](const auto& message) {
    return message.sender == 0 && message.label == "leaky and/chi/coin commit";
  });
  EXPECT_EQ(coins, 2);
}

TEST(AndTriplesTrafficTest, BytesPerTripleAreThoseOfTheCostModel) {
  MemorySafety safety[2];
  const size_t batch = size_t{1} << 14;
  const auto run = run_triples(2, small(4, batch, 64), safety);
  size_t bytes = 0;
  for (const auto& message : run.trace) bytes += message.sender == 0 ? message.bytes : 0;
  const double per_triple = static_cast<double>(bytes) / static_cast<double>(batch);
  EXPECT_NEAR(per_triple, 32 + 0.5 + 0.375, 0.1);  // U, d, bucket openings
}

// --- One altered message
// --------------------------------------------------------------------------

class AndTriplesTamperTest : public ::testing::TestWithParam<size_t> {};

// Whatever single message is altered, its receiver gets no triples, and some party calls it
// cheating. Strings U are excepted: where the receiver's x is 0 a wrong one has no effect (below).
TEST_P(AndTriplesTamperTest, NoAlteredMessageYieldsTriples) {
  const size_t n = GetParam();
  const TripleParameters parameters = small(3, 8, 64);
  MemorySafety clean[4];
  const auto honest = run_triples(n, parameters, clean);
  size_t tried = 0;
  for (const net::MessageId& message : honest.trace) {
    if (message.label == "leaky and/U") continue;
    // n = 3: by symmetry the messages of one corrupted party.
    if (n > 2 && message.sender != 1) continue;
    MemorySafety safety[4];
    const auto run = run_triples(n, parameters, safety, support::flip_bit_of(message));
    ++tried;
    EXPECT_FALSE(run.outcomes[message.receiver].value.has_value())
        << message.label << " #" << message.index << " from " << message.sender;
    EXPECT_TRUE(std::any_of(run.outcomes.begin(), run.outcomes.end(), [](const auto& outcome) {
      return outcome.abort && outcome.abort->abort_class() == AbortClass::kBooleanCheat;
    })) << message.label;
  }
  EXPECT_GE(tried, n == 2 ? 14u : 20u);
}

struct Attack {
  std::string label;
  AbortCode expected;
};

TEST_P(AndTriplesTamperTest, EveryCheckFailsForItsOwnReason) {
  const size_t n = GetParam();
  // Party 0 holds constants, so its lie about a masked value does not fit its own shares.
  const auto honest = static_cast<PartyId>(n - 1);
  const std::vector<Attack> attacks = {
      {"leaky and/d", n == 2 ? AbortCode::kZeroTest : AbortCode::kEcho},
      {"leaky and/zero masked", n == 2 ? AbortCode::kMac : AbortCode::kEcho},
      {"leaky and/zero e", AbortCode::kMac},
      {"leaky and/zero verdict", AbortCode::kMac},
      {"and triples/bucket d", AbortCode::kMac},
  };
  for (const Attack& attack : attacks) {
    // Another honest one may be first; then this one sees that one's abort, and it is tried again.
    const auto code = support::decided_code([&] {
      MemorySafety safety[4];
      const auto run =
          run_triples(n, small(3, 8, 64), safety, support::flip_bit_of({0, honest, attack.label}));
      return run.outcomes[honest].code();
    });
    EXPECT_EQ(code, attack.expected) << attack.label;
  }
}

// A wrong d told to everybody alike passes the echo; the zero test is what stops it.
TEST_P(AndTriplesTamperTest, TheSameWrongDToAllFailsTheZeroTest) {
  const size_t n = GetParam();
  MemorySafety safety[4];
  const auto cheat = static_cast<PartyId>(n - 1);
  const auto run =
      run_triples(n, small(3, 8, 64), safety, [&](const net::MessageId& message, Bytes& payload) {
        if (message.sender == cheat && message.label == "leaky and/d") {
          payload[0] ^= 1;
        }
      });
  for (PartyId i = 0; i + 1 < n; ++i) EXPECT_FALSE(run.outcomes[i].value.has_value());
  EXPECT_TRUE(std::any_of(run.outcomes.begin(), run.outcomes.end(), [](const auto& outcome) {
    // n > 2: the liar's own record of what it said differs, which the echo finds first.
    return outcome.code() == AbortCode::kZeroTest || outcome.code() == AbortCode::kEcho;
  }));
}

INSTANTIATE_TEST_SUITE_P(Sizes, AndTriplesTamperTest, ::testing::Values(2, 3));

// --- Selective failure of U -------------------------------------------------------------------

class WrongStringTest : public ::testing::TestWithParam<std::tuple<size_t, unsigned>> {};

// §5.2: a wrong U at item t is unnoticed iff the receiver's x is 0 there. Bucketing removes what
// that tells; what must not happen is a wrong triple.
TEST_P(WrongStringTest, PassesExactlyWhereTheReceiversXIsZero) {
  const size_t n = std::get<0>(GetParam());
  const unsigned w = std::get<1>(GetParam());
  constexpr size_t kItem = 2;
  const size_t runs = n == 2 ? 60 : 20;
  const size_t string_bytes = w / 8;
  size_t passed = 0;
  for (size_t seed = 100; seed < 100 + runs; ++seed) {
    // Two dealers with the same Delta, so that call number 0 of the first is x.
    Dealer dealer(n, seed), product_dealer(n, seed), same(n, seed);
    MemorySafety safety[4];
    const auto run = support::run_parties(
        n,
        [&](net::Party& party) {
          support::DealerSupply supply(dealer.source(party.id()));
          Context context{party, supply, safety[party.id()]};
          BatchInFlight batch(safety[party.id()]);
          auto layers = make_leaky_ands(context, small(2, 8, w), 1,
                                        products_for(product_dealer.source(party.id()), 1), batch);
          return std::move(layers[0]);
        },
        support::flip_bit_of({0, 1, "leaky and/U"}, kItem * string_bytes + 5, 3));
    const bool x = same.source(1).random_bits(3 * 8).share(kItem);
    EXPECT_EQ(run.outcomes[1].value.has_value(), !x);
    if (x) continue;
    ++passed;
    expect_triples(support::views_of<AndTriples>(run), deltas_of(dealer, n));
  }
  EXPECT_GT(passed, runs / 5);
  EXPECT_LT(passed, runs - runs / 5);
}

INSTANTIATE_TEST_SUITE_P(Sizes, WrongStringTest,
                         ::testing::Values(std::tuple(2, 64u), std::tuple(2, 128u),
                                           std::tuple(3, 64u)));

// --- Shift coin and order -----------------------------------------------------------------------

// §5.3: the coin for the shifts is tossed only after every layer's verdict.
TEST(AndTriplesOrderTest, ShiftCoinComesAfterAllVerdicts) {
  MemorySafety safety[2];
  const auto run = run_triples(2, small(4, 8, 64), safety);
  size_t verdict = 0, coin = 0, at = 0;
  for (const auto& message : run.trace) {
    ++at;
    if (message.sender != 0) continue;
    if (message.label == "leaky and/zero verdict") verdict = at;
    if (message.label == "and triples/shift/coin commit" && coin == 0) coin = at;
  }
  EXPECT_GT(verdict, 0u);
  EXPECT_GT(coin, verdict);
}

// The last opener of the shift coin may not re-roll: an opening that does not fit is cheating.
TEST(AndTriplesOrderTest, AnotherShiftSeedThanCommittedIsCheating) {
  MemorySafety safety[2];
  const auto run = run_triples(2, small(3, 8, 64), safety,
                               support::flip_bit_of({0, 1, "and triples/shift/coin open"}));
  EXPECT_EQ(run.outcomes[1].code(), AbortCode::kCoin);
  EXPECT_EQ(safety[1].dirty(), 1u);  // the batch died after its first verdict
}

// §2.3: no (S, tweak) of H twice. Every call takes its counters, one for each item.
TEST(AndTriplesOrderTest, TweakCountersAreConsumed) {
  Dealer dealer(2);
  const auto run = support::run_parties(2, [&](net::Party& party) {
    Source& source = dealer.source(party.id());
    support::DealerSupply supply(source);
    MemorySafety safety;
    Context context{party, supply, safety};
    for (uint64_t batch = 1; batch <= 2; ++batch) {
      make_and_triples(context, small(3, 8, 64), products_for(source, 3));
      EXPECT_EQ(context.leaky_and_counter, 3 * 8 * batch);
      const size_t counts[] = {2, 1};
      make_field_products(context, counts);
      EXPECT_EQ(context.field_ole_counter, 2 * 128 * (3 + 2) * batch);
    }
    return true;
  });
  for (const auto& outcome : run.outcomes) EXPECT_TRUE(outcome.value.has_value());
}

// --- Accounting (§10.3) -------------------------------------------------------------------------

// A peer that keeps its verdict share back after it saw the honest one's: the honest member counts.
TEST(AndTriplesAccountingTest, BatchThatEndsWithoutVerdictStaysCounted) {
  MemorySafety safety[2] = {MemorySafety(3, 64), MemorySafety(3, 64)};
  const auto vanish = [](const net::MessageId& message, Bytes&) {
    if (message.sender == 1 && message.label == "leaky and/zero verdict") {
      throw ProtocolAbort(AbortCode::kPeerLost, "test", "vanishes");
    }
  };
  for (size_t round = 1; round <= 3; ++round) {
    safety[0].require_preprocessing_allowed();
    const auto run = run_triples(2, small(3, 8, 64), safety, vanish);
    EXPECT_EQ(run.outcomes[0].abort->abort_class(), AbortClass::kNetwork);
    EXPECT_EQ(safety[0].dirty(), round);
    EXPECT_EQ(safety[0].life(), round);
  }
  EXPECT_THROW(safety[0].require_preprocessing_allowed(), ProtocolAbort);
}

// A batch that dies before any verdict share left costs nothing.
TEST(AndTriplesAccountingTest, BatchThatEndsBeforeTheVerdictIsNotCounted) {
  MemorySafety safety[2];
  const auto run =
      run_triples(2, small(3, 8, 64), safety, [](const net::MessageId& message, Bytes&) {
        if (message.sender == 1 && message.label == "leaky and/zero e") {
          throw ProtocolAbort(AbortCode::kPeerLost, "test", "vanishes");
        }
      });
  EXPECT_FALSE(run.outcomes[0].value.has_value());
  EXPECT_EQ(safety[0].dirty(), 0u);
}

/// Notes how many verdict shares had left when the count went up.
class ObservingSafety : public Safety {
 public:
  explicit ObservingSafety(net::Party& party) : party_(party) {}
  void require_preprocessing_allowed() override {}
  void begin_batches(size_t count) override {
    begun += count;
    const auto& sent = party_.traffic().bytes_sent_by_label;
    verdicts_before += sent.count("leaky and/zero verdict");
  }
  void finish_batches(size_t count) override {
    finished += count;
    bucket_openings_before += party_.traffic().bytes_sent_by_label.count("and triples/bucket d");
  }
  void before_verdict() override { ++awaited; }
  void after_verdict() override { ++passed; }
  size_t begun = 0, finished = 0, verdicts_before = 0, bucket_openings_before = 0;
  size_t awaited = 0, passed = 0;

 private:
  net::Party& party_;
};

TEST(AndTriplesAccountingTest, CountsUpBeforeTheVerdictAndDownAfterTheLastOpening) {
  Dealer dealer(2);
  const auto run = support::run_parties(2, [&](net::Party& party) {
    support::DealerSupply supply(dealer.source(party.id()));
    ObservingSafety safety(party);
    Context context{party, supply, safety};
    make_and_triples(context, small(4, 8, 64), products_for(dealer.source(party.id()), 4));
    return std::tuple(safety.begun, safety.finished, safety.verdicts_before,
                      safety.bucket_openings_before);
  });
  for (const auto& outcome : run.outcomes) {
    EXPECT_EQ(*outcome.value, std::tuple(size_t{1}, size_t{1}, size_t{0}, size_t{1}));
  }
}

// A member that dies between the two may have seen the check fail.
TEST(AndTriplesAccountingTest, AVerdictIsNotedUntilItPassed) {
  Dealer dealer(2);
  for (const bool cheat : {false, true}) {
    std::array<size_t, 2> awaited{}, passed{};
    (void)support::run_parties(
        2,
        [&](net::Party& party) {
          support::DealerSupply supply(dealer.source(party.id()));
          ObservingSafety safety(party);
          Context context{party, supply, safety};
          try {
            make_and_triples(context, small(3, 8, 64), products_for(dealer.source(party.id()), 3));
          } catch (const ProtocolAbort&) {
          }
          awaited[party.id()] = safety.awaited;
          passed[party.id()] = safety.passed;
          return true;
        },
        [&](const net::MessageId& message, Bytes& bytes) {
          if (cheat && message.sender == 1 && message.label == "leaky and/d") {
            bytes[0] ^= 1;
          }
        });
    EXPECT_GE(awaited[0], 1u);
    EXPECT_EQ(awaited[0] - passed[0], cheat ? 1u : 0u);
  }
}

TEST(AndTriplesAccountingTest, TheSacrificeOfFieldProductsIsAVerdictToo) {
  Dealer dealer(2);
  for (const bool cheat : {false, true}) {
    std::array<size_t, 2> awaited{}, passed{};
    (void)support::run_parties(
        2,
        [&](net::Party& party) {
          support::DealerSupply supply(dealer.source(party.id()));
          ObservingSafety safety(party);
          Context context{party, supply, safety};
          const size_t counts[] = {1};
          try {
            (void)make_field_products(context, counts);
          } catch (const ProtocolAbort&) {
          }
          awaited[party.id()] = safety.awaited;
          passed[party.id()] = safety.passed;
          return true;
        },
        [&](const net::MessageId& message, Bytes& bytes) {
          if (!cheat || message.sender != 1 || message.label != "field products/u") return;
          for (size_t at = 5; at < bytes.size(); at += 16) bytes[at] ^= 8;  // some of them matter
        });
    EXPECT_EQ(awaited[0], 1u);
    EXPECT_EQ(passed[0], cheat ? 0u : 1u);
  }
}

// Sessions side by side all pass the early answer; only the one step of comparing and counting
// keeps their sum below the limit (§10.3).
TEST(MemorySafetyTest, TheLimitIsComparedWhereItIsCounted) {
  const auto code_of = [](const auto& action) {
    try {
      action();
    } catch (const ProtocolAbort& abort) {
      return std::optional(abort.code());
    }
    return std::optional<AbortCode>();
  };
  MemorySafety safety(1, 64);
  for (int session = 0; session < 3; ++session) safety.require_preprocessing_allowed();
  safety.begin_batches(1);
  for (int session = 1; session < 3; ++session) {
    EXPECT_EQ(code_of([&] { safety.begin_batches(1); }), AbortCode::kTooManyUnfinished);
  }
  EXPECT_EQ(safety.dirty(), 1u);
  EXPECT_EQ(safety.life(), 1u);
  safety.burn(AbortCode::kRowCheck);  // LIFE is full, and stays so
  safety.finish_batches(1);
  EXPECT_EQ(safety.life(), 64u);
  EXPECT_EQ(code_of([&] { safety.begin_batches(1); }), AbortCode::kEpochBurned);
}

TEST(MemorySafetyTest, BurnedAndLifeRefuse) {
  const auto refusal = [](MemorySafety& safety) -> std::optional<AbortCode> {
    try {
      safety.require_preprocessing_allowed();
    } catch (const ProtocolAbort& abort) {
      return abort.code();
    }
    return std::nullopt;
  };
  MemorySafety burned(2, 2);
  EXPECT_EQ(refusal(burned), std::nullopt);
  burned.burn(AbortCode::kMac);
  EXPECT_EQ(refusal(burned), AbortCode::kEpochBurned);
  MemorySafety full(2, 1);
  full.begin_batches(1);  // LIFE is full, dirty is not
  EXPECT_EQ(refusal(full), AbortCode::kTooManyUnfinished);
}

}  // namespace
}  // namespace flexroom::prep
