#include "call/purpose.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/host_name.h"
#include "http/layout.h"

namespace flexroom {
namespace {

using http::Layout;
using http::Slot;

constexpr size_t kMaxPurpose = 1024;
/// Begins what stands for a slot while JSON is read: DEL, index, ';'. Public text holds no DEL.
constexpr char kMark = '\x7f';

std::string mark_of(size_t slot) { return fmt::format("{}{};", kMark, slot); }

/// Public text as it is, "{{}}" for `self`, "{{NAME}}" for other slots.
std::string shown(const Layout& layout, size_t start, size_t end, const Layout::Placed& self) {
  std::string out;
  for (size_t at = start; at < end;) {
    if (layout.text()[at] != Layout::kHole) {
      out.push_back(layout.text()[at++]);
      continue;
    }
    const auto placed = std::find_if(layout.slots().begin(), layout.slots().end(),
                                     [&](const Layout::Placed& p) { return p.start == at; });
    FLEXROOM_ASSERT(placed != layout.slots().end());
    out += placed->start == self.start ? "{{}}" : "{{" + placed->slot->name + "}}";
    at = placed->end();
  }
  return out;
}

/// NAME=VALUE of the field of `a=b&c=d` text that the slot stands in. The name must be written
/// plainly and occur once: what a server makes of others cannot be told.
std::string parameter(const Layout& layout, size_t start, size_t end,
                      const Layout::Placed& placed) {
  const std::string_view text = layout.text();
  const size_t before = text.substr(start, placed.start - start).rfind('&');
  const size_t field = before == std::string_view::npos ? start : start + before + 1;
  const size_t stop = std::min(text.find('&', placed.end()), end);
  const size_t equals = text.find('=', field);
  FLEXROOM_ASSERT(equals != std::string_view::npos && equals < placed.start);
  const std::string name(text.substr(field, equals - field));
  size_t same = 0;
  for (size_t at = start; at < end;) {
    const size_t next = std::min(text.find('&', at), end);
    const std::string_view one = text.substr(at, next - at);
    const std::string_view other = one.substr(0, one.find('='));
    if (other.find_first_of("%+") != std::string_view::npos) {
      layout.fail(at, "a name beside a slot is escaped", "write names as they are");
    }
    if (other == name) ++same;
    at = next + 1;
  }
  if (same != 1) layout.fail(field, "the name '" + name + "' occurs more than once");
  return name + "=" + shown(layout, equals + 1, stop, placed);
}

/// The strings of a JSON value with their pointers.
void collect(const nlohmann::json& value, const std::string& pointer,
             std::vector<std::pair<std::string, std::string>>& out) {
  if (value.is_string()) out.emplace_back(pointer, value.get<std::string>());
  if (value.is_array()) {
    for (size_t k = 0; k < value.size(); ++k) {
      collect(value[k], fmt::format("{}/{}", pointer, k), out);
    }
  }
  if (!value.is_object()) return;
  for (const auto& [name, child] : value.items()) {
    std::string escaped;         // RFC 6901 §3
    for (const char c : name) {  // and '=', which ends the pointer in a purpose
      escaped += c == '~' ? "~0" : c == '/' ? "~1" : c == '=' ? "~2" : std::string(1, c);
    }
    collect(child, pointer + "/" + escaped, out);
  }
}

/// The body with a mark for each slot.
std::string marked_body(const Layout& layout) {
  std::string body;
  for (size_t at = layout.body_start(); at < layout.text().size();) {
    if (layout.text()[at] == kMark) layout.fail(at, "a JSON body with slots may not hold DEL");
    if (layout.text()[at] != Layout::kHole) {
      body.push_back(layout.text()[at++]);
      continue;
    }
    size_t index = 0;
    while (layout.slots()[index].start != at) ++index;
    body += mark_of(index);
    at = layout.slots()[index].end();
  }
  return body;
}

/// Strict JSON without repeated names: every reader finds the same strings in it.
nlohmann::json parse_strictly(const Layout& layout, const std::string& body) {
  bool repeated = false;
  std::vector<std::set<std::string>> names;
  const auto watch = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    if (event == nlohmann::json::parse_event_t::object_start) names.emplace_back();
    if (event == nlohmann::json::parse_event_t::object_end) names.pop_back();
    if (event == nlohmann::json::parse_event_t::key) {
      repeated |= !names.back().insert(value.get<std::string>()).second;
    }
    return true;
  };
  auto json = nlohmann::json::parse(body, watch, false);
  if (json.is_discarded()) layout.fail(layout.body_start(), "the body is not JSON");
  if (repeated) layout.fail(layout.body_start(), "a name occurs twice in a JSON object");
  return json;
}

/// Position of each slot of a JSON body, by its index among all slots.
std::map<size_t, std::string> json_positions(const Layout& layout) {
  std::vector<std::pair<std::string, std::string>> strings;
  collect(parse_strictly(layout, marked_body(layout)), "", strings);
  std::map<size_t, std::string> out;
  std::ptrdiff_t num_marks = 0;
  for (const auto& [pointer, text] : strings) {
    num_marks += std::count(text.begin(), text.end(), kMark);
    for (size_t k = 0; k < layout.slots().size(); ++k) {
      if (text.find(mark_of(k)) == std::string::npos) continue;
      std::string value = text;
      for (size_t other = 0; other < layout.slots().size(); ++other) {
        const size_t at = value.find(mark_of(other));
        if (at == std::string::npos) continue;
        value.replace(at, mark_of(other).size(),
                      other == k ? "{{}}" : "{{" + layout.slots()[other].slot->name + "}}");
      }
      out[k] = fmt::format("json {}={}", pointer, value);
    }
  }
  // An escaped DEL (\u007f) would be a mark where no slot is.
  const auto in_body = static_cast<std::ptrdiff_t>(
      std::count_if(layout.slots().begin(), layout.slots().end(),
                    [&](const Layout::Placed& p) { return p.start >= layout.body_start(); }));
  if (num_marks != in_body || out.size() != static_cast<size_t>(in_body)) {
    layout.fail(layout.body_start(), "the JSON body holds an escaped DEL or hides a slot");
  }
  return out;
}

std::string body_position(const Layout& layout, size_t index,
                          const std::map<size_t, std::string>& json) {
  const Layout::Placed& placed = layout.slots()[index];
  const Layout::Header* const type = layout.header("content-type");
  const std::string media =
      type == nullptr
          ? ""
          : http::to_lower(http::trim_blanks(type->value.substr(0, type->value.find(';'))));
  if (media == "application/x-www-form-urlencoded") {
    return "form " + parameter(layout, layout.body_start(), layout.text().size(), placed);
  }
  if (json.contains(index)) return json.at(index);
  if (placed.start == layout.body_start() && placed.end() == layout.text().size()) return "body";
  layout.fail(placed.start, "the position of this slot cannot be named",
              "slots stand in headers, query parameters, form fields and JSON strings");
}

bool is_json(const Layout& layout) {
  const Layout::Header* const type = layout.header("content-type");
  return type != nullptr && http::to_lower(type->value).find("json") != std::string::npos;
}

std::string head_position(const Layout& layout, const Layout::Placed& placed) {
  if (placed.start < layout.request_line().size()) {
    const size_t start = layout.target_start() + layout.target().find('?') + 1;
    return "query " +
           parameter(layout, start, layout.target_start() + layout.target().size(), placed);
  }
  for (const Layout::Header& header : layout.headers()) {
    const size_t end = header.value_start + header.value.size();
    if (placed.start < header.value_start || placed.end() > end) continue;
    return fmt::format("header {}: {}", http::to_lower(header.name),
                       shown(layout, header.value_start, end, placed));
  }
  layout.fail(placed.start, "a slot may not stand in a header name");
}

}  // namespace

std::string call_address(const http::Template& request) {
  const std::string port = request.port == 443 ? "" : fmt::format(":{}", request.port);
  return fmt::format("{} https://{}{}{}", request.method, http::to_lower(request.host), port,
                     request.target.substr(0, request.target.find('?')));
}

std::vector<std::string> slot_positions(const http::Template& request) {
  const Layout layout(request);
  std::map<size_t, std::string> json;
  const bool in_body =
      !layout.slots().empty() && layout.slots().back().start >= layout.body_start();
  if (in_body && is_json(layout)) json = json_positions(layout);
  std::vector<std::string> out;
  for (size_t k = 0; k < layout.slots().size(); ++k) {
    const Layout::Placed& placed = layout.slots()[k];
    if (placed.slot->source == http::SlotSource::kComputed) {
      out.emplace_back("signature");
    } else if (placed.start < layout.body_start()) {
      out.push_back(head_position(layout, placed));
    } else {
      out.push_back(body_position(layout, k, json));
    }
  }
  return out;
}

void check_purpose(std::string_view purpose, std::string_view place) {
  const auto refuse = [&](std::string_view problem) {
    throw InputError(place, fmt::format("purpose '{}' {}", purpose, problem),
                     "write METHOD https://host/path POSITION, for example POST "
                     "https://api.example.com/v1/chat header authorization: Bearer {{}}");
  };
  constexpr std::array<std::string_view, 6> kMethods = {"GET", "HEAD",   "POST",
                                                        "PUT", "DELETE", "PATCH"};
  constexpr std::string_view kScheme = "https://";
  if (purpose.size() > kMaxPurpose || !std::all_of(purpose.begin(), purpose.end(), [](char c) {
        return http::printable().contains(c);
      })) {
    throw InputError(place, "a purpose is longer than 1,024 bytes or is not printable ASCII");
  }
  const size_t first = purpose.find(' ');
  const size_t second = purpose.find(' ', first == std::string_view::npos ? first : first + 1);
  if (second == std::string_view::npos) refuse("has no position");
  const std::string_view method = purpose.substr(0, first);
  const std::string_view url = purpose.substr(first + 1, second - first - 1);
  const std::string_view position = purpose.substr(second + 1);
  if (std::find(kMethods.begin(), kMethods.end(), method) == kMethods.end()) {
    refuse("does not begin with a method");
  }
  const size_t slash = url.find('/', kScheme.size());
  if (!url.starts_with(kScheme) || slash == std::string_view::npos ||
      url.find_first_of("?#") != std::string_view::npos) {
    refuse("does not name https://host/path without a query");
  }
  const std::string host(url.substr(kScheme.size(), slash - kScheme.size()));
  if (!is_host_name(host) || host != http::to_lower(host)) {
    refuse("has a host that is not a lower-case DNS name");
  }
  const bool known = position == "body" || position.starts_with("header ") ||
                     position.starts_with("query ") || position.starts_with("form ") ||
                     position.starts_with("json ");
  const size_t hole = position.find("{{}}");
  const bool one_hole =
      hole != std::string_view::npos && position.find("{{}}", hole + 4) == std::string_view::npos;
  if (!known || (position != "body" && !one_hole)) {
    refuse("has a position that is none of header, query, form, json (each with one {{}}), body");
  }
}

}  // namespace flexroom
