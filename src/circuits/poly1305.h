#pragma once

#include <span>

#include "circuits/subtract_mod.h"

namespace flexroom::circuits {

/// The boolean ends of a Poly1305 tag whose polynomial is evaluated over F_p, p = 2^130 - 5
/// (tls-in-mpc.md §4.7).

/// r of the first half of a one-time key, clamped (RFC 8439 §2.5): 130 bits, 106 of them free.
Bits poly1305_r(const Text& half);  // 16 bytes

/// c = r - sum rho_i mod p, canonical: boolean to arithmetic, [r] = c + sum [rho_i]. Uniform where
/// one of the masks is.
/// Size  259 ANDs a party
Bits poly1305_masked_r(const Bits& r, std::span<const Bits> masks);

/// (acc mod 2^128) + s mod 2^128, acc = e - sum sigma_i mod p: 128 bits of the tag.
/// Size  259 ANDs a party less 2, and 127
Bits poly1305_tag(const Bits& e, std::span<const Bits> masks, const Bits& s);

/// The circuit of the last step of a tag.
///
/// In    zero "sigma_0" .. "sigma_<n-1>" [130 each]; dyn "s" [128]: the second half of the one-time
///       key; pub "e" [130]: acc + sum sigma_i mod p
/// Out   keep "tag" [128], bytes in order, bit 0 of a byte first
mpc::Circuit poly1305_tag_circuit(size_t num_parties);

}  // namespace flexroom::circuits
