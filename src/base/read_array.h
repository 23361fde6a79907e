#pragma once

#include <algorithm>
#include <array>

#include "base/codec.h"

namespace flexroom {

/// The next N bytes of a message.
template <size_t N>
std::array<uint8_t, N> read_array(Reader& in) {
  std::array<uint8_t, N> out{};
  const ByteView raw = in.raw(N);
  std::copy(raw.begin(), raw.end(), out.begin());
  return out;
}

}  // namespace flexroom
