#pragma once

#include <span>

#include "boolean/instance.h"

namespace flexroom::boolean {

// The commit point, boolean-engine.md §7.4: first the label proof, then the c-proof. A garbler that
// answered the second for unproven masked values would be an oracle for wire values, so that of a
// garbler is one function that cannot do one without the other.

/// Evaluator: evaluates all gates, and sends the ANDs' masked values while it does (O3, but for the
/// last piece and T_i).
void evaluate(net::Party& party, Instance::Data& instance);

/// Garbler: receives these pieces and follows the linear gates. Answers nothing.
void follow(net::Party& party, Instance::Data& instance);

/// Instances of one evaluator that are run together: each has its own proofs, all label proofs
/// precede all c-proofs.
using Committed = std::span<Instance::Data* const>;

/// Evaluator: sends the last piece and T_i of each, receives C_i (first part of O4) and checks
/// (La + lambda_alpha)(Lb + lambda_beta) = Lc + lambda_gamma for all ANDs.
/// Aborts  kCProof
void commit_evaluator(net::Party& party, const Block& delta, Committed instances);

/// Garbler: receives them, follows to the end, checks the label proof of each, and only then
/// answers.
/// Aborts  kLabelProof
void commit_garbler(net::Party& party, const Block& delta, Committed instances);

}  // namespace flexroom::boolean
