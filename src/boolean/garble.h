#pragma once

#include "boolean/engine.h"
#include "boolean/masks.h"

namespace flexroom::boolean {

/// ANDs whose rows travel in one message: 1 MiB for n = 2, so that memory is bounded and garbling,
/// sending and folding overlap.
inline constexpr uint32_t kAndsPerMessage = 1u << 15;

/// Hashes of a batch of ANDs taken at a time; a longer batch is cut.
inline constexpr uint32_t kAndsAtATime = 64;

/// Bytes of rows of `count` ANDs from one garbler (boolean-engine.md §6.3): for each AND two own
/// rows, three cross rows per other garbler, and from the first garbler a colour bit.
size_t row_bytes(size_t num_parties, bool colours, size_t count);

/// An instance to garble, and authenticated shares for its kZero groups (§6.1).
struct GarbleWork {
  Instance::Data& instance;
  std::vector<prep::AuthBits> zero;
};

/// The function-dependent phase after the parties agreed on the instances: masks, products, labels
/// and rows, slab by slab (§6.1-6.3). Fills the tables of the instances.
///
/// Garbler    rows of a slab leave when the Opens of it and of all slabs of its instance before it
///            were checked; for each instance a fresh label seed is drawn from the party's Prg and
///            wiped
/// Evaluator  receives the rows of all garblers and folds them with its own macs into
///            R_l = (G_0 + sum C_0 + M_l[lambda_beta], G_1 + sum C_1 + M_l[lambda_alpha],
///            sum C_2 + M_l[s])
/// Order      instances of one evaluator one after the other, those of different evaluators side by
///            side, a slab each at a time: every member garbles while its peers do, and its rows
///            leave while theirs come. Operands of a slab leave before the rows of the one before
///            it, so that the round trip of an Open hides behind garbling
/// Memory     of each evaluator's instances two slabs
/// Aborts     kMac
void garble_instances(net::Party& party, prep::Source& source, std::vector<GarbleWork> work,
                      const PrepareProgress& progress = nullptr);

}  // namespace flexroom::boolean
