#pragma once

#include "boolean/instance.h"

namespace flexroom::boolean {

/// Inverse of prep::pack_bits(); `packed` is a peer's and must have zeros after the last bit
/// (kUnexpectedMessage).
std::vector<uint8_t> unpack_bits(ByteView packed, size_t count, std::string_view label,
                                 PartyId peer);

/// Masked inputs and labels: boolean-engine.md §7.1, §7.2; O1 and O2 of App. B. A garbler's labels
/// leave only after every T of the kDyn opening, the view hashes and (n > 2) the echo passed.
///
/// Fills input_values; at the evaluator also input_labels. A garbler's label pairs are wiped: one
/// label of a wire leaves, ever.
/// Aborts  kMac, kViewMismatch, kEcho
void exchange_masked_inputs(net::Party& party, const Block& delta, Instance::Data& instance,
                            const OnlineInputs& inputs);

}  // namespace flexroom::boolean
