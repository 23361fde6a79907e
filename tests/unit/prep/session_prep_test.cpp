#include "prep/session_prep.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>

#include "prep/memory_safety.h"
#include "prep/open.h"
#include "support/deal_epoch.h"
#include "support/parties.h"
#include "support/relations.h"

// The whole preprocessing over real COT.

namespace flexroom::prep {
namespace {

constexpr TripleParameters kSmall{3, 256, 64, true};
constexpr TripleParameters kSmallMasked{1, 256, 64, true, TripleProtocol::kMasked};

template <typename Protocol>
auto run_session(size_t n, Protocol protocol, net::Tamper tamper = nullptr,
                 MemorySafety* safety = nullptr, const TripleParameters& parameters = kSmall) {
  const auto epochs = support::deal_epoch(n);
  MemorySafety own[4];
  if (safety == nullptr) safety = own;
  return support::run_parties(
      n,
      [&](net::Party& party) {
        SessionPrep prep(party, epochs[party.id()], safety[party.id()], parameters);
        return protocol(party, prep);
      },
      std::move(tamper), std::chrono::seconds(30));
}

std::vector<Block> epoch_deltas(size_t n) {
  std::vector<Block> out;
  for (const EpochState& epoch : support::deal_epoch(n)) out.push_back(epoch.delta);
  return out;
}

class SessionPrepTest : public ::testing::TestWithParam<size_t> {
 protected:
  const size_t n_ = GetParam();
};

INSTANTIATE_TEST_SUITE_P(Sizes, SessionPrepTest, ::testing::Values(2, 3, 4));

struct Everything {
  AndTriples few, many, rest;
  size_t left = 0;
  VecTriple products;
  Powers powers;
  AuthBits owned;
};

TEST_P(SessionPrepTest, HandsOutEverythingRightAndOnce) {
  MemorySafety safety[4];
  const auto run = run_session(
      n_,
      [](net::Party&, SessionPrep& prep) {
        Everything out;
        out.few = prep.and_triples(10);
        out.left = prep.triples_in_stock();
        out.many = prep.and_triples(300);
        out.rest = prep.and_triples(prep.triples_in_stock());
        out.products = prep.vec_triple(3);
        out.powers = prep.powers(6);
        out.owned = prep.owned_bits(1, 20);
        return out;
      },
      nullptr, safety);
  const auto deltas = epoch_deltas(n_);
  const auto views = support::views_of<Everything>(run);
  const auto part = [&](auto member) {
    std::vector<const std::remove_reference_t<decltype(views[0]->*member)>*> out;
    for (const auto* view : views) out.push_back(&(view->*member));
    return out;
  };
  support::expect_triples(part(&Everything::few), deltas);
  support::expect_triples(part(&Everything::many), deltas);
  support::expect_triples(part(&Everything::rest), deltas);
  EXPECT_EQ(views[0]->left, kSmall.batch - 10);
  EXPECT_EQ(views[0]->few.size() + views[0]->many.size() + views[0]->rest.size(), 2 * kSmall.batch);
  EXPECT_NE(views[0]->few.x.mac[1][0], views[0]->many.x.mac[1][0]);
  support::expect_products(part(&Everything::products), deltas);
  support::expect_powers(part(&Everything::powers), deltas);
  support::expect_authentic(part(&Everything::owned), deltas);
  for (size_t i = 0; i < n_; ++i) EXPECT_EQ(safety[i].dirty() + safety[i].life(), 0u);
}

// The same interface with masked triples (engine-v2.md §V2): few long batches where many are
// missing, a short one where few are.
TEST_P(SessionPrepTest, MaskedTriplesAreHandedOutRightAndOnce) {
  MemorySafety safety[4];
  const auto run = run_session(
      n_,
      [](net::Party&, SessionPrep& prep) {
        Everything out;
        out.few = prep.and_triples(10);
        out.left = prep.triples_in_stock();
        out.many = prep.and_triples(1900);
        out.rest = prep.and_triples(prep.triples_in_stock());
        out.products = prep.vec_triple(2);
        return out;
      },
      nullptr, safety, kSmallMasked);
  const auto deltas = epoch_deltas(n_);
  const auto views = support::views_of<Everything>(run);
  const auto part = [&](AndTriples Everything::*member) {
    std::vector<const AndTriples*> out;
    for (const auto* view : views) out.push_back(&(view->*member));
    return out;
  };
  const size_t batch = kSmallMasked.batch;
  EXPECT_EQ(views[0]->left, batch / 8 - 10);
  // Four times the room's, and what is left: 1900 - 22 - 1024, in steps of 32.
  EXPECT_EQ(views[0]->few.size() + views[0]->many.size() + views[0]->rest.size(),
            batch / 8 + 4 * batch + 27 * batch / 8);
  support::expect_triples(part(&Everything::few), deltas);
  support::expect_triples(part(&Everything::many), deltas);
  support::expect_triples(part(&Everything::rest), deltas);
  for (size_t i = 0; i < n_; ++i) EXPECT_EQ(safety[i].dirty() + safety[i].life(), 0u);
}

/// Notes how many batches are counted, and how many at a time.
class NotedCounts : public MemorySafety {
 public:
  void begin_batches(size_t count) override {
    MemorySafety::begin_batches(count);
    begun += count;
    most = std::max(most, dirty());
  }
  size_t begun = 0, most = 0;
};

/// Masked triples of `n` members' stocks, in batches of kSmallMasked.
std::vector<NotedCounts> counts_of_stock(size_t n, size_t triples, bool more = false) {
  const auto epochs = support::deal_epoch(n);
  std::vector<NotedCounts> safety(n);
  const auto run = support::run_parties(n, [&](net::Party& party) {
    SessionPrep prep(party, epochs[party.id()], safety[party.id()], kSmallMasked);
    if (more) prep.expect_more();
    prep.reserve_triples(triples);
    return prep.triples_in_stock();
  });
  const size_t longest = 4 * kSmallMasked.batch;
  const size_t made = more ? (triples + longest - 1) / longest * longest : triples;
  for (const auto& outcome : run.outcomes) EXPECT_EQ(outcome.value, made);
  return safety;
}

// Memory grows with the peers, so more than four members keep to the room's batches. The products
// of all batches are one count.
TEST(SessionPrepStockTest, LongBatchesAreOfFewMembers) {
  EXPECT_EQ(counts_of_stock(4, 2 * kSmallMasked.batch)[0].begun, 1u + 1u);
  EXPECT_EQ(counts_of_stock(5, 2 * kSmallMasked.batch)[0].begun, 1u + 2u);
}

// As long as what is missing; where more follows, what a batch has too many serves the next call.
TEST(SessionPrepStockTest, OneBatchIsEnoughUpToTheLongest) {
  EXPECT_EQ(counts_of_stock(2, 3 * kSmallMasked.batch)[0].begun, 1u + 1u);
  EXPECT_EQ(counts_of_stock(2, 3 * kSmallMasked.batch, true)[0].begun, 1u + 1u);
  EXPECT_EQ(counts_of_stock(2, 7 * kSmallMasked.batch)[0].begun, 1u + 2u);
  EXPECT_EQ(counts_of_stock(2, 7 * kSmallMasked.batch, true)[0].begun, 1u + 2u);
}

// Q2: whatever ends a batch ends the session, with what was in stock.
TEST_P(SessionPrepTest, AnyAbortErasesMaskedTriplesToo) {
  for (const std::string label : {"key tuple/o", "masked and/p", "masked and/zero verdict"}) {
    MemorySafety safety[4];
    std::atomic<bool> refused_after = false;
    const auto run = run_session(
        n_,
        [&](net::Party& party, SessionPrep& prep) {
          try {
            prep.and_triples(5);
          } catch (const ProtocolAbort&) {
            EXPECT_EQ(prep.triples_in_stock(), 0u);
            try {
              prep.and_triples(1);
            } catch (const ProtocolAbort& again) {
              if (party.id() == 0) refused_after = again.code() == AbortCode::kCancelled;
            }
            throw;
          }
          return true;
        },
        support::flip_bit_of({static_cast<PartyId>(n_ - 1), 0, label, 0}), safety, kSmallMasked);
    EXPECT_EQ(run.outcomes[0].code(), AbortCode::kMac) << label;
    EXPECT_TRUE(refused_after) << label;
    EXPECT_EQ(safety[0].dirty(), label == "key tuple/o" ? 0u : 1u) << label;
  }
}

// The x and r bits of the next batch cross the network while this one waits for its coins.
TEST_P(SessionPrepTest, BitsOfTheNextMaskedBatchAreMadeMeanwhile) {
  constexpr TripleParameters kLarge{1, size_t{1} << 14, 64, true, TripleProtocol::kMasked};
  if (n_ > 3) return;  // the same again, and large
  std::mutex mutex;
  std::vector<std::string> sent;  // by party 0
  const auto run = run_session(
      n_,
      [&](net::Party&, SessionPrep& prep) { return prep.and_triples((4 + 4 + 1) * kLarge.batch); },
      [&](const net::MessageId& message, Bytes&) {
        const std::lock_guard lock(mutex);
        if (message.sender == 0 && message.receiver == 1) sent.push_back(message.label);
      },
      nullptr, kLarge);
  support::expect_triples(support::views_of<AndTriples>(run), epoch_deltas(n_));
  size_t between = 0;  // answers between a batch's d and its coin chi
  bool after_d = false;
  for (const std::string& label : sent) {
    if (label == "masked and/d") after_d = true;
    if (label == "masked and/chi/coin open") after_d = false;
    between += after_d && label == "cot/check answer";
  }
  EXPECT_EQ(between, 2u);
}

// The COT of the next batch crosses the network while this one waits for its openings and coins;
// what it makes is what the next batch uses, and nothing is made beyond the last.
TEST_P(SessionPrepTest, BitsOfTheNextBatchAreMadeMeanwhile) {
  constexpr TripleParameters kLarge{2, size_t{1} << 14, 64, true};
  constexpr size_t kBatches = 3;
  if (n_ > 3) return;  // the same again, and large
  const auto epochs = support::deal_epoch(n_);
  MemorySafety safety[4];
  std::mutex mutex;
  std::vector<std::string> sent;  // by party 0
  const auto run = support::run_parties(
      n_,
      [&](net::Party& party) {
        SessionPrep prep(party, epochs[party.id()], safety[party.id()], kLarge);
        return prep.and_triples(kBatches * kLarge.batch);
      },
      [&](const net::MessageId& message, Bytes&) {
        const std::lock_guard lock(mutex);
        if (message.sender == 0 && message.receiver == 1) sent.push_back(message.label);
      });
  support::expect_triples(support::views_of<AndTriples>(run), epoch_deltas(n_));
  const auto index = [&](std::string_view label, size_t which) {
    for (size_t at = 0; at < sent.size(); ++at) {
      if (sent[at] == label && which-- == 0) return at;
    }
    return sent.size();
  };
  // Whole extensions of party 0 as receiver end with an answer: one for the products, then one a
  // layer.
  EXPECT_LT(index("cot/check answer", 1 + 2), index("leaky and/chi/coin commit", 0));
  EXPECT_GT(index("cot/check answer", 1 + 2), index("leaky and/d", 0));
  EXPECT_LT(index("cot/check answer", 1 + 4), index("leaky and/chi/coin commit", 1));
  EXPECT_EQ(std::count(sent.begin(), sent.end(), "cot/check answer"), 1 + 6);
}

// §5.3: an abort at the last opening erases the batch, the stock and the session.
TEST_P(SessionPrepTest, AnyAbortErasesEverything) {
  MemorySafety safety[4];
  std::atomic<bool> refused_after = false;
  const auto run = run_session(
      n_,
      [&](net::Party& party, SessionPrep& prep) {
        prep.and_triples(5);  // leaves most of a batch in stock
        try {
          prep.and_triples(400);
        } catch (const ProtocolAbort&) {
          EXPECT_EQ(prep.triples_in_stock(), 0u);
          try {
            prep.and_triples(1);
          } catch (const ProtocolAbort& again) {
            if (party.id() == 0) refused_after = again.code() == AbortCode::kCancelled;
          }
          throw;
        }
        return true;
      },
      support::flip_bit_of({static_cast<PartyId>(n_ - 1), 0, "and triples/bucket d", 3}), safety);
  EXPECT_FALSE(run.outcomes[0].value.has_value());
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kMac);
  EXPECT_TRUE(refused_after);
  EXPECT_EQ(safety[0].dirty(), 1u);
}

TEST(SessionPrepSafetyTest, RefusesWhenTooManyBatchesAreUnfinished) {
  MemorySafety safety[2];
  for (MemorySafety& full : safety) full.begin_batches(16);
  for (const int what : {0, 1, 2}) {
    const auto run = run_session(
        2,
        [&](net::Party&, SessionPrep& prep) {
          EXPECT_EQ(prep.random_bits(8).size(), 8u);  // online and refresh still work
          if (what == 0) prep.and_triples(1);
          if (what == 1) prep.vec_triple(1);
          if (what == 2) prep.powers(2);
          return true;
        },
        nullptr, safety);
    for (const auto& outcome : run.outcomes) {
      EXPECT_EQ(outcome.code(), AbortCode::kTooManyUnfinished);
    }
  }
}

// Q5: a stock of several batches, and the products of their zero tests, hold one count at a time.
TEST(SessionPrepSafetyTest, OneBatchOfAStockIsCountedAtATime) {
  for (const NotedCounts& safety : counts_of_stock(2, (4 + 4) * kSmallMasked.batch)) {
    EXPECT_EQ(safety.begun, 1u + 2u);
    EXPECT_EQ(safety.most, 1u);
    EXPECT_EQ(safety.dirty() + safety.life(), 0u);
  }
}

// What is reserved beyond eight batches is made while the first of them are used, as few batches.
TEST(SessionPrepStockTest, TheRestOfALargeStockIsMadeWhileItIsUsed) {
  const size_t batch = kSmallMasked.batch;
  const auto epochs = support::deal_epoch(2);
  std::vector<NotedCounts> safety(2);
  const auto run = support::run_parties(2, [&](net::Party& party) {
    size_t reports = 0;
    SessionPrep prep(party, epochs[party.id()], safety[party.id()], kSmallMasked,
                     [&](std::string_view phase, uint64_t, uint64_t) {
                       reports += phase == "and triples" ? 1 : 0;
                     });
    prep.reserve_triples(18 * batch);
    const size_t told = reports;
    EXPECT_GT(told, 0u);
    std::vector<size_t> stock = {prep.triples_in_stock()};
    for (size_t k = 0; k < 18; ++k) {
      (void)prep.and_triples(batch);
      stock.push_back(prep.triples_in_stock());
    }
    EXPECT_EQ(reports, told);   // they are made within another work
    (void)prep.and_triples(1);  // nothing is reserved any more
    stock.push_back(prep.triples_in_stock());
    return stock;
  });
  std::vector<size_t> expected = {8};
  for (const size_t after : {7, 6, 5, 4, 3, 2, 1, 0, 3, 2, 1, 0, 3, 2, 1, 0, 1, 0}) {
    expected.push_back(after);
  }
  for (size_t& stock : expected) stock *= batch;
  expected.push_back(batch / 8 - 1);
  for (const auto& outcome : run.outcomes) EXPECT_EQ(outcome.value, expected);
  EXPECT_EQ(safety[0].begun, (1u + 5u) + (1u + 1u));  // each with the products of their zero tests
  EXPECT_EQ(safety[0].most, 1u);
}

TEST(SessionPrepParametersTest, WeakBucketingIsRefused) {
  const auto epochs = support::deal_epoch(2);
  const auto run = support::run_parties(2, [&](net::Party& party) {
    MemorySafety safety;
    EXPECT_THROW(SessionPrep(party, epochs[party.id()], safety, {4, 4096, 64}), InputError);
    return true;
  });
  EXPECT_TRUE(run.outcomes[0].value.has_value());
}

TEST(SessionPrepProgressTest, ReportsGrowToTheTotal) {
  const auto epochs = support::deal_epoch(2);
  const auto run = support::run_parties(2, [&](net::Party& party) {
    MemorySafety safety;
    std::vector<std::pair<uint64_t, uint64_t>> seen;
    SessionPrep prep(party, epochs[party.id()], safety, kSmall,
                     [&](std::string_view phase, uint64_t done, uint64_t total) {
                       if (phase == "and triples") seen.emplace_back(done, total);
                     });
    prep.reserve_triples(300);
    return seen;
  });
  const auto& seen = *run.outcomes[0].value;
  ASSERT_GE(seen.size(), 3u);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(seen.front(), std::pair(uint64_t{0}, uint64_t{2 * kSmall.batch}));
  EXPECT_EQ(seen.back().first, 2 * kSmall.batch);
}

// Random OT: chosen and random choices, between two parties only.
TEST(SessionPrepRotTest, ReceiverGetsTheChosenSeed) {
  const std::vector<uint8_t> choices = {0, 1, 1, 0, 1};
  struct Seeds {
    Source::RotSender sent[2];
    Source::RotReceiver received[2];
  };
  const auto run = run_session(3, [&](net::Party& party, SessionPrep& prep) {
    Seeds out;
    if (party.id() == 2) {
      out.sent[0] = prep.rot_send(1, 5);
      out.sent[1] = prep.rot_send(1, 5);
    } else if (party.id() == 1) {
      out.received[0] = prep.rot_receive(2, 5, choices);
      out.received[1] = prep.rot_receive(2, 5, {});
    }
    return out;
  });
  const auto views = support::views_of<Seeds>(run);
  EXPECT_EQ(views[1]->received[0].choice, choices);
  for (size_t round = 0; round < 2; ++round) {
    const auto& got = views[1]->received[round];
    const auto& sent = views[2]->sent[round];
    for (size_t t = 0; t < 5; ++t) {
      EXPECT_EQ(got.seed[t], got.choice[t] != 0 ? sent.seed1[t] : sent.seed0[t]);
      EXPECT_NE(sent.seed0[t], sent.seed1[t]);
    }
  }
}

}  // namespace
}  // namespace flexroom::prep
