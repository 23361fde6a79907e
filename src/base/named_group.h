#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace flexroom {

/// A group of the key exchange (RFC 8446 §4.2.7). The values are part of what the members compare:
/// a new group gets a new one.
enum class NamedGroup : uint8_t { kX25519 = 0, kP256 = 1, kX25519MlKem768 = 2 };

/// The curve of its Diffie-Hellman part, a group of its own (RFC 10024: X25519MLKEM768 is
/// ML-KEM-768 beside X25519).
NamedGroup curve_of(NamedGroup group);

/// As `groups` in room.toml and `group` in include/flexroom say it: "x25519", "p256",
/// "x25519mlkem768".
std::string_view to_string(NamedGroup group);
/// The inverse of to_string(); nothing for another text.
std::optional<NamedGroup> parse_named_group(std::string_view text);

/// The groups that one connection offers, in their order (tls-complete.md §1.1). The server takes
/// one of them.
using Groups = std::vector<NamedGroup>;
/// Every group there is: what is offered unless the provider's entry says less.
const Groups& all_groups();
/// Those that are a curve alone, and the curves of some groups, each once, in that order.
const Groups& all_curves();
Groups curves_of(const Groups& groups);
/// Whether one of them has ML-KEM.
bool has_kem(const Groups& groups);
/// "x25519mlkem768, x25519, p256".
std::string to_string(const Groups& groups);

}  // namespace flexroom
