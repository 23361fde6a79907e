#include <gtest/gtest.h>

#include "agent/connection_state.h"
#include "support/sealed_rig.h"
#include "support/sweeps.h"

// Several requests on one connection (tls-in-mpc.md §4.9): what leads to the next one,
// what ends the connection, and what an abort leaves.

namespace flexroom {
namespace several_requests_test {

using agent::SealedItem;
using agent::SealedPlan;
using support::ConnectionRig;
using support::cookie_plan;
using support::small_plan;
using support::TestService;
using ::testing::HasSubstr;
using Report = ConnectionRig::Report;
using Member = ConnectionRig::MemberReport;
using Scenario = ConnectionRig::Scenario;
using Records = std::vector<std::pair<tls::ContentType, Bytes>>;

constexpr auto kData = tls::ContentType::kApplicationData;
constexpr auto kAlertRecord = tls::ContentType::kAlert;
constexpr auto kHandshakeRecord = tls::ContentType::kHandshake;

class SeveralRequestsTest : public ::testing::TestWithParam<size_t> {};

SealedPlan cookie_first() {
  SealedPlan plan = cookie_plan();
  plan.keep_alive = true;
  plan.records = 6;
  plan.key_updates = 1;
  return plan;
}

SealedPlan json_second() {
  SealedPlan plan = small_plan();
  plan.keep_alive = true;
  plan.records = 8;
  SealedItem item;
  item.at = agent::SealedJson{{std::string("key")}, false};
  item.char_class = http::char_set(http::CharClass::kB64);
  item.max_bytes = 40;
  plan.items.push_back(item);
  return plan;
}

/// A cookie, a key out of a body, a status alone.
ConnectionRig& three(size_t n) {
  static std::map<size_t, std::unique_ptr<ConnectionRig>> rigs;
  auto& rig = rigs[n];
  if (rig) return *rig;
  const auto first = std::make_shared<const SealedPlan>(cookie_first());
  const auto second = std::make_shared<const SealedPlan>(json_second());
  const auto third = std::make_shared<const SealedPlan>(small_plan());
  rig = std::make_unique<ConnectionRig>(n, [=](PartyId, agent::ConnectionConfig& config) {
    config.receive = agent::ReceiveMode::kSealed;
    config.sealed = first;
    config.later = {{{}, second}, {{}, third}};
  });
  return *rig;
}

std::string cookie_answer(const std::string& more = "") {
  return "HTTP/1.1 200 OK\r\nSet-Cookie: session=a1b2c3d4; Path=/\r\n" + more +
         "Content-Length: 2\r\n\r\nok";
}
Bytes json_answer() {
  const std::string body = R"({"key":"abc+/123="})";
  return to_bytes("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
                  std::to_string(body.size()) + "\r\n\r\n" + body);
}
Bytes no_content() { return to_bytes("HTTP/1.1 204 No Content\r\n\r\n"); }

Scenario staying(const std::string& first, size_t next_requests = 1) {
  Scenario scenario;
  scenario.script.answer = first;
  scenario.script.close_notify = false;
  scenario.script.stays = true;
  scenario.script.one_piece = true;
  scenario.script.next_answers = {{{kData, json_answer()}}, {{kData, no_content()}}};
  scenario.next_requests = next_requests;
  return scenario;
}

bool is_kept(const Member& member) {
  return member.values.at(0).state == static_cast<uint8_t>(agent::SealedValue::State::kKept);
}

void expect_key(const Report& report, size_t next = 0) {
  ASSERT_TRUE(report.ended);
  for (const Member& member : report.members) {
    ASSERT_GT(member.next.size(), next) << member.where << ": " << member.detail;
    const Member& later = member.next[next];
    ASSERT_TRUE(later.sealed) << later.where << ": " << later.detail;
    EXPECT_EQ(later.failure, "");
  }
  EXPECT_EQ(report.kept_next(next, 0), "abc+/123=");
}

TEST_P(SeveralRequestsTest, ThreeOnOneHandshake) {
  ConnectionRig& members = three(GetParam());
  const Report report = members.run(staying(cookie_answer(), 2));
  expect_key(report);
  EXPECT_EQ(report.kept(0), "a1b2c3d4");
  ASSERT_EQ(report.seen.requests.size(), 3u);
  for (size_t k = 0; k < 3; ++k) {
    EXPECT_EQ(report.seen.requests[k], members.expected_request(k));
  }
  for (const Member& member : report.members) {
    ASSERT_EQ(member.next.size(), 2u);
    EXPECT_TRUE(member.kept);
    EXPECT_TRUE(member.next[0].kept);
    EXPECT_FALSE(member.next[1].kept);
    EXPECT_EQ(member.next[1].sealed_status, 204);
    EXPECT_TRUE(member.scope_restored && member.next[0].scope_restored);
    EXPECT_EQ(member.leak.opened_bytes + member.next[0].leak.opened_bytes, 0u);
    // A position of a record and a request id are marked before anything follows from them.
    std::vector<std::string> marks;
    for (const std::string& kind : member.next[1].marks) {
      if (kind != "answer tags") marks.push_back(kind);
    }
    EXPECT_EQ(marks, (std::vector<std::string>{"token", "token", "record", "release", "record",
                                               "release", "record", "release"}));
    EXPECT_EQ(member.sent_count("tls/nonce open"), members.size() - 1);
  }
}

/// What comes as the first answer, and what follows from it.
struct FirstAnswer {
  std::string what;
  Scenario scenario;
  bool goes_on = false, stands = true;
};

std::vector<FirstAnswer> first_answers() {
  const auto with = [](auto change, const std::string& more = "") {
    Scenario scenario = staying(cookie_answer(more));
    change(scenario.script);
    return scenario;
  };
  const auto plain = [](auto&) {};
  const Bytes ticket = TestService::ticket_message();
  const Bytes half(ticket.begin(), ticket.begin() + 100);
  return {
      {"keep-alive", with(plain, "Connection: Keep-Alive\r\n"), true},
      {"ticket", with([&](auto& s) {
         s.behind = {{kHandshakeRecord, ticket}};
       }),
       true},
      {"new keys", with([](auto& s) {
         s.behind = {{kHandshakeRecord, TestService::key_update_message(0)}};
       }),
       true},
      {"close", with(plain, "Connection: close\r\n")},
      {"two lines", with(plain, "Connection: keep-alive\r\nConnection: keep-alive\r\n")},
      {"a blank", with(plain, "Connection: keep-alive \r\n")},
      {"close_notify", with([](auto& s) { s.close_notify = true; })},
      {"FIN", with([](auto& s) {
         s.stays = false;
         s.answer.pop_back();
       })},
      {"half a body", with([](auto& s) { s.answer.pop_back(); })},
      {"bytes behind it", with([](auto& s) { s.answer += "H"; })},
      {"a record behind it", with([](auto& s) { s.more = {"HTTP/1.1 200 OK\r\n\r\n"}; })},
      {"a record that has begun", with([](auto& s) {
         s.raw = {23, 3, 3};
       })},
      {"half a ticket", with([&](auto& s) {
         s.behind = {{kHandshakeRecord, half}};
       })},
      {"keys of ours are asked for", with([](auto& s) {
         s.behind = {{kHandshakeRecord, TestService::key_update_message(1)}};
       })},
      {"user_canceled", with([](auto& s) {
         s.behind = {{kAlertRecord, {1, 90}}};
       })},
      {"chunks that are not read",
       staying("HTTP/1.1 200 OK\r\nSet-Cookie: session=a1b2c3d4; Path=/\r\n"
               "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
      {"another status", staying("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"), false, false},
      {"HTTP/1.0", staying("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"), false, false},
      {"interim", staying("HTTP/1.1 100 Continue\r\n\r\n" + cookie_answer()), false, false},
      {"408", staying("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"), false, false},
      {"no cookie", staying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), false, false},
  };
}

// §4.9(1): what ends the connection. The answer itself stands where it would on a connection of its
// own.
TEST_P(SeveralRequestsTest, WhatEndsTheConnection) {
  ConnectionRig& members = three(GetParam());
  size_t number = 0;
  for (const FirstAnswer& one : first_answers()) {
    if (support::skipped(GetParam(), number++)) continue;
    SCOPED_TRACE(one.what);
    const Report report = members.run(one.scenario);
    ASSERT_TRUE(report.ended);
    EXPECT_EQ(report.seen.requests.size(), one.goes_on ? 2u : 1u);
    for (const Member& member : report.members) {
      ASSERT_TRUE(member.sealed) << member.where << ": " << member.detail;
      EXPECT_EQ(is_kept(member), one.stands) << member.failure;
      EXPECT_EQ(member.kept, one.goes_on);
      ASSERT_EQ(member.next.size(), 1u);
      if (one.goes_on) continue;
      EXPECT_EQ(member.next[0].code, AbortCode::kRefusedByRule);
      EXPECT_EQ(member.next[0].marks, member.marks) << "nothing more is marked";
      EXPECT_TRUE(member.released);
      EXPECT_FALSE(member.next[0].released);
      EXPECT_LE(member.sent_count("tls/A3"), 1u);
    }
    if (one.goes_on) expect_key(report);
  }
}

// Attack 57: a courier that keeps the first answer back, to hand it out as the second, finds no
// member that makes a second request.
TEST_P(SeveralRequestsTest, AWithheldAnswerIsNotTakenForTheNext) {
  ConnectionRig& members = three(GetParam());
  Scenario scenario = staying(cookie_answer());
  scenario.script.withholds = true;
  const Report report = members.run(scenario);
  ASSERT_TRUE(report.ended);
  EXPECT_EQ(report.seen.requests.size(), 1u);
  for (const Member& member : report.members) {
    EXPECT_TRUE(member.unknown);
    EXPECT_FALSE(member.kept);
    EXPECT_EQ(member.next.at(0).code, AbortCode::kRefusedByRule);
  }
}

// The header in two windows, the body in pieces: read as they come.
TEST_P(SeveralRequestsTest, AnswersMayComeInPieces) {
  ConnectionRig& members = three(GetParam());
  const std::string first = cookie_answer();
  Scenario scenario = staying(first.substr(0, 30));
  scenario.script.more = {first.substr(30, 20), first.substr(50)};
  scenario.script.one_piece = false;
  const std::string second = to_text(json_answer());
  const size_t body = second.find("\r\n\r\n") + 4;
  const auto piece = [&](size_t begin, size_t end) {
    return std::pair{kData, to_bytes(second.substr(begin, end - begin))};
  };
  scenario.script.next_answers[0] = {piece(0, body), piece(body, body + 3), piece(body + 3, 999)};
  const Report report = members.run(scenario);
  expect_key(report);
  EXPECT_EQ(report.kept(0), "a1b2c3d4");

  // Chunks, cut everywhere.
  const std::string chunked =
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
      "a\r\n{\"key\":\"ab\r\n9\r\nc+/123=\"}\r\n0\r\n\r\n";
  const size_t at = chunked.find("\r\n\r\n") + 4;
  Scenario chunks = staying(first);
  chunks.script.one_piece = false;
  chunks.script.next_answers[0] = {};
  for (const auto& [begin, end] : std::vector<std::pair<size_t, size_t>>{
           {0, at}, {at, at + 2}, {at + 2, at + 9}, {at + 9, at + 14}, {at + 14, 999}}) {
    chunks.script.next_answers[0].emplace_back(kData, to_bytes(chunked.substr(begin, end - begin)));
  }
  expect_key(members.run(chunks));
}

// A header in pieces with pauses is as whole as it is on a connection without another request: its
// last window is what comes until silence ends the answer.
TEST_P(SeveralRequestsTest, AHeaderMayComeWithPauses) {
  ConnectionRig& members = three(GetParam());
  const std::string first = cookie_answer();
  Scenario scenario = staying("H");
  scenario.script.more = {first.substr(1, 29), first.substr(30, 20), first.substr(50, 5),
                          first.substr(55)};
  scenario.script.one_piece = false;
  scenario.script.pause = tls::kQuietAfterAnswer;
  const Report report = members.run(scenario);
  ASSERT_TRUE(report.ended);
  EXPECT_EQ(report.kept(0), "a1b2c3d4");

  // A pause that ends it there ends it here.
  scenario.script.pause += std::chrono::milliseconds(1);
  const Report cut = members.run(scenario);
  ASSERT_TRUE(cut.ended);
  for (const Member& member : cut.members) {
    EXPECT_TRUE(member.unknown);
    EXPECT_THAT(member.unknown_why, HasSubstr("incomplete"));
    EXPECT_FALSE(member.kept);
  }
}

// What an answer was read with is gone from the memory when it was read: its keystream goes with
// it, not with the connection.
TEST_P(SeveralRequestsTest, TheTextOfAnAnswerIsWipedWhenItWasRead) {
  Scenario scenario = staying(cookie_answer(), 0);
  scenario.looks_for_the_value = true;
  const Report report = three(GetParam()).run(scenario);
  ASSERT_TRUE(report.ended);
  for (const Member& member : report.members) {
    EXPECT_TRUE(member.kept) << member.where << ": " << member.detail;
    EXPECT_GE(member.copies_before, 1u);
    EXPECT_EQ(member.copies_behind, 0u);
  }
}

/// A status alone, behind which the connection goes on and one KeyUpdate of it may come; a cookie,
/// with none of its own.
ConnectionRig& updated(size_t n) {
  static std::map<size_t, std::unique_ptr<ConnectionRig>> rigs;
  auto& rig = rigs[n];
  if (rig) return *rig;
  SealedPlan plan = small_plan();
  plan.keep_alive = true;
  plan.key_updates = 1;
  const auto first = std::make_shared<const SealedPlan>(plan);
  const auto second = std::make_shared<const SealedPlan>(cookie_plan());
  rig = std::make_unique<ConnectionRig>(n, [=](PartyId, agent::ConnectionConfig& config) {
    config.receive = agent::ReceiveMode::kSealed;
    config.sealed = first;
    config.later = {{{}, second}};
  });
  return *rig;
}

// Where the connection alone is at stake, what comes late ends it: the answer stands at once.
TEST_P(SeveralRequestsTest, NothingIsWaitedForLongForTheConnectionsSake) {
  ConnectionRig& members = updated(GetParam());
  const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  for (const size_t cut : {size_t{20}, answer.size() - 2}) {
    Scenario scenario = staying(answer.substr(0, cut), 0);
    scenario.script.more = {answer.substr(cut)};
    scenario.script.one_piece = false;
    scenario.script.pause = std::chrono::milliseconds(2000);
    for (const auto& member : members.run(scenario).members) {
      EXPECT_EQ(member.sealed_status, 200) << member.where << ": " << member.detail;
      EXPECT_TRUE(member.kept);
    }
    scenario.script.pause += std::chrono::milliseconds(1);
    for (const auto& member : members.run(scenario).members) {
      EXPECT_EQ(member.sealed_status, 200) << member.where << ": " << member.detail;
      EXPECT_EQ(member.failure, "");
      EXPECT_FALSE(member.unknown || member.kept);
    }
  }
}

/// The second answer comes in two pieces, with new keys between them.
void expect_second_under_new_keys(ConnectionRig& members, const std::string& answer, size_t cut) {
  Scenario scenario = staying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  scenario.script.next_answers = {{{kData, to_bytes(answer.substr(0, cut))},
                                   {kHandshakeRecord, TestService::key_update_message(0)},
                                   {kData, to_bytes(answer.substr(cut))}}};
  const Report report = members.run(scenario);
  ASSERT_TRUE(report.ended);
  for (const Member& member : report.members) {
    ASSERT_EQ(member.next.size(), 1u) << member.failure << member.detail;
    ASSERT_TRUE(member.next[0].sealed) << member.next[0].where << ": " << member.next[0].detail;
    EXPECT_EQ(member.next[0].failure, "");
    EXPECT_EQ(member.next[0].leak.key_updates, 1u);
  }
  EXPECT_EQ(report.kept_next(0, 0), "a1b2c3d4");
}

// §3.6: KeyUpdates are counted over the connection; whichever answer meets one has room for it.
TEST_P(SeveralRequestsTest, NewKeysMayComeInAnyAnswer) {
  expect_second_under_new_keys(updated(GetParam()), cookie_answer(), 60);
}

// One that fills the whole header needs keystream under both keys: more than without new ones.
TEST_P(SeveralRequestsTest, NewKeysMayComeInALongHeader) {
  std::string answer = "HTTP/1.1 200 OK\r\nSet-Cookie: session=a1b2c3d4; Path=/\r\nX-Filler: ";
  const std::string end = "\r\nContent-Length: 0\r\n\r\n";
  answer += std::string(cookie_plan().header_max - answer.size() - end.size(), 'x') + end;
  expect_second_under_new_keys(updated(GetParam()), answer, answer.size() / 2 + 9);
}

// §4.9(1): whether the connection goes on is asked when the answer is done, with what is left.
TEST_P(SeveralRequestsTest, WhatTheConnectionNeedsIsNotAtTheCostOfTheAnswer) {
  SealedPlan plan = cookie_plan();
  const std::string more = "Connection: keep-alive\r\n";
  size_t tests = 0;
  {
    const Report alone = support::answer_with(*support::make_rig(2, plan), cookie_answer(more));
    support::expect_kept(alone, "a1b2c3d4");
    tests = alone.members[0].leak.tests;
  }
  ASSERT_GT(tests, 0u);
  plan.tests_max = tests;
  plan.keep_alive = true;
  const auto members = support::make_rig(GetParam(), plan);
  support::expect_kept(members->run(staying(cookie_answer(more), 0)), "a1b2c3d4");
}

// A request that may be out is an unknown outcome, whatever becomes of the socket; nobody waits and
// no engine ends.
TEST_P(SeveralRequestsTest, ASocketThatFailsWhileALaterRequestIsWritten) {
  ConnectionRig& members = three(GetParam());
  Scenario scenario = staying(cookie_answer());
  scenario.script.resets_at = 1;
  const Report report = members.run(scenario);
  ASSERT_TRUE(report.ended);
  for (const Member& member : report.members) {
    EXPECT_TRUE(is_kept(member));
    ASSERT_EQ(member.next.size(), 1u);
    const Member& next = member.next[0];
    EXPECT_FALSE(next.code.has_value()) << next.where << ": " << next.detail;
    EXPECT_TRUE(next.released && next.unknown && !next.kept);
    EXPECT_THAT(next.unknown_why, HasSubstr("the connection to the service broke"));
  }
}

TEST_P(SeveralRequestsTest, BehindARefusedNextRequestThereIsNoOther) {
  ConnectionRig& members = three(GetParam());
  Scenario scenario = staying(cookie_answer(), 2);
  scenario.head_next = true;
  const Report report = members.run(scenario);
  ASSERT_TRUE(report.ended);
  EXPECT_EQ(report.seen.requests.size(), 1u);
  for (const Member& member : report.members) {
    ASSERT_EQ(member.next.size(), 2u);
    EXPECT_THAT(member.next[0].detail, HasSubstr("HEAD"));
    EXPECT_FALSE(member.next[0].kept);
    EXPECT_TRUE(member.next[0].scope_restored);
    EXPECT_EQ(member.next[1].code, AbortCode::kRefusedByRule);
    EXPECT_FALSE(member.next[0].released || member.next[1].released);
  }
}

// --- members ---

TEST_P(SeveralRequestsTest, AnotherNextRequestIsRefusedBeforeAnythingIsMarked) {
  ConnectionRig& members = three(GetParam());
  Scenario scenario = staying(cookie_answer());
  scenario.other_next_request = 0;
  const Report report = members.run(scenario);
  ASSERT_TRUE(report.ended);
  EXPECT_EQ(report.seen.requests.size(), 1u);
  for (const Member& member : report.members) {
    EXPECT_TRUE(is_kept(member));
    ASSERT_TRUE(member.next.at(0).code.has_value());
    EXPECT_EQ(member.next[0].marks, member.marks);
    EXPECT_FALSE(member.next[0].kept);
    EXPECT_FALSE(member.next[0].released);
  }
  EXPECT_EQ(report.members[1].next[0].code, AbortCode::kDisagreement);
}

// A request id is released once, on whatever connection (§5.8).
TEST_P(SeveralRequestsTest, TheSameRequestIsNotReleasedTwice) {
  ConnectionRig& members = three(GetParam());
  Scenario scenario = staying(cookie_answer());
  scenario.repeats_id = true;
  const Report report = members.run(scenario);
  ASSERT_TRUE(report.ended);
  EXPECT_EQ(report.seen.requests.size(), 1u);
  for (const Member& member : report.members) {
    EXPECT_EQ(member.next.at(0).code, AbortCode::kReuse);
    EXPECT_FALSE(member.next[0].released);
  }
}

// What a member alters of the second request or answer ends the connection, and only that: the
// first answer's value was confirmed and stays.
TEST_P(SeveralRequestsTest, AlteredMessagesOfTheSecondRequest) {
  ConnectionRig& members = three(GetParam());
  struct Altered {
    std::string label;
    PartyId sender, receiver;
    size_t index;
    AbortCode code;
  };
  const std::vector<Altered> all = {
      {"tls/A3", 0, 1, 1, AbortCode::kViewMismatch},
      {"tls/tag share", 0, 1, 1, AbortCode::kMac},
      {"tls/A4", 1, 0, 1, AbortCode::kViewMismatch},
      {"sealed/open body marks", 1, 0, 0, AbortCode::kMac},
  };
  for (const Altered& altered : all) {
    SCOPED_TRACE(altered.label);
    Scenario scenario = staying(cookie_answer());
    scenario.tamper = [&](const net::MessageId& message, Bytes& payload) {
      if (message.sender == altered.sender && message.receiver == altered.receiver &&
          message.label == altered.label && message.index == altered.index) {
        payload.front() ^= 1;
      }
    };
    const Report report = members.run(scenario);
    ASSERT_TRUE(report.ended);
    const Member& victim = report.members[altered.receiver];
    EXPECT_TRUE(is_kept(victim));
    EXPECT_EQ(victim.next.at(0).code, altered.code) << victim.next[0].detail;
    EXPECT_FALSE(victim.next[0].kept);
    for (const Member& member : report.members) EXPECT_TRUE(is_kept(member));
  }
}

TEST_P(SeveralRequestsTest, WithoutConfirmationNoNextRequest) {
  ConnectionRig& members = three(GetParam());
  Scenario scenario = staying(cookie_answer());
  scenario.tamper = [](const net::MessageId& message, Bytes& payload) {
    if (message.sender == 1 && message.receiver == 0 && message.label == "boolean/O6 ok" &&
        message.index == 3) {
      payload.front() ^= 1;
    }
  };
  const Report report = members.run(scenario);
  ASSERT_TRUE(report.ended);
  EXPECT_NE(report.members[0].unconfirmed, "");
  EXPECT_FALSE(report.members[0].kept);
  EXPECT_EQ(report.members[0].values[0].state, 0);
  EXPECT_EQ(report.members[0].next.at(0).code, AbortCode::kRefusedByRule);
}

// --- settings ---

TEST(SeveralRequestsTerms, WhatCannotBeOnOneConnectionIsRefused) {
  const auto going_on = std::make_shared<SealedPlan>(small_plan());
  going_on->keep_alive = true;
  const auto last = std::make_shared<const SealedPlan>(small_plan());
  EXPECT_NE(going_on->digest(), last->digest());
  const auto refused = [&](auto change) {
    agent::ConnectionConfig config;
    config.receive = agent::ReceiveMode::kSealed;
    config.sealed = going_on;
    config.later = {{{}, going_on}, {{}, last}};
    change(config);
    try {
      agent::require_valid(config);
      return false;
    } catch (const InputError&) {
      return true;
    }
  };
  EXPECT_FALSE(refused([](agent::ConnectionConfig&) {}));
  EXPECT_TRUE(refused([&](agent::ConnectionConfig& c) { c.sealed = last; }));
  EXPECT_TRUE(refused([&](agent::ConnectionConfig& c) { c.later[0].sealed = last; }));
  EXPECT_TRUE(refused([&](agent::ConnectionConfig& c) { c.later[1].sealed = nullptr; }));
  EXPECT_FALSE(
      refused([&](agent::ConnectionConfig& c) { c.suite = &tls::chacha20_poly1305_sha256(); }));
  EXPECT_TRUE(refused([](agent::ConnectionConfig& c) { c.receive = agent::ReceiveMode::kOpen; }));
  EXPECT_TRUE(refused([](agent::ConnectionConfig& c) { c.pipelined = true; }));
  EXPECT_TRUE(refused([](agent::ConnectionConfig& c) {
    c.pipelined = true;
    c.later.clear();
  }));
  EXPECT_FALSE(refused([](agent::ConnectionConfig& c) {
    c.receive = agent::ReceiveMode::kOpen;
    c.pipelined = true;
  }));

  // All of it is agreed.
  agent::ConnectionConfig config;
  config.sealed = going_on;
  config.later = {{{}, last}};
  const Digest same = agent::connection_terms(config);
  agent::ConnectionConfig other = config;
  other.pipelined = true;
  EXPECT_NE(agent::connection_terms(other), same);
  other = config;
  other.later[0].sealed = going_on;
  EXPECT_NE(agent::connection_terms(other), same);
  other = config;
  other.later.pop_back();
  EXPECT_NE(agent::connection_terms(other), same);
}

INSTANTIATE_TEST_SUITE_P(Rooms, SeveralRequestsTest, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, SeveralRequestsTest,
                         ::testing::ValuesIn(support::in_long_runs({3})));

}  // namespace several_requests_test
}  // namespace flexroom
