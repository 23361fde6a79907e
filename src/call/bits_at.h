#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "prep/prep.h"

namespace flexroom {

/// Places of bits in a request (8 * byte + bit, ascending), `bytes` further on.
std::vector<uint32_t> moved(const std::vector<uint32_t>& places, size_t bytes);

/// Places of several sources in one list, ascending. No bit has two of them.
std::vector<uint32_t> merged_places(const std::vector<std::vector<uint32_t>>& sources);

/// Bits of several sources, each with their places, in the order of their places.
using BitsAt = std::pair<std::vector<uint32_t>, const prep::AuthBits*>;
prep::AuthBits merged_bits(const std::vector<BitsAt>& sources);

}  // namespace flexroom
