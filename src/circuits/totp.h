#pragma once

#include <vector>

#include "circuits/sha1.h"

namespace flexroom::circuits {

inline constexpr size_t kTotpDigits = 6;
inline constexpr size_t kTotpRoundBits = 2560;
inline constexpr size_t kMaxTotpKeyBytes = 64;

/// The six digits of TOTP (RFC 6238 with HMAC-SHA1, RFC 4226 §5.3) of a secret key, at a step that
/// is public but known only online. Nothing of the key is opened, neither its pads nor the hash.
///
/// In     key [1 .. 64 bytes]; round_words of totp_round_bits(step), `pub`
/// Out    6 bytes '0' .. '9'
/// Size   41 537 ANDs for a key of 20 bytes, of which the specification allows 44 325 (§5.3)
Text totp(const Text& key, const Sha1Rounds& round_words);

/// Values of the 2 560 `pub` bits of a step (Unix seconds / 30), one byte (0/1) each.
std::vector<uint8_t> totp_round_bits(uint64_t step);

}  // namespace flexroom::circuits
