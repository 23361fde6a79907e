#pragma once

#include <span>

#include "base/aes.h"
#include "base/block.h"

namespace flexroom {

/// AES-128-CTR keyed by a seed: expansion of seeds, coefficient streams, and (seeded by the system)
/// the only source of randomness; always passed in, never global.
class Prg {
 public:
  explicit Prg(const Block& seed) : aes_(seed) {}
  Prg(Prg&&) = default;
  Prg& operator=(Prg&&) = default;
  Prg(const Prg&) = delete;
  Prg& operator=(const Prg&) = delete;

  /// Seeded with 128 bits from the operating system (libsodium).
  static Prg from_system();

  Block next_block();
  uint64_t next_u64() { return next_block().lo; }
  void fill(std::span<Block> out);
  void fill(std::span<uint8_t> out);
  /// Uniform in [0, bound), by rejection.
  uint64_t below(uint64_t bound);

 private:
  Aes128 aes_;
  uint64_t counter_ = 0;
};

}  // namespace flexroom
