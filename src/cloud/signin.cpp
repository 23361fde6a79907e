#include "cloud/signin.h"

#include "cloud/console.h"
#include "cloud/totp.h"

namespace flexroom::cloud {

const std::map<std::string, Signin::Page>& Signin::pages() {
  static const std::map<std::string, Page> kPages = {
      {"POST /email", &Signin::submit_email}, {"POST /captcha", &Signin::solve_captcha},
      {"POST /mfa", &Signin::check_mfa},      {"POST /authenticate", &Signin::authenticate},
      {"POST /totp", &Signin::submit_totp},
  };
  return kPages;
}

Response Signin::handle(const Visit& visit) {
  const std::string page = visit.page();
  if (page == "GET /key") return json_answer(200, key_.public_part());
  if (page == "GET /oauth") return begin(visit);
  if (page == "GET /challenge") return challenge(visit);
  if (const auto id = visit.below("GET", "/captcha/")) {
    return captchas_.image(*id, core_.behaviour.captcha_lifetime_s, core_.now);
  }
  const auto found = pages().find(page);
  if (found == pages().end()) no_such_page();
  Session* const session =
      sessions_.find(visit.cookie("signin"), core_.behaviour.session_lifetime_s, core_.now);
  if (session == nullptr || session->csrf != visit.cookie("csrf")) {
    throw ApiError(401, "NoSession", "There is no such session any more.");
  }
  return (this->*found->second)(visit, *session);
}

Response Signin::begin(const Visit& visit) {
  const std::string state = visit.query({"state"}).at("state");
  if (core_.states.find(state, core_.behaviour.session_lifetime_s, core_.now) == nullptr) {
    throw ApiError(400, "BadState", "No visit to the console waits for this.");
  }
  Session session;
  session.csrf = random_hex(32);
  session.state = state;
  Response response = json_answer(200, nlohmann::json::object());
  give_cookie(visit, response, "csrf", session.csrf);
  give_cookie(visit, response, "signin", sessions_.add(std::move(session), core_.now));
  return response;
}

Response Signin::submit_email(const Visit& visit, Session& session) {
  session.email = lower(visit.json({"email"}).at("email"));
  session.captcha = captchas_.make(visit, core_.now);
  session.captcha_solved = false;
  Response response = json_answer(200, {{"captcha", session.captcha}});
  return response;
}

Response Signin::solve_captcha(const Visit& visit, Session& session) {
  captchas_.redeem(visit, session.captcha, core_.behaviour.captcha_lifetime_s, core_.now);
  session.captcha_solved = true;
  return json_answer(200, nlohmann::json::object());
}

Response Signin::check_mfa(const Visit& visit, Session& session) {
  const std::string email = lower(visit.json({"email"}).at("email"));
  if (!session.captcha_solved) throw ApiError(403, "CaptchaFirst", "Solve the captcha first.");
  if (session.email != email) throw ApiError(400, "OtherEmail", "The session has another address.");
  const Person* const person = core_.people.find(email);
  const bool second =
      person != nullptr && second_factor(core_.directory.snapshot(person->account_id));
  return json_answer(200, {{"kind", second ? "TOTP" : "NONE"}});
}

Response Signin::authenticate(const Visit& visit, Session& session) {
  const Fields in = visit.json({"email", "metadata1", "password"});
  metadata_.check(in.at("metadata1"));
  const std::string email = lower(in.at("email"));
  const auto password = key_.open(in.at("password"));
  if (password) visit.saw("password", *password, email);
  const Person* const person = core_.people.find(email);
  if (!session.captcha_solved || session.email != email || person == nullptr || !password ||
      person->password != *password) {
    throw ApiError(401, "BadCredentials", "The address or the password is wrong.");
  }
  if (second_factor(core_.directory.snapshot(person->account_id))) {
    session.half = true;
    throw ApiError(401, "MfaRequired", "The second factor is missing.");
  }
  return let_in(visit, session, *person);
}

Response Signin::submit_totp(const Visit& visit, Session& session) {
  const std::string given = visit.json({"code"}).at("code");
  const Person* const person = session.half ? core_.people.find(session.email) : nullptr;
  if (person == nullptr) throw ApiError(401, "PasswordFirst", "Send the password first.");
  const auto device = second_factor(core_.directory.snapshot(person->account_id));
  const auto step = device ? totp_step(device->seed, given, core_.now) : std::nullopt;
  if (!step || *step <= last_totp_[person->account_id]) {
    throw ApiError(401, "BadCode", "The code is wrong, late or was there before.");
  }
  last_totp_[person->account_id] = *step;
  return let_in(visit, session, *person);
}

Response Signin::let_in(const Visit& visit, const Session& session, const Person& person) {
  const std::string email = session.email;
  const std::string code = codes_.add({session.state, email}, core_.now);
  visit.gave("code", code, email);
  Response response = json_answer(200, {{"code", code}, {"account", person.account_id}});
  give_cookie(visit, response, "creds", creds_.add(email, core_.now));
  if (core_.behaviour.rotate_cookies) {
    sessions_.take(visit.cookie("signin"), core_.behaviour.session_lifetime_s, core_.now);
  }
  return response;
}

Response Signin::challenge(const Visit& visit) {
  const std::string given = visit.query({"code"}).at("code");
  const std::string* const email =
      creds_.find(visit.cookie("creds"), core_.behaviour.creds_lifetime_s, core_.now);
  auto grant = codes_.take(given, core_.behaviour.code_lifetime_s, core_.now);
  if (email == nullptr || !grant || grant->email != *email) {
    throw ApiError(401, "BadCode", "The code is wrong or late, or nobody is signed in.");
  }
  const std::string code = core_.grants.add(std::move(*grant), core_.now);
  visit.gave("code", code, *email);
  return redirect(std::string("https://") + Console::kHost + "/callback?code=" + code);
}

}  // namespace flexroom::cloud
