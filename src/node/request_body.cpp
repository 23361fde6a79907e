#include "node/request_body.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/base64.h"
#include "base/codec.h"
#include "base/display.h"

namespace flexroom::node {

using nlohmann::json;

namespace {

void require_keys(const json& object, std::initializer_list<const char*> keys) {
  for (const auto& [key, value] : object.items()) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      throw HttpError(400, "nobody asks for '" + display_text(key) + "'");
    }
  }
}

}  // namespace

json body_of(const HttpRequest& request, std::initializer_list<const char*> keys) {
  json out;
  try {
    out = json::parse(request.body);
  } catch (const json::exception&) {
    throw HttpError(400, "the body is no JSON");
  }
  if (!out.is_object()) throw HttpError(400, "the body is no JSON object");
  require_keys(out, keys);
  return out;
}

json object_of(const json& object, const char* key, std::initializer_list<const char*> keys) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_object()) {
    throw HttpError(400, fmt::format("'{}' is no object", key));
  }
  require_keys(*found, keys);
  return *found;
}

std::string text_of(const json& object, const char* key, const char* fallback) {
  const auto found = object.find(key);
  if (found == object.end()) {
    if (fallback != nullptr) return fallback;
    throw HttpError(400, fmt::format("'{}' is missing", key));
  }
  if (!found->is_string()) throw HttpError(400, fmt::format("'{}' is no text", key));
  return found->get<std::string>();
}

bool flag_of(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end()) return false;
  if (!found->is_boolean()) throw HttpError(400, fmt::format("'{}' is neither yes nor no", key));
  return found->get<bool>();
}

Bytes hex_of(const json& object, const char* key, size_t most) {
  const std::string hex = text_of(object, key);
  if (hex.size() > 2 * most || hex.size() % 2 != 0 ||
      hex.find_first_not_of("0123456789abcdef") != std::string::npos) {
    throw HttpError(400, fmt::format("'{}' is not hexadecimal", key));
  }
  return from_hex(hex);
}

Bytes base64url_of(const json& object, const char* key, size_t most) {
  const std::string text = text_of(object, key);
  auto out = text.size() <= 2 * most ? base64url_decode(text) : std::nullopt;
  if (!out || out->size() > most) {
    throw HttpError(400, fmt::format("'{}' is no base64url, or too long", key));
  }
  return std::move(*out);
}

}  // namespace flexroom::node
