#include <gtest/gtest.h>

#include <set>

#include "support/sealed_rig.h"
#include "support/sweeps.h"

// Sealed answers under TLS_CHACHA20_POLY1305_SHA256 (tls-in-mpc.md §4.5 with §4.7): the same plans
// as under AES, with keystream in blocks of 64 bytes and a Poly1305 tag a record that is checked
// before anything of it opens.

namespace flexroom {
namespace sealed_chacha_test {

using agent::SealedPlan;
using support::answer_with;
using support::ConnectionRig;
using support::cookie_plan;
using support::expect_failure;
using support::expect_kept;
using support::json_plan;
using support::set_cookie;
using support::small_plan;
using support::TestService;
using Report = ConnectionRig::Report;
using Scenario = ConnectionRig::Scenario;

constexpr auto kData = tls::ContentType::kApplicationData;
constexpr auto kHandshakeRecord = tls::ContentType::kHandshake;

ConnectionRig& rig(size_t n, const std::string& name, const std::vector<SealedPlan>& plans) {
  static std::map<std::pair<size_t, std::string>, std::unique_ptr<ConnectionRig>> rigs;
  auto& rig = rigs[{n, name}];
  if (rig) return *rig;
  rig = std::make_unique<ConnectionRig>(n, [&](PartyId, agent::ConnectionConfig& config) {
    config.suite = &tls::chacha20_poly1305_sha256();
    config.receive = agent::ReceiveMode::kSealed;
    config.sealed = std::make_shared<const SealedPlan>(plans[0]);
    for (size_t k = 1; k < plans.size(); ++k) {
      config.later.push_back({{}, std::make_shared<const SealedPlan>(plans[k])});
    }
  });
  return *rig;
}

class SealedChaChaTest : public ::testing::TestWithParam<size_t> {
 protected:
  ConnectionRig& cookies() { return rig(GetParam(), "cookie", {cookie_plan()}); }
};
INSTANTIATE_TEST_SUITE_P(Rooms, SealedChaChaTest, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, SealedChaChaTest,
                         ::testing::ValuesIn(support::in_long_runs({3})));

TEST_P(SealedChaChaTest, StatusAlone) {
  ConnectionRig& members = rig(GetParam(), "status", {small_plan()});
  const Report report = answer_with(members, "HTTP/1.1 204 No Content\r\nX-Secret: 1\r\n\r\n");
  ASSERT_TRUE(report.ended);
  EXPECT_EQ(report.seen.request, members.expected_request());
  for (const auto& member : report.members) {
    EXPECT_TRUE(member.sealed) << member.where << ": " << member.detail;
    EXPECT_EQ(member.sealed_status, 204);
    EXPECT_EQ(member.failure, "");
    EXPECT_EQ(member.leak.header_bytes + member.leak.tests, 0u);
    EXPECT_EQ(member.sent_count("tls/open s_ap"), 0u);
  }
}

// Records of one byte to five kilobytes, cut inside of blocks, padded, behind a ticket: one tag
// opening a batch.
TEST_P(SealedChaChaTest, KeepsACookieHoweverItsRecordsAreCut) {
  ConnectionRig& members = cookies();
  const std::string answer = set_cookie("session=a1b2c3d4; Path=/; Secure");
  const Report whole = answer_with(members, answer);
  expect_kept(whole, "a1b2c3d4");
  for (const auto& member : whole.members) EXPECT_EQ(member.leak.opened_bytes, 0u);
  size_t number = 0;
  for (const auto& [first, second] :
       std::vector<std::pair<size_t, size_t>>{{1, 2}, {7, 57}, {63, 65}, {64, 70}}) {
    if (support::skipped(GetParam(), number++)) continue;
    Scenario cut;
    cut.script.answer = answer.substr(0, first);
    cut.script.more = {answer.substr(first, second - first), answer.substr(second)};
    expect_kept(members.run(cut), "a1b2c3d4");
  }
  Scenario padded;
  padded.script.answer = answer;
  padded.script.padding = 64;
  padded.script.ticket_with_flight = true;
  expect_kept(members.run(padded), "a1b2c3d4");
  Scenario of_length;
  of_length.script.answer = answer + std::string(5000, 'x');
  expect_kept(members.run(of_length), "a1b2c3d4");
}

// The bound on the length of a record is that of the plan.
TEST_P(SealedChaChaTest, ALongRecord) {
  ConnectionRig& members = cookies();
  const std::string answer = set_cookie("session=a1b2c3d4; Path=/");
  const size_t most = small_plan().record_bytes - 16 - 1;  // of one record: tag and type
  Scenario scenario;
  scenario.script.close_notify = false;
  scenario.script.answer = answer + std::string(most - answer.size(), 'x');
  expect_kept(members.run(scenario), "a1b2c3d4");
  scenario.script.answer += 'x';
  expect_failure(members.run(scenario), "the answer is longer than the plan has room");
}

TEST_P(SealedChaChaTest, ABodyIsSelectedFrom) {
  ConnectionRig& members = rig(GetParam(), "json", {json_plan()});
  const std::string body =
      R"({"key":{"secret":"abc+/123="},"id":4711,"name":"ann","kind":"a kind of key that is long"})";
  const std::string head =
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Code: c=f00d;\r\n";
  const Report sized = answer_with(
      members, head + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  expect_kept(sized, "abc+/123=");
  for (const auto& member : sized.members) EXPECT_EQ(member.values.at(1).text, "4711");
  EXPECT_EQ(sized.members[1].values[2].secret, "ann");
  EXPECT_EQ(sized.kept(4), "f00d");

  char size[8];
  std::snprintf(size, sizeof size, "%zx", body.size() - 40);
  Scenario chunks;
  chunks.script.answer = head + "Transfer-Encoding: chunked\r\n\r\n28\r\n" + body.substr(0, 20);
  chunks.script.more = {body.substr(20, 20) + "\r\n" + size + "\r\n" + body.substr(40) +
                        "\r\n0\r\n\r\n"};
  expect_kept(members.run(chunks), "abc+/123=");
}

// 3.6: the next keys of the server, and a header of a message that two records hold.
SealedPlan updates_plan() {
  SealedPlan plan = cookie_plan();
  plan.records = 6;
  plan.key_updates = 1;
  return plan;
}

TEST_P(SealedChaChaTest, TheServerChangesItsKeys) {
  ConnectionRig& members = rig(GetParam(), "updates", {updates_plan()});
  const std::string answer = set_cookie("session=a1b2c3d4; Path=/; Secure");
  Scenario scenario;
  scenario.script.answer = answer.substr(0, 20);
  scenario.script.behind = {{kHandshakeRecord, TestService::key_update_message()},
                            {kData, to_bytes(answer.substr(20, 43))},
                            {kData, to_bytes(answer.substr(63))}};
  const Report report = members.run(scenario);
  expect_kept(report, "a1b2c3d4");
  for (const auto& member : report.members) EXPECT_EQ(member.leak.key_updates, 1u);
}

// §4.9 with §4.7: a tag a record of every request, keys that GC-B keeps.
TEST_P(SealedChaChaTest, SeveralRequestsShareAConnection) {
  SealedPlan first = cookie_plan();
  first.keep_alive = true;
  ConnectionRig& members = rig(GetParam(), "several", {first, cookie_plan()});
  Scenario scenario;
  scenario.script.answer = set_cookie("session=a1b2c3d4; Path=/");
  scenario.script.close_notify = false;
  scenario.script.stays = true;
  scenario.script.one_piece = true;
  scenario.script.next_answers = {{{kData, to_bytes(set_cookie("session=second; Path=/"))}}};
  scenario.next_requests = 1;
  const Report report = members.run(scenario);
  ASSERT_TRUE(report.ended);
  ASSERT_EQ(report.seen.requests.size(), 2u);
  EXPECT_EQ(report.seen.requests[1], members.expected_request(1));
  for (const auto& member : report.members) {
    ASSERT_EQ(member.next.size(), 1u) << member.where << ": " << member.detail;
    EXPECT_EQ(member.next[0].failure, "") << member.next[0].where << member.next[0].detail;
  }
  EXPECT_EQ(report.kept(0), "a1b2c3d4");
  EXPECT_EQ(report.kept_next(0, 0), "second");
}

// --- the network ---

// 20, 21: header, ciphertext, tag, order of records: nothing of the answer opens.
TEST_P(SealedChaChaTest, AlteredRecordsOpenNothing) {
  ConnectionRig& members = cookies();
  Scenario scenario;
  scenario.script.answer = set_cookie("session=a1b2c3d4; Path=/");
  const size_t record = 5 + scenario.script.answer.size() + 1 + 16;
  for (const size_t at : {size_t{1}, size_t{40}, record - 16, record - 1}) {
    Scenario flipped = scenario;
    flipped.script.flip_in_answer = at;
    const Report report = members.run(flipped);
    expect_failure(report, "a record of the service does not verify under its key");
    for (const auto& member : report.members) {
      EXPECT_TRUE(member.unknown);
      EXPECT_EQ(member.sealed_status, 0);
      EXPECT_EQ(member.sent_count("sealed/open types"), 0u);
    }
  }
  scenario.script.more = {scenario.script.answer.substr(30)};
  scenario.script.answer.resize(30);
  scenario.script.swaps_records = true;
  expect_failure(members.run(scenario), "a record of the service does not verify under its key");
}

// --- members ---

// 1.5, 4.7: each share behind the masked r of an answer's tag; the first of each label is that of
// the request's tag.
TEST_P(SealedChaChaTest, WrongSharesOfATagOpenNothing) {
  ConnectionRig& members = cookies();
  const std::string answer = set_cookie("session=a1b2c3d4; Path=/") + std::string(3000, 'x');
  for (const std::string label : {"arith/poly1305/giant step", "arith/poly1305/products",
                                  "arith/poly1305/masked accumulator", "sealed/open tags"}) {
    SCOPED_TRACE(label);
    const bool of_tag = label != "sealed/open tags";
    Scenario scenario;
    scenario.script.answer = answer;
    scenario.tokens_afterwards = true;
    scenario.tamper = [&](const net::MessageId& message, Bytes& payload) {
      if (message.sender == 1 && message.receiver == 0 && message.label == label &&
          message.index == (of_tag ? 1u : 0u)) {
        payload.back() ^= 1;
      }
    };
    const Report report = members.run(scenario);
    ASSERT_TRUE(report.ended);
    EXPECT_EQ(report.members[0].code, of_tag ? AbortCode::kFpMac : AbortCode::kMac);
    EXPECT_EQ(report.members[0].engine_ended, of_tag);
    for (PartyId i = 0; i < members.size(); ++i) {
      EXPECT_TRUE(i == 1 || !report.members[i].sealed) << i;
      EXPECT_EQ(report.members[i].sent_count("sealed/open types"), 0u);
    }
  }
}

// The circuit that takes the masks off, of the answer's first record: what its evaluator and its
// garblers send once they know the masked accumulator.
TEST_P(SealedChaChaTest, TheTagsCircuitIsCheckedLikeAnyOther) {
  ConnectionRig& members = cookies();
  for (const auto& one : std::vector<std::pair<std::string, AbortCode>>{
           {"boolean/O3 label proof", AbortCode::kLabelProof},
           {"boolean/O4 c-proof", AbortCode::kCProof}}) {
    const std::string& label = one.first;
    const AbortCode code = one.second;
    SCOPED_TRACE(label);
    std::set<PartyId> at_tag;
    bool altered = false;
    Scenario scenario;
    scenario.script.answer = set_cookie("session=a1b2c3d4; Path=/");
    scenario.tamper = [&](const net::MessageId& message, Bytes& payload) {
      if (message.label == "arith/poly1305/masked accumulator" && message.index == 1) {
        at_tag.insert(message.sender);
      } else if (message.label == label && at_tag.contains(message.sender) && !altered) {
        altered = true;
        payload.front() ^= 1;
      }
    };
    const Report report = members.run(scenario);
    ASSERT_TRUE(report.ended);
    size_t noticed = 0;
    for (const auto& member : report.members) {
      EXPECT_EQ(member.sent_count("sealed/open types"), 0u);
      if (member.code != code) continue;
      ++noticed;
      EXPECT_EQ(member.sent_count("sealed/open tags"), 0u);
    }
    EXPECT_EQ(noticed, 1u);
  }
}

// 45, 4.7: marked before anything of the tag is opened, so that it is opened once.
TEST_P(SealedChaChaTest, TagsOfARecordAreOpenedOnce) {
  ConnectionRig& members = cookies();
  Scenario scenario;
  scenario.script.answer = set_cookie("session=a1b2c3d4; Path=/");
  const Report honest = members.run(scenario);
  scenario.marked = {{0, "answer tags"}};
  const Report report = members.run(scenario);
  ASSERT_TRUE(honest.ended && report.ended);
  EXPECT_EQ(report.members[0].code, AbortCode::kReuse);
  EXPECT_EQ(report.members[0].sent_count("sealed/open tags"), 0u);
  constexpr auto kOpening = "arith/poly1305/masked accumulator";
  EXPECT_EQ(honest.members[0].sent_count(kOpening), 3 * (members.size() - 1));
  EXPECT_EQ(report.members[0].sent_count(kOpening), members.size() - 1);  // that of the request
}

}  // namespace sealed_chacha_test
}  // namespace flexroom
