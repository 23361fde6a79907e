#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace flexroom {

/// The group of a connection's key exchange (RFC 8446 §4.2.7); a provider's terms name exactly one.
/// The values are part of what the members compare: a new group gets a new one.
enum class NamedGroup : uint8_t { kX25519 = 0, kP256 = 1 };

/// As `group` in room.toml and in include/flexroom says it: "x25519", "p256".
std::string_view to_string(NamedGroup group);
/// The inverse of to_string(); nothing for another text.
std::optional<NamedGroup> parse_named_group(std::string_view text);

}  // namespace flexroom
