#pragma once

#include <span>

#include "base/aes.h"
#include "base/block.h"

namespace flexroom {

/// AES-128-CTR keyed by a seed: expansion of seeds and coefficient streams; and, in the form that
/// asks the operating system, the only source of randomness. Always passed in, never global.
class Prg {
 public:
  explicit Prg(const Block& seed) : aes_(seed) {}
  Prg(Prg&&) = default;
  Prg& operator=(Prg&&) = default;
  Prg(const Prg&) = delete;
  Prg& operator=(const Prg&) = delete;

  /// Takes a new key and a new starting point from the operating system at every call and keeps no
  /// state that a later answer depends on. So each seed is independent of every other one (the
  /// check seeds that leave in the clear tell nothing about label seeds, and no AES input is common
  /// to two keys), and a process or machine that is resumed from a snapshot repeats none: the
  /// system's generator is not part of the process, and the time stamp counter and the CPU's
  /// generator enter the starting point, in case the system's was resumed with it.
  static Prg from_system();

  Block next_block();
  uint64_t next_u64() { return next_block().lo; }
  void fill(std::span<Block> out);
  void fill(std::span<uint8_t> out);
  /// Uniform in [0, bound), by rejection.
  uint64_t below(uint64_t bound);

 private:
  void renew();

  Aes128 aes_;
  Block iv_;
  uint64_t counter_ = 0;
  bool system_ = false;
};

}  // namespace flexroom
