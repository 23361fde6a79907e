#include "config/group_terms.h"

#include <fmt/core.h>

#include <algorithm>

namespace flexroom {
namespace {

Groups load_groups(const TomlTable& table, const Groups& fallback) {
  Groups out;
  for (const std::string& name : table.texts_or_empty("groups")) {
    const auto group = parse_named_group(name);
    if (!group) {
      table.fail("groups",
                 fmt::format("has '{}', which is none of {}", name, to_string(all_groups())),
                 "leave it out for all of them");
    }
    if (std::find(out.begin(), out.end(), *group) != out.end()) {
      table.fail("groups", fmt::format("has '{}' twice", name));
    }
    out.push_back(*group);
  }
  if (!table.has("groups")) return fallback;
  if (out.empty()) table.fail("groups", "is empty", "leave it out for all of them");
  return out;
}

}  // namespace

Groups GroupTerms::offered() const {
  return kem_required ? Groups{NamedGroup::kX25519MlKem768} : listed;
}

GroupTerms GroupTerms::load(const TomlTable& table, const GroupTerms& fallback) {
  GroupTerms out = fallback;
  out.listed = load_groups(table, fallback.listed);
  const std::string pq = table.text_or("pq", fallback.kem_required ? "required" : "prefer");
  if (pq != "prefer" && pq != "required") {
    table.fail("pq", "is neither \"prefer\" nor \"required\"");
  }
  out.kem_required = pq == "required";
  if (!out.kem_required || has_kem(out.listed)) return out;
  if (table.has("pq")) {
    table.fail("pq", "is \"required\", and `groups` has none with ML-KEM",
               "add \"x25519mlkem768\" to it, or leave it out");
  }
  table.fail("groups", "has none with ML-KEM, and `pq` of the provider is \"required\"",
             "add \"x25519mlkem768\" to it, or write pq = \"prefer\" for this host");
}

}  // namespace flexroom
