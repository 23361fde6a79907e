#pragma once

#include <optional>
#include <string_view>

#include "base/hash.h"

namespace flexroom {

/// The digest that 64 hex digits of either case stand for; nothing for another text.
std::optional<Digest> digest_of_hex(std::string_view hex);

}  // namespace flexroom
