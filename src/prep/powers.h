#pragma once

#include "prep/bit_supply.h"

namespace flexroom::prep {

/// [[r^j]], 0 <= j <= max_power, of a random r: the powers that turn a shared GHASH key H into
/// shared powers of H with one opening (prep/ghash.h).
///
/// Protocol   boolean-engine.md §9.4: odd powers by field products, kept as linear forms of bit
///            vectors; even powers are Frobenius packs of them and free
/// Guarantee  correct or abort; r uniform. Serves one H
/// Cost       about max_power / 2 products; ceil(log2 max_power) openings after them. n = 2, k = 4:
///            0.7 MB each way for 256 powers, 2.8 MB for 1024
/// Aborts     as make_field_products
Powers make_powers(Context& context, size_t max_power);

/// What it sends to each other member, in bytes, of many powers: the measure above, for plans.
inline double power_bytes_to_each_peer(size_t max_power) {
  return 2730.0 * static_cast<double>(max_power);
}

}  // namespace flexroom::prep
