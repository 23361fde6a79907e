// RSA encryption of a shared block (tls-in-mpc.md §5.9(4)), over the trusted dealer, with a
// corrupted member that violates each check in turn (§8, attacks 35 and 61).
#include "arith/rsa_blinding.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "prep/open.h"
#include "support/dealer.h"
#include "support/jwe_vectors.h"
#include "support/other_input_mask.h"
#include "support/parties.h"

namespace flexroom::arith {
namespace rsa_blinding_test {

using math::Z2048;
using support::Dealer;
using support::run_parties;
using Witness = BlindingWitness<Z2048>;

Bytes modulus(const std::string& id) {
  static const auto vectors = support::jwe_vectors(FLEXROOM_SOURCE_DIR);
  return *base64url_decode(vectors["keys"][id]["n"].get<std::string>());
}
RsaPublicKey key_of(const std::string& id) {
  return RsaPublicKey::checked(modulus(id), Bytes{1, 0, 1});
}

/// A block as OAEP makes them: its first byte is zero.
Bytes block_for(size_t bytes) {
  Bytes out(bytes);
  for (size_t k = 1; k < bytes; ++k) out[k] = static_cast<uint8_t>(7 * k + 3);
  return out;
}

template <typename F>
F element(ByteView bytes) {
  return *F::from_bytes_be(std::span<const uint8_t, F::kBytes>(bytes.data(), F::kBytes));
}

/// What the circuit does: EM + sum of the masks, opened. Here the masks are opened instead.
template <typename F>
Bytes masked_block(net::Party& party, prep::Source& source, const RsaBlinding& blinding,
                   const RsaPublicKey& key, ByteView block) {
  typename F::Integer n{};
  const Bytes& m = key.modulus();
  for (size_t k = 0; k < F::kBytes; ++k) {
    n[k / 8] |= uint64_t{m[F::kBytes - 1 - k]} << (8 * (k % 8));
  }
  const typename F::Modulus ring(n);
  const typename F::Scope scope(ring);
  F sum = element<F>(block);
  for (PartyId i = 0; i < party.num_parties(); ++i) {
    const auto bits = prep::open_bits(party, source.delta(), blinding.mask_bits(i), "test/mask");
    typename F::Integer rho{};
    for (size_t t = 0; t < bits.size(); ++t) rho[t / 64] |= uint64_t{bits[t]} << (t % 64);
    sum += F::from_any(rho);
  }
  Bytes out;
  sum.append_be(out);
  return out;
}

template <typename F>
Bytes encrypt(net::Party& party, Dealer& dealer, const RsaPublicKey& key, ByteView block,
              const typename RsaBlindingOver<F>::Choose& choose = &BlindingWitness<F>::random) {
  Digest attempt{};
  attempt[0] = 9;
  prep::Source& source = dealer.source(party.id());
  RsaBlindingOver<F> blinding(party, source, key, attempt, choose);
  blinding.publish_powers();
  return blinding.encrypt(masked_block<F>(party, source, blinding, key, block));
}

/// A modulus of 2048 bits that a service may choose: its smallest factor is `factor`, of 21 bits.
Bytes modulus_with(uint64_t factor) {
  Bytes out(256);
  for (size_t k = 0; k < 8; ++k) out[255 - k] = static_cast<uint8_t>(factor >> (8 * k));
  for (const unsigned exponent : {31u, 89u, 107u, 521u, 1279u}) {  // primes 2^k - 1
    Bytes shifted(256);
    for (unsigned t = 0; t + exponent < 2048; ++t) {
      const unsigned bit = out[255 - t / 8] >> (t % 8) & 1u;
      shifted[255 - (t + exponent) / 8] |= static_cast<uint8_t>(bit << ((t + exponent) % 8));
    }
    unsigned borrow = 0;
    for (size_t k = 256; k-- > 0;) {
      const unsigned d = 256u + shifted[k] - out[k] - borrow;
      out[k] = static_cast<uint8_t>(d);
      borrow = 1 - (d >> 8);
    }
  }
  return out;
}

template <typename F>
void encrypts(size_t n) {
  const RsaPublicKey key = key_of(std::to_string(F::kBits));
  Dealer dealer(n);
  const auto run = run_parties(
      n, [&](net::Party& p) { return encrypt<F>(p, dealer, key, block_for(F::kBytes)); });
  const Bytes want = support::rsa_power(block_for(F::kBytes), key.modulus());
  for (const auto& outcome : run.outcomes) {
    ASSERT_TRUE(outcome.value) << outcome.abort->what();
    EXPECT_EQ(*outcome.value, want);
  }
}

TEST(RsaBlinding, EverybodyGetsThePowerOfTheBlock) {
  encrypts<Z2048>(2);
  encrypts<Z2048>(3);
  encrypts<math::Z3072>(2);
  encrypts<math::Z4096>(2);
}

// Nobody cheated, and the words do not say so: the service chose its key, here so that the block is
// a multiple of a factor.
TEST(RsaBlinding, ABlockThatIsNoUnitOfAPoorKeyAborts) {
  constexpr uint64_t kPrime = 1048583;  // the smallest above 2^20
  const RsaPublicKey key = RsaPublicKey::checked(modulus_with(kPrime), Bytes{1, 0, 1});
  Bytes block(256);
  for (size_t k = 0; k < 8; ++k) block[255 - k] = static_cast<uint8_t>(7 * kPrime >> (8 * k));
  Dealer dealer(2);
  const auto run =
      run_parties(2, [&](net::Party& p) { return encrypt<Z2048>(p, dealer, key, block); });
  for (const auto& outcome : run.outcomes) {
    ASSERT_EQ(outcome.code(), AbortCode::kFpRange);
    EXPECT_EQ(outcome.abort->operation(), "arith/rsa/w");
    EXPECT_EQ(outcome.abort->peer(), std::nullopt);
    EXPECT_STREQ(outcome.abort->what(),
                 "range check failed (arith/rsa/w): the blinded block is no unit modulo the key: a "
                 "member's factor is none, or the service's key has small factors");
  }
}

class RsaBlindingAttack : public testing::TestWithParam<size_t> {
 protected:
  const size_t n_ = GetParam();
  const RsaPublicKey key_ = key_of("2048");

  /// The last member chooses what it likes; how the first one ends.
  auto lie(const RsaBlindingOver<Z2048>::Choose& choose) const {
    Dealer dealer(n_);
    return run_parties(n_, [&](net::Party& p) {
      const bool liar = p.id() + 1 == n_;
      return encrypt<Z2048>(p, dealer, key_, block_for(256),
                            liar ? choose : RsaBlindingOver<Z2048>::Choose(&Witness::random));
    });
  }
  /// The last member's message of that label is altered on its way to the first one, or to all.
  std::optional<AbortCode> tamper(std::string_view label, size_t byte, bool to_all = false) const {
    Dealer dealer(n_);
    const auto run = run_parties(
        n_, [&](net::Party& p) { return encrypt<Z2048>(p, dealer, key_, block_for(256)); },
        [&](const net::MessageId& m, Bytes& payload) {
          if (m.sender + 1 != n_ || m.label != label || (m.receiver != 0 && !to_all)) return;
          payload[byte % payload.size()] ^= 1;
        });
    return run.outcomes[0].code();
  }
};
INSTANTIATE_TEST_SUITE_P(Parties, RsaBlindingAttack, testing::Values(2, 3));

// Attacks 35, 61: the power of another element is not found out. What comes out is (EM f)^e for
// the f that the liar chose, before anything depended on EM.
TEST_P(RsaBlindingAttack, AnotherPowerMovesTheBlockByAKnownFactor) {
  const auto run = lie([](Prg& prg, const RsaPublicKey& key) {
    Witness w = Witness::random(prg, key);
    const Bytes five = [] {
      Bytes out(256);
      out[255] = 5;
      return out;
    }();
    const Z2048 fifth = element<Z2048>(*key.inverse_vartime(five));
    w.power = (w.factor * fifth).pow_65537();  // f = 5
    return w;
  });
  Bytes moved = block_for(256);
  unsigned carry = 0;
  for (size_t k = moved.size(); k-- > 0;) {
    carry += 5u * moved[k];
    moved[k] = static_cast<uint8_t>(carry);
    carry >>= 8;
  }
  ASSERT_EQ(carry, 0u);
  ASSERT_TRUE(run.outcomes[0].value) << run.outcomes[0].abort->what();
  EXPECT_EQ(*run.outcomes[0].value, support::rsa_power(moved, key_.modulus()));
}

// Attack 61: r_i = 0 gives the ciphertext 0 whatever EM is.
TEST_P(RsaBlindingAttack, AFactorOfZeroAborts) {
  const auto run = lie([](Prg& prg, const RsaPublicKey& key) {
    Witness w = Witness::random(prg, key);
    w.factor = Z2048();  // with a power that is a unit
    return w;
  });
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kFpRange);
  EXPECT_EQ(run.outcomes[0].abort->operation(), "arith/rsa/w");
}

TEST_P(RsaBlindingAttack, APowerThatIsNoUnitAborts) {
  const auto run = lie([](Prg& prg, const RsaPublicKey& key) {
    Witness w = Witness::random(prg, key);
    w.power = Z2048();
    return w;
  });
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kFpRange);
  EXPECT_EQ(run.outcomes[0].abort->operation(), "arith/rsa/open");
  EXPECT_EQ(run.outcomes[0].abort->peer(), std::optional<PartyId>(n_ - 1));
}

// With three members the echo, in which the liar stands by what it did not send, comes first.
TEST_P(RsaBlindingAttack, APowerThatWasNotCommittedToAborts) {
  const AbortCode want = n_ == 2 ? AbortCode::kFpKeyShare : AbortCode::kEcho;
  EXPECT_EQ(tamper("arith/rsa/commit", 0, true), want);
  EXPECT_EQ(tamper("arith/rsa/open", 200, true), want);
  EXPECT_EQ(tamper("arith/rsa/open", 3, true), want);
  EXPECT_EQ(to_string(AbortCode::kFpKeyShare), "public share check failed");  // of a power too
}

TEST_P(RsaBlindingAttack, OtherPowersTowardsOtherMembersAbort) {
  if (n_ == 2) return;
  EXPECT_EQ(tamper("arith/rsa/commit", 0), AbortCode::kEcho);
  EXPECT_EQ(tamper("arith/rsa/open", 200), AbortCode::kEcho);
}

// Its own power would follow from another's: whoever repeats a commitment and its opening.
TEST_P(RsaBlindingAttack, ARepeatedCommitmentAborts) {
  if (n_ > 2) return;  // as above
  Dealer dealer(n_);
  Bytes commitment, opening;
  std::mutex mutex;
  std::condition_variable arrived;
  const auto run = run_parties(n_, [&](net::Party& p) {
    if (p.id() + 1 == n_) {
      p.set_tamper([&](const net::MessageId& m, Bytes& payload) {
        std::unique_lock lock(mutex);
        if (m.label == "arith/rsa/commit") {
          arrived.wait(lock, [&] { return !commitment.empty(); });
          payload = commitment;
        } else if (m.label == "arith/rsa/open") {
          arrived.wait(lock, [&] { return !opening.empty(); });
          payload = opening;
        }
      });
    } else if (p.id() == 0) {
      p.set_tamper([&](const net::MessageId& m, Bytes& payload) {
        const std::lock_guard lock(mutex);
        if (m.label == "arith/rsa/commit") commitment = payload;
        if (m.label == "arith/rsa/open") opening = payload;
        arrived.notify_all();
      });
    }
    return encrypt<Z2048>(p, dealer, key_, block_for(256));
  });
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kFpKeyShare);
}

// A mask whose element is not the integer of its bits would open another block than was encoded.
TEST_P(RsaBlindingAttack, AMaskThatIsNotItsBitsAborts) {
  const auto run = lie([](Prg& prg, const RsaPublicKey& key) {
    Witness w = Witness::random(prg, key);
    w.mask.rho_element += Z2048::from_u64(12345);
    return w;
  });
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kFpRange);
  EXPECT_EQ(run.outcomes[0].abort->operation(), "arith/edabits/elements");
}

// rho = N with the element 0: the same residue, and bits that move the sum in the circuit.
TEST_P(RsaBlindingAttack, AMaskThatIsTheModulusAborts) {
  const auto run = lie([](Prg& prg, const RsaPublicKey& key) {
    Witness w = Witness::random(prg, key);
    w.mask.rho = Z2048::modulus();
    w.mask.rho_element = Z2048();
    return w;
  });
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kBitProof);
}

TEST_P(RsaBlindingAttack, AlteredSharesAndCorrectionsAbort) {
  EXPECT_EQ(tamper("arith/rsa/factors", 100), AbortCode::kFpMac);
  EXPECT_EQ(tamper("arith/rsa/block", 100), AbortCode::kFpMac);
  EXPECT_EQ(tamper("arith/rsa/w", 100), AbortCode::kFpMac);
  EXPECT_EQ(tamper("arith/triples/sacrifice difference", 100), AbortCode::kFpMac);
  // The last byte of every correction: another element for each bit of the key.
  Dealer dealer(n_);
  const auto run = run_parties(
      n_, [&](net::Party& p) { return encrypt<Z2048>(p, dealer, key_, block_for(256)); },
      [&](const net::MessageId& m, Bytes& payload) {
        if (m.sender + 1 != n_ || m.receiver != 0 || m.label != "arith/rsa/stage 1/correction") {
          return;
        }
        for (size_t at = 255; at < payload.size(); at += 256) payload[at] ^= 1;
      });
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kFpAuth);
}

// tls-in-mpc.md §1.4(3): three members compare what each was told of the two inputs.
TEST(RsaBlindingEcho, ClaimsAreTheSameForAll) {
  const RsaPublicKey key = key_of("2048");
  const auto run = [&](const net::Tamper& tamper) {
    Dealer dealer(3);
    return run_parties(
        3, [&](net::Party& p) { return encrypt<Z2048>(p, dealer, key, block_for(256)); }, tamper);
  };
  const auto honest = run(nullptr).trace;
  for (const auto& [input, echo] :
       {std::pair<std::string, std::string>{"stage 1", "stage 4"}, {"stage 4", "stage 6"}}) {
    const auto lied =
        run(support::other_input_mask<Z2048>(2, 1, "arith/rsa/" + input, honest)).outcomes;
    ASSERT_EQ(lied[0].code(), AbortCode::kEcho) << input;
    EXPECT_EQ(lied[0].abort->operation(), "arith/rsa/" + echo + "/echo");
  }
}

// An error in a product of the triples: with choice bit 1 the sacrifice finds it.
TEST_P(RsaBlindingAttack, AWrongProductAborts) {
  Dealer dealer(n_);
  const auto run = run_parties(
      n_, [&](net::Party& p) { return encrypt<Z2048>(p, dealer, key_, block_for(256)); },
      [&](const net::MessageId& m, Bytes& payload) {
        if (m.sender + 1 != n_ || m.receiver != 0 || m.label != "arith/triples/products") return;
        for (size_t at = 255; at < payload.size(); at += 256) payload[at] ^= 1;
      });
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kFpSacrifice);
}

TEST(RsaBlindingDeathTest, NothingIsBlindedTwiceNorBeforeThePowersAreFixed) {
  const auto misuse = [](bool twice) {
    Dealer dealer(2);
    const RsaPublicKey key = key_of("2048");
    run_parties(2, [&](net::Party& p) {
      prep::Source& source = dealer.source(p.id());
      RsaBlindingOver<Z2048> blinding(p, source, key, Digest{});
      if (!twice) return blinding.encrypt(Bytes(256));
      blinding.publish_powers();
      const Bytes c = masked_block<Z2048>(p, source, blinding, key, block_for(256));
      blinding.encrypt(c);
      return blinding.encrypt(c);
    });
  };
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(misuse(false), "");
  EXPECT_DEATH(misuse(true), "");
}

}  // namespace rsa_blinding_test
}  // namespace flexroom::arith
