#include "config/text_file.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"

namespace flexroom {
namespace {

/// What an editor's "Unicode" is. Without a mark, the first two characters of any of our files are
/// ASCII, so one byte in two of them is zero.
const char* wide_form(std::string_view text) {
  using std::string_view_literals::operator""sv;
  const bool wide = text.starts_with("\xff\xfe\0\0"sv) || text.starts_with("\0\0\xfe\xff"sv) ||
                    text.starts_with("\0\0\0"sv) ||
                    (text.size() > 3 && text[1] == 0 && text[2] == 0);
  if (wide) return "UTF-32";
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) return "UTF-16";
  if (text.size() < 2 || (text[0] == 0) == (text[1] == 0)) return nullptr;
  return "UTF-16";
}

}  // namespace

void require_utf8_text(std::string_view text, std::string_view name) {
  if (const char* form = wide_form(text)) {
    throw InputError(name, fmt::format("is text in {}", form), "save it as UTF-8");
  }
  const size_t nul = text.find('\0');
  if (nul == std::string_view::npos) return;
  throw InputError(
      place_in_text(name, text, nul), "has a NUL byte, which no text has",
      "save it as plain text in UTF-8; if it was written in part only, write it again");
}

std::string place_in_text(std::string_view name, std::string_view text, size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const size_t line = static_cast<size_t>(std::count(before.begin(), before.end(), '\n')) + 1;
  const size_t start = before.rfind('\n');
  const size_t column = before.size() - (start == std::string_view::npos ? 0 : start + 1) + 1;
  return fmt::format("{}:{}:{}", name, line, column);
}

bool ends_in_crlf(std::string_view script) {
  const size_t end = script.find('\n');
  return end != std::string_view::npos && end > 0 && script[end - 1] == '\r';
}

}  // namespace flexroom
