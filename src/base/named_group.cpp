#include "base/named_group.h"

namespace flexroom {

std::string_view to_string(NamedGroup group) {
  return group == NamedGroup::kX25519 ? "x25519" : "p256";
}

std::optional<NamedGroup> parse_named_group(std::string_view text) {
  for (const NamedGroup group : {NamedGroup::kX25519, NamedGroup::kP256}) {
    if (text == to_string(group)) return group;
  }
  return std::nullopt;
}

}  // namespace flexroom
