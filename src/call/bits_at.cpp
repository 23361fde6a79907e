#include "call/bits_at.h"

#include <algorithm>

#include "base/error.h"

namespace flexroom {

std::vector<uint32_t> moved(const std::vector<uint32_t>& places, size_t bytes) {
  std::vector<uint32_t> out;
  out.reserve(places.size());
  for (const uint32_t place : places) out.push_back(place + static_cast<uint32_t>(8 * bytes));
  return out;
}

std::vector<uint32_t> merged_places(const std::vector<std::vector<uint32_t>>& sources) {
  std::vector<uint32_t> out;
  for (const std::vector<uint32_t>& source : sources) {
    out.insert(out.end(), source.begin(), source.end());
  }
  std::sort(out.begin(), out.end());
  FLEXROOM_ASSERT(std::adjacent_find(out.begin(), out.end()) == out.end());
  return out;
}

prep::AuthBits merged_bits(const std::vector<BitsAt>& sources) {
  struct Item {
    uint32_t place;
    size_t source, index;
  };
  std::vector<Item> items;
  for (size_t s = 0; s < sources.size(); ++s) {
    FLEXROOM_ASSERT(sources[s].first.size() == sources[s].second->size());
    for (size_t k = 0; k < sources[s].first.size(); ++k)
      items.push_back({sources[s].first[k], s, k});
  }
  std::sort(items.begin(), items.end(),
            [](const Item& a, const Item& b) { return a.place < b.place; });
  prep::AuthBits out;
  for (size_t at = 0; at < items.size();) {
    // Runs of neighbours of one source are taken together.
    const Item& first = items[at];
    size_t count = 1;
    while (at + count < items.size() && items[at + count].source == first.source) ++count;
    prep::AuthBits piece = sources[first.source].second->slice(first.index, count);
    if (out.empty()) {
      out = std::move(piece);
    } else {
      out.append(piece);
    }
    at += count;
  }
  return out;
}

}  // namespace flexroom
