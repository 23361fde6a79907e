#include "agent/jwe_request.h"
#include "flow/capture.h"
#include "flow/keys.h"
#include "flow/plan.h"
#include "flow/request.h"
#include "flow_fixture.h"
#include "support/jwe_vectors.h"

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

// operations.md (a): what plan shows of one step, word for word but for the costs.
TEST(FlowPlan, ShowsWhatLeavesIsKeptOpenedAndLeft) {
  const std::string plan = plan_text(load_shipped("create-account"), {{"person", "hospital-a"}});
  for (const std::string line :
       {"GetOTP: GET https://mail.flexroom.example/messages   sealed\n"
        "  leaves   run/mail-token in header authorization: Bearer {{}}\n"
        "  keeps    run/otp (digits, 6)\n"
        "  opens    run/mail (at most 64 urlsafe) to all\n"
        "  opens    the status\n"
        "  lengths  of header lines, JSON names and values, and their nesting are seen by all "
        "members\n"
        "  costs    up to ",
        "left at the provider: a mailbox, an account, a card charged by the account\n",
        "leaks nothing else\n", "SolveCaptcha: asks {{person}}\n  shows    run/image\n",
        " as jwe RSA-OAEP-256 A256GCM under the key of signup.flexroom.example\n"}) {
    EXPECT_NE(plan.find(line), std::string::npos) << line << "\n----\n" << plan;
  }
}

TEST(FlowPlan, AStatusOnlyAnswerCostsLittleAndABodyWhatItsBoundAllows) {
  const Flow flow = load_shipped("create-account");
  EXPECT_EQ(cost_of(flow, *flow.step("CreateEmail")).answer, Gates::kStatusOnly);
  EXPECT_EQ(cost_of(flow, *flow.step("GetOTP")).answer,
            2048 * 361 + 8192 * 347 + Gates::kSearched * Gates::kSearchByte);
}

/// The costliest JWE: of the longest key and header.
agent::JweRequest longest_jwe(size_t secret_bytes) {
  const auto vectors = support::jwe_vectors(FLEXROOM_SOURCE_DIR);
  const auto method = agent::JweMethod::named("RSA-OAEP-256", "A256GCM");
  const auto key = agent::JweKey::checked(vectors["keys"]["4096"]["n"].get<std::string>(), "AQAB",
                                          std::string(128, '"'));
  return {method, key.rsa, agent::jwe_header(method, key.kid), secret_bytes, {}};
}

uint64_t ands_of(const agent::JweRequest& request, size_t num_members) {
  return circuits::jwe_encryption(request.shape(num_members)).num_ands +
         circuits::jwe_text(request.secret_bytes).circuit.num_ands;
}

// Nobody knows at the time of the plan which key the service will show.
TEST(FlowPlan, AJweIsCountedUnderTheLongestKey) {
  for (const auto& [members, bytes] :
       {std::pair<size_t, size_t>{2, 1}, {2, 16}, {2, 128}, {3, 17}, {5, 26}}) {
    const uint64_t counted =
        Gates::kJwe + (bytes + 15) / 16 * Gates::kJweBlock + (members - 2) * Gates::kJweMember;
    const uint64_t ands = ands_of(longest_jwe(bytes), members);
    EXPECT_GE(counted, ands) << members << " " << bytes;
    EXPECT_LE(counted, ands + ands / 50) << members << " " << bytes;
  }
  const Flow flow = load_shipped("create-session");
  size_t found = 0;
  flow.each_step([&](const Step& step) {
    for (const SlotUse& use : step.slots) {
      if (!use.is_jwe()) continue;
      ++found;
      const agent::JweRequest request = longest_jwe(26);
      EXPECT_GE(cost_of(flow, step).request,
                ands_of(request, 2) + Gates::kRequestByte * request.text_bytes());
      EXPECT_EQ(cost_of(flow, step).more_member, Gates::kJweMember);
      for (const size_t bytes : {1, 2, 3, 26, 128}) {
        EXPECT_EQ(function_length(use, static_cast<uint32_t>(bytes)),
                  longest_jwe(bytes).text_bytes());
      }
    }
  });
  EXPECT_EQ(found, 1u);
  EXPECT_NE(plan_text(flow).find("; 0.01 M more for each member above two\n"), std::string::npos);
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
  ASSERT_EQ(step.slots.size(), 2u);
  EXPECT_EQ(step.slots[0].position, "cookie sid={{}}");
  EXPECT_EQ(step.slots[1].position, "json /password={{}}");
  ASSERT_NE(step.keep("run/session"), nullptr);
  ASSERT_NE(step.keep("run/token"), nullptr);
  EXPECT_EQ(step.keep("run/token")->value_class, ValueClass::kHex);
  EXPECT_EQ(step.status, std::vector<int>{201});
  EXPECT_NE(draft.find("ward-7"), std::string::npos);
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
