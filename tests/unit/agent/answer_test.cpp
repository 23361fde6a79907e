#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "agent/connection_state.h"
#include "agent/views.h"
#include "agent/write_direction.h"
#include "support/connection_rig.h"
#include "support/memory_mesh.h"

// What a service may do once the request is out, and what becomes of its answer (tls-in-mpc.md
// §4.6, §5.8): framing says whether it is whole, and all that came is kept. Whole connections of
// two members against a service in the test.

namespace flexroom {
namespace {

using support::ConnectionRig;
using support::TestService;
using ::testing::HasSubstr;
using Report = ConnectionRig::Report;

constexpr std::string_view kTwo = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

ConnectionRig& rig() {
  static ConnectionRig rig(2);
  return rig;
}
ConnectionRig& small_rig() {
  static ConnectionRig rig(2, [](PartyId, agent::ConnectionConfig& c) { c.max_answer = 1000; });
  return rig;
}
ConnectionRig& awaiting_rig() {
  static ConnectionRig rig(2, [](PartyId, agent::ConnectionConfig& c) { c.await_close = true; });
  return rig;
}

Report run(const TestService::Script& script, ConnectionRig& members = rig()) {
  ConnectionRig::Scenario scenario;
  scenario.script = script;
  Report report = members.run(scenario);
  EXPECT_TRUE(report.ended);
  EXPECT_EQ(report.seen.request, members.expected_request());
  return report;
}

void expect_whole(const Report& report, const std::string& body) {
  for (const auto& member : report.members) {
    EXPECT_TRUE(member.replied) << member.where << member.detail << member.unknown_why;
    EXPECT_EQ(member.status, 200);
    EXPECT_EQ(member.body, body);
    EXPECT_EQ(member.received, "");
  }
}

/// Nobody aborts, everybody says why and has what came.
void expect_unknown(const Report& report, const std::string& why, const std::string& received) {
  for (PartyId i = 0; i < report.members.size(); ++i) {
    const auto& member = report.members[i];
    EXPECT_FALSE(member.replied);
    EXPECT_TRUE(member.unknown) << member.where << ": " << member.detail;
    EXPECT_THAT(member.unknown_why, HasSubstr(why)) << i;
    EXPECT_EQ(member.received, received) << i;
    EXPECT_TRUE(member.released);
  }
}

// Frameworks flush the CRLF of a chunk on its own: a record of the length of a close_notify.
TEST(Answer, FlushesOfTwoBytesAreNoEnd) {
  TestService::Script script;
  script.answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  script.more = {"5\r\n", "hello", "\r\n", "0\r\n", "\r\n"};
  expect_whole(run(script), "hello");
  script.close_notify = false;
  expect_whole(run(script), "hello");
  script.stays = true;  // a second of silence behind two bytes
  expect_whole(run(script), "hello");
}

TEST(Answer, IsWholeByItsFramingWhereTheServiceStaysConnected) {
  TestService::Script script;
  script.answer = kTwo;
  script.stays = true;
  script.close_notify = false;
  const Report report = run(script);
  expect_whole(report, "ok");
  EXPECT_TRUE(report.seen.looked_within);
  script.close_notify = true;
  script.padding = 64;
  expect_whole(run(script), "ok");
}

TEST(Answer, AnEndWithoutAnAnswerIsUnknown) {
  TestService::Script script;
  script.answer = "";
  expect_unknown(run(script), "there is no answer", "");
  script.answer = kTwo.substr(0, kTwo.size() - 1);
  expect_unknown(run(script), "not whole", script.answer);
  script.close_notify = false;
  script.breaks = true;
  Report report = run(script);
  expect_unknown(report, "the connection to the service broke", script.answer);
  EXPECT_THAT(report.members[1].unknown_why, HasSubstr("no route"));
  EXPECT_THAT(report.members[0].unknown_why, HasSubstr("the courier says"));
}

// Two records that may be tickets: the answer is awaited as long as the socket waits.
TEST(Answer, TicketsAreNotTakenForAnAnswer) {
  TestService::Script script;
  script.answer = std::string(200, 'x');
  script.more = {std::string(210, 'x')};
  script.stays = true;
  script.close_notify = false;
  const Report report = run(script);
  EXPECT_FALSE(report.seen.looked_within);
  for (const auto& member : report.members) EXPECT_TRUE(member.unknown);
}

TEST(Answer, WhatTheParserRefusesIsKept) {
  TestService::Script script;
  script.answer = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\ni-0a";
  Report report = run(script);
  expect_unknown(report, "Content-Encoding: gzip", script.answer);
  for (const auto& member : report.members) EXPECT_EQ(member.body, "i-0a");
  script.answer = std::string(kTwo) + "HTTP/1.1 200 OK\r\n";
  expect_unknown(run(script), "bytes after its response", script.answer);
  script.answer = "ICY 200 OK\r\n\r\nmusic";
  expect_unknown(run(script), "does not begin with", script.answer);
}

TEST(Answer, WhatCameBeforeAViolationIsKept) {
  TestService::Script script;
  script.answer = kTwo;
  script.close_notify = false;
  script.raw = Bytes{21, 3, 3, 0, 2, 2, 80};  // an alert in the clear
  expect_unknown(run(script), "unprotected record", std::string(kTwo));
  script.raw = Bytes{99, 3, 3, 0, 2, 2, 80};  // no record
  expect_unknown(run(script), "unknown type 99", std::string(kTwo));
  script.raw = Bytes(5 + 40, 23);  // a record that does not verify
  script.raw[3] = 0, script.raw[4] = 40;
  expect_unknown(run(script), "does not verify", std::string(kTwo));
  script.raw = Bytes{23, 3, 3, 0, 40, 1};  // a record that is not whole
  expect_unknown(run(script), "last record is not whole", std::string(kTwo));
  // Behind close_notify nothing counts.
  script.close_notify = true;
  script.raw = {};
  script.more = {};
  expect_whole(run(script), "ok");
}

TEST(Answer, OfAnyLengthUpToTheLimit) {
  const std::string body(2 << 20, 'b');
  const auto sized = [](const std::string& text) {
    TestService::Script script;
    script.answer =
        "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(text.size()) + "\r\n\r\n";
    for (size_t at = 0; at < text.size(); at += 16384)
      script.more.push_back(text.substr(at, 16384));
    return script;
  };
  expect_whole(run(sized(body)), body);
  expect_whole(run(sized(body.substr(0, 1000)), small_rig()), body.substr(0, 1000));
  const Report report = run(sized(body.substr(0, 1001)), small_rig());
  expect_unknown(report, "limit of 1000 bytes (`max_answer`",
                 "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + body.substr(0, 1001));
}

// Far above the limit the records are not read to their end: the text still names the limit.
TEST(Answer, FarAboveTheLimitNamesTheLimit) {
  TestService::Script script;
  const std::string body(3 << 20, 'b');
  const std::string head =
      "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  script.answer = head;
  for (size_t at = 0; at < body.size(); at += 16384) {
    script.more.push_back(body.substr(at, 16384));
  }
  const Report report = run(script, small_rig());
  expect_unknown(report, "at most 1000 bytes (`max_answer`", report.members[0].received);
  EXPECT_THAT(report.members[0].received, ::testing::StartsWith(head + "bbb"));
}

// What small records cost beside their content is not counted as an answer.
TEST(Answer, WithinTheLimitIsTakenByteByByte) {
  constexpr size_t kLimit = 60'000;
  ConnectionRig members(2, [](PartyId, agent::ConnectionConfig& c) { c.max_answer = kLimit; });
  TestService::Script script;
  const std::string body(kLimit, 'b');
  script.answer = "HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n";
  script.more.assign(kLimit, "b");
  expect_whole(run(script, members), body);
}

// R2-5: where the recipe awaits the close, silence is no end.
TEST(Answer, AwaitedCloseIsAwaited) {
  TestService::Script script;
  script.answer = kTwo;
  expect_whole(run(script, awaiting_rig()), "ok");
  script.close_notify = false;
  expect_whole(run(script, awaiting_rig()), "ok");  // FIN
  script.stays = true;
  const Report report = run(script, awaiting_rig());
  for (const auto& member : report.members) {
    EXPECT_FALSE(member.replied);
    EXPECT_EQ(member.code, AbortCode::kServer);
    EXPECT_THAT(member.detail, HasSubstr("await_close"));
    EXPECT_EQ(member.sent_count("tls/open s_ap"), 0u);
  }
  script.close_notify = true;
  expect_whole(run(script, awaiting_rig()), "ok");
}

// Whoever reports the failure or keeps the history of the run has status line and body.
TEST(Answer, AnUnknownOutcomeCarriesWhatCame) {
  agent::Reply reply;
  agent::require_answer(reply, "RunInstances");
  reply.unknown_outcome = "the answer is cut";
  reply.partial = http::read_partial(
      as_bytes("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n<instanceId>i-0a"), {});
  try {
    agent::require_answer(reply, "RunInstances");
    FAIL() << "not thrown";
  } catch (const agent::UnknownOutcome& outcome) {
    EXPECT_EQ(outcome.abort_class(), AbortClass::kNetwork);
    EXPECT_EQ(to_text(outcome.partial().body()), "<instanceId>i-0a");
    for (const char* word : {"RunInstances", "the answer is cut", "HTTP/1.1 200 OK", "i-0a"}) {
      EXPECT_THAT(outcome.what(), HasSubstr(word));
    }
  }
}

// Of a sealed one nothing but its status was seen: that is said, and not that nothing came.
TEST(Answer, AnUnknownOutcomeOfASealedAnswerSaysItsStatus) {
  agent::Reply reply;
  reply.unknown_outcome = "incomplete";
  reply.sealed = std::make_shared<agent::SealedReply>();
  const auto said = [&] {
    try {
      agent::require_answer(reply, "keys");
    } catch (const agent::UnknownOutcome& outcome) {
      return std::string(outcome.what());
    }
    return std::string();
  };
  EXPECT_THAT(said(), HasSubstr("no status of it came"));
  reply.sealed->status = 201;
  EXPECT_THAT(said(), HasSubstr("its status 201"));
}

// 16, tls-in-mpc.md §3.6: the service is told why, as long as no member has agreed to its flight.
TEST(Alerts, TellTheServiceWhyItIsRefused) {
  const auto alert_of = [](const TestService::Script& script) {
    ConnectionRig::Scenario scenario;
    scenario.script = script;
    const Report report = rig().run(scenario);
    EXPECT_EQ(report.seen.request, "");
    for (const auto& member : report.members) EXPECT_FALSE(member.released);
    return report.seen;
  };
  TestService::Script script;
  script.server.hello.suite = 0x1302;
  TestService::Seen seen = alert_of(script);
  EXPECT_EQ(seen.alert, (Bytes{2, 47}));
  EXPECT_TRUE(seen.alert_in_clear);
  script = {};
  script.server.bad_finished = true;
  seen = alert_of(script);
  EXPECT_EQ(seen.alert, (Bytes{2, 51}));
  EXPECT_FALSE(seen.alert_in_clear);
  // Nothing once the request is out, nor to a service that ended the connection itself.
  script = {};
  script.raw = Bytes{99, 3, 3, 0, 2, 2, 80};
  script.close_notify = false;
  EXPECT_EQ(run(script).seen.alert, Bytes());
  script = {};
  script.closes_after_hello = true;
  EXPECT_EQ(alert_of(script).alert, Bytes());
}

// Suite, receive mode, limit and the way an answer ends are agreed: a member with another setting
// is noticed before the service is contacted.
TEST(ConnectionTerms, AreAgreedBeforeContact) {
  const std::vector<ConnectionRig::Configure> others = {
      [](PartyId i, agent::ConnectionConfig& c) { c.max_answer += i; },
      [](PartyId i, agent::ConnectionConfig& c) { c.await_close = i == 1; },
      [](PartyId i, agent::ConnectionConfig& c) { c.no_secret = i == 1; },
      [](PartyId i, agent::ConnectionConfig& c) { c.policy[0] = static_cast<uint8_t>(i); },
      [](PartyId i, agent::ConnectionConfig& c) {
        agent::SealedPlan plan;
        plan.records = 1;
        plan.content_type = i == 1 ? "text/xml" : "application/json";
        c.receive = agent::ReceiveMode::kSealed;
        c.sealed = std::make_shared<const agent::SealedPlan>(plan);
      },
  };
  for (const auto& other : others) {
    ConnectionRig members(2, other);
    const Report report = members.run({});
    EXPECT_FALSE(report.seen.hello);
    for (const auto& member : report.members) EXPECT_TRUE(member.code.has_value());
    EXPECT_EQ(report.members[0].code, AbortCode::kDisagreement);
  }
}

// Members that differ in it prepare other circuits, which they notice then; every view has it too.
TEST(ConnectionTerms, HoldWhatAServiceGetsThatAsksForACertificate) {
  agent::ConnectionConfig config;
  const Digest refuse = agent::connection_terms(config);
  config.client_auth = tls::ClientAuth::kNone;
  EXPECT_NE(agent::connection_terms(config), refuse);
}

TEST(ConnectionTerms, SealedAnswersNeedAPlan) {
  try {
    agent::make_read_direction(agent::ReceiveMode::kSealed, {});
    FAIL() << "not refused";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("needs a plan"));
  }
}

// Every part of what a share of a tag or of the server's key stands for is bound by the view that
// travels with it.
TEST(Views, BindEveryField) {
  auto mesh = support::memory_mesh(2);
  net::Party party(std::move(mesh[0]), Prg(Block(1, 2)));
  const agent::Views views(party, Digest{});
  const std::vector<agent::RecordText> two = {{Bytes(5), Bytes(5)}, {Bytes(5), Bytes(5, 1)}};
  const tls::HashValue of_48_bytes{ByteView(Bytes(48))};
  const auto a3 = [&](auto change) {
    agent::ReleaseView view;
    view.h2 = of_48_bytes;
    view.records = two;
    change(view);
    return view.digest(views);
  };
  std::set<Digest> seen = {a3([](auto&) {})};
  seen.insert(a3([](auto& v) { v.h2[0] = 1; }));
  seen.insert(a3([](auto& v) { v.h2[47] = 1; }));
  seen.insert(a3([](auto& v) { v.h2 = Digest{}; }));
  seen.insert(a3([](auto& v) { v.request[0] = 1; }));
  seen.insert(a3([](auto& v) { v.position.generation = 1; }));
  seen.insert(a3([](auto& v) { v.position.sequence = 1; }));
  // 64: of each record of the request every byte, their number and their order.
  for (const size_t k : {0u, 1u}) {
    std::vector<agent::RecordText> other = two;
    other[k].header[2] = 1;
    seen.insert(a3([&](auto& v) { v.records = other; }));
    other = two;
    other[k].ciphertext[4] ^= 2;
    seen.insert(a3([&](auto& v) { v.records = other; }));
  }
  seen.insert(a3([](auto& v) { v.records = v.records.first(1); }));
  seen.insert(a3([](auto& v) { v.records = v.records.last(1); }));
  const std::vector<agent::RecordText> swapped = {two[1], two[0]};
  seen.insert(a3([&](auto& v) { v.records = swapped; }));
  const std::vector<agent::RecordText> joined = {{Bytes(5), Bytes(10)}};
  seen.insert(a3([&](auto& v) { v.records = joined; }));
  seen.insert(a3([](auto& v) { v.server_offset = 1; }));
  // The client's flight where it is made inside: that there is one, and every byte of it.
  for (const size_t byte : {0u, 4u, 9u}) {
    agent::RecordText flight{Bytes(5), Bytes(5)};
    if (byte < 5) flight.header[byte] = static_cast<uint8_t>(byte);
    if (byte > 5) flight.ciphertext[byte - 5] = 1;
    seen.insert(a3([&](auto& v) { v.flight = &flight; }));
  }
  agent::RecordText first = two[0];
  seen.insert(a3([&](auto& v) {
    v.flight = &first;
    v.records = v.records.last(1);
  }));
  EXPECT_EQ(seen.size(), 20u);
  const auto a4 = [&](auto change) {
    agent::FreezeView view;
    view.h2 = of_48_bytes;
    change(view);
    return view.digest(views);
  };
  seen.insert(a4([](auto&) {}));
  seen.insert(a4([](auto& v) { v.h2[0] = 1; }));
  seen.insert(a4([](auto& v) { v.h2[47] = 1; }));
  seen.insert(a4([](auto& v) { v.stream[0] = 1; }));
  seen.insert(a4([](auto& v) { v.stream_bytes = 1; }));
  seen.insert(a4([](auto& v) { v.request_offset = 1; }));
  seen.insert(a4([](auto& v) { v.records = 1; }));
  seen.insert(a4([](auto& v) { v.trailing_partial = true; }));
  seen.insert(a4([](auto& v) { v.end = 1; }));
  EXPECT_EQ(seen.size(), 29u);
  agent::Views elsewhere(party, Digest{});
  elsewhere.set_number(1);
  EXPECT_NE(elsewhere.of("A3").digest(), views.of("A3").digest());
  EXPECT_NE(views.of("A4").digest(), views.of("A3").digest());
  EXPECT_NE(agent::Views(party, sha256({})).of("A3").digest(), views.of("A3").digest());
}

// §4.1: the mark of a record names direction, generation and sequence.
TEST(Views, AMarkNamesThePositionOfTheRecord) {
  struct Marks : agent::Journal {
    void mark(std::string_view kind, ByteView id) override { marks.emplace_back(kind, to_hex(id)); }
    std::vector<std::pair<std::string, std::string>> marks;
  } journal;
  support::Dealer dealer(2);
  agent::RequestPlan plan;
  plan.bytes = 16;
  Digest csid{};
  csid.fill(7);
  auto transports = support::memory_mesh(2, std::chrono::seconds(60));
  net::Party party(std::move(transports[0]), Prg(Block(5, 0)));
  arith::ArithEngine arith(party, dealer.source(0));
  boolean::Engine engine(party, dealer.source(0));
  const agent::Context context{party, dealer.source(0), arith, engine, journal};
  const auto direction = agent::make_gcm_write_direction(context, {&plan, 1}, 0);
  direction->mark(journal, csid, 1);
  direction->advance(1);
  direction->mark(journal, csid, 1);
  ASSERT_EQ(journal.marks.size(), 2u);
  EXPECT_EQ(journal.marks[0].first, "record");
  EXPECT_EQ(journal.marks[0].second, to_hex(csid) + "00" + "00000000" + "0000000000000000");
  EXPECT_EQ(journal.marks[1].second, to_hex(csid) + "00" + "00000000" + "0000000000000001");
}

}  // namespace
}  // namespace flexroom
