#pragma once

#include <string>

namespace flexroom::cloud {

/// JSON as text. What stands in it may echo a request, which need not be UTF-8: such bytes become
/// U+FFFD, where dump() alone would throw.
template <typename Json>
std::string json_text(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace flexroom::cloud
