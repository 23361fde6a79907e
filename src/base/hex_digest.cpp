#include "base/hex_digest.h"

#include <algorithm>

#include "base/error.h"

namespace flexroom {

std::optional<Digest> digest_of_hex(std::string_view hex) {
  Digest out{};
  if (hex.size() != 2 * out.size()) return std::nullopt;
  try {
    const Bytes bytes = from_hex(hex);
    std::copy(bytes.begin(), bytes.end(), out.begin());
  } catch (const InputError&) {
    return std::nullopt;
  }
  return out;
}

bool is_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}
bool is_hex(std::string_view text, size_t digits) { return text.size() == digits && is_hex(text); }

}  // namespace flexroom
