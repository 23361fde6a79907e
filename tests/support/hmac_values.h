#pragma once

#include "base/error.h"
#include "base/sha256_block.h"
#include "base/sha512_block.h"
#include "tls/hash_kind.h"

namespace flexroom::support {

/// hmac_states() of the hash of a cipher suite: chaining values after the padded key blocks.
struct HmacValues {
  tls::HashValue inner;
  tls::HashValue outer;
};
inline HmacValues hmac_values(const tls::HashKind& kind, ByteView key) {
  FLEXROOM_ASSERT(key.size() <= kind.block_bytes);
  const auto state = [&](uint8_t pad) {
    Bytes block(key.begin(), key.end());
    block.resize(kind.block_bytes);
    for (uint8_t& byte : block) byte ^= pad;
    if (kind.digest_bytes == 32) return kind.compress(sha256_state_bytes(kSha256Initial), block);
    return kind.compress(tls::HashValue(ByteView(sha512_state_bytes(kSha384Initial))), block);
  };
  return {state(0x36), state(0x5c)};
}

}  // namespace flexroom::support
