#include "cloud/token_api.h"

#include <fmt/format.h>

#include <ctime>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cloud/json_text.h"

namespace flexroom::cloud {
namespace {

[[noreturn]] void bad_request(const std::string& message) {
  throw ApiError(400, "invalid_request_error", message);
}

size_t count_words(const std::string& text) {
  std::istringstream in(text);
  std::string word;
  size_t count = 0;
  while (in >> word) ++count;
  return count;
}

}  // namespace

Response TokenApi::handle(const Request& request) const {
  if (!token_.borne_by(request)) {
    throw ApiError(401, "invalid_api_key", "Incorrect API key provided.");
  }
  if (request.path != "/v1/chat/completions") throw ApiError(404, "not_found", "No such path.");
  if (request.method != "POST") throw ApiError(405, "method_not_allowed", "Use POST.");
  const auto body = nlohmann::json::parse(request.body, nullptr, false);
  if (!body.is_object() || !body.contains("model") || !body["model"].is_string()) {
    bad_request("The body is not a JSON object with a model.");
  }
  if (!body.contains("messages") || !body["messages"].is_array()) {
    bad_request("`messages` is not a list.");
  }
  size_t words = 0;
  for (const auto& message : body["messages"]) {
    if (!message.is_object() || !message.contains("role") || !message.contains("content") ||
        !message["content"].is_string()) {
      bad_request("A message has no role or no content.");
    }
    words += count_words(message["content"]);
  }
  const nlohmann::ordered_json answer = {
      {"id", "chatcmpl-" + random_hex(24)},
      {"object", "chat.completion"},
      {"created", std::time(nullptr)},
      {"model", body["model"]},
      {"choices",
       {{{"index", 0},
         {"message",
          {{"role", "assistant"}, {"content", fmt::format("You sent {} words.", words)}}},
         {"finish_reason", "stop"}}}}};
  return Response{200,  {{"Content-Type", "application/json"}}, json_text(answer), false, false,
                  false};
}

}  // namespace flexroom::cloud
