#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/connection_rig.h"
#include "support/sweeps.h"

// Several requests on one open connection, all sent before any answer is read (tls-in-mpc.md
// §4.6(b)).

namespace flexroom {
namespace {

using support::ConnectionRig;
using ::testing::HasSubstr;
using Report = ConnectionRig::Report;
using Member = ConnectionRig::MemberReport;
using Scenario = ConnectionRig::Scenario;

constexpr auto kData = tls::ContentType::kApplicationData;
constexpr auto kAlertRecord = tls::ContentType::kAlert;

class PipelinedTest : public ::testing::TestWithParam<size_t> {};

ConnectionRig& pipelined(size_t n) {
  static std::map<size_t, std::unique_ptr<ConnectionRig>> rigs;
  auto& rig = rigs[n];
  if (rig) return *rig;
  rig = std::make_unique<ConnectionRig>(n, [](PartyId, agent::ConnectionConfig& config) {
    config.later.resize(2);
    config.pipelined = true;
  });
  return *rig;
}

Scenario three_answers() {
  Scenario scenario;
  scenario.script.answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none";
  scenario.script.close_notify = false;
  scenario.script.next_answers = {
      {{kData,
        to_bytes("HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n")}},
      {{kData, to_bytes("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthree")},
       {kAlertRecord, {1, 0}}}};
  return scenario;
}

TEST_P(PipelinedTest, AllAreSentBeforeTheKeyIsRevealed) {
  ConnectionRig& members = pipelined(GetParam());
  const Report report = members.run(three_answers());
  ASSERT_TRUE(report.ended);
  ASSERT_EQ(report.seen.requests.size(), 3u);
  for (size_t k = 0; k < 3; ++k) {
    EXPECT_EQ(report.seen.requests[k], members.expected_request(k));
  }
  for (const Member& member : report.members) {
    ASSERT_FALSE(member.code.has_value()) << member.where << ": " << member.detail;
    ASSERT_EQ(member.next.size(), 2u);
    EXPECT_TRUE(member.replied && member.next[0].replied && member.next[1].replied)
        << member.unknown_why;
    EXPECT_EQ(member.body, "one");
    EXPECT_EQ(member.next[0].status, 404);
    EXPECT_EQ(member.next[0].body, "two");
    EXPECT_EQ(member.next[1].body, "three");
    // R2-2: no share of a tag behind the reveal.
    const auto last_of = [&](std::string_view label) {
      size_t last = 0;
      for (size_t k = 0; k < member.sent.size(); ++k) {
        if (member.sent[k].label == label) last = k;
      }
      return last;
    };
    EXPECT_LT(last_of("tls/tag share"), last_of("tls/open s_ap"));
    EXPECT_EQ(member.sent_count("tls/open s_ap"), members.size() - 1);
  }
}

// §3.6: as many whole answers as requests, nothing behind the last; else none of them counts, and
// all that came is kept.
TEST_P(PipelinedTest, AnotherNumberOfAnswersIsUnknown) {
  ConnectionRig& members = pipelined(GetParam());
  const auto expect_unknown = [&](const Scenario& scenario, const std::string& why) {
    SCOPED_TRACE(why);
    const Report report = members.run(scenario);
    ASSERT_TRUE(report.ended);
    for (const Member& member : report.members) {
      ASSERT_FALSE(member.code.has_value()) << member.where << ": " << member.detail;
      ASSERT_EQ(member.next.size(), 2u);
      for (const Member* one : {&member, &member.next[0], &member.next[1]}) {
        EXPECT_TRUE(one->unknown);
        EXPECT_THAT(one->unknown_why, HasSubstr(why));
      }
      EXPECT_THAT(member.received, HasSubstr("HTTP/1.1"));
    }
  };
  Scenario two = three_answers();
  two.script.next_answers[1] = {{kAlertRecord, {1, 0}}};
  expect_unknown(two, "there is no answer");
  Scenario half = three_answers();
  half.script.next_answers[1] = {
      {kData, to_bytes("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nth")}};
  expect_unknown(half, "not whole");
  Scenario four = three_answers();
  four.script.next_answers[1].insert(
      four.script.next_answers[1].begin(),
      {kData, to_bytes("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")});
  expect_unknown(four, "after its response");
  Scenario idle = three_answers();
  idle.script.answer = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n";
  expect_unknown(idle, "408");
}

// One flight: before the last release the service sees nothing, and what becomes of the socket then
// is an unknown outcome, with what came kept.
TEST_P(PipelinedTest, AllLeaveBehindTheLastRelease) {
  ConnectionRig& members = pipelined(GetParam());
  Scenario refused = three_answers();
  refused.tamper = [](const net::MessageId& message, Bytes& payload) {
    if (message.sender == 0 && message.label == "tls/A3" && message.index == 2) {
      payload.front() ^= 1;
    }
  };
  const Report nothing = members.run(refused);
  ASSERT_TRUE(nothing.ended);
  EXPECT_FALSE(nothing.seen.finished);
  EXPECT_TRUE(nothing.members[0].released);
  EXPECT_FALSE(nothing.members[1].released);
  EXPECT_EQ(nothing.members[1].code, AbortCode::kViewMismatch);

  Scenario reset = three_answers();
  reset.script.resets_at = 1;
  const Report report = members.run(reset);
  ASSERT_TRUE(report.ended);
  EXPECT_EQ(report.seen.requests.size(), 1u);
  for (const Member& member : report.members) {
    ASSERT_FALSE(member.code.has_value()) << member.where << ": " << member.detail;
    EXPECT_TRUE(member.released && member.unknown);
    EXPECT_THAT(member.unknown_why, HasSubstr("the connection to the service broke"));
    EXPECT_EQ(member.body, "one");
    EXPECT_EQ(member.sent_count("tls/open s_ap"), members.size() - 1);
  }
}

// R2-5: silence behind the first answer does not end the others.
TEST_P(PipelinedTest, AnswersMayComeOneAfterTheOther) {
  ConnectionRig& members = pipelined(GetParam());
  Scenario scenario = three_answers();
  scenario.script.pause = std::chrono::hours(1);
  const Report report = members.run(scenario);
  ASSERT_TRUE(report.ended);
  for (const Member& member : report.members) {
    ASSERT_EQ(member.next.size(), 2u) << member.where << ": " << member.detail;
    EXPECT_TRUE(member.replied && member.next[0].replied && member.next[1].replied)
        << member.unknown_why;
  }
}

INSTANTIATE_TEST_SUITE_P(Rooms, PipelinedTest, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, PipelinedTest, ::testing::ValuesIn(support::in_long_runs({3})));

}  // namespace
}  // namespace flexroom
