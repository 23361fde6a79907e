#include "call/birth_list.h"

#include <algorithm>
#include <bit>

#include "http/text.h"

namespace flexroom {

bool is_birth_list_name(std::string_view text) {
  if (!text.ends_with(".txt") || text.size() > 256) return false;
  text.remove_suffix(4);
  return !text.empty() && !text.starts_with('/') && !text.ends_with('/') &&
         text.find("//") == std::string_view::npos &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '/';
         });
}

std::optional<std::vector<std::string>> parse_birth_list(std::string_view text) {
  std::vector<std::string> out;
  if (text.size() > kMaxListBytes) return std::nullopt;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  const bool sorted = std::is_sorted(out.begin(), out.end()) &&
                      std::adjacent_find(out.begin(), out.end()) == out.end();
  const bool fits = out.size() > 1 && out.size() <= kMaxListEntries &&
                    std::has_single_bit(out.size()) && sorted &&
                    std::all_of(out.begin(), out.end(), [&](const std::string& entry) {
                      return !entry.empty() && entry.size() <= kMaxListEntryBytes &&
                             entry.size() == out[0].size() &&
                             std::all_of(entry.begin(), entry.end(),
                                         [](char c) { return http::printable().contains(c); });
                    });
  return fits ? std::optional(std::move(out)) : std::nullopt;
}

}  // namespace flexroom
