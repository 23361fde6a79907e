#pragma once

#include <map>
#include <string>

#include "cloud/captcha.h"
#include "cloud/page_key.h"
#include "cloud/people.h"

namespace flexroom::cloud {

/// signup.flexroom.example: from an address to an account with a charged card and a verified
/// telephone, and the signing in of who has one already. The pages are those of the flow
/// create-account (operations.md (d)). Not thread-safe.
class Signup {
 public:
  static constexpr const char* kHost = "signup.flexroom.example";
  static constexpr const char* kSender = "no-reply@signup.flexroom.example";

  Signup(WebCore& core, const std::filesystem::path& state_dir, unsigned key_bits)
      : core_(core), key_(state_dir / "signup-key.pem", key_bits) {}
  Response handle(const Visit& visit);

 private:
  struct Session {
    std::string csrf, email, captcha, access_code, otp;
    bool captcha_solved = false, verified = false;
    std::time_t access_code_at = 0, otp_at = 0;
  };
  struct Charge {
    std::string account, number;
    int status;
  };
  struct CardRef {
    std::string account, number;
  };
  using SessionPage = Response (Signup::*)(const Visit&, Session&);
  using PersonPage = Response (Signup::*)(const Visit&, Person&);
  static const std::map<std::string, SessionPage>& session_pages();
  static const std::map<std::string, PersonPage>& person_pages();

  // Without a session.
  Response start(const Visit& visit);
  Response start_signin(const Visit& visit);
  Response signin(const Visit& visit);
  // In a sign-up session.
  Response submit_email(const Visit& visit, Session& session);
  Response request_captcha(const Visit& visit, Session& session);
  Response verify_captcha(const Visit& visit, Session& session);
  Response get_access_code(const Visit& visit, Session& session);
  Response submit_access_code(const Visit& visit, Session& session);
  Response verify_code(const Visit& visit, Session& session);
  Response complete(const Visit& visit, Session& session);
  // With an account.
  Response billing(const Visit& visit, Person& person);
  Response info(const Visit& visit, Person& person);
  Response check_card(const Visit& visit, Person& person);
  Response charge_card(const Visit& visit, Person& person);
  Response call_phone(const Visit& visit, Person& person);
  Response verify_phone(const Visit& visit, Person& person);

  void mail_code(const Visit& visit, const Session& session);
  Response welcome(const Visit& visit, const Person& person);

  WebCore& core_;
  PageKey key_;
  Captchas captchas_;
  Tokens<Session> sessions_;
  Tokens<std::string> signins_;  // of a captcha's id
  Tokens<std::string> creds_;    // of an address
  Tokens<CardRef> card_refs_;
  std::map<std::string, Charge> charges_;           // by idempotency key
  std::map<std::string, std::string> phone_codes_;  // by account
};

}  // namespace flexroom::cloud
