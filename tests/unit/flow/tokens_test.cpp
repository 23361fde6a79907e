#include "flow/tokens.h"

#include "flow_fixture.h"

// A token that authorises a later request is a secret (tls-in-mpc.md §4.6 R2-7): the rules of the
// loader that keep it one. Edits of shipped files are in vectors/flow/refusals.txt.

namespace flexroom::flow {
namespace {

TEST(FlowTokens, NamesSayWhatAuthorises) {
  for (const std::string name :
       {"token",         "access_token", "NextToken",     "CSRFToken",    "csrfmiddlewaretoken",
        "x-csrf",        "code",         "authCode",      "session",      "JSESSIONID",
        "PHPSESSID",     "sid",          "Authorization", "x-auth",       "api-key",
        "X-Api-Key",     "ticket",       "otp",           "ClientSecret", "password",
        "SAMLAssertion", "session/id",   "sig",           "jwt2"}) {
    EXPECT_TRUE(names_token(name)) << name;
  }
  for (const std::string name :
       {"", "id", "AccessKeyId", "RoleArn", "ImageId", "encode", "barcodes", "author", "side",
        "Status", "design", "caseId", "x-request-id", "CountryCodes"}) {
    EXPECT_FALSE(names_token(name)) << name;
  }
}

/// Two steps: the first opens run/x (or account/x), the second has it in that place.
std::string two_steps(const std::string& opens, const std::string& uses, bool open_answer = false,
                      const std::string& more = "") {
  return "[flow]\nname = \"x\"\nprovider = \"sandbox\"\nprefix = \"account\"\n"
         "hosts = [\"signin.flexroom.example\"]\n" +
         more + "[[step]]\nname = \"Ask\"\n" + (open_answer ? "sealed = false\n" : "") +
         "request = '''\nGET /ask HTTP/1.1\nHost: signin.flexroom.example\n'''\n" + opens +
         "[[step]]\nname = \"Use\"\nrequest = '''\n" + uses + "'''\non.unknown = \"again\"\n";
}
std::string form(const std::string& body, const std::string& lines = "",
                 const std::string& path = "/use") {
  return "POST " + path + " HTTP/1.1\nHost: signin.flexroom.example\n" + lines +
         "Content-Type: application/x-www-form-urlencoded\n\n" + body + "\n";
}
std::string open_at(const std::string& at) {
  return "open.\"run/x\" = { at = '" + at + "', class = \"urlsafe\", max = 64 }\n";
}
std::string said_of(const std::string& text) {
  return refusal_of([&] { (void)parse_flow(text, "x.toml", sandbox_room()); });
}

TEST(FlowTokens, WhatAnAnswerOpenedAuthorisesNothing) {
  const auto refused = [](const std::string& text) {
    return said_of(text).find("authorises a request, and an answer opens it") != std::string::npos;
  };
  const std::string plain = open_at("json /id"), x = "{{run/x}}";
  for (const bool open : {false, true}) {
    EXPECT_EQ(said_of(two_steps(plain, form("id=" + x), open)), "accepted");
    EXPECT_EQ(said_of(two_steps(plain, form("id=1", "", "/things/" + x), open)), "accepted");
    EXPECT_TRUE(refused(two_steps(plain, form("code=" + x), open)));
    EXPECT_TRUE(refused(two_steps(plain, form("id=1", "Cookie: a=" + x + "\n"), open)));
    EXPECT_TRUE(refused(two_steps(plain, form("id=1", "Authorization: Bearer " + x + "\n"), open)));
    EXPECT_TRUE(refused(two_steps(plain, form("id=1", "X-Csrf: " + x + "\n"), open)));
    EXPECT_TRUE(refused(two_steps(plain, form("id=1", "", "/use?token=" + x), open)));
    EXPECT_TRUE(
        refused(two_steps(plain,
                          "POST /use HTTP/1.1\nHost: signin.flexroom.example\nContent-Type: "
                          "application/json\n\n{\"session\": {\"id\": \"" +
                              x + "\"}}\n",
                          open)));
  }
  // Where the answer has it says what it is, wherever it goes.
  for (const std::string at : {"json /session/token", "json /ticket", "header X-Token: {{}}",
                               "header Location: https://a.example/cb?state=1&code={{}}",
                               "json /link after \"https://a.example/go?otp=\""}) {
    EXPECT_TRUE(refused(two_steps(open_at(at), form("id=" + x)))) << at;
    EXPECT_TRUE(refused(two_steps(open_at(at), form("id=1", "", "/things/" + x)))) << at;
  }
  EXPECT_EQ(said_of(two_steps(open_at("header Location: /things/{{}}"),
                              form("id=1", "", "/things/" + x))),
            "accepted");
  // Kept it may, with its purpose; of an open answer nothing is.
  const std::string kept =
      "keep.\"run/x\" = { at = 'json /session/token', class = \"urlsafe\", length = 22, entropy = "
      "128, purposes = [\"POST https://signin.flexroom.example/use form code={{}}\"] }\n";
  EXPECT_EQ(said_of(two_steps(kept, form("code=" + x))), "accepted");
  EXPECT_NE(said_of(two_steps(kept, form("code=" + x), true)).find("an open answer keeps nothing"),
            std::string::npos);
}

// What an earlier flow opened every member of the room knows.
TEST(FlowTokens, NorDoesAnOpenedValueOfTheRoom) {
  const auto said = [](const std::string& uses) {
    const Flow flow =
        parse_flow(two_steps("", uses, false, "uses = [\"x\"]\n"), "x.toml", sandbox_room());
    KnownValue value{false, 0, ValueClass::kUrlSafe, {}};
    value.is_public = true;
    return refusal_of([&] { (void)check_against(flow, {{"x", value}}); });
  };
  EXPECT_EQ(said(form("id={{x}}")), "accepted");
  EXPECT_NE(said(form("token={{x}}")).find("every member of the room knows it"), std::string::npos);
  EXPECT_NE(said(form("id=1", "Cookie: a={{x}}\n")).find("every member of the room knows it"),
            std::string::npos);
}

}  // namespace
}  // namespace flexroom::flow
