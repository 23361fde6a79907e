#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "config/toml.h"

namespace flexroom {

/// What member.toml says of the member's resident node: [node] and [[person]] (docs/node.md).
struct NodeTerms {
  /// Control socket; unless systemd gives one.
  std::filesystem::path socket;
  /// The node keeps so much of preprocessed stock on disk, in MiB; 0: it makes none.
  uint32_t stock_max_mib = 256;
  /// When it may: "Mon-Fri 20:00-24:00 +01:00" ..; empty: at any time.
  std::vector<std::string> stock_hours;
  /// Who somebody on this machine is (members.md §9.1): a name of its user database, and what that
  /// person may do over the socket. Nobody gets a voice by it.
  struct Person {
    std::string name, unix;
    std::vector<std::string> roles;  // "see", "propose"
  };
  std::vector<Person> persons;

  /// Of the root table; relative paths are of `file`'s folder. Throws InputError with the place.
  static NodeTerms load(const TomlTable& root, const std::filesystem::path& file,
                        const std::filesystem::path& state_dir);
};

}  // namespace flexroom
