#pragma once

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "cloud/client_metadata.h"
#include "cloud/page_key.h"
#include "unit/cloud/client.h"

namespace flexroom::cloud::test {

inline constexpr const char* kMailHost = "mail.flexroom.example";
inline constexpr const char* kSignupHost = "signup.flexroom.example";
inline constexpr const char* kSigninHost = "signin.flexroom.example";
inline constexpr const char* kConsoleHost = "console.flexroom.example";
inline constexpr const char* kAdminHost = "admin.flexroom.example";

/// The parts of an answer as it came.
struct Answer {
  int status = 0;
  Pairs headers;
  std::string body;
  std::string header(std::string_view name) const {
    std::string out;
    for (const auto& [field, value] : headers) {
      if (iequals(field, name)) out += (out.empty() ? "" : "\n") + value;
    }
    return out;
  }
  nlohmann::json json() const { return nlohmann::json::parse(body, nullptr, false); }
  std::string at(const char* name) const {
    const auto all = json();
    return all.is_object() && all.contains(name) && all[name].is_string() ? all[name] : "";
  }
};

inline Answer parse_answer(const std::string& text) {
  Answer out;
  const size_t end = text.find("\r\n\r\n");
  if (!text.starts_with("HTTP/1.1 ") || end == std::string::npos) return out;
  out.status = std::stoi(text.substr(9, 3));
  out.body = text.substr(end + 4);
  for (size_t at = text.find("\r\n") + 2; at < end;) {
    const size_t stop = text.find("\r\n", at);
    const size_t colon = text.find(": ", at);
    out.headers.emplace_back(text.substr(at, colon - at), text.substr(colon + 2, stop - colon - 2));
    at = stop + 2;
  }
  return out;
}

/// A client in the clear that keeps cookies as RFC 6265 says (path / and host only).
struct Browser {
  explicit Browser(const Sandbox& cloud) : sandbox(cloud) {}

  Answer call(const std::string& method, const std::string& host, const std::string& target,
              const std::string& body = "", const std::string& type = "",
              const std::string& more = "") {
    std::string text = method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\n";
    std::string line;
    for (const auto& [name, value] : cookies[host]) {
      line += (line.empty() ? "Cookie: " : "; ") + name + "=" + value;
    }
    if (!line.empty()) text += line + "\r\n";
    if (!type.empty()) text += "Content-Type: " + type + "\r\n";
    text += more + "Connection: close\r\n";
    if (method != "GET") text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    Answer answer = parse_answer(exchange(sandbox, host, text + "\r\n" + body));
    for (const auto& [field, value] : answer.headers) {
      if (iequals(field, "set-cookie")) keep(host, value);
    }
    return answer;
  }
  Answer get(const std::string& host, const std::string& target) {
    return call("GET", host, target);
  }
  Answer form(const std::string& host, const std::string& target, const std::string& body) {
    return call("POST", host, target, body, "application/x-www-form-urlencoded");
  }
  Answer json(const std::string& host, const std::string& target, const nlohmann::json& body,
              const std::string& more = "") {
    return call("POST", host, target, body.dump(), "application/json", more);
  }
  Answer post(const std::string& host, const std::string& target) {
    return call("POST", host, target);
  }
  void keep(const std::string& host, const std::string& line) {
    const std::string pair = line.substr(0, line.find(';'));
    const std::string name = pair.substr(0, pair.find('='));
    const std::string value = pair.substr(pair.find('=') + 1);
    if (value.empty() || line.find("Max-Age=0") != std::string::npos) {
      cookies[host].erase(name);
    } else {
      cookies[host][name] = value;
    }
  }

  const Sandbox& sandbox;
  std::map<std::string, std::map<std::string, std::string>> cookies;  // by host, name
};

/// Steers the sandbox as a test does.
struct Admin {
  explicit Admin(const Fixture& fixture) : browser(*fixture.sandbox) {
    std::string token;
    std::ifstream(fixture.dir / "state" / "admin-token") >> token;
    bearer = "Authorization: Bearer " + token + "\r\n";
  }
  int post(const std::string& path, const nlohmann::json& body) {
    return browser.json(kAdminHost, path, body, bearer).status;
  }
  /// The newest value that it saw or gave.
  std::string last(const std::string& way, const std::string& what, const std::string& about = "") {
    std::string out;
    for (const auto& one : browser.call("GET", kAdminHost, "/seen", "", "", bearer).json()) {
      if (one["way"] != way || one["what"] != what) continue;
      if (about.empty() || one["about"] == about) out = one["value"];
    }
    return out;
  }
  size_t count(const std::string& way, const std::string& what) {
    size_t out = 0;
    for (const auto& one : browser.call("GET", kAdminHost, "/seen", "", "", bearer).json()) {
      out += one["way"] == way && one["what"] == what;
    }
    return out;
  }
  Browser browser;
  std::string bearer;
};

/// A JWE made by OpenSSL from a page's key.
inline std::string jwe(const nlohmann::json& key, const std::string& text,
                       const std::string& alg = "RSA-OAEP-256",
                       const std::string& enc = "A256GCM") {
  const Bytes n = *base64url_decode(key["n"].get<std::string>());
  const Bytes e = *base64url_decode(key["e"].get<std::string>());
  OSSL_PARAM_BLD* builder = OSSL_PARAM_BLD_new();
  BIGNUM* bn = BN_bin2bn(n.data(), static_cast<int>(n.size()), nullptr);
  BIGNUM* be = BN_bin2bn(e.data(), static_cast<int>(e.size()), nullptr);
  OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, bn);
  OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, be);
  OSSL_PARAM* parameters = OSSL_PARAM_BLD_to_param(builder);
  EVP_PKEY* made = nullptr;
  EVP_PKEY_CTX* maker = EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr);
  EVP_PKEY_fromdata_init(maker);
  EVP_PKEY_fromdata(maker, &made, EVP_PKEY_PUBLIC_KEY, parameters);
  const Handle<EVP_PKEY> rsa(made);
  EVP_PKEY_CTX_free(maker);
  OSSL_PARAM_free(parameters);
  OSSL_PARAM_BLD_free(builder);
  BN_free(bn);
  BN_free(be);

  Bytes content_key(enc == "A256GCM" ? 32 : 16), iv(12), tag(16), sealed(text.size());
  RAND_bytes(content_key.data(), static_cast<int>(content_key.size()));
  RAND_bytes(iv.data(), 12);
  const EVP_MD* hash = alg == "RSA-OAEP" ? EVP_sha1() : EVP_sha256();
  EVP_PKEY_CTX* wrap = EVP_PKEY_CTX_new(rsa.get(), nullptr);
  EVP_PKEY_encrypt_init(wrap);
  EVP_PKEY_CTX_set_rsa_padding(wrap, RSA_PKCS1_OAEP_PADDING);
  EVP_PKEY_CTX_set_rsa_oaep_md(wrap, hash);
  EVP_PKEY_CTX_set_rsa_mgf1_md(wrap, hash);
  Bytes wrapped(n.size());
  size_t length = wrapped.size();
  EVP_PKEY_encrypt(wrap, wrapped.data(), &length, content_key.data(), content_key.size());
  EVP_PKEY_CTX_free(wrap);

  const std::string header =
      base64url(as_bytes(nlohmann::json{{"alg", alg}, {"enc", enc}, {"kid", key["kid"]}}.dump()));
  EVP_CIPHER_CTX* gcm = EVP_CIPHER_CTX_new();
  int written = 0;
  EVP_EncryptInit_ex(gcm, enc == "A256GCM" ? EVP_aes_256_gcm() : EVP_aes_128_gcm(), nullptr,
                     content_key.data(), iv.data());
  EVP_EncryptUpdate(gcm, nullptr, &written, as_bytes(header).data(),
                    static_cast<int>(header.size()));
  EVP_EncryptUpdate(gcm, sealed.data(), &written, as_bytes(text).data(),
                    static_cast<int>(text.size()));
  EVP_EncryptFinal_ex(gcm, tag.data(), &written);
  EVP_CIPHER_CTX_ctrl(gcm, EVP_CTRL_AEAD_GET_TAG, 16, tag.data());
  EVP_CIPHER_CTX_free(gcm);
  return header + "." + base64url(wrapped) + "." + base64url(iv) + "." + base64url(sealed) + "." +
         base64url(tag);
}

/// XXTEA with the length as its last word.
inline Bytes xxtea_seal(std::string_view text, std::string_view key) {
  std::vector<uint32_t> v((text.size() + 3) / 4 + 1), k(4);
  for (size_t i = 0; i < text.size(); ++i) {
    v[i / 4] |= static_cast<uint32_t>(static_cast<uint8_t>(text[i])) << (8 * (i % 4));
  }
  v.back() = static_cast<uint32_t>(text.size());
  for (size_t i = 0; i < 16; ++i) {
    k[i / 4] |= static_cast<uint32_t>(static_cast<uint8_t>(key[i])) << (8 * (i % 4));
  }
  const size_t n = v.size();
  uint32_t sum = 0, z = v[n - 1];
  for (size_t round = 6 + 52 / n; round-- > 0;) {
    sum += 0x9e3779b9;
    const uint32_t e = sum >> 2 & 3;
    for (size_t p = 0; p < n; ++p) {
      const uint32_t y = v[(p + 1) % n];
      z = v[p] +=
          (((z >> 5) ^ (y << 2)) + ((y >> 3) ^ (z << 4))) ^ ((sum ^ y) + (k[(p & 3) ^ e] ^ z));
    }
  }
  Bytes out;
  for (const uint32_t w : v) {
    for (size_t j = 0; j < 4; ++j) out.push_back(static_cast<uint8_t>(w >> (8 * j)));
  }
  return out;
}

inline std::string client_metadata(const std::string& nonce = random_hex(32)) {
  const nlohmann::json says = {{"client", "flexroom"}, {"nonce", nonce}};
  return base64(xxtea_seal(says.dump(), ClientMetadata::kKey));
}

/// Somebody who signs up and in, step by step as the flows do.
struct Story {
  explicit Story(const Fixture& fixture, const std::string& name = "k3v0q7z2m5xabcdefghijklmno")
      : admin(fixture), web(*fixture.sandbox), address(name + "@example-mail.test") {}

  int open_mailbox() {
    return web.json(kMailHost, "/accounts", {{"address", address}, {"password", mail_password}})
        .status;
  }
  void log_in_to_mail() {
    token = web.json(kMailHost, "/token", {{"address", address}, {"password", mail_password}})
                .at("token");
  }
  Answer mail(const std::string& method, const std::string& target) {
    return web.call(method, kMailHost, target, "", "", "Authorization: Bearer " + token + "\r\n");
  }
  /// The newest mail from the sign-up: its id and code; empty if there is none.
  std::pair<std::string, std::string> newest_code() {
    const auto list = mail("GET", "/messages").json();
    for (const auto& one : list["hydra:member"]) {
      if (one["from"]["address"] != "no-reply@signup.flexroom.example") continue;
      const auto intro = one["intro"].get<std::string>();
      return {one["id"], intro.substr(intro.size() - 6)};
    }
    return {};
  }
  Answer submit_email() { return web.form(kSignupHost, "/email", "email=" + escaped()); }
  /// Asks for a picture and answers it.
  Answer solve_captcha() {
    const std::string id = web.post(kSignupHost, "/captcha").at("id");
    return web.form(kSignupHost, "/captcha/verify",
                    "id=" + id + "&answer=" + admin.last("gave", "captcha answer", id));
  }
  Answer ask_for_code() {
    const std::string code = web.get(kSignupHost, "/access-code").at("code");
    return web.form(kSignupHost, "/access-code", "email=" + escaped() + "&code=" + code);
  }
  Answer verify(const std::string& otp) {
    return web.form(kSignupHost, "/verify", "email=" + escaped() + "&otp=" + otp);
  }
  /// Up to where the password is sent.
  void verify_address() {
    open_mailbox();
    log_in_to_mail();
    web.get(kSignupHost, "/start");
    submit_email();
    solve_captcha();
    ask_for_code();
    verify(newest_code().second);
  }
  Answer complete(const std::string& sealed_password = "") {
    return web.json(
        kSignupHost, "/complete",
        {{"email", address},
         {"given", "Ada"},
         {"family", "Byron"},
         {"password", sealed_password.empty() ? jwe(web.get(kSignupHost, "/key").json(), password)
                                              : sealed_password}});
  }
  Answer info() {
    return web.json(
        kSignupHost, "/info",
        {{"given", "Ada"}, {"family", "Byron"}, {"phone", "123456789012"}, {"address", "1 Road"}});
  }
  Answer charge(const std::string& key, const std::string& number = "4111111111111111") {
    const std::string ref = web.json(kSignupHost, "/card/check", {{"number", number}}).at("ref");
    return web.json(kSignupHost, "/card", {{"number", number}, {"ref", ref}},
                    "Idempotency-Key: " + key + "\r\n");
  }
  void sign_up() {
    verify_address();
    account = complete().at("account");
  }
  /// Up to where the password is sent.
  void begin_sign_in() {
    const std::string location = web.get(kConsoleHost, "/console").header("location");
    state = location.substr(location.find('=') + 1);
    web.get(kSigninHost, "/oauth?state=" + state);
    const std::string id = web.json(kSigninHost, "/email", {{"email", address}}).at("captcha");
    web.form(kSigninHost, "/captcha",
             "id=" + id + "&answer=" + admin.last("gave", "captcha answer", id));
  }
  Answer authenticate(const std::string& with_password, const std::string& metadata) {
    return web.json(kSigninHost, "/authenticate",
                    {{"email", address},
                     {"metadata1", metadata},
                     {"password", jwe(web.get(kSigninHost, "/key").json(), with_password)}});
  }
  Answer enter_console(const std::string& code) {
    const std::string location = web.get(kSigninHost, "/challenge?code=" + code).header("location");
    const std::string oauth = location.substr(location.find('=') + 1);
    return web.get(kConsoleHost, "/callback?code=" + oauth + "&state=" + state);
  }
  void sign_in() {
    begin_sign_in();
    enter_console(authenticate(password, client_metadata()).at("code"));
    web.get(kConsoleHost, "/home");
  }
  AccountKey new_key() {
    const Answer made = web.post(kConsoleHost, "/keys");
    return {account, made.at("AccessKeyId"), made.at("SecretAccessKey")};
  }
  std::string escaped() const { return percent_encode(address, false); }

  Admin admin;
  Browser web;
  std::string address, mail_password = "abcdefghijklmnopqrstuvwxyz";
  std::string password = "abcdefghijklmnopqrstuvAa1!", token, account, state;
};

}  // namespace flexroom::cloud::test
