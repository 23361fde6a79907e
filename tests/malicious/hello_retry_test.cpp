#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "support/connection_rig.h"
#include "support/sweeps.h"

// Both groups in one hello and HelloRetryRequest, by members of whom one may lie: tls-complete.md
// §1.2 to §1.4 and its attacks 69 to 71, 101.

namespace flexroom {
namespace {

using support::ConnectionRig;
using support::TestService;
using tls::testing::hello_retry;
using Scenario = ConnectionRig::Scenario;
using Report = ConnectionRig::Report;

const Bytes kCookie(40, 0xc0);

ConnectionRig& retry_rig(size_t n) {
  static std::map<size_t, std::unique_ptr<ConnectionRig>> rigs;
  auto& rig = rigs[n];
  if (!rig) rig = std::make_unique<ConnectionRig>(n);
  return *rig;
}

class RetryAttack : public ::testing::TestWithParam<size_t> {
 protected:
  ConnectionRig& members() { return retry_rig(GetParam()); }
  Report run(const Scenario& scenario) {
    Report report = members().run(scenario);
    EXPECT_TRUE(report.ended);
    return report;
  }
  void expect_answer(const Report& report) {
    EXPECT_TRUE(report.seen.finished);
    EXPECT_EQ(report.seen.request, members().expected_request());
    for (const auto& member : report.members) {
      EXPECT_TRUE(member.replied) << member.where << ": " << member.detail;
      // One point a peer, of one group; the tokens of both are spent before the hello.
      EXPECT_EQ(member.sent_count("arith/dh/Z"), GetParam() - 1);
      EXPECT_EQ(member.marks, (std::vector<std::string>{"token", "token", "record", "release"}));
    }
  }
  /// No share of the conversion, no label, no strike.
  void expect_dead_before_a1(const Report& report) {
    EXPECT_EQ(report.seen.request, "");
    for (const auto& member : report.members) {
      EXPECT_FALSE(member.replied);
      ASSERT_TRUE(member.code.has_value());
      EXPECT_EQ(member.abort_class(), AbortClass::kNetwork) << member.where << member.detail;
      EXPECT_EQ(member.sent_count("arith/dh/open"), 0u);
      EXPECT_EQ(member.sent_count("boolean/O2 labels"), 0u);
      EXPECT_LE(member.sent_count("arith/dh/Z"), GetParam() - 1);
      EXPECT_FALSE(member.released);
    }
  }
};

// §1.1: one hello serves hosts of every group; the key of P-256 is sent to who asks for it.
TEST_P(RetryAttack, OneHelloServesEveryGroup) {
  for (const NamedGroup group : all_groups()) {
    Scenario scenario;
    scenario.script.group = group;
    const bool asked = group == NamedGroup::kP256;
    if (asked) scenario.script.retry = {hello_retry(0x0017)};
    const Report report = run(scenario);
    EXPECT_EQ(report.seen.retried, asked);
    expect_answer(report);
  }
}

// A stateless server: the hello again with its cookie, all keys as before, or the one it asks for.
TEST_P(RetryAttack, ACookieIsReturned) {
  for (const NamedGroup group : all_groups()) {
    Scenario scenario;
    scenario.script.group = group;
    const bool asked = group == NamedGroup::kP256;
    scenario.script.retry = {asked ? hello_retry(0x0017, kCookie) : hello_retry({}, kCookie)};
    const Report report = run(scenario);
    EXPECT_TRUE(report.seen.retried);
    expect_answer(report);
  }
}

// 70: no key is asked for that is in the first hello, none of a group that was not offered; nor are
// two hellos more.
TEST_P(RetryAttack, WhatIsNoReasonForAnotherHelloEndsTheHandshake) {
  for (const std::vector<tls::testing::ServerHelloFields>& retry :
       {std::vector{hello_retry(0x11ec)}, std::vector{hello_retry(0x001d)},
        std::vector{hello_retry(0x0018)}, std::vector{hello_retry({})},
        std::vector{hello_retry({}, kCookie), hello_retry({}, kCookie)},
        std::vector{hello_retry(0x0017), hello_retry(0x0017)}}) {
    Scenario scenario;
    scenario.script.retry = retry;
    const Report report = run(scenario);
    expect_dead_before_a1(report);
    EXPECT_FALSE(report.seen.retried);
    EXPECT_TRUE(report.seen.alert_in_clear);
    for (const auto& member : report.members) EXPECT_EQ(member.code, AbortCode::kServer);
  }
}

/// A courier that answers the first hello with a HelloRetryRequest of its own and shows the server
/// the second one alone.
class ForgedRetry : public ByteStream {
 public:
  explicit ForgedRetry(TestService::Seen& seen) : service_({}, seen) {}
  void write(ByteView bytes) override {
    if (hellos_ == 2) return service_.write(bytes);
    ++hellos_;
    if (hellos_ == 1) {
      tls::testing::ServerHelloFields retry = hello_retry({}, kCookie);
      const ByteView message = bytes.subspan(5);
      retry.session_id.assign(message.begin() + 39, message.begin() + 39 + 32);
      forged_ = tls::plain_record(tls::ContentType::kHandshake, 0x0303, retry.message());
      return;
    }
    service_.write(bytes.subspan(6));  // without the ChangeCipherSpec
  }
  Bytes read_some(size_t max) override {
    return forged_.empty() ? service_.read_some(max) : std::exchange(forged_, {});
  }
  std::optional<Bytes> read_some_within(size_t max, std::chrono::milliseconds quiet) override {
    return service_.read_some_within(max, quiet);
  }
  void close() override {}

 private:
  TestService service_;
  Bytes forged_;
  int hellos_ = 0;
};

// 69: the server's transcript has no HelloRetryRequest: its flight does not open, nothing is asked
// of it, nobody is blamed, the tokens are spent.
TEST_P(RetryAttack, AForgedOneEndsAtTheFlight) {
  Scenario scenario;
  scenario.service = [](TestService::Seen& seen) { return std::make_unique<ForgedRetry>(seen); };
  const Report report = run(scenario);
  EXPECT_TRUE(report.seen.hello);
  EXPECT_FALSE(report.seen.finished);
  EXPECT_EQ(report.seen.request, "");
  for (const auto& member : report.members) {
    EXPECT_FALSE(member.replied);
    EXPECT_EQ(member.code, AbortCode::kServer) << member.where << member.detail;
    EXPECT_EQ(member.marks, (std::vector<std::string>{"token", "token"}));
    EXPECT_EQ(member.sent_count("tls/tag share"), 0u);
  }
}

// 71: the courier shows one member another HelloRetryRequest: the views differ at A1.
TEST_P(RetryAttack, DifferentOnesStopAtA1) {
  Scenario scenario;
  scenario.script.retry = {hello_retry({}, kCookie)};
  scenario.tamper = [](const net::MessageId& message, Bytes& payload) {
    if (message.label == "tls/forward" && message.receiver == 0 && message.index == 0) {
      payload.back() ^= 1;  // of the cookie
    }
  };
  const Report report = run(scenario);
  EXPECT_TRUE(report.seen.retried);
  expect_dead_before_a1(report);
  EXPECT_TRUE(report.members[0].code == AbortCode::kViewMismatch ||
              report.members[1].code == AbortCode::kViewMismatch);
}

// 101, 75: the courier shows one member a ServerHello in the other group: that member's point is of
// another curve. No point is taken, none is sent again in the other group.
TEST_P(RetryAttack, AServerHelloInTheOtherGroupStopsAtA1) {
  for (PartyId victim = 0; victim < GetParam(); ++victim) {
    if (victim == members().courier()) continue;
    Scenario scenario;
    scenario.tamper = [&](const net::MessageId& message, Bytes& payload) {
      if (message.label != "tls/forward" || message.receiver != victim || message.index != 0)
        return;
      payload.resize(9);  // kind, offset
      append(payload, members().seen()->other_hello);
    };
    expect_dead_before_a1(run(scenario));
  }
}

INSTANTIATE_TEST_SUITE_P(Rooms, RetryAttack, ::testing::Values(2, 3));

// tls-complete.md §1.1, host facts: a key is in the first hello because it is likely, and nothing
// more follows from it.
class LikelyCurve : public ::testing::TestWithParam<size_t> {};

TEST_P(LikelyCurve, SavesTheRoundTripAndServesEveryGroup) {
  ConnectionRig members(GetParam(), [](PartyId, agent::ConnectionConfig& config) {
    config.likely_curve = NamedGroup::kP256;
  });
  for (const NamedGroup group : all_groups()) {
    Scenario scenario;
    scenario.script.group = group;
    const bool asked = group == NamedGroup::kX25519;
    if (asked) scenario.script.retry = {hello_retry(0x001d)};
    const Report report = members.run(scenario);
    ASSERT_TRUE(report.ended);
    EXPECT_EQ(report.seen.retried, asked);
    EXPECT_EQ(report.seen.request, members.expected_request());
    for (const auto& member : report.members) {
      EXPECT_TRUE(member.replied) << member.where << ": " << member.detail;
      EXPECT_EQ(member.sent_count("arith/dh/Z"), GetParam() - 1);
    }
  }
}

// A member that remembers something else builds another hello: nothing of either leaves.
TEST_P(LikelyCurve, MembersThatTakeAnotherForLikelySendNothing) {
  ConnectionRig members(GetParam(), [](PartyId i, agent::ConnectionConfig& config) {
    if (i == 0) config.likely_curve = NamedGroup::kP256;
  });
  const Report report = members.run({});
  ASSERT_TRUE(report.ended);
  EXPECT_FALSE(report.seen.hello);
  for (const auto& member : report.members) {
    EXPECT_FALSE(member.replied);
    EXPECT_FALSE(member.released);
    ASSERT_TRUE(member.code.has_value());
    EXPECT_LE(member.abort_class(), AbortClass::kNetwork) << member.where << member.detail;
  }
}

INSTANTIATE_TEST_SUITE_P(Rooms, LikelyCurve, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, LikelyCurve, ::testing::ValuesIn(support::in_long_runs({3})));

// kill -9 between the first hello, the HelloRetryRequest and the second hello: both tokens are
// burnt and nothing else; with the marks that are on disk nothing of these keys leaves again.
TEST(RetryKill, BurnsTheTokensAndNothingElse) {
  ConnectionRig& members = retry_rig(2);
  for (const int at : {1, 2}) {
    std::string folder = (std::filesystem::temp_directory_path() / "flexroom-kill-XXXXXX").string();
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    Scenario scenario;
    scenario.journals = folder;
    scenario.script.retry = {hello_retry({}, kCookie)};
    scenario.script.on_hello = [at](int number) {
      if (number == at) ::kill(::getpid(), SIGKILL);
    };
    EXPECT_FALSE(members.run(scenario).ended);
    for (PartyId i = 0; i < 2; ++i) {
      std::ifstream in(folder + "/" + std::to_string(i));
      std::vector<std::string> kinds;
      for (std::string kind, id; in >> kind >> id;) kinds.push_back(kind);
      EXPECT_EQ(kinds, (std::vector<std::string>{"token", "token"})) << at;
    }
    scenario.script.on_hello = nullptr;
    const Report again = members.run(scenario);
    ASSERT_TRUE(again.ended);
    EXPECT_FALSE(again.seen.hello);
    for (const auto& member : again.members) {
      // The first to see it, and whoever was waiting for it.
      ASSERT_TRUE(member.code.has_value());
      EXPECT_TRUE(member.code == AbortCode::kReuse || member.abort_class() == AbortClass::kNetwork);
      EXPECT_EQ(member.sent_count("tls/ready"), 0u);
    }
    std::filesystem::remove_all(folder);
  }
}

}  // namespace
}  // namespace flexroom
