// The sign-up of the sandbox, driven by a client in the clear.
#include "cloud/signup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>

#include "unit/cloud/browser.h"

namespace flexroom::cloud::test {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

TEST(Signup, FromAnAddressToAChargedAccount) {
  const Fixture fixture;
  Story story(fixture);
  EXPECT_EQ(story.open_mailbox(), 201);
  story.log_in_to_mail();
  const Answer start = story.web.get(kSignupHost, "/start");
  EXPECT_THAT(start.header("set-cookie"),
              HasSubstr("session=" + story.web.cookies[kSignupHost]["session"] +
                        "; Path=/; Secure; HttpOnly"));
  EXPECT_EQ(story.submit_email().status, 200);
  EXPECT_EQ(story.solve_captcha().status, 200);
  EXPECT_EQ(story.ask_for_code().status, 200);
  const auto [id, otp] = story.newest_code();
  EXPECT_EQ(otp, story.admin.last("gave", "one-time code", story.address));
  EXPECT_EQ(story.mail("DELETE", "/messages/" + id).status, 204);
  EXPECT_EQ(story.verify(otp).status, 200);
  const Answer done = story.complete();
  EXPECT_EQ(done.status, 200);
  EXPECT_THAT(done.at("account"), MatchesRegex("[0-9]{12}"));
  EXPECT_EQ(story.web.post(kSignupHost, "/billing").status, 200);
  EXPECT_EQ(story.info().status, 200);
  EXPECT_EQ(story.charge(std::string(32, 'a')).status, 200);
  EXPECT_EQ(story.web.post(kSignupHost, "/phone").status, 200);
  const std::string code = story.admin.last("gave", "telephone code", done.at("account"));
  EXPECT_EQ(story.web.form(kSignupHost, "/phone/verify", "code=" + code).status, 200);
  EXPECT_EQ(story.web.form(kSignupHost, "/phone/verify", "code=" + code).status, 409);
  // It knows what it was given.
  EXPECT_EQ(story.admin.last("saw", "password", story.address), story.password);
  EXPECT_EQ(story.admin.last("saw", "cookie session"), story.web.cookies[kSignupHost]["session"]);
  EXPECT_EQ(story.admin.last("saw", "cookie creds"), story.web.cookies[kSignupHost]["creds"]);
  EXPECT_EQ(story.admin.last("saw", "given"), "Ada");
  EXPECT_EQ(story.admin.last("saw", "charge", done.at("account")), "4111111111111111");
}

TEST(Signup, TheCaptchaIsAPictureThatIsAnsweredOnce) {
  const Fixture fixture;
  Story story(fixture);
  story.web.get(kSignupHost, "/start");
  const std::string id = story.web.post(kSignupHost, "/captcha").at("id");
  // By its id, without a cookie.
  const std::string image =
      Browser(*fixture.sandbox).get(kSignupHost, "/captcha/" + id).at("image");
  ASSERT_THAT(image, StartsWith("data:image/png;base64,"));
  std::ofstream(fixture.dir / "c.png") << to_text(*base64_decode(image.substr(22)));
  // Another reader of PNG than the writer, with its checksums.
  EXPECT_THAT(run("/usr/bin/python3 -c 'import struct,sys,zlib\n"
                  "d=open(sys.argv[1],\"rb\").read();p=8;z=b\"\"\n"
                  "while p<len(d):\n"
                  " n,=struct.unpack(\">I\",d[p:p+4]);t=d[p+4:p+8];b=d[p+8:p+8+n]\n"
                  " assert zlib.crc32(t+b)==struct.unpack(\">I\",d[p+8+n:p+12+n])[0]\n"
                  " z+=b if t==b\"IDAT\" else b\"\"\n"
                  " p+=12+n\n"
                  "print(len(zlib.decompress(z)))' " +
                  (fixture.dir / "c.png").string()),
              std::to_string(64 * (1 + 23)) + "\n");
  const std::string answer = story.admin.last("gave", "captcha answer", id);
  const auto verify = [&](const std::string& which, const std::string& what) {
    return story.web.form(kSignupHost, "/captcha/verify", "id=" + which + "&answer=" + what);
  };
  EXPECT_EQ(verify(id, "wrong!").at("error"), "BadCaptcha");
  EXPECT_EQ(verify(id, answer).at("error"), "BadCaptcha");  // over with the first answer
  EXPECT_EQ(story.web.get(kSignupHost, "/access-code").at("error"), "CaptchaFirst");
  const std::string second = story.web.post(kSignupHost, "/captcha").at("id");
  const std::string right = story.admin.last("gave", "captcha answer", second);
  EXPECT_EQ(verify(second, lower(right)).status, 200);
  EXPECT_EQ(story.web.get(kSignupHost, "/captcha/" + second).status, 404);
  story.admin.post("/settings", {{"captcha_lifetime_s", 0}});
  EXPECT_EQ(story.solve_captcha().status, 400);
}

TEST(Signup, NoStepWithoutItsSessionItsCsrfAndTheStepsBefore) {
  const Fixture fixture;
  Story story(fixture);
  EXPECT_EQ(story.submit_email().status, 401);
  story.web.get(kSignupHost, "/start");
  auto& cookies = story.web.cookies[kSignupHost];
  const std::string csrf = cookies["csrf"];
  cookies["csrf"] = std::string(32, '0');
  EXPECT_EQ(story.submit_email().status, 401);
  cookies["csrf"] = csrf;
  EXPECT_EQ(story.web.get(kSignupHost, "/access-code").status, 403);
  EXPECT_EQ(story.verify("000000").status, 400);
  EXPECT_EQ(story.complete().at("error"), "NotVerified");
  EXPECT_EQ(story.web.post(kSignupHost, "/billing").status, 401);
  EXPECT_EQ(story.submit_email().status, 200);
  story.admin.post("/settings", {{"session_lifetime_s", 0}});
  EXPECT_EQ(story.submit_email().status, 401);
}

TEST(Signup, ReadsRequestsStrictly) {
  const Fixture fixture;
  Story story(fixture);
  story.web.get(kSignupHost, "/start");
  Browser& web = story.web;
  EXPECT_EQ(web.form(kSignupHost, "/email", "email=a%40b.test&email=c%40d.test").status, 400);
  EXPECT_EQ(web.form(kSignupHost, "/email", "email=a%40b.test&more=1").status, 400);
  EXPECT_EQ(web.form(kSignupHost, "/email", "mail=a%40b.test").status, 400);
  EXPECT_EQ(web.form(kSignupHost, "/email", "email=%ff%40b.test").status, 400);
  EXPECT_EQ(web.json(kSignupHost, "/email", {{"email", "a@b.test"}}).status, 415);
  EXPECT_EQ(web.form(kSignupHost, "/captcha", "x=1").status, 400);
  EXPECT_EQ(web.get(kSignupHost, "/email").status, 404);
  const auto with_cookie = [&](const std::string& line) {
    return Browser(*fixture.sandbox)
        .call("POST", kSignupHost, "/captcha", "", "", line)
        .at("error");
  };
  EXPECT_EQ(with_cookie("Cookie: a=1; a=2\r\n"), "BadCookie");
  EXPECT_EQ(with_cookie("Cookie: a=1\r\nCookie: b=2\r\n"), "BadCookie");
  EXPECT_EQ(with_cookie("Cookie: a=1;b=2\r\n"), "BadCookie");
  EXPECT_EQ(with_cookie("Cookie: a\r\n"), "BadCookie");
  EXPECT_EQ(with_cookie("Cookie: a=\r\n"), "BadCookie");
  EXPECT_EQ(with_cookie("Cookie: a=1\"\r\n"), "BadCookie");
}

TEST(Signup, PlantedLateWrongAndMissingCodes) {
  const Fixture fixture;
  Story story(fixture);
  story.open_mailbox();
  story.log_in_to_mail();
  story.web.get(kSignupHost, "/start");
  story.submit_email();
  story.solve_captcha();
  story.admin.post("/settings", {{"planted_codes", 1}, {"strangers", 1}});
  story.ask_for_code();
  const auto [planted_id, planted] = story.newest_code();
  const std::string right = story.admin.last("gave", "one-time code");
  EXPECT_NE(planted, right);
  EXPECT_EQ(story.verify(planted).at("error"), "BadCode");
  story.mail("DELETE", "/messages/" + planted_id);
  EXPECT_EQ(story.newest_code().second, right);

  story.admin.post("/settings", {{"otp_lifetime_s", 0}});
  EXPECT_EQ(story.verify(right).at("error"), "ExpiredCode");
  story.admin.post("/settings", {{"otp_lifetime_s", 600}, {"wrong_code_ends", true}});
  EXPECT_EQ(story.verify(planted).status, 400);
  EXPECT_EQ(story.verify(right).status, 400);  // it was ended by the wrong one

  story.mail("DELETE", "/messages/" + story.newest_code().first);
  story.admin.post("/settings", {{"lost_mails", 1}});
  EXPECT_EQ(story.ask_for_code().status, 200);
  EXPECT_EQ(story.newest_code().second, "");
  story.admin.post("/settings", {{"mail_delay_s", 1000}});
  EXPECT_EQ(story.ask_for_code().status, 200);
  EXPECT_EQ(story.newest_code().second, "");
  story.admin.post("/settings", {{"mail_delay_s", 0}});
  EXPECT_EQ(story.ask_for_code().status, 200);
  EXPECT_EQ(story.verify(story.newest_code().second).status, 200);
}

TEST(Signup, AnAccessCodeCountsOnceAndForItsAddress) {
  const Fixture fixture;
  Story story(fixture);
  story.web.get(kSignupHost, "/start");
  story.submit_email();
  story.solve_captcha();
  const auto submit = [&](const std::string& email, const std::string& code) {
    return story.web.form(kSignupHost, "/access-code", "email=" + email + "&code=" + code).status;
  };
  const std::string code = story.web.get(kSignupHost, "/access-code").at("code");
  EXPECT_EQ(submit("other%40example-mail.test", code), 400);
  EXPECT_EQ(submit(story.escaped(), std::string(32, '0')), 400);
  EXPECT_EQ(submit(story.escaped(), code), 200);
  EXPECT_EQ(submit(story.escaped(), code), 400);
  story.admin.post("/settings", {{"code_lifetime_s", 0}});
  EXPECT_EQ(story.ask_for_code().status, 400);
}

TEST(Signup, ThePasswordIsAFreshJweForItsKey) {
  const Fixture fixture;
  Story story(fixture);
  story.verify_address();
  const auto key = story.web.get(kSignupHost, "/key").json();
  const auto error = [&](const std::string& sealed) { return story.complete(sealed).at("error"); };
  std::string altered = jwe(key, story.password);
  altered.back() = altered.back() == 'A' ? 'Q' : 'A';
  EXPECT_EQ(error(altered), "BadPassword");
  EXPECT_EQ(error(story.password), "BadPassword");
  EXPECT_EQ(error(jwe(key, story.password) + ".AA"), "BadPassword");
  EXPECT_EQ(error(jwe(story.web.get(kSigninHost, "/key").json(), story.password)), "BadPassword");
  EXPECT_EQ(error(jwe(key, story.password, "RSA-OAEP-512")), "BadPassword");
  const std::string weak = jwe(key, "abcdefghijkl");
  EXPECT_EQ(error(weak), "WeakPassword");
  EXPECT_EQ(error(weak), "BadPassword");  // it was there before
  EXPECT_EQ(story.complete(jwe(key, story.password, "RSA-OAEP", "A128GCM")).status, 200);
}

TEST(Signup, OpensTheJwesOfOtherLibraries) {
  std::ifstream in(FLEXROOM_SOURCE_DIR "/tests/vectors/jwe.json");
  const auto vectors = nlohmann::json::parse(in);
  const std::string pem = vectors["private_key_pem"];
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  const Handle<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr));
  BIO_free(bio);
  ASSERT_NE(key, nullptr);
  ASSERT_EQ(vectors["cases"].size(), 4u);
  for (const auto& one : vectors["cases"]) {
    const auto opened = open_jwe(key.get(), vectors["kid"], one["jwe"]);
    if (one["password"].is_null()) {
      EXPECT_FALSE(opened) << one["name"];
    } else {
      EXPECT_EQ(opened, one["password"].get<std::string>()) << one["name"];
    }
  }
}

TEST(Signup, OneAccountAnAddress) {
  const Fixture fixture;
  Story story(fixture);
  story.sign_up();
  EXPECT_EQ(story.complete().status, 409);
  story.web.get(kSignupHost, "/start");
  EXPECT_EQ(story.submit_email().at("error"), "EmailTaken");

  Story taken(fixture, "taken");
  taken.admin.post("/settings", {{"taken_addresses", 1}});
  EXPECT_EQ(taken.open_mailbox(), 422);
  taken.log_in_to_mail();
  EXPECT_EQ(taken.token, "");

  Story foreign(fixture, "foreign");
  foreign.admin.post("/settings", {{"taken_accounts", 1}});
  foreign.web.get(kSignupHost, "/start");
  EXPECT_EQ(foreign.submit_email().status, 409);
}

TEST(Signup, WhoHasAnAccountSignsIn) {
  const Fixture fixture;
  Story story(fixture);
  story.sign_up();
  const auto signin = [&](const std::string& password, const std::string& spoilt) {
    Browser fresh(*fixture.sandbox);
    const std::string captcha = fresh.post(kSignupHost, "/signin/start").at("captcha");
    return fresh.json(kSignupHost, "/signin",
                      {{"email", story.address},
                       {"captcha", captcha},
                       {"answer", spoilt + story.admin.last("gave", "captcha answer", captcha)},
                       {"password", jwe(fresh.get(kSignupHost, "/key").json(), password)}});
  };
  EXPECT_EQ(signin(story.password, "x").status, 400);
  EXPECT_EQ(signin("another Passw0rd!", "").status, 401);
  const Answer in = signin(story.password, "");
  EXPECT_EQ(in.at("account"), story.account);
  EXPECT_THAT(in.header("set-cookie"), StartsWith("creds="));
}

TEST(Signup, ACardIsChargedOnceAnIdempotencyKey) {
  const Fixture fixture;
  Story story(fixture);
  story.sign_up();
  EXPECT_EQ(story.charge("", "4111111111111111").status, 400);  // no key
  EXPECT_EQ(story.charge(std::string(32, 'a'), "4111111111111112").status, 400);
  EXPECT_EQ(story.charge(std::string(32, 'a')).status, 200);
  EXPECT_EQ(story.charge(std::string(32, 'a')).status, 200);
  EXPECT_EQ(story.admin.count("saw", "charge"), 1u);
  EXPECT_EQ(story.charge(std::string(32, 'a'), "5555555555554444").status, 422);
  story.admin.post("/settings", {{"refused_cards", 1}});
  EXPECT_EQ(story.charge(std::string(32, 'b')).status, 402);
  EXPECT_EQ(story.charge(std::string(32, 'b')).status, 402);  // the same key, the same answer
  EXPECT_EQ(story.charge(std::string(32, 'c')).status, 200);
  EXPECT_EQ(story.admin.count("saw", "charge"), 2u);
  EXPECT_EQ(story.web
                .json(kSignupHost, "/card", {{"number", "4111111111111111"}, {"ref", "none"}},
                      "Idempotency-Key: " + std::string(32, 'd') + "\r\n")
                .at("error"),
            "BadReference");
  EXPECT_EQ(story.web.post(kSignupHost, "/phone").at("error"), "NoPhone");
  EXPECT_EQ(
      story.web
          .json(
              kSignupHost, "/info",
              {{"given", "Eve"}, {"family", "Byron"}, {"phone", "123456789012"}, {"address", "x"}})
          .at("error"),
      "OtherName");
  story.info();
  story.web.post(kSignupHost, "/phone");
  EXPECT_EQ(story.web.form(kSignupHost, "/phone/verify", "code=none").status, 400);
}

TEST(Signup, CookiesRotateAndEndAsTheSwitchesSay) {
  const Fixture fixture;
  Story story(fixture);
  auto& cookies = story.web.cookies[kSignupHost];
  story.web.get(kSignupHost, "/start");
  const std::string first = cookies["session"];
  EXPECT_EQ(story.submit_email().header("set-cookie"), "");
  story.admin.post("/settings", {{"rotate_cookies", true}});
  EXPECT_THAT(story.submit_email().header("set-cookie"), StartsWith("session="));
  const std::string second = cookies["session"];
  EXPECT_NE(second, first);
  cookies["session"] = first;
  EXPECT_EQ(story.submit_email().status, 401);  // the old one is over
  cookies["session"] = second;
  story.admin.post("/settings", {{"blank_cookie", "session"}});
  EXPECT_THAT(story.submit_email().header("set-cookie"), StartsWith("session=;"));
  cookies["session"] = second;
  story.admin.post("/settings", {{"delete_cookie", "session"}});
  EXPECT_THAT(story.submit_email().header("set-cookie"), HasSubstr("Max-Age=0"));
}

}  // namespace
}  // namespace flexroom::cloud::test
