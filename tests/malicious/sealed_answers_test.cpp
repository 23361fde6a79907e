#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/sealed_rig.h"

// Attacks of tls-in-mpc.md §8 that are made through the service's answers or with them, by number.

namespace flexroom {
namespace {

using agent::SealedPlan;
using support::ConnectionRig;
using support::cookie_plan;
using support::set_cookie;
using support::small_plan;
using ::testing::HasSubstr;
using Report = ConnectionRig::Report;
using Scenario = ConnectionRig::Scenario;

class SealedAnswerAttack : public ::testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Members, SealedAnswerAttack, ::testing::Values(2, 3));

constexpr std::string_view kIdle = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n";

// 90: what an idle service says unasked is kept back by the courier until A3, and comes then as the
// answer to the request: it is none, with the true one behind it.
TEST_P(SealedAnswerAttack, AnIdleAnswerThatWasKeptBackIsNone) {
  SealedPlan plan = cookie_plan();
  plan.keep_alive = true;
  plan.statuses = {200, 400};
  const auto first = std::make_shared<const SealedPlan>(plan);
  const auto last = std::make_shared<const SealedPlan>(small_plan());
  ConnectionRig members(GetParam(), [&](PartyId, agent::ConnectionConfig& config) {
    config.receive = agent::ReceiveMode::kSealed;
    config.sealed = first;
    config.later = {{{}, last}};
  });
  Scenario scenario;
  scenario.script.answer = set_cookie("session=a1b2c3d4; Path=/");
  scenario.script.idle = kIdle;
  scenario.script.close_notify = false;
  scenario.script.stays = true;
  scenario.next_requests = 1;
  const Report report = members.run(scenario);
  ASSERT_TRUE(report.ended);
  EXPECT_EQ(report.seen.requests.size(), 1u);
  for (const auto& member : report.members) {
    EXPECT_TRUE(member.released && member.unknown) << member.where << ": " << member.detail;
    EXPECT_THAT(member.unknown_why, HasSubstr("408 is no answer"));
    EXPECT_FALSE(member.kept);
    for (const auto& value : member.values) EXPECT_EQ(value.state, 0);
    EXPECT_EQ(member.next.at(0).code, AbortCode::kRefusedByRule);
  }
}

// 90, open: the outcome of the request is unknown, with what came.
TEST_P(SealedAnswerAttack, AnOpenIdleAnswerThatWasKeptBackIsNone) {
  ConnectionRig members(GetParam());
  Scenario scenario;
  scenario.script.idle = kIdle;
  const Report report = members.run(scenario);
  ASSERT_TRUE(report.ended);
  for (const auto& member : report.members) {
    EXPECT_TRUE(member.released && member.unknown) << member.where << ": " << member.detail;
  }
}

}  // namespace
}  // namespace flexroom
