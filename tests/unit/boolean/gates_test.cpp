#include "boolean/gates.h"

#include <gtest/gtest.h>

#include "base/prg.h"

namespace flexroom::boolean {
namespace {

/// One garbler and one evaluator of one gate, all randomness drawn here: boolean-engine.md §6.3 to
/// §7.3 written out for n = 2. Party 0 evaluates, party 1 garbles.
struct Gate {
  explicit Gate(uint64_t seed) : prg(Block(77, seed)) {
    delta = prg.next_block();
    delta.set_bit(0, true);
    a_0 = prg.next_block();
    b_0 = prg.next_block();
    for (Block* h : {&hashes.a0, &hashes.b0, &hashes.a1, &hashes.b1}) *h = prg.next_block();
    const Block bits = prg.next_block();
    for (unsigned p = 0; p < 2; ++p) {
      for (unsigned k = 0; k < 3; ++k) share[p][k] = bits.bit(8 * p + k);
    }
    // s = lambda_alpha * lambda_beta + lambda_gamma
    const bool product = lambda(0) && lambda(1);
    lambda_gamma = product != lambda(2);
    // Keys of the garbler under its delta for the evaluator's shares, and the evaluator's macs.
    for (unsigned k = 0; k < 3; ++k) {
      keys[k] = prg.next_block();
      keys[k].set_bit(0, false);
      macs_of_evaluator[k] = keys[k] ^ select(share[0][k], delta);
      own[k] = prg.next_block();
      own[k].set_bit(0, share[1][k]);
    }
  }
  bool lambda(unsigned k) const { return share[0][k] != share[1][k]; }

  Prg prg;
  Block delta, a_0, b_0;
  GateHashes hashes;
  bool share[2][3] = {};  // of lambda_alpha, lambda_beta, s
  bool lambda_gamma = false;
  Block keys[3], macs_of_evaluator[3], own[3];
};

// §6.4: whatever the masked operand values are, the evaluator's label is that of the masked result.
TEST(GatesTest, EvaluationGivesTheLabelOfTheMaskedProduct) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const Gate gate(seed);
    const GarbledGate garbled =
        garble_gate(gate.hashes, gate.a_0, {gate.keys[0], gate.keys[1], gate.keys[2]},
                    {gate.own[0], gate.own[1], gate.own[2]}, gate.delta);
    const Block r0 = garbled.row0 ^ gate.macs_of_evaluator[1];
    const Block r1 = garbled.row1 ^ gate.macs_of_evaluator[0];
    const Block r2 = gate.macs_of_evaluator[2];
    for (const bool la : {false, true}) {
      for (const bool lb : {false, true}) {
        const Block m_alpha = gate.a_0 ^ select(la, gate.delta);
        const Block sum =
            r2 ^ (la ? gate.hashes.a1 : gate.hashes.a0) ^ (lb ? gate.hashes.b1 : gate.hashes.b0);
        const bool product = (la != gate.lambda(0)) && (lb != gate.lambda(1));
        const bool masked = product != gate.lambda_gamma;
        EXPECT_EQ(evaluate_gate(sum, r0, r1, m_alpha, la, lb),
                  garbled.gamma ^ select(masked, gate.delta));
      }
    }
  }
}

// Cross rows are the rows of a garbler with its macs in place of keys: C_b + M_l = G_b up to what
// depends on Delta and a_0.
TEST(GatesTest, CrossRowsHideMacsUnderTheSameHashes) {
  const Gate gate(7);
  const GateShares macs{gate.own[0], gate.own[1], gate.own[2]};
  const CrossRows rows = cross_rows(gate.hashes, macs);
  const GarbledGate none = garble_gate(gate.hashes, Block(), macs, {}, gate.delta);
  EXPECT_EQ(rows.row0, none.row0);
  EXPECT_EQ(rows.row1, none.row1);
  EXPECT_EQ(rows.row2, none.gamma);
}

}  // namespace
}  // namespace flexroom::boolean
