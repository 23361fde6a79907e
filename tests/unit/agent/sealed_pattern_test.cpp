#include <gtest/gtest.h>

#include "circuits/json_outline.h"
#include "support/code_search.h"
#include "support/sealed_rig.h"
#include "support/sweeps.h"

// Sealed answers that are searched as a whole, and what must not be in them: `pattern` and `absent`
// (tls-in-mpc.md §5.5, operations.md (a)).

namespace flexroom {
namespace {

using agent::SealedItem;
using agent::SealedPlan;
using support::answer_with;
using support::ConnectionRig;
using support::expect_failure;
using support::expect_kept;
using support::rig;
using support::small_plan;
using Report = ConnectionRig::Report;
using Scenario = ConnectionRig::Scenario;
using State = agent::SealedValue::State;

class SealedPatternTest : public ::testing::TestWithParam<size_t> {};

SealedItem absent(agent::SealedPlace at, std::optional<std::string> behind = std::nullopt) {
  SealedItem item;
  item.at = std::move(at);
  item.behind = std::move(behind);
  item.fate = SealedItem::Fate::kAbsent;
  return item;
}

SealedItem card_number() {
  SealedItem item;
  const http::CharSet digits = http::char_set(http::CharClass::kDigits);
  item.at = agent::SealedPattern{
      "Card number: ", digits | http::CharSet::of(" "), http::CharSet::of(")"), {4, 9, 14}};
  item.char_class = digits;
  item.min_bytes = item.max_bytes = 16;
  return item;
}

// The card of operations.md (f): an uncompressed PDF.
SealedPlan pdf_plan() {
  SealedPlan plan = small_plan();
  plan.content_type = "application/pdf";
  plan.items.push_back(absent(agent::SealedPattern{"/FlateDecode", {}, {}, {}}));
  plan.items.push_back(card_number());
  SealedItem code = card_number();
  const http::CharSet digits = http::char_set(http::CharClass::kDigits);
  code.at =
      agent::SealedPattern{"Code: ", digits | http::CharSet::of(" "), http::CharSet::of(")"), {3}};
  code.min_bytes = 2;
  code.max_bytes = 5;
  plan.items.push_back(code);
  return plan;
}

std::string answer(const std::string& type, const std::string& body, const std::string& more = "") {
  return "HTTP/1.1 200 OK\r\nContent-Type: " + type + "\r\n" + more +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
std::string pdf(const std::string& body) { return answer("application/pdf", body); }

const std::string kCard = "BT (Card number: 4242 4242 4242 4242) Tj (Code: 123 45) ET";

TEST_P(SealedPatternTest, ACardFromAnUncompressedPdf) {
  ConnectionRig& members = rig(GetParam(), "pdf", pdf_plan);
  const Report report = answer_with(members, pdf("%PDF-1.4\n" + kCard + "\n%%EOF"));
  expect_kept(report, "4242424242424242", 1);
  expect_kept(report, "12345", 2);
  for (const auto& member : report.members) {
    EXPECT_EQ(member.values[0].state, static_cast<uint8_t>(State::kTested));
    EXPECT_EQ(member.leak.opened_bytes, 0u);
    EXPECT_EQ(member.leak.structure_bytes, 2u);         // blanks of Content-Type and Content-Length
    EXPECT_EQ(member.leak.class_bits, 1u + 1 + 2 + 1);  // length, absent, two searches, all values
  }
}

// Of several lengths: the blanks that a run of its length has, none behind it.
TEST_P(SealedPatternTest, TheBlanksAreThoseOfTheRunsOwnLength) {
  ConnectionRig& members = rig(GetParam(), "pdf", pdf_plan);
  const std::string card = "(Card number: 4242 4242 4242 4242) ";
  expect_kept(answer_with(members, pdf(card + "(Code: 12)")), "12", 2);
  expect_kept(answer_with(members, pdf(card + "(Code: 123)")), "123", 2);
  expect_kept(answer_with(members, pdf(card + "(Code: 123 4)")), "1234", 2);
}

TEST_P(SealedPatternTest, OneFaultAndNothingIsKept) {
  ConnectionRig& members = rig(GetParam(), "pdf", pdf_plan);
  const auto card = [](const std::string& number) {
    return "(Card number: " + number + ") (Code: 123 4)";
  };
  const std::vector<std::pair<std::string, std::string>> cases = {
      {kCard + "/Filter /FlateDecode", "assert 1"},
      {"/FlateDecode", "assert 1"},
      {kCard + "/FlateDecod", ""},
      {card("4242 4242 42424 242"), "outside class"},  // a blank elsewhere
      {card("4242 4242 4242  242"), "outside class"},
      {card("4242 4242 4242 424 "), "outside class"},
      {card("4242424242424242424"), "outside class"},
      {card("4242 4242 4242 424"), "too short"},
      {card("4242 4242 4242 42424"), "too long"},
      {card("4242"), "too short"},
      {card("4242 4242 4242 4242]"), "not found"},
      {card("4242 4242 4242 4242") + card("4242 4242 4242 4242"), "not found"},
      {"(Card number: 4242 4242 4242 4242", "not found"},  // may go on behind the end
      {"(Card numbers: 4242) (Code: 123)", "not found"},
      {"(Card number: 4242 4242 4242 4242) (Code: 123 )", "outside class"},  // a blank at the end
      {"(Card number: 4242 4242 4242 4242) (Code: 1234)", "outside class"},  // none where one is
      {"(Card number: 4242 4242 4242 4242) (Code: 1)", "too short"},
      {"(Card number: 4242 4242 4242 4242) (Code: 123 4567)", "too long"},
      {"", "not found"},
      {std::string(257, 'x'), "too long"},
  };
  size_t number = 0;
  for (const auto& [body, name] : cases) {
    if (support::skipped(GetParam(), number++)) continue;
    SCOPED_TRACE(body);
    const Report report = answer_with(members, pdf(body));
    if (name.empty()) {
      expect_kept(report, "4242424242424242", 1);
    } else {
      expect_failure(report, name);
    }
  }
  expect_failure(answer_with(members, answer("text/plain", kCard)), "other type");
}

TEST_P(SealedPatternTest, AlteredSharesOfASearchAreCheating) {
  ConnectionRig& members = rig(GetParam(), "pdf", pdf_plan);
  for (const std::string label : {"sealed/open seen", "sealed/open found", "sealed/open run"}) {
    SCOPED_TRACE(label);
    Scenario scenario;
    scenario.script.answer = pdf(kCard);
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

// --- absent ---

SealedPlan absent_plan() {
  SealedPlan plan = small_plan();
  plan.items.push_back(absent(agent::SealedHeader{"location", "/error", ""}));
  plan.items.push_back(absent(agent::SealedHeader{"x-error", "", ""}));
  plan.items.push_back(absent(agent::SealedJson{{std::string("error")}, false}));
  plan.items.push_back(absent(agent::SealedJson{{std::string("text")}, false}, "@s"));
  SealedItem id;
  id.at = agent::SealedJson{{std::string("id")}, true};
  id.fate = SealedItem::Fate::kOpen;
  id.char_class = http::char_set(http::CharClass::kDigits);
  id.max_bytes = 8;
  plan.items.push_back(id);
  return plan;
}

TEST_P(SealedPatternTest, WhatMustNotBeThere) {
  ConnectionRig& members = rig(GetParam(), "absent", absent_plan);
  const auto json = [](const std::string& body, const std::string& more = "") {
    return answer("application/json", body, more);
  };
  const std::string good = R"({"id":7,"text":"to a@ s.test"})";
  const std::string long_text = R"({"id":7,"text":")" + std::string(150, 'x') + "\"}";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {json(good), ""},
      {json(good, "Set-Cookie: other=1; Path=/\r\nX-Errors: 1\r\n"), ""},
      {json(R"({"id":7})"), ""},
      {json(R"({"id":7,"text":""})"), ""},
      {json(R"({"id":7,"text":"@"})"), ""},  // the quote behind it is none of the text
      {json(long_text), ""},
      {json(good, "Location: /errand\r\n"), ""},
      {json(good, "Location: /error?x=1\r\n"), "assert 1"},
      {json(good, "Location:  \t/error \r\n"), "assert 1"},
      {json(good, "X-Error: \r\n"), "assert 2"},
      {json(good, "x-error: no\r\nX-Error: yes\r\n"), "assert 2"},
      {json(R"({"id":7,"error":null})"), "assert 3"},
      {json(R"({"id":7,"error":{"a":1}})"), "assert 3"},
      {json(R"({"id":7,"error":1,"error":2})"), "twice"},
      {json(R"({"id":7,"err\u006fr":1})"), "escaped key"},
      {json(R"({"id":7,"text":"to a@s.test"})"), "assert 4"},
      {json(R"({"id":7,"text":"@s@s"})"), "assert 4"},
      {json(R"({"id":7,"text":"\u0040s"})"), "escaped text"},
      {json(R"({"id":7,"text":8})"), "other type"},
  };
  size_t number = 0;
  for (const auto& [text, name] : cases) {
    if (support::skipped(GetParam(), number++)) continue;
    SCOPED_TRACE(text);
    const Report report = answer_with(members, text);
    if (!name.empty()) {
      expect_failure(report, name);
    } else {
      ASSERT_TRUE(report.ended);
    }
    for (const auto& member : report.members) {
      if (name.empty()) {
        EXPECT_EQ(member.failure, "");
        EXPECT_EQ(member.values[4].text, "7");
      }
      EXPECT_EQ(member.sent_count("sealed/open values"), name.empty() ? members.size() - 1 : 0u);
    }
  }
}

// --- the same as in the clear ---

SealedPlan run_plan() {
  SealedPlan plan = small_plan();
  plan.content_type = "text/plain";
  plan.items.push_back(absent(agent::SealedPattern{"aba", {}, {}, {}}));
  SealedItem item = card_number();
  item.at = agent::SealedPattern{
      "n: ", http::char_set(http::CharClass::kDigits), http::CharSet::of(");"), {}};
  item.min_bytes = 1;
  item.max_bytes = 6;
  plan.items.push_back(item);
  return plan;
}

// Of random texts kept is what support::find_code finds in the clear, or nothing.
TEST(SealedSelection, KeepsTheRunThatIsFoundInTheClearSweep) {
  ConnectionRig& members = rig(2, "run", run_plan);
  const auto& pattern = std::get<agent::SealedPattern>(run_plan().items[1].at);
  Prg prg(Block(9, 53));
  const auto below = [&](size_t n) { return static_cast<size_t>(prg.next_block().lo % n); };
  size_t kept = 0, refused = 0;
  for (size_t k = 0; k < support::tries(24); ++k) {
    std::string body = below(2) == 0 ? "n: 123" : "";
    for (size_t parts = 1 + below(5); parts > 0; --parts) {
      const std::vector<std::string> words = {
          "n: ", "n: 12)", "n: 12", ")", "ab", " n:", "3;", "n", "x", "\\u", "n: 1234567)"};
      body += words[below(words.size())];
    }
    SCOPED_TRACE(body);
    const Report report = answer_with(members, answer("text/plain", body));
    const auto run =
        support::find_code(body, pattern.literal, pattern.run_class, pattern.terminator);
    if (body.find("aba") != std::string::npos) {
      expect_failure(report, "assert 1");
      ++refused;
    } else if (!run || run->size() > 6) {
      expect_failure(report, run ? "too long" : "not found");
      ++refused;
    } else {
      expect_kept(report, body.substr(run->begin, run->size()), 1);
      ++kept;
    }
  }
  EXPECT_GT(kept, 1u);
  EXPECT_GT(refused, 3u);
}

// --- plans ---

TEST(SealedPatternPlans, WhatDoesNotGoTogetherIsRefused) {
  const auto refused = [](auto change) {
    SealedPlan plan = pdf_plan();
    change(plan, std::get<agent::SealedPattern>(plan.items[1].at));
    try {
      plan.require_valid(2);
      return false;
    } catch (const InputError&) {
      return true;
    }
  };
  using Pattern = agent::SealedPattern;
  const auto with_zero = http::CharSet::of(std::string_view("1\0", 2));
  EXPECT_FALSE(refused([](SealedPlan&, Pattern&) {}));
  EXPECT_TRUE(refused([](SealedPlan&, Pattern& p) { p.literal = ""; }));
  EXPECT_TRUE(refused([](SealedPlan&, Pattern& p) { p.literal = std::string("a\0", 2); }));
  EXPECT_TRUE(refused([](SealedPlan& plan, Pattern& p) { p.literal.resize(plan.body_max, 'x'); }));
  EXPECT_TRUE(refused([](SealedPlan&, Pattern& p) { p.run_class = {}; }));
  EXPECT_TRUE(refused([&](SealedPlan&, Pattern& p) { p.run_class = p.run_class | with_zero; }));
  EXPECT_TRUE(refused([&](SealedPlan&, Pattern& p) { p.terminator = p.terminator | with_zero; }));
  EXPECT_TRUE(refused([](SealedPlan&, Pattern& p) { p.terminator = {}; }));
  EXPECT_TRUE(refused([](SealedPlan&, Pattern& p) { p.terminator = http::CharSet::of("12"); }));
  EXPECT_TRUE(refused([](SealedPlan&, Pattern& p) { p.blanks = {4, 4}; }));
  EXPECT_TRUE(refused([](SealedPlan&, Pattern& p) { p.blanks = {9, 4}; }));
  EXPECT_TRUE(refused([](SealedPlan& plan, Pattern& p) { p.blanks = {plan.body_max}; }));
  EXPECT_TRUE(refused(
      [](SealedPlan&, Pattern& p) { p.run_class = http::char_set(http::CharClass::kDigits); }));
  EXPECT_TRUE(refused([](SealedPlan& plan, Pattern&) { plan.items[1].behind = "x"; }));
  EXPECT_TRUE(refused([](SealedPlan& plan, Pattern&) {
    plan.items[1].fate = SealedItem::Fate::kTest;
    plan.items[1].equals = "x";
  }));
  EXPECT_TRUE(refused([](SealedPlan& plan, Pattern&) {
    plan.items[0].at = agent::SealedJson{{std::string("a")}, false};
  }));
  EXPECT_TRUE(refused([](SealedPlan& plan, Pattern&) {
    plan.items[0] = absent(agent::SealedCookie{});
    std::get<agent::SealedCookie>(plan.items[0].at).query.name = "c";
  }));
  EXPECT_FALSE(refused([](SealedPlan& plan, Pattern&) {
    plan.items[0] = absent(agent::SealedHeader{"location", "/error", ""});
  }));
  EXPECT_TRUE(refused([](SealedPlan& plan, Pattern&) {
    plan.items[0] = absent(agent::SealedHeader{"location", "", "error"});
  }));
  // §5.5: a pattern in a text that somebody put into JSON or XML would be a decoy.
  for (const std::string type :
       {"application/json", "application/ld+JSON", "text/xml", "application/xhtml+xml"}) {
    EXPECT_TRUE(refused([&](SealedPlan& plan, Pattern&) { plan.content_type = type; })) << type;
  }
  EXPECT_FALSE(refused([](SealedPlan& plan, Pattern&) { plan.content_type = "text/plain"; }));
}

TEST(SealedPatternPlans, EveryFieldIsInTheDigest) {
  using Pattern = agent::SealedPattern;
  const Digest same = pdf_plan().digest();
  const std::vector<std::function<void(Pattern&)>> changes = {
      [](Pattern& p) { p.literal = "x"; },   [](Pattern& p) { p.run_class = {}; },
      [](Pattern& p) { p.terminator = {}; }, [](Pattern& p) { p.blanks.pop_back(); },
      [](Pattern& p) { p.blanks[0] = 3; },
  };
  for (size_t k = 0; k < changes.size(); ++k) {
    SealedPlan plan = pdf_plan();
    changes[k](std::get<agent::SealedPattern>(plan.items[1].at));
    EXPECT_NE(plan.digest(), same) << k;
  }
}

INSTANTIATE_TEST_SUITE_P(Rooms, SealedPatternTest, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, SealedPatternTest,
                         ::testing::ValuesIn(support::in_long_runs({3})));

}  // namespace
}  // namespace flexroom
