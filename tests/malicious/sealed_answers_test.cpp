#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "support/canaries.h"
#include "support/sealed_rig.h"
#include "support/sweeps.h"

// Attacks of tls-in-mpc.md §8 that are made through the service's answers or with them, by number.

namespace flexroom {
namespace sealed_answers_test {

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

// --- 66: answers that repeat our own secrets ---

/// What the members of a run open to each other, from what they send: every opening is a message of
/// shares and a tag from each to each other (boolean-engine.md §3.4).
class Openings {
 public:
  explicit Openings(size_t n) : n_(n) {
    std::string name = "/tmp/flexroom-openings-XXXXXX";
    close(mkstemp(name.data()));
    file_ = name;
  }
  ~Openings() { std::filesystem::remove(file_); }
  Openings(const Openings&) = delete;
  Openings& operator=(const Openings&) = delete;

  /// Of the scenario's run, which is in a process of its own; alters nothing.
  net::Tamper record() const {
    return [file = file_](const net::MessageId& id, const Bytes& payload) {
      Writer out;
      out.u32(id.sender).u32(id.receiver).field(as_bytes(id.label)).u64(id.index).field(payload);
      std::ofstream(file, std::ios::binary | std::ios::app) << to_text(out.bytes());
    };
  }
  /// By label, in order; what only some send is none.
  std::map<std::string, std::vector<Bytes>> opened() const {
    std::ifstream in(file_, std::ios::binary);
    const std::string all(std::istreambuf_iterator<char>(in), {});
    Reader read(as_bytes(all), "openings", 0);
    std::map<std::pair<std::string, uint64_t>, std::map<PartyId, Bytes>> sent;
    while (read.remaining() > 0) {
      const PartyId sender = read.u32();
      const PartyId receiver = read.u32();
      const std::string label = to_text(read.field(1 << 10));
      const uint64_t index = read.u64();
      const ByteView payload = read.field(1 << 26);
      if (receiver == (sender == 0 ? 1 : 0)) {
        sent[{label, index}][sender] = Bytes(payload.begin(), payload.end());
      }
    }
    std::map<std::string, std::vector<Bytes>> out;
    for (const auto& [id, by] : sent) {
      const size_t size = by.begin()->second.size();
      const bool all_alike = by.size() == n_ && std::all_of(by.begin(), by.end(), [&](auto& one) {
                               return one.second.size() == size;
                             });
      if (!all_alike || size <= kTagBytes) continue;
      Bytes sum(size - kTagBytes);
      for (const auto& [sender, shares] : by) {
        for (size_t k = 0; k < sum.size(); ++k) sum[k] ^= shares[k];
      }
      out[id.first].push_back(std::move(sum));
    }
    return out;
  }

 private:
  static constexpr size_t kTagBytes = 16;
  const size_t n_;
  std::filesystem::path file_;
};

/// Keeps a cookie and a secret, opens an id, knows codes.
SealedPlan echo_plan() {
  SealedPlan plan = small_plan();
  plan.header_max = 640;
  plan.body_max = 640;
  plan.statuses = {200, 302};
  plan.items.push_back(support::keep_cookie());
  plan.items.back().max_bytes = 64;
  plan.items.push_back(
      support::item_at(support::json_path({std::string("key")}), http::CharClass::kB64, 64));
  plan.items.push_back(support::item_at(support::json_path({std::string("id")}, true),
                                        http::CharClass::kDigits, 16,
                                        support::SealedItem::Fate::kOpen));
  agent::SealedCodes codes;
  codes.at = support::json_path({std::string("code")});
  codes.one_of = {"Expired", "Throttled"};
  plan.codes = codes;
  return plan;
}

/// An answer with the secret in one place, `S`; how it ends.
struct Echo {
  std::string place, status = "200 OK", lines, body, failure;
};

std::vector<Echo> echoes() {
  const std::string kCookie = "Set-Cookie: session=a1b2c3d4; Path=/\r\n";
  const std::string kBody = R"({"key":"abc+/123=","id":4711,"name":"ann"})";
  const auto lines = [&](const std::string& place, const std::string& more,
                         const std::string& failure = "") {
    return Echo{place, "200 OK", more, kBody, failure};
  };
  const auto body = [&](const std::string& place, const std::string& name) {
    return Echo{place, "200 OK", kCookie, R"({"key":"abc+/123=","id":4711,)" + name + "}", ""};
  };
  return {
      body("display name", R"("name":"S")"),
      body("display name, with escapes", R"("name":"\"S\"\n")"),
      body("name of a member", R"("S":true)"),
      body("list", R"("list":[["S"],{"a":"S"}])"),
      {"error text and code", "400 Bad Request", "", R"({"code":"S","message":"no S"})", ""},
      {"error text beside a listed code", "400 Bad Request", "", R"({"code":"Expired","m":"S"})",
       ""},
      {"Location", "302 Found", kCookie + "Location: https://a.example/cb?code=S&x=1\r\n", kBody,
       ""},
      {"reason", "200 S", kCookie, kBody, ""},
      lines("value of a line", kCookie + "X-Echo: a=S; b=\"S\", S\r\n"),
      lines("name of a line", kCookie + "S: 1\r\n"),
      lines("cookie attribute", "Set-Cookie: session=a1b2c3d4; Path=/; note=S; S\r\n"),
      lines("Path", "Set-Cookie: session=a1b2c3d4; Path=/S\r\n", "not found"),
      lines("Domain", "Set-Cookie: session=a1b2c3d4; Path=/; Domain=S\r\n", "not found"),
      lines("Max-Age", "Set-Cookie: session=a1b2c3d4; Path=/; Max-Age=S\r\n", "bad header"),
      lines("Expires", "Set-Cookie: session=a1b2c3d4; Path=/; Expires=S\r\n", "bad header"),
      lines("joined Set-Cookie", "Set-Cookie: session=a1b2c3d4; Path=/, other=S\r\n", "not found"),
      lines("joined Set-Cookie, before", "Set-Cookie: other=S, session=a1b2c3d4; Path=/\r\n",
            "not found"),
      lines("the cookie itself", "Set-Cookie: session=S; Path=/\r\n"),
  };
}

std::string answer_of(const Echo& echo, const std::string& secret) {
  const auto filled = [&](std::string text) {
    for (size_t at = text.find('S'); at != std::string::npos; at = text.find('S', at)) {
      // Not of Set-Cookie.
      const bool is_name = text.compare(at, 10, "Set-Cookie") == 0;
      if (!is_name) text.replace(at, 1, secret);
      at += is_name ? 1 : secret.size();
    }
    return text;
  };
  const std::string body = filled(echo.body);
  return "HTTP/1.1 " + filled(echo.status) + "\r\n" + filled(echo.lines) +
         "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

class SealedEchoAttack : public ::testing::TestWithParam<size_t> {
 protected:
  using Opened = std::map<std::string, std::vector<Bytes>>;
  /// What is opened while that answer is read.
  Opened opened_by(const std::string& answer, Report& report) {
    const Openings openings(GetParam());
    Scenario scenario;
    scenario.script.answer = answer;
    scenario.tamper = openings.record();
    report = support::rig(GetParam(), "echo", echo_plan).run(scenario);
    return openings.opened();
  }
  static bool holds(const Opened& opened, const support::Canaries& canaries) {
    return std::any_of(opened.begin(), opened.end(), [&](const auto& of_label) {
      Bytes all;  // also of one that is opened piece by piece
      for (const Bytes& one : of_label.second) append(all, one);
      return canaries.find(all).has_value();
    });
  }
  /// Of the answer alone, but for what is another in each run: tags of ciphertexts, and the random
  /// elements of tests that are not passed.
  static Opened of_answer(Opened opened) {
    std::erase_if(opened, [](const auto& one) {
      return !one.first.starts_with("sealed/open") || one.first == "sealed/open tags";
    });
    return opened;
  }
};
INSTANTIATE_TEST_SUITE_P(Members, SealedEchoAttack, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, SealedEchoAttack,
                         ::testing::ValuesIn(support::in_long_runs({3})));

// A secret of the request comes back in every place: it is in nothing that is opened, and what is
// opened is what another text in its place would open, so no part of it is either.
TEST_P(SealedEchoAttack, NothingOfASecretThatComesBackIsOpened) {
  const ConnectionRig& members = support::rig(GetParam(), "echo", echo_plan);
  const std::string secret = members.expected_request().substr(ConnectionRig::kSignatureOffset, 64);
  std::string other = secret;
  for (char& c : other) c = c == '0' ? 'f' : static_cast<char>(c == 'a' ? '9' : c - 1);
  support::Canaries canaries;
  canaries.add("the secret", as_bytes(secret));
  for (const Echo& echo : echoes()) {
    SCOPED_TRACE(echo.place);
    Report report, of_other;
    const Opened opened = opened_by(answer_of(echo, secret), report);
    ASSERT_TRUE(report.ended && !of_answer(opened).empty());
    EXPECT_THAT(report.seen.request, HasSubstr(secret));
    EXPECT_FALSE(holds(opened, canaries));
    EXPECT_EQ(of_answer(opened), of_answer(opened_by(answer_of(echo, other), of_other)));
    for (const auto& member : report.members) {
      EXPECT_TRUE(member.sealed) << member.where << ": " << member.detail;
      EXPECT_EQ(member.failure, echo.failure);
      const bool refused = echo.status.starts_with("400"), kept = !refused && echo.failure.empty();
      EXPECT_EQ(member.leak.opened_bytes, kept ? 4u : 0u);
      if (refused) {
        EXPECT_EQ(member.listed_code,
                  echo.body.find("Expired") == std::string::npos ? "other" : "Expired");
      }
    }
  }
  // The same search finds what a plan opens: an id of these digits.
  Report report;
  const std::string id = "4711471147114711";
  Echo shown = echoes().front();
  shown.body = R"({"key":"abc+/123=","id":)" + id + "}";
  support::Canaries of_id;
  of_id.add("the id", as_bytes(id));
  EXPECT_TRUE(holds(opened_by(answer_of(shown, ""), report), of_id));
}

}  // namespace sealed_answers_test
}  // namespace flexroom
