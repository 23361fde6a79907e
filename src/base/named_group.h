#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace flexroom {

/// A group of the key exchange (RFC 8446 §4.2.7). The values are part of what the members compare:
/// a new group gets a new one.
enum class NamedGroup : uint8_t { kX25519 = 0, kP256 = 1 };

/// As `group` in room.toml and in include/flexroom says it: "x25519", "p256".
std::string_view to_string(NamedGroup group);
/// The inverse of to_string(); nothing for another text.
std::optional<NamedGroup> parse_named_group(std::string_view text);

/// The groups that one connection offers, in their order (tls-complete.md §1.1). The server takes
/// one of them.
using Groups = std::vector<NamedGroup>;
/// Every group there is: what is offered unless the provider's entry names one.
const Groups& all_groups();
/// "x25519, p256".
std::string to_string(const Groups& groups);

}  // namespace flexroom
