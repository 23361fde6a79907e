#include "flow/capture.h"
#include "flow/keys.h"
#include "flow/plan.h"
#include "flow/request.h"
#include "flow_fixture.h"

namespace flexroom::flow {
namespace {

TEST(FlowSchema, ThePublishedFileIsThatOfTheKeyTable) {
  EXPECT_EQ(text_of(std::string(FLEXROOM_SOURCE_DIR) + "/share/flows/flow.schema.json"),
            json_schema());
}

TEST(FlowSchema, EveryShippedFileNamesItForEditors) {
  for (const std::string& name : shipped_names()) {
    EXPECT_TRUE(text_of(shipped(name)).starts_with("#:schema flow.schema.json\n")) << name;
  }
}

TEST(FlowKeys, AMisspeltKeyIsNamedWithTheNearestOne) {
  const std::string said = refusal_of([] {
    (void)edited("create-account", {{"leaves = \"a mailbox\"", "laeves = \"a mailbox\""}});
  });
  EXPECT_NE(said.find("unknown key `laeves`; did you mean `leaves`?"), std::string::npos) << said;
}

// §5.2: two crumbs of one value are two places, each with its own name.
TEST(FlowPlan, NamesEveryCrumbThatASecretStandsIn) {
  const Flow flow = edited(
      "create-account",
      {{"Cookie: session={{run/session}}; csrf={{run/csrf}}",
        "Cookie: session={{run/session}}; again={{run/session}}; csrf={{run/csrf}}"},
       {"keep.\"run/session\" = { at = \"cookie session\",",
        "keep.\"run/session\" = { purposes = [\"https://signup.flexroom.example cookie "
        "session={{}}\", \"https://signup.flexroom.example cookie again={{}}\"], at = \"cookie "
        "session\","}});
  const std::string plan = plan_text(flow);
  EXPECT_NE(plan.find("  leaves   run/session in cookie session={{}}\n"
                      "  leaves   run/session in cookie again={{}}\n"
                      "  leaves   run/csrf in cookie csrf={{}}\n"),
            std::string::npos)
      << plan;
}

// tls-in-mpc.md §5.6: of what this file does not say, plan does not say that nothing leaks.
TEST(FlowPlan, SaysBothWaysWhatATestShowsOfAValueThatItDoesNotKnow) {
  const std::string text =
      "[flow]\nname = \"x\"\nprovider = \"sandbox\"\nprefix = \"account\"\n"
      "hosts = [\"shop.flexroom.example\"]\nuses = [\"pin\"]\n[argument.g]\n[[step]]\n"
      "name = \"T\"\nrequest = '''\nGET /c HTTP/1.1\nHost: shop.flexroom.example\nX-Y: "
      "{{pin}}\n'''\nassert.a = { at = \"json /pin\", equals = \"{{g}}\" }\n";
  const auto plan = [&](const std::string& more, const KnownValues& room = {}) {
    return plan_text(parse_flow(text + more, "x.toml", sandbox_room()), {}, room);
  };
  const std::string open =
      "leaks nothing else, as far as this file tells\n"
      "  and of pin, if the room has it as a secret below 128 bits: up to ";
  EXPECT_NE(plan("").find(open + "8 bits\n"), std::string::npos) << plan("");
  EXPECT_NE(
      plan("on.404 = \"again x50\"\n").find(open + "58 bits, more than its life's 8: refused\n"),
      std::string::npos);
  KnownValues room;
  room["pin"] = {false, 128, ValueClass::kUrlSafe, {}};
  EXPECT_NE(plan("", room).find("leaks nothing else\n"), std::string::npos);
  room["pin"].entropy = 127;
  EXPECT_NE(plan("", room).find("leaks at most pin 8 bits (so far 0 of 8)\n"), std::string::npos);
}

// operations.md (a): what plan shows of one step, word for word; costs are the room's to count.
TEST(FlowPlan, ShowsWhatLeavesIsKeptOpenedAndLeft) {
  const std::string plan = plan_text(load_shipped("create-account"), {{"person", "hospital-a"}});
  for (const std::string line :
       {"GetOTP: GET https://mail.flexroom.example/messages   sealed\n"
        "  leaves   run/mail-token in header authorization: Bearer {{}}\n"
        "  keeps    run/otp (digits, 6)\n"
        "  opens    run/mail (at most 64 urlsafe) to all\n"
        "  opens    the status\n"
        "  lengths  of header lines, JSON names and values, and their nesting are seen by all "
        "members\n",
        "left at the provider: a mailbox, an account, a card charged by the account\n",
        "leaks nothing else\n", "SolveCaptcha: asks {{person}}\n  shows    run/image\n",
        " as jwe RSA-OAEP-256 A256GCM under the key of signup.flexroom.example\n"}) {
    EXPECT_NE(plan.find(line), std::string::npos) << line << "\n----\n" << plan;
  }
}

/// Runs of steps on one connection, joined by " > ", several by "; ".
std::string connections_of(const std::string& file) {
  const Flow flow = load_shipped(file);
  std::string out;
  flow.each_step([&](const Step& step) {
    if (step.next_on_connection.empty() || !step.previous_on_connection.empty()) return;
    out += (out.empty() ? "" : "; ") + step.name;
    for (const Step* next = &step; !next->next_on_connection.empty();) {
      EXPECT_EQ(flow.step(next->next_on_connection)->previous_on_connection, next->name);
      next = flow.step(next->next_on_connection);
      EXPECT_TRUE(next->sealed && next->host == step.host && next->line == step.line);
      out += " > " + next->name;
    }
  });
  return out;
}

// operations.md (c) "Connections": no person and no open answer on one, no poll but as its last.
TEST(FlowPlan, StepsShareAConnectionWhereTheFileLetsThem) {
  EXPECT_EQ(connections_of("create-session"),
            "GetSignin > SendEmail; SendCaptcha > CheckMFA > ConsoleSignin > ChallengeOauth; "
            "ConsoleRedirect1 > ConsoleRedirect2 > CreateAWSCredentials; "
            "ListOldKeys > DeleteOldKey; ListStrayKeys > DeleteStrayKey");
  EXPECT_EQ(connections_of("create-account"),
            "CreateEmail > GetMailToken; InitialRequest > SubmitEmail > RequestCaptcha; "
            "VerifyCaptcha > GetAccessCode > SubmitAccessCode; "
            "VerifyOTP > CompleteSignup > InitiateBilling > SubmitInfo > PrereqCredit > "
            "SubmitCredit > CallPhone");
  EXPECT_EQ(connections_of("run-script-classic"),
            "CreateIamRole > AttachSagePolicy; "
            "CreateKeyPair > CreateSecurityGroup");
  const std::string plan = plan_text(load_shipped("create-session"));
  EXPECT_NE(
      plan.find("  shares   the connection of SendCaptcha; where that has ended, a new one\n"),
      std::string::npos);
}

// The code would be over, and used, where the connection ends behind it.
TEST(FlowPlan, AStepWithAOneTimeCodeHasAConnectionOfItsOwn) {
  EXPECT_EQ(connections_of("enrol-totp"), "");
  const Flow other = edited("enrol-totp", {{"&AuthenticationCode1={{mfa/seed as totp}}", ""},
                                           {"&AuthenticationCode2={{mfa/seed as totp next}}", ""}});
  EXPECT_EQ(other.step("EnableMFADevice")->previous_on_connection, "CreateVirtualMFADevice");
}

// Where an accepted answer leads elsewhere, the step below is not the next one.
TEST(FlowPlan, AStepThatLeadsElsewhereKeepsNoConnection) {
  const Flow flow = edited("create-session", {{"on.401 = \"back GetSigninConsole\"\n"
                                               "on.unknown = \"back SendEmail\"",
                                               "on.ok = \"back SendEmail x2\"\non.401 = \"next\"\n"
                                               "on.unknown = \"back SendEmail\""}});
  EXPECT_EQ(flow.step("SendCaptcha")->next_on_connection, "");
  EXPECT_EQ(flow.step("CheckMFA")->next_on_connection, "ConsoleSignin");
}

/// What a step takes, as the room counts it: a step under each of two suites.
std::vector<StepCost> counted(const Step& step) {
  if (step.name == "DeleteMail") return {};
  const bool mail = step.host == "mail.flexroom.example";
  StepCost aes{.suite = "aes128",
               .handshake = 300'000,
               .request = 120'000,
               .answer = 80'000,
               .pad = {},
               .bytes = 20e6};
  const StepCost chacha{
      .suite = "chacha20", .handshake = 300'000, .request = 60'000, .pad = {}, .bytes = 9e6};
  if (!step.previous_on_connection.empty()) aes.renewed = 410'000;
  return mail ? std::vector{chacha, aes} : std::vector{aes, chacha};
}

// Of every step what each suite takes, and of every host which is offered and which is cheaper.
TEST(FlowPlan, SaysWhatEachSuiteTakes) {
  const std::string plan = plan_text(load_shipped("create-account"), {}, {}, {}, counted);
  for (const std::string line :
       {"  costs    up to, with aes128: 0.50 M ANDs (handshake 0.30, request 0.12, answer 0.08), "
        "20.0 MB to each member, about 0.3 s; on a new connection 0.41 M more\n"
        "           with chacha20: 0.36 M ANDs (handshake 0.30, request 0.06, answer 0.00), 9.0 MB "
        "to each member\n",
        "  costs    up to, with chacha20: 0.36 M ANDs (", "  costs    not counted: no run can make",
        "suite    mail.flexroom.example: chacha20 is offered, 1.44 M ANDs and 36 MB; aes128 would "
        "take 2.00 M and 80 MB, no cheaper\n",
        "suite    signup.flexroom.example: aes128 is offered, "}) {
    EXPECT_NE(plan.find(line), std::string::npos) << line << "\n----\n" << plan;
  }
  const size_t signup = plan.find("suite    signup");
  EXPECT_NE(plan.find(", cheaper\n", signup), std::string::npos);
  EXPECT_EQ(plan_text(load_shipped("create-account")).find("  costs"), std::string::npos);
}

// What reading a header for the connection would cost, against a handshake.
TEST(FlowPlan, AStatusWithALongHeaderKeepsNoConnection) {
  const Flow flow = edited("create-session", {{"header_max = 512\n", "header_max = 2048\n"}});
  EXPECT_EQ(flow.step("SendCaptcha")->next_on_connection, "");
  EXPECT_EQ(flow.step("CheckMFA")->next_on_connection, "ConsoleSignin");
}

constexpr std::string_view kRecorded =
    "POST /v1/login?next=home HTTP/1.1\nHost: api.example.com\nContent-Type: application/json\n"
    "Cookie: sid=AbCdEf0123456789\nContent-Length: 47\n\n"
    "{\"user\": \"ward-7\", \"password\": \"hunter2hunter2\"}\n"
    "HTTP/1.1 201 Created\nContent-Type: application/json; charset=utf-8\n"
    "Set-Cookie: session=Zm9vYmFyYmF6cXV4MDE; Path=/; HttpOnly\n\n"
    "{\"token\": \"deadbeefdeadbeefdeadbeef00\", \"name\": \"Ward 7\"}\n";

TEST(FlowDraft, ARecordedCallBecomesAFileThatLoadsWithItsSecretsMarked) {
  const std::string draft =
      draft_flow(parse_capture(kRecorded, "capture.txt"), "login", "acme", "capture.txt");
  for (const std::string secret : {"AbCdEf0123456789", "hunter2hunter2", "Zm9vYmFyYmF6cXV4MDE",
                                   "deadbeefdeadbeefdeadbeef00"}) {
    EXPECT_EQ(draft.find(secret), std::string::npos) << secret;
  }
  const Flow flow = parse_flow(draft, "draft.toml", RoomView());
  const Step& step = *flow.step("Call");
  EXPECT_EQ(step.address, "POST https://api.example.com/v1/login");
  ASSERT_EQ(step.slots.size(), 4u);
  EXPECT_EQ(step.slots[0].position, "query next={{}}");
  EXPECT_EQ(step.slots[1].position, "cookie sid={{}}");
  EXPECT_EQ(step.slots[2].position, "json /user={{}}");
  EXPECT_EQ(step.slots[3].position, "json /password={{}}");
  ASSERT_NE(step.keep("run/session"), nullptr);
  ASSERT_NE(step.keep("run/token"), nullptr);
  EXPECT_EQ(step.keep("run/token")->value_class, ValueClass::kHex);
  EXPECT_EQ(step.status, std::vector<int>{201});
  EXPECT_EQ(draft.find("ward-7"), std::string::npos);
}

// A draft goes to all members: of a request nothing is shown that a person did not take for plain.
TEST(FlowDraft, EveryValueOfARequestIsASlotWhateverItIsCalled) {
  const auto draft = [](const std::string& request, const std::set<std::string>& show = {}) {
    return draft_flow(parse_capture(request, "c"), "x", "acme", "c", show);
  };
  const std::string host = " HTTP/1.1\nHost: api.example.com\n";
  const std::string form = "Content-Type: application/x-www-form-urlencoded\n\n";
  const std::string json = "Content-Type: application/json\n\n";
  const std::vector<std::pair<std::string, std::vector<std::string>>> all = {
      {"POST /a" + host + form + "user=alice&pwd=hunter2&passphrase=sword%zzfish&phone=5551234",
       {"alice", "hunter2", "sword", "5551234"}},
      {"POST /a" + host + json +
           "{\"pin\": 4711, \"pass\": \"swordfish\", \"pan\": 4111111111111111, \"l\": [\"ab\", "
           "17.5]}",
       {"4711", "swordfish", "4111111111111111", "\"ab\"", "17.5"}},
      {"GET /login/tok-9f8e7d/AbCdEfGh/x%41?q=word" + host, {"9f8e7d", "AbCdEfGh", "%41", "word"}},
      {"GET /a" + host + "X-Pin: 4711\nReferer: https://x.example/?t=zebra\nCookie: a=pear\n",
       {"4711", "zebra", "pear"}},
      {"GET /a" + host + "Authorization: hunter2 two\n", {"hunter2", "two"}},
      {"GET /a" + host + "Authorization: Basic YTpi\n", {"YTpi"}}};
  for (const auto& [request, secrets] : all) {
    const std::string out = draft(request);
    for (const std::string& secret : secrets) {
      EXPECT_EQ(out.find(secret), std::string::npos) << secret << "\n" << out;
    }
  }
  // Two values of one name are two slots, a number stands without quotes.
  const std::string two = draft("POST /a" + host + json + "{\"a\": {\"n\": 1}, \"b\": {\"n\": 2}}");
  EXPECT_NE(two.find("{\"a\":{\"n\":{{n}}},\"b\":{\"n\":{{n-2}}}}"), std::string::npos) << two;
  // Where no slot can stand, nothing is drafted.
  for (const std::string& bad : {"GET /a?hunter2" + host, "POST /a" + host + form + "hunter2",
                                 "GET /a" + host + "Cookie: hunter2\n"}) {
    const std::string said = refusal_of([&] { (void)draft(bad); });
    EXPECT_NE(said.find("without '='"), std::string::npos) << said;
    EXPECT_EQ(said.find("hunter2"), std::string::npos) << said;
  }
  // A person takes marks off.
  const std::string shown = draft("POST /v2/item/i-77?q=word" + host + "X-Kind: b2\n" + json +
                                      "{\"size\": 3, \"color\": \"red\", \"pin\": 4711}",
                                  {"path-3", "q", "x-kind", "size", "color"});
  EXPECT_NE(shown.find("POST /v2/item/i-77?q=word HTTP/1.1"), std::string::npos) << shown;
  EXPECT_NE(shown.find("X-Kind: b2"), std::string::npos);
  EXPECT_NE(shown.find("{\"size\":3,\"color\":\"red\",\"pin\":{{pin}}}"), std::string::npos);
}

TEST(FlowDraft, WhatCurlPrintsIsRead) {
  const std::string text =
      "*   Trying 127.0.0.1\n> GET /me HTTP/1.1\n> Host: api.example.com\n"
      "> Authorization: Bearer s3cr3tT0ken\n> \n* Request completely sent off\n"
      "< HTTP/1.1 200 OK\n< Content-Type: application/json\n< \n{\"id\": 7}\n";
  const std::string draft = draft_flow(parse_capture(text, "c"), "me", "acme", "c");
  EXPECT_EQ(draft.find("s3cr3tT0ken"), std::string::npos);
  const Flow flow = parse_flow(draft, "draft.toml", RoomView());
  ASSERT_EQ(flow.step("Call")->slots.size(), 1u);
  EXPECT_EQ(flow.step("Call")->slots[0].position, "header authorization: Bearer {{}}");
}

TEST(FlowDraft, ASignatureBecomesSign) {
  const std::string text =
      "POST / HTTP/1.1\nHost: sts.us-east-1.amazonaws.com\n"
      "Content-Type: application/x-www-form-urlencoded\nX-Amz-Date: 20250101T000000Z\n"
      "Authorization: AWS4-HMAC-SHA256 Credential=AKIA/20250101/us-east-1/sts/aws4_request, "
      "SignedHeaders=host, Signature=00\n\nAction=GetCallerIdentity&Version=2011-06-15\n";
  const Flow flow =
      parse_flow(draft_flow(parse_capture(text, "c"), "who", "aws", "c"), "draft.toml", RoomView());
  EXPECT_EQ(flow.step("Call")->sign_service, "sts");
  EXPECT_EQ(flow.key, "keys");
}

}  // namespace
}  // namespace flexroom::flow
