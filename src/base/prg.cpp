#include "base/prg.h"

#include <cpuid.h>
#include <sodium.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/secret.h"

namespace flexroom {
namespace {

bool has_rdrand() {
  static const bool there = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c >> 30 & 1) != 0;
  }();
  return there;
}

// Zero where the CPU has none: it is added to what the system gave.
__attribute__((target("rdrnd"))) uint64_t cpu_random() {
  unsigned long long out = 0;
  if (!has_rdrand() || _rdrand64_step(&out) != 1) return 0;
  return out;
}

}  // namespace

Prg Prg::from_system() {
  static const int ready = sodium_init();
  FLEXROOM_ASSERT(ready >= 0);
  Prg prg{Block()};
  prg.system_ = true;
  return prg;
}

// Two machines that went on from one snapshot may be given the same key. Their starting points
// differ all the same, and outputs at different inputs of one key are as good as independent.
void Prg::renew() {
  Block fresh[2];
  randombytes_buf(fresh, sizeof fresh);
  aes_ = Aes128(fresh[0]);
  iv_ = fresh[1] ^ Block(cpu_random(), __builtin_ia32_rdtsc());
  counter_ = 0;
  wipe(fresh, sizeof fresh);
}

Block Prg::next_block() {
  Block out;
  fill({&out, 1});
  return out;
}

void Prg::fill(std::span<Block> out) {
  if (system_) renew();
  aes_.ctr(iv_, counter_, out);
  counter_ += out.size();
}

void Prg::fill(std::span<uint8_t> out) {
  constexpr size_t kChunk = 64;
  Block blocks[kChunk];
  size_t done = 0;
  while (done < out.size()) {
    const size_t bytes = std::min(out.size() - done, sizeof blocks);
    fill(std::span<Block>(blocks, (bytes + 15) / 16));
    std::memcpy(out.data() + done, blocks, bytes);
    done += bytes;
  }
  wipe(blocks, sizeof blocks);
}

uint64_t Prg::below(uint64_t bound) {
  FLEXROOM_ASSERT(bound > 0);
  const uint64_t limit = bound * (UINT64_MAX / bound);
  uint64_t value = next_u64();
  while (value >= limit) value = next_u64();
  return value % bound;
}

}  // namespace flexroom
