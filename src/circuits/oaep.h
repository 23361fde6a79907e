#pragma once

#include "circuits/word.h"

namespace flexroom::circuits {

/// The hash of an RSA-OAEP encoding; its MGF1 uses the same one, as RFC 7518 §4.3 says.
enum class OaepHash : uint8_t { kSha1, kSha256 };

/// 20 or 32.
size_t oaep_hash_bytes(OaepHash hash);

/// The encoded message EM of RSAES-OAEP with an empty label, RFC 8017 §7.1.1 step 2.
///
/// In      seed [oaep_hash_bytes], message, all secret or mixed; block_bytes: of the modulus.
///         Asserts that the message fits: message + 2 hashes + 2 <= block_bytes
/// Out     EM [block_bytes], byte 0 first and constant 0, so that EM is below every modulus of
///         that length
/// Size    2048 bits, 32 bytes of message: 11 compressions for SHA-256, 16 for SHA-1
/// Design  tls-in-mpc.md §5.9(3)
Text oaep_encode(OaepHash hash, size_t block_bytes, const Text& seed, const Text& message);

}  // namespace flexroom::circuits
