#include "base/prg.h"

#include <sodium.h>

#include <cstring>

#include "base/error.h"
#include "base/secret.h"

namespace flexroom {

Prg Prg::from_system() {
  static const int ready = sodium_init();
  FLEXROOM_ASSERT(ready >= 0);
  Block seed;
  randombytes_buf(&seed, sizeof seed);
  Prg prg(seed);
  wipe(&seed, sizeof seed);
  return prg;
}

Block Prg::next_block() {
  Block out;
  aes_.ctr(counter_++, {&out, 1});
  return out;
}

void Prg::fill(std::span<Block> out) {
  aes_.ctr(counter_, out);
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
