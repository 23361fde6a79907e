#include "people/strict_json.h"

#include <set>
#include <string>
#include <vector>

namespace flexroom::people {

using nlohmann::json;

// The library would skip a byte order mark, and takes a NUL for the end of the text.
std::optional<json> strict_json(std::string_view text) {
  if (text.empty() || text.front() != '{' || text.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  std::vector<std::set<std::string>> open;  // keys of the objects around
  bool twice = false;
  const auto watch = [&](int, json::parse_event_t event, const json& value) {
    if (event == json::parse_event_t::object_start) open.emplace_back();
    if (event == json::parse_event_t::object_end) open.pop_back();
    if (event == json::parse_event_t::key) {
      twice |= !open.back().insert(value.get<std::string>()).second;
    }
    return true;
  };
  try {
    json out = json::parse(text.begin(), text.end(), watch);
    if (twice || !out.is_object()) return std::nullopt;
    return out;
  } catch (const json::exception&) {
    return std::nullopt;
  }
}

}  // namespace flexroom::people
