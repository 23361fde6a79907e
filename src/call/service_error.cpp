#include "call/service_error.h"
#include "base/display.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace flexroom {
namespace {

constexpr size_t kMaxCode = 80, kMaxMessage = 300;

std::string element(std::string_view body, std::string_view name, size_t max_bytes) {
  const std::string open = fmt::format("<{}>", name), close = fmt::format("</{}>", name);
  const size_t begin = body.find(open);
  if (begin == std::string_view::npos) return "";
  const std::string_view rest = body.substr(begin + open.size(), max_bytes + close.size());
  const size_t end = rest.find(close);
  if (end == std::string_view::npos || end > max_bytes) return "";
  return std::string(rest.substr(0, end));
}

std::string text_at(const nlohmann::json& object, const char* name) {
  const auto at = object.find(name);
  return at != object.end() && at->is_string() ? at->get<std::string>() : "";
}

ServiceError read_json(std::string_view body) {
  const auto json = nlohmann::json::parse(body, nullptr, false);
  if (!json.is_object()) return {};
  const auto inner = json.find("error");
  const nlohmann::json& object = inner != json.end() && inner->is_object() ? *inner : json;
  ServiceError out;
  for (const char* name : {"__type", "code", "Code", "type"}) {
    if (out.code.empty()) out.code = text_at(object, name);
  }
  out.code = out.code.substr(out.code.rfind('#') + 1);  // "com.amazon.coral#ValidationException"
  for (const char* name : {"message", "Message"}) {
    if (out.message.empty()) out.message = text_at(object, name);
  }
  return out;
}

bool is_code(std::string_view text) {
  return text.size() <= kMaxCode && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == ':' || c == '_' || c == '-';
         });
}

}  // namespace

ServiceError read_service_error(std::string_view body) {
  ServiceError out{element(body, "Code", kMaxCode), element(body, "Message", kMaxMessage)};
  if (out.code.empty()) out = read_json(body);
  if (!is_code(out.code)) out.code.clear();
  out.message = display_short(out.message, kMaxMessage);
  return out;
}

std::string answer_words(int status, std::string_view body) {
  const std::string code = status >= 300 ? read_service_error(body).code : "";
  return code.empty() ? std::to_string(status) : fmt::format("{} {}", status, code);
}

}  // namespace flexroom
