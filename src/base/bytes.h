#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace flexroom {

using Bytes = std::vector<uint8_t>;
using ByteView = std::span<const uint8_t>;

/// A party of the computation, 0 .. n-1 (boolean-engine.md §1 counts from 1: P_i there is i-1
/// here).
using PartyId = uint32_t;

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline Bytes to_bytes(std::string_view text) { return {text.begin(), text.end()}; }
inline std::string to_text(ByteView bytes) { return std::string(as_text(bytes)); }
inline void append(Bytes& out, ByteView more) { out.insert(out.end(), more.begin(), more.end()); }
inline void append(Bytes& out, std::string_view more) { append(out, as_bytes(more)); }

/// Lower-case hex.
std::string to_hex(ByteView bytes);

/// Inverse of to_hex, either case. Throws InputError on an odd length or another character.
Bytes from_hex(std::string_view hex);

}  // namespace flexroom
