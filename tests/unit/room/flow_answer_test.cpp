#include "room/flow_answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "room/flow_engine.h"
#include "room/flow_request.h"

// Between a step of a flow file and a sealed connection: what is asked of the answer, and what the
// run's machine is told of it; and every kind of step that no run can do yet is refused by name.

namespace flexroom::room {
namespace {

using agent::SealedItem;
using agent::SealedReply;
using agent::SealedValue;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kFlow = R"(
[flow]
name = "pages"
provider = "sandbox"
prefix = "box"
hosts = ["site.flexroom.example"]

[argument.who]

[[step]]
name = "Open"
request = """
GET /a/b/page HTTP/1.1
Host: site.flexroom.example
"""
open."run/count" = { at = "json-number /list/0/count", class = "digits", max = 4 }

[step.keep."run/session"]
at = "cookie session"
class = "cookie"
length = [16, 64]

[[step]]
name = "Pick"
request = """
GET /a/b/page?n={{run/count}} HTTP/1.1
Host: site.flexroom.example
"""
header_max = 1024
body_max = 20000
item = '/list/[who="{{who}}"][ready=true]'
pick = "first"
assert.1 = { at = "json item/who", equals = "{{who}}" }
assert.2 = { at = "json /kind", equals = "page {{run/count}}" }
code = { at = "json /code", one_of = ["Expired", "Late"] }

[step.keep."run/session"]
at = "cookie session"
class = "cookie"
length = [16, 64]
missing = "same"

[step.keep."run/otp"]
at = 'json item/text after "code is "'
class = "digits"
length = 6
purposes = ["POST https://site.flexroom.example/go form otp={{}}"]
)";

flow::RoomView view() {
  Provider provider;
  provider.name = "sandbox";
  provider.hosts = {"*"};
  flow::RoomView out;
  out.providers = std::vector<Provider>{provider};
  return out;
}
flow::Flow load(const std::string& text) { return flow::parse_flow(text, "pages.toml", view()); }

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

AnswerTerms terms() {
  AnswerTerms out;
  out.host = "site.flexroom.example";
  out.path = "/a/b/page";
  out.time = 1'700'000'000;
  out.fill = [](std::string_view text) {
    return replaced(std::string(text), std::string(text.substr(text.find("{{"))), "X");
  };
  return out;
}

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
    return sealed_answer(step_, std::move(reply_), [&](auto values) {
      std::map<std::string, flow::NewSecret> out;
      for (const auto& [name, bits] : values) {
        (void)out[name];
        stored_.push_back(name);
      }
      return out;
    });
  }
  const flow::Flow flow_;
  const flow::Step& step_;
  SealedReply reply_;
  std::vector<std::string> stored_;
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
TEST_F(FlowOpen, ARefusalNamesItsCodeOrAnother) {
  response_.status = 409;
  EXPECT_EQ(answer("{\"code\": \"Late\"}").code, "Late");
  EXPECT_EQ(answer("{\"code\": \"Never\"}").code, "other");
  EXPECT_EQ(answer("no JSON").code, "other");
  response_.status = 503;
  EXPECT_EQ(answer("{\"code\": \"Late\"}").code, "");
}

// ------------------------------------------------------------------ what is not bound

RoomConfig room() {
  RoomConfig out;
  out.name = "rig";
  out.providers = *view().providers;
  out.members.resize(2);
  return out;
}

std::string refusal(const std::string& text) {
  try {
    require_bound(room(), load(text), {{"who", "x"}});
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(FlowBound, AStepThatARunCanDoIsLetThrough) { EXPECT_EQ(refusal(kFlow), ""); }

TEST(FlowBound, WhatNoRunCanDoIsRefusedByName) {
  const std::string keep = "class = \"digits\"\nlength = 6\n";
  const std::string step = "\n[[step]]\nname = \"Last\"\n";
  const std::string get =
      "request = \"\"\"\nGET /x HTTP/1.1\nHost: site.flexroom.example\n\"\"\"\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {kFlow + step + "ask = \"{{who}}\"\nopen.\"run/said\" = { class = \"digits\", max = 4 }\n",
       "step Last: a person is asked"},
      {kFlow + step + get +
           "sealed = false\nopen.\"run/n\" = { at = \"header x-n: {{}}\", class = "
           "\"digits\", max = 4 }\n",
       "step Last: `header x-n: {{}}` of an open answer"},
      {kFlow + step + get + "item = '/list/[a=\"b\"]'\n",
       "step Last: nothing is taken of its `item`"},
      {kFlow + step + get +
           "open.\"n\" = { at = \"json /n\", class = \"digits\", max = 4, to = "
           "\"m1\" }\n",
       "step Last: n is opened to one member"},
      {kFlow + step + get + "assert.1 = { at = \"json /n\", absent = true }\n",
       "step Last: assert 1 has `absent`"},
      {kFlow + step + get +
           "item = '/list/[a!=\"{{run/count}}\"]'\nopen.\"n\" = { at = \"json "
           "item/n\", class = \"digits\", max = 4 }\n",
       "step Last: its `item` has a filter with !="},
      {kFlow + step + get +
           "type = \"text/plain\"\nopen.\"n\" = { at = 'pattern \"n\" digits \".\"'"
           ", class = \"digits\", max = 4 }\n",
       "step Last: `pattern"},
      {replaced(kFlow, keep, "class = \"base32\"\nlength = 16\ndecode = \"base32\"\n"),
       "step Pick: run/otp has `decode`"},
      {kFlow + step + replaced(get, "/x ", "/x?a={{client-metadata}} "),
       "step Last: {{client-metadata}} is computed"},
  };
  for (const auto& [text, words] : cases) {
    std::string said;
    try {
      said = refusal(text);
    } catch (const InputError& error) {
      said = std::string("the loader: ") + error.what();
    }
    EXPECT_THAT(said, AllOf(HasSubstr(words), HasSubstr("which no run can do yet")));
  }
}

TEST(FlowBound, TheSuiteOfSealedAnswersIsOne) {
  RoomConfig other = room();
  other.providers[0].tls.suite = &tls::chacha20_poly1305_sha256();
  EXPECT_THROW(require_bound(other, load(kFlow), {{"who", "x"}}), InputError);
}

TEST(FlowBound, TheHostIsOneOfTheProvider) {
  RoomConfig other = room();
  other.providers[0].hosts = {"elsewhere.example"};
  EXPECT_THROW(require_bound(other, load(kFlow), {{"who", "x"}}), InputError);
}

TEST(FlowBound, ShippedFilesAreRefusedByTheFirstStepThatIsNotBound) {
  const std::filesystem::path folder = std::filesystem::path(FLEXROOM_SOURCE_DIR) / "share/flows";
  for (const char* const name :
       {"create-account", "create-session", "buy-card", "enrol-totp", "support-mail"}) {
    const flow::Flow flow = flow::load_flow(folder / (std::string(name) + ".toml"), view());
    EXPECT_THROW(require_bound(room(), flow, {}), InputError) << name;
  }
  for (const char* const name :
       {"run-script-classic", "quota-increase", "quota-state", "drop-totp"}) {
    const flow::Flow flow = flow::load_flow(folder / (std::string(name) + ".toml"), view());
    EXPECT_NO_THROW(require_bound(room(), flow, {})) << name;
  }
}

// A session token may stand in a signed header (tls-in-mpc.md §6.2).
TEST(FlowBound, ASignedHeaderTakesAToken) {
  const auto text_with = [](const std::string& char_class) {
    return replaced(kFlow, "hosts = [\"site.flexroom.example\"]",
                    "hosts = [\"site.flexroom.example\", \"sts.amazonaws.com\"]\n"
                    "key = \"keys\"") +
           "[step.keep.\"run/token\"]\nat = \"json /token\"\nclass = \"" + char_class +
           "\"\nlength = 24\nentropy = 128\npurposes = [\"GET https://sts.amazonaws.com/ "
           "header x-amz-security-token: {{}}\"]\n\n[[step]]\nname = \"Signed\"\n"
           "sign = \"sts us-east-1\"\nrequest = \"\"\"\nGET /?Action=GetCallerIdentity&"
           "Version=2011-06-15 HTTP/1.1\nHost: sts.amazonaws.com\n"
           "X-Amz-Security-Token: {{run/token}}\n\"\"\"\n";
  };
  const auto signed_with = [&](const std::string& c) { return refusal(text_with(c)); };
  EXPECT_EQ(signed_with("base64"), "");
  EXPECT_EQ(signed_with("cookie"), "");
  // A JWE is no secret as it is: it would be signed otherwise than it is sent.
  flow::Flow flow = load(text_with("base64"));
  auto& slots = const_cast<flow::Step*>(flow.step("Signed"))->slots;
  ASSERT_EQ(slots.size(), 1u);
  slots[0].function = "jwe RSA-OAEP-256 A256GCM";
  try {
    require_bound(room(), flow, {});
    ADD_FAILURE() << "accepted";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("stands in a signed header"));
  }
}

// §5.8: members that use other versions, or the same one in another slot, have other requests.
TEST(FlowPolicyTest, ARequestIsBoundToTheSharingsInItsSlots) {
  const flow::Flow flow = load(kFlow);
  const std::map<std::string, std::string> none;
  const flow::StepCall call{
      flow, *flow.step("Open"), std::string(26, 'a'), 1, "", "", none, 0, {}, {}, {}};
  const auto policy = [&](const std::string& slot, uint32_t version, uint8_t tag) {
    std::map<std::string, flow::StoredValue> secrets;
    secrets[slot].meta.version = version;
    secrets[slot].meta.tag[0] = tag;
    return step_policy(call, Digest{}, secrets);
  };
  const Digest one = policy("s", 1, 1);
  EXPECT_EQ(one, policy("s", 1, 1));
  const std::set<Digest> all = {one, policy("t", 1, 1), policy("s", 2, 1), policy("s", 1, 2),
                                step_policy(call, Digest{}, {})};
  EXPECT_EQ(all.size(), 5u);
}

// And to the sharing that signs: a key of another version makes another request.
TEST(FlowPolicyTest, ARequestIsBoundToTheKeyThatSigns) {
  const flow::Flow flow = load(
      "[flow]\nname = \"who\"\nprovider = \"sandbox\"\nprefix = \"box\"\n"
      "hosts = [\"sts.amazonaws.com\"]\nkey = \"keys\"\n[[step]]\nname = \"Get\"\n"
      "sign = \"sts us-east-1\"\nrequest = \"\"\"\nGET /?Action=GetCallerIdentity&"
      "Version=2011-06-15 HTTP/1.1\nHost: sts.amazonaws.com\n\"\"\"\n");
  const std::map<std::string, std::string> none;
  std::optional<flow::ValueMeta> key;
  const auto value = [&key](std::string_view name) {
    std::optional<flow::StoredValue> out;
    if (name != "keys/secret" || !key) return out;
    out.emplace().meta = *key;
    return out;
  };
  const flow::StepCall call{
      flow, *flow.step("Get"), std::string(26, 'a'), 1, "", "", none, 0, value, {}, {}};
  EXPECT_THROW((void)step_policy(call, Digest{}, {}), InputError);
  key.emplace();
  std::set<Digest> all = {step_policy(call, Digest{}, {})};
  key->version = 2;
  all.insert(step_policy(call, Digest{}, {}));
  key->tag[0] = 1;
  all.insert(step_policy(call, Digest{}, {}));
  EXPECT_EQ(all.size(), 3u);
}

// Nothing that was learnt behind a release is thrown away; nothing of a sealed answer is written.
TEST(FlowLearntTest, AnOpenAnswerThatIsNotCommittedIsKeptWholeOrInPart) {
  agent::Reply reply;
  reply.response.status = 201;
  reply.response.reason = "Created";
  reply.response.headers = {{"Content-Type", "text/plain"}};
  reply.response.body = to_bytes("case 7");
  EXPECT_TRUE(learnt_of(reply).received.empty());  // all confirmed it
  reply.unconfirmed = "b is gone";
  EXPECT_EQ(to_text(learnt_of(reply).received),
            "HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\n\r\ncase 7");
  reply.unknown_outcome = "the connection ended";
  reply.partial.received = to_bytes("HTTP/1.1 20");
  EXPECT_EQ(to_text(learnt_of(reply).received), "HTTP/1.1 20");
  reply.sealed = std::make_shared<SealedReply>();
  EXPECT_TRUE(learnt_of(reply).received.empty());
}

TEST(FlowLearntTest, ASealedAnswerThatIsNoneSaysWhy) {
  SealedReply reply;
  reply.unknown = true;
  reply.failure = "truncated";
  const flow::Flow flow = load(kFlow);
  const flow::StepAnswer answer =
      sealed_answer(*flow.step("Open"), std::move(reply),
                    [](auto) -> std::map<std::string, flow::NewSecret> { return {}; });
  EXPECT_EQ(answer.status, 0);
  EXPECT_EQ(answer.reason, "truncated");
}

}  // namespace
}  // namespace flexroom::room
