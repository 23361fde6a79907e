#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace flexroom {

/// What stands between the separators, in order: one entry more than there are separators, empty
/// ones too.
std::vector<std::string> split(std::string_view text, char separator);

}  // namespace flexroom
