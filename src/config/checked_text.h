#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "config/toml.h"

// What the files of config.h share: rules of a text, and where it is wrong.

namespace flexroom::config {

/// Of these files' rules only: std::isalnum follows the locale.
bool is_alnum(char c);
/// Of a path in a file: relative to that file's folder.
std::filesystem::path relative_to(const std::filesystem::path& file, const std::string& path);
/// The text of a key that is a name. Throws InputError at its place.
std::string checked_name(const TomlTable& table, std::string_view key);
/// That many hex digits, made lower-case, colons left out. Throws InputError at its place.
std::string checked_hex(const TomlTable& table, std::string_view key, size_t digits,
                        std::string_view remedy);
/// As a person finds it in the file; never what stands around it.
std::string character_at(std::string_view text, size_t at);

}  // namespace flexroom::config
