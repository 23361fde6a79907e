#include "config/checked_text.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>

#include "base/hex_digest.h"
#include "config/config.h"

namespace flexroom::config {

bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::filesystem::path relative_to(const std::filesystem::path& file, const std::string& path) {
  const std::filesystem::path p(path);
  return p.is_absolute() ? p : file.parent_path() / p;
}

std::string checked_name(const TomlTable& table, std::string_view key) {
  std::string name = table.text(key);
  if (!is_name(name)) {
    table.fail(key, "is not a name", kNameRemedy);
  }
  return name;
}

std::string checked_hex(const TomlTable& table, std::string_view key, size_t digits,
                        std::string_view remedy) {
  std::string text = table.text(key);
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  text.erase(std::remove(text.begin(), text.end(), ':'), text.end());
  if (!is_hex(text, digits)) table.fail(key, fmt::format("is not {} hex digits", digits), remedy);
  return text;
}

std::string character_at(std::string_view url, size_t at) {
  const auto byte = static_cast<unsigned char>(url[at]);
  const std::string shown = byte == '\n'                ? "a line break"
                            : byte == '\r'              ? "a carriage return"
                            : byte == '\t'              ? "a tab"
                            : byte == ' '               ? "a blank"
                            : byte > ' ' && byte < 0x7f ? fmt::format("'{}'", char(byte))
                                                        : fmt::format("the byte {:#04x}", byte);
  const bool last = at + 1 == url.size();
  return last ? fmt::format("{} at its end", shown)
              : fmt::format("{} as character {} of {}", shown, at + 1, url.size());
}

}  // namespace flexroom::config
