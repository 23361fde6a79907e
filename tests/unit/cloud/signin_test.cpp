// The sign-in and the console of the sandbox, driven by a client in the clear.
#include "cloud/signin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cloud/totp.h"
#include "unit/cloud/browser.h"

namespace flexroom::cloud::test {
namespace signin_test {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

constexpr const char* kSts = "sts.us-east-1.amazonaws.com";
constexpr const char* kWhoAmI = "Action=GetCallerIdentity&Version=2011-06-15";

TEST(Signin, FromTheConsoleAndBackToAKeyThatTheServicesKnow) {
  const Fixture fixture;
  Story story(fixture);
  story.sign_up();
  const Answer console = story.web.get(kConsoleHost, "/console");
  EXPECT_EQ(console.status, 302);
  EXPECT_THAT(console.header("location"),
              MatchesRegex("https://signin.flexroom.example/oauth\\?state=[A-Za-z0-9_-]{43}"));
  story.begin_sign_in();
  EXPECT_EQ(story.web.json(kSigninHost, "/mfa", {{"email", story.address}}).at("kind"), "NONE");
  const Answer in = story.authenticate(story.password, client_metadata());
  EXPECT_EQ(in.at("account"), story.account);
  const Answer challenge = story.web.get(kSigninHost, "/challenge?code=" + in.at("code"));
  EXPECT_EQ(challenge.status, 302);
  const std::string begin = "https://console.flexroom.example/callback?code=";
  ASSERT_THAT(challenge.header("location"), StartsWith(begin));
  const Answer back = story.web.get(
      kConsoleHost, "/callback?code=" + challenge.header("location").substr(begin.size()) +
                        "&state=" + story.state);
  EXPECT_EQ(back.status, 302);
  EXPECT_THAT(back.header("set-cookie"), StartsWith("console-creds="));
  EXPECT_THAT(story.web.get(kConsoleHost, "/home").header("set-cookie"),
              StartsWith("console-csrf="));
  const Answer made = story.web.post(kConsoleHost, "/keys");
  EXPECT_EQ(made.status, 201);
  EXPECT_THAT(made.at("AccessKeyId"), MatchesRegex("AKIA[A-Z2-7]{16}"));
  EXPECT_EQ(made.at("SecretAccessKey").size(), 40u);
  const AccountKey key{story.account, made.at("AccessKeyId"), made.at("SecretAccessKey")};
  EXPECT_EQ(element(query_call(*fixture.sandbox, key, Service::kSts, kSts, kWhoAmI), "Account"),
            story.account);
  EXPECT_THAT(query_call(*fixture.sandbox, key, Service::kEc2, kEc2, "Action=DescribeInstances"),
              HasSubstr("<reservationSet"));
  EXPECT_EQ(story.admin.last("saw", "password", story.address), story.password);
  EXPECT_EQ(story.admin.last("gave", "access key", key.access_key_id), key.secret_access_key);
}

TEST(Signin, WrongCredentialsAreAllTheSame) {
  const Fixture fixture;
  Story story(fixture);
  story.sign_up();
  story.begin_sign_in();
  const auto error = [&](const std::string& email, const std::string& sealed) {
    const Answer answer =
        story.web.json(kSigninHost, "/authenticate",
                       {{"email", email}, {"metadata1", client_metadata()}, {"password", sealed}});
    EXPECT_EQ(answer.status, 401);
    return answer.body;
  };
  const auto key = story.web.get(kSigninHost, "/key").json();
  const std::string wrong = error(story.address, jwe(key, "another Passw0rd!"));
  EXPECT_THAT(wrong, HasSubstr("\"error\":\"BadCredentials\""));
  EXPECT_EQ(error("nobody@example-mail.test", jwe(key, story.password)), wrong);
  // A server that told these apart would help an attacker of RSA-OAEP.
  EXPECT_EQ(error(story.address, "no JWE"), wrong);
  std::string altered = jwe(key, story.password);
  altered[altered.find('.') + 1] ^= 1;
  EXPECT_EQ(error(story.address, altered), wrong);
  const std::string used = jwe(key, "another Passw0rd!");
  error(story.address, used);
  EXPECT_EQ(error(story.address, used), wrong);
  EXPECT_EQ(story.authenticate(story.password, client_metadata()).status, 200);
}

TEST(Signin, NoStepWithoutTheOnesBefore) {
  const Fixture fixture;
  Story story(fixture);
  story.sign_up();
  EXPECT_EQ(story.web.get(kSigninHost, "/oauth?state=none").status, 400);
  EXPECT_EQ(story.web.get(kSigninHost, "/oauth").status, 400);
  EXPECT_EQ(story.web.json(kSigninHost, "/email", {{"email", story.address}}).status, 401);
  const std::string location = story.web.get(kConsoleHost, "/console").header("location");
  story.web.get(kSigninHost, "/oauth?state=" + location.substr(location.find('=') + 1));
  EXPECT_EQ(story.web.json(kSigninHost, "/mfa", {{"email", story.address}}).status, 403);
  EXPECT_EQ(story.authenticate(story.password, client_metadata()).status, 401);
  const std::string id =
      story.web.json(kSigninHost, "/email", {{"email", story.address}}).at("captcha");
  EXPECT_EQ(story.web.form(kSigninHost, "/captcha", "id=" + id + "&answer=none").status, 400);
  EXPECT_EQ(story.web.get(kConsoleHost, "/home").status, 401);
  EXPECT_EQ(story.web.post(kConsoleHost, "/keys").status, 401);
  story.begin_sign_in();
  EXPECT_EQ(story.web.json(kSigninHost, "/mfa", {{"email", "x@example-mail.test"}}).status, 400);
}

TEST(Signin, CodesCountOnceForTheirVisit) {
  const Fixture fixture;
  Story story(fixture);
  story.sign_up();
  story.begin_sign_in();
  const std::string code = story.authenticate(story.password, client_metadata()).at("code");
  Browser stranger(*fixture.sandbox);
  EXPECT_EQ(stranger.get(kSigninHost, "/challenge?code=" + code).status, 401);
  EXPECT_EQ(story.web.get(kSigninHost, "/challenge?code=" + code).status, 401);  // it is used up
  const auto oauth = [&] {
    story.begin_sign_in();
    const std::string again = story.authenticate(story.password, client_metadata()).at("code");
    const std::string location =
        story.web.get(kSigninHost, "/challenge?code=" + again).header("location");
    return location.substr(location.find('=') + 1);
  };
  EXPECT_EQ(
      stranger.get(kConsoleHost, "/callback?code=" + oauth() + "&state=" + story.state).status,
      401);
  EXPECT_EQ(story.web.get(kConsoleHost, "/callback?code=" + oauth() + "&state=none").status, 401);
  const std::string good = oauth();
  const std::string target = "/callback?code=" + good + "&state=" + story.state;
  EXPECT_EQ(story.web.get(kConsoleHost, target).status, 302);
  EXPECT_EQ(story.web.get(kConsoleHost, target).status, 401);
  story.admin.post("/settings", {{"code_lifetime_s", 0}});
  EXPECT_EQ(oauth(), "");
}

TEST(Signin, ARotatingSessionEndsWithTheSignIn) {
  const Fixture fixture;
  Story story(fixture);
  story.sign_up();
  story.begin_sign_in();
  EXPECT_EQ(story.authenticate(story.password, client_metadata()).status, 200);
  EXPECT_EQ(story.authenticate(story.password, client_metadata()).status, 200);
  story.admin.post("/settings", {{"rotate_cookies", true}});
  EXPECT_EQ(story.authenticate(story.password, client_metadata()).status, 200);
  EXPECT_EQ(story.authenticate(story.password, client_metadata()).at("error"), "NoSession");
}

TEST(Signin, TheMetadataIsReadAndItsNonceCountsOnce) {
  const Fixture fixture;
  Story story(fixture);
  story.sign_up();
  story.begin_sign_in();
  const auto error = [&](const std::string& field) {
    return story.authenticate("another Passw0rd!", field).at("error");
  };
  const std::string field = client_metadata();
  EXPECT_EQ(error(field), "BadCredentials");
  EXPECT_EQ(error(field), "BadMetadata");
  EXPECT_EQ(error("{}"), "BadMetadata");
  EXPECT_EQ(error(client_metadata("short")), "BadMetadata");
  EXPECT_EQ(error(base64(xxtea_seal("{}", "another key 0123"))), "BadMetadata");
  EXPECT_EQ(error(base64(xxtea_seal("{}", ClientMetadata::kKey))), "BadMetadata");
}

TEST(Signin, XxteaIsTheKnownOne) {
  // Made with xxtea-node.
  const auto hex = [](const char* text) { return from_hex(text); };
  EXPECT_EQ(xxtea_open(hex("0c29b7bdf7392dd7"), to_text(hex("6d7336d621ab0fc97b00e04209ff130c"))),
            "d,\b");
  EXPECT_EQ(
      xxtea_open(hex("801300a0eae5ba71cf104a6d"), to_text(hex("040f55f8ab235ba29ab0ff01727996ad"))),
      to_text(hex("8b2e74181c0d64")));
  EXPECT_EQ(
      xxtea_open(hex("801300a0eae5ba71cf104a6e"), to_text(hex("040f55f8ab235ba29ab0ff01727996ad"))),
      std::nullopt);
  for (const char* text : {"a", "abcd", "abcde", "a longer text of several words"}) {
    EXPECT_EQ(xxtea_open(xxtea_seal(text, ClientMetadata::kKey), ClientMetadata::kKey), text);
  }
}

TEST(Signin, TotpIsRfc6238s) {
  // Appendix B: the seed is "12345678901234567890"; the last six of its eight digits.
  const char* seed = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
  EXPECT_EQ(totp(seed, 59 / 30), "287082");
  EXPECT_EQ(totp(seed, 1111111109 / 30), "081804");
  EXPECT_EQ(totp(seed, 20000000000 / 30), "353130");
  EXPECT_EQ(totp("a", 1), std::nullopt);
  EXPECT_EQ(totp_step(seed, "287082", 89), 1);
  EXPECT_EQ(totp_step(seed, "287082", 90), std::nullopt);
}

TEST(Signin, ASecondFactorIsEnrolledAskedForAndDropped) {
  const Fixture fixture;
  Story story(fixture);
  story.sign_up();
  story.sign_in();
  const AccountKey key = story.new_key();
  const auto iam = [&](const std::string& form) {
    return query_call(*fixture.sandbox, key, Service::kIam, kIam, form + "&Version=2010-05-08");
  };
  const std::string made = iam("Action=CreateVirtualMFADevice&VirtualMFADeviceName=d");
  const std::string seed = element(made, "Base32StringSeed");
  const std::string serial = "&SerialNumber=" + element(made, "SerialNumber");
  EXPECT_EQ(serial, "&SerialNumber=arn:aws:iam::" + story.account + ":mfa/d");
  EXPECT_EQ(element(iam("Action=CreateVirtualMFADevice&VirtualMFADeviceName=d"), "Code"),
            "EntityAlreadyExists");
  const auto code = [&](int64_t later) { return *totp(seed, std::time(nullptr) / 30 + later); };
  const auto enable = [&](const std::string& first, const std::string& second) {
    return element(iam("Action=EnableMFADevice" + serial + "&AuthenticationCode1=" + first +
                       "&AuthenticationCode2=" + second),
                   "Code");
  };
  EXPECT_EQ(enable(code(0), code(0)), "InvalidAuthenticationCode");
  EXPECT_EQ(enable(code(5), code(6)), "InvalidAuthenticationCode");
  story.begin_sign_in();
  EXPECT_EQ(story.web.json(kSigninHost, "/mfa", {{"email", story.address}}).at("kind"), "NONE");
  EXPECT_EQ(enable(code(0), code(1)), "");
  EXPECT_EQ(enable(code(0), code(1)), "EntityAlreadyExists");
  EXPECT_EQ(element(iam("Action=DeleteVirtualMFADevice" + serial), "Code"), "DeleteConflict");

  const auto submit = [&](const std::string& digits) {
    return story.web.json(kSigninHost, "/totp", {{"code", digits}});
  };
  EXPECT_EQ(story.web.json(kSigninHost, "/mfa", {{"email", story.address}}).at("kind"), "TOTP");
  EXPECT_EQ(submit(code(0)).at("error"), "PasswordFirst");
  EXPECT_EQ(story.authenticate(story.password, client_metadata()).at("error"), "MfaRequired");
  EXPECT_EQ(submit(code(5)).at("error"), "BadCode");
  const std::string right = code(0);
  EXPECT_EQ(submit(right).at("account"), story.account);
  EXPECT_EQ(submit(right).at("error"), "BadCode");  // each counts once

  EXPECT_EQ(element(iam("Action=DeactivateMFADevice" + serial), "Code"), "");
  EXPECT_EQ(element(iam("Action=DeactivateMFADevice" + serial), "Code"), "NoSuchEntity");
  EXPECT_EQ(element(iam("Action=DeleteVirtualMFADevice" + serial), "Code"), "");
  EXPECT_EQ(element(iam("Action=DeleteVirtualMFADevice" + serial), "Code"), "NoSuchEntity");
  story.begin_sign_in();
  EXPECT_EQ(story.authenticate(story.password, client_metadata()).status, 200);
}

TEST(Console, TwoKeysAtMostAndListsThatAreOld) {
  const Fixture fixture;
  Story story(fixture);
  story.sign_up();
  story.sign_in();
  const auto listed = [&] {
    std::string out;
    const auto list = story.web.get(kConsoleHost, "/keys").json();
    for (const auto& one : list["keys"]) {
      out += (out.empty() ? "" : " ") + one["id"].get<std::string>();
    }
    return out;
  };
  EXPECT_EQ(listed(), "");
  const AccountKey first = story.new_key(), second = story.new_key();
  EXPECT_EQ(story.web.post(kConsoleHost, "/keys").at("error"), "LimitExceeded");
  EXPECT_THAT(listed(), HasSubstr(first.access_key_id));
  EXPECT_THAT(listed(), HasSubstr(second.access_key_id));
  const auto remove = [&](const std::string& id) {
    return story.web.call("DELETE", kConsoleHost, "/keys/" + id).status;
  };
  EXPECT_EQ(remove(first.access_key_id), 204);
  EXPECT_EQ(remove(first.access_key_id), 404);
  EXPECT_EQ(listed(), second.access_key_id);
  EXPECT_EQ(element(query_call(*fixture.sandbox, first, Service::kSts, kSts, kWhoAmI), "Code"),
            "InvalidClientTokenId");
  // Another account's key is none of ours.
  EXPECT_EQ(remove(fixture.sandbox->account("joint").access_key_id), 404);

  story.admin.post("/settings", {{"list_lag_s", 1000}, {"key_lag_s", 1000}});
  EXPECT_EQ(listed(), "");
  EXPECT_EQ(element(query_call(*fixture.sandbox, second, Service::kSts, kSts, kWhoAmI), "Code"),
            "InvalidClientTokenId");
  EXPECT_EQ(remove(second.access_key_id), 204);
  EXPECT_EQ(listed(), second.access_key_id);  // the list still shows it
  story.admin.post("/settings", {{"list_lag_s", 0}, {"key_lag_s", 0}});
  EXPECT_EQ(listed(), "");
}

TEST(Console, TheNewestCsrfAloneCounts) {
  const Fixture fixture;
  Story story(fixture);
  story.sign_up();
  story.sign_in();
  auto& cookies = story.web.cookies[kConsoleHost];
  const std::string old = cookies["console-csrf"];
  story.web.get(kConsoleHost, "/home");
  const std::string fresh = cookies["console-csrf"];
  cookies["console-csrf"] = old;
  EXPECT_EQ(story.web.post(kConsoleHost, "/keys").status, 403);
  EXPECT_EQ(story.web.call("DELETE", kConsoleHost, "/keys/AKIA").status, 403);
  cookies["console-csrf"] = fresh;
  EXPECT_EQ(story.web.post(kConsoleHost, "/keys").status, 201);
  story.admin.post("/settings", {{"console_lifetime_s", 0}});
  EXPECT_EQ(story.web.post(kConsoleHost, "/keys").status, 401);
}

TEST(Signin, WhoSignedUpCanSignInAfterARestart) {
  Fixture fixture;
  Story story(fixture);
  story.sign_up();
  SandboxOptions options;
  options.state_dir = fixture.dir / "state";
  options.quiet = true;
  fixture.sandbox.reset();
  fixture.sandbox = std::make_unique<Sandbox>(options);
  fixture.sandbox->start();
  Story later(fixture);
  later.begin_sign_in();
  EXPECT_EQ(later.authenticate(later.password, client_metadata()).at("account"), story.account);
}

}  // namespace signin_test
}  // namespace flexroom::cloud::test
