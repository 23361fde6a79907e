// The arithmetic half of a Poly1305 tag (tls-in-mpc.md §4.7) over the trusted dealer: its value,
// and the abort when a corrupted member violates exactly one of its checks.
#include "arith/poly1305.h"

#include <gtest/gtest.h>

#include "arith/ecdh.h"
#include "arith/open.h"
#include "arith/poly1305_batch.h"
#include "support/dealer.h"
#include "support/other_input_mask.h"
#include "support/parties.h"

namespace flexroom::arith {
namespace poly1305_test {

using F = math::FPoly1305;
using support::Dealer;
using support::run_parties;

F element_of(const std::vector<uint8_t>& bits) {
  math::U256 v{};
  for (size_t t = 0; t < bits.size(); ++t) v[t / 64] |= uint64_t{bits[t]} << (t % 64);
  return F::from_any(v);
}

/// This party's own mask of `which`, as the number that its bits say.
F own_mask(const std::vector<prep::AuthBits>& masks, PartyId self) {
  std::vector<uint8_t> bits;
  for (size_t t = 0; t < masks[self].size(); ++t) bits.push_back(masks[self].share(t) ? 1 : 0);
  return element_of(bits);
}

std::vector<uint8_t> bits_of(const F& v) {
  const math::U256 integer = v.canonical();
  std::vector<uint8_t> out;
  for (unsigned t = 0; t < F::kBits; ++t) out.push_back(math::bit_of(integer, t) ? 1 : 0);
  return out;
}

Bytes text(size_t size, uint64_t seed) {
  Prg prg(Block(seed, 8439));
  Bytes out(size);
  prg.fill(std::span<uint8_t>(out));
  return out;
}

F clear_accumulator(const F& r, std::span<const math::U256> blocks) {
  F acc;
  for (const math::U256& block : blocks) acc = (acc + F::from_any(block)) * r;
  return acc;
}

struct Evaluated {
  F rho, sigma;  // this party's
  F masked;      // acc + sum sigma
};

const F kR = F::from_reduced({0x0ffffffc0fffff01u, 0x0ffffffc0ffffffcu, 0, 0});

/// The masks are made as in the product, r is given; c = r - sum rho_i is what the circuit opens.
/// (Each party tells the others its rho in the clear, as the test's circuit.)
Evaluated evaluate(net::Party& party, Dealer& dealer, std::span<const math::U256> blocks) {
  prep::Source& source = dealer.source(party.id());
  ArithEngine engine(party, source);
  const size_t count = blocks.size();
  Poly1305Masks masks = std::move(engine.make_poly1305({&count, 1}).front());
  Evaluated out{own_mask(masks.rho, party.id()), own_mask(masks.sigma, party.id()), F()};
  F c = kR - out.rho;
  Bytes message;
  out.rho.append_be(message);
  for (const PartyId j : party.peers()) party.send(j, "test/rho", message);
  for (const PartyId j : party.peers()) {
    c -= *F::from_bytes_be(
        std::span<const uint8_t, F::kBytes>(party.receive(j, "test/rho", F::kBytes)));
  }
  out.masked =
      element_of(engine.guarded([&] { return poly1305_masked(party, masks, bits_of(c), blocks); }));
  EXPECT_EQ(masks.secrets, nullptr);
  return out;
}

class Poly1305Test : public testing::TestWithParam<size_t> {
 protected:
  const size_t n_ = GetParam();
  PartyId last() const { return static_cast<PartyId>(n_ - 1); }
};
INSTANTIATE_TEST_SUITE_P(Parties, Poly1305Test, testing::Values(2, 3));

// §4.7: about 3 sqrt(L) triples, a quarter of them behind the ciphertext.
TEST(Poly1305Plan, FewestTriples) {
  EXPECT_EQ(Poly1305Plan::of(1).triples(), 0u);
  EXPECT_EQ(Poly1305Plan::of(3).triples(), 2u);
  for (const auto& [blocks, triples] : {std::pair<size_t, size_t>{67, 20}, {674, 70}, {1027, 87}}) {
    const Poly1305Plan plan = Poly1305Plan::of(blocks);
    EXPECT_EQ(plan.triples(), triples) << plan.baby << " " << plan.giant;
    EXPECT_GE(plan.baby * plan.giant, blocks);
    EXPECT_LE(plan.products(), 24u);
  }
}

// What a plan says that a tag sends, against what is sent.
TEST(Poly1305Plan, MasksSendWhatIsSaidOfThem) {
  for (const size_t blocks : {3, 100}) {
    Dealer dealer(2);
    const auto run = run_parties(2, [&](net::Party& party) {
      ArithEngine engine(party, dealer.source(party.id()));
      const uint64_t before = party.traffic().bytes_sent;
      (void)engine.make_poly1305({&blocks, 1});
      return static_cast<double>(party.traffic().bytes_sent - before);
    });
    const double said = poly1305_bytes_to_each_peer(Poly1305Plan::of(blocks));
    for (const auto& outcome : run.outcomes)
      EXPECT_NEAR(*outcome.value, said, 0.1 * said) << blocks;
  }
}

TEST(Poly1305Blocks, AreReadAsTheStandardSays) {
  // RFC 8439 §2.5.2, the first and the last block of its message.
  EXPECT_EQ(poly1305_block(as_bytes("Cryptographic Fo")),
            (math::U256{0x72676f7470797243, 0x6f46206369687061, 1, 0}));
  EXPECT_EQ(poly1305_block(as_bytes("up")), (math::U256{0x17075, 0, 0, 0}));
  // §2.8: each part padded to whole blocks, a block with both lengths behind.
  const auto blocks = poly1305_aead_blocks(as_bytes("up"), text(17, 1));
  ASSERT_EQ(blocks.size(), 4u);
  EXPECT_EQ(blocks[0], (math::U256{0x7075, 0, 1, 0}));
  EXPECT_EQ(blocks[3], (math::U256{2, 17, 1, 0}));
}

TEST_P(Poly1305Test, EqualsThePolynomialInTheClear) {
  for (const auto& [aad, size] : std::vector<std::pair<size_t, size_t>>{
           {5, 1}, {5, 16}, {5, 33}, {5, 100}, {5, 513}, {13, 1100}}) {
    Dealer dealer(n_);
    const auto blocks = poly1305_aead_blocks(text(aad, 1), text(size, 2));
    ASSERT_EQ(blocks.size(), poly1305_aead_block_count(aad, size));
    const auto run = run_parties(n_, [&](net::Party& p) { return evaluate(p, dealer, blocks); });
    F expected = clear_accumulator(kR, blocks);
    for (const auto& outcome : run.outcomes) {
      ASSERT_TRUE(outcome.value.has_value()) << outcome.abort->what();
      expected += outcome.value->sigma;
    }
    for (const auto& outcome : run.outcomes) EXPECT_TRUE(outcome.value->masked == expected) << size;
  }
}

// 1.5: every share of every opening, towards every receiver, and its digest.
TEST_P(Poly1305Test, WrongShareInAnyOpeningAborts) {
  const auto blocks = poly1305_aead_blocks(text(5, 1), text(100, 2));
  ASSERT_GT(Poly1305Plan::of(blocks.size()).giant_powers(), 0u);
  for (const char* label : {"arith/poly1305/powers", "arith/poly1305/giant step",
                            "arith/poly1305/products", "arith/poly1305/masked accumulator"}) {
    for (PartyId sender = 0; sender < n_; ++sender) {
      const auto receiver = static_cast<PartyId>((sender + 1) % n_);
      for (const size_t byte : {F::kBytes - 1, F::kBytes + 16}) {
        Dealer dealer(n_);
        const auto run = run_parties(
            n_, [&](net::Party& p) { return evaluate(p, dealer, blocks); },
            support::flip_bit_of({sender, receiver, label, 0, 0}, byte));
        EXPECT_EQ(run.outcomes[receiver].code(), AbortCode::kFpMac) << label << " " << byte;
      }
    }
  }
}

// An additive error on a share of the accumulator or of r^baby, with everything else right: the
// share is taken only with its MAC.
TEST_P(Poly1305Test, AdditiveErrorOnAShareIsCaught) {
  const auto blocks = poly1305_aead_blocks(text(5, 1), text(100, 2));
  for (const char* label : {"arith/poly1305/giant step", "arith/poly1305/masked accumulator"}) {
    Dealer dealer(n_);
    const auto run = run_parties(
        n_, [&](net::Party& p) { return evaluate(p, dealer, blocks); },
        [&](const net::MessageId& m, Bytes& payload) {
          if (m.sender != last() || m.receiver != 0 || m.label != label) return;
          const std::span<uint8_t, F::kBytes> at(payload.data(), F::kBytes);
          (*F::from_bytes_be(at) + F::one()).to_bytes_be(at);
        });
    EXPECT_EQ(run.outcomes[0].code(), AbortCode::kFpMac) << label;
  }
}

// 1.6: an error on the products of one triple (tau = 4 vectors), every bit of it.
TEST_P(Poly1305Test, WrongProductFailsTheSacrifice) {
  EXPECT_EQ(TripleBatch<F>::kTau, 4u);
  const auto blocks = poly1305_aead_blocks(text(5, 1), text(16, 2));
  Dealer dealer(n_);
  const auto run = run_parties(
      n_, [&](net::Party& p) { return evaluate(p, dealer, blocks); },
      [&](const net::MessageId& m, Bytes& payload) {
        if (m.sender != last() || m.receiver != 0 || m.label != "arith/triples/products") return;
        for (size_t at = 0; at < payload.size(); at += F::kBytes) {
          const std::span<uint8_t, F::kBytes> d(payload.data() + at, F::kBytes);
          (*F::from_bytes_be(d) + F::one()).to_bytes_be(d);
        }
      });
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kFpSacrifice);
}

// 1.4: another x for every bit of Gamma.
TEST_P(Poly1305Test, InconsistentCorrectionsFailTheAuthentication) {
  const auto blocks = poly1305_aead_blocks(text(5, 1), text(16, 2));
  for (const char* label :
       {"arith/poly1305/stage 1/correction", "arith/poly1305/stage 4/correction"}) {
    Dealer dealer(n_);
    Prg errors(Block(4, 4));
    const auto run = run_parties(
        n_, [&](net::Party& p) { return evaluate(p, dealer, blocks); },
        [&](const net::MessageId& m, Bytes& payload) {
          if (m.sender != last() || m.receiver != 0 || m.label != label || m.index != 0) return;
          for (size_t h = 0; h < F::kBits; ++h) {
            const std::span<uint8_t, F::kBytes> u(payload.data() + h * F::kBytes, F::kBytes);
            (*F::from_bytes_be(u) + F::random(errors)).to_bytes_be(u);
          }
        });
    EXPECT_EQ(run.outcomes[0].code(), AbortCode::kFpAuth) << label;
  }
}

/// The last party's witness is what `lie` makes of it.
template <typename Lie>
std::optional<AbortCode> code_of_liar(size_t n, Lie lie) {
  Dealer dealer(n);
  const auto run = run_parties(n, [&](net::Party& p) {
    prep::Source& source = dealer.source(p.id());
    Cope<F> cope(p, source);
    std::vector<Poly1305Witness> witnesses = {Poly1305Witness::random(p.prg())};
    if (p.id() + 1 == n) lie(witnesses.front());
    return Poly1305Batch(p, source, cope, {Digest{}}, {Poly1305Plan::of(4)}, std::move(witnesses))
        .run()
        .size();
  });
  return run.outcomes[0].code();
}

// 1.9: each of the two masks is the same number as bits and as an element, and below p.
TEST_P(Poly1305Test, MaskWhoseElementIsNotItsBitsAborts) {
  EXPECT_EQ(code_of_liar(n_, [](Poly1305Witness&) {}), std::nullopt);
  EXPECT_EQ(code_of_liar(n_, [](Poly1305Witness& w) { w.rho.rho_element += F::one(); }),
            AbortCode::kFpRange);
  EXPECT_EQ(code_of_liar(n_, [](Poly1305Witness& w) { w.sigma.rho_element += F::one(); }),
            AbortCode::kFpRange);
}
TEST_P(Poly1305Test, MaskBeyondTheModulusAborts) {
  // p + 1 has 130 bits and the element 1: only the range proof tells.
  const auto beyond = [](MaskWitness<F>& mask) {
    mask.rho = F::kModulus;
    mask.rho[0] += 1;
    mask.rho_element = F::one();
  };
  EXPECT_EQ(code_of_liar(n_, [&](Poly1305Witness& w) { beyond(w.rho); }), AbortCode::kBitProof);
  EXPECT_EQ(code_of_liar(n_, [&](Poly1305Witness& w) { beyond(w.sigma); }), AbortCode::kBitProof);
}

// 1.9: no bit above the longest integer. The code of the F_p side is the same, its step is not.
TEST_P(Poly1305Test, IntegerOutOfRangeAborts) {
  const auto blocks = poly1305_aead_blocks(text(5, 1), text(16, 2));
  for (const size_t byte : {32u, 47u}) {
    Dealer dealer(n_);
    const auto run = run_parties(
        n_, [&](net::Party& p) { return evaluate(p, dealer, blocks); },
        support::flip_bit_of({last(), 0, "arith/edabits/integers", 0, 0}, byte, 7));
    EXPECT_EQ(run.outcomes[0].code(), AbortCode::kFpRange);
    EXPECT_EQ(run.outcomes[0].abort->operation(), "arith/edabits/integers") << byte;
    EXPECT_EQ(run.outcomes[0].abort->peer(), std::optional(last()));
  }
}

// 1.11: three members compare what each was told before coin 2 exists.
TEST(Poly1305Echo, IntegersAreTheSameForAll) {
  const auto blocks = poly1305_aead_blocks(text(5, 1), text(16, 2));
  Dealer dealer(3);
  const auto run = run_parties(
      3, [&](net::Party& p) { return evaluate(p, dealer, blocks); },
      support::flip_bit_of({2, 0, "arith/edabits/integers", 0, 0}, 1));
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kEcho);
}

// 1.4(3): the claims of both inputs.
TEST(Poly1305Echo, ClaimsAreTheSameForAll) {
  const auto blocks = poly1305_aead_blocks(text(5, 1), text(16, 2));
  const auto run = [&](const net::Tamper& tamper) {
    Dealer dealer(3);
    return run_parties(
        3, [&](net::Party& p) { return evaluate(p, dealer, blocks); }, tamper);
  };
  const auto honest = run(nullptr).trace;
  for (const auto& [input, echo] :
       {std::pair<std::string, std::string>{"stage 1", "stage 4"}, {"stage 4", "stage 6"}}) {
    const auto lied =
        run(support::other_input_mask<F>(2, 1, "arith/poly1305/" + input, honest)).outcomes;
    ASSERT_EQ(lied[0].code(), AbortCode::kEcho) << input;
    EXPECT_EQ(lied[0].abort->operation(), "arith/poly1305/" + echo + "/echo");
  }
}

// 4.7: two openings under one mask give r. The object serves once, also when it ended in an abort.
TEST_P(Poly1305Test, MasksServeOneTag) {
  const auto blocks = poly1305_aead_blocks(text(5, 1), text(16, 2));
  Dealer dealer(n_);
  const auto run = run_parties(n_, [&](net::Party& p) {
    ArithEngine engine(p, dealer.source(p.id()));
    const size_t count = blocks.size();
    Poly1305Masks masks = std::move(engine.make_poly1305({&count, 1}).front());
    const std::vector<uint8_t> c(F::kBits, 0);
    (void)poly1305_masked(p, masks, c, blocks);
    try {
      (void)poly1305_masked(p, masks, c, blocks);
    } catch (const ProtocolAbort& abort) {
      return abort.code() == AbortCode::kRefusedByRule;
    }
    return false;
  });
  for (const auto& outcome : run.outcomes) EXPECT_TRUE(outcome.value.value_or(false));
}

// 0.3(10): a failed check ends the arithmetic engine of the session.
TEST_P(Poly1305Test, CheatingEndsTheArithmeticEngine) {
  const auto blocks = poly1305_aead_blocks(text(5, 1), text(16, 2));
  for (const char* label :
       {"arith/poly1305/masked accumulator", "arith/triples/sacrifice verdict"}) {
    Dealer dealer(n_);
    std::vector<uint8_t> ended(n_);
    (void)run_parties(
        n_,
        [&](net::Party& p) {
          ArithEngine engine(p, dealer.source(p.id()));
          const size_t count = blocks.size();
          try {
            Poly1305Masks masks = std::move(engine.make_poly1305({&count, 1}).front());
            const std::vector<uint8_t> c(F::kBits, 0);
            (void)engine.guarded([&] { return poly1305_masked(p, masks, c, blocks); });
          } catch (const ProtocolAbort& abort) {
            try {
              (void)engine.make_poly1305({&count, 1});
            } catch (const ProtocolAbort& refused) {
              ended[p.id()] = refused.code() == AbortCode::kRefusedByRule ? 1 : 0;
            }
            throw;
          }
          return true;
        },
        support::flip_bit_of({last(), 0, label, 0, 0}, F::kBytes - 1));
    EXPECT_EQ(ended[0], 1) << label;
  }
}

}  // namespace poly1305_test
}  // namespace flexroom::arith
