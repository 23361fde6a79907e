// Everything that can be made to go wrong with a call, seen by a client in the clear.
#include "cloud/faults.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>

#include "base/error.h"
#include "cloud/web.h"
#include "unit/cloud/browser.h"

namespace flexroom::cloud::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr const char* kSts = "sts.us-east-1.amazonaws.com";
constexpr const char* kWhoAmI = "Action=GetCallerIdentity&Version=2011-06-15";

TEST(Faults, RulesThatAreNoneAreRefusedWithTheForm) {
  Faults faults;
  const auto refusal = [&](const std::string& rule) -> std::string {
    try {
      faults.set({rule});
      return "";
    } catch (const InputError& error) {
      return error.what();
    }
  };
  EXPECT_EQ(refusal("* mail.flexroom.example/* 503+late=5+echo x2 after 1"), "");
  for (const char* rule :
       {"", "GET", "GET host 503", "GET /path 503", "GET host/path", "GET host/path 299",
        "GET host/path 600", "GET host/path late=x", "GET host/path boom", "GET host/path 503 2",
        "GET host/path 503 xx", "GET host/path 503 after", "GET host/path 503 x-1"}) {
    EXPECT_THAT(refusal(rule), HasSubstr("say METHOD HOST/PATH WHAT")) << rule;
  }
  // Those there were still hold.
  const Request request{"GET", "/a", "", {{"Host", kMailHost}}, ""};
  EXPECT_EQ(faults.next(request).status, 0);  // after 1
  EXPECT_EQ(faults.next(request).status, 503);
  EXPECT_EQ(faults.next(request).status, 503);
  EXPECT_EQ(faults.next(request).status, 0);  // x2
}

TEST(Faults, ThrottlingIsAnsweredInTheFormatOfTheServiceAndDoesNothing) {
  const Fixture fixture;
  Story story(fixture);
  story.admin.post("/faults", {"POST mail.flexroom.example/accounts 429 x1",
                               "POST mail.flexroom.example/accounts 503 x1 after 1",
                               "POST sts.us-east-1.amazonaws.com/ 500 x1"});
  EXPECT_EQ(story.open_mailbox(), 429);
  EXPECT_EQ(story.open_mailbox(), 503);
  EXPECT_EQ(story.open_mailbox(), 201);
  EXPECT_EQ(story.open_mailbox(), 422);
  const AccountKey key = fixture.sandbox->account("joint");
  const std::string refused = query_call(*fixture.sandbox, key, Service::kSts, kSts, kWhoAmI);
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 500"));
  EXPECT_THAT(refused, HasSubstr("<Type>Receiver</Type>"));
  EXPECT_THAT(query_call(*fixture.sandbox, key, Service::kSts, kSts, kWhoAmI),
              HasSubstr(" 200 OK"));
}

TEST(Faults, LateDroppedAndCutAnswers) {
  const Fixture fixture;
  Story story(fixture);
  story.admin.post("/faults", {"GET mail.flexroom.example/domains late=300"});
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(story.web.get(kMailHost, "/domains").status, 200);
  EXPECT_GE(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(300));
  story.admin.post("/faults", {"POST mail.flexroom.example/accounts drop x1",
                               "POST mail.flexroom.example/accounts cut x1 after 1"});
  EXPECT_EQ(story.open_mailbox(), 0);
  EXPECT_EQ(story.open_mailbox(), 0);  // but this one was carried out
  EXPECT_EQ(story.open_mailbox(), 422);
}

TEST(Faults, TruncatedAndCompressedAnswers) {
  const Fixture fixture;
  Story story(fixture);
  const std::string whole = story.web.get(kMailHost, "/domains").body;
  story.admin.post("/faults", {"GET mail.flexroom.example/domains truncate"});
  const Answer half = story.web.get(kMailHost, "/domains");
  EXPECT_EQ(half.header("content-length"), std::to_string(whole.size()));
  EXPECT_EQ(half.body, whole.substr(0, whole.size() / 2));
  story.admin.post("/faults", {"GET mail.flexroom.example/domains gzip"});
  const Answer packed = story.web.get(kMailHost, "/domains");
  EXPECT_EQ(packed.header("content-encoding"), "gzip");
  EXPECT_NE(packed.body, whole);
  std::ofstream(fixture.dir / "a.gz") << packed.body;
  EXPECT_EQ(run("gzip -dc " + (fixture.dir / "a.gz").string()), whole);
}

TEST(Faults, RedirectsAndAnswersThatAreTooLong) {
  const Fixture fixture;
  Story story(fixture);
  const std::string whole = story.web.get(kMailHost, "/domains").body;
  story.admin.post("/faults", {"POST mail.flexroom.example/accounts 302 x1",
                               "GET mail.flexroom.example/domains long=9000 x1",
                               "GET mail.flexroom.example/domains header=7000 x1 after 1"});
  const Answer moved = story.web.json(kMailHost, "/accounts?a=b", nlohmann::json::object());
  EXPECT_EQ(moved.status, 302);
  EXPECT_EQ(moved.header("location"), "https://moved.flexroom.example/accounts?a=b");
  EXPECT_EQ(story.open_mailbox(), 201);  // nothing was done
  const Answer body = story.web.get(kMailHost, "/domains");
  EXPECT_EQ(body.body, whole + std::string(9000, ' '));
  EXPECT_EQ(body.json(), nlohmann::json::parse(whole));
  const Answer header = story.web.get(kMailHost, "/domains");
  EXPECT_EQ(header.header("x-long").size(), 7000u);
  EXPECT_EQ(header.body, whole);
}

TEST(Faults, ErrorsThatRepeatWhatTheyWereSent) {
  const Fixture fixture;
  Story story(fixture);
  story.web.get(kSignupHost, "/start");
  const std::string session = story.web.cookies[kSignupHost]["session"];
  EXPECT_THAT(story.verify("000000").body, Not(HasSubstr("000000")));
  story.admin.post("/faults", {"POST signup.flexroom.example/* echo"});
  const Answer answer = story.verify("000000");
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.at("message"), HasSubstr("otp=000000"));
  EXPECT_THAT(answer.at("message"), HasSubstr("session=" + session));
  story.admin.post("/faults", {"POST signup.flexroom.example/* 403+echo"});
  EXPECT_THAT(story.submit_email().at("message"), HasSubstr("email=" + story.escaped()));
  story.admin.post("/faults", {"POST sts.us-east-1.amazonaws.com/ 400+echo"});
  EXPECT_THAT(
      query_call(*fixture.sandbox, fixture.sandbox->account("joint"), Service::kSts, kSts, kWhoAmI),
      HasSubstr("Action=GetCallerIdentity&amp;Version"));
}

TEST(Faults, ErrorsThatAreNotWhatTheySay) {
  const Fixture fixture;
  Story story(fixture);
  story.admin.post("/faults", {"* signup.flexroom.example/* garble"});
  const Answer answer = story.submit_email();
  EXPECT_EQ(answer.status, 401);
  EXPECT_TRUE(answer.json().is_discarded());
  EXPECT_FALSE(story.web.get(kSignupHost, "/key").json().is_discarded());  // not of errors alone
}

TEST(Faults, ErrorsWithoutATypeAsEc2SendsThem) {
  const Fixture fixture;
  Story story(fixture);
  EXPECT_THAT(story.submit_email().header("content-type"), HasSubstr("application/json"));
  story.admin.post("/faults", {"* signup.flexroom.example/* untyped"});
  const Answer answer = story.submit_email();
  EXPECT_EQ(answer.status, 401);
  EXPECT_FALSE(answer.json().is_discarded());
  EXPECT_EQ(answer.header("content-type"), "");
  EXPECT_THAT(story.web.get(kSignupHost, "/key").header("content-type"),
              HasSubstr("application/json"));  // not of errors alone
}

TEST(Faults, FromTheCommandLineAndIntoAFile) {
  SandboxOptions options;
  options.faults = {"GET mail.flexroom.example/domains 503 x1"};
  options.settings = {"strangers=3", "rotate_cookies=true", "blank_cookie=session"};
  const std::string record =
      (std::filesystem::temp_directory_path() / ("flexroom-record-" + random_hex(12))).string();
  options.record = record;
  {
    const Fixture fixture(options);
    Story story(fixture);
    EXPECT_EQ(story.web.get(kMailHost, "/domains").status, 503);
    story.open_mailbox();
    story.log_in_to_mail();
    EXPECT_EQ(story.mail("GET", "/messages").json()["hydra:totalItems"], 3);
    struct stat status {};
    ASSERT_EQ(::stat(record.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    std::ifstream in(record);
    std::string line;
    std::getline(in, line);
    EXPECT_EQ(nlohmann::json::parse(line)["value"], story.address);
  }
  std::filesystem::remove(record);
}

TEST(Faults, EveryAnswerIsAsLateAsIsSaid) {
  SandboxOptions options;
  options.latency = std::chrono::milliseconds(300);
  const Fixture fixture(options);
  Story story(fixture);
  for (const char* const page : {"/domains", "/nowhere"}) {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_NE(story.web.get(kMailHost, page).status, 0);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, options.latency);
  }
}

TEST(Faults, SettingsThatAreNoneStopTheStart) {
  const auto refused = [](const std::string& setting) {
    SandboxOptions options;
    options.settings = {setting};
    try {
      const Fixture fixture(options);
      return std::string();
    } catch (const InputError& error) {
      return std::string(error.what());
    }
  };
  EXPECT_THAT(refused("strangers"), HasSubstr("say NAME=VALUE"));
  EXPECT_THAT(refused("strangers=many"), HasSubstr("it is now 0"));
  EXPECT_THAT(refused("nothing=1"), HasSubstr("there are blank_cookie, "));
  SandboxOptions options;
  options.page_key_bits = 1024;
  EXPECT_THROW(Fixture{options}, InputError);
  options.page_key_bits = 2048;
  options.record = "/nowhere/at/all";
  EXPECT_THROW(Fixture{options}, InputError);
  // Nothing was made.
  options.state_dir = std::filesystem::temp_directory_path() / ("flexroom-" + random_hex(12));
  EXPECT_THROW(Sandbox{options}, InputError);
  EXPECT_FALSE(std::filesystem::exists(options.state_dir));
}

}  // namespace
}  // namespace flexroom::cloud::test
