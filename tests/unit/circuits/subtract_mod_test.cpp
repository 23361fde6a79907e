#include "circuits/subtract_mod.h"

#include <gtest/gtest.h>
#include <openssl/bn.h>

#include <memory>

#include "support/circuit_run.h"

namespace flexroom::circuits {
namespace subtract_mod_test {

using mpc::Builder;
using mpc::InputKind;
using mpc::OutputKind;
using support::CircuitRun;

struct BnFree {
  void operator()(BIGNUM* n) const { BN_free(n); }
};
using Bn = std::unique_ptr<BIGNUM, BnFree>;

Bn number(const char* hex) {
  BIGNUM* n = nullptr;
  BN_hex2bn(&n, hex);
  return Bn(n);
}

Bytes little_endian(const BIGNUM* n) {
  Bytes out(32);
  BN_bn2lebinpad(n, out.data(), 32);
  return out;
}

struct Case {
  NamedGroup field;
  size_t num_parties;
  uint32_t num_ands;
};

class ArithmeticToBoolean : public ::testing::TestWithParam<Case> {
 protected:
  const Bn p_ = GetParam().field == NamedGroup::kX25519
                    ? number("7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFED")
                    : number("FFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF");

  mpc::Circuit circuit() const {
    Builder builder;
    const auto bits = static_cast<uint32_t>(field_bits(GetParam().field));
    const Bits c = builder.add_input("c", InputKind::kPub, bits);
    std::vector<Bits> masks;
    for (size_t i = 0; i < GetParam().num_parties; ++i) {
      masks.push_back(builder.add_input("rho_" + std::to_string(i), InputKind::kZero, bits));
    }
    builder.add_output("x", OutputKind::kKeep, arithmetic_to_boolean(GetParam().field, c, masks));
    return builder.finish();
  }
};

TEST_P(ArithmeticToBoolean, EqualsBigIntegersAlsoAtTheEdges) {
  const mpc::Circuit circuit = this->circuit();
  EXPECT_EQ(circuit.num_ands, GetParam().num_ands);
  std::unique_ptr<BN_CTX, decltype(&BN_CTX_free)> context(BN_CTX_new(), BN_CTX_free);
  std::vector<Bn> edges;
  for (const char* hex : {"0", "1", "2", "12", "13", "14"}) edges.push_back(number(hex));
  for (const unsigned below : {1u, 2u, 19u, 20u}) {
    edges.emplace_back(BN_dup(p_.get()));
    BN_sub_word(edges.back().get(), below);
  }
  edges.emplace_back(BN_dup(p_.get()));
  BN_rshift1(edges.back().get(), edges.back().get());
  const auto pick = [&](size_t i) {
    if (i < edges.size()) return Bn(BN_dup(edges[i].get()));
    Bn n(BN_new());
    BN_rand_range(n.get(), p_.get());
    return n;
  };
  const size_t kinds = edges.size() + 2;  // the last two are random
  for (size_t i = 0; i < kinds * kinds; ++i) {
    const Bn x = pick(i % kinds);
    Bn c(BN_dup(x.get()));
    CircuitRun run(circuit);
    for (size_t j = 0; j < GetParam().num_parties; ++j) {
      const Bn rho = pick(j == 0 ? i / kinds : (i * 7 + j) % kinds);
      BN_mod_add(c.get(), c.get(), rho.get(), p_.get(), context.get());
      run.set("rho_" + std::to_string(j), little_endian(rho.get()));
    }
    run.set("c", little_endian(c.get())).run();
    EXPECT_EQ(run.bytes("x"), little_endian(x.get()));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Fields, ArithmeticToBoolean,
    ::testing::Values(Case{NamedGroup::kX25519, 1, 509}, Case{NamedGroup::kX25519, 2, 1018},
                      Case{NamedGroup::kX25519, 3, 1527}, Case{NamedGroup::kP256, 1, 511},
                      Case{NamedGroup::kP256, 2, 1022}, Case{NamedGroup::kP256, 3, 1533}));

}  // namespace subtract_mod_test
}  // namespace flexroom::circuits
