#pragma once

#include <string_view>

#include "circuits/hash.h"

namespace flexroom::circuits {

/// The two chaining values that stand for an HMAC key X: `inner` after X ^ ipad, `outer` after
/// X ^ opad (Kin and Kout of tls-in-mpc.md §3.4). HMAC(X, m) = the hash from outer over (the hash
/// from inner over m).
///
/// Revealing `inner` makes the hash of a public message local; allowed only for keys with at least
/// 128 bits of min-entropy. `outer` is never revealed.
struct HmacKeyText {
  Text inner;
  Text outer;
};

/// Both states of a key of at most a block. SHA-256: 2 x 21 624 ANDs for 32 secret bytes,
/// 2 x 21 575 for "AWS4" and 40 secret bytes. SHA-384: 2 x 55 734 for 48 secret bytes. 0 for a
/// constant key.
HmacKeyText hmac_key(const HashCircuit& hash, const Text& key);

/// The digest of a message, padding included, from a state that has eaten one block. Constant
/// message of one block with its padding under a secret state: 16 117 ANDs, SHA-384 40 827; 32
/// secret bytes under a constant one: 21 282, SHA-384 54 815.
Text hmac_inner(const HashCircuit& hash, const Text& inner, const Text& message);

/// The outer hash of an inner digest: 21 649 ANDs when state and digest are secret, 21 282 under a
/// constant state; SHA-384 55 729 and 54 815.
Text hmac_outer(const HashCircuit& hash, const Text& outer, const Text& inner_digest);

/// The outer hash of an inner digest that is public but known only online: 16 248 ANDs, SHA-384
/// 40 984. `round_words` are those of the padded block that the outer hash of the digest ends with.
Text hmac_outer_pub(const HashCircuit& hash, const Text& outer, const Bits& round_words);

/// HMAC(key, message) with everything inside.
Text hmac(const HashCircuit& hash, const HmacKeyText& key, const Text& message);

/// HkdfLabel of RFC 8446 §7.1 and the 0x01 of HKDF-Expand's first block: the message under HMAC
/// that gives the first digest of HKDF-Expand-Label(., label, context, length). `label` without
/// "tls13 ".
Bytes hkdf_label_message(std::string_view label, ByteView context, uint16_t length);

/// HKDF-Expand-Label(., label, "", length) for at most a digest, from the states of the secret:
/// 1 constmsg + 1 secmsg. Words of the digest that nobody uses cost nothing in the end.
Text hkdf_expand_label(const HashCircuit& hash, const HmacKeyText& secret, std::string_view label,
                       uint16_t length);

}  // namespace flexroom::circuits
