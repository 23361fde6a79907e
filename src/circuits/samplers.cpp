#include "circuits/samplers.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace flexroom::circuits {
namespace {

/// 2^k bits of which the index-th is 1. Halves are made apart; each row of their product needs one
/// AND less than it has entries, because together they are the bit of the row.
Bits one_hot(std::span<const Bit> index) {
  if (index.size() == 1) return {~index[0], index[0]};
  const size_t half = index.size() / 2;
  const Bits low = one_hot(index.first(half)), high = one_hot(index.subspan(half));
  Bits out;
  out.reserve(low.size() * high.size());
  for (const Bit row : high) {
    Bit last = row;
    for (size_t k = 0; k + 1 < low.size(); ++k) {
      out.push_back(row & low[k]);
      last ^= out.back();
    }
    out.push_back(last);
  }
  return out;
}

}  // namespace

ByteBits base32_char(std::span<const Bit> value) {
  FLEXROOM_ASSERT(value.size() == 5);
  const Bit v0 = value[0], v1 = value[1], v2 = value[2], v3 = value[3], v4 = value[4];
  // From 26 (11010) on the digits '2'.. = 0x30 | the three low bits of v; below, letters 0x60 |
  // v+1.
  const Bit digit = v4 & v3 & (v2 | v1);
  const Bit letter = ~digit;
  const Bit c1 = letter & v0, c2 = c1 & v1, c3 = c2 & v2, c4 = c3 & v3;  // carries of v+1
  return {v0 ^ letter, v1 ^ c1, v2 ^ c2, v3 ^ c3 ^ digit, v4 ^ c4, Bit(true), letter, Bit()};
}

Bit is_decimal(std::span<const Bit> candidate) {
  FLEXROOM_ASSERT(candidate.size() == 4);
  return ~(candidate[3] & (candidate[2] | candidate[1]));
}

size_t digit_candidates(size_t digits) {
  constexpr double kAccepted = 10.0 / 16, kFailure = 0x1p-40;
  for (size_t count = digits;; ++count) {
    // P(exactly i of count), from i = 0 up.
    double term = std::pow(1 - kAccepted, static_cast<double>(count)), too_few = 0;
    for (size_t i = 0; i < digits; ++i) {
      too_few += term;
      term *=
          static_cast<double>(count - i) / static_cast<double>(i + 1) * kAccepted / (1 - kAccepted);
    }
    if (too_few <= kFailure) return count;
  }
}

Text pick(std::span<const Bit> index, std::span<const std::string> entries) {
  FLEXROOM_ASSERT(!index.empty() && index.size() < 16 &&
                  entries.size() == size_t{1} << index.size());
  const Bits chosen = one_hot(index);
  Text out(entries[0].size());
  for (size_t e = 0; e < entries.size(); ++e) {
    FLEXROOM_ASSERT(entries[e].size() == out.size());
    for (size_t k = 0; k < out.size(); ++k) {
      const auto c = static_cast<uint8_t>(entries[e][k]);
      for (size_t b = 0; b < 8; ++b) {
        if ((c >> b & 1) != 0) out[k][b] ^= chosen[e];
      }
    }
  }
  return out;
}

}  // namespace flexroom::circuits
