#pragma once

#include "base/block.h"

namespace flexroom::boolean {

/// One AND gate as pure functions of blocks, each under its formula of boolean-engine.md (§6.3 at a
/// garbler, §6.3 "folds" and §7.3 at the evaluator). Nothing here branches or indexes on a secret.
/// The callers hash the operands of many gates at a time (math/re_hash.h: eight gates in flight)
/// and then call these gate by gate.

/// h^i_l of one gate: side 0 is alpha with labels a_0, a_1, side 1 is beta with b_0, b_1.
struct GateHashes {
  Block a0, b0, a1, b1;  // h(0, a_0), h(1, b_0), h(0, a_1), h(1, b_1)
};

/// What one party holds of the masks of a gate, towards one other party or summed over all: of
/// lambda_alpha, lambda_beta and s.
struct GateShares {
  Block alpha, beta, s;
};

struct GarbledGate {
  Block row0, row1;  // G_0, G_1
  Block gamma;       // m^i_{gamma,0}
};

/// G_0 = h(0,a_0) + h(0,a_1) + Ksum[lambda_beta] + lambda_beta * Delta
/// G_1 = h(1,b_0) + h(1,b_1) + Ksum[lambda_alpha] + lambda_alpha * Delta + a_0
/// m_{gamma,0} = h(0,a_0) + h(1,b_0) + Ksum[s] + s * Delta
/// where the own shares lambda^i_alpha, lambda^i_beta, s^i are bit 0 of the own macs.
inline GarbledGate garble_gate(const GateHashes& h, const Block& a_0, const GateShares& key_sums,
                               const GateShares& macs, const Block& delta) {
  return {h.a0 ^ h.a1 ^ key_sums.beta ^ select(macs.beta.lsb(), delta),
          h.b0 ^ h.b1 ^ key_sums.alpha ^ select(macs.alpha.lsb(), delta) ^ a_0,
          h.a0 ^ h.b0 ^ key_sums.s ^ select(macs.s.lsb(), delta)};
}

struct CrossRows {
  Block row0, row1, row2;  // C_0, C_1, C_2
};

/// C_0 = h(0,a_0) + h(0,a_1) + M_l[lambda_beta], C_1 = h(1,b_0) + h(1,b_1) + M_l[lambda_alpha],
/// C_2 = h(0,a_0) + h(1,b_0) + M_l[s], with the hashes for garbler l.
inline CrossRows cross_rows(const GateHashes& h, const GateShares& macs) {
  return {h.a0 ^ h.a1 ^ macs.beta, h.b0 ^ h.b1 ^ macs.alpha, h.a0 ^ h.b0 ^ macs.s};
}

/// m_gamma = R_2 + La * R_0 + Lb * (R_1 + m_alpha) + the hashes of all garblers, which the caller
/// has added to `sum` = R_2.
inline Block evaluate_gate(const Block& sum, const Block& row0, const Block& row1,
                           const Block& m_alpha, bool lambda_alpha, bool lambda_beta) {
  return sum ^ select(lambda_alpha, row0) ^ select(lambda_beta, row1 ^ m_alpha);
}

}  // namespace flexroom::boolean
