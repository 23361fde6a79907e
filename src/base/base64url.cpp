#include "base/base64url.h"

#include <algorithm>

namespace flexroom {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

}  // namespace

std::string base64url_encode(ByteView bytes) {
  std::string out;
  uint32_t buffer = 0;
  unsigned bits = 0;
  for (const uint8_t byte : bytes) {
    buffer = buffer << 8 | byte;
    bits += 8;
    while (bits >= 6) {
      bits -= 6;
      out.push_back(kAlphabet[buffer >> bits & 63]);
    }
  }
  if (bits > 0) out.push_back(kAlphabet[buffer << (6 - bits) & 63]);
  return out;
}

std::optional<Bytes> base64url_decode(std::string_view text) {
  Bytes out;
  uint32_t buffer = 0;
  unsigned bits = 0;
  for (const char c : text) {
    const size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    buffer = buffer << 6 | static_cast<uint32_t>(value);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out.push_back(static_cast<uint8_t>(buffer >> bits));
  }
  if (base64url_encode(out) != text) return std::nullopt;  // stray bits, a lone character
  return out;
}

}  // namespace flexroom
