#include "support/circuit_batch.h"

#include <stdexcept>

#include "support/program_interpreter.h"

namespace flexroom::support {

void CircuitBatch::set(size_t lane, std::string_view group, ByteView bytes) {
  const size_t g = circuit_.input_group(group);
  if (8 * bytes.size() > circuit_.inputs[g].size) throw std::logic_error("longer than the group");
  const size_t offset = circuit_.input_offset(g);
  const uint64_t mask = uint64_t{1} << lane;
  for (size_t i = 0; i < 8 * bytes.size(); ++i) {
    uint64_t& wire = wires_[offset + i];
    wire = (bytes[i / 8] >> (i % 8) & 1) != 0 ? wire | mask : wire & ~mask;
  }
}

void CircuitBatch::run() {
  size_t out = circuit_.num_inputs;
  for (const mpc::Gate& gate : circuit_.gates) {
    if (gate.op == mpc::GateOp::kCall) {
      if (gate.b != 0) continue;  // with the first one
      std::vector<uint64_t> in;
      for (const mpc::WireId w : circuit_.calls[gate.a].inputs) in.push_back(wires_[w]);
      for (const uint64_t bits : run_template(*circuit_.calls[gate.a].callee, in, ~uint64_t{0})) {
        wires_[out++] = bits;
      }
      continue;
    }
    const uint64_t a = wires_[gate.a], b = wires_[gate.b];
    wires_[out++] = gate.op == mpc::GateOp::kXor   ? a ^ b
                    : gate.op == mpc::GateOp::kAnd ? a & b
                                                   : ~a;
  }
}

bool CircuitBatch::bit(size_t lane, std::string_view group, size_t index) const {
  const auto& wires = circuit_.outputs[circuit_.output_group(group)].wires;
  return (wires_[wires.at(index)] >> lane & 1) != 0;
}

std::vector<bool> CircuitBatch::marks(size_t lane, std::string_view group, size_t size,
                                      size_t count) const {
  const auto& wires = circuit_.outputs[circuit_.output_group(group)].wires;
  const size_t left_out = size - wires.size();
  std::vector<bool> out(count);
  for (size_t i = left_out; i < count; ++i) {
    out[i] = (wires_[wires[i - left_out]] >> lane & 1) != 0;
  }
  return out;
}

}  // namespace flexroom::support
