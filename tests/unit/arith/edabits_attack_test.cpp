// Private edaBits against a member that lies (tls-in-mpc.md §8, attacks 4 and 40): a wrong pair of
// bits and element survives one repetition for exactly one challenge of 129, and never the order in
// which the engine draws its coins.
#include "arith/edabits.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bitset>

#include "arith/coefficients.h"
#include "arith/input.h"
#include "support/dealer.h"
#include "support/parties.h"

namespace flexroom::arith {
namespace {

using F = math::F25519;
using support::Dealer;
using support::run_parties;
using Eda = PrivateEdaBits<F>;

constexpr unsigned kNumChallenges = 2 * kEdaShifts + 1;
const F kError = F::from_u64(12345);

// --- integers of 384 bits -------------------------------------------------------------------

bool bit(const U384& v, unsigned t) { return t < 384 && ((v[t / 64] >> (t % 64)) & 1) != 0; }

U384 sum(const U384& a, const U384& b, bool subtract = false) {
  U384 out{};
  uint64_t carry = subtract ? 1 : 0;
  for (size_t i = 0; i < out.size(); ++i) {
    const math::U128 s = math::U128{a[i]} + (subtract ? ~b[i] : b[i]) + carry;
    out[i] = static_cast<uint64_t>(s);
    carry = static_cast<uint64_t>(s >> 64);
  }
  return out;
}
U384 difference(const U384& a, const U384& b) { return sum(a, b, true); }

U384 shifted(const U384& a, unsigned by) {
  U384 out{};
  for (unsigned t = by; t < 384; ++t) {
    if (bit(a, t - by)) out[t / 64] |= uint64_t{1} << (t % 64);
  }
  return out;
}
U384 wide(const math::U256& v) { return {v[0], v[1], v[2], v[3], 0, 0}; }

/// k * p * 2^j for p = 2^255 - 19.
U384 multiple_of_p(const U384& k, unsigned j) {
  U384 nineteen{};
  for (unsigned t : {0u, 1u, 4u}) nineteen = sum(nineteen, shifted(k, j + t));
  return difference(shifted(k, 255 + j), nineteen);
}

// --- the challenges, as every party computes them --------------------------------------------

struct Challenge {
  bool zero, negative;
  unsigned shift;
  explicit Challenge(uint64_t v)
      : zero(v == 0),
        negative(v % 2 == 1),
        shift(v == 0 ? 0 : static_cast<unsigned>((v - 1) / 2)) {}
  F factor() const {
    if (zero) return F();
    const F out = F::from_u64(uint64_t{1} << shift);
    return negative ? -out : out;
  }
};

std::vector<uint64_t> challenges_of(const net::Party& party, const Digest& coin1, PartyId owner) {
  Coefficients stream(party, coin1, "edabits challenge " + std::to_string(owner));
  std::vector<uint64_t> out;
  for (unsigned v = 0; v < kEdaRepetitions; ++v) out.push_back(stream.below(kNumChallenges));
  return out;
}

/// A coin whose challenge of repetition 0 for `owner` is `wanted`.
Digest coin_with(const net::Party& party, PartyId owner, uint64_t wanted) {
  for (uint64_t k = 0;; ++k) {
    const Digest coin = RandomOracle("coin 1 of a test", party.scope()).field(k).digest();
    if (challenges_of(party, coin, owner)[0] == wanted) return coin;
  }
}

// --- one mask a party, the last party lies ---------------------------------------------------

template <typename Field>
struct LieOver {
  /// Coins of all parties; nullptr: tossed in the order of the engine.
  std::function<Digest(const net::Party&)> coin1, coin2;
  /// What the liar authenticates.
  std::function<void(const net::Party&, MaskWitness<Field>&)> authenticated;
  /// What it computes its integers from. `coin1` is known by then.
  std::function<void(const net::Party&, const Digest&, MaskWitness<Field>&)> integers;
};
using Lie = LieOver<F>;

/// Whether the party accepts, by its check.
template <typename Field>
bool run_edabits(net::Party& party, Dealer& dealer, const LieOver<Field>& lie) {
  const PartyId self = party.id();
  const bool liar = self + 1 == party.num_parties();
  prep::Source& source = dealer.source(self);
  Cope<Field> cope(party, source);
  std::vector<MaskWitness<Field>> own = {MaskWitness<Field>::random(party.prg())};
  if (liar && lie.authenticated) lie.authenticated(party, own[0]);
  PrivateEdaBits<Field> eda(party, source, own);
  math::SecretVector<Field> elements;
  eda.append_elements(0, elements);
  PrivateInput<Field> input(party, cope, elements, "test");
  const Digest coin1 = lie.coin1 ? lie.coin1(party) : party.coin("coin 1");
  input.check(coin1);
  if (liar && lie.integers) lie.integers(party, coin1, own[0]);
  eda.exchange_integers(coin1);
  const Digest coin2 = lie.coin2 ? lie.coin2(party) : party.coin("coin 2");
  eda.check(cope.gamma(), coin2, [&](PartyId owner, size_t) {
    return std::span<const AuthValue<Field>>(input.values()[owner]);
  });
  return eda.rho_bits(0, 0).size() == Field::kBits;
}

/// How the honest parties end; all of them must end alike.
template <typename Field>
std::optional<ProtocolAbort> honest_abort(size_t n, const LieOver<Field>& lie, uint64_t seed = 1) {
  Dealer dealer(n);
  const auto run = run_parties(
      n, [&](net::Party& p) { return run_edabits(p, dealer, lie); }, nullptr,
      std::chrono::seconds(60), seed);
  for (PartyId i = 0; i + 1 < n; ++i) {
    EXPECT_EQ(run.outcomes[i].value.has_value(), run.outcomes[0].value.has_value());
  }
  return run.outcomes[0].abort;
}
std::optional<AbortCode> honest_code(size_t n, const Lie& lie, uint64_t seed = 1) {
  const auto abort = honest_abort(n, lie, seed);
  return abort ? std::optional(abort->code()) : std::nullopt;
}

class EdaBitsAttack : public ::testing::TestWithParam<size_t> {
 protected:
  const size_t n_ = GetParam();
  PartyId liar() const { return static_cast<PartyId>(n_ - 1); }
};
INSTANTIATE_TEST_SUITE_P(Parties, EdaBitsAttack, ::testing::Values(2, 3));

TEST_P(EdaBitsAttack, HonestMasksPass) { EXPECT_EQ(honest_code(n_, {}), std::nullopt); }

// Attack 4: the element is the integer of the bits plus an error. The liar fits its a_v to the
// challenge it bets on: repetition 0 survives that one of the 129 and no other. (In the other seven
// repetitions it knows the challenge, so that repetition 0 decides.)
TEST_P(EdaBitsAttack, AnElementThatIsOffSurvivesExactlyOneChallenge) {
  const std::vector<uint64_t> bets =
      n_ == 2 ? std::vector<uint64_t>{0, 7, kNumChallenges - 1} : std::vector<uint64_t>{2};
  for (const uint64_t bet : bets) {
    for (uint64_t challenge = 0; challenge < kNumChallenges; ++challenge) {
      Lie lie;
      lie.coin1 = [&](const net::Party& p) { return coin_with(p, liar(), challenge); };
      lie.authenticated = [&](const net::Party& p, MaskWitness<F>& w) {
        w.rho_element += kError;
        const auto known = challenges_of(p, coin_with(p, liar(), challenge), liar());
        for (unsigned v = 0; v < kEdaRepetitions; ++v) {
          w.a_elements[v] -= kError * Challenge(v == 0 ? bet : known[v]).factor();
        }
      };
      EXPECT_EQ(honest_code(n_, lie),
                challenge == bet ? std::nullopt : std::optional(AbortCode::kFpRange))
          << bet << " " << challenge;
    }
  }
}

// Attack 4, the other side: integers that fit the element and not the bits. Then the F_p side
// passes, and the proof about the bits fails but for the challenge 0, which says nothing about rho.
TEST_P(EdaBitsAttack, IntegersOfAnotherValueThanTheBitsSurviveTheChallengeZeroOnly) {
  for (uint64_t challenge = 0; challenge < kNumChallenges; challenge += n_ == 2 ? 1 : 8) {
    Lie lie;
    lie.coin1 = [&](const net::Party& p) { return coin_with(p, liar(), challenge); };
    lie.authenticated = [&](const net::Party& p, MaskWitness<F>& w) {
      w.rho_element += kError;
      const auto known = challenges_of(p, coin_with(p, liar(), challenge), liar());
      for (unsigned v = 1; v < kEdaRepetitions; ++v) {
        w.a_elements[v] -= kError * Challenge(known[v]).factor();
      }
    };
    lie.integers = [&](const net::Party& p, const Digest& coin1, MaskWitness<F>& w) {
      const Challenge c(challenges_of(p, coin1, liar())[0]);
      if (c.zero) return;
      const U384 error = shifted(wide(kError.canonical()), c.shift);
      w.a[0] = sum(w.a[0], error, c.negative);
    };
    EXPECT_EQ(honest_code(n_, lie),
              challenge == 0 ? std::nullopt : std::optional(AbortCode::kBitProof))
        << challenge;
  }
}

// All eight repetitions with the coin of the engine: a liar that bets on every challenge passes
// with probability 129^-8.
TEST_P(EdaBitsAttack, EightRepetitionsRejectAnElementThatIsOff) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    Lie lie;
    lie.authenticated = [&](const net::Party&, MaskWitness<F>& w) {
      Prg bets(Block(seed, 40));
      w.rho_element += kError;
      for (F& a : w.a_elements) a -= kError * Challenge(bets.below(kNumChallenges)).factor();
    };
    EXPECT_EQ(honest_code(n_, lie, seed), AbortCode::kFpRange);
  }
}

// Attack 4 on the integers a_v: an element of a_v that is not its integer.
TEST_P(EdaBitsAttack, AnAuxiliaryElementThatIsOffAborts) {
  for (unsigned v = 0; v < kEdaRepetitions; ++v) {
    Lie lie;
    lie.authenticated = [v](const net::Party&, MaskWitness<F>& w) { w.a_elements[v] += F::one(); };
    EXPECT_EQ(honest_code(n_, lie), AbortCode::kFpRange) << v;
  }
}

// The relations of 2^130 - 5 reach bit 258 of integers that have 384. A liar whose element is off
// by d 2^259 adds c d 2^259 to its integers: bits and relations stay what they are, the F_p side is
// told what fits the element, and whenever no challenge is negative only the bound tells.
TEST_P(EdaBitsAttack, IntegersBeyondTheRelationsAreOutOfRange) {
  using Poly = math::FPoly1305;
  constexpr unsigned kBeyond = PrivateEdaBits<Poly>::kIntegerBits + 2;
  const U384 error = {12345, 0, 0, 0, 0, 0};
  LieOver<Poly> lie;
  lie.coin1 = [&](const net::Party& party) {
    for (uint64_t k = 0;; ++k) {
      const Digest coin = RandomOracle("coin 1 of a test", party.scope()).field(k).digest();
      const auto all = challenges_of(party, coin, liar());
      if (std::none_of(all.begin(), all.end(), [](uint64_t v) { return Challenge(v).negative; })) {
        return coin;
      }
    }
  };
  EXPECT_EQ(honest_abort(n_, lie), std::nullopt);
  lie.authenticated = [&](const net::Party&, MaskWitness<Poly>& w) {
    w.rho_element += Poly::from_wide(shifted(error, kBeyond));
  };
  lie.integers = [&](const net::Party& party, const Digest& coin1, MaskWitness<Poly>& w) {
    const auto all = challenges_of(party, coin1, liar());
    for (unsigned v = 0; v < kEdaRepetitions; ++v) {
      const Challenge c(all[v]);
      if (!c.zero) w.a[v] = sum(w.a[v], shifted(error, kBeyond + c.shift));
    }
  };
  const auto abort = honest_abort(n_, lie);
  ASSERT_TRUE(abort);
  EXPECT_EQ(abort->code(), AbortCode::kFpRange);
  EXPECT_EQ(abort->operation(), "arith/edabits/integers");
  EXPECT_EQ(abort->peer(), std::optional(liar()));
}

// --- attack 40: a liar that knows the coefficients of the bit proof before it sends z_v ---------

using Combination = std::bitset<256>;

/// Solves "the sum of the chosen vectors is `target`" over GF(2).
class LinearSystem {
 public:
  void add(size_t index, Block vector) {
    Combination from;
    from.set(index);
    reduce(vector, from);
    for (unsigned t = 0; t < 128; ++t) {
      if (!vector.bit(t)) continue;
      pivots_[t] = {vector, from};
      return;
    }
  }
  std::optional<Combination> solve(Block target) const {
    Combination from;
    reduce(target, from);
    return target == Block() ? std::optional(from) : std::nullopt;
  }

 private:
  // Pivot t is the lowest bit of its vector, so one pass upwards is enough.
  void reduce(Block& vector, Combination& from) const {
    for (unsigned t = 0; t < 128; ++t) {
      if (!vector.bit(t) || !pivots_[t]) continue;
      vector ^= pivots_[t]->first;
      from ^= pivots_[t]->second;
    }
  }
  std::array<std::optional<std::pair<Block, Combination>>, 128> pivots_;
};

/// The relations of §1.9 step 4 are affine in the bits of z_v, and z_v is fixed only mod p: with
/// the coefficients known there are z_v of the wrong residue whose sum of relations is zero.
class Forger {
 public:
  Forger(const net::Party& party, const Digest& coin1, const Digest& coin2,
         const MaskWitness<F>& witness, PartyId self)
      : witness_(witness), challenges_(challenges_of(party, coin1, self)), prg_(Block(3, 40)) {
    const Digest stream = RandomOracle("bit proof", party.scope())
                              .field("quicksilver arith/edabits/bits " + std::to_string(self))
                              .field(coin2)
                              .digest();
    Prg chi(load_block(stream.data()));
    for (size_t k = 0; k < 1 + F::kBits; ++k) chi.next_block();  // range proof, which is honest
    for (size_t k = 0; k < kEdaRepetitions * kRelations; ++k) chi_.push_back(chi.next_block());
  }

  /// Replaces the integers a_v by those from which the engine computes the forged z_v.
  bool forge(MaskWitness<F>& out) {
    struct Toggle {
      unsigned v;
      U384 by;
      bool down;
    };
    std::vector<U384> z;
    std::vector<Toggle> toggles;
    LinearSystem system;
    Block total;
    for (unsigned v = 0; v < kEdaRepetitions; ++v) {
      z.push_back(starting_point(v));
      const Block before = contribution(v, z[v]);
      total ^= before;
      for (const auto& [by, down] : moves(z[v])) {
        system.add(toggles.size(), before ^ contribution(v, sum(z[v], by, down)));
        toggles.push_back({v, by, down});
      }
    }
    const auto solution = system.solve(total);
    if (!solution) return false;
    for (size_t t = 0; t < toggles.size(); ++t) {
      if (solution->test(t)) z[toggles[t].v] = sum(z[toggles[t].v], toggles[t].by, toggles[t].down);
    }
    for (unsigned v = 0; v < kEdaRepetitions; ++v) {
      const Challenge c(challenges_[v]);
      out.a[v] = c.zero ? z[v] : sum(z[v], shifted(wide(witness_.rho), c.shift), !c.negative);
    }
    return true;
  }

 private:
  static constexpr size_t kLength = Eda::kIntegerBits + 1;
  static constexpr size_t kRelations = kLength + 1;
  using Moves = std::vector<std::pair<U384, bool>>;

  /// z +- p 2^j changes bits j .. j+5 and 255+j alone.
  static Moves moves(const U384& z) {
    Moves out;
    for (unsigned j = 0; j < 122; j += 6) {
      unsigned window = 0;
      for (unsigned t = 0; t < 6; ++t) window |= unsigned{bit(z, j + t)} << t;
      const bool top = bit(z, 255 + j);
      if ((!top && window >= 19) || (top && window + 19 < 64)) {
        out.emplace_back(multiple_of_p({1, 0, 0, 0, 0, 0}, j), top);
      }
    }
    return out;
  }

  /// An integer of the residue that the F_p side wants, with many moves.
  U384 starting_point(unsigned v) {
    const F residue =
        witness_.a_elements[v] + witness_.rho_element * Challenge(challenges_[v]).factor();
    U384 best{};
    size_t most = 0;
    for (size_t k = 0; k < 2000; ++k) {
      const Block high = prg_.next_block();
      const U384 z =
          sum(wide(residue.canonical()), multiple_of_p({high.lo, high.hi >> 2, 0, 0, 0, 0}, 0));
      if (moves(z).size() <= most) continue;
      most = moves(z).size();
      best = z;
    }
    return best;
  }

  /// Sum of chi_k f_k over the relations of repetition v, for this public z.
  Block contribution(unsigned v, const U384& z) const {
    const Challenge c(challenges_[v]);
    const U384 r = c.zero ? U384{} : shifted(wide(witness_.rho), c.shift);
    const U384& a = witness_.a[v];
    const auto carry = [&](unsigned t) { return bit(a, t) != (bit(r, t) != bit(z, t)); };
    const Block* chi = chi_.data() + v * kRelations;
    Block out = select(carry(0), *chi++);
    for (unsigned t = 0; t < kLength; ++t) {
      const bool x = bit(r, t) != (c.negative ? bit(a, t) : bit(z, t));
      const bool y = bit(a, t) != bit(z, t);
      out ^= select((x && y) != (carry(t) != carry(t + 1)), *chi++);
    }
    return out;
  }

  const MaskWitness<F>& witness_;
  const std::vector<uint64_t> challenges_;
  Prg prg_;
  std::vector<Block> chi_;
};

Lie forged_lie(std::function<Digest(const net::Party&)> expected_coin2) {
  Lie lie;
  lie.authenticated = [](const net::Party&, MaskWitness<F>& w) { w.rho_element += kError; };
  lie.integers = [expected_coin2](const net::Party& p, const Digest& coin1, MaskWitness<F>& w) {
    const MaskWitness<F> honest = w;
    Forger forger(p, coin1, expected_coin2(p), honest, p.id());
    EXPECT_TRUE(forger.forge(w));
  };
  return lie;
}

Digest fixed_coin(const net::Party& party) {
  return RandomOracle("coin 2 of a test", party.scope()).digest();
}

// The forbidden order: coin 2 is known when the integers leave. All eight repetitions are forged.
TEST_P(EdaBitsAttack, CoefficientsKnownBeforeTheIntegersForgeEveryRepetition) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    Lie lie = forged_lie(fixed_coin);
    lie.coin2 = fixed_coin;
    EXPECT_EQ(honest_code(n_, lie, seed), std::nullopt);
  }
}

// The order of the engine: the same forger can only guess coin 2.
TEST_P(EdaBitsAttack, ForgedIntegersFailUnderTheCoinThatFollowsThem) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    EXPECT_EQ(honest_code(n_, forged_lie(fixed_coin), seed), AbortCode::kBitProof);
  }
}

}  // namespace
}  // namespace flexroom::arith
