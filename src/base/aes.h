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
  /// out[t] = AES(iv XOR (first + t)), the counter in the low 64 bits. Streams under many keys that
  /// each keep an unknown value start at an iv of their own: with one range of inputs for all, one
  /// call under a guessed key tests every one of them (boolean-engine.md §2.3).
  void ctr(const Block& iv, uint64_t first, std::span<Block> out) const;
  /// The same with iv = 0: coefficient streams chi_t.
  void ctr(uint64_t first, std::span<Block> out) const { ctr(Block(), first, out); }
  const __m128i* round_keys() const { return keys_; }

 private:
  __m128i keys_[11];
};

}  // namespace flexroom
