#pragma once

#include <vector>

#include "mpc/program.h"

namespace flexroom::support {

/// Runs a program in the clear, op by op, holding it to what program.h promises: no op reads a slot
/// that nothing wrote, and the ANDs of a batch read nothing that the batch writes. A broken promise
/// throws std::logic_error. `inputs` [num_inputs]; returns the bits of each output group.
std::vector<std::vector<bool>> interpret(const mpc::Program& program,
                                         const std::vector<bool>& inputs);

/// The outputs of a template for so many inputs at once as T has bits; `ones` is all of them.
template <typename T>
std::vector<T> run_template(const mpc::Template& callee, const std::vector<T>& inputs, T ones) {
  const mpc::Program& program = callee.program;
  std::vector<T> slots(program.num_slots);
  for (size_t w = 0; w < inputs.size(); ++w) slots.at(program.input_slots.at(w)) = inputs[w];
  const auto negated = [ones](T value, bool turned) {
    return static_cast<T>(turned ? value ^ ones : value);
  };
  for (const mpc::Batch& batch : program.batches) {
    program.xors.apply(batch.xor_begin, batch.xor_end, slots.data());
    for (uint32_t t = batch.and_begin; t < batch.and_end; ++t) {
      const mpc::AndOp& op = program.ands[t];
      slots[op.out] = static_cast<T>(negated(slots[op.a], op.a_negated != 0) &
                                     negated(slots[op.b], op.b_negated != 0));
    }
  }
  std::vector<T> out;
  for (const mpc::Literal& literal : program.outputs.front().literals) {
    out.push_back(negated(slots[literal.slot], literal.negated));
  }
  return out;
}

}  // namespace flexroom::support
