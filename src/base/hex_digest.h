#pragma once

#include <optional>
#include <string_view>

#include "base/hash.h"

namespace flexroom {

/// The digest that 64 hex digits of either case stand for; nothing for another text.
std::optional<Digest> digest_of_hex(std::string_view hex);

/// Whether a text is hex digits of lower case, and nothing else; an empty one is.
bool is_hex(std::string_view text);
/// And so many of them.
bool is_hex(std::string_view text, size_t digits);

}  // namespace flexroom
