#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/sealed_rig.h"

// Attacks of tls-in-mpc.md §8 that are made through the service's answers or with them, by number.

namespace flexroom {
namespace {

using agent::SealedPlan;
using support::ConnectionRig;
using support::cookie_plan;
using support::json_plan;
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

// --- 66: the answer repeats a secret that the request held ---

constexpr std::string_view kOwn = "Zq7Xw9Vk3Yb5";  // stands in no name, keyword or structure

std::string body_answer(const std::string& status, const std::string& head, const std::string& body,
                        const std::string& type = "application/json") {
  return "HTTP/1.1 " + status + "\r\nContent-Type: " + type + "\r\n" + head +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

/// The secret in every place where services repeat what they were sent: in a status line ..
std::vector<std::string> status_echoes() {
  const std::string own(kOwn);
  return {"HTTP/1.1 200 " + own + "\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 " + own + "\r\n\r\n",
          own + own + own};
}
/// .. in header lines ..
std::vector<std::string> header_echoes() {
  const std::string own(kOwn);
  return {
      set_cookie("session=a1b2; Path=/" + own),
      set_cookie("session=a1b2; Domain=" + own + ".example; Path=/"),
      set_cookie("session=a1b2; Path=/; Max-Age=" + own),
      set_cookie("session=a1b2; Path=/; Expires=" + own + ", 01 Jan 2038 00:00:00 GMT"),
      set_cookie("session=a1b2; Path=/; " + own),
      set_cookie(own + "=1; Path=/, session=a1b2; Path=/"),
      set_cookie("session=" + own + "; Path=/"),
      set_cookie("session=\"" + own + "\"; Path=/"),
      set_cookie("session=a1b2; Path=/\r\nLocation: /" + own + "?s=" + own),
      set_cookie("session=a1b2; Path=/\r\n" + own + ": x\r\nX-Name: " + own),
  };
}
/// .. in a body and in what frames it.
std::vector<std::string> body_echoes() {
  const std::string own(kOwn);
  const std::string json = R"({"key":{"secret":"abc+/123="},"id":4711,"name":"ann",)"
                           R"("kind":"a kind of key that is long","code":"Expired"})";
  const auto put = [&](const std::string& member) {
    std::string out = json;
    return out.insert(1, member + ",");
  };
  return {
      body_answer("200 OK", "X-Code: c=" + own + ";\r\n", json),
      body_answer("200 OK", "X-Code: c=f00d;\r\n", put("\"" + own + "\":1")),
      body_answer("200 OK", "X-Code: c=f00d;\r\n", put("\"a\":\"" + own + "\"")),
      body_answer("200 OK", "X-Code: c=f00d;\r\n", put("\"a\":" + own)),
      body_answer("200 OK", "X-Code: c=f00d;\r\n", json, "application/" + own),
      body_answer("200 OK", "X-Code: c=f00d;\r\n", own),
      body_answer("200 OK", "X-Code: c=f00d;\r\n", "<" + own + ">" + own + "</" + own + ">"),
      body_answer("400 Bad", "", R"({"code":")" + own + R"(","message":")" + own + R"("})"),
      body_answer("400 Bad", "", R"({"code":"Expired","message":")" + own + R"("})"),
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + own + "\r\n\r\n{}",
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: " + own +
          "\r\n\r\n{}",
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" +
          own + "\r\n{}\r\n0\r\n\r\n",
  };
}

/// Whether four bytes of the secret in a row stand in what was opened, at any place of its bits.
bool shows(const std::string& opened) {
  for (size_t shift = 0; shift < 8; ++shift) {
    std::string text(opened.size(), 0);
    for (size_t k = 0; k + 1 < opened.size(); ++k) {
      const auto two = static_cast<uint16_t>(static_cast<uint8_t>(opened[k]) |
                                             static_cast<uint8_t>(opened[k + 1]) << 8);
      text[k] = static_cast<char>(two >> shift);
    }
    for (size_t at = 0; at + 4 <= kOwn.size(); ++at) {
      if (text.find(kOwn.substr(at, 4)) != std::string::npos) return true;
    }
  }
  return false;
}

// 66: nothing is opened because it is not something else: of all that any phase opens, whatever the
// answer is and however it ends, nothing holds a part of the secret. A value that a plan opens by
// name is its owner's declaration; here it never is the secret.
TEST_P(SealedAnswerAttack, NothingOfAnEchoedSecretIsOpened) {
  struct Case {
    SealedPlan (*plan)();
    std::vector<std::string> (*echoes)();
  };
  for (const Case& one : {Case{small_plan, status_echoes}, Case{cookie_plan, header_echoes},
                          Case{json_plan, body_echoes}}) {
    const auto members = support::make_rig(GetParam(), one.plan());
    size_t number = 0, opened = 0;
    for (const std::string& answer : one.echoes()) {
      if (support::skipped(GetParam(), number++)) continue;
      Scenario scenario;
      scenario.script.answer = answer;
      scenario.gathers_openings = true;
      const Report report = members->run(scenario);
      ASSERT_TRUE(report.ended);
      for (const auto& [label, text] : report.opened) {
        opened += text.size();
        EXPECT_FALSE(shows(text)) << label << " of " << answer;
      }
      for (const auto& member : report.members) {
        EXPECT_FALSE(member.code.has_value()) << member.where << ": " << member.detail;
        for (const std::string& said : {member.failure, member.listed_code, member.unknown_why}) {
          EXPECT_EQ(said.find(kOwn), std::string::npos) << said;
        }
      }
    }
    EXPECT_GT(opened, 0u);
  }
}

// The search finds what is opened: a value that a plan declares.
TEST_P(SealedAnswerAttack, TheSearchFindsWhatIsOpened) {
  SealedPlan plan = small_plan();
  plan.items.push_back(support::item_at(support::json_path({std::string("name")}),
                                        http::CharClass::kUrlSafe, 20,
                                        agent::SealedItem::Fate::kOpen));
  const auto members = support::make_rig(GetParam(), plan);
  Scenario scenario;
  scenario.script.answer = body_answer("200 OK", "", R"({"name":")" + std::string(kOwn) + R"("})");
  scenario.gathers_openings = true;
  const Report report = members->run(scenario);
  EXPECT_TRUE(std::any_of(report.opened.begin(), report.opened.end(), [](const auto& opening) {
    return opening.first == "sealed/open values" && shows(opening.second);
  }));
}

}  // namespace
}  // namespace flexroom
