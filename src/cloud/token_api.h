#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "cloud/bearer.h"

namespace flexroom::cloud {

/// An API behind bearer tokens, in the shape of the language-model services: POST
/// /v1/chat/completions with a JSON body, which counts words instead of answering, and the service
/// accounts of a project, each with a key of its own that is shown once. No answer and no error
/// repeats a token or the messages. Thread-safe.
class TokenApi {
 public:
  static constexpr const char* kHost = "llm.flexroom.example";
  /// The administrator's token stands in `api-token` of that folder (0600), made if missing; it may
  /// also ask for completions. What was made with it stands in `service-accounts.json` (0600), in
  /// clear, and is found again by the next start.
  explicit TokenApi(const std::filesystem::path& state_dir);
  /// Throws ApiError.
  Response handle(const Request& request);

 private:
  struct ServiceAccount {
    std::string project, name, key_id, key;
    std::time_t created = 0;
  };
  Response complete(const Request& request) const;
  /// `rest`: the path behind /v1/organization/projects/.
  Response of_project(const Request& request, const std::string& rest);
  Response make(const Request& request, const std::string& project);
  nlohmann::ordered_json shown(const std::string& id) const;
  bool bears_a_key(const Request& request) const;
  void save() const;

  const std::filesystem::path file_;
  BearerToken admin_;
  mutable std::mutex mutex_;
  std::map<std::string, ServiceAccount> accounts_;  // by id
};

}  // namespace flexroom::cloud
