#include "mpc/builder.h"
#include "support/evaluate_plain.h"

#include <gtest/gtest.h>

namespace flexroom::mpc {
namespace {

TEST(Builder, FoldsConstantsAndEqualOperands) {
  Builder builder;
  const Bits in = builder.add_input("x", InputKind::kPriv, 2);
  const Bit x = in[0], one(true), zero;
  EXPECT_FALSE((x & zero).constant_value());
  EXPECT_FALSE((zero & x).constant_value());
  EXPECT_TRUE((x | one).constant_value());
  EXPECT_FALSE((x ^ x).constant_value());
  EXPECT_TRUE((x ^ !x).constant_value());
  EXPECT_FALSE((x & !x).constant_value());
  EXPECT_TRUE((one & one).constant_value());
  builder.add_output("same", OutputKind::kOpenAll, {x & one, one & x, x & x, x ^ zero, !!x});
  builder.add_output("not", OutputKind::kOpenAll, {x ^ one, !x});
  EXPECT_EQ(builder.num_ands(), 0u);
  const Circuit circuit = builder.finish();
  EXPECT_EQ(circuit.gates.size(), 1u);  // one NOT serves both
  const auto out = support::evaluate_plain(circuit, {true, false});
  EXPECT_EQ(out[0], std::vector<bool>(5, true));
  EXPECT_EQ(out[1], std::vector<bool>(2, false));
}

TEST(Builder, TruthTablesWithEveryPolarity) {
  for (int bits = 0; bits < 4; ++bits) {
    Builder builder;
    const Bits in = builder.add_input("x", InputKind::kPriv, 2);
    Bits out;
    std::vector<bool> want;
    for (int polarity = 0; polarity < 4; ++polarity) {
      const Bit a = in[0] ^ Bit((polarity & 1) != 0), b = in[1] ^ Bit((polarity & 2) != 0);
      const bool va = ((bits ^ polarity) & 1) != 0, vb = ((bits ^ polarity) & 2) != 0;
      for (const Bit bit : {a & b, a ^ b, a | b, !(a & b)}) out.push_back(bit);
      for (const bool bit : {va && vb, va != vb, va || vb, !(va && vb)}) want.push_back(bit);
    }
    builder.add_output("out", OutputKind::kOpenAll, out);
    const auto got = support::evaluate_plain(builder.finish(), {(bits & 1) != 0, (bits & 2) != 0});
    EXPECT_EQ(got[0], want);
  }
}

TEST(Builder, DropsGatesThatNoOutputNeeds) {
  Builder builder;
  const Bits in = builder.add_input("x", InputKind::kDyn, 3);
  const Bit used = in[0] & in[1];
  const Bit unused = (used ^ in[2]) & in[1];
  (void)unused;
  builder.add_output("out", OutputKind::kKeep, {used});
  EXPECT_EQ(builder.num_ands(), 2u);
  const Circuit circuit = builder.finish();
  EXPECT_EQ(circuit.num_ands, 1u);
  EXPECT_EQ(circuit.gates.size(), 1u);
  EXPECT_EQ(circuit.num_inputs, 3u);  // inputs stay, read or not
}

TEST(Builder, InputsDeclaredLateComeFirstInTheCircuit) {
  Builder builder;
  const Bits a = builder.add_input("a", InputKind::kZero, 2);
  const Bit x = a[0] & a[1];
  const Bits b = builder.add_input("b", InputKind::kPub, 1);
  builder.add_output("out", OutputKind::kOpenAll, {x & b[0]});
  const Circuit circuit = builder.finish();
  EXPECT_EQ(circuit.input_offset(circuit.input_group("b")), 2u);
  EXPECT_EQ(circuit.gates[0].a, 0u);
  EXPECT_EQ(support::evaluate_plain(circuit, {true, true, true})[0][0], true);
}

TEST(Builder, PubOperandBecomesBeta) {
  Builder builder;
  const Bits pub = builder.add_input("p", InputKind::kPub, 2);
  const Bits secret = builder.add_input("s", InputKind::kZero, 2);
  const Bit cone = !(pub[0] ^ pub[1]);
  builder.add_output("out", OutputKind::kOpenAll, {cone & secret[0], secret[1] & cone});
  const Circuit circuit = builder.finish();
  for (const Gate& gate : circuit.gates) {
    if (gate.op == GateOp::kAnd) {
      EXPECT_GE(gate.a, 2u);
      EXPECT_LT(gate.a, 4u);
    }
  }
}

TEST(BuilderDeathTest, RefusesWhatTheEngineMustNotSee) {
  const auto pub_and_pub = [] {
    Builder builder;
    const Bits p = builder.add_input("p", InputKind::kPub, 3);
    return (p[0] ^ p[1]) & !p[2];
  };
  EXPECT_DEATH(pub_and_pub(), "pub-valued");
  const auto constant_output = [] {
    Builder builder;
    builder.add_output("o", OutputKind::kOpenAll, {Bit(true)});
  };
  EXPECT_DEATH(constant_output(), "constant");
  const auto name_twice = [] {
    Builder builder;
    builder.add_input("p", InputKind::kPub, 3);
    builder.add_input("p", InputKind::kPub, 3);
  };
  EXPECT_DEATH(name_twice(), "name");
}

}  // namespace
}  // namespace flexroom::mpc
