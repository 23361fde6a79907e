#pragma once

#include <string_view>
#include <vector>

#include "base/error.h"

namespace flexroom::mpc {

/// The index of the group of that name, which there is (asserted).
template <typename Group>
size_t index_of_group(const std::vector<Group>& groups, std::string_view name) {
  size_t g = 0;
  while (g < groups.size() && groups[g].name != name) ++g;
  FLEXROOM_ASSERT(g < groups.size() && "no such group");
  return g;
}

/// How many wires the groups before it have together.
template <typename Group>
size_t offset_of_group(const std::vector<Group>& groups, size_t group) {
  FLEXROOM_ASSERT(group < groups.size());
  size_t offset = 0;
  for (size_t g = 0; g < group; ++g) offset += groups[g].size;
  return offset;
}

}  // namespace flexroom::mpc
