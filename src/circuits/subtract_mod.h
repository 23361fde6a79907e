#pragma once

#include <span>

#include "base/named_group.h"
#include "circuits/word.h"

namespace flexroom::circuits {

/// Bits of an element of the field of the group's coordinates: 255 or 256.
size_t field_bits(NamedGroup group);

/// c - r mod p for c, r < p; the result is canonical.
///
/// In      c, r [field_bits(group)], least significant bit first
/// Size    509 ANDs (2^255-19), 511 (P-256): ripple subtraction, then + borrow * p; for
///         p = 2^255 - t as - borrow * t, which has few full adders
/// Design  tls-in-mpc.md §1.10
Bits subtract_mod(NamedGroup group, const Bits& c, const Bits& r);

/// The same modulo 2^130 - 5, the prime of Poly1305: 259 ANDs.
inline constexpr size_t kPoly1305Bits = 130;
Bits subtract_mod_1305(const Bits& c, const Bits& r);

/// Arithmetic to boolean: x = c - sum of the masks mod p, where c = x + sum rho_i was opened.
/// n = 2: 1 018 / 1 022 ANDs, n = 3: 1 527 / 1 533.
Bits arithmetic_to_boolean(NamedGroup group, const Bits& c, std::span<const Bits> masks);

}  // namespace flexroom::circuits
