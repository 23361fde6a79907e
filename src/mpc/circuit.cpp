#include "mpc/circuit.h"

#include "base/error.h"
#include "mpc/named_groups.h"

namespace flexroom::mpc {

size_t Circuit::input_offset(size_t group) const { return offset_of_group(inputs, group); }

size_t Circuit::input_group(std::string_view name) const { return index_of_group(inputs, name); }

size_t Circuit::output_group(std::string_view name) const { return index_of_group(outputs, name); }

std::vector<std::vector<bool>> evaluate_plain(const Circuit& circuit,
                                              const std::vector<bool>& inputs) {
  FLEXROOM_ASSERT(inputs.size() == circuit.num_inputs);
  std::vector<uint8_t> values;
  values.reserve(circuit.num_wires());
  for (const bool bit : inputs) values.push_back(bit ? 1 : 0);
  for (const Gate& gate : circuit.gates) {
    const uint8_t a = values[gate.a];
    const uint8_t b = values[gate.b];
    switch (gate.op) {
      case GateOp::kXor:
        values.push_back(a ^ b);
        break;
      case GateOp::kAnd:
        values.push_back(a & b);
        break;
      case GateOp::kNot:
        values.push_back(a ^ 1);
        break;
    }
  }
  std::vector<std::vector<bool>> out;
  for (const OutputGroup& group : circuit.outputs) {
    std::vector<bool>& bits = out.emplace_back();
    for (const WireId w : group.wires) bits.push_back(values[w] != 0);
  }
  return out;
}

}  // namespace flexroom::mpc
