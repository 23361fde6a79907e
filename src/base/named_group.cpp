#include "base/named_group.h"

#include <algorithm>

namespace flexroom {

NamedGroup curve_of(NamedGroup group) {
  return group == NamedGroup::kP256 ? NamedGroup::kP256 : NamedGroup::kX25519;
}

std::string_view to_string(NamedGroup group) {
  switch (group) {
    case NamedGroup::kX25519:
      return "x25519";
    case NamedGroup::kP256:
      return "p256";
    case NamedGroup::kX25519MlKem768:
      break;
  }
  return "x25519mlkem768";
}

std::optional<NamedGroup> parse_named_group(std::string_view text) {
  for (const NamedGroup group : all_groups()) {
    if (text == to_string(group)) return group;
  }
  return std::nullopt;
}

const Groups& all_groups() {
  static const Groups kAll = {NamedGroup::kX25519MlKem768, NamedGroup::kX25519, NamedGroup::kP256};
  return kAll;
}

const Groups& all_curves() {
  static const Groups kAll = {NamedGroup::kX25519, NamedGroup::kP256};
  return kAll;
}

Groups curves_of(const Groups& groups) {
  Groups out;
  for (const NamedGroup curve : all_curves()) {
    const bool used = std::any_of(groups.begin(), groups.end(),
                                  [&](NamedGroup group) { return curve_of(group) == curve; });
    if (used) out.push_back(curve);
  }
  return out;
}

bool has_kem(const Groups& groups) {
  return std::find(groups.begin(), groups.end(), NamedGroup::kX25519MlKem768) != groups.end();
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
