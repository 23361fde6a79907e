#include "room/flow_cost.h"

#include "agent/circuit_counts.h"
#include "agent/jwe_request.h"
#include "flow_fixture.h"
#include "support/jwe_vectors.h"

// What `plan` says that a step takes (operations.md (a) "costs"). That a run takes as much:
// tests/unit/cli/flow_suites_test.cpp.

namespace flexroom::room {
namespace flow_cost_test {

using flow::StepCost;
using ::testing::HasSubstr;

flow::Flow shipped(const std::string& name) {
  return flow::load_flow(
      std::filesystem::path(FLEXROOM_SOURCE_DIR) / "share/flows" / (name + ".toml"), view());
}

std::vector<StepCost> costs(const flow::Flow& flow, const std::string& step,
                            const RoomConfig& in = room()) {
  return step_costs(in, flow, *flow.step(step), {{"person", "m0"}});
}

TEST(FlowCost, IsThatOfTheSuiteOfTheHostFirst) {
  const flow::Flow flow = shipped("create-account");
  RoomConfig in = room();
  in.providers[0].host_suite["mail.flexroom.example"] = &tls::chacha20_poly1305_sha256();
  const std::vector<StepCost> mail = costs(flow, "GetOTP", in);
  const std::vector<StepCost> signup = costs(flow, "SubmitInfo", in);
  ASSERT_EQ(mail.size(), 3u);
  ASSERT_EQ(signup.size(), 3u);
  EXPECT_EQ(mail[0].suite, "chacha20");
  EXPECT_EQ(mail[1].suite, "aes128");
  EXPECT_EQ(signup[0].suite, "aes128");
  EXPECT_EQ(signup[1].suite, "chacha20");
  EXPECT_EQ(mail[2].suite, "aes256");
  EXPECT_EQ(signup[2].suite, "aes256");
  // The order alone is of the room.
  EXPECT_EQ(mail[1].total(), costs(flow, "GetOTP")[0].total());
  const std::string plan = flow::plan_text(flow, {}, {}, {}, costs_of(in, flow, {}));
  EXPECT_THAT(plan, HasSubstr("suite    mail.flexroom.example: chacha20 is offered, "));
  EXPECT_THAT(plan, HasSubstr("suite    signup.flexroom.example: aes128 is offered, "));
}

// tls-complete.md 4.2: GC-CF once a connection, of the host that is named, and the plan says so.
TEST(FlowCost, AnEmptyCertificateIsPreparedOncePerConnection) {
  const flow::Flow flow = shipped("create-account");
  RoomConfig in = room();
  in.providers[0].host_client_auth["mail.flexroom.example"] = tls::ClientAuth::kNone;
  const StepCost before = costs(flow, "CreateEmail")[0];
  const std::vector<StepCost> with = costs(flow, "CreateEmail", in);
  EXPECT_EQ(before.client_flight, 0u);
  EXPECT_EQ(with[0].client_flight, 264'165u);
  EXPECT_EQ(with[0].total(), before.total() + with[0].client_flight);
  EXPECT_GT(with[0].bytes, before.bytes);
  EXPECT_EQ(with[1].total(), costs(flow, "CreateEmail")[1].total() + with[1].client_flight);
  EXPECT_EQ(costs(flow, "GetMailToken", in)[0].client_flight, 0u);  // its connection is there
  EXPECT_EQ(costs(flow, "GetMailToken", in)[0].renewed,
            costs(flow, "GetMailToken")[0].renewed + with[0].client_flight);
  EXPECT_EQ(costs(flow, "SubmitInfo", in)[0].client_flight, 0u);
  const std::string plan = flow::plan_text(flow, {}, {}, {}, costs_of(in, flow, {}));
  EXPECT_THAT(plan, HasSubstr("client   mail.flexroom.example is told that there is no "
                              "certificate, if it asks for one: "));
  EXPECT_THAT(plan, ::testing::Not(HasSubstr("client   signup")));
}

// Half the keystream of a long body, more for a tag (tls-in-mpc.md 4.7).
TEST(FlowCost, ASuiteIsCheaperWhereMuchIsRead) {
  const flow::Flow flow = shipped("create-account");
  const std::vector<StepCost> otp = costs(flow, "GetOTP");  // 768 of header, 8192 of body
  EXPECT_GT(otp[0].answer, otp[1].answer + 1'300'000);      // 158 a byte, less GC-C and tags
  EXPECT_GT(otp[0].bytes, otp[1].bytes);
  const std::vector<StepCost> status = costs(flow, "DeleteMail");
  EXPECT_LT(status[0].answer, status[1].answer);
  EXPECT_LT(status[0].bytes, status[1].bytes);
  // GC-C of four records, eight first blocks and the status (tls-in-mpc.md 3.4, 4.2).
  EXPECT_EQ(status[0].answer, agent::count_answer(tls::aes128_gcm_sha256(), {}, 2, true).ands);
}

TEST(FlowCost, AStepOnAConnectionThatIsThereHasNoHandshake) {
  const flow::Flow flow = shipped("create-account");
  const StepCost first = costs(flow, "CreateEmail")[0], next = costs(flow, "GetMailToken")[0];
  EXPECT_GT(first.handshake, 300'000u);
  EXPECT_EQ(first.renewed, 0u);
  EXPECT_EQ(next.handshake, 0u);
  EXPECT_GT(next.renewed, first.handshake + 100'000);  // keys of both directions too
  // Six answers are to come on the connection of the first one, of four records each.
  const StepCost verify = costs(flow, "VerifyOTP")[0];
  flow::Step alone = *flow.step("VerifyOTP");
  alone.next_on_connection.clear();
  EXPECT_GT(verify.answer, step_costs(room(), flow, alone, {})[0].answer + 6 * 4 * 10'240);
}

TEST(FlowCost, EachMemberAddsToIt) {
  const flow::Flow flow = shipped("create-session");
  RoomConfig three = room();
  three.members.resize(3);
  three.members[2].name = "m2";
  for (const size_t suite : {0, 1}) {
    const StepCost two = costs(flow, "ConsoleSignin")[suite];
    const StepCost more = costs(flow, "ConsoleSignin", three)[suite];
    EXPECT_GE(more.request, two.request + kJweMemberAnds);
  }
}

// A code is computed of a key that only the room has, if it has one.
TEST(FlowCost, ACodeOfTheRoomsKeyIsCounted) {
  const flow::Flow flow = shipped("create-session");
  const flow::Step* code = nullptr;
  flow.each_step([&](const flow::Step& step) {
    for (const flow::SlotUse& use : step.slots) {
      if (use.function == "totp") code = &step;
    }
  });
  ASSERT_NE(code, nullptr);
  flow::Step without = *code;
  for (flow::SlotUse& use : without.slots) use.function.clear();
  EXPECT_GT(step_costs(room(), flow, *code, {})[0].request,
            step_costs(room(), flow, without, {})[0].request + 20'000);
}

TEST(FlowCost, WhatNoRunCanMakeHasNone) {
  const flow::Flow flow =
      load(kFlow +
           "\n[[step]]\nname = \"Last\"\nrequest = \"\"\"\nGET /x HTTP/1.1\nHost: "
           "site.flexroom.example\n\"\"\"\ntype = \"text/plain\"\n"
           "assert.1 = { at = 'pattern \"n\" digits \".\"', equals = \"1\" }\n");
  EXPECT_TRUE(costs(flow, "Last").empty());
  EXPECT_EQ(costs(flow, "Open").size(), 3u);
  // A file can be planned before there is a room.
  EXPECT_EQ(costs(flow, "Open", nobodys_room(flow)).size(), 3u);
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
TEST(FlowCost, AJweIsCountedUnderTheLongestKey) {
  for (const auto& [members, bytes] :
       {std::pair<size_t, size_t>{2, 1}, {2, 16}, {2, 128}, {3, 17}, {5, 26}}) {
    const uint64_t counted =
        kJweAnds + (bytes + 15) / 16 * kJweBlockAnds + (members - 2) * kJweMemberAnds;
    const uint64_t ands = ands_of(longest_jwe(bytes), members);
    EXPECT_GE(counted, ands) << members << " " << bytes;
    EXPECT_LE(counted, ands + ands / 50) << members << " " << bytes;
  }
  const flow::Flow flow = shipped("create-session");
  size_t found = 0;
  flow.each_step([&](const flow::Step& step) {
    for (const flow::SlotUse& use : step.slots) {
      if (!use.is_jwe()) continue;
      ++found;
      const agent::JweRequest request = longest_jwe(26);
      EXPECT_GE(costs(flow, step.name)[0].request,
                ands_of(request, 2) + 320 * request.text_bytes());
      for (const size_t bytes : {1, 2, 3, 26, 128}) {
        EXPECT_EQ(flow::function_length(use, static_cast<uint32_t>(bytes)),
                  longest_jwe(bytes).text_bytes());
      }
    }
  });
  EXPECT_EQ(found, 1u);
}

}  // namespace flow_cost_test
}  // namespace flexroom::room
