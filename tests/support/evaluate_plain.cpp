#include "support/evaluate_plain.h"

#include "base/error.h"
#include "support/program_interpreter.h"

namespace flexroom::support {

std::vector<std::vector<bool>> evaluate_plain(const mpc::Circuit& circuit,
                                              const std::vector<bool>& inputs) {
  FLEXROOM_ASSERT(inputs.size() == circuit.num_inputs);
  std::vector<uint8_t> values;
  values.reserve(circuit.num_wires());
  for (const bool bit : inputs) values.push_back(bit ? 1 : 0);
  for (const mpc::Gate& gate : circuit.gates) {
    if (gate.op == mpc::GateOp::kCall) {
      if (gate.b != 0) continue;  // with the first one
      std::vector<uint8_t> in;
      for (const mpc::WireId w : circuit.calls[gate.a].inputs) in.push_back(values[w]);
      const auto results = run_template(*circuit.calls[gate.a].callee, in, uint8_t{1});
      values.insert(values.end(), results.begin(), results.end());
      continue;
    }
    const uint8_t a = values[gate.a];
    const uint8_t b = values[gate.b];
    switch (gate.op) {
      case mpc::GateOp::kXor:
        values.push_back(a ^ b);
        break;
      case mpc::GateOp::kAnd:
        values.push_back(a & b);
        break;
      case mpc::GateOp::kNot:
        values.push_back(a ^ 1);
        break;
      case mpc::GateOp::kCall:
        break;
    }
  }
  std::vector<std::vector<bool>> out;
  for (const mpc::OutputGroup& group : circuit.outputs) {
    std::vector<bool>& bits = out.emplace_back();
    for (const mpc::WireId w : group.wires) bits.push_back(values[w] != 0);
  }
  return out;
}

}  // namespace flexroom::support
