#include "circuits/poly1305.h"

#include <gtest/gtest.h>
#include <openssl/bn.h>

#include <memory>

#include "support/circuit_run.h"

namespace flexroom::circuits {
namespace {

using mpc::Builder;
using mpc::InputKind;
using mpc::OutputKind;
using support::CircuitRun;

struct BnFree {
  void operator()(BIGNUM* n) const { BN_free(n); }
};
struct CtxFree {
  void operator()(BN_CTX* c) const { BN_CTX_free(c); }
};
using Bn = std::unique_ptr<BIGNUM, BnFree>;
using Ctx = std::unique_ptr<BN_CTX, CtxFree>;

Bn number(const char* hex) {
  BIGNUM* n = nullptr;
  BN_hex2bn(&n, hex);
  return Bn(n);
}
Bn copy(const Bn& n) { return Bn(BN_dup(n.get())); }
Bytes little_endian(const Bn& n, int size) {
  Bytes out(static_cast<size_t>(size));
  BN_bn2lebinpad(n.get(), out.data(), size);
  return out;
}

class Poly1305Circuit : public ::testing::TestWithParam<size_t> {
 protected:
  const size_t n_ = GetParam();
  const Bn p_ = number("3FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFB");
  const Bn two128_ = number("100000000000000000000000000000000");
  const Ctx ctx_{BN_CTX_new()};

  /// 0, 1, p - 1, the edges of 2^128 and 2^129, and random ones.
  std::vector<Bn> values(size_t random) const {
    std::vector<Bn> out;
    for (const char* hex :
         {"0", "1", "5", "3FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFA", "100000000000000000000000000000000",
          "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF", "200000000000000000000000000000000",
          "1FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF", "3FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF6"}) {
      out.push_back(number(hex));
    }
    for (size_t k = 0; k < random; ++k) {
      Bn r(BN_new());
      BN_rand_range(r.get(), p_.get());
      out.push_back(std::move(r));
    }
    return out;
  }
};
INSTANTIATE_TEST_SUITE_P(Parties, Poly1305Circuit, ::testing::Values(2, 3));

TEST_P(Poly1305Circuit, SubtractionCostsWhatTheDesignSays) {
  Builder builder;
  Bits x = builder.add_input("c", InputKind::kPub, kPoly1305Bits);
  for (size_t i = 0; i < n_; ++i) {
    x = subtract_mod_1305(
        x, builder.add_input("rho_" + std::to_string(i), InputKind::kZero, kPoly1305Bits));
  }
  builder.add_output("x", OutputKind::kKeep, x);
  const auto circuit = builder.finish();
  EXPECT_EQ(circuit.num_ands, 259 * n_);  // n = 2: 518, n = 3: 777 (§1.10)
  const std::vector<Bn> all = values(20);
  for (const Bn& c : all) {
    for (const Bn& rho : all) {
      CircuitRun run(circuit);
      run.set("c", little_endian(c, 17));
      Bn expected = copy(c);
      for (size_t i = 0; i < n_; ++i) {
        run.set("rho_" + std::to_string(i), little_endian(rho, 17));
        BN_mod_sub(expected.get(), expected.get(), rho.get(), p_.get(), ctx_.get());
      }
      run.run();
      EXPECT_EQ(run.bytes("x"), little_endian(expected, 17));
    }
  }
}

TEST_P(Poly1305Circuit, TagIsAccumulatorPlusSModulo128Bits) {
  const auto circuit = poly1305_tag_circuit(n_);
  EXPECT_EQ(circuit.num_ands, 259 * n_ - 2 + 127);
  const std::vector<Bn> all = values(12);
  for (const Bn& acc : all) {
    for (const Bn& other : all) {
      Bn s(BN_new()), e = copy(acc);
      BN_nnmod(s.get(), other.get(), two128_.get(), ctx_.get());
      CircuitRun run(circuit);
      run.set("s", little_endian(s, 16));
      for (size_t i = 0; i < n_; ++i) {
        const Bn& sigma = all[(i + 5) % all.size()];
        run.set("sigma_" + std::to_string(i), little_endian(sigma, 17));
        BN_mod_add(e.get(), e.get(), sigma.get(), p_.get(), ctx_.get());
      }
      run.set("e", little_endian(e, 17)).run();
      Bn tag(BN_new());
      BN_add(tag.get(), acc.get(), s.get());
      BN_nnmod(tag.get(), tag.get(), two128_.get(), ctx_.get());
      EXPECT_EQ(run.bytes("tag"), little_endian(tag, 16));
    }
  }
}

// RFC 8439 §2.5: the clamp, whatever the bits were.
TEST(Poly1305Key, IsClampedInTheCircuit) {
  Builder builder;
  const Text half = text_of(builder.add_input("half", InputKind::kZero, 128));
  const Bits r = poly1305_r(half);
  ASSERT_EQ(r.size(), 130u);
  size_t free = 0;
  Bits secret;
  for (const Bit bit : r) {
    free += bit.is_constant() ? 0 : 1;
    if (!bit.is_constant()) secret.push_back(bit);
    EXPECT_TRUE(!bit.is_constant() || !bit.constant_value());
  }
  EXPECT_EQ(free, 106u);
  EXPECT_EQ(builder.num_ands(), 0u);
  for (const size_t byte : {3, 7, 11, 15}) {
    for (size_t b = 4; b < 8; ++b) EXPECT_TRUE(r[8 * byte + b].is_constant());
  }
  for (const size_t byte : {4, 8, 12}) {
    for (size_t b = 0; b < 2; ++b) EXPECT_TRUE(r[8 * byte + b].is_constant());
  }
  builder.add_output("r", OutputKind::kKeep, secret);
  (void)builder.finish();
}

}  // namespace
}  // namespace flexroom::circuits
