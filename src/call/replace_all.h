#pragma once

#include <string>
#include <string_view>

namespace flexroom {

/// Every `from` of the text becomes `to`, from left to right; what stands in `to` is not looked at.
inline void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

}  // namespace flexroom
