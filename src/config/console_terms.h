#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "config/toml.h"

namespace flexroom {

/// [console] of member.toml: the page of the member's node for browsers of this machine
/// (docs/console.md).
struct ConsoleTerms {
  /// It is http://localhost:PORT; none: there is no page.
  std::optional<uint16_t> port;

  /// Of the root table. Throws InputError with the place: an address beyond this machine, too.
  static ConsoleTerms load(const TomlTable& root);
  static ConsoleTerms load(const std::filesystem::path& member_file);
};

}  // namespace flexroom
