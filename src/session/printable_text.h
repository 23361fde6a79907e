#pragma once

#include <algorithm>
#include <string_view>

#include "http/text.h"

namespace flexroom::session {

/// 0x20 .. 0x7e alone; an empty text is.
inline bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return http::printable().contains(c); });
}

}  // namespace flexroom::session
