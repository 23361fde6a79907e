#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"

namespace flexroom::math {

/// 256-bit integer, least significant limb first.
using U256 = std::array<uint64_t, 4>;

__extension__ using U128 = unsigned __int128;

/// a + b mod 2^256; returns the carry (0 or 1). Constant time, as everything in this header.
constexpr uint64_t add_into(U256& out, const U256& a, const U256& b) {
  U128 carry = 0;
  for (size_t i = 0; i < 4; ++i) {
    carry += U128{a[i]} + b[i];
    out[i] = static_cast<uint64_t>(carry);
    carry >>= 64;
  }
  return static_cast<uint64_t>(carry);
}

/// a - b mod 2^256; returns the borrow (0 or 1).
constexpr uint64_t sub_into(U256& out, const U256& a, const U256& b) {
  uint64_t borrow = 0;
  for (size_t i = 0; i < 4; ++i) {
    const U128 d = U128{a[i]} - b[i] - borrow;
    out[i] = static_cast<uint64_t>(d);
    borrow = static_cast<uint64_t>(d >> 64) & 1;
  }
  return borrow;
}

/// a if mask is all ones, b if it is zero.
constexpr U256 select_u256(uint64_t mask, const U256& a, const U256& b) {
  U256 out{};
  for (size_t i = 0; i < 4; ++i) out[i] = (a[i] & mask) | (b[i] & ~mask);
  return out;
}

constexpr bool bit_of(const U256& a, unsigned t) { return ((a[t / 64] >> (t % 64)) & 1) != 0; }

/// a mod 2^count, for integers of any number of limbs.
template <size_t N>
constexpr std::array<uint64_t, N> low_bits(std::array<uint64_t, N> a, unsigned count) {
  for (unsigned i = 0; i < N; ++i) {
    const unsigned kept = count > 64 * i ? count - 64 * i : 0;
    if (kept < 64) a[i] &= (uint64_t{1} << kept) - 1;
  }
  return a;
}

/// 1 if a < b, else 0.
constexpr uint64_t less_than(const U256& a, const U256& b) {
  U256 unused{};
  return sub_into(unused, a, b);
}

constexpr uint64_t is_zero_u256(const U256& a) {
  const uint64_t any = a[0] | a[1] | a[2] | a[3];
  return ((any | (0 - any)) >> 63) ^ 1;
}

inline U256 load_be(std::span<const uint8_t, 32> in) {
  U256 a{};
  for (size_t i = 0; i < 4; ++i) {
    for (size_t b = 0; b < 8; ++b) a[i] |= uint64_t{in[31 - 8 * i - b]} << (8 * b);
  }
  return a;
}

}  // namespace flexroom::math
