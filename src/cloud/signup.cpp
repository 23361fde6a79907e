#include "cloud/signup.h"

#include "cloud/card_number.h"

namespace flexroom::cloud {

namespace {

constexpr size_t kMaxCharges = 10000;
constexpr std::string_view kDigits = "0123456789";

bool all_of(std::string_view text, std::string_view alphabet) {
  return text.find_first_not_of(alphabet) == std::string_view::npos;
}

std::string checked_email(const std::string& email) {
  const size_t at = email.find('@');
  if (email.size() > 254 || at == std::string::npos || at == 0 || at + 1 == email.size()) {
    malformed("This is no address.");
  }
  return lower(email);
}

void check_name(const std::string& name) {
  if (name.empty() || name.size() > 64) malformed("A name has 1 to 64 characters.");
}

/// As sites want them: 8 to 128 characters, of four kinds.
void check_password(const std::string& password) {
  bool upper = false, lower_case = false, digit = false, other = false;
  for (const char c : password) {
    if (c >= 'A' && c <= 'Z') {
      upper = true;
    } else if (c >= 'a' && c <= 'z') {
      lower_case = true;
    } else if (c >= '0' && c <= '9') {
      digit = true;
    } else {
      other = true;
    }
  }
  if (password.size() < 8 || password.size() > 128 || !is_utf8(password) || !upper || !lower_case ||
      !digit || !other) {
    throw ApiError(400, "WeakPassword", "The password is not 8 to 128 characters of four kinds.");
  }
}

}  // namespace

const std::map<std::string, Signup::SessionPage>& Signup::session_pages() {
  static const std::map<std::string, SessionPage> kPages = {
      {"POST /email", &Signup::submit_email},
      {"POST /captcha", &Signup::request_captcha},
      {"POST /captcha/verify", &Signup::verify_captcha},
      {"GET /access-code", &Signup::get_access_code},
      {"POST /access-code", &Signup::submit_access_code},
      {"POST /verify", &Signup::verify_code},
      {"POST /complete", &Signup::complete},
  };
  return kPages;
}

const std::map<std::string, Signup::PersonPage>& Signup::person_pages() {
  static const std::map<std::string, PersonPage> kPages = {
      {"POST /billing", &Signup::billing},       {"POST /info", &Signup::info},
      {"POST /card/check", &Signup::check_card}, {"POST /card", &Signup::charge_card},
      {"POST /phone", &Signup::call_phone},      {"POST /phone/verify", &Signup::verify_phone},
  };
  return kPages;
}

Response Signup::handle(const Visit& visit) {
  const WebBehaviour& behaviour = core_.behaviour;
  const std::string page = visit.page();
  if (page == "GET /key") return json_answer(200, key_.public_part());
  if (page == "GET /start") return start(visit);
  if (page == "POST /signin/start") return start_signin(visit);
  if (page == "POST /signin") return signin(visit);
  if (const auto found = session_pages().find(page); found != session_pages().end()) {
    Session* const session =
        sessions_.find(visit.cookie("session"), behaviour.session_lifetime_s, core_.now);
    if (session == nullptr || session->csrf != visit.cookie("csrf")) {
      throw ApiError(401, "NoSession", "There is no such session any more.");
    }
    return (this->*found->second)(visit, *session);
  }
  if (const auto found = person_pages().find(page); found != person_pages().end()) {
    const std::string* const email =
        creds_.find(visit.cookie("creds"), behaviour.creds_lifetime_s, core_.now);
    if (email == nullptr) throw ApiError(401, "SignInFirst", "Nobody is signed in any more.");
    return (this->*found->second)(visit, *core_.people.find(*email));
  }
  if (const auto id = visit.below("GET", "/captcha/")) {
    return captchas_.image(*id, behaviour.captcha_lifetime_s, core_.now);
  }
  no_such_page();
}

Response Signup::start(const Visit& visit) {
  Session session;
  session.csrf = random_hex(32);
  Response response = json_answer(200, nlohmann::json::object());
  give_cookie(visit, response, "csrf", session.csrf);
  give_cookie(visit, response, "session", sessions_.add(std::move(session), core_.now));
  return response;
}

Response Signup::submit_email(const Visit& visit, Session& session) {
  const std::string email = checked_email(visit.form({"email"}).at("email"));
  if (core_.behaviour.taken_accounts > 0 && core_.people.find(email) == nullptr) {
    --core_.behaviour.taken_accounts;
    core_.people.add({email, random_hex(32), "", "Somebody", "Else", "", "", true});
  }
  if (core_.people.find(email) != nullptr) {
    throw ApiError(409, "EmailTaken", "There is an account with this address.");
  }
  session.email = email;
  Response response = json_answer(200, nlohmann::json::object());
  renew_cookie(visit, core_.behaviour, response, "session", sessions_);
  return response;
}

Response Signup::request_captcha(const Visit& visit, Session& session) {
  visit.no_body();
  session.captcha = captchas_.make(visit, core_.now);
  return json_answer(200, {{"id", session.captcha}});
}

Response Signup::verify_captcha(const Visit& visit, Session& session) {
  captchas_.redeem(visit, session.captcha, core_.behaviour.captcha_lifetime_s, core_.now);
  session.captcha_solved = true;
  return json_answer(200, nlohmann::json::object());
}

Response Signup::get_access_code(const Visit& visit, Session& session) {
  if (!session.captcha_solved) throw ApiError(403, "CaptchaFirst", "Solve the captcha first.");
  session.access_code = random_hex(32);
  session.access_code_at = core_.now;
  visit.gave("access code", session.access_code);
  return json_answer(200, {{"code", session.access_code}});
}

Response Signup::submit_access_code(const Visit& visit, Session& session) {
  const Fields in = visit.form({"email", "code"});
  const bool late = core_.now - session.access_code_at >= core_.behaviour.code_lifetime_s;
  if (session.access_code.empty() || session.access_code != in.at("code") || late ||
      session.email != lower(in.at("email"))) {
    throw ApiError(400, "BadAccessCode", "The code or the address is wrong, or it is too late.");
  }
  session.access_code.clear();
  session.otp = random_text(6, kDigits);
  session.otp_at = core_.now;
  mail_code(visit, session);
  Response response = json_answer(200, nlohmann::json::object());
  renew_cookie(visit, core_.behaviour, response, "session", sessions_);
  return response;
}

void Signup::mail_code(const Visit& visit, const Session& session) {
  const auto letter = [&](const std::string& code) -> Letter {
    return {session.email, kSender, "Sandbox Cloud", "Verification code",
            "Your verification code is " + code};
  };
  visit.gave("one-time code", session.otp, session.email);
  core_.mail.send(letter(session.otp), core_.now);
  core_.mail.deliver_strangers(session.email, core_.now);
  if (core_.behaviour.planted_codes == 0) return;
  --core_.behaviour.planted_codes;
  core_.mail.deliver(letter(session.otp == "111111" ? "222222" : "111111"), core_.now);
}

Response Signup::verify_code(const Visit& visit, Session& session) {
  const Fields in = visit.form({"email", "otp"});
  const bool late = core_.now - session.otp_at >= core_.behaviour.otp_lifetime_s;
  if (session.otp.empty() || session.otp != in.at("otp") || late ||
      session.email != lower(in.at("email"))) {
    if (core_.behaviour.wrong_code_ends) session.otp.clear();
    throw ApiError(400, late ? "ExpiredCode" : "BadCode", "The code is wrong or late.");
  }
  session.otp.clear();
  session.verified = true;
  Response response = json_answer(200, nlohmann::json::object());
  renew_cookie(visit, core_.behaviour, response, "session", sessions_);
  return response;
}

Response Signup::complete(const Visit& visit, Session& session) {
  const Fields in = visit.json({"email", "given", "family", "password"});
  const std::string email = lower(in.at("email"));
  if (core_.people.find(email) != nullptr) {
    throw ApiError(409, "EmailTaken", "There is an account with this address.");
  }
  if (!session.verified || session.email != email) {
    throw ApiError(400, "NotVerified", "This address was not verified in this session.");
  }
  check_name(in.at("given"));
  check_name(in.at("family"));
  const auto password = key_.open(in.at("password"));
  if (!password) throw ApiError(400, "BadPassword", "The password cannot be read.");
  visit.saw("password", *password, email);
  check_password(*password);
  const Person& person = core_.people.add(
      {in.at("email"), *password, "", in.at("given"), in.at("family"), "", "", false});
  return welcome(visit, person);
}

Response Signup::welcome(const Visit& visit, const Person& person) {
  Response response =
      json_answer(200, {{"account", person.account_id}, {"owner", lower(person.email)}});
  give_cookie(visit, response, "creds", creds_.add(lower(person.email), core_.now));
  visit.gave("account", person.account_id, lower(person.email));
  return response;
}

Response Signup::start_signin(const Visit& visit) {
  visit.no_body();
  const std::string captcha = captchas_.make(visit, core_.now);
  Response response = json_answer(200, {{"captcha", captcha}});
  give_cookie(visit, response, "signin", signins_.add(captcha, core_.now));
  return response;
}

Response Signup::signin(const Visit& visit) {
  const Fields in = visit.json({"email", "captcha", "answer", "password"});
  const auto captcha =
      signins_.take(visit.cookie("signin"), core_.behaviour.session_lifetime_s, core_.now);
  if (!captcha || *captcha != in.at("captcha") ||
      !captchas_.solve(*captcha, in.at("answer"), core_.behaviour.captcha_lifetime_s, core_.now)) {
    throw ApiError(400, "BadCaptcha", "The answer is wrong or late.");
  }
  const auto password = key_.open(in.at("password"));
  if (password) visit.saw("password", *password, lower(in.at("email")));
  const Person* const person = core_.people.find(in.at("email"));
  if (person == nullptr || !password || person->password != *password) {
    throw ApiError(401, "BadCredentials", "The address or the password is wrong.");
  }
  return welcome(visit, *person);
}

Response Signup::billing(const Visit& visit, Person&) {
  visit.no_body();
  Response response = json_answer(200, nlohmann::json::object());
  renew_cookie(visit, core_.behaviour, response, "creds", creds_);
  return response;
}

Response Signup::info(const Visit& visit, Person& person) {
  const Fields in = visit.json({"given", "family", "phone", "address"});
  if (in.at("given") != person.given || in.at("family") != person.family) {
    throw ApiError(400, "OtherName", "The account has another name.");
  }
  if (in.at("phone").size() < 7 || in.at("phone").size() > 15 || !all_of(in.at("phone"), kDigits) ||
      in.at("address").empty() || in.at("address").size() > 256) {
    malformed("The telephone number or the address is none.");
  }
  person.phone = in.at("phone");
  person.address = in.at("address");
  core_.people.save();
  return json_answer(200, {{"phone", person.phone}, {"address", person.address}});
}

Response Signup::check_card(const Visit& visit, Person& person) {
  const std::string number = visit.json({"number"}).at("number");
  check_card_number(number);
  const std::string ref = card_refs_.add({person.account_id, number}, core_.now);
  visit.gave("card reference", ref, person.account_id);
  return json_answer(200, {{"ref", ref}});
}

Response Signup::charge_card(const Visit& visit, Person& person) {
  const Fields in = visit.json({"number", "ref"});
  const std::string key = visit.header("idempotency-key");
  check_idempotency_key(key);
  visit.saw("idempotency key", key, person.account_id);
  const auto* const ref =
      card_refs_.find(in.at("ref"), core_.behaviour.creds_lifetime_s, core_.now);
  if (ref == nullptr || ref->account != person.account_id || ref->number != in.at("number")) {
    throw ApiError(400, "BadReference", "The card was not checked for this account.");
  }
  auto found = charges_.find(key);
  if (found == charges_.end()) {
    if (charges_.size() >= kMaxCharges) throw ApiError(503, "Full", "No more can be charged.");
    int status = 200;
    if (core_.behaviour.refused_cards > 0) {
      --core_.behaviour.refused_cards;
      status = 402;
    } else {
      visit.saw("charge", in.at("number"), person.account_id);
    }
    found = charges_.emplace(key, Charge{person.account_id, in.at("number"), status}).first;
  }
  if (found->second.account != person.account_id || found->second.number != in.at("number")) {
    throw ApiError(422, "IdempotencyMismatch", "This key was used for another charge.");
  }
  if (found->second.status != 200) {
    throw ApiError(402, "CardDeclined", "The card " + in.at("number") + " was declined.");
  }
  return json_answer(200, nlohmann::json::object());
}

Response Signup::call_phone(const Visit& visit, Person& person) {
  visit.no_body();
  if (person.phone.empty()) throw ApiError(400, "NoPhone", "No telephone number is known.");
  const std::string code = phone_codes_[person.account_id] = random_text(6, kDigits);
  visit.gave("telephone code", code, person.account_id);
  return json_answer(200, nlohmann::json::object());
}

Response Signup::verify_phone(const Visit& visit, Person& person) {
  const std::string code = visit.form({"code"}).at("code");
  if (person.phone_verified) throw ApiError(409, "Verified", "It is verified already.");
  const auto found = phone_codes_.find(person.account_id);
  if (found == phone_codes_.end() || found->second != code) {
    throw ApiError(400, "BadCode", "The code is wrong.");
  }
  phone_codes_.erase(found);
  person.phone_verified = true;
  core_.people.save();
  return json_answer(200, nlohmann::json::object());
}

}  // namespace flexroom::cloud
