#include "agent/wires.h"

#include <algorithm>

#include "base/secret.h"

namespace flexroom::agent {
namespace {

/// Bit i of a GHASH element is bit 7 - (i mod 8) of byte i / 8 of the block (SP 800-38D).
size_t ghash_wire(size_t i) { return 8 * (i / 8) + 7 - i % 8; }

}  // namespace

Bytes bytes_of_bits(const std::vector<uint8_t>& bits) {
  FLEXROOM_ASSERT(bits.size() % 8 == 0);
  Bytes out(bits.size() / 8);
  for (size_t t = 0; t < bits.size(); ++t) {
    out[t / 8] = static_cast<uint8_t>(out[t / 8] | (bits[t] << (t % 8)));
  }
  return out;
}

std::vector<uint8_t> bits_of_bytes(ByteView bytes) {
  std::vector<uint8_t> out(8 * bytes.size());
  for (size_t t = 0; t < out.size(); ++t) out[t] = (bytes[t / 8] >> (t % 8)) & 1;
  return out;
}

Digest digest_of_bits(const std::vector<uint8_t>& bits) {
  const Bytes bytes = bytes_of_bits(bits);
  Digest out;
  FLEXROOM_ASSERT(bytes.size() == out.size());
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

tls::HashValue hash_value_of_bits(const std::vector<uint8_t>& bits) {
  Bytes bytes = bytes_of_bits(bits);
  const tls::HashValue out{ByteView(bytes)};
  wipe(bytes);
  return out;
}

boolean::OnlineInputs empty_inputs(const mpc::Program& program) {
  boolean::OnlineInputs inputs;
  inputs.pub.resize(program.inputs.size());
  inputs.dyn.resize(program.inputs.size());
  inputs.priv.resize(program.inputs.size());
  return inputs;
}

prep::AuthBits ghash_order(const prep::AuthBits& bits) {
  FLEXROOM_ASSERT(bits.size() % 128 == 0);
  prep::AuthBits out(bits.self(), bits.num_parties(), bits.size());
  for (PartyId j = 0; j < bits.num_parties(); ++j) {
    if (j == bits.self()) continue;
    for (size_t i = 0; i < bits.size(); ++i) {
      out.mac[j][i] = bits.mac[j][ghash_wire(i)];
      out.key[j][i] = bits.key[j][ghash_wire(i)];
    }
  }
  return out;
}

}  // namespace flexroom::agent
