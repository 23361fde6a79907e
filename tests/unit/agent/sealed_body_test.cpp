#include <gtest/gtest.h>

#include <cstdio>
#include <functional>

#include "circuits/json_outline.h"
#include "support/evaluate_plain.h"
#include "support/sealed_rig.h"
#include "support/sweeps.h"

// Sealed answers with a body (tls-in-mpc.md §5.4, §5.6, §5.7): framing, JSON, XML, texts that are
// searched, listed codes. Plans are in sealed_plans_test.cpp.

namespace flexroom {
namespace {

using agent::SealedItem;
using agent::SealedPlan;
using support::answer_with;
using support::ConnectionRig;
using support::expect_failure;
using support::expect_kept;
using support::from_openssl;
using support::item_at;
using support::json_path;
using support::json_plan;
using support::rig;
using support::skipped;
using support::small_plan;
using Report = ConnectionRig::Report;
using Scenario = ConnectionRig::Scenario;

class SealedBodyTest : public ::testing::TestWithParam<size_t> {};

// --- other selectors ---

struct JsonAnswer {
  std::string status = "200 OK", type = "application/json; charset=utf-8", framing, more,
              secret = "abc+/123=", id = "4711", kind = "a kind of key that is long", body;

  std::string text() const {
    const std::string value = !body.empty() ? body
                                            : "{\"kind\": \"" + kind + "\", \"id\":" + id +
                                                  ",\"name\":\"ann\",\"key\":{\"secret\":\"" +
                                                  secret + "\"}}";
    const std::string length =
        !framing.empty() ? framing : "Content-Length: " + std::to_string(value.size()) + "\r\n";
    return "HTTP/1.1 " + status + "\r\nContent-Type: " + type + "\r\nX-Code: c=12ab;\r\n" + more +
           length + "\r\n" + value;
  }
};

void expect_json(const Report& report) {
  expect_kept(report, "abc+/123=", 0);
  expect_kept(report, "12ab", 4);
  using State = agent::SealedValue::State;
  for (PartyId i = 0; i < report.members.size(); ++i) {
    const auto& member = report.members[i];
    EXPECT_EQ(member.values[1].text, "4711");
    EXPECT_EQ(member.values[2].text, "");
    EXPECT_EQ(member.values[2].secret, i == 1 ? "ann" : "");
    EXPECT_EQ(member.values[2].state,
              static_cast<uint8_t>(i == 1 ? State::kOpened : State::kElsewhere));
    EXPECT_EQ(member.values[3].state, static_cast<uint8_t>(State::kTested));
    EXPECT_EQ(member.leak.opened_bytes, 7u);
  }
}

TEST_P(SealedBodyTest, JsonIsKeptOpenedAndTested) {
  ConnectionRig& members = rig(GetParam(), "json", json_plan);
  expect_json(answer_with(members, JsonAnswer{}.text()));
}

// What one member alone was shown is wiped with the value, and void with it.
TEST(SealedReplies, ForgottenValuesHoldNothing) {
  agent::SealedReply reply;
  reply.values.resize(2);
  reply.values[0].state = agent::SealedValue::State::kOpened;
  reply.values[0].secret = SecretBytes::copy_of(as_bytes("ann"));
  reply.values[1].text = "4711";
  reply.forget_values();
  for (const agent::SealedValue& value : reply.values) {
    EXPECT_EQ(value.state, agent::SealedValue::State::kNone);
    EXPECT_TRUE(value.secret.empty());
    EXPECT_EQ(value.text, "");
  }
}

// A text over 16 bytes is several elements under the coin of its batch: one that differs in the
// first, in the last, or by the same difference in both is another.
TEST_P(SealedBodyTest, LongTextsDifferUnderTheCoin) {
  ConnectionRig& members = rig(GetParam(), "json", json_plan);
  std::string both = "a kind of key that is long";
  both[0] ^= 2;
  both[16] ^= 2;
  for (const std::string& kind : {std::string("c kind of key that is long"),
                                  std::string("a kind of key that is lonf"), both}) {
    JsonAnswer answer;
    answer.kind = kind;
    const Report report = answer_with(members, answer.text());
    expect_failure(report, "assert 4");
  }
}

TEST_P(SealedBodyTest, ChunksAreJoined) {
  ConnectionRig& members = rig(GetParam(), "json", json_plan);
  JsonAnswer answer;
  const std::string whole = answer.text();
  const std::string body = whole.substr(whole.find("\r\n\r\n") + 4);
  const auto chunk = [](const std::string& part) {
    char size[8];
    std::snprintf(size, sizeof size, "%zx", part.size());
    return std::string(size) + "\r\n" + part + "\r\n";
  };
  answer.framing = "Transfer-Encoding: Chunked\r\n";
  answer.body =
      chunk(body.substr(0, 30)) + chunk(body.substr(30, 3)) + chunk(body.substr(33)) + "0\r\n\r\n";
  const Report report = answer_with(members, answer.text());
  expect_json(report);
  for (const auto& member : report.members) EXPECT_GT(member.leak.gated_bytes, 9u);

  const std::string one = chunk(body);
  const std::vector<std::pair<std::string, std::string>> bad = {
      {one, "incomplete"},
      {one + "0\r\nX: y\r\n\r\n", "bad chunk"},  // a trailer
      {one + "0\r\n\r\nx", "trailing bytes"},
      {body.substr(0, 60), "bad chunk"},                    // a body where a size should be
      {"5;x=y\r\n" + body + "\r\n0\r\n\r\n", "bad chunk"},  // an extension
      {"100000\r\n" + body + "\r\n0\r\n\r\n", "bad chunk"},
      {"4\r\n" + body + "\r\n0\r\n\r\n", "bad chunk"},  // CRLF is not where the size says
      {"fff\r\n" + body + "\r\n0\r\n\r\n", "too long"},
      {chunk("{") + chunk("}") + chunk(" ") + chunk(" ") + "0\r\n\r\n", "too long"},
  };
  size_t number = 0;
  for (const auto& [text, name] : bad) {
    if (skipped(GetParam(), number++)) continue;
    SCOPED_TRACE(name + ": " + text);
    answer.body = text;
    const Report refused = answer_with(members, answer.text());
    expect_failure(refused, name);
    for (const auto& member : refused.members) {
      EXPECT_EQ(member.sent_count("sealed/open body marks"), 0u);
    }
  }
}

TEST_P(SealedBodyTest, FramingIsThatOfTheOpenParser) {
  ConnectionRig& members = rig(GetParam(), "json", json_plan);
  const auto framed = [](const std::string& framing, const std::string& more = "") {
    JsonAnswer answer;
    answer.framing = framing;
    answer.more = more;
    return answer.text();
  };
  const std::string length = "Content-Length: 93\r\n";
  JsonAnswer type, empty;
  type.type = "text/html";
  empty.body = " ";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {framed(length + length), "duplicate framing header"},
      {framed(length + "content-length: 93\r\n"), "duplicate framing header"},
      {framed(length + "Transfer-Encoding: chunked\r\n"), "bad framing"},
      {framed("Transfer-Encoding: gzip\r\n"), "bad framing"},
      {framed(length, "Content-Encoding: gzip\r\n"), "content encoding"},
      {framed("Content-Length: 9 0\r\n"), "bad framing"},
      {framed("Content-Length: 093\r\n"), "bad framing"},
      {framed("Content-Length: \r\n"), "bad framing"},
      {framed("Content-Length: 18446744073709551617\r\n"), "bad framing"},
      {framed("Content-Length: 1000\r\n"), "too long"},
      {framed("Content-Length: 90\r\n"), "trailing bytes"},
      {framed("Content-Length: 200\r\n"), "incomplete"},
      {framed("X-Length: 93\r\n"), "close-delimited"},
      {type.text(), "other type"},
      {framed(length, "Content-Type: application/json\r\n"), "twice"},
      {empty.text(), "not well formed"},
  };
  size_t number = 0;
  for (const auto& [answer, name] : cases) {
    if (skipped(GetParam(), number++)) continue;
    SCOPED_TRACE(answer);
    const Report report = answer_with(members, answer);
    expect_failure(report, name);
    for (const auto& member : report.members) {
      EXPECT_EQ(member.unknown, name == "incomplete");
      if (name == "duplicate framing header") {  // no value is looked at
        EXPECT_EQ(member.leak.gated_bytes, 0u);
      }
      EXPECT_EQ(member.sent_count("sealed/open values"), 0u);
    }
  }
}

// A value is opened only where everything held (attack 94), and decoys end in the named failure.
TEST_P(SealedBodyTest, OneFaultAndNothingIsOpened) {
  ConnectionRig& members = rig(GetParam(), "json", json_plan);
  const auto with = [](auto change) {
    JsonAnswer answer;
    change(answer);
    return answer.text();
  };
  const std::string tail = ",\"name\":\"ann\",\"id\":1,\"kind\":\"a kind of key that is long\"}";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {with([](JsonAnswer& a) { a.secret = "abc~"; }), "outside class"},
      {with([](JsonAnswer& a) { a.secret = std::string(41, 'a'); }), "too long"},
      {with([](JsonAnswer& a) { a.secret = ""; }), "too short"},
      {with([](JsonAnswer& a) { a.secret = "a\\u0062"; }), "escaped text"},
      {with([](JsonAnswer& a) { a.id = "null"; }), "outside class"},
      {with([](JsonAnswer& a) { a.id = "\"4711\""; }), "other type"},
      {with([](JsonAnswer& a) { a.kind = "a kind of key that is lonG"; }), "assert 4"},
      {with([](JsonAnswer& a) { a.kind = "b kind of key that is long"; }), "assert 4"},
      {with([&](JsonAnswer& a) { a.body = "{\"key\":{\"secret\":\"A\"},\"key\":{}" + tail; }),
       "twice"},
      {with([&](JsonAnswer& a) {
         a.body = "{\"k\\u0065y\":{\"secret\":\"A\"},\"key\":{\"secret\":\"B\"}" + tail;
       }),
       "escaped key"},
      {with([&](JsonAnswer& a) { a.body = "{\"x\":{\"key\":{\"secret\":\"A\"}}" + tail; }),
       "not found"},
      {with([&](JsonAnswer& a) { a.body = "{\"key\":{\"secret\":\"A\"}" + tail + "}"; }),
       "not well formed"},
  };
  size_t number = 0;
  for (const auto& [answer, name] : cases) {
    if (skipped(GetParam(), number++)) continue;
    SCOPED_TRACE(answer);
    const Report report = answer_with(members, answer);
    expect_failure(report, name);
    for (const auto& member : report.members) {
      EXPECT_EQ(member.sent_count("sealed/open values"), 0u);
    }
  }
}

// Whoever alters a share of the outline, of an escape or of an opened value ends the connection.
TEST_P(SealedBodyTest, AlteredSharesAreCheating) {
  ConnectionRig& members = rig(GetParam(), "json", json_plan);
  for (const std::string label :
       {"sealed/open body marks", "sealed/open escapes", "sealed/open values"}) {
    SCOPED_TRACE(label);
    Scenario scenario;
    scenario.script.answer = JsonAnswer{}.text();
    scenario.tamper = [&](const net::MessageId& message, Bytes& payload) {
      if (message.sender == 1 && message.receiver == 0 && message.label == label &&
          message.index == 0) {
        payload.front() ^= 1;
      }
    };
    const Report report = members.run(scenario);
    ASSERT_TRUE(report.ended);
    EXPECT_EQ(report.members[0].code, AbortCode::kMac);
    EXPECT_FALSE(report.members[0].sealed);
    // n = 3: the shares that the third got are right, but nobody confirms: it keeps nothing.
    if (members.size() > 2 && report.members[2].sealed) {
      EXPECT_NE(report.members[2].unconfirmed, "");
      EXPECT_EQ(report.members[2].values[0].state, 0);
      EXPECT_EQ(report.members[2].values[0].share, "");
    }
  }
}

TEST_P(SealedBodyTest, OfARefusalOnlyWhichListedCode) {
  ConnectionRig& members = rig(GetParam(), "json", json_plan);
  const auto refused = [&](const std::string& status, const std::string& body) {
    JsonAnswer answer;
    answer.status = status;
    answer.body = body;
    const Report report = answer_with(members, answer.text());
    EXPECT_TRUE(report.ended);
    for (const auto& member : report.members) {
      EXPECT_EQ(member.failure, "");
      EXPECT_EQ(member.leak.opened_bytes, 0u);
      EXPECT_EQ(member.listed_code, report.members[0].listed_code);
    }
    return report.members[0].listed_code;
  };
  EXPECT_EQ(refused("400 Bad Request", "{\"code\":\"Expired\",\"echo\":\"123456\"}"), "Expired");
  EXPECT_EQ(refused("400 Bad Request", "{\"code\":\"expireD\"}"), "other");
  EXPECT_EQ(refused("400 Bad Request", "{\"code\":\"123456\"}"), "other");
  EXPECT_EQ(refused("403 Forbidden", "{\"code\":\"Expired\""), "other");
  EXPECT_EQ(refused("403 Forbidden", std::string(300, 'x')), "other");
  EXPECT_EQ(refused("429 Too Many Requests", "{\"code\":\"Expired\"}"), "");
  EXPECT_EQ(refused("500 Internal Server Error", "{\"code\":\"Expired\"}"), "");
}

// A courier that cuts or alters the body of a refusal must not choose `other` (§4.5(2), §5.8).
TEST_P(SealedBodyTest, OfARefusalThatIsNotWholeNothing) {
  ConnectionRig& members = rig(GetParam(), "json", json_plan);
  JsonAnswer answer;
  answer.status = "409 Conflict";
  answer.body = "{\"code\":\"Expired\"}";
  const std::string whole = answer.text();
  const size_t header = whole.size() - answer.body.size();
  const auto expect_unknown = [&](const Scenario& scenario, const std::string& why) {
    SCOPED_TRACE(why);
    const Report report = members.run(scenario);
    expect_failure(report, why);
    for (const auto& member : report.members) {
      EXPECT_TRUE(member.unknown);
      EXPECT_TRUE(member.sealed_unknown);
      EXPECT_EQ(member.sealed_status, 409);
      EXPECT_EQ(member.listed_code, "");
    }
  };
  Scenario scenario;
  scenario.script.answer = whole.substr(0, header);
  scenario.script.more = {answer.body};
  const Report report = members.run(scenario);
  ASSERT_TRUE(report.ended);
  for (const auto& member : report.members) EXPECT_EQ(member.listed_code, "Expired");
  scenario.script.flip_in_more = 5;
  expect_unknown(scenario, "a record of the service does not verify under its key");
  scenario = {};
  scenario.script.answer = whole.substr(0, header);
  expect_unknown(scenario, "incomplete");
  scenario.script.answer = whole.substr(0, header - 2);
  expect_unknown(scenario, "incomplete");
}

SealedPlan xml_plan() {
  SealedPlan plan = small_plan();
  plan.content_type = "text/xml";
  plan.items.push_back(
      item_at(agent::SealedXml{{"R", "Credentials", "SecretKey"}}, http::CharClass::kB64, 40));
  return plan;
}

TEST_P(SealedBodyTest, XmlElement) {
  ConnectionRig& members = rig(GetParam(), "xml", xml_plan);
  const auto xml = [&](const std::string& body) {
    JsonAnswer answer;
    answer.type = "text/xml";
    answer.body = body;
    return answer_with(members, answer.text());
  };
  expect_kept(xml("<?xml version=\"1.0\"?>\n<R a='1'><Credentials><Id>x</Id><SecretKey>wJal/+=</"
                  "SecretKey></Credentials></R>\n"),
              "wJal/+=");
  expect_failure(xml("<R><!-- <Credentials> --><Credentials><SecretKey>a</SecretKey></Credentials>"
                     "</R>"),
                 "markup");
  expect_failure(xml("<R><Credentials><SecretKey>a</SecretKey></Credentials><Credentials/></R>"),
                 "twice");
  expect_failure(xml("<R><Credentials><SecretKex>a</SecretKex></Credentials></R>"), "not found");
  expect_failure(xml("<R><Credentials><SecretKey>a</SecretKez></Credentials></R>"),
                 "not well formed");
  expect_failure(xml("<R><Credentials><SecretKey>&amp;</SecretKey></Credentials></R>"),
                 "outside class");
}

SealedPlan mail_plan() {
  SealedPlan plan = small_plan();
  http::JsonItem newest;
  newest.filters = {{{"from", "address"}, "no-reply@s.test"}};
  newest.first = true;
  SealedItem code = item_at(json_path({std::string("m"), newest, std::string("intro")}),
                            http::CharClass::kDigits, 6);
  code.min_bytes = 6;
  code.behind = "code is ";
  plan.items.push_back(code);
  return plan;
}

TEST_P(SealedBodyTest, CodeFromAMailText) {
  ConnectionRig& members = rig(GetParam(), "mail", mail_plan);
  const auto mail = [](const std::string& from, const std::string& intro) {
    return "{\"from\":{\"address\":\"" + from + "\"},\"intro\":\"" + intro + "\"}";
  };
  const auto box = [&](const std::string& mails) {
    JsonAnswer answer;
    answer.body = "{\"m\":[" + mails + "]}";
    return answer_with(members, answer.text());
  };
  const std::string ours = "no-reply@s.test";
  const Report kept =
      box(mail("evil@x.test", "code is 999999") + "," + mail(ours, "Hi, your code is 123456. Bye") +
          "," + mail(ours, "code is 000000"));
  expect_kept(kept, "123456");
  expect_kept(box(mail(ours, "code is 123456")), "123456");
  expect_failure(box(mail(ours, "code is 12345")), "too short");
  expect_failure(box(mail(ours, "code is 1234567")), "too long");
  expect_failure(box(mail(ours, "code is 123456, not code is 1")), "not found");
  // What a reader of the decoded text finds, or nothing.
  expect_kept(box(mail(ours, R"(Hi\r\n\u2014 \"code is 123456\")")), "123456");
  expect_failure(box(mail(ours, "code is 123456\\u0030")), "escaped text");
  expect_failure(box(mail(ours, R"(\u0063ode is 1, code is 123456)")), "escaped text");
  const Report none = box(mail("evil@x.test", "code is 999999"));
  ASSERT_TRUE(none.ended);
  for (const auto& member : none.members) {
    EXPECT_TRUE(member.none);
    EXPECT_EQ(member.failure, "");
    EXPECT_EQ(member.values[0].state, 0);
  }
}

TEST_P(SealedBodyTest, AlteredSharesOfASearchAreCheating) {
  ConnectionRig& members = rig(GetParam(), "mail", mail_plan);
  JsonAnswer answer;
  answer.body =
      "{\"m\":[{\"from\":{\"address\":\"no-reply@s.test\"},\"intro\":\"code is 123456.\"}]}";
  for (const std::string label : {"sealed/open found", "sealed/open run"}) {
    SCOPED_TRACE(label);
    Scenario scenario;
    scenario.script.answer = answer.text();
    scenario.tamper = [&](const net::MessageId& message, Bytes& payload) {
      if (message.sender == 1 && message.receiver == 0 && message.label == label) {
        payload.front() ^= 1;
      }
    };
    const Report report = members.run(scenario);
    ASSERT_TRUE(report.ended);
    EXPECT_EQ(report.members[0].code, AbortCode::kMac);
    EXPECT_FALSE(report.members[0].sealed);
  }
}

// --- the same as in the clear ---

SealedPlan member_plan() {
  SealedPlan plan = small_plan();
  plan.items.push_back(item_at(json_path({std::string("k")}), http::CharClass::kJsonSafe, 20));
  return plan;
}

std::string random_json(Prg& prg, size_t depth) {
  const auto below = [&](size_t n) { return static_cast<size_t>(prg.next_block().lo % n); };
  const auto one_of = [&](std::vector<std::string> words) { return words[below(words.size())]; };
  if (depth > 2 || (depth > 0 && below(2) == 0)) {
    return one_of({"1", "true", "null", "{}", "[]", "\"a\"", "\"x y\"", "\"\\\"\"", "\"{}\"",
                   "\"a:b,\"", "\"\""});
  }
  std::string out = "{";
  if (depth == 0 && below(2) == 0) out += one_of({"\"k\":\"abc\",", "\"k\" : \"a b\" , "});
  for (size_t members = 1 + below(3); members > 0; --members) {
    out += one_of({"\"k\":", "\"k\" : ", "\"a\":", "\"kk\":", "\"\\u006b\":"});
    out += random_json(prg, depth + 1) + (members > 1 ? "," : "");
  }
  return out + one_of({"}", "}", "}", "}}", "", "} "});
}

/// What is selected in the clear behind the same outline: the value, or the failure.
std::pair<std::string, std::string> in_the_clear(const std::string& text) {
  static const mpc::Circuit circuit = circuits::json_outline_circuit(member_plan().body_max);
  std::vector<bool> in(circuit.num_inputs);
  for (size_t k = 0; k < 8 * text.size(); ++k) {
    in[k] = (static_cast<uint8_t>(text[k / 8]) >> (k % 8) & 1) != 0;
  }
  const std::vector<bool> marked =
      support::evaluate_plain(circuit, in)[circuit.output_group("marks")];
  http::Marks marks;
  for (size_t k = 0; k < text.size(); ++k) {
    if (marked[k]) marks.push_back({k, text[k]});
  }
  try {
    http::ClearBytes bytes(text);
    const http::Span span = http::select_json_string(http::read_json_outline(text.size(), marks),
                                                     {std::string("k")}, bytes);
    if (span.size() == 0) return {"", "too short"};
    return {text.substr(span.begin, span.size()), ""};
  } catch (const http::OutlineError& error) {
    return {"", std::string(http::to_string(error.fault()))};
  }
}

TEST(SealedSelection, KeepsTheMemberThatIsSelectedInTheClearSweep) {
  ConnectionRig& members = rig(2, "member", member_plan);
  Prg prg(Block(8, 52));
  size_t kept = 0, refused = 0;
  for (size_t k = 0; k < support::tries(20); ++k) {
    JsonAnswer answer;
    answer.body = random_json(prg, 0);
    SCOPED_TRACE(answer.body);
    if (answer.body.size() > member_plan().body_max) continue;
    const auto [value, failure] = in_the_clear(answer.body);
    const Report report = answer_with(members, answer.text());
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

// OpenSSL's server, records of its own making.
TEST_P(SealedBodyTest, BodiesOfOpenssl) {
  ConnectionRig& json = rig(GetParam(), "json", json_plan);
  expect_json(json.run(from_openssl({JsonAnswer{}.text(), 0, 0})));
  ConnectionRig& xml = rig(GetParam(), "xml", xml_plan);
  JsonAnswer keys;
  keys.type = "text/xml";
  keys.body = "<R><Credentials><SecretKey>wJal/+=</SecretKey></Credentials></R>";
  expect_kept(xml.run(from_openssl({keys.text(), 0, 0})), "wJal/+=");
  ConnectionRig& mail = rig(GetParam(), "mail", mail_plan);
  JsonAnswer box;
  box.body = "{\"m\":[{\"from\":{\"address\":\"no-reply@s.test\"},\"intro\":\"code is 123456.\"}]}";
  expect_kept(mail.run(from_openssl({box.text(), 0, 0})), "123456");
}

INSTANTIATE_TEST_SUITE_P(Rooms, SealedBodyTest, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, SealedBodyTest,
                         ::testing::ValuesIn(support::in_long_runs({3})));

}  // namespace
}  // namespace flexroom
