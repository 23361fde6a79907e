// QuickSilver proofs against two verifiers that put together what they have (tls-in-mpc.md §8,
// attacks 5b, 5c, 39). With one mask for both, the difference of their U1 is an equation in the
// point of the owner; with one mask for each, it says nothing.
#include "arith/quicksilver.h"

#include <gtest/gtest.h>

#include <map>

#include "arith/coefficients.h"
#include "arith/token_batch.h"
#include "prep/forward_source.h"
#include "support/dealer.h"
#include "support/parties.h"

namespace flexroom::arith {
namespace quicksilver_attack_test {

using math::P256Group;
using math::X25519Group;
using support::Dealer;
using support::run_parties;

/// What one colluding verifier has: its global key, its keys for x, y, w and for the mask of the
/// owner's proof, and what the owner sent.
template <typename F>
struct VerifierView {
  F gamma, x, y, w, mask;
  F u0, u1;
};

/// x^2 = w and y^2 = x w + a2 w + a4 x + a6, in the order of the engine.
template <typename G>
std::vector<Relation<typename G::Field>> point_relations() {
  using F = typename G::Field;
  const F minus_one = -F::one();
  return {{{{F::one(), 0, 0}}, {{minus_one, 2}}, F()},
          {{{F::one(), 1, 1}, {minus_one, 0, 2}}, {{-G::kA2, 2}, {-G::kA4, 0}}, -G::kA6}};
}

/// The check of a verifier: that the view was put together right.
template <typename G, typename F = typename G::Field>
bool verifies(const VerifierView<F>& v, const std::vector<F>& chi) {
  const F b0 = v.x.square() - (-v.gamma * v.w);
  const F b1 = v.y.square() - v.x * v.w + v.gamma * (G::kA2 * v.w + G::kA4 * v.x) -
               G::kA6 * v.gamma.square();
  return v.u0 + v.u1 * v.gamma == v.mask + chi[0] * b0 + chi[1] * b1;
}

/// The equation of two colluding verifiers: with r cancelled, A(x) + B y = T, where A has degree 3.
template <typename G>
struct Equation {
  using F = typename G::Field;
  std::array<F, 4> a;
  F b, t;

  Equation(const VerifierView<F>& one, const VerifierView<F>& two, const std::vector<F>& chi) {
    const F gamma = one.gamma - two.gamma;
    const F x = one.x - two.x, y = one.y - two.y, w = one.w - two.w;
    const F f[4] = {G::kA6, G::kA4, G::kA2, F::one()};
    a[0] = -(chi[0] * w) - chi[1] * (G::kA2 * w + G::kA4 * x);
    a[1] = chi[0] * x.doubled() - chi[1] * (w + G::kA4 * gamma);
    a[2] = chi[0] * gamma - chi[1] * (x + G::kA2 * gamma);
    a[3] = -(chi[1] * gamma.doubled());
    for (size_t k = 0; k < 4; ++k) a[k] += chi[1] * gamma.doubled() * f[k];
    b = chi[1] * y.doubled();
    t = two.u1 - one.u1;
  }
  F at(const F& x) const { return a[0] + x * (a[1] + x * (a[2] + x * a[3])); }
  /// The point satisfies it.
  bool holds(const F& x, const F& y) const { return at(x) + b * y == t; }
  /// With the equation of the curve it is one of degree 6 in x alone: six candidates at most.
  bool has_root(const F& x) const {
    const F f = G::kA6 + x * (G::kA4 + x * (G::kA2 + x));
    const F left = t - at(x);
    return left.square() == b.square() * f;
  }
};

template <typename G>
class CollusionTest : public testing::Test {};
using Groups = testing::Types<X25519Group, P256Group>;
TYPED_TEST_SUITE(CollusionTest, Groups);

/// P_0 proves that its point is on the curve to P_1 and P_2, with the masks of the engine or with
/// one for both. Says whether what P_1 and P_2 have gives the point away.
template <typename G>
bool point_is_given_away(bool shared_mask, uint64_t seed) {
  using F = typename G::Field;
  const auto point =
      math::multiply<G>(G::Scalar::from_u64(1000003 * seed + 77), math::generator<G>());
  std::vector<F> chi;
  std::map<PartyId, Bytes> sent;
  Dealer dealer(3, seed);
  const auto run = run_parties(
      3,
      [&](net::Party& p) {
        Cope<F> cope(p, dealer.source(p.id()));
        math::SecretVector<F> own = {point.x, point.y, point.x.square(), F::random(p.prg()),
                                     F::random(p.prg())};
        PrivateInput<F> input(p, cope, own, "test");
        input.check(p.coin("coin 1"));
        const Digest coin2 = p.coin("coin 2");
        const Values<F>& values = input.values()[0];
        Values<F> masks(values.begin() + 3, values.end());
        if (shared_mask) masks[1] = masks[0];
        const auto relations = point_relations<G>();
        prove_relations<F>(p, cope.gamma(), 0, values, masks, relations, coin2, "test/proof");
        if (p.id() == 0) {
          chi = Coefficients(p, coin2, "quicksilver test/proof 0").template take<F>(2);
        }
        VerifierView<F> view;
        view.gamma = cope.gamma();
        view.x = values[0].key(0);
        view.y = values[1].key(0);
        view.w = values[2].key(0);
        view.mask = masks[mask_index(0, p.id() == 0 ? 1 : p.id())].key(0);
        return view;
      },
      [&](const net::MessageId& m, Bytes& payload) {
        if (m.sender == 0 && m.label == "test/proof") sent[m.receiver] = payload;
      },
      std::chrono::seconds(60), seed);
  std::vector<VerifierView<F>> views;
  for (const PartyId j : {1u, 2u}) {
    views.push_back(*run.outcomes[j].value);
    const auto u = parse_elements<F>(sent[j], "test", 0);
    views.back().u0 = u[0];
    views.back().u1 = u[1];
    EXPECT_TRUE(verifies<G>(views.back(), chi));
  }
  const Equation<G> equation(views[0], views[1], chi);
  EXPECT_FALSE(equation.has_root(point.x + F::one()));  // it does say something
  EXPECT_EQ(equation.holds(point.x, point.y), equation.has_root(point.x));
  return equation.holds(point.x, point.y);
}

// 5b: the shared mask is the variant that the design forbids.
TYPED_TEST(CollusionTest, OneMaskForTwoVerifiersGivesThePointAway) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    EXPECT_TRUE(point_is_given_away<TypeParam>(true, seed));
  }
}

TYPED_TEST(CollusionTest, OneMaskAVerifierHidesThePoint) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    EXPECT_FALSE(point_is_given_away<TypeParam>(false, seed));
  }
}

// --- 39: the same two members in a whole batch of tokens -----------------------------------------

/// What a corrupted member notes of its own oblivious transfers.
class NotingSource : public prep::ForwardSource {
 public:
  using ForwardSource::ForwardSource;
  RotReceiver rot_receive(PartyId sender, size_t count, std::span<const uint8_t> choices) override {
    RotReceiver out = source_.rot_receive(sender, count, choices);
    if (first.emplace(sender, std::vector<Block>(out.seed.begin(), out.seed.end())).second) {
      choice[sender].assign(out.choice.begin(), out.choice.end());
    }
    return out;
  }
  /// The first transfers from every peer: those of Cope.
  std::map<PartyId, std::vector<Block>> first;
  std::map<PartyId, std::vector<uint8_t>> choice;
};

/// The key of the verifier for element `l` of the first input of P_0 (§1.3).
template <typename F>
F key_of(const NotingSource& noted, const Bytes& corrections, size_t l) {
  F sum;
  for (unsigned h = F::kBits; h-- > 0;) {
    std::array<Block, 3> b;
    Aes128(noted.first.at(0)[h]).ctr(3 * l, b);
    F q = F::from_wide({b[0].lo, b[0].hi, b[1].lo, b[1].hi}, b[2].lo, b[2].hi);
    if (noted.choice.at(0)[h] != 0) {
      const uint8_t* at = corrections.data() + 32 * (l * F::kBits + h);
      q += *F::from_bytes_be(std::span<const uint8_t, 32>(at, 32));
    }
    sum = sum.doubled() + q;
  }
  return -sum;
}

TYPED_TEST(CollusionTest, TwoMembersOfABatchOfTokensDoNotGetThePointOfTheThird) {
  using G = TypeParam;
  using F = typename G::Field;
  struct Seen {
    std::map<PartyId, Bytes> corrections, proof, coin2;
  } seen;
  typename G::Point point;
  Digest id{};
  id[0] = 1;
  RoScope scope;
  Dealer dealer(3);
  std::vector<NotingSource> sources;
  for (PartyId i = 0; i < 3; ++i) sources.emplace_back(dealer.source(i));
  const auto run = run_parties(
      3,
      [&](net::Party& p) {
        const ScopeGuard guard(p, id);
        Cope<F> cope(p, sources[p.id()]);
        std::vector<TokenWitness<G>> witnesses;
        witnesses.push_back(TokenWitness<G>::random(p, id));
        if (p.id() == 0) {
          point = witnesses[0].mask;
          scope = p.scope();
        }
        const F gamma = cope.gamma();
        TokenBatch<G>(p, sources[p.id()], cope, {id}, std::move(witnesses)).run();
        return gamma;
      },
      [&](const net::MessageId& m, Bytes& payload) {
        if (m.label == "arith/coin 2/coin open") seen.coin2[m.sender] = payload;
        if (m.sender != 0) return;
        if (m.label == "arith/stage 1/correction") seen.corrections[m.receiver] = payload;
        if (m.label == "arith/point proof") seen.proof[m.receiver] = payload;
      });
  for (const auto& outcome : run.outcomes) ASSERT_TRUE(outcome.value.has_value());

  Digest seed{};
  for (const auto& [sender, opening] : seen.coin2) {
    for (size_t k = 0; k < seed.size(); ++k) seed[k] ^= opening[k];
  }
  const Digest coin2 = RandomOracle("coin", scope, 1).field("arith/coin 2").field(seed).digest();
  Prg stream(RandomOracle("coefficients", scope)
                 .field("quicksilver arith/point proof 0")
                 .field(coin2)
                 .block());
  const std::vector<F> chi = {F::random(stream), F::random(stream)};

  const size_t first_mask = seen.corrections[1].size() / (32 * F::kBits) - 3;  // 2, and that of 1.4
  std::vector<VerifierView<F>> views;
  for (const PartyId j : {1u, 2u}) {
    const auto key = [&](size_t l) { return key_of<F>(sources[j], seen.corrections[j], l); };
    const auto u = parse_elements<F>(seen.proof[j], "test", 0);
    views.push_back(
        {*run.outcomes[j].value, key(0), key(1), key(2), key(first_mask + j - 1), u[0], u[1]});
    // Everything the two have was put together right: this is the engine's own check.
    ASSERT_TRUE(verifies<G>(views.back(), chi));
  }
  EXPECT_FALSE(Equation<G>(views[0], views[1], chi).holds(point.x, point.y));
  EXPECT_FALSE(Equation<G>(views[0], views[1], chi).has_root(point.x));
}

// --- 5c ------------------------------------------------------------------------------------------

// For a fixed witness, keys and coefficients the pair (U1 of P_1, U1 of P_2) is a fixed pair minus
// the two masks. A translation of uniform independent elements is uniform: nothing is left to see.
// (U0 follows from U1 and what the verifier has.)
TYPED_TEST(CollusionTest, TheTwoU1AreATranslationOfTheTwoMasks) {
  using G = TypeParam;
  using F = typename G::Field;
  Prg prg(Block(5, 39));
  const auto point = math::multiply<G>(G::Scalar::from_u64(4711), math::generator<G>());
  Values<F> values;
  for (const F& share : {point.x, point.y, point.x.square()}) {
    values.emplace_back(3);
    values.back().share() = share;
    for (const PartyId j : {1u, 2u}) values.back().mac(j) = F::random(prg);
  }
  const std::vector<F> chi = {F::random(prg), F::random(prg)};
  const auto relations = point_relations<G>();
  std::optional<std::array<F, 2>> fixed;
  for (size_t trial = 0; trial < 50; ++trial) {
    std::array<F, 2> sums;
    for (const PartyId j : {1u, 2u}) {
      AuthValue<F> mask(3);
      // Also masks at the border.
      mask.share() = trial == 0 ? F() : trial == 1 ? -F::one() : F::random(prg);
      mask.mac(j) = F::random(prg);
      const auto u = relation_proof<F>(j, values, mask, relations, chi);
      sums[j - 1] = u[1] + mask.share();
    }
    if (!fixed) fixed = sums;
    EXPECT_TRUE(sums[0] == (*fixed)[0] && sums[1] == (*fixed)[1]);
  }
}

}  // namespace quicksilver_attack_test
}  // namespace flexroom::arith
