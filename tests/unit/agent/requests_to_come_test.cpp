#include <gtest/gtest.h>

#include "agent/connection_state.h"
#include "agent/sealed_circuits.h"
#include "circuits/header_outline.h"
#include "support/sealed_rig.h"
#include "support/sweeps.h"

// Requests that are laid out only behind the answer before them (tls-in-mpc.md §4.9, "As built"),
// as those of a flow.

namespace flexroom {
namespace requests_to_come_test {

using agent::SealedItem;
using agent::SealedPlan;
using support::ConnectionRig;
using support::cookie_plan;
using support::small_plan;
using support::TestService;
using Report = ConnectionRig::Report;
using Member = ConnectionRig::MemberReport;
using Scenario = ConnectionRig::Scenario;

constexpr auto kData = tls::ContentType::kApplicationData;

class RequestsToComeTest : public ::testing::TestWithParam<size_t> {};

SealedPlan json_plan() {
  SealedPlan plan = small_plan();
  SealedItem item;
  item.at = agent::SealedJson{{std::string("key")}, false};
  item.char_class = http::char_set(http::CharClass::kB64);
  item.max_bytes = 40;
  plan.items.push_back(item);
  return plan;
}

std::shared_ptr<const SealedPlan> shared(SealedPlan plan, bool keep_alive) {
  plan.keep_alive = keep_alive;
  return std::make_shared<const SealedPlan>(std::move(plan));
}

/// A status alone, a cookie, a key out of a body.
ConnectionRig& three(size_t n, bool leaves_over = false) {
  static std::map<std::pair<size_t, bool>, std::unique_ptr<ConnectionRig>> rigs;
  auto& rig = rigs[{n, leaves_over}];
  if (rig) return *rig;
  SealedPlan status = small_plan();
  status.statuses = {200, 204};
  const auto first = shared(status, true);
  rig = std::make_unique<ConnectionRig>(
      n,
      [=](PartyId, agent::ConnectionConfig& config) {
        config.receive = agent::ReceiveMode::kSealed;
        config.sealed = first;
      },
      std::vector{shared(cookie_plan(), true), shared(json_plan(), false)}, 16384, leaves_over);
  return *rig;
}

Scenario scenario(size_t next_requests) {
  Scenario out;
  out.script.answer = "HTTP/1.1 204 No Content\r\nServer: test\r\n\r\n";
  out.script.close_notify = false;
  out.script.stays = true;
  out.script.one_piece = true;
  const std::string body = R"({"key":"abc+/123="})";
  out.script.next_answers = {
      {{kData, to_bytes("HTTP/1.1 200 OK\r\nSet-Cookie: session=a1b2c3d4; Path=/\r\n"
                        "Content-Length: 2\r\n\r\nok")}},
      {{kData, to_bytes("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
                        std::to_string(body.size()) + "\r\n\r\n" + body)}}};
  out.next_requests = next_requests;
  return out;
}

void expect_nothing_marked(const Report& report) {
  ASSERT_TRUE(report.ended);
  EXPECT_EQ(report.seen.requests.size(), 1u);
  for (const Member& member : report.members) {
    EXPECT_EQ(member.sealed_status, 204);
    ASSERT_EQ(member.next.size(), 1u) << member.detail;
    EXPECT_TRUE(member.next[0].code.has_value());
    EXPECT_EQ(member.next[0].marks, member.marks);
    EXPECT_FALSE(member.next[0].released || member.next[0].kept);
    EXPECT_TRUE(member.next[0].scope_restored);
  }
}

TEST_P(RequestsToComeTest, EachIsLaidOutBehindTheAnswerBeforeIt) {
  ConnectionRig& members = three(GetParam());
  const Report report = members.run(scenario(2));
  ASSERT_TRUE(report.ended);
  ASSERT_EQ(report.seen.requests.size(), 3u);
  for (size_t k = 0; k < 3; ++k) {
    EXPECT_EQ(report.seen.requests[k], members.expected_request(k));
  }
  for (const Member& member : report.members) {
    ASSERT_EQ(member.next.size(), 2u) << member.where << ": " << member.detail;
    for (const Member& next : member.next) {
      EXPECT_TRUE(next.stood);
      EXPECT_TRUE(next.sealed) << next.where << ": " << next.detail;
      EXPECT_EQ(next.failure, "");
      EXPECT_TRUE(next.scope_restored);
    }
    EXPECT_TRUE(member.kept && member.next[0].kept);
    EXPECT_FALSE(member.next[1].kept);
    EXPECT_EQ(member.sent_count("tls/nonce open"), members.size() - 1);
  }
  EXPECT_EQ(report.kept_next(0, 0), "a1b2c3d4");
  EXPECT_EQ(report.kept_next(1, 0), "abc+/123=");
}

// §4.2: what an answer left serves the next one, and nothing of what they say is another.
TEST_P(RequestsToComeTest, WhatAnAnswerLeftServesTheNext) {
  ConnectionRig& members = three(GetParam(), true);
  const Report report = members.run(scenario(2));
  const Report alone = three(GetParam()).run(scenario(2));
  ASSERT_TRUE(report.ended && alone.ended);
  ASSERT_EQ(report.seen.requests.size(), 3u);
  EXPECT_EQ(report.kept_next(0, 0), "a1b2c3d4");
  EXPECT_EQ(report.kept_next(1, 0), "abc+/123=");
  for (PartyId i = 0; i < members.size(); ++i) {
    const Member& member = report.members[i];
    ASSERT_EQ(member.next.size(), 2u) << member.where << ": " << member.detail;
    EXPECT_TRUE(member.next[1].sealed) << member.next[1].where << ": " << member.next[1].detail;
    EXPECT_EQ(member.sent_count("sealed/left over"), 2 * (members.size() - 1));
  }
  // Fewer rows are garbled.
  const auto rows = [](const Report& of) {
    size_t bytes = 0;
    for (const Member& member : of.members) {
      for (const net::MessageId& sent : member.sent) {
        if (sent.label == "boolean/F2 rows") bytes += sent.bytes;
      }
    }
    return bytes;
  };
  EXPECT_GT(rows(report), 0u);
  EXPECT_LT(rows(report), rows(alone));
}

// Attack: a member says that it has other circuits left over.
TEST_P(RequestsToComeTest, OtherCircuitsLeftOverStopAllBeforeAnythingIsMarked) {
  ConnectionRig& members = three(GetParam(), true);
  Scenario one = scenario(1);
  one.tamper = [](const net::MessageId& message, Bytes& payload) {
    if (message.sender == 1 && message.label == "sealed/left over") payload.front() ^= 1;
  };
  const Report report = members.run(one);
  expect_nothing_marked(report);
  for (PartyId i = 0; i < members.size(); ++i) {
    if (i == 1) continue;
    EXPECT_EQ(report.members[i].next.at(0).code, AbortCode::kDisagreement);
  }
}

// What the service says or does behind the answer, before the next request is laid out.
TEST_P(RequestsToComeTest, AConnectionThatIsNotLeftAloneIsGivenUp) {
  ConnectionRig& members = three(GetParam());
  Scenario ends = scenario(1), speaks = scenario(1);
  ends.script.ends_unasked = true;
  speaks.script.unasked = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n";
  for (const Scenario& one : {ends, speaks}) {
    const Report report = members.run(one);
    expect_nothing_marked(report);
    for (const Member& member : report.members) {
      EXPECT_TRUE(member.kept);
      EXPECT_FALSE(member.next.at(0).stood);
      EXPECT_EQ(member.next[0].code, AbortCode::kRefusedByRule);
    }
  }
}

// The status of an answer of which nothing else is wanted stands, whatever its header is.
TEST_P(RequestsToComeTest, AHeaderThatIsReadForTheConnectionCostsTheConnectionAlone) {
  ConnectionRig& members = three(GetParam());
  for (const std::string& header :
       {std::string("Bad Name: x\r\n\r\n"), "A: " + std::string(500, 'a') + "\r\n\r\n",
        std::string("Content-Length: x\r\n\r\n")}) {
    Scenario one = scenario(1);
    one.script.answer = "HTTP/1.1 200 OK\r\n" + header;
    const Report report = members.run(one);
    ASSERT_TRUE(report.ended);
    for (const Member& member : report.members) {
      EXPECT_EQ(member.sealed_status, 200);
      EXPECT_EQ(member.failure, "") << header;
      EXPECT_FALSE(member.unknown || member.kept);
    }
  }
}

// --- members ---

// Attack: the courier tells some that the service ended the connection, or has another end itself.
TEST_P(RequestsToComeTest, AnEndThatOnlyOneHasSeenStopsAllBeforeAnythingIsMarked) {
  ConnectionRig& members = three(GetParam());
  for (const std::string label : {"tls/forward", "tls/idle"}) {
    SCOPED_TRACE(label);
    Scenario one = scenario(1);
    one.tamper = [&](const net::MessageId& message, Bytes& payload) {
      if (message.sender != 1 || message.receiver != 0 || message.label != label) return;
      if (label == "tls/idle") {
        payload.front() ^= 1;
      } else if (payload.front() == static_cast<uint8_t>(agent::StreamEnd::kQuiet)) {
        payload.front() = static_cast<uint8_t>(agent::StreamEnd::kClosed);
      }
    };
    const Report report = members.run(one);
    expect_nothing_marked(report);
    EXPECT_EQ(report.members[0].next.at(0).code, AbortCode::kViewMismatch);
  }
}

TEST_P(RequestsToComeTest, OtherTermsAreRefusedBeforeAnythingIsMarked) {
  ConnectionRig& members = three(GetParam());
  Scenario policy = scenario(1), answer = scenario(1);
  policy.other_next_policy = 0;
  answer.other_next_answer = 0;
  for (const Scenario& one : {policy, answer}) {
    const Report report = members.run(one);
    expect_nothing_marked(report);
    EXPECT_EQ(report.members[1].next.at(0).code, AbortCode::kDisagreement);
  }
}

// --- settings ---

TEST(RequestsToComeTerms, WhatCannotFollowIsRefused) {
  const auto refused = [&](auto change) {
    agent::ConnectionConfig config;
    config.receive = agent::ReceiveMode::kSealed;
    config.sealed = shared(small_plan(), true);
    config.to_come = {1, 100, 4, 8192};
    change(config);
    try {
      agent::require_valid(config);
      return false;
    } catch (const InputError&) {
      return true;
    }
  };
  using Config = agent::ConnectionConfig;
  EXPECT_FALSE(refused([](Config&) {}));
  EXPECT_TRUE(refused([](Config& c) { c.sealed = shared(small_plan(), false); }));
  EXPECT_TRUE(refused([](Config& c) { c.sealed = nullptr; }));
  EXPECT_TRUE(refused([](Config& c) { c.to_come.request_bytes = 0; }));
  EXPECT_TRUE(refused([](Config& c) { c.receive = agent::ReceiveMode::kOpen; }));
  EXPECT_TRUE(refused([](Config& c) { c.later = {{{}, c.sealed}}; }));
  EXPECT_FALSE(refused([](Config& c) { c.suite = &tls::chacha20_poly1305_sha256(); }));

  agent::ConnectionConfig config;
  config.to_come = {1, 100, 4, 8192};
  const Digest same = agent::connection_terms(config);
  for (size_t agent::RequestsToCome::*part :
       {&agent::RequestsToCome::count, &agent::RequestsToCome::request_bytes,
        &agent::RequestsToCome::records, &agent::RequestsToCome::record_bytes}) {
    agent::ConnectionConfig other = config;
    ++(other.to_come.*part);
    EXPECT_NE(agent::connection_terms(other), same);
  }
}

/// Every way to cut a text into so many pieces finds its circuits, and wastes less than a step
/// each.
TEST(RequestsToComeTerms, PiecesOfAHeaderAndABodyFindTheirBlocks) {
  SealedPlan plan = json_plan();
  plan.header_max = 768;
  const agent::AnswerCipher& aes = agent::gcm_answer_cipher();
  const uint64_t single = agent::SealedCircuits(plan, aes).num_ands();
  plan.keep_alive = true;
  using Circuits = agent::SealedCircuits;
  for (size_t first = 1; first < 48; ++first) {
    Circuits circuits(plan, aes);
    EXPECT_EQ(circuits.keystream_left(Circuits::kHeaderBlocks), 52u);
    size_t left = 52;
    for (size_t piece : {first, 48 - first}) {
      while (piece > 0) {
        auto* const next = circuits.keystream_for(Circuits::kHeaderBlocks, piece);
        ASSERT_NE(next, nullptr) << first;
        const size_t blocks = Circuits::blocks_of(*next->program);
        left -= blocks;
        piece -= std::min(piece, blocks);
        next->name = "gone";
      }
    }
    EXPECT_EQ(circuits.keystream_left(Circuits::kHeaderBlocks), left);
  }
  // A second window, four blocks for its pieces, twelve for those of a body.
  const uint64_t window = mpc::compile(circuits::header_outline_circuit(768)).num_ands();
  EXPECT_LE(window, 768u * 41);
  EXPECT_EQ(agent::SealedCircuits(plan, aes).num_ands() - single, window + 16 * 5120);
}

INSTANTIATE_TEST_SUITE_P(Rooms, RequestsToComeTest, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, RequestsToComeTest,
                         ::testing::ValuesIn(support::in_long_runs({3})));

}  // namespace requests_to_come_test
}  // namespace flexroom
