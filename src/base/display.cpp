#include "base/display.h"

#include <fmt/core.h>

#include <cstdint>

namespace flexroom {
namespace {

struct Character {
  uint32_t code = 0;
  size_t bytes = 0;  // 0: no UTF-8 here
};

/// The first character (RFC 3629 §4): neither overlong, nor a surrogate, nor beyond U+10FFFF.
Character decode(std::string_view text) {
  const auto byte = [&](size_t at) { return static_cast<uint8_t>(text[at]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return {first, 1};
  const size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < size) return {};
  uint32_t code = first & (0xffU >> (size + 1));
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3fU);
  }
  const bool overlong = (size == 3 && code < 0x800) || (size == 4 && code < 0x10000);
  if (overlong || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff) return {};
  return {code, size};
}

bool shows_as_itself(uint32_t code) {
  const auto within = [code](uint32_t first, uint32_t last) {
    return code >= first && code <= last;
  };
  return !(code < 0x20 || within(0x7f, 0x9f) || code == 0xad || code == 0x61c ||
           within(0x115f, 0x1160) || within(0x17b4, 0x17b5) || within(0x180b, 0x180f) ||
           within(0x200b, 0x200f) || within(0x2028, 0x202e) || within(0x2060, 0x206f) ||
           code == 0x3164 || within(0xfe00, 0xfe0f) || code == 0xfeff || code == 0xffa0 ||
           within(0xfff0, 0xfffb) || within(0xe0000, 0xe0fff));
}

std::string filter(std::string_view text, bool lines) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Character next = decode(text);
    const size_t size = next.bytes == 0 ? 1 : next.bytes;
    if (lines && next.bytes == 1 && (next.code == '\n' || next.code == '\t')) {
      out.push_back(next.code == '\n' ? '\n' : ' ');
    } else if (next.bytes != 0 && shows_as_itself(next.code)) {
      out.append(text.substr(0, size));
    } else {
      out.push_back('?');
    }
    text.remove_prefix(size);
  }
  return out;
}

bool is_plain(char c) { return c >= 0x20 && c < 0x7f; }

}  // namespace

std::string display(std::string_view text) { return filter(text, false); }
std::string display_lines(std::string_view text) { return filter(text, true); }

std::string display_short(std::string_view text, size_t most) {
  if (text.size() <= most) return display(text);
  size_t end = most;
  while (end > 0 && (static_cast<uint8_t>(text[end]) & 0xc0) == 0x80)
    --end;  // of a whole character
  return display(text.substr(0, end)) + "...";
}

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
    const Character c = decode(text);
    const bool valid = c.bytes != 0;
    out += fmt::format("\\{}{{{:x}}}", valid ? 'u' : 'x',
                       valid ? c.code : static_cast<uint8_t>(text[0]));
    text.remove_prefix(valid ? c.bytes : 1);
  }
  return out;
}

std::string display_text(std::string_view text, size_t max) {
  if (text.size() <= max) return display_text(text);
  return display_text(text.substr(0, max)) + fmt::format(" ... ({} bytes)", text.size());
}

}  // namespace flexroom
