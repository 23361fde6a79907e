#pragma once

#include "circuits/aes128.h"

namespace flexroom::circuits {

/// Key expansion for 32 bytes of key, FIPS 197 §5.2: 52 S-boxes, 1 664 ANDs. aes_encrypt() takes
/// the result; a block is 224 S-boxes, 7 168 ANDs.
AesRoundKeys aes256_expand_key(const Text& key);

/// For a key of 16 or 32 bytes.
AesRoundKeys aes_expand_key(const Text& key);

}  // namespace flexroom::circuits
