#pragma once

#include <string_view>
#include <vector>

#include "boolean/instance.h"

namespace flexroom::boolean {

/// Authenticated masks at the ANDs of an instance, by AND number.
struct AndMasks {
  prep::AuthBits alpha, beta;  // <lambda> of the operands
  prep::AuthBits s;            // <s> = <lambda_alpha * lambda_beta> + <lambda_gamma>
};

/// Masks of all wires and their products: boolean-engine.md §6.1, §6.2. Fills own_masks, dyn_masks
/// and output_masks of `instance`. All openings are checked when it returns.
///
/// Cost    2 bits an AND and 16 bytes to each peer; n > 2: also 1 bit a private input to its owner,
///         and 1 bit an output that depends linearly on a kZero input (re-masked, §3.5)
/// Aborts  kMac
AndMasks make_masks(net::Party& party, prep::Source& source, Instance::Data& instance,
                    std::vector<prep::AuthBits> zero);

/// Runs the XOR fabric over one value per slot: `at_ands(begin, end)` is called for the ANDs of
/// each batch and writes their outputs.
template <typename Slots, typename AtAnds>
void walk(const mpc::Program& program, Slots* slots, AtAnds at_ands) {
  for (const mpc::Batch& batch : program.batches) {
    for (uint32_t x = batch.xor_begin; x < batch.xor_end; ++x) {
      const mpc::XorOp& op = program.xors[x];
      slots[op.out] = slots[op.a] ^ slots[op.b];
    }
    at_ands(batch.and_begin, batch.and_end);
  }
}

}  // namespace flexroom::boolean
