#pragma once

#include <vector>

#include "base/sha256_block.h"

namespace flexroom::support {

/// The padded block of the outer hash of a public inner digest, or of an inner hash of a public
/// message of at most 55 bytes.
inline Sha256BlockBytes hmac_last_block(ByteView tail) { return sha256_last_block(tail, 64); }

/// The round words of a padded block as circuits::round_words_of() reads them, one byte (0/1) each.
inline std::vector<uint8_t> round_word_bits(const Sha256BlockBytes& block) {
  std::vector<uint8_t> out;
  for (const uint32_t word : sha256_schedule_plus_k(block)) {
    for (size_t i = 0; i < 32; ++i) out.push_back((word >> i) & 1);
  }
  return out;
}

}  // namespace flexroom::support
