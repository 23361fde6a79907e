#include "support/program_interpreter.h"

#include <cstdint>
#include <stdexcept>

namespace flexroom::support {
namespace {

void require(bool holds, const char* promise) {
  if (!holds) throw std::logic_error(promise);
}

}  // namespace

std::vector<std::vector<bool>> interpret(const mpc::Program& program,
                                         const std::vector<bool>& inputs) {
  require(inputs.size() == program.num_inputs(), "one bit per input wire");
  std::vector<uint8_t> values(program.num_slots), written(program.num_slots);
  for (size_t w = 0; w < inputs.size(); ++w) {
    require(written.at(program.input_slots[w]) == 0, "input slots are distinct");
    values.at(program.input_slots[w]) = inputs[w] ? 1 : 0;
    written[program.input_slots[w]] = 1;
  }
  std::vector<uint32_t> written_in(program.num_slots, 0);
  uint32_t x = 0, t = 0, number = 0;
  for (const mpc::Batch& batch : program.batches) {
    require(batch.xor_begin == x && batch.and_begin == t, "batches are contiguous");
    for (; x < batch.xor_end; ++x) {
      const mpc::XorOp op = program.xors.at(x);
      require(written.at(op.a) != 0 && written.at(op.b) != 0, "a XOR reads what was written");
      values.at(op.out) = values[op.a] ^ values[op.b];
      written[op.out] = 1;
    }
    ++number;
    for (uint32_t i = t; i < batch.and_end; ++i) {
      require(written_in.at(program.ands.at(i).out) != number, "outputs of a batch are distinct");
      written_in[program.ands[i].out] = number;
    }
    for (; t < batch.and_end; ++t) {
      const mpc::AndOp& op = program.ands[t];
      require(written.at(op.a) != 0 && written.at(op.b) != 0, "an AND reads what was written");
      require(written_in[op.a] != number && written_in[op.b] != number, "ANDs are independent");
      values[op.out] =
          static_cast<uint8_t>((values[op.a] ^ op.a_negated) & (values[op.b] ^ op.b_negated));
      written[op.out] = 1;
    }
  }
  require(x == program.xors.size() && t == program.ands.size(), "batches cover all ops");
  std::vector<std::vector<bool>> out;
  for (const auto& output : program.outputs) {
    auto& bits = out.emplace_back();
    for (const mpc::Literal& l : output.literals) {
      require(written.at(l.slot) != 0, "an output was written");
      bits.push_back((values[l.slot] != 0) != l.negated);
    }
  }
  return out;
}

}  // namespace flexroom::support
