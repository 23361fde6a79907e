#pragma once

#include <string>
#include <vector>

#include "cloud/people.h"

namespace flexroom::cloud {

/// console.flexroom.example: sends who is not signed in to the sign-in and back, and makes, lists
/// and deletes the access keys of the account's owner; the services know them as any key made by
/// IAM. The pages are those of the flow create-session (operations.md (d)). Not thread-safe.
class Console {
 public:
  static constexpr const char* kHost = "console.flexroom.example";

  explicit Console(WebCore& core) : core_(core) {}
  Response handle(const Visit& visit);

 private:
  struct Session {
    std::string email, csrf;
  };
  struct Deleted {
    std::string account, key;
    std::time_t at;
  };
  Response begin(const Visit& visit);
  Response callback(const Visit& visit);
  Response home(const Visit& visit, Session& session);
  Response list_keys(const std::string& account);
  Response create_key(const Visit& visit, const std::string& account);
  Response delete_key(const std::string& account, const std::string& id);

  WebCore& core_;
  Tokens<std::string> visits_;    // cookie `console` -> state
  Tokens<Session> sessions_;      // cookie `console-creds`
  std::vector<Deleted> deleted_;  // the list still shows them
};

/// 302 to there.
Response redirect(const std::string& location);

}  // namespace flexroom::cloud
