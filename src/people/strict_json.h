#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

namespace flexroom::people {

/// A JSON object, strictly: UTF-8 without a byte order mark or NUL, no key twice at any depth.
/// Nothing: it is none. Errors show no text of it.
std::optional<nlohmann::json> strict_json(std::string_view text);

}  // namespace flexroom::people
