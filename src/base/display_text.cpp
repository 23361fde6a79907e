#include "base/display_text.h"

#include <cstdint>

#include <fmt/core.h>

namespace flexroom {
namespace {

struct Character {
  uint32_t code = 0;
  size_t bytes = 1;
  bool valid = false;  // of UTF-8 (RFC 3629: no overlong form, no surrogate)
};

Character next_character(std::string_view text) {
  const auto byte = [&](size_t k) { return static_cast<uint8_t>(text[k]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return {first, 1, true};
  const size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < bytes) return {first, 1, false};
  uint32_t code = first & (0x7fu >> bytes);
  for (size_t k = 1; k < bytes; ++k) {
    if ((byte(k) & 0xc0) != 0x80) return {first, 1, false};
    code = code << 6 | (byte(k) & 0x3fu);
  }
  const uint32_t smallest = bytes == 2 ? 0x80 : bytes == 3 ? 0x800 : 0x10000;
  if (code < smallest || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
    return {first, 1, false};
  }
  return {code, bytes, true};
}

bool is_plain(char c) { return c >= 0x20 && c < 0x7f; }

}  // namespace

std::string display_text(std::string_view text) {
  std::string out;
  size_t backslashes = 0;  // directly before `text`, all of them in `out` once
  while (!text.empty()) {
    const bool looks_escaped =
        text.size() > 1 && (text[0] == 'u' || text[0] == 'x') && text[1] == '{';
    if (!is_plain(text[0]) || looks_escaped) out.append(backslashes, '\\');
    if (is_plain(text[0])) {
      backslashes = text[0] == '\\' ? backslashes + 1 : 0;
      out.push_back(text[0]);
      text.remove_prefix(1);
      continue;
    }
    backslashes = 0;
    const Character c = next_character(text);
    out += fmt::format("\\{}{{{:x}}}", c.valid ? 'u' : 'x', c.code);
    text.remove_prefix(c.bytes);
  }
  return out;
}

std::string display_text(std::string_view text, size_t max) {
  if (text.size() <= max) return display_text(text);
  return display_text(text.substr(0, max)) + fmt::format(" ... ({} bytes)", text.size());
}

}  // namespace flexroom
