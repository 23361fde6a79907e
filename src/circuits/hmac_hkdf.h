#pragma once

#include <string_view>

#include "circuits/sha256.h"

namespace flexroom::circuits {

/// The two chaining values that stand for an HMAC-SHA256 key X: `inner` after X ^ ipad, `outer`
/// after X ^ opad (Kin and Kout of tls-in-mpc.md §3.4). HMAC(X, m) = SHA from outer over
/// (SHA from inner over m).
///
/// Revealing `inner` makes the hash of a public message local; allowed only for keys with at least
/// 128 bits of min-entropy. `outer` is never revealed.
struct HmacKeyWords {
  StateWords inner;
  StateWords outer;
};

/// Both states of a key of at most 64 bytes: 2 x 21 624 ANDs for 32 secret bytes, 2 x 21 575 for
/// "AWS4" and 40 secret bytes, 0 for a constant key.
HmacKeyWords hmac_key(const Text& key);

/// The digest of a message, padding included, from a state that has eaten one block. Constant
/// message of at most 55 bytes under a secret state: 16 117 ANDs; 32 secret bytes under a constant
/// one: 21 282.
StateWords hmac_inner(const StateWords& inner, const Text& message);

/// The outer hash of an inner digest: 21 649 ANDs when state and digest are secret, 21 282 under a
/// constant state.
StateWords hmac_outer(const StateWords& outer, const StateWords& inner_digest);

/// The outer hash of an inner digest that is public but known only online: 16 248 ANDs.
/// `round_words` are those of the padded block that the outer hash of the digest ends with.
StateWords hmac_outer_pub(const StateWords& outer, const RoundWords& round_words);

/// HMAC(key, message) with everything inside.
StateWords hmac(const HmacKeyWords& key, const Text& message);

/// HkdfLabel of RFC 8446 §7.1 and the 0x01 of HKDF-Expand's first block: the message under HMAC
/// that gives the first 32 bytes of HKDF-Expand-Label(., label, context, length). `label` without
/// "tls13 ".
Bytes hkdf_label_message(std::string_view label, ByteView context, uint16_t length);

}  // namespace flexroom::circuits
