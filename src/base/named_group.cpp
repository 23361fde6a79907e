#include "base/named_group.h"

namespace flexroom {

std::string_view to_string(NamedGroup group) {
  return group == NamedGroup::kX25519 ? "x25519" : "p256";
}

std::optional<NamedGroup> parse_named_group(std::string_view text) {
  for (const NamedGroup group : all_groups()) {
    if (text == to_string(group)) return group;
  }
  return std::nullopt;
}

const Groups& all_groups() {
  static const Groups kAll = {NamedGroup::kX25519, NamedGroup::kP256};
  return kAll;
}

std::string to_string(const Groups& groups) {
  std::string out;
  for (const NamedGroup group : groups) {
    if (!out.empty()) out += ", ";
    out += to_string(group);
  }
  return out;
}

}  // namespace flexroom
