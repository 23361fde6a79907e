#include "cloud/token_api.h"

#include <fmt/format.h>
#include <openssl/crypto.h>

#include <ctime>
#include <fstream>
#include <sstream>

#include "cloud/accounts.h"
#include "cloud/json_text.h"

namespace flexroom::cloud {
namespace {

constexpr size_t kKeyChars = 48, kMostAccounts = 1000;
constexpr std::string_view kKeyAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
constexpr std::string_view kProjects = "/v1/organization/projects/";

[[noreturn]] void bad_request(const std::string& message) {
  throw ApiError(400, "invalid_request_error", message);
}

[[noreturn]] void no_such_path() { throw ApiError(404, "not_found", "No such path."); }

size_t count_words(const std::string& text) {
  std::istringstream in(text);
  std::string word;
  size_t count = 0;
  while (in >> word) ++count;
  return count;
}

nlohmann::json object_of(const Request& request) {
  auto body = nlohmann::json::parse(request.body, nullptr, false);
  if (!body.is_object()) bad_request("The body is not a JSON object.");
  return body;
}

Response answer_of(const nlohmann::ordered_json& body) {
  return {200, {{"Content-Type", "application/json"}}, json_text(body), false, false, false};
}

}  // namespace

TokenApi::TokenApi(const std::filesystem::path& state_dir)
    : file_(state_dir / "service-accounts.json"), admin_(state_dir / "api-token") {
  std::ifstream in(file_);
  if (!in) return;
  const nlohmann::json all = nlohmann::json::parse(in);
  for (const auto& [id, one] : all.items()) {
    accounts_[id] = {one.at("project"), one.at("name"), one.at("key_id"), one.at("key"),
                     one.at("created")};
  }
}

void TokenApi::save() const {
  nlohmann::json all = nlohmann::json::object();
  for (const auto& [id, one] : accounts_) {
    all[id] = {{"project", one.project},
               {"name", one.name},
               {"key_id", one.key_id},
               {"key", one.key},
               {"created", one.created}};
  }
  write_private_file(file_, json_text(all, 1) + "\n");
}

bool TokenApi::bears_a_key(const Request& request) const {
  const std::string given = request.header("authorization").value_or("");
  bool found = false;
  for (const auto& [id, one] : accounts_) {
    const std::string wanted = "Bearer " + one.key;
    found |= given.size() == wanted.size() &&
             CRYPTO_memcmp(given.data(), wanted.data(), wanted.size()) == 0;
  }
  return found;
}

Response TokenApi::handle(const Request& request) {
  const std::lock_guard lock(mutex_);
  const bool is_admin = admin_.borne_by(request);
  if (!is_admin && !bears_a_key(request)) {
    throw ApiError(401, "invalid_api_key", "Incorrect API key provided.");
  }
  if (request.path.starts_with(kProjects)) {
    if (!is_admin) throw ApiError(403, "insufficient_permissions", "This key may not do that.");
    return of_project(request, request.path.substr(kProjects.size()));
  }
  if (request.path != "/v1/chat/completions") no_such_path();
  return complete(request);
}

nlohmann::ordered_json TokenApi::shown(const std::string& id) const {
  const ServiceAccount& one = accounts_.at(id);
  return {{"object", "organization.project.service_account"},
          {"id", id},
          {"name", one.name},
          {"role", "member"},
          {"created_at", one.created}};
}

Response TokenApi::of_project(const Request& request, const std::string& rest) {
  const size_t slash = rest.find('/');
  const std::string project = rest.substr(0, slash), all = "/service_accounts";
  const std::string what = slash == std::string::npos ? "" : rest.substr(slash);
  if (project.empty() || !what.starts_with(all)) no_such_path();
  if (what == all && request.method == "POST") return make(request, project);
  if (what == all && request.method == "GET") {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const auto& [id, one] : accounts_) {
      if (one.project == project) list.push_back(shown(id));
    }
    return answer_of({{"object", "list"}, {"data", list}, {"has_more", false}});
  }
  const std::string id = what.size() > all.size() + 1 ? what.substr(all.size() + 1) : "";
  const auto one = accounts_.find(id);
  if (one == accounts_.end() || one->second.project != project) no_such_path();
  if (request.method != "DELETE") throw ApiError(405, "method_not_allowed", "Use DELETE.");
  accounts_.erase(one);
  save();
  return answer_of(
      {{"object", "organization.project.service_account.deleted"}, {"id", id}, {"deleted", true}});
}

Response TokenApi::make(const Request& request, const std::string& project) {
  const auto body = object_of(request);
  if (!body.contains("name") || !body["name"].is_string()) bad_request("`name` is no text.");
  if (accounts_.size() >= kMostAccounts) throw ApiError(429, "rate_limit", "Too many accounts.");
  const std::string id = "svc_acct_" + random_hex(24);
  ServiceAccount& one =
      accounts_[id] = {project, body["name"], "key_" + random_hex(24),
                       "sk-svcacct-" + random_text(kKeyChars, kKeyAlphabet), std::time(nullptr)};
  save();
  nlohmann::ordered_json out = shown(id);
  out["api_key"] = {{"object", "organization.project.service_account.api_key"},
                    {"value", one.key},
                    {"name", "Secret Key"},
                    {"created_at", one.created},
                    {"id", one.key_id}};
  return answer_of(out);
}

Response TokenApi::complete(const Request& request) const {
  if (request.method != "POST") throw ApiError(405, "method_not_allowed", "Use POST.");
  const auto body = object_of(request);
  if (!body.contains("model") || !body["model"].is_string()) {
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
  constexpr size_t kAnswerWords = 4;
  return answer_of(
      {{"id", "chatcmpl-" + random_hex(24)},
       {"object", "chat.completion"},
       {"created", std::time(nullptr)},
       {"model", body["model"]},
       {"choices",
        {{{"index", 0},
          {"message",
           {{"role", "assistant"}, {"content", fmt::format("You sent {} words.", words)}}},
          {"finish_reason", "stop"}}}},
       {"usage",
        {{"prompt_tokens", words},
         {"completion_tokens", kAnswerWords},
         {"total_tokens", words + kAnswerWords}}}});
}

}  // namespace flexroom::cloud
