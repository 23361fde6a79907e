#pragma once

#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "base/hash.h"
#include "http/text.h"

// Toy providers for the histories of flows: mail, sign-up, sign-in, console, STS and a card shop,
// as far as the shipped files call them. They count what must exist once, and see every value.

namespace flexroom::flow {

struct ToyRequest {
  std::string method, host, path;
  std::map<std::string, std::string> query, headers, cookies, form;
  nlohmann::json json;
  std::string sign_id, sign_secret, sign_service;  // of a signed request
  std::string raw;                                 // as it left
};

struct ToyAnswer {
  int status = 0;
  nlohmann::json body;
  std::map<std::string, std::string> cookies, headers;
  std::string type = "application/json";
  std::string text = {};  // the body as it came, where it is searched
};

inline std::map<std::string, std::string> fields_of(std::string_view text,
                                                    std::string_view between) {
  std::map<std::string, std::string> out;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(between, at), text.size());
    const std::string_view field = text.substr(at, end - at);
    const size_t equals = std::min(field.find('='), field.size());
    const std::string value(field.substr(std::min(equals + 1, field.size())));
    out[std::string(field.substr(0, equals))] = http::percent_decode(value).value_or(value);
    at = end + between.size();
  }
  return out;
}

/// A request as it left, taken apart by a reader of its own.
inline ToyRequest read_request(const std::string& text) {
  ToyRequest out;
  out.raw = text;
  const size_t head_end = text.find("\r\n\r\n");
  const std::string body = text.substr(head_end + 4);
  size_t at = text.find("\r\n");
  const std::string line = text.substr(0, at);
  out.method = line.substr(0, line.find(' '));
  std::string target = line.substr(line.find(' ') + 1);
  target = target.substr(0, target.find(' '));
  out.path = target.substr(0, target.find('?'));
  if (target.find('?') != std::string::npos) {
    out.query = fields_of(std::string_view(target).substr(target.find('?') + 1), "&");
  }
  for (at += 2; at < head_end + 2;) {
    const size_t end = text.find("\r\n", at);
    const std::string header = text.substr(at, end - at);
    const size_t colon = header.find(':');
    out.headers[http::to_lower(header.substr(0, colon))] = header.substr(colon + 2);
    at = end + 2;
  }
  out.host = out.headers["host"];
  out.cookies = fields_of(out.headers["cookie"], "; ");
  if (out.headers["content-type"].find("form") != std::string::npos)
    out.form = fields_of(body, "&");
  if (out.headers["content-type"].find("json") != std::string::npos) {
    out.json = nlohmann::json::parse(body);
  }
  return out;
}

class ToyWorld {
 public:
  int64_t now = 1'000'000;
  bool rotate = false;
  int64_t lag = 0;       // until a new key works
  int64_t lag_list = 0;  // until the list of keys shows a change
  int refuse_card = 0;
  size_t max_keys = 2;
  bool swap_session = false;
  std::string page_keys;  // behind the name of each key
  size_t calls = 0, cases = 0;

  std::map<std::string, std::string> boxes;  // address: password
  struct Account {
    std::string id, password;
  };
  std::map<std::string, Account> accounts;  // by address
  std::map<std::string, int> charges;       // by idempotency id
  std::map<std::string, int> orders;
  struct ApiKey {
    std::string account, secret;
    int64_t born = 0;
  };
  std::map<std::string, ApiKey> keys;
  std::map<std::string, std::pair<std::string, int64_t>> dead_keys;

  ToyAnswer call(const ToyRequest& q) {
    ++calls;
    ++now;
    if (q.host == "mail.flexroom.example") return mail(q);
    if (q.host == "signup.flexroom.example") return signup(q);
    if (q.host == "signin.flexroom.example") return signin(q);
    if (q.host == "console.flexroom.example") return console(q);
    if (q.host == "shop.flexroom.example") return shop(q);
    if (q.host == "sts.us-east-1.amazonaws.com") return sts(q);
    return {404, {}, {}, {}};
  }
  /// What a person reads off the picture of a captcha.
  static std::string solution(const std::string& image) {
    return "ok" + image.substr(image.size() - 6);
  }
  std::string phone_code() const { return phone_.empty() ? "0" : phone_.rbegin()->second; }

 private:
  std::string fresh(const std::string& kind) {
    const std::string text = kind + std::to_string(++made_);
    return kind + "-" + to_hex(sha256(as_bytes(text))).substr(0, 24);
  }
  static std::string account_id(const std::string& address) {
    uint64_t n = 0;
    for (const char c : address) n = (n * 131 + static_cast<uint8_t>(c)) % 1'000'000'000'000ULL;
    std::string out = std::to_string(n);
    return std::string(12 - out.size(), '0') + out;
  }
  static std::string get(const std::map<std::string, std::string>& map, const std::string& name) {
    const auto it = map.find(name);
    return it == map.end() ? "" : it->second;
  }
  /// "Jhex.N-host": what our toy JWE holds, under the key of that host.
  std::string open_jwe(const std::string& text, const std::string& host) const {
    const size_t dot = text.find('.');
    if (!text.starts_with('J') || text.substr(dot + 1) != "N-" + host + page_keys) return "";
    return to_text(from_hex(text.substr(1, dot - 1)));
  }
  void deliver(const std::string& to, const std::string& from, const std::string& subject,
               const std::string& intro) {
    mails_[to].push_back({{"id", fresh("m")},
                          {"from", {{"address", from}}},
                          {"subject", subject},
                          {"intro", intro}});
  }

  ToyAnswer mail(const ToyRequest& q) {
    if (q.path == "/domains") {
      return {200,
              {{"hydra:member",
                {{{"domain", "example-mail.test"}, {"isActive", true}, {"isPrivate", false}}}}},
              {},
              {}};
    }
    if (q.path == "/accounts") {
      const std::string address = q.json["address"];
      if (boxes.contains(address)) return {422, {{"address", address}}, {}, {}};
      boxes[address] = q.json["password"];
      deliver(address, "spam@x.test", "Verification code", "Your verification code is 666666");
      return {201, {{"address", address}}, {}, {}};
    }
    if (q.path == "/token") {
      const std::string address = q.json["address"];
      if (get(boxes, address) != q.json["password"] || !boxes.contains(address))
        return {401, {}, {}, {}};
      const std::string token = fresh("mailtoken");
      tokens_[token] = address;
      return {200, {{"token", token}}, {}, {}};
    }
    const std::string bearer = get(q.headers, "authorization");
    const std::string address = bearer.size() > 7 ? get(tokens_, bearer.substr(7)) : "";
    if (address.empty()) return {401, {}, {}, {}};
    auto& box = mails_[address];
    if (q.path == "/messages") {
      nlohmann::json list = nlohmann::json::array();
      for (auto it = box.rbegin(); it != box.rend(); ++it) list.push_back(*it);
      return {200, {{"hydra:member", list}}, {}, {}, "application/ld+json"};
    }
    const size_t before = box.size();
    std::erase_if(box, [&](const nlohmann::json& m) {
      return "/messages/" + std::string(m["id"]) == q.path;
    });
    return {box.size() < before ? 204 : 404, {}, {}, {}};
  }

  std::map<std::string, std::string> rotated(std::map<std::string, std::string>& table,
                                             const std::string& cookie, const std::string& name) {
    if (!rotate) return {};
    const std::string next = fresh(name);
    table[next] = table[cookie];
    table.erase(cookie);
    return {{name, next}};
  }

  ToyAnswer captcha_image(const std::string& id) {
    if (!captchas_.contains(id)) return {404, {}, {}, {}};
    return {200, {{"image", "img:" + id}}, {}, {}};
  }
  std::string captcha(const std::string& owner) {
    const std::string id = fresh("cap");
    captchas_[id] = owner;
    return id;
  }

  ToyAnswer signup(const ToyRequest& q) {
    const std::string& p = q.path;
    if (p == "/key")
      return {200, {{"n", "N-signup" + page_keys}, {"e", "AQAB"}, {"kid", "k1"}}, {}, {}};
    if (p == "/start") {
      const std::string session = fresh("session"), csrf = fresh("csrf");
      csrf_of_[session] = csrf;
      return {200, nlohmann::json::object(), {{"session", session}, {"csrf", csrf}}, {}};
    }
    if (p.starts_with("/captcha/") && q.method == "GET") return captcha_image(p.substr(9));
    if (p == "/signin/start") {
      const std::string cookie = fresh("signin"), id = captcha(cookie);
      signin_captcha_[cookie] = id;
      return {200, {{"captcha", id}}, {{"signin", cookie}}, {}};
    }
    if (p == "/signin") return signup_signin(q);
    if (p == "/billing" || p == "/info" || p.starts_with("/card") || p.starts_with("/phone"))
      return billing(q);
    const std::string session = get(q.cookies, "session");
    if (get(csrf_of_, session).empty() || get(csrf_of_, session) != get(q.cookies, "csrf"))
      return {401, {}, {}, {}};
    auto& state = signup_[get(csrf_of_, session)];
    if (p == "/email") {
      const std::string address = get(q.form, "email");
      if (accounts.contains(address)) return {409, {{"email", address}}, {}, {}};
      state["email"] = address;
      return {200, nlohmann::json::object(), rotated(csrf_of_, session, "session"), {}};
    }
    if (p == "/captcha") {
      state["cap"] = captcha("");
      return {200, {{"id", state["cap"]}}, {}, {}};
    }
    if (p == "/captcha/verify") {
      const bool right = !state["cap"].empty() && get(q.form, "id") == state["cap"] &&
                         get(q.form, "answer") == solution(state["cap"]);
      state["cap"] = "";
      if (!right) return {400, {}, {}, {}};
      state["capok"] = "1";
      return {200, nlohmann::json::object(), {}, {}};
    }
    if (p == "/access-code" && q.method == "GET") {
      if (state["capok"].empty()) return {403, {}, {}, {}};
      state["ac"] = fresh("ac");
      return {200, {{"code", state["ac"]}}, {}, {}};
    }
    if (p == "/access-code") {
      if (state["ac"].empty() || get(q.form, "code") != state["ac"] ||
          get(q.form, "email") != state["email"]) {
        return {400, {}, {}, {}};
      }
      state["otp"] = "04" + std::to_string(1000 + ++made_ % 9000);
      deliver(state["email"], "no-reply@signup.flexroom.example", "Verification code",
              "Your verification code is " + state["otp"]);
      return {200, nlohmann::json::object(), rotated(csrf_of_, session, "session"), {}};
    }
    if (p == "/verify") {
      if (state["otp"].empty() || get(q.form, "otp") != state["otp"])
        return {400, {{"echo", get(q.form, "otp")}}, {}, {}};
      state["ok"] = "1";
      state["otp"] = "";
      return {200, nlohmann::json::object(), rotated(csrf_of_, session, "session"), {}};
    }
    if (p == "/complete") {
      const std::string address = q.json["email"];
      if (accounts.contains(address)) return {409, {}, {}, {}};
      const std::string password = open_jwe(q.json["password"], "signup");
      if (state["ok"].empty() || state["email"] != address || password.empty())
        return {400, {}, {}, {}};
      accounts[address] = {account_id(address), password};
      const std::string creds = fresh("creds");
      creds_[creds] = address;
      return {200, {{"account", account_id(address)}, {"owner", address}}, {{"creds", creds}}, {}};
    }
    return {404, {}, {}, {}};
  }

  ToyAnswer signup_signin(const ToyRequest& q) {
    const std::string cookie = get(q.cookies, "signin"), id = q.json["captcha"];
    const bool right = get(signin_captcha_, cookie) == id && captchas_.erase(id) == 1 &&
                       q.json["answer"] == solution(id);
    if (!right) return {400, {{"echo", q.json}}, {}, {}};
    const auto account = accounts.find(q.json["email"]);
    if (account == accounts.end() ||
        account->second.password != open_jwe(q.json["password"], "signup")) {
      return {401, {}, {}, {}};
    }
    const std::string creds = fresh("creds");
    creds_[creds] = account->first;
    return {200, {{"account", account->second.id}}, {{"creds", creds}}, {}};
  }

  ToyAnswer billing(const ToyRequest& q) {
    const std::string cookie = get(q.cookies, "creds"), address = get(creds_, cookie);
    if (address.empty()) return {401, {}, {}, {}};
    if (q.path == "/billing")
      return {200, nlohmann::json::object(), rotated(creds_, cookie, "creds"), {}};
    if (q.path == "/card/check") return {200, {{"ref", fresh("ref")}}, {}, {}};
    if (q.path == "/card") {
      const std::string id = get(q.headers, "idempotency-key");
      if (refused_.contains(id)) return {402, {{"number", q.json["number"]}}, {}, {}};
      if (refuse_card > 0) {
        --refuse_card;
        refused_.insert(id);
        return {402, {{"number", q.json["number"]}}, {}, {}};
      }
      charges[id] = 1;
      return {200, nlohmann::json::object(), {}, {}};
    }
    if (q.path == "/phone") {
      phone_[address] = std::to_string(100'000 + ++made_);
      return {200, nlohmann::json::object(), {}, {}};
    }
    if (q.path == "/phone/verify") {
      if (phone_ok_.contains(address)) return {409, {}, {}, {}};
      if (get(q.form, "code") != get(phone_, address)) return {400, {}, {}, {}};
      phone_ok_.insert(address);
    }
    return {200, {{"echo", q.json}}, {}, {}};
  }

  ToyAnswer signin(const ToyRequest& q) {
    const std::string& p = q.path;
    if (p == "/key")
      return {200, {{"n", "N-signin" + page_keys}, {"e", "AQAB"}, {"kid", "k2"}}, {}, {}};
    if (p == "/oauth") {
      const std::string state = get(q.query, "state");
      bool known = false;
      for (const auto& [cookie, of] : console_) known |= of == state;
      if (!known) return {400, {}, {}, {}};
      const std::string cookie = fresh("signin"), csrf = fresh("csrf");
      signin_[cookie] = {{"csrf", csrf}, {"state", state}};
      return {200, nlohmann::json::object(), {{"signin", cookie}, {"csrf", csrf}}, {}};
    }
    if (p.starts_with("/captcha/") && q.method == "GET") return captcha_image(p.substr(9));
    if (p == "/challenge") {
      const std::string address = get(creds_, get(q.cookies, "creds")), code = get(q.query, "code");
      const std::string state = get(codes_, code);
      codes_.erase(code);
      if (address.empty() || state.empty()) return {401, {}, {}, {}};
      const std::string oauth = fresh("oauth");
      oauth_[oauth] = {state, address};
      return {
          302, {}, {}, {{"location", "https://console.flexroom.example/callback?code=" + oauth}}};
    }
    const auto it = signin_.find(get(q.cookies, "signin"));
    if (it == signin_.end() || it->second["csrf"] != get(q.cookies, "csrf"))
      return {401, {}, {}, {}};
    auto& state = it->second;
    if (p == "/email") {
      state["cap"] = captcha("");
      return {200, {{"captcha", state["cap"]}}, {}, {}};
    }
    if (p == "/captcha") {
      if (state["cap"].empty() || get(q.form, "id") != state["cap"] ||
          get(q.form, "answer") != solution(state["cap"])) {
        return {400, {}, {}, {}};
      }
      state["capok"] = "1";
      return {200, nlohmann::json::object(), {}, {}};
    }
    if (state["capok"].empty()) return {403, {}, {}, {}};
    if (p == "/mfa") return {200, {{"kind", "NONE"}}, {}, {}};
    const auto account = accounts.find(q.json["email"]);
    if (account == accounts.end() ||
        account->second.password != open_jwe(q.json["password"], "signin")) {
      return {401, {{"error", "BadCredentials"}, {"email", q.json["email"]}}, {}, {}};
    }
    const std::string creds = fresh("creds"), code = fresh("code");
    creds_[creds] = account->first;
    codes_[code] = state["state"];
    if (rotate) signin_.erase(it);
    return {200, {{"code", code}, {"account", account->second.id}}, {{"creds", creds}}, {}};
  }

  ToyAnswer console(const ToyRequest& q) {
    const std::string& p = q.path;
    if (p == "/console") {
      const std::string cookie = fresh("console"), state = fresh("state");
      console_[cookie] = state;
      return {302,
              {},
              {{"console", cookie}},
              {{"location", "https://signin.flexroom.example/oauth?state=" + state}}};
    }
    if (p == "/callback") {
      const std::string code = get(q.query, "code");
      const auto it = oauth_.find(code);
      if (it == oauth_.end()) return {401, {}, {}, {}};
      const auto [state, address] = it->second;
      oauth_.erase(it);
      if (get(console_, get(q.cookies, "console")) != get(q.query, "state") ||
          state != get(q.query, "state")) {
        return {401, {}, {}, {}};
      }
      const std::string creds = fresh("console-creds");
      console_creds_[creds] = address;
      return {302, {}, {{"console-creds", creds}}, {{"location", "/home"}}};
    }
    const std::string cookie = get(q.cookies, "console-creds"),
                      address = get(console_creds_, cookie);
    if (address.empty()) return {401, {}, {}, {}};
    if (p == "/home") {
      console_csrf_[cookie] = fresh("console-csrf");
      return {200, nlohmann::json::object(), {{"console-csrf", console_csrf_[cookie]}}, {}};
    }
    const std::string account = accounts[address].id;
    if (p == "/keys" && q.method == "GET") {
      nlohmann::json list = nlohmann::json::array();
      for (const auto& [id, key] : keys) {
        if (key.account == account && key.born + lag_list <= now) list.push_back({{"id", id}});
      }
      for (const auto& [id, of] : dead_keys) {
        if (of.first == account && of.second + lag_list > now) list.push_back({{"id", id}});
      }
      return {200, {{"keys", list}}, {}, {}};
    }
    if (get(q.cookies, "console-csrf") != get(console_csrf_, cookie)) return {403, {}, {}, {}};
    if (p == "/keys") {
      size_t own = 0;
      for (const auto& [id, key] : keys) own += key.account == account ? 1 : 0;
      if (own >= max_keys) return {409, {}, {}, {}};
      const std::string id = "AKIA" + fresh("k").substr(2, 16);
      const std::string secret = to_hex(sha256(as_bytes(fresh("secret")))).substr(0, 40);
      keys[id] = {swap_session ? "999999999999" : account, secret, now};
      swap_session = false;
      return {201, {{"AccessKeyId", id}, {"SecretAccessKey", secret}}, {}, {}};
    }
    if (!keys.contains(p.substr(6))) return {404, {}, {}, {}};
    dead_keys[p.substr(6)] = {account, now};
    keys.erase(p.substr(6));
    return {204, {}, {}, {}};
  }

  ToyAnswer sts(const ToyRequest& q) {
    const auto key = keys.find(q.sign_id);
    if (key == keys.end() || key->second.secret != q.sign_secret || key->second.born + lag > now) {
      return {403, {}, {}, {}, "text/xml"};
    }
    return {200,
            {{"GetCallerIdentityResponse",
              {{"GetCallerIdentityResult", {{"Account", key->second.account}}}}}},
            {},
            {},
            "text/xml"};
  }

  ToyAnswer shop(const ToyRequest& q) {
    if (q.path == "/echo") return {200, q.json, {}, {}};
    if (q.path == "/cases") {
      if (q.method == "POST") {
        ++cases;
        return {200, {{"id", "case"}}, {}, {}};
      }
      nlohmann::json list = nlohmann::json::array();
      for (size_t k = 0; k < cases; ++k) list.push_back({{"id", "case"}, {"subject", "quota"}});
      return {200, {{"cases", list}}, {}, {}};
    }
    const std::string id = get(q.headers, "idempotency-key");
    if (q.path == "/orders") {
      if (!orders.contains(id)) {
        orders[id] = 1;
        voucher_ = to_hex(sha256(as_bytes(fresh("v")))).substr(0, 32);
        deliver(q.json["receiver"], "orders@shop.flexroom.example", "Your card",
                "Here: https://shop.flexroom.example/voucher?token=" + voucher_);
      }
      return {201, {{"receiver", q.json["receiver"]}}, {}, {}};
    }
    if (get(q.query, "token") != voucher_) return {404, {}, {}, {}};
    return {200,
            {{"cards", {{{"number", "4111000011112222"}, {"expiry", "1230"}, {"code", "123"}}}}},
            {},
            {}};
  }

  size_t made_ = 0;
  std::map<std::string, std::vector<nlohmann::json>> mails_;
  std::map<std::string, std::string> tokens_, csrf_of_, captchas_, signin_captcha_, creds_, phone_,
      codes_, console_, console_creds_, console_csrf_;
  std::map<std::string, std::map<std::string, std::string>> signup_, signin_;
  std::map<std::string, std::pair<std::string, std::string>> oauth_;
  std::set<std::string> refused_, phone_ok_;
  std::string voucher_;
};

}  // namespace flexroom::flow
