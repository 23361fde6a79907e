#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>

#include "base/bytes.h"
#include "node/http_request.h"

namespace flexroom::node {

// What a request's body says; HttpError(400) names what is wrong.

/// An object with these keys and no others.
nlohmann::json body_of(const HttpRequest& request, std::initializer_list<const char*> keys);
/// A part of a body that is an object itself, with all of these keys and no others.
nlohmann::json object_of(const nlohmann::json& object, const char* key,
                         std::initializer_list<const char*> keys);
std::string text_of(const nlohmann::json& object, const char* key, const char* fallback = nullptr);
bool flag_of(const nlohmann::json& object, const char* key);
/// Lower-case hexadecimal; base64url without padding. At most `most` bytes.
Bytes hex_of(const nlohmann::json& object, const char* key, size_t most);
Bytes base64url_of(const nlohmann::json& object, const char* key, size_t most);

}  // namespace flexroom::node
