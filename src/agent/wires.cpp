#include "agent/wires.h"

#include <algorithm>

namespace flexroom::agent {

std::vector<uint8_t> word_bits(const Sha256RoundWords& words) {
  std::vector<uint8_t> bits;
  bits.reserve(32 * words.size());
  for (const uint32_t word : words) {
    for (unsigned b = 0; b < 32; ++b) bits.push_back(static_cast<uint8_t>(word >> b & 1));
  }
  return bits;
}

Bytes bytes_of_bits(const std::vector<uint8_t>& bits) {
  FLEXROOM_ASSERT(bits.size() % 8 == 0);
  Bytes out(bits.size() / 8);
  for (size_t t = 0; t < bits.size(); ++t) {
    out[t / 8] = static_cast<uint8_t>(out[t / 8] | (bits[t] << (t % 8)));
  }
  return out;
}

Digest digest_of_bits(const std::vector<uint8_t>& bits) {
  const Bytes bytes = bytes_of_bits(bits);
  Digest out;
  FLEXROOM_ASSERT(bytes.size() == out.size());
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

boolean::OnlineInputs empty_inputs(const mpc::Program& program) {
  boolean::OnlineInputs inputs;
  inputs.pub.resize(program.inputs.size());
  inputs.dyn.resize(program.inputs.size());
  inputs.priv.resize(program.inputs.size());
  return inputs;
}

}  // namespace flexroom::agent
