// The mail service of the sandbox, driven by a client in the clear.
#include "cloud/mail.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/cloud/browser.h"

namespace flexroom::cloud::test {
namespace {

using testing::HasSubstr;

TEST(Mail, ListsItsDomainsAndWhichAreOpen) {
  const Fixture fixture;
  const Answer answer = Browser(*fixture.sandbox).get(kMailHost, "/domains");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.header("content-type"), "application/json");
  const auto domains = answer.json()["hydra:member"];
  ASSERT_EQ(domains.size(), 2u);
  EXPECT_FALSE(domains[0]["isActive"]);
  EXPECT_EQ(domains[1]["domain"], "example-mail.test");
  EXPECT_TRUE(domains[1]["isActive"]);
  EXPECT_FALSE(domains[1]["isPrivate"]);
}

TEST(Mail, OpensABoxOnceAndRefusesBadOnes) {
  const Fixture fixture;
  Browser web(*fixture.sandbox);
  const auto open = [&](const std::string& address, const std::string& password) {
    return web.json(kMailHost, "/accounts", {{"address", address}, {"password", password}});
  };
  const Answer made = open("a.b@example-mail.test", "long enough");
  EXPECT_EQ(made.status, 201);
  EXPECT_EQ(made.at("address"), "a.b@example-mail.test");
  EXPECT_EQ(made.header("content-type"), "application/ld+json; charset=utf-8");
  const Answer again = open("A.B@example-mail.test", "long enough");
  EXPECT_EQ(again.status, 422);
  EXPECT_EQ(again.json()["violations"][0]["propertyPath"], "address");
  EXPECT_EQ(again.at("hydra:description"), "address: This value is already used.");
  EXPECT_EQ(open("a@elsewhere.test", "long enough").status, 422);
  EXPECT_EQ(open("a b@example-mail.test", "long enough").status, 422);
  EXPECT_EQ(open("@example-mail.test", "long enough").status, 422);
  EXPECT_EQ(open("c@example-mail.test", "short").status, 422);
  EXPECT_EQ(web.call("POST", kMailHost, "/accounts", "{", "application/json").status, 400);
  EXPECT_EQ(web.call("POST", kMailHost, "/accounts",
                     R"({"address":"d@example-mail.test","address":"e@example-mail.test",)"
                     R"("password":"long enough"})",
                     "application/json")
                .status,
            400);
  EXPECT_EQ(web.json(kMailHost, "/accounts", {{"address", 7}, {"password", "long enough"}}).status,
            400);
  EXPECT_EQ(web.form(kMailHost, "/accounts", "address=d").status, 415);
}

TEST(Mail, ATokenOpensOnesOwnBoxOnly) {
  const Fixture fixture;
  Story mine(fixture, "mine"), theirs(fixture, "theirs");
  EXPECT_EQ(mine.open_mailbox(), 201);
  EXPECT_EQ(theirs.open_mailbox(), 201);
  EXPECT_EQ(
      mine.web
          .json(kMailHost, "/token", {{"address", mine.address}, {"password", "another password"}})
          .status,
      401);
  EXPECT_EQ(mine.mail("GET", "/messages").status, 401);
  mine.log_in_to_mail();
  theirs.log_in_to_mail();
  EXPECT_EQ(mine.admin.post("/mails", {{"to", theirs.address},
                                       {"from", "a@b.test"},
                                       {"from_name", "A"},
                                       {"subject", "s"},
                                       {"text", "for them"}}),
            204);
  EXPECT_EQ(mine.mail("GET", "/messages").json()["hydra:totalItems"], 0);
  const std::string id = theirs.mail("GET", "/messages").json()["hydra:member"][0]["id"];
  EXPECT_EQ(mine.mail("GET", "/messages/" + id).status, 404);
  EXPECT_EQ(mine.mail("DELETE", "/messages/" + id).status, 404);
  EXPECT_EQ(theirs.mail("GET", "/messages/" + id).at("text"), "for them\n");
  mine.admin.post("/settings", {{"token_lifetime_s", 0}});
  EXPECT_EQ(theirs.mail("GET", "/messages").status, 401);
}

TEST(Mail, TheNewestComesFirstAndADeletedOneIsGone) {
  const Fixture fixture;
  Story story(fixture);
  story.admin.post("/settings", {{"strangers", 2}});
  story.open_mailbox();
  story.log_in_to_mail();
  for (const char* text : {"first", "second"}) {
    story.admin.post("/mails", {{"to", story.address},
                                {"from", "a@b.test"},
                                {"from_name", "A"},
                                {"subject", "s"},
                                {"text", text}});
  }
  const Answer list = story.mail("GET", "/messages");
  EXPECT_EQ(list.header("content-type"), "application/ld+json; charset=utf-8");
  const auto mails = list.json()["hydra:member"];
  ASSERT_EQ(mails.size(), 4u);
  EXPECT_EQ(mails[0]["intro"], "second");
  EXPECT_EQ(mails[1]["intro"], "first");
  EXPECT_EQ(mails[2]["subject"], "Verification code");  // a stranger's
  EXPECT_THAT(mails[2]["from"]["address"].get<std::string>(), HasSubstr("@stranger.test"));
  const std::string id = mails[0]["id"];
  EXPECT_EQ(story.mail("DELETE", "/messages/" + id).status, 204);
  EXPECT_EQ(story.mail("DELETE", "/messages/" + id).status, 404);
  EXPECT_EQ(story.mail("GET", "/messages").json()["hydra:member"][0]["intro"], "first");
}

TEST(Mail, ABoxOutlivesTheSandboxAndAMailDoesNot) {
  Fixture fixture;
  Story story(fixture);
  story.open_mailbox();
  SandboxOptions options;
  options.state_dir = fixture.dir / "state";
  options.quiet = true;
  fixture.sandbox.reset();
  fixture.sandbox = std::make_unique<Sandbox>(options);
  fixture.sandbox->start();
  Story later(fixture);
  EXPECT_EQ(later.open_mailbox(), 422);
  later.log_in_to_mail();
  EXPECT_EQ(later.mail("GET", "/messages").json()["hydra:totalItems"], 0);
}

TEST(Mail, OnlyTheOwnerOfTheTokenSteers) {
  const Fixture fixture;
  Admin admin(fixture);
  EXPECT_EQ(admin.post("/settings", {{"strangers", 1}}), 204);
  EXPECT_EQ(admin.post("/settings", {{"stranger", 1}}), 400);
  EXPECT_EQ(admin.post("/settings", {{"strangers", "1"}}), 400);
  EXPECT_EQ(admin.post("/settings", {{"strangers", -1}}), 400);
  EXPECT_EQ(admin.post("/settings", "x"), 400);
  EXPECT_EQ(Browser(*fixture.sandbox).get(kAdminHost, "/seen").status, 401);
  const Answer now = admin.browser.call("GET", kAdminHost, "/settings", "", "", admin.bearer);
  EXPECT_EQ(now.json()["strangers"], 1);
}

}  // namespace
}  // namespace flexroom::cloud::test
