#include "base/host_name.h"

#include <algorithm>
#include <cstddef>

namespace flexroom {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_label(std::string_view label) {
  if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-')
    return false;
  return std::all_of(label.begin(), label.end(),
                     [](char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-'; });
}

}  // namespace

bool is_host_name(std::string_view name) {
  if (name.empty() || name.size() > 253) return false;
  std::string_view last;
  for (size_t start = 0; start <= name.size();) {
    const size_t dot = std::min(name.find('.', start), name.size());
    last = name.substr(start, dot - start);
    if (!is_label(last)) return false;
    start = dot + 1;
  }
  // A numeric last label makes resolvers read the whole as an IPv4 address.
  return !std::all_of(last.begin(), last.end(), is_digit);
}

}  // namespace flexroom
