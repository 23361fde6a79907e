#pragma once

#include <span>
#include <string>
#include <string_view>

namespace flexroom {

/// The one of `known` that somebody who wrote `word` most likely meant: it begins with it, or
/// differs by few letters left out, put in, exchanged or swapped. Empty if nothing is near.
std::string near_name(std::string_view word, std::span<const std::string> known);

/// "; did you mean `image_id`?", or nothing.
std::string did_you_mean(std::string_view word, std::span<const std::string> known);

}  // namespace flexroom
