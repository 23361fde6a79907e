#include "base/base64.h"
#include "flow_fixture.h"
#include "room/client_metadata.h"

// Between a step of a flow file and a sealed connection: what is asked of the answer, and what the
// run's machine is told of it.

namespace flexroom::room {
namespace {

using agent::SealedItem;
using agent::SealedReply;
using agent::SealedValue;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(FlowAnswer, APlanAsksForKeepsThenOpensThenTests) {
  const flow::Flow flow = load(kFlow);
  AnswerTerms with = terms();
  with.fill = [](std::string_view text) {
    const size_t at = text.find("{{");
    return std::string(text.substr(0, at)) + (at == std::string_view::npos ? "" : "X");
  };
  const agent::SealedPlan plan = sealed_plan(*flow.step("Pick"), with);
  EXPECT_NO_THROW(plan.require_valid(2));
  EXPECT_EQ(plan.header_max, 1024u);
  EXPECT_EQ(plan.body_max, 20'000u);
  EXPECT_GE(plan.record_bytes, 1024u + 20'000u);
  ASSERT_EQ(plan.items.size(), 4u);
  const auto& cookie = std::get<agent::SealedCookie>(plan.items[0].at);
  EXPECT_EQ(cookie.query.name, "session");
  EXPECT_EQ(cookie.query.host, "site.flexroom.example");
  EXPECT_EQ(cookie.query.path, "/");
  EXPECT_EQ(cookie.query.default_path, "/a/b");
  EXPECT_EQ(cookie.query.now, 1'700'000'000);
  EXPECT_TRUE(cookie.missing_same);
  EXPECT_EQ(plan.items[0].min_bytes, 16u);
  EXPECT_EQ(plan.items[0].max_bytes, 64u);
  EXPECT_EQ(plan.items[0].fate, SealedItem::Fate::kKeep);
  const auto& otp = std::get<agent::SealedJson>(plan.items[1].at);
  EXPECT_EQ(plan.items[1].behind, "code is ");
  EXPECT_EQ(plan.items[1].char_class, flow::set_of(flow::ValueClass::kDigits));
  ASSERT_EQ(otp.path.size(), 3u);
  const auto& item = std::get<http::JsonItem>(otp.path[1]);
  EXPECT_TRUE(item.first);
  ASSERT_EQ(item.filters.size(), 2u);
  EXPECT_EQ(item.filters[0].text, "X");
  EXPECT_EQ(item.filters[0].kind, http::JsonNode::Kind::kString);
  EXPECT_EQ(item.filters[1].text, "true");
  EXPECT_EQ(item.filters[1].kind, http::JsonNode::Kind::kToken);
  EXPECT_EQ(plan.items[2].fate, SealedItem::Fate::kTest);
  EXPECT_EQ(plan.items[2].equals, "X");
  EXPECT_EQ(plan.items[3].equals, "page X");
  ASSERT_TRUE(plan.codes.has_value());
  EXPECT_THAT(plan.codes->one_of, ElementsAre("Expired", "Late"));
}

TEST(FlowAnswer, AnArrayIsEnteredByItsPlace) {
  const agent::SealedPlan plan = sealed_plan(*load(kFlow).step("Open"), terms());
  ASSERT_EQ(plan.items.size(), 2u);
  EXPECT_EQ(plan.items[1].fate, SealedItem::Fate::kOpen);
  const auto& json = std::get<agent::SealedJson>(plan.items[1].at);
  EXPECT_TRUE(json.number);
  EXPECT_EQ(std::get<std::string>(json.path[0]), "list");
  EXPECT_EQ(std::get<size_t>(json.path[1]), 0u);
}

class FlowReply : public ::testing::Test {
 protected:
  FlowReply() : flow_(load(kFlow)), step_(*flow_.step("Pick")) {
    reply_.status = 200;
    reply_.values.resize(4);
    reply_.values[0].state = SealedValue::State::kKept;
    reply_.values[1].state = SealedValue::State::kKept;
    reply_.values[2].state = SealedValue::State::kTested;
    reply_.values[3].state = SealedValue::State::kTested;
  }
  flow::StepAnswer answer() {
    return sealed_answer(
        step_, std::move(reply_),
        [&](auto values) {
          std::map<std::string, flow::NewSecret> out;
          for (const auto& [name, bits] : values) {
            (void)out[name];
            stored_.push_back(name);
          }
          return out;
        },
        [this](const std::string& name, ByteView text) {
          EXPECT_TRUE(stored_.empty());
          told_[name] = to_text(text);
        });
  }
  const flow::Flow flow_;
  const flow::Step& step_;
  SealedReply reply_;
  std::vector<std::string> stored_;
  std::map<std::string, std::string> told_;
};

TEST_F(FlowReply, AllThatIsKeptIsStored) {
  const flow::StepAnswer got = answer();
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.kept.size(), 2u);
  EXPECT_THAT(stored_, ElementsAre("run/otp", "run/session"));
}
TEST_F(FlowReply, AMissingCookieLeavesTheOldOne) {
  reply_.values[0].state = SealedValue::State::kSame;
  EXPECT_EQ(answer().status, 200);
  EXPECT_THAT(stored_, ElementsAre("run/otp"));
}
// operations.md (a) `decode`: a text that is none fails before a value is told to its one member
// and before anything is stored; the values that are opened to all are no part of the answer then.
TEST(FlowDecode, ATextIsDecodedBeforeAnythingIsToldOrStored) {
  const flow::Flow flow =
      load(kFlow +
           "\n[[step]]\nname = \"Last\"\nrequest = \"\"\"\nGET /x HTTP/1.1\nHost: "
           "site.flexroom.example\n\"\"\"\nopen.\"run/all\" = { at = \"json /a\", class = "
           "\"digits\", max = "
           "4 }\nopen.\"own\" = { at = \"json /o\", class = \"digits\", max = 4, to = \"m0\" }\n"
           "[step.keep.\"run/seed\"]\nat = \"json /s\"\nclass = \"hex\"\nlength = 32\ndecode = "
           "\"hex\"\n");
  const flow::Step& step = *flow.step("Last");
  for (const bool is_text : {true, false}) {
    SealedReply reply;
    reply.status = 200;
    reply.values.resize(3);
    reply.values[0].state = SealedValue::State::kKept;
    for (size_t k = 1; k < 3; ++k) reply.values[k].state = SealedValue::State::kOpened;
    reply.values[step.keeps.size() + (step.opens[0].to_all() ? 0 : 1)].text = "1234";
    std::vector<std::string> order;
    const flow::StepAnswer got = sealed_answer(
        step, std::move(reply),
        [&](const auto&) {
          order.emplace_back("stored");
          return std::map<std::string, flow::NewSecret>();
        },
        [&](const std::string& name, ByteView) { order.push_back("told " + name); },
        [&](const flow::Step&, auto&) {
          order.emplace_back("decoded");
          return is_text;
        });
    if (is_text) {
      EXPECT_THAT(order, ElementsAre("decoded", "told own", "stored"));
      EXPECT_TRUE(got.failure.empty());
      EXPECT_EQ(got.opened.at("run/all"), "1234");
    } else {
      EXPECT_THAT(order, ElementsAre("decoded"));
      EXPECT_EQ(got.failure, "outside class");
      EXPECT_TRUE(got.opened.empty());
    }
  }
}

// boolean-engine.md §7.5: values without the others' last word are void.
TEST_F(FlowReply, VoidValuesAreNoAnswer) {
  for (size_t k = 0; k < 4; ++k) {
    SealedReply whole;
    whole.status = 200;
    for (const SealedValue& value : reply_.values) {
      whole.values.emplace_back();
      whole.values.back().state = value.state;
    }
    whole.values[k].state = SealedValue::State::kNone;
    std::swap(whole, reply_);
    EXPECT_EQ(answer().status, 0) << k;
    EXPECT_TRUE(stored_.empty()) << k;
    std::swap(whole, reply_);
  }
}
TEST_F(FlowReply, AnAnswerThatIsNoneHasNoStatus) {
  reply_.unknown = true;
  reply_.failure = "incomplete";
  const flow::StepAnswer got = answer();
  EXPECT_EQ(got.status, 0);
  EXPECT_TRUE(got.failure.empty());
}
TEST_F(FlowReply, AFailedTestHasTheNameOfTheFile) {
  reply_.failure = "assert 4";
  EXPECT_EQ(answer().failure, "assert 2");
  EXPECT_TRUE(stored_.empty());
}
TEST_F(FlowReply, NoElementIsAnEvent) {
  reply_.none = true;
  EXPECT_TRUE(answer().none);
  EXPECT_TRUE(stored_.empty());
}
TEST_F(FlowReply, AnotherStatusNamesItsCode) {
  reply_.status = 409;
  reply_.code = "Late";
  const flow::StepAnswer got = answer();
  EXPECT_EQ(got.status, 409);
  EXPECT_EQ(got.code, "Late");
  EXPECT_TRUE(stored_.empty());
}

// ------------------------------------------------------------------ values of one member, `!=`

std::string last(const std::string& more) {
  return kFlow +
         "\n[[step]]\nname = \"Last\"\nrequest = \"\"\"\nGET /x HTTP/1.1\nHost: "
         "site.flexroom.example\n\"\"\"\n" +
         more;
}
const std::string kToOne =
    "open.\"n\" = { at = \"json /n\", class = \"digits\", max = 4, to = \"m1\" }\n"
    "open.\"all\" = { at = \"json /m\", class = \"digits\", max = 4 }\n";

TEST(FlowToOne, ThePlanNamesTheMember) {
  const agent::SealedPlan plan = sealed_plan(*load(last(kToOne)).step("Last"), terms());
  ASSERT_EQ(plan.items.size(), 2u);
  EXPECT_EQ(plan.items[0].to, PartyId{1});
  EXPECT_EQ(plan.items[1].to, std::nullopt);
  EXPECT_EQ(refusal(last(kToOne)), "");
  EXPECT_THAT(refusal(replaced(last(kToOne), "\"m1\"", "\"m9\"")),
              HasSubstr("step Last: n is opened to m9, who is no member"));
}

TEST(FlowToOne, OnlyThatMemberIsToldAndNothingOfItIsKept) {
  const flow::Flow flow = load(last(kToOne));
  for (const bool ours : {true, false}) {
    SealedReply reply;
    reply.status = 200;
    reply.values.resize(2);
    reply.values[0].state = ours ? SealedValue::State::kOpened : SealedValue::State::kElsewhere;
    if (ours) reply.values[0].secret = SecretBytes::copy_of(as_bytes("42"));
    reply.values[1].state = SealedValue::State::kOpened;
    reply.values[1].text = "7";
    std::map<std::string, std::string> told;
    const auto got = sealed_answer(
        *flow.step("Last"), std::move(reply),
        [](auto) { return std::map<std::string, flow::NewSecret>(); },
        [&](const std::string& name, ByteView text) { told[name] = to_text(text); });
    EXPECT_EQ(got.status, 200);
    EXPECT_EQ(got.opened, (std::map<std::string, std::string>{{"all", "7"}}));
    EXPECT_EQ(told.size(), ours ? 1u : 0u);
    EXPECT_EQ(told["n"], ours ? "42" : "");
  }
}

// What all should have and somebody else alone has is void, and so is what is nowhere.
TEST(FlowToOne, AValueOfAllIsNotElsewhere) {
  const flow::Flow flow = load(last(kToOne));
  for (const size_t wrong : {0, 1}) {
    SealedReply reply;
    reply.status = 200;
    reply.values.resize(2);
    for (auto& value : reply.values) value.state = SealedValue::State::kOpened;
    reply.values[wrong].state =
        wrong == 1 ? SealedValue::State::kElsewhere : SealedValue::State::kNone;
    const auto got = sealed_answer(
        *flow.step("Last"), std::move(reply),
        [](auto) { return std::map<std::string, flow::NewSecret>(); },
        [](const std::string&, ByteView) { ADD_FAILURE(); });
    EXPECT_EQ(got.status, 0) << wrong;
  }
}

const std::string kOther =
    "item = '/list/[id!=\"{{run/count}}\"]'\npick = \"first\"\nopen.\"n\" = { at = \"json "
    "item/id\", class = \"urlsafe\", max = 8 }\n";

TEST(FlowOther, WhatIsExcludedIsEachOfTheTextsAndItIsStrict) {
  const flow::Flow flow = load(last("sealed = false\n" + kOther));
  const flow::Step& step = *flow.step("Last");
  http::Response response;
  response.status = 200;
  response.headers = {{"Content-Type", "application/json"}};
  AnswerTerms with = terms();
  const auto picks = [&](std::vector<std::string> excluded, const std::string& list) {
    with.excluded = [excluded](std::string_view name) {
      EXPECT_EQ(name, "run/count");
      return excluded;
    };
    response.body = to_bytes("{\"list\": [" + list + "]}");
    const auto got = open_answer(step, response, with);
    return got.none ? "none" : got.failure.empty() ? got.opened.at("n") : got.failure;
  };
  const std::string both = R"({"id": "a"}, {"id": "b"}, {"id": "c"})";
  EXPECT_EQ(picks({"a", "b"}, both), "c");
  EXPECT_EQ(picks({"b"}, both), "a");
  EXPECT_EQ(picks({}, both), "a");
  EXPECT_EQ(picks({"a", "b"}, R"({"id": "a"}, {"id": "b"})"), "none");
  for (const auto& excluded : {std::vector<std::string>(), std::vector<std::string>{"a"}}) {
    EXPECT_EQ(picks(excluded, R"({"di": "b"})"), "not found");
    EXPECT_EQ(picks(excluded, R"({"id": 1})"), "other type");
    EXPECT_EQ(picks(excluded, R"({"id": "\u0061"})"), "escaped text");
  }
  const agent::SealedPlan plan = sealed_plan(*load(last(kOther)).step("Last"), with);
  const auto& json = std::get<agent::SealedJson>(plan.items[0].at);
  EXPECT_FALSE(std::get<http::JsonItem>(json.path[1]).filters[0].equal);
  EXPECT_EQ(refusal(last(kOther)), "");
}

// operations.md (a) `item`: one of which nothing is taken has to be there.
TEST(FlowItem, NothingTakenIsAPlaceThatMustBeThere) {
  const std::string item = "item = '/list/[id=\"{{run/count}}\"]'\n";
  const std::string taken =
      item + "open.\"n\" = { at = \"json item/id\", class = \"urlsafe\", max = 8 }\n";
  const agent::SealedPlan plan = sealed_plan(*load(last(item)).step("Last"), terms());
  ASSERT_EQ(plan.items.size(), 1u);
  EXPECT_EQ(plan.items[0].fate, SealedItem::Fate::kTest);
  EXPECT_EQ(plan.items[0].equals, "");
  const auto& json = std::get<agent::SealedJson>(plan.items[0].at);
  ASSERT_EQ(json.path.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<http::JsonItem>(json.path[1]));
  EXPECT_EQ(sealed_plan(*load(last(taken)).step("Last"), terms()).items.size(), 1u);
  EXPECT_EQ(refusal(last(item)), "");

  const flow::Flow flow = load(last(item));
  for (const auto state : {SealedValue::State::kTested, SealedValue::State::kNone}) {
    SealedReply reply;
    reply.status = 200;
    reply.values.resize(1);
    reply.values[0].state = state;
    const auto got = sealed_answer(
        *flow.step("Last"), std::move(reply),
        [](auto) { return std::map<std::string, flow::NewSecret>(); },
        [](const std::string&, ByteView) { ADD_FAILURE(); });
    EXPECT_EQ(got.status, state == SealedValue::State::kTested ? 200 : 0);
  }
}

// ------------------------------------------------------------------ patterns, `absent`

const std::string kText = "type = \"text/plain\"\n";
std::string card_of(const std::string& run_class, const std::string& length) {
  return kText + "assert.plain = { at = 'pattern \"/Flate\"', absent = true }\n" +
         "[step.keep.\"run/card\"]\nat = 'pattern \"No: \" " + run_class + " \")]\"'\n" +
         "class = \"digits\"\nlength = " + length + "\n";
}

TEST(FlowPattern, TheRunOfAWholeBodyIsKept) {
  const agent::SealedPlan plan =
      sealed_plan(*load(last(card_of("digits", "[12, 16]"))).step("Last"), terms());
  EXPECT_NO_THROW(plan.require_valid(2));
  ASSERT_EQ(plan.items.size(), 2u);
  const auto& card = std::get<agent::SealedPattern>(plan.items[0].at);
  EXPECT_EQ(card.literal, "No: ");
  EXPECT_EQ(card.run_class, flow::set_of(flow::ValueClass::kDigits));
  EXPECT_EQ(card.terminator, http::CharSet::of(")]"));
  EXPECT_TRUE(card.blanks.empty());
  EXPECT_EQ(plan.items[0].behind, std::nullopt);
  EXPECT_EQ(plan.items[0].min_bytes, 12u);
  EXPECT_EQ(plan.items[0].max_bytes, 16u);
  EXPECT_EQ(plan.items[1].fate, SealedItem::Fate::kAbsent);
  EXPECT_EQ(std::get<agent::SealedPattern>(plan.items[1].at).literal, "/Flate");
  EXPECT_EQ(refusal(last(card_of("digits", "[12, 16]"))), "");
}

TEST(FlowPattern, BlanksStandBehindEachFourDigits) {
  const auto blanks = [](const std::string& length) {
    const auto plan =
        sealed_plan(*load(last(card_of("digits-and-spaces", length))).step("Last"), terms());
    EXPECT_NO_THROW(plan.require_valid(2));
    EXPECT_TRUE(std::get<agent::SealedPattern>(plan.items[0].at).run_class.contains(' '));
    return std::get<agent::SealedPattern>(plan.items[0].at).blanks;
  };
  EXPECT_THAT(blanks("16"), ElementsAre(4, 9, 14));
  EXPECT_THAT(blanks("15"), ElementsAre(4, 9, 14));
  EXPECT_THAT(blanks("8"), ElementsAre(4));
  EXPECT_THAT(blanks("4"), ElementsAre());
  EXPECT_THAT(blanks("[12, 19]"), ElementsAre(4, 9, 14, 19));
  EXPECT_EQ(refusal(last(card_of("digits-and-spaces", "16"))), "");
  EXPECT_EQ(refusal(last(card_of("digits-and-spaces", "[12, 19]"))), "");
  const std::string opened = last(
      "type = \"text/plain\"\nopen.\"run/n\" = { at = 'pattern \"No: \" digits-and-spaces "
      "\".\"', class = \"digits\", max = 8 }\n");
  const auto plan = sealed_plan(*load(opened).step("Last"), terms());
  EXPECT_THAT(std::get<agent::SealedPattern>(plan.items[0].at).blanks, ElementsAre(4));
  EXPECT_EQ(refusal(opened), "");
}

TEST(FlowPattern, AbsentIsAPlaceOrALiteralInIt) {
  const std::string text = last(
      "assert.gone = { at = \"json /a/b\", absent = true }\n"
      "assert.mail = { at = 'json /c after \"@\"', absent = true }\n"
      "assert.is = { at = \"json /d\", equals = \"e\" }\n");
  AnswerTerms with = terms();
  with.fill = [](std::string_view of) { return std::string(of); };
  const agent::SealedPlan plan = sealed_plan(*load(text).step("Last"), with);
  EXPECT_NO_THROW(plan.require_valid(2));
  ASSERT_EQ(plan.items.size(), 3u);
  EXPECT_EQ(plan.items[0].fate, SealedItem::Fate::kAbsent);
  EXPECT_EQ(plan.items[0].behind, std::nullopt);
  EXPECT_EQ(plan.items[1].fate, SealedItem::Fate::kAbsent);
  EXPECT_EQ(plan.items[1].behind, "@");
  EXPECT_EQ(plan.items[2].fate, SealedItem::Fate::kTest);
  EXPECT_EQ(plan.items[2].equals, "e");
  EXPECT_EQ(refusal(text), "");
}

TEST(FlowOther, NoSuchPlaceIsATestOfAnOpenAnswer) {
  const flow::Flow flow =
      load(last("sealed = false\nassert.gone = { at = \"json /a/b\", absent = true }\n"));
  http::Response response;
  response.status = 200;
  response.headers = {{"Content-Type", "application/json"}};
  const auto failure = [&](const std::string& body) {
    response.body = to_bytes(body);
    return open_answer(*flow.step("Last"), response, terms()).failure;
  };
  EXPECT_EQ(failure(R"({"a": {"c": "x"}})"), "");
  EXPECT_EQ(failure(R"({})"), "");
  EXPECT_EQ(failure(R"({"a": {"b": "x"}})"), "assert gone");
  EXPECT_EQ(failure(R"({"a": {"b": null}})"), "assert gone");
  EXPECT_EQ(failure(R"({"a": 1})"), "other type");
  EXPECT_EQ(failure(R"({"a": {"b": 1, "b": 2}})"), "twice");
}

TEST(FlowOther, NoSuchElementIsATestOfAnOpenAnswer) {
  const flow::Flow flow =
      load(last("sealed = false\ntype = \"text/xml\"\n"
                "assert.gone = { at = \"xml /A/B\", absent = true }\n"));
  http::Response response;
  response.status = 200;
  response.headers = {{"Content-Type", "text/xml"}};
  const auto failure = [&](const std::string& body) {
    response.body = to_bytes(body);
    return open_answer(*flow.step("Last"), response, terms()).failure;
  };
  EXPECT_EQ(failure("<A><C>x</C></A>"), "");
  EXPECT_EQ(failure("<A><B>x</B></A>"), "assert gone");
  EXPECT_EQ(failure("<A><B>x</B><B>y</B></A>"), "twice");
  EXPECT_EQ(failure("<A><C>x</C>"), "not well formed");
}

TEST(ClientMetadata, IsXxteaOfHonestWords) {
  EXPECT_EQ(to_hex(xxtea_seal("abc", "flexroom sandbox")), "334d7798ff8ff98b");
  EXPECT_EQ(
      to_hex(xxtea_seal(R"({"client":"x","nonce":"0123456789abcdef"})", "flexroom sandbox")),
      "b7e05fe102a7534849c28f53c002b662301fb5e93e7e16797857601fae6eaf9ea5363d10185aa93e5e24e38f1c"
      "c54071");
  const Digest one = sha256(as_bytes("one")), other = sha256(as_bytes("other"));
  EXPECT_EQ(client_metadata(one), client_metadata(one));
  EXPECT_NE(client_metadata(one), client_metadata(other));
  EXPECT_EQ(base64_decode(client_metadata(one)).value().size(), 68u);
}

// ------------------------------------------------------------------ open answers

class FlowOpen : public ::testing::Test {
 protected:
  FlowOpen()
      : flow_(load(replaced(
            replaced(kFlow, "[[step]]\nname = \"Pick\"\n",
                     "[[step]]\nname = \"Pick\"\nsealed = false\n"),
            kFlow.substr(kFlow.rfind("[step.keep.\"run/session\"]")),
            "open.\"name\" = { at = \"json item/name\", class = \"urlsafe\", max = 6 }\n"))),
        step_(*flow_.step("Pick")) {
    response_.status = 200;
    response_.headers = {{"Content-Type", "Application/JSON; charset=utf-8"}};
  }
  flow::StepAnswer answer(const std::string& body) {
    response_.body = to_bytes(body);
    AnswerTerms with = terms();
    with.fill = [](std::string_view text) {
      const size_t at = text.find("{{");
      return std::string(text.substr(0, at)) + (at == std::string_view::npos ? "" : "X");
    };
    return open_answer(step_, response_, with);
  }
  static std::string body(const std::string& element, const std::string& kind = "page X") {
    return "{\"kind\": \"" + kind +
           "\", \"list\": [{\"who\": \"Y\", \"ready\": true, \"name\": "
           "\"other\"}, " +
           element + "]}";
  }
  const flow::Flow flow_;
  const flow::Step& step_;
  http::Response response_;
};
const std::string kElement = R"({"who": "X", "ready": true, "name": "first"})";

TEST_F(FlowOpen, TheElementIsFoundAndTested) {
  const flow::StepAnswer got = answer(body(kElement));
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.failure, "");
  EXPECT_EQ(got.opened, (std::map<std::string, std::string>{{"name", "first"}}));
}
TEST_F(FlowOpen, WhatIsWrongHasItsName) {
  EXPECT_TRUE(answer(body(replaced(kElement, "true", "false"))).none);
  EXPECT_EQ(answer(body(kElement, "page Y")).failure, "assert 2");
  EXPECT_EQ(answer(body(replaced(kElement, "first", "seventh"))).failure, "too long");
  EXPECT_EQ(answer(body(replaced(kElement, "first", ""))).failure, "too short");
  EXPECT_EQ(answer(body(replaced(kElement, "first", "a b"))).failure, "outside class");
  EXPECT_EQ(answer(body(replaced(kElement, "first", "a\\n"))).failure, "escaped text");
  EXPECT_EQ(answer(body(replaced(kElement, "name", "game"))).failure, "not found");
  EXPECT_EQ(answer(body(kElement) + "}").failure, "not well formed");
  EXPECT_EQ(answer(body(kElement) + std::string(20'000, ' ')).failure, "too long");
  response_.headers = {{"Content-Type", "text/html"}};
  EXPECT_EQ(answer(body(kElement)).failure, "other type");
  response_.headers = {};
  EXPECT_EQ(answer(body(kElement)).failure, "other type");
  for (const flow::StepAnswer& got : {answer(body(kElement))}) EXPECT_TRUE(got.opened.empty());
}
TEST(FlowOpenXml, AnElementIsSelectedAsOfASealedAnswer) {
  const flow::Flow flow = load(
      replaced(kFlow.substr(0, kFlow.find("open.\"run/count\"")), "[[step]]\nname = \"Open\"\n",
               "[[step]]\nname = \"Open\"\nsealed = false\ntype = \"text/xml\"\n") +
      "open.\"id\" = { at = \"xml /Answer/Id\", class = \"urlsafe\", max = 8 }\n");
  http::Response response;
  response.status = 200;
  response.headers = {{"Content-Type", "text/xml"}};
  const auto answer = [&](const std::string& body) {
    response.body = to_bytes(body);
    return open_answer(*flow.step("Open"), response, terms());
  };
  EXPECT_EQ(answer("<Answer><Id>i-12</Id><Of>x</Of></Answer>").opened,
            (std::map<std::string, std::string>{{"id", "i-12"}}));
  EXPECT_EQ(answer("<Answer><Id>a</Id><Id>b</Id></Answer>").failure, "twice");
  EXPECT_EQ(answer("<Answer><Of>x</Of></Answer>").failure, "not found");
  EXPECT_EQ(answer("<Answer><Id><B>x</B></Id></Answer>").failure, "other type");
  EXPECT_EQ(answer("<Answer><Id>i-12</Id>").failure, "not well formed");
  EXPECT_EQ(answer("<Answer><Id>i&amp;1</Id></Answer>").failure, "outside class");
}
// operations.md (c): without `item`, a place that is not there is `none` where the file says what
// then.
TEST(FlowOpenXml, AMissingPlaceIsNoneWhereTheFileHasARuleForIt) {
  const flow::Flow flow = load(
      replaced(kFlow.substr(0, kFlow.find("open.\"run/count\"")), "[[step]]\nname = \"Open\"\n",
               "[[step]]\nname = \"Open\"\nsealed = false\ntype = \"text/xml\"\n") +
      "open.\"id\" = { at = \"xml /Answer/Id\", class = \"urlsafe\", max = 8 }\n"
      "on.none = \"again\"\n");
  http::Response response;
  response.status = 200;
  response.headers = {{"Content-Type", "text/xml"}};
  const auto answer = [&](const std::string& body) {
    response.body = to_bytes(body);
    return open_answer(*flow.step("Open"), response, terms());
  };
  const flow::StepAnswer got = answer("<Answer><Of>x</Of></Answer>");
  EXPECT_TRUE(got.none);
  EXPECT_EQ(got.failure, "");
  EXPECT_TRUE(got.opened.empty());
  for (const char* const wrong : {"<Answer><Id>a</Id><Id>b</Id></Answer>", "<Answer><Of>x</Of>"}) {
    EXPECT_FALSE(answer(wrong).none);
    EXPECT_NE(answer(wrong).failure, "");
  }
  EXPECT_FALSE(answer("<Answer><Id>i-12</Id></Answer>").none);
}
TEST_F(FlowOpen, ARefusalNamesItsCodeOrAnother) {
  response_.status = 409;
  EXPECT_EQ(answer("{\"code\": \"Late\"}").code, "Late");
  EXPECT_EQ(answer("{\"code\": \"Never\"}").code, "other");
  EXPECT_EQ(answer("no JSON").code, "other");
  response_.headers = {};  // as EC2 refuses (tls-in-mpc.md §5.6)
  EXPECT_EQ(answer("{\"code\": \"Late\"}").code, "Late");
  EXPECT_EQ(answer("{\"code\": \"Never\"}").code, "other");
  response_.headers = {{"Content-Type", "text/html"}};
  EXPECT_EQ(answer("{\"code\": \"Late\"}").code, "other");
  response_.headers = {{"Content-Type", "application/json"}, {"content-type", "application/json"}};
  EXPECT_EQ(answer("{\"code\": \"Late\"}").code, "other");
  response_.status = 503;
  EXPECT_EQ(answer("{\"code\": \"Late\"}").code, "");
}

}  // namespace
}  // namespace flexroom::room
