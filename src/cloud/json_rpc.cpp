#include "cloud/json_rpc.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "cloud/json_text.h"

namespace flexroom::cloud {

std::optional<nlohmann::json> parse_object(const std::string& text) {
  std::vector<std::set<std::string>> open;
  bool twice = false;
  const auto watch = [&](int, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    if (event == nlohmann::json::parse_event_t::object_start) open.emplace_back();
    if (event == nlohmann::json::parse_event_t::object_end) open.pop_back();
    if (event == nlohmann::json::parse_event_t::key) {
      twice = twice || !open.back().insert(parsed.get<std::string>()).second;
    }
    return true;
  };
  auto parsed = nlohmann::json::parse(text, watch, false);
  if (twice || !parsed.is_object()) return std::nullopt;
  return parsed;
}

void Members::refuse(const std::string& name, const std::string& what) const {
  throw ApiError(400, "ValidationException",
                 "1 validation error detected: Value at '" + path_ + name +
                     "' failed to satisfy constraint: " + what);
}

const nlohmann::json& Members::member(const std::string& name) const {
  const auto found = object_.find(name);
  if (found == object_.end() || found->is_null()) refuse(name, "Member must not be null");
  return *found;
}

std::string Members::text(const std::string& name, size_t most) const {
  const nlohmann::json& value = member(name);
  if (!value.is_string()) refuse(name, "Member must be a string");
  std::string out = value.get<std::string>();
  if (out.empty() || out.size() > most) {
    refuse(name, "Member must have length between 1 and " + std::to_string(most));
  }
  return out;
}

std::string Members::text_or(const std::string& name, const std::string& otherwise,
                             size_t most) const {
  return has(name) ? text(name, most) : otherwise;
}

bool Members::flag(const std::string& name, bool otherwise) const {
  if (!has(name)) return otherwise;
  if (!member(name).is_boolean()) refuse(name, "Member must be a boolean");
  return member(name).get<bool>();
}

long Members::whole(const std::string& name, long least, long most) const {
  const nlohmann::json& value = member(name);
  const bool fits = value.is_number_integer() && value >= least && value <= most;
  if (!fits) {
    refuse(name, "Member must have value between " + std::to_string(least) + " and " +
                     std::to_string(most));
  }
  return value.get<long>();
}

long Members::whole_or(const std::string& name, long least, long most, long otherwise) const {
  return has(name) ? whole(name, least, most) : otherwise;
}

double Members::amount(const std::string& name) const {
  static constexpr double kMost = 1e9;
  const nlohmann::json& value = member(name);
  const double out = value.is_number() ? value.get<double>() : 0;
  if (!std::isfinite(out) || out <= 0 || out > kMost) refuse(name, "Member must be positive");
  return out;
}

Members Members::object(const std::string& name) const {
  const nlohmann::json& value = member(name);
  if (!value.is_object()) refuse(name, "Member must be a structure");
  return {value, path_ + name + "."};
}

std::vector<std::string> Members::texts(const std::string& name, size_t most) const {
  std::vector<std::string> out;
  if (!has(name)) return out;
  const nlohmann::json& list = member(name);
  if (!list.is_array() || list.size() > most) refuse(name, "Member must be a short list");
  for (const auto& value : list) {
    if (!value.is_string()) refuse(name, "Member must be a list of strings");
    out.push_back(value.get<std::string>());
  }
  return out;
}

std::vector<Members> Members::objects(const std::string& name, size_t most) const {
  std::vector<Members> out;
  if (!has(name)) return out;
  const nlohmann::json& list = member(name);
  if (!list.is_array() || list.size() > most) refuse(name, "Member must be a short list");
  for (const auto& value : list) {
    if (!value.is_object()) refuse(name, "Member must be a list of structures");
    out.emplace_back(value, path_ + name + "." + std::to_string(out.size() + 1) + ".member.");
  }
  return out;
}

Pairs Members::text_map(const std::string& name, size_t most) const {
  Pairs out;
  if (!has(name)) return out;
  const nlohmann::json& map = member(name);
  if (!map.is_object() || map.size() > most) refuse(name, "Member must be a small map");
  for (const auto& [key, value] : map.items()) {
    if (!value.is_string()) refuse(name, "Map value must be a string");
    out.emplace_back(key, value.get<std::string>());
  }
  return out;
}

void Members::only(std::initializer_list<const char*> names) const {
  for (const auto& [name, value] : object_.items()) {
    const auto same = [&, &key = name](const char* known) { return key == known; };
    if (std::none_of(names.begin(), names.end(), same)) refuse(name, "Member is not offered here");
  }
}

JsonCall::JsonCall(const Request& request, std::string_view prefix) {
  if (request.method != "POST") throw ApiError(405, "MethodNotAllowed", "POST only");
  const std::string target = request.header("x-amz-target").value_or("");
  if (!target.starts_with(prefix)) unknown_operation(target);
  action_ = target.substr(prefix.size());
  const std::string type = lower(request.header("content-type").value_or(""));
  if (trim(std::string_view(type).substr(0, type.find(';'))) != "application/x-amz-json-1.1") {
    throw ApiError(400, "SerializationException", "Content-Type is not application/x-amz-json-1.1");
  }
  auto body = parse_object(request.body);
  if (!body) {
    throw ApiError(400, "SerializationException", "The body is not an object with each name once");
  }
  body_ = std::move(*body);
}

Response json_rpc_answer(const nlohmann::json& body) {
  Response response;
  response.headers.emplace_back("Content-Type", "application/x-amz-json-1.1");
  if (!body.is_null()) response.body = json_text(body);
  return response;
}

void unknown_operation(const std::string& action) {
  throw ApiError(400, "UnknownOperationException", "There is no operation " + action);
}

ListPage list_page(size_t count, size_t most, const std::string& token, const std::string& code) {
  ListPage page;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), page.begin);
  const bool whole = error == std::errc{} && end == token.data() + token.size();
  if (!token.empty() && (!whole || page.begin == 0 || page.begin >= count)) {
    throw ApiError(400, code, "The token is none of this list");
  }
  page.end = std::min(count, page.begin + most);
  if (page.end < count) page.next = std::to_string(page.end);
  return page;
}

double json_time(std::time_t time) { return static_cast<double>(time); }

}  // namespace flexroom::cloud
