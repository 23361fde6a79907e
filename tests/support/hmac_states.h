#pragma once

#include "base/error.h"
#include "base/sha256_block.h"

namespace flexroom::support {

/// Chaining values after the padded key blocks: inner (key ^ 0x36..) and outer (key ^ 0x5c..).
struct HmacStates {
  Sha256State inner;
  Sha256State outer;
};

/// `key` at most 64 bytes (RFC 2104 §2). Tests only: no program of ours holds such a key whole.
inline HmacStates hmac_states(ByteView key) {
  FLEXROOM_ASSERT(key.size() <= 64);
  Sha256BlockBytes inner;
  Sha256BlockBytes outer;
  inner.fill(0x36);
  outer.fill(0x5c);
  for (size_t i = 0; i < key.size(); ++i) {
    inner[i] = static_cast<uint8_t>(inner[i] ^ key[i]);
    outer[i] = static_cast<uint8_t>(outer[i] ^ key[i]);
  }
  return {sha256_compress(kSha256Initial, inner), sha256_compress(kSha256Initial, outer)};
}

}  // namespace flexroom::support
