#include <gtest/gtest.h>

#include "circuits/header_outline.h"
#include "support/evaluate_plain.h"
#include "support/sealed_rig.h"
#include "support/sweeps.h"

// Sealed answers (tls-in-mpc.md §4.5, §5.4-5.7) over whole connections: records, status, header and
// cookies; what is kept, what is opened, and that nothing else is.

namespace flexroom {
namespace sealed_test {

using agent::SealedPlan;
using support::answer_with;
using support::ConnectionRig;
using support::cookie_plan;
using support::expect_failure;
using support::expect_kept;
using support::from_openssl;
using support::rig;
using support::set_cookie;
using support::skipped;
using support::small_plan;
using ::testing::HasSubstr;
using Report = ConnectionRig::Report;
using Scenario = ConnectionRig::Scenario;

/// The lines of a header whose outline circuit runs in the clear.
http::HeaderLines clear_lines(const mpc::Circuit& circuit, const std::string& text) {
  std::vector<bool> in(circuit.num_inputs);
  for (size_t k = 0; k < 8 * text.size(); ++k) {
    in[k] = (static_cast<uint8_t>(text[k / 8]) >> (k % 8) & 1) != 0;
  }
  const auto out = support::evaluate_plain(circuit, in);
  const auto marks = [&](std::string_view name) {
    const std::vector<bool>& kept = out[circuit.output_group(name)];
    std::vector<bool> all(circuit.num_inputs / 8 - kept.size());
    all.insert(all.end(), kept.begin(), kept.end());
    all.resize(text.size());
    return all;
  };
  http::HeaderMarks header;
  header.line_ends = marks("line_ends");
  header.colons = marks("colons");
  header.details = marks("details");
  header.ends = marks("ends");
  header.bad = marks("bad").back();
  return http::read_header_outline(header);
}

class SealedTest : public ::testing::TestWithParam<size_t> {};

TEST_P(SealedTest, StatusAlone) {
  ConnectionRig& members = rig(GetParam(), "status", small_plan);
  const Report report = answer_with(members, "HTTP/1.1 204 No Content\r\nX-Secret: 1\r\n\r\n");
  ASSERT_TRUE(report.ended);
  for (const auto& member : report.members) {
    EXPECT_TRUE(member.sealed) << member.where << ": " << member.detail;
    EXPECT_EQ(member.sealed_status, 204);
    EXPECT_EQ(member.failure, "");
    EXPECT_EQ(member.leak.header_bytes, 0u);
    EXPECT_EQ(member.leak.tests, 0u);
  }
}

void keeps_a_cookie(size_t n) {
  ConnectionRig& members = rig(n, "cookie", cookie_plan);
  const Report report =
      answer_with(members,
                  "HTTP/1.1 302 Found\r\nLocation: /home\r\nSet-Cookie: other=1; Path=/\r\n"
                  "Set-Cookie: session=a1b2c3d4; Path=/; HttpOnly\r\nContent-Length: 0\r\n\r\n");
  expect_kept(report, "a1b2c3d4");
}
TEST_P(SealedTest, KeepsACookie) { keeps_a_cookie(GetParam()); }
TEST(SealedOfThree, KeepsACookie) { keeps_a_cookie(3); }

// --- header ---

// Of the outline what it says, of names one bit each, of values nothing: not even to the members
// that keep them.
TEST_P(SealedTest, NothingButStructureIsOpened) {
  ConnectionRig& members = rig(GetParam(), "cookie", cookie_plan);
  const Report report = answer_with(members, set_cookie("session=a1b2c3d4; Path=/; Secure"));
  expect_kept(report, "a1b2c3d4");
  for (const auto& member : report.members) {
    EXPECT_EQ(member.leak.opened_bytes, 0u);
    EXPECT_EQ(member.leak.gated_bytes, 0u);
    EXPECT_EQ(member.leak.structure_bytes, 7u);  // 3 blanks, 2 ';', 2 '=' of the cookie's line
    EXPECT_EQ(member.leak.class_bits, 1u);       // of the value
    EXPECT_EQ(member.leak.body_bytes, 0u);
    EXPECT_EQ(member.leak.alert_bytes, 2u);
    EXPECT_EQ(member.leak.padding_bytes, 0u);
    EXPECT_EQ(member.sent_count("sealed/open values"), 0u);
    EXPECT_EQ(member.sent_count("tls/open s_ap"), 0u);
    EXPECT_GT(member.leak.tests, 3u);
    EXPECT_LT(member.leak.tests, 16u);
    EXPECT_EQ(member.marks, (std::vector<std::string>{"token", "token", "record", "release",
                                                      "answer tags", "answer tags"}))
        << "the answer's record for its status, then the close_notify behind it";
  }
}

TEST_P(SealedTest, CookiesThatAreNotKept) {
  ConnectionRig& members = rig(GetParam(), "cookie", cookie_plan);
  const std::string forty(40, 'x');
  const std::vector<std::pair<std::string, std::string>> cases = {
      {set_cookie("sessiom=a1; Path=/"), "not found"},
      {set_cookie("session=a1; Max-Age=0; Path=/"), "deleted"},
      {set_cookie("session=; Path=/"), "deleted"},
      {set_cookie("session=a1; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"), "deleted"},
      {set_cookie("session=a1; Path=/; Max-Age=1x"), "outside class"},
      {set_cookie("session=a 1; Path=/"), "outside class"},
      {set_cookie("session=" + forty + "x; Path=/"), "too long"},
      {set_cookie("session=a1; Path=/other"), "not found"},
      {set_cookie("session =a1; Path=/"), "bad header"},
      {"HTTP/1.1 200 OK\r\nSet-Cookie : session=a1\r\n\r\n", "bad header"},
      {"HTTP/1.1 200 OK\r\nX: y\nSet-Cookie: session=a1\r\n\r\n", "bad header"},
      {"HTTP/1.1 200 OK\r\nX: " + std::string(400, 'y') + "\r\n\r\n", "header too long"},
  };
  size_t number = 0;
  for (const auto& [answer, name] : cases) {
    if (skipped(GetParam(), number++)) continue;
    SCOPED_TRACE(answer);
    const Report report = answer_with(members, answer);
    expect_failure(report, name);
    for (const auto& member : report.members) EXPECT_FALSE(member.unknown);
  }
}

TEST_P(SealedTest, TheLastCookieCountsAndADateIsOpened) {
  ConnectionRig& members = rig(GetParam(), "cookie", cookie_plan);
  expect_kept(answer_with(members,
                          "HTTP/1.1 200 OK\r\nset-cookie: session=first; Path=/\r\n"
                          "SET-COOKIE: session=second; Path=/\r\n\r\n"),
              "second");
  const Report report =
      answer_with(members, set_cookie("session=v; Expires=Fri, 01 Jan 2038 00:00:00 GMT; Path=/"));
  expect_kept(report, "v");
  for (const auto& member : report.members) {
    EXPECT_EQ(member.leak.opened_bytes, 29u);
    EXPECT_EQ(member.leak.class_bits, 2u);
  }
}

SealedPlan rotating_plan() {
  SealedPlan plan = cookie_plan();
  std::get<agent::SealedCookie>(plan.items[0].at).missing_same = true;
  plan.items[0].char_class = http::char_set(http::CharClass::kCookie);
  return plan;
}

// A rotating cookie that the answer does not set keeps its old version; one that is deleted, or
// that cannot be read, never does.
TEST_P(SealedTest, OnlyAMissingLineLeavesTheOldVersion) {
  ConnectionRig& members = rig(GetParam(), "rotating", rotating_plan);
  const Report same = answer_with(members, set_cookie("other=a1; Path=/"));
  ASSERT_TRUE(same.ended);
  for (const auto& member : same.members) {
    EXPECT_EQ(member.failure, "");
    EXPECT_EQ(member.values[0].state, static_cast<uint8_t>(agent::SealedValue::State::kSame));
    EXPECT_EQ(member.values[0].share, "");
  }
  expect_failure(answer_with(members, set_cookie("session=a1; Max-Age=0; Path=/")), "deleted");
  expect_failure(answer_with(members, set_cookie("session\t=a1; Path=/")), "bad header");
  expect_failure(answer_with(members, set_cookie("session=\"a\"; Path=/")), "outside class");
}

// An unequal name is an ordinary result: of ten lines of its length none ends anything.
TEST_P(SealedTest, UnequalNamesCountNothing) {
  ConnectionRig& members = rig(GetParam(), "cookie", cookie_plan);
  std::string lines;
  for (int k = 0; k < 10; ++k) lines += "Set-Cookif: session=b\r\n";
  const Report report =
      answer_with(members, "HTTP/1.1 200 OK\r\n" + lines + "Set-Cookie: session=a; Path=/\r\n\r\n");
  expect_kept(report, "a");
  for (const auto& member : report.members) EXPECT_GE(member.leak.tests, 11u);
}

// --- records ---

TEST_P(SealedTest, RecordsMayCutAnything) {
  ConnectionRig& members = rig(GetParam(), "cookie", cookie_plan);
  Scenario scenario;
  const std::string answer = set_cookie("session=a1b2c3d4; Path=/; Secure");
  scenario.script.answer = answer.substr(0, 7);
  scenario.script.more = {answer.substr(7, 50), answer.substr(57)};
  expect_kept(members.run(scenario), "a1b2c3d4");
  scenario = {};
  scenario.script.answer = answer;
  scenario.script.padding = 5;
  const Report padded = members.run(scenario);
  expect_kept(padded, "a1b2c3d4");
  for (const auto& member : padded.members) {
    EXPECT_EQ(member.leak.padding_bytes, 10u);  // of the answer and of the close_notify
  }
  scenario = {};
  scenario.script.answer = answer;
  scenario.script.ticket_with_flight = true;
  const Report report = members.run(scenario);
  expect_kept(report, "a1b2c3d4");
  for (const auto& member : report.members) EXPECT_EQ(member.leak.ticket_headers, 1u);
}

// GHASH beyond the powers that are prepared goes by Horner's rule, with a product a run.
TEST_P(SealedTest, ALongRecord) {
  ConnectionRig& members = rig(GetParam(), "cookie", cookie_plan);
  Scenario scenario;
  scenario.script.answer = set_cookie("session=a1b2c3d4; Path=/") + std::string(6000, 'x');
  expect_kept(members.run(scenario), "a1b2c3d4");
  scenario.script.flip_in_answer = 5999;
  expect_failure(members.run(scenario), "a record of the service does not verify under its key");
  scenario.script.flip_in_answer.reset();
  scenario.script.answer += std::string(6000, 'x');
  expect_failure(members.run(scenario), "the answer is longer than the plan has room");
}

TEST_P(SealedTest, WhatIsNoAnswerIsAnUnknownOutcome) {
  ConnectionRig& members = rig(GetParam(), "cookie", cookie_plan);
  const auto expect_unknown = [&](const Scenario& scenario, const std::string& why) {
    SCOPED_TRACE(why);
    const Report report = members.run(scenario);
    ASSERT_TRUE(report.ended);
    for (const auto& member : report.members) {
      EXPECT_FALSE(member.code.has_value()) << member.where << ": " << member.detail;
      EXPECT_TRUE(member.unknown);
      EXPECT_THAT(member.unknown_why, HasSubstr(why));
      EXPECT_TRUE(member.released);
      for (const auto& value : member.values) EXPECT_EQ(value.state, 0);
    }
  };
  Scenario scenario;
  const std::string whole = set_cookie("session=a1b2c3d4; Path=/");
  scenario.script.answer = "HTTP/1.1 103 Early Hints\r\n\r\n" + whole;
  expect_unknown(scenario, "interim");
  scenario.script.answer = "HTTP/1.1 101 Switching Protocols\r\n\r\n";
  expect_unknown(scenario, "interim");
  for (const std::string status : {"000", "099", "600", "999"}) {
    scenario.script.answer = "HTTP/1.1 " + status + " Odd\r\n\r\n";
    expect_unknown(scenario, "no HTTP/1.1");
  }
  scenario.script.answer = "HTTP/1.1 408 Request Timeout\r\n\r\n";
  expect_unknown(scenario, "408");
  scenario.script.answer = "HTTP/1.0 200 OK\r\n\r\n";
  expect_unknown(scenario, "no HTTP/1.1");
  scenario.script.answer = "HTTP/1.1 2000 OK\r\n\r\n";
  expect_unknown(scenario, "no HTTP/1.1");
  scenario.script.answer = "HTTP/1";
  expect_unknown(scenario, "there is no answer");
  scenario.script.answer = whole.substr(0, whole.size() - 4);
  expect_unknown(scenario, "incomplete");
  scenario = {};
  scenario.script.answers_before_the_request = true;
  expect_unknown(scenario, "before the request");
  scenario = {};
  scenario.script.padding = 200;
  expect_unknown(scenario, "padding");
  scenario = {};
  scenario.script.answer = "HTTP/1.1 2";
  scenario.script.more = {"0", "0", " ", "OK\r\n\r\n"};
  expect_unknown(scenario, "more records");
}

// What stopped the waiting is said: the end of the connection, or a record that cannot be one of
// the answer.
TEST_P(SealedTest, OfNoWholeAnswerTheReasonIsSaid) {
  ConnectionRig& members = rig(GetParam(), "cookie", cookie_plan);
  const auto expect_said = [&](const Scenario& scenario, const std::string& failure,
                               const std::string& reason) {
    const Report report = members.run(scenario);
    expect_failure(report, failure);
    for (const auto& member : report.members) {
      EXPECT_TRUE(member.unknown);
      EXPECT_THAT(member.unknown_why, HasSubstr(failure + ": "));
      EXPECT_THAT(member.unknown_why, HasSubstr(reason));
    }
  };
  const Bytes alert_in_clear = {21, 3, 3, 0, 2, 2, 40};
  const std::string whole = set_cookie("session=a1b2c3d4; Path=/");
  Scenario scenario;
  scenario.script.answer = "HTTP/1";
  scenario.script.close_notify = false;
  expect_said(scenario, "there is no answer", "closed");
  scenario.script.answer = whole.substr(0, whole.size() - 4);
  expect_said(scenario, "incomplete", "closed");
  scenario.script.raw = alert_in_clear;
  expect_said(scenario, "incomplete", "an unprotected record of type 21");
  scenario.script.answer = "HTTP/1";
  expect_said(scenario, "there is no answer", "an unprotected record of type 21");
}

SealedPlan many_records_plan() {
  SealedPlan plan = small_plan();
  plan.records = 8;
  return plan;
}

using Records = std::vector<std::pair<tls::ContentType, Bytes>>;
constexpr auto kData = tls::ContentType::kApplicationData;
constexpr auto kAlertRecord = tls::ContentType::kAlert;
constexpr auto kHandshakeRecord = tls::ContentType::kHandshake;

Report status_behind(ConnectionRig& members, const Records& before) {
  Scenario scenario;
  scenario.script.answer = "HTTP/1.1 204 No Content\r\n\r\n";
  scenario.script.before = before;
  scenario.script.keeps_keys = true;
  return members.run(scenario);
}

/// A ticket in pieces of so many bytes.
Records cut_ticket(size_t piece) {
  const Bytes ticket = support::TestService::ticket_message();
  Records out;
  for (size_t at = 0; at < ticket.size(); at += piece) {
    const ByteView part = ByteView(ticket).subspan(at, std::min(piece, ticket.size() - at));
    out.emplace_back(kHandshakeRecord, Bytes(part.begin(), part.end()));
  }
  return out;
}

// §3.6, attack 22: what no member opens further than to see that it is no answer.
TEST_P(SealedTest, RecordsThatAreNoPartOfAnAnswer) {
  ConnectionRig& members = rig(GetParam(), "many records", many_records_plan);
  const Bytes canceled = {1, 90};
  const Records cut = cut_ticket(100);
  const auto message = [](tls::HandshakeType type, const Bytes& body) {
    return Records{{kHandshakeRecord, tls::handshake_message(type, body)}};
  };
  const std::vector<std::pair<Records, std::string>> cases = {
      {{{tls::ContentType{0}, Bytes(15)}}, "nothing but padding"},
      {{{tls::ContentType{24}, {1}}}, "unknown content type"},
      {{{kAlertRecord, {1, 0, 0}}}, "malformed alert"},
      {{{kAlertRecord, {2, 40}}}, "ended the connection with alert"},
      {Records(5, {kAlertRecord, canceled}), "ended the connection with alert"},
      {{{kHandshakeRecord, {}}}, "empty handshake fragment"},
      {{cut.front()}, "interleaved"},
      {message(tls::HandshakeType::kNewSessionTicket, Bytes(13)), "malformed ticket"},
      {message(tls::HandshakeType::kKeyUpdate, {0}), "KeyUpdate that the plan has no room for"},
      {message(tls::HandshakeType::kCertificateRequest, {0, 0, 0}), "after the handshake"},
  };
  size_t number = 0;
  for (const auto& [before, why] : cases) {
    if (skipped(GetParam(), number++)) continue;
    SCOPED_TRACE(why);
    const Report report = status_behind(members, before);
    ASSERT_TRUE(report.ended);
    for (const auto& member : report.members) {
      EXPECT_FALSE(member.code.has_value()) << member.where << ": " << member.detail;
      EXPECT_TRUE(member.unknown);
      EXPECT_EQ(member.sealed_status, 0);
      EXPECT_THAT(member.unknown_why, HasSubstr(why));
    }
  }
}

// §3.6: tickets, also over several records, four user_canceled and empty records of data.
TEST_P(SealedTest, RecordsThatArePassedOver) {
  ConnectionRig& members = rig(GetParam(), "many records", many_records_plan);
  const Records tickets = cut_ticket(100);
  for (const Records& before :
       {tickets, Records(4, {kAlertRecord, {1, 90}}), Records(2, {kData, {}})}) {
    const Report report = status_behind(members, before);
    ASSERT_TRUE(report.ended);
    for (const auto& member : report.members) {
      EXPECT_EQ(member.failure, "") << member.detail;
      EXPECT_EQ(member.sealed_status, 204);
      EXPECT_EQ(member.leak.ticket_headers, before == tickets ? 1u : 0u);
      EXPECT_EQ(member.leak.alert_bytes, before.size() == 4 ? 8u : 0u);
    }
  }
}

// OpenSSL's server, records of its own making.
TEST_P(SealedTest, CookiesOfOpenssl) {
  ConnectionRig& cookie = rig(GetParam(), "cookie", cookie_plan);
  const std::string answer = set_cookie("session=a1b2c3d4; Path=/; Secure");
  expect_kept(cookie.run(from_openssl({answer, 0, 0})), "a1b2c3d4");
  expect_kept(cookie.run(from_openssl({answer + std::string(7000, 'x'), 0, 0})), "a1b2c3d4");
  expect_kept(cookie.run(from_openssl({answer, 0, 8})), "a1b2c3d4");
}

// --- the network ---

TEST_P(SealedTest, AlteredRecordsOpenNothing) {
  ConnectionRig& members = rig(GetParam(), "cookie", cookie_plan);
  Scenario scenario;
  scenario.script.answer = set_cookie("session=a1b2c3d4; Path=/");
  // The header's version and length are AAD; then a byte of the ciphertext, one of the tag.
  const size_t record = 5 + scenario.script.answer.size() + 1 + 16;
  for (const size_t at : {size_t{1}, size_t{40}, record - 3}) {
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
  scenario.script.answer = set_cookie("session=a1; Path=/").substr(0, 30);
  scenario.script.more = {set_cookie("session=a1; Path=/").substr(30)};
  scenario.script.swaps_records = true;
  expect_failure(members.run(scenario), "a record of the service does not verify under its key");
}

// --- members ---

// Whoever alters a share of anything that is opened, or says that the answer was another one, ends
// the connection for all: nobody takes a value.
TEST_P(SealedTest, AlteredSharesAreCheating) {
  ConnectionRig& members = rig(GetParam(), "cookie", cookie_plan);
  const std::string answer = set_cookie("session=v; Expires=Fri, 01 Jan 2038 00:00:00 GMT; Path=/");
  const auto with = [&](net::Tamper tamper, bool is_long) {
    Scenario scenario;
    scenario.script.answer = answer;
    scenario.script.ticket_with_flight = true;
    // Longer than the powers that are prepared, and behind what is read of it.
    if (is_long) scenario.script.answer += std::string(5000, 'x');
    scenario.tamper = std::move(tamper);
    return members.run(scenario);
  };
  for (const std::string label :
       {"tls/A4", "sealed/open tags", "sealed/open types", "sealed/open header fault",
        "sealed/open header end", "sealed/open header marks", "sealed/open structure",
        "sealed/test/zero e", "sealed/test/zero verdict", "sealed/open date",
        "sealed/open ticket header", "sealed/open alert", "tls/tag step"}) {
    SCOPED_TRACE(label);
    const Report report = with(
        [&](const net::MessageId& message, Bytes& payload) {
          if (message.sender == 1 && message.receiver == 0 && message.label == label &&
              message.index == 0) {
            payload.front() ^= 1;
          }
        },
        label == "tls/tag step");
    ASSERT_TRUE(report.ended);
    EXPECT_EQ(report.members[0].code,
              label == "tls/A4" ? AbortCode::kViewMismatch : AbortCode::kMac);
    for (PartyId i = 0; i < members.size(); ++i) {
      EXPECT_TRUE(i == 1 || !report.members[i].sealed) << i;
    }
  }
}

// A last word that does not come makes the kept values void.
TEST_P(SealedTest, WithoutConfirmationNothingIsKept) {
  ConnectionRig& members = rig(GetParam(), "cookie", cookie_plan);
  Scenario scenario;
  scenario.script.answer = set_cookie("session=v; Path=/");
  scenario.tamper = [](const net::MessageId& message, Bytes& payload) {
    if (message.sender == 1 && message.receiver == 0 && message.label == "boolean/O6 ok" &&
        message.index == 5) {
      payload.front() ^= 1;
    }
  };
  const Report report = members.run(scenario);
  ASSERT_TRUE(report.ended);
  ASSERT_TRUE(report.members[0].sealed);
  EXPECT_NE(report.members[0].unconfirmed, "");
  EXPECT_EQ(report.members[0].values[0].state, 0);
  EXPECT_EQ(report.members[0].values[0].share, "");
}

TEST_P(SealedTest, TagsOfARecordAreOpenedOnce) {
  ConnectionRig& members = rig(GetParam(), "cookie", cookie_plan);
  Scenario scenario;
  scenario.marked = {{0, "answer tags"}};
  const Report report = members.run(scenario);
  ASSERT_TRUE(report.ended);
  EXPECT_EQ(report.members[0].code, AbortCode::kReuse);
  EXPECT_EQ(report.members[0].sent_count("sealed/open tags"), 0u);
}

// --- the same as in the clear ---

std::string random_cookies(Prg& prg) {
  const auto below = [&](size_t n) { return static_cast<size_t>(prg.next_block().lo % n); };
  const auto one_of = [&](std::vector<std::string> words) { return words[below(words.size())]; };
  std::string text = "HTTP/1.1 200 OK\r\n";
  for (size_t lines = 1 + below(3); lines > 0; --lines) {
    text += one_of({"Set-Cookie: ", "set-cookie:", "SET-COOKIE: ", "Set-Cookies: "}) +
            one_of({"session=", "session=", "session=", "sessions=", "session = ", " session="}) +
            one_of({"abc", "a=b", "", "\"q\"", "x y"});
    for (size_t attributes = below(4); attributes > 0; --attributes) {
      text += one_of({"; ", ";", " ; "}) +
              one_of({"Path=/", "Path=/x", "path", "Domain=api.example", "Domain=other",
                      "Max-Age=0", "Max-Age=60", "Max-Age=-1", "Max-Age=6x", "Secure",
                      "Expires=Fri, 01 Jan 2038 00:00:00 GMT",
                      "Expires=Thu, 01 Jan 1970 00:00:00 GMT", "Expires=never"});
    }
    text += "\r\n";
  }
  return text + "\r\n";
}

/// What is selected in the clear: the value, or the failure.
std::pair<std::string, std::string> in_the_clear(const std::string& text) {
  const SealedPlan plan = cookie_plan();
  static const mpc::Circuit circuit = circuits::header_outline_circuit(plan.header_max);
  try {
    http::ClearBytes bytes(text);
    const auto found = http::select_cookie(
        clear_lines(circuit, text), std::get<agent::SealedCookie>(plan.items[0].at).query, bytes);
    if (const auto* gone = std::get_if<http::NoCookie>(&found)) {
      return {"", *gone == http::NoCookie::kMissing ? "not found" : "deleted"};
    }
    const auto span = std::get<http::Span>(found);
    const std::string value = text.substr(span.begin, span.size());
    for (const char c : value) {
      if (!http::char_set(http::CharClass::kCookie).contains(c)) return {"", "outside class"};
    }
    return {value, ""};
  } catch (const http::OutlineError& error) {
    return {"", std::string(http::to_string(error.fault()))};
  }
}

// Of random cookie lines, kept is what http::select_cookie finds in the clear, or the same failure.
TEST(SealedSelection, KeepsWhatIsSelectedInTheClearSweep) {
  ConnectionRig& members = rig(2, "cookie", cookie_plan);
  Prg prg(Block(7, 51));
  size_t kept = 0, refused = 0;
  for (size_t k = 0; k < support::tries(24); ++k) {
    const std::string text = random_cookies(prg);
    SCOPED_TRACE(text);
    if (text.size() > cookie_plan().header_max) continue;
    const auto [value, failure] = in_the_clear(text);
    const Report report = answer_with(members, text);
    if (failure.empty()) {
      expect_kept(report, value);
      ++kept;
    } else {
      expect_failure(report, failure);
      ++refused;
    }
  }
  EXPECT_GT(kept, 1u);
  EXPECT_GT(refused, 3u);
}

INSTANTIATE_TEST_SUITE_P(Rooms, SealedTest, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, SealedTest, ::testing::ValuesIn(support::in_long_runs({3})));

}  // namespace sealed_test
}  // namespace flexroom
