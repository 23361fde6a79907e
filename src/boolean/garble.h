#pragma once

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

/// Garbler: labels and rows of all ANDs (§6.3); the rows leave while they are made. `masks` is
/// consumed. A fresh label seed is drawn from the party's Prg and wiped.
void garble_and_send(net::Party& party, const Block& delta, Instance::Data& instance,
                     AndMasks masks);

/// Evaluator: receives the rows of all garblers and folds them with its own macs into
/// R_l = (G_0 + sum C_0 + M_l[lambda_beta], G_1 + sum C_1 + M_l[lambda_alpha], sum C_2 + M_l[s])
/// in place of those macs (§6.3). `masks` is consumed.
void receive_rows(net::Party& party, Instance::Data& instance, AndMasks masks);

}  // namespace flexroom::boolean
