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
/// rows, three cross rows per other garbler, and from party 1 a colour bit.
size_t row_bytes(size_t num_parties, PartyId garbler, size_t count);

/// The function-dependent phase after the parties agreed on the instance: masks, products, labels
/// and rows, slab by slab (§6.1-6.3). Fills the tables of `instance`.
///
/// Garbler    rows of a slab leave when the Opens of it and of all slabs before it were checked;
///            a fresh label seed is drawn from the party's Prg and wiped
/// Evaluator  receives the rows of all garblers and folds them with its own macs into
///            R_l = (G_0 + sum C_0 + M_l[lambda_beta], G_1 + sum C_1 + M_l[lambda_alpha],
///            sum C_2 + M_l[s])
/// Order      operands of slab k+1 leave before the rows of slab k, so that the round trip of an
///            Open hides behind garbling
/// Aborts     kMac
void garble_instance(net::Party& party, prep::Source& source, Instance::Data& instance,
                     std::vector<prep::AuthBits> zero, const PrepareProgress& progress = nullptr);

}  // namespace flexroom::boolean
