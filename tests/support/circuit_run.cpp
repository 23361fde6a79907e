#include "support/circuit_run.h"

#include <stdexcept>

namespace flexroom::support {

CircuitRun& CircuitRun::set_bits(std::string_view group, const std::vector<uint8_t>& bits) {
  const size_t g = circuit_.input_group(group);
  if (bits.size() != circuit_.inputs[g].size) throw std::logic_error("one bit per wire");
  const size_t offset = circuit_.input_offset(g);
  for (size_t i = 0; i < bits.size(); ++i) inputs_[offset + i] = bits[i] != 0;
  return *this;
}

CircuitRun& CircuitRun::set(std::string_view group, ByteView bytes) {
  const size_t size = circuit_.inputs[circuit_.input_group(group)].size;
  if ((size + 7) / 8 != bytes.size()) throw std::logic_error("eight bits per byte");
  std::vector<uint8_t> bits(size);
  for (size_t i = 0; i < size; ++i) bits[i] = (bytes[i / 8] >> (i % 8)) & 1;
  return set_bits(group, bits);
}

const std::vector<bool>& CircuitRun::bits(std::string_view group) const {
  return outputs_.at(circuit_.output_group(group));
}

Bytes CircuitRun::bytes(std::string_view group) const {
  const std::vector<bool>& from = bits(group);
  Bytes out((from.size() + 7) / 8);
  for (size_t i = 0; i < from.size(); ++i) {
    out[i / 8] = static_cast<uint8_t>(out[i / 8] | (from[i] ? 1u << (i % 8) : 0u));
  }
  return out;
}

}  // namespace flexroom::support
