#pragma once

#include "circuits/hmac_hkdf.h"
#include "circuits/sha256.h"

namespace flexroom::circuits {

/// AWS Signature Version 4 with a shared key (tls-in-mpc.md §6).
///
/// Bit order as in circuits/handshake.h. Values that exist when the circuit is prepared are `zero`
/// inputs; `kind` lets a derivation take them as `dyn` when an earlier circuit of the same run made
/// them.

/// The HMAC states of "AWS4" || secret: once per credential.
///
/// In    zero "secret" [8 secret_bytes]; at most 60 bytes
/// Out   open "kin" [256], keep "kout" [256]
/// Size  43 150 ANDs for 40 bytes
mpc::Circuit sigv4_secret_states(size_t secret_bytes);

/// One level of key derivation: X' = HMAC(X, scope part), then the HMAC states of X'. The scope
/// part is hashed in the clear from the opened kin of X. Four levels: date, region, service,
/// "aws4_request"; with sigv4_secret_states 281 134 ANDs.
///
/// In    zero or dyn "kout" [256]; pub "kw" [2 048]: round words of the outer hash
/// Out   open "kin" [256], keep "kout" [256]
/// Size  59 496 ANDs
mpc::Circuit sigv4_derivation(mpc::InputKind kind = mpc::InputKind::kZero);

/// The 64 hex characters of HMAC(kSigning, string to sign), for a string to sign that is public:
/// its inner digest is computed in the clear. 16 504 ANDs.
Text sigv4_signature(const StateWords& kout_signing, const RoundWords& round_words);

/// SHA-256 of a body that starts with public bytes, in which secret bytes occur.
///
/// `state` and `bytes_before` stand for whole blocks that are public; `rest` is what follows, its
/// public bytes as constants: whatever is hashed together with secrets has to be known when the
/// circuit is built. At most 22 573 ANDs a block.
///
/// The digest may be opened only if 128 bits of the secret bytes are random by declaration
/// (tls-in-mpc.md §6.2).
StateWords sha256_of_rest(const Sha256State& state, uint64_t bytes_before, const Text& rest);

}  // namespace flexroom::circuits
