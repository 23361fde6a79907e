// The whole story by curl, with its own cookie jar and its own following of redirects.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/cloud/browser.h"

namespace flexroom::cloud::test {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

struct Curl {
  const Fixture& fixture;
  Admin admin{fixture};
  std::string address = "curl@example-mail.test", password = "Passw0rd of curl!";

  /// The answer's body and, after a blank, its status.
  std::string operator()(const std::string& url, const std::string& more = "") const {
    return run("curl -sS --cacert " + fixture.sandbox->ca_file().string() +
               " --connect-to ::127.0.0.1:" + std::to_string(fixture.sandbox->port()) + " -b " +
               (fixture.dir / "jar").string() + " -c " + (fixture.dir / "jar").string() +
               " -w ' %{http_code}' " + more + " 'https://" + url + "'");
  }
  std::string json(const std::string& url, const nlohmann::json& body,
                   const std::string& more = "") const {
    std::ofstream(fixture.dir / "body") << body.dump();
    return (*this)(url, "-H 'Content-Type: application/json' --data-binary @" +
                            (fixture.dir / "body").string() + " " + more);
  }
  static std::string member(const std::string& text, const char* name) {
    const auto all = nlohmann::json::parse(text.substr(0, text.rfind(' ')), nullptr, false);
    return all.is_object() && all.contains(name) ? all[name] : "";
  }
  std::string sealed(const std::string& host) const {
    const std::string key = (*this)(host + "/key");
    return jwe(nlohmann::json::parse(key.substr(0, key.rfind(' '))), password);
  }
  void sign_up();
  void sign_in();
};

void Curl::sign_up() {
  const nlohmann::json box = {{"address", address}, {"password", "mail password"}};
  EXPECT_THAT(json("mail.flexroom.example/accounts", box), EndsWith(" 201"));
  const std::string token = member(json("mail.flexroom.example/token", box), "token");
  EXPECT_THAT((*this)("signup.flexroom.example/start"), EndsWith(" 200"));
  EXPECT_THAT((*this)("signup.flexroom.example/email", "--data-urlencode email=" + address),
              EndsWith(" 200"));
  const std::string id = member((*this)("signup.flexroom.example/captcha", "-X POST"), "id");
  EXPECT_THAT((*this)("signup.flexroom.example/captcha/verify",
                      "-d id=" + id + " -d answer=" + admin.last("gave", "captcha answer", id)),
              EndsWith(" 200"));
  const std::string code = member((*this)("signup.flexroom.example/access-code"), "code");
  EXPECT_THAT((*this)("signup.flexroom.example/access-code",
                      "--data-urlencode email=" + address + " -d code=" + code),
              EndsWith(" 200"));
  const std::string mails =
      (*this)("mail.flexroom.example/messages", "-H 'Authorization: Bearer " + token + "'");
  const size_t at = mails.find("verification code is ");
  ASSERT_NE(at, std::string::npos) << mails;
  EXPECT_THAT((*this)("signup.flexroom.example/verify",
                      "--data-urlencode email=" + address + " -d otp=" + mails.substr(at + 21, 6)),
              EndsWith(" 200"));
  EXPECT_THAT(json("signup.flexroom.example/complete", {{"email", address},
                                                        {"given", "Ada"},
                                                        {"family", "Byron"},
                                                        {"password", sealed(kSignupHost)}}),
              EndsWith(" 200"));
  EXPECT_THAT((*this)("signup.flexroom.example/billing", "-X POST"), EndsWith(" 200"));
  EXPECT_THAT(json("signup.flexroom.example/info", {{"given", "Ada"},
                                                    {"family", "Byron"},
                                                    {"phone", "123456789012"},
                                                    {"address", "1 Road"}}),
              EndsWith(" 200"));
}

void Curl::sign_in() {
  // To the sign-in by the redirect.
  EXPECT_THAT((*this)("console.flexroom.example/console", "-L"), EndsWith(" 200"));
  const std::string state = admin.last("gave", "state");
  const std::string id =
      member(json("signin.flexroom.example/email", {{"email", address}}), "captcha");
  EXPECT_THAT((*this)("signin.flexroom.example/captcha",
                      "-d id=" + id + " -d answer=" + admin.last("gave", "captcha answer", id)),
              EndsWith(" 200"));
  EXPECT_THAT(json("signin.flexroom.example/mfa", {{"email", address}}), HasSubstr("NONE"));
  const std::string code =
      member(json("signin.flexroom.example/authenticate", {{"email", address},
                                                           {"metadata1", client_metadata()},
                                                           {"password", sealed(kSigninHost)}}),
             "code");
  const std::string callback = (*this)("signin.flexroom.example/challenge?code=" + code,
                                       "-o /dev/null -w '%{redirect_url}'");
  const size_t scheme = std::string("https://").size();
  ASSERT_THAT(callback, HasSubstr("console.flexroom.example/callback?code="));
  // The callback leads on to /home, which gives the csrf.
  EXPECT_THAT((*this)(callback.substr(scheme) + "&state=" + state, "-L"), EndsWith(" 200"));
}

class WebClients : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Rotating, WebClients, testing::Bool());

TEST_P(WebClients, CurlSignsUpAndInAndUsesTheKey) {
  if (run("curl --version").find("curl ") != 0) {
    FAIL() << "curl is not installed: tools/install.sh test";
  }
  SandboxOptions options;
  options.settings = {std::string("rotate_cookies=") + (GetParam() ? "true" : "false")};
  const Fixture fixture(options);
  Curl curl{fixture};
  curl.sign_up();
  curl.sign_in();
  std::string csrf;
  for (std::ifstream jar(fixture.dir / "jar"); std::getline(jar, csrf);) {
    if (csrf.find("console-csrf") != std::string::npos) break;
  }
  EXPECT_THAT(csrf, HasSubstr("console.flexroom.example"));
  const std::string made = curl("console.flexroom.example/keys", "-X POST");
  EXPECT_THAT(made, EndsWith(" 201"));
  EXPECT_THAT(curl("sts.us-east-1.amazonaws.com/",
                   "--aws-sigv4 aws:amz:us-east-1:sts --user " + Curl::member(made, "AccessKeyId") +
                       ":" + Curl::member(made, "SecretAccessKey") +
                       " -d 'Action=GetCallerIdentity&Version=2011-06-15'"),
              HasSubstr(":user/owner</Arn>"));
  EXPECT_THAT(
      curl("console.flexroom.example/keys/" + Curl::member(made, "AccessKeyId"), "-X DELETE"),
      EndsWith(" 204"));
}

}  // namespace
}  // namespace flexroom::cloud::test
