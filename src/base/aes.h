#pragma once

#include <immintrin.h>

#include <span>

#include "base/block.h"

namespace flexroom {

/// AES-128 with an expanded key (AES-NI). Keys are wiped on destruction.
class Aes128 {
 public:
  explicit Aes128(const Block& key);
  ~Aes128();
  Aes128(Aes128&&) = default;
  Aes128& operator=(Aes128&&) = default;
  Aes128(const Aes128&) = delete;
  Aes128& operator=(const Aes128&) = delete;

  Block encrypt(const Block& in) const;
  /// out[t] = AES(first + t), t as 64-bit counter in the low half (CTR mode, streams chi_t).
  void ctr(uint64_t first, std::span<Block> out) const;
  const __m128i* round_keys() const { return keys_; }

 private:
  __m128i keys_[11];
};

}  // namespace flexroom
