#pragma once

#include "boolean/instance.h"

namespace flexroom::boolean {

// The commit point, boolean-engine.md §7.4: first the label proof, then the c-proof. A garbler that
// answered the second for unproven masked values would be an oracle for wire values, so commit() of
// a garbler is one function that cannot do one without the other.

/// Evaluator: sends every AND's masked value and T_i (O3), receives C_i (first part of O4) and
/// checks (La + lambda_alpha)(Lb + lambda_beta) = Lc + lambda_gamma for all ANDs.
/// Aborts  kCProof
void commit_evaluator(net::Party& party, const Block& delta, Instance::Data& instance);

/// Garbler: receives O3, follows the linear gates, checks the label proof, and only then answers.
/// Aborts  kLabelProof
void commit_garbler(net::Party& party, const Block& delta, Instance::Data& instance);

}  // namespace flexroom::boolean
