#pragma once

#include <span>

#include "boolean/instance.h"

namespace flexroom::boolean {

/// Inverse of prep::pack_bits(); `packed` is a peer's and must have zeros after the last bit
/// (kUnexpectedMessage).
std::vector<uint8_t> unpack_bits(ByteView packed, size_t count, std::string_view label,
                                 PartyId peer);

/// An instance and what it runs on.
struct InputsOf {
  Instance::Data& instance;
  const OnlineInputs& inputs;
};

/// Masked inputs and labels: boolean-engine.md §7.1, §7.2; O1 and O2 of App. B. A garbler's labels
/// leave only after every T of the kDyn opening, the view hashes and (n > 2) the echo passed.
/// Several instances of one evaluator go in the same flows: no label of any of them leaves before
/// all that is said here holds for all of them.
///
/// Fills input_values; at the evaluator also input_labels. A garbler's label pairs are wiped: one
/// label of a wire leaves, ever.
/// Aborts  kMac, kViewMismatch (also where a member runs fewer of them, if their views say so),
///         kEcho
void exchange_masked_inputs(net::Party& party, const Block& delta, std::span<const InputsOf> runs);

}  // namespace flexroom::boolean
