#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace flexroom {

/// The one look at the form of a text that somebody wrote, before any parser sees it: TOML, JSON,
/// recipes, links. Throws InputError naming `name` for text in UTF-16 or UTF-32 (with or without a
/// byte order mark) and for a NUL. A byte order mark of UTF-8 is let through: parsers skip it.
void require_utf8_text(std::string_view text, std::string_view name);

/// "file:line:column" of a byte.
std::string place_in_text(std::string_view name, std::string_view text, size_t offset);

/// Of a script: its lines end in CR LF, which no shell reads. Its first line is looked at.
bool ends_in_crlf(std::string_view script);

}  // namespace flexroom
