#pragma once

#include "circuits/aes128.h"

namespace flexroom::circuits {

using Aes256RoundKeys = std::array<AesBlock, 15>;  // round 0 .. 14

/// Key expansion for 32 bytes of key, FIPS 197 §5.2: 52 S-boxes, 1 664 ANDs. aes_encrypt() takes
/// the result; a block is 224 S-boxes, 7 168 ANDs.
Aes256RoundKeys aes256_expand_key(const Text& key);

}  // namespace flexroom::circuits
