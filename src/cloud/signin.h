#pragma once

#include <map>
#include <string>

#include "cloud/captcha.h"
#include "cloud/client_metadata.h"
#include "cloud/page_key.h"
#include "cloud/people.h"

namespace flexroom::cloud {

/// signin.flexroom.example: from the console's state to a code for it. The pages are those of the
/// flow create-session (operations.md (d)). Not thread-safe.
class Signin {
 public:
  static constexpr const char* kHost = "signin.flexroom.example";

  Signin(WebCore& core, const std::filesystem::path& state_dir, unsigned key_bits)
      : core_(core), key_(state_dir / "signin-key.pem", key_bits) {}
  Response handle(const Visit& visit);

 private:
  struct Session {
    std::string csrf, state, email, captcha;
    bool captcha_solved = false, half = false;  // the password was right, the factor is missing
  };
  using Page = Response (Signin::*)(const Visit&, Session&);
  static const std::map<std::string, Page>& pages();

  Response begin(const Visit& visit);
  Response challenge(const Visit& visit);
  Response submit_email(const Visit& visit, Session& session);
  Response solve_captcha(const Visit& visit, Session& session);
  Response check_mfa(const Visit& visit, Session& session);
  Response authenticate(const Visit& visit, Session& session);
  Response submit_totp(const Visit& visit, Session& session);
  Response let_in(const Visit& visit, const Session& session, const Person& person);

  WebCore& core_;
  PageKey key_;
  ClientMetadata metadata_;
  Captchas captchas_;
  Tokens<Session> sessions_;
  Tokens<std::string> creds_;                 // of an address
  Tokens<Grant> codes_;                       // for the challenge
  std::map<std::string, int64_t> last_totp_;  // by account: each code counts once
};

}  // namespace flexroom::cloud
