#pragma once

#include "circuits/oaep.h"
#include "mpc/circuit.h"

namespace flexroom::circuits {

/// What the circuits of one JWE depend on.
struct JweShape {
  OaepHash hash = OaepHash::kSha256;  // RSA-OAEP: kSha1, RSA-OAEP-256: kSha256
  size_t cek_bytes = 32;              // A128GCM: 16, A256GCM: 32
  size_t modulus_bytes = 256;         // 256, 384 or 512
  size_t num_parties = 2;
  size_t secret_bytes = 1;  // the plaintext
};

/// a + b mod N for a, b < N; `minus_modulus` [l + 1] is 2^(l+1) - N, usually `pub` bits.
/// 3 ANDs a bit (tls-in-mpc.md §1.10).
Bits add_mod(const Bits& a, const Bits& b, const Bits& minus_modulus);

/// Everything of a JWE that is computed on secret bits before its tag: the OAEP encoding of the
/// content encryption key under masks mod N, and AES-GCM in counter mode (RFC 7518 §4.3, §5.3).
///
/// In      zero "cek" [8 cek_bytes], "seed" [8 hash], "secret" [8 secret_bytes], "mask_<i>" [8
///         modulus_bytes] below N for every party, "r" [128]: R of the GHASH powers in byte order;
///         pub "minus_modulus" [8 modulus_bytes + 1], "iv" [96]
/// Out     open "c" [8 modulus_bytes]: EM + sum of the masks mod N, bit 0 least significant;
///         open "d" [128]: H xor R, in byte order;
///         kept "ciphertext" [8 secret_bytes], "j0" [128]: the key stream block of the tag
/// Design  tls-in-mpc.md §5.9(3), (5)
mpc::Circuit jwe_encryption(const JweShape& shape);

/// The end of the compact form, after the initialisation vector: base64url of ciphertext and tag
/// with a dot between them (RFC 7516 §3.1), from dyn "ciphertext" [8 secret_bytes] and dyn "tag"
/// [128] to kept "chars". Its length depends on secret_bytes alone. 17 ANDs a character at most.
struct JweTextCircuit {
  mpc::Circuit circuit;
  Bytes public_text;                  // constant bits in place, secret bits 0
  std::vector<uint32_t> secret_bits;  // positions (8 * byte + bit) of "chars", ascending
};
JweTextCircuit jwe_text(size_t secret_bytes);

}  // namespace flexroom::circuits
