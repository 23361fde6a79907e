#pragma once

#include <filesystem>
#include <string>

#include "cloud/bearer.h"

namespace flexroom::cloud {

/// An API behind one bearer token, in the shape of the language-model services: POST
/// /v1/chat/completions with a JSON body. It counts words instead of answering. No answer and no
/// error repeats the token or the messages.
class TokenApi {
 public:
  static constexpr const char* kHost = "llm.flexroom.example";
  /// The token stands in `token_file` (0600); made if missing.
  explicit TokenApi(const std::filesystem::path& token_file) : token_(token_file) {}
  /// Throws ApiError.
  Response handle(const Request& request) const;

 private:
  BearerToken token_;
};

}  // namespace flexroom::cloud
