#include "agent/sealed_text.h"

#include "base/error.h"

namespace flexroom::agent {
namespace {

std::vector<uint8_t> bits_of(ByteView bytes) {
  std::vector<uint8_t> out;
  out.reserve(8 * bytes.size());
  for (const uint8_t byte : bytes) {
    for (unsigned b = 0; b < 8; ++b) out.push_back(static_cast<uint8_t>(byte >> b & 1));
  }
  return out;
}

}  // namespace

void SealedText::add_verified(ByteView ciphertext) { ciphertexts_.push_back(ciphertext); }

void SealedText::add_keystream(std::span<const std::pair<uint32_t, uint32_t>> places,
                               const prep::AuthBits& keystream) {
  const size_t bits = 8 * block_bytes_;
  FLEXROOM_ASSERT(keystream.size() >= bits * places.size());
  for (size_t k = 0; k < places.size(); ++k) {
    blocks_.try_emplace(places[k], keystream.slice(bits * k, bits));
  }
}

prep::AuthBits SealedText::bits(std::span<const RecordByte> bytes) const {
  prep::AuthBits out(self_, num_parties_, 8 * bytes.size());
  Bytes ciphertext;
  for (size_t t = 0; t < bytes.size(); ++t) {
    const auto [record, at] = bytes[t];
    FLEXROOM_ASSERT(record < ciphertexts_.size() && at < ciphertexts_[record].size());
    ciphertext.push_back(ciphertexts_[record][at]);
    const prep::AuthBits& block = blocks_.at(block_of(bytes[t]));
    const size_t in_block = at % block_bytes_;
    for (PartyId j = 0; j < num_parties_; ++j) {
      if (j == self_) continue;
      for (size_t b = 0; b < 8; ++b) {
        out.mac[j][8 * t + b] = block.mac[j][8 * in_block + b];
        out.key[j][8 * t + b] = block.key[j][8 * in_block + b];
      }
    }
  }
  prep::add_constants(out, bits_of(ciphertext), delta_);
  return out;
}

void append_public(prep::AuthBits& bits, ByteView bytes, const Block& delta) {
  prep::AuthBits constants(bits.self(), bits.num_parties(), 8 * bytes.size());
  prep::add_constants(constants, bits_of(bytes), delta);
  bits.append(constants);
}

prep::AuthBits gather(const prep::AuthBits& bits, std::span<const size_t> indices) {
  prep::AuthBits out(bits.self(), bits.num_parties(), indices.size());
  for (PartyId j = 0; j < bits.num_parties(); ++j) {
    if (j == bits.self()) continue;
    for (size_t t = 0; t < indices.size(); ++t) {
      out.mac[j][t] = bits.mac[j][indices[t]];
      out.key[j][t] = bits.key[j][indices[t]];
    }
  }
  return out;
}

}  // namespace flexroom::agent
