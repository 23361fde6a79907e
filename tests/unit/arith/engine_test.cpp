// Each building block over the trusted dealer: its relation, and the abort when a corrupted member
// violates exactly that check (tls-in-mpc.md §8, attacks 1 to 8, 40, 41).
#include <gtest/gtest.h>

#include "arith/coefficients.h"
#include "arith/open.h"
#include "arith/token_batch.h"
#include "support/dealer.h"
#include "support/other_input_mask.h"
#include "support/parties.h"

namespace flexroom::arith {
namespace engine_test {

using math::F25519;
using math::P256Group;
using math::X25519Group;
using support::Dealer;
using support::run_parties;
using F = F25519;

void add_to_element(Bytes& payload, size_t element, const F& error) {
  const std::span<uint8_t, 32> at(payload.data() + 32 * element, 32);
  (*F::from_bytes_be(at) + error).to_bytes_be(at);
}

struct Shares {
  F gamma;
  std::vector<Values<F>> values;  // [owner]
};

Shares authenticate(net::Party& party, Dealer& dealer, size_t count) {
  Cope<F> cope(party, dealer.source(party.id()));
  math::SecretVector<F> own;
  for (size_t l = 0; l < count; ++l) own.push_back(F::random(party.prg()));
  PrivateInput<F> input(party, cope, own, "test");
  input.check(party.coin("test"));
  return {cope.gamma(), input.values()};
}

class PrivateInputTest : public testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Parties, PrivateInputTest, testing::Values(2, 3));

TEST_P(PrivateInputTest, MacsFit) {
  const size_t n = GetParam();
  Dealer dealer(n);
  const auto run = run_parties(n, [&](net::Party& p) { return authenticate(p, dealer, 3); });
  for (PartyId i = 0; i < n; ++i) {
    for (PartyId j = 0; j < n; ++j) {
      if (i == j) continue;
      for (size_t l = 0; l < 3; ++l) {
        const auto& at_owner = run.outcomes[i].value->values[i][l];
        const auto& at_verifier = run.outcomes[j].value->values[i][l];
        EXPECT_TRUE(at_owner.mac(j) ==
                    at_verifier.key(i) + at_owner.share() * run.outcomes[j].value->gamma);
        EXPECT_TRUE(at_verifier.share().is_zero());
      }
    }
  }
}

// Attack 2: another x for every bit of Gamma; with three members also a consistent other x towards
// one verifier. (Towards the only verifier that would just be another input.)
TEST_P(PrivateInputTest, InconsistentCorrectionsAbort) {
  const size_t n = GetParam();
  for (const bool per_bit : {true, false}) {
    if (!per_bit && n == 2) continue;
    Dealer dealer(n);
    Prg errors(Block(4, 4));
    const auto run = run_parties(
        n, [&](net::Party& p) { return authenticate(p, dealer, 3); },
        [&](const net::MessageId& m, Bytes& payload) {
          if (m.sender != n - 1 || m.receiver != 0 || m.label != "test/correction") return;
          const F same = F::from_u64(5);
          for (size_t h = 0; h < F::kBits; ++h) {
            add_to_element(payload, h, per_bit ? F::random(errors) : same);
          }
        });
    EXPECT_EQ(run.outcomes[0].code(), AbortCode::kFpAuth);
  }
}

// An error in one correction matters only if that bit of Gamma is 1: abort or nothing.
TEST(PrivateInput, SelectiveFailureAbortsOrIsHarmless) {
  int aborted = 0;
  for (size_t h = 0; h < 16; ++h) {
    Dealer dealer(2);
    const auto run = run_parties(
        2, [&](net::Party& p) { return authenticate(p, dealer, 1); },
        [&](const net::MessageId& m, Bytes& payload) {
          if (m.sender == 1 && m.label == "test/correction") add_to_element(payload, h, F::one());
        });
    if (!run.outcomes[0].value) {
      EXPECT_EQ(run.outcomes[0].code(), AbortCode::kFpAuth);
      ++aborted;
      continue;
    }
    const auto& owner = run.outcomes[1].value->values[1][0];
    EXPECT_TRUE(owner.mac(0) == run.outcomes[0].value->values[1][0].key(1) +
                                    owner.share() * run.outcomes[0].value->gamma);
  }
  EXPECT_GT(aborted, 0);
  EXPECT_LT(aborted, 16);
}

// Attack 1: each share, the digest, each sender.
TEST_P(PrivateInputTest, WrongShareInAnOpeningAborts) {
  const size_t n = GetParam();
  const auto protocol = [](Dealer& dealer) {
    return [&dealer](net::Party& p) {
      const Shares s = authenticate(p, dealer, 2);
      Values<F> sums = s.values[0];
      for (PartyId i = 1; i < p.num_parties(); ++i) {
        for (size_t l = 0; l < sums.size(); ++l) sums[l] += s.values[i][l];
      }
      sums[1].add_constant(F::from_u64(7), p.id(), s.gamma);
      std::vector<F> own;
      for (const auto& v : s.values[p.id()]) own.push_back(v.share());
      return std::make_pair(own, open_values<F>(p, s.gamma, sums, "test/open"));
    };
  };
  Dealer honest(n);
  const auto good = run_parties(n, protocol(honest));
  F sum0;
  F sum1 = F::from_u64(7);
  for (const auto& o : good.outcomes) {
    sum0 += o.value->first[0];
    sum1 += o.value->first[1];
  }
  for (const auto& o : good.outcomes) {
    EXPECT_TRUE(o.value->second[0] == sum0 && o.value->second[1] == sum1);
  }
  for (PartyId sender = 0; sender < n; ++sender) {
    const PartyId receiver = (sender + 1) % static_cast<PartyId>(n);
    for (const size_t byte : {size_t{31}, size_t{63}, size_t{64}, size_t{95}}) {
      Dealer dealer(n);
      const auto run = run_parties(
          n, protocol(dealer), support::flip_bit_of({sender, receiver, "test/open", 0, 0}, byte));
      EXPECT_EQ(run.outcomes[receiver].code(), AbortCode::kFpMac) << sender << " " << byte;
    }
  }
}

std::vector<Triple<F>> make_triples(net::Party& party, Dealer& dealer) {
  prep::Source& source = dealer.source(party.id());
  Cope<F> cope(party, source);
  TripleBatch<F> batch(party, source, 1);
  math::SecretVector<F> own;
  batch.append_elements(party.coin("coin 1"), own);
  PrivateInput<F> input(party, cope, own, "test");
  const Digest coin2 = party.coin("coin 2");
  input.check(coin2);
  Values<F> sums = input.values()[0];
  for (PartyId i = 1; i < party.num_parties(); ++i) {
    for (size_t l = 0; l < sums.size(); ++l) sums[l] += input.values()[i][l];
  }
  return batch.sacrifice(cope.gamma(), coin2, sums);
}

bool is_product(const support::Run<std::vector<Triple<F>>>& run) {
  F a, b, c;
  for (const auto& o : run.outcomes) {
    a += (*o.value)[0].a.share();
    b += (*o.value)[0].b.share();
    c += (*o.value)[0].c.share();
  }
  return a * b == c;
}

// Attack 3: one wrong correction aborts or is harmless; another b_j for one vector aborts.
TEST_P(PrivateInputTest, TriplesAreRightOrAbort) {
  const size_t n = GetParam();
  Dealer honest(n);
  EXPECT_TRUE(is_product(run_parties(n, [&](net::Party& p) { return make_triples(p, honest); })));
  int aborted = 0;
  for (size_t h = 0; h < 10; ++h) {
    Dealer dealer(n);
    const auto run = run_parties(
        n, [&](net::Party& p) { return make_triples(p, dealer); },
        [&](const net::MessageId& m, Bytes& payload) {
          if (m.sender == n - 1 && m.receiver == 0 && m.label == "arith/triples/products") {
            add_to_element(payload, h, F::from_u64(12345));
          }
        });
    if (run.outcomes[0].value) {
      EXPECT_TRUE(is_product(run));
    } else {
      EXPECT_EQ(run.outcomes[0].code(), AbortCode::kFpSacrifice);
      ++aborted;
    }
  }
  EXPECT_GT(aborted, 0);
  EXPECT_LT(aborted, 10);
  Dealer dealer(n);
  const auto run = run_parties(
      n, [&](net::Party& p) { return make_triples(p, dealer); },
      [&](const net::MessageId& m, Bytes& payload) {
        if (m.sender != n - 1 || m.receiver != 0 || m.label != "arith/triples/products") return;
        for (size_t h = 0; h < F::kBits; ++h) add_to_element(payload, h, F::one());
      });
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kFpSacrifice);
}

// --- tokens of a member that lies about its choices ---

template <typename G>
using Lie = std::function<void(net::Party&, TokenWitness<G>&)>;

template <typename G>
std::vector<Token> lying_batch(net::Party& party, Dealer& dealer, const Lie<G>& lie) {
  Digest id{};
  id[0] = 1;
  const ScopeGuard scope(party, id);
  prep::Source& source = dealer.source(party.id());
  Cope<typename G::Field> cope(party, source);
  std::vector<TokenWitness<G>> witnesses;
  witnesses.push_back(TokenWitness<G>::random(party, id));
  if (party.id() + 1 == party.num_parties()) lie(party, witnesses[0]);
  return TokenBatch<G>(party, source, cope, {id}, std::move(witnesses)).run();
}

template <typename G>
std::optional<AbortCode> code_of_lie(size_t n, const Lie<G>& lie) {
  Dealer dealer(n);
  const auto run =
      run_parties(n, [&](net::Party& p) { return lying_batch<G>(p, dealer, lie).size(); });
  for (PartyId i = 0; i + 1 < n; ++i) EXPECT_FALSE(run.outcomes[i].value);
  return run.outcomes[0].code();
}

template <typename G>
class LieTest : public testing::Test {};
using Groups = testing::Types<X25519Group, P256Group>;
TYPED_TEST_SUITE(LieTest, Groups);

// Attacks 5 and 7: a pair that is no point of the curve, a wrong square.
TYPED_TEST(LieTest, PointOffTheCurveAborts) {
  using G = TypeParam;
  using E = typename G::Field;
  for (const size_t n : {size_t{2}, size_t{3}}) {
    EXPECT_EQ(code_of_lie<G>(n, [](net::Party&, auto& w) { w.y += E::one(); }),
              AbortCode::kFpProof);
  }
  for (const size_t n : {size_t{2}, size_t{3}}) {
    EXPECT_EQ(code_of_lie<G>(n, [](net::Party&, auto& w) { w.w += E::one(); }),
              AbortCode::kFpProof);
  }
}

// Attack 4: the authenticated element is not the integer of the bits. What survives, and with which
// probability: edabits_attack_test.cpp.
TYPED_TEST(LieTest, MaskElementOffAborts) {
  using G = TypeParam;
  using E = typename G::Field;
  for (const size_t n : {size_t{2}, size_t{3}}) {
    EXPECT_EQ(code_of_lie<G>(n, [](net::Party&, auto& w) { w.eda.rho_element += E::from_u64(9); }),
              AbortCode::kFpRange);
    // Bits of another value than the one the integers were computed from.
    EXPECT_EQ(code_of_lie<G>(n, [](net::Party&, auto& w) { w.eda.rho[0] ^= 2; }),
              AbortCode::kFpRange);
  }
}

// Attack 41: rho = p + e is the right residue with bits out of range.
TYPED_TEST(LieTest, MaskAboveTheModulusAborts) {
  using G = TypeParam;
  using E = typename G::Field;
  const auto lie = [](net::Party&, TokenWitness<G>& w) {
    w.eda.rho_element = E::from_u64(3);
    math::add_into(w.eda.rho, E::kModulus, {3, 0, 0, 0});
  };
  for (const size_t n : {size_t{2}, size_t{3}}) {
    EXPECT_EQ(code_of_lie<G>(n, lie), AbortCode::kBitProof);
  }
}

// Attack 40: nobody opens its part of coin 2 before its own integers left; what each member waits
// for in between is fixed by the order of its code (EdaBitsDeathTest).
TYPED_TEST(LieTest, IntegersLeaveBeforeCoinTwo) {
  using G = TypeParam;
  for (const size_t n : {size_t{2}, size_t{3}}) {
    Dealer dealer(n);
    const auto run = run_parties(n, [&](net::Party& p) {
      return lying_batch<G>(p, dealer, [](net::Party&, auto&) {}).size();
    });
    for (PartyId i = 0; i < n; ++i) {
      ASSERT_TRUE(run.outcomes[i].value.has_value());
      size_t integers = 0;
      bool coin = false;
      for (const net::MessageId& m : run.trace) {
        if (m.sender != i) continue;
        coin |= m.label.starts_with("arith/coin 2");
        if (m.label != "arith/edabits/integers") continue;
        EXPECT_FALSE(coin);
        ++integers;
      }
      EXPECT_TRUE(coin);
      EXPECT_EQ(integers, n - 1);
    }
  }
}

// §1.4(3): three members compare what each was told of the two inputs.
TYPED_TEST(LieTest, ClaimsAreTheSameForAll) {
  using G = TypeParam;
  const auto run = [](const net::Tamper& tamper) {
    Dealer dealer(3);
    return run_parties(
        3,
        [&](net::Party& p) { return lying_batch<G>(p, dealer, [](net::Party&, auto&) {}).size(); },
        tamper);
  };
  const auto honest = run(nullptr).trace;
  for (const auto& [input, echo] :
       {std::pair<std::string, std::string>{"stage 1", "stage 4"}, {"stage 4", "stage 6"}}) {
    const auto lied =
        run(support::other_input_mask<typename G::Field>(2, 1, "arith/" + input, honest)).outcomes;
    ASSERT_EQ(lied[0].code(), AbortCode::kEcho) << input;
    EXPECT_EQ(lied[0].abort->operation(), "arith/" + echo + "/echo");
  }
}

// Attack 6: a key without knowledge of its logarithm, a proof of another token or party.
TYPED_TEST(LieTest, RogueKeyAborts) {
  using G = TypeParam;
  for (const size_t n : {size_t{2}, size_t{3}}) {
    EXPECT_EQ(code_of_lie<G>(n,
                             [](net::Party& p, auto& w) {
                               const Digest other{};
                               w.key_proof = KeyContribution<G>::prove(p, other, w.k);
                             }),
              AbortCode::kFpKeyShare);
    EXPECT_EQ(code_of_lie<G>(n,
                             [](net::Party&, auto& w) {
                               w.key_proof.key = math::add_points<G>(
                                   math::generator<G>(), math::negate<G>(w.key_proof.key));
                             }),
              AbortCode::kFpKeyShare);
  }
  const auto run = run_parties(2, [&](net::Party& p) {
    const Digest id{};
    const auto proof = KeyContribution<G>::prove(p, id, G::Scalar::random_nonzero(p.prg()));
    RoScope other = p.scope();
    other.sid[5] ^= 1;
    return proof.verify(p.scope(), id, p.id()) && !proof.verify(p.scope(), id, 1 - p.id()) &&
           !proof.verify(other, id, p.id());
  });
  EXPECT_TRUE(*run.outcomes[0].value && *run.outcomes[1].value);
}

// Attack 8: R_j + D on the curve is not caught here, and gives exactly x(P + D) (Theorem 1).
template <typename G>
void expect_shift(const typename G::Point& d) {
  using E = typename G::Field;
  struct Out {
    E c, rho;
    typename G::Scalar k;
  };
  const auto server = math::multiply<G>(G::Scalar::from_u64(77), math::generator<G>());
  Dealer dealer(2);
  const auto run = run_parties(2, [&](net::Party& p) {
    auto tokens = lying_batch<G>(p, dealer, [&](net::Party&, TokenWitness<G>& w) {
      const auto shifted = math::add_points<G>(w.mask, d);
      w.x = shifted.x;
      w.y = shifted.y;
      w.w = shifted.x.square();
    });
    auto& secrets = static_cast<GroupTokenSecrets<G>&>(*tokens[0].secrets);
    Out out;
    out.k = secrets.scalar;
    const auto value = [](const std::vector<uint8_t>& bits) {
      E v;
      for (size_t t = bits.size(); t-- > 0;) v = v.doubled() + E::from_u64(bits[t]);
      return v;
    };
    out.c = value(convert_online<G>(p, secrets, server, {}, nullptr));
    const prep::AuthBits& rho = tokens[0].rho[p.id()];
    std::vector<uint8_t> bits;
    for (size_t t = 0; t < rho.size(); ++t) bits.push_back(rho.share(t) ? 1 : 0);
    out.rho = value(bits);
    return out;
  });
  ASSERT_TRUE(run.outcomes[0].value && run.outcomes[1].value);
  const Out& a = *run.outcomes[0].value;
  const Out& b = *run.outcomes[1].value;
  const auto p = math::add_points<G>(math::multiply<G>(a.k + b.k, server), d);
  EXPECT_TRUE(a.c - a.rho - b.rho == p.x);
}

TYPED_TEST(LieTest, ShiftedMaskShiftsTheSecretByTheKnownPoint) {
  using G = TypeParam;
  expect_shift<G>(math::multiply<G>(G::Scalar::from_u64(123456789), math::generator<G>()));
  if constexpr (std::is_same_v<G, X25519Group>) {
    expect_shift<G>({F25519(), F25519(), false});  // small order: u(P + D) = 1 / u(P)
  }
}

// Attack 40: the engine has no way to check before the integers are fixed.
TEST(EdaBitsDeathTest, ChecksOnlyAfterTheIntegers) {
  EXPECT_DEATH(
      {
        Dealer dealer(2);
        run_parties(2, [&](net::Party& p) {
          const std::vector<MaskWitness<F>> own = {MaskWitness<F>::random(p.prg())};
          PrivateEdaBits<F> eda(p, dealer.source(p.id()), own);
          eda.check(F(), {}, nullptr);
          return true;
        });
      },
      "");
}

}  // namespace engine_test
}  // namespace flexroom::arith
