#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <set>

#include "math/gf128.h"
#include "support/masked_rig.h"
#include "support/sweeps.h"

// The statements of docs/spec/engine-v2-proof.md about what a bet passes and what it tells,
// measured on the protocol itself: few items, few leaked bits, random choices. What a corrupted
// party would know is read off a run of the same seed without its lie.

namespace flexroom::prep {
namespace masked_sweep_test {

using support::MaskedRun;
using support::run_masked;
using support::tries;

constexpr size_t kItems = 8;
constexpr size_t kKeyBits = 64;
constexpr MaskedBatchSize kSize{kItems, kKeyBits};

/// `count` different numbers below `bound`.
std::vector<size_t> some_of(Prg& prg, size_t count, size_t bound) {
  std::set<size_t> out;
  while (out.size() < count) out.insert(prg.next_u64() % bound);
  return {out.begin(), out.end()};
}

/// How many of the bets of each rank passed.
class Tally {
 public:
  void note(size_t rank, bool passed) {
    ++tried_.at(rank);
    passed_.at(rank) += passed;
  }
  /// A bet of rank c passes with 2^-c: within five standard deviations.
  void expect_price() const {
    for (size_t c = 1; c < tried_.size(); ++c) {
      const auto tried = static_cast<double>(tried_[c]);
      const double p = std::exp2(-static_cast<double>(c));
      EXPECT_NEAR(static_cast<double>(passed_[c]), p * tried, 5 * std::sqrt(p * (1 - p) * tried))
          << "rank " << c << " of " << tried_[c];
    }
  }

 private:
  std::array<size_t, 5> tried_{}, passed_{};
};

/// Whether all but party 0, which lies, took the batch.
bool accepted(const auto& run) {
  for (PartyId i = 1; i < run.outcomes.size(); ++i) {
    if (!run.outcomes[i].value) return false;
  }
  return true;
}

// Lemma 1. The owner of a tree sends a wrong level sum on the side that a holder does not use whose
// bit is what the owner bets on: all of them have to be right.
TEST(MaskedSweep, ABetOnBitsOfTheKeyPassesExactlyWhereItIsRight) {
  Tally tally;
  Prg prg(Block(1, 0x5eed));
  for (uint64_t seed = 1; seed <= tries(42); ++seed) {
    MemorySafety clean[2], safety[2];
    const auto honest = run_masked(2, kSize, clean, nullptr, seed);
    const AuthBits& key = honest.outcomes[1].value->key;
    const size_t rank = 1 + seed % 3;
    const std::vector<size_t> instances = some_of(prg, rank, kKeyBits);
    const uint64_t bets = prg.next_u64();
    bool right = true;
    for (const size_t i : instances) {
      right &= key.share(i / 4 * 4 + 3 - i % 4) == ((bets >> i & 1) != 0);
    }
    const auto run = run_masked(
        2, kSize, safety,
        [&](const net::MessageId& m, Bytes& payload) {
          if (m.sender != 0 || m.label != "key trees") return;
          for (const size_t i : instances) payload[32 * i + 16 * (bets >> i & 1)] ^= 1;
        },
        seed);
    EXPECT_EQ(accepted(run), right) << seed;
    tally.note(rank, right);
    if (right) support::expect_masked_triples(run, 2);
  }
  tally.expect_price();
}

// Lemma 3. The same error at several bits of a chooser's key: a bet on their sum, of rank one
// however many they are.
TEST(MaskedSweep, AWrongTupleOfSeveralBitsIsABetOnTheirSum) {
  Tally tally;
  Prg prg(Block(2, 0x5eed));
  for (uint64_t seed = 1; seed <= tries(24); ++seed) {
    MemorySafety clean[2], safety[2];
    const auto honest = run_masked(2, kSize, clean, nullptr, seed);
    const AuthBits& key = honest.outcomes[1].value->key;
    const std::vector<size_t> bits = some_of(prg, 1 + seed % 4, kKeyBits);
    const size_t tuple = prg.next_u64() % 2, byte = prg.next_u64() % 16;
    bool sum = false;
    for (const size_t q : bits) sum ^= key.share(q);
    const auto run = run_masked(
        2, kSize, safety,
        [&](const net::MessageId& m, Bytes& payload) {
          if (m.sender != 0 || m.label != "key tuple/u") return;
          for (const size_t q : bits) payload[16 * (tuple * kKeyBits + q) + byte] ^= 0x40;
        },
        seed);
    EXPECT_EQ(accepted(run), !sum) << seed;
    EXPECT_EQ(safety[1].dirty(), sum ? 1u : 0u);  // counted before the own share of v left
    tally.note(1, !sum);
    if (!sum) support::expect_masked_triples(run, 2);
  }
  tally.expect_price();
}

// Lemmas 4 and 5. Errors in strings to two honest parties: the same error to both is a form of the
// sum of their bits, different ones are two forms. The batch passes iff all forms are zero, and
// then its products are right.
TEST(MaskedSweep, WrongStringsPassExactlyWhereTheirFormsOfXAreZero) {
  Tally tally;
  Prg prg(Block(3, 0x5eed));
  for (uint64_t seed = 1; seed <= tries(36); ++seed) {
    MemorySafety clean[4], safety[4];
    const auto honest = run_masked(3, kSize, clean, nullptr, seed);
    const auto x = [&](PartyId j, size_t t) { return honest.outcomes[j].value->xr.share(t); };
    uint64_t errors[3][kItems] = {};  // by receiver
    size_t rank = 0;
    bool zero = true;
    for (const size_t t : some_of(prg, 1 + seed % 2, kItems)) {
      errors[1][t] = prg.next_u64() | 1;
      const bool same = (prg.next_u64() & 1) != 0;
      errors[2][t] = same ? errors[1][t] : errors[1][t] ^ (prg.next_u64() | 2);
      rank += same ? 1 : 2;
      zero &= same ? x(1, t) == x(2, t) : !x(1, t) && !x(2, t);
    }
    const auto run = run_masked(
        3, kSize, safety,
        [&](const net::MessageId& m, Bytes& payload) {
          if (m.sender != 0 || m.label != "masked and/U") return;
          for (size_t t = 0; t < kItems; ++t) {
            for (size_t b = 0; b < 8; ++b) {
              payload[8 * t + b] ^= static_cast<uint8_t>(errors[m.receiver][t] >> (8 * b));
            }
          }
        },
        seed);
    EXPECT_EQ(accepted(run), zero) << seed;
    tally.note(rank, zero);
    if (zero) support::expect_masked_triples(run, 3);
  }
  tally.expect_price();
}

/// The words h of a run, from the openings of its coin.
class CoinOfBatch {
 public:
  void see(const net::MessageId& m, ByteView payload) {
    if (m.label != "masked and/h/coin open") return;
    for (size_t b = 0; b < seed_.size(); ++b) {
      seed_[b] = static_cast<uint8_t>(seed_[b] ^ payload[b]);
    }
  }
  std::array<uint64_t, kItems> words() const {
    constexpr uint64_t kCoinsBefore = 3;  // chi and eta of the product, eta of the tuple
    RoScope scope;
    scope.eid[0] = 1;
    scope.sid[0] = 2;
    std::vector<Block> blocks(kItems / 2);
    math::ChiStream(load_block(RandomOracle("coin", scope, kCoinsBefore)
                                   .field("masked and/h")
                                   .field(seed_)
                                   .digest()
                                   .data()))
        .fill(0, blocks);
    std::array<uint64_t, kItems> out;
    for (size_t t = 0; t < kItems; ++t) out[t] = t % 2 == 0 ? blocks[t / 2].lo : blocks[t / 2].hi;
    return out;
  }

 private:
  Digest seed_{};
};

// Lemma 6, with all but kUnknown bits of the key known (s = K - kUnknown) and x of kLeaked items:
// how often a form of the masks is known is what the bound says, and where none is, every form of
// the masked x is a coin.
TEST(MaskedSweep, MasksOfLeakedXAreKnownAsRarelyAsTheBoundSays) {
  constexpr size_t kUnknown = 4, kLeaked = 3, kForms = size_t{1} << kLeaked;
  constexpr uint64_t kLow = (uint64_t{1} << kUnknown) - 1;
  constexpr double kBound = (kForms - 1) / 16.0;
  constexpr double kExact = 1 - (15.0 / 16) * (14.0 / 16) * (12.0 / 16);
  size_t batches = 0, known = 0, ones[kForms] = {};
  for (uint64_t seed = 1; seed <= tries(80); ++seed) {
    MemorySafety safety[2];
    CoinOfBatch coin;
    const auto run = run_masked(
        2, kSize, safety, [&](const net::MessageId& m, Bytes& payload) { coin.see(m, payload); },
        seed);
    const MaskedRun& honest = *run.outcomes[1].value;
    const auto h = coin.words();
    uint64_t gamma = 0;
    for (size_t q = 0; q < kKeyBits; ++q) gamma |= uint64_t{honest.key.share(q)} << q;
    const auto parity = [](uint64_t word) { return (std::popcount(word) & 1) != 0; };
    for (size_t first = 0; first + kLeaked <= kItems; first += kLeaked) {
      bool mask[kForms] = {}, some_known = false;
      for (size_t form = 1; form < kForms; ++form) {
        uint64_t sum = 0;
        for (size_t i = 0; i < kLeaked; ++i) {
          if ((form >> i & 1) == 0) continue;
          sum ^= h[first + i];
          mask[form] ^= honest.triples.x.share(first + i) != honest.xr.share(first + i);
        }
        ASSERT_EQ(mask[form], parity(sum & gamma)) << "x^ = x + <h, Gamma>";
        mask[form] ^= parity(sum & gamma & ~kLow);  // what is left is unknown
        some_known |= (sum & kLow) == 0;
        if ((sum & kLow) == 0) {
          EXPECT_FALSE(mask[form]);
        }
      }
      ++batches;
      known += some_known;
      if (some_known) continue;
      for (size_t form = 1; form < kForms; ++form) ones[form] += mask[form];
    }
  }
  const auto all = static_cast<double>(batches), hidden = all - static_cast<double>(known);
  EXPECT_LE(static_cast<double>(known), kBound * all + 5 * std::sqrt(kBound * all));
  EXPECT_NEAR(static_cast<double>(known), kExact * all, 5 * std::sqrt(kExact * (1 - kExact) * all));
  for (size_t form = 1; form < kForms; ++form) {
    EXPECT_NEAR(static_cast<double>(ones[form]), hidden / 2, 2.5 * std::sqrt(hidden)) << form;
  }
}

}  // namespace masked_sweep_test
}  // namespace flexroom::prep
