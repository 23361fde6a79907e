#include "agreement/render.h"
#include "flow_fixture.h"
#include "room/flow_engine.h"
#include "room/flow_proposal.h"

// Every kind of step that no run can do yet is refused by name, and what a release is bound to.

namespace flexroom::room {
namespace {

using agent::SealedReply;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(FlowBound, AStepThatARunCanDoIsLetThrough) { EXPECT_EQ(refusal(kFlow), ""); }

TEST(FlowBound, WhatNoRunCanDoIsRefusedByName) {
  const std::string step = "\n[[step]]\nname = \"Last\"\n";
  const std::string get =
      "request = \"\"\"\nGET /x HTTP/1.1\nHost: site.flexroom.example\n\"\"\"\n";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {kFlow + step + get +
           "sealed = false\nopen.\"run/n\" = { at = \"header x-n: {{}}\", class = "
           "\"digits\", max = 4 }\n",
       "step Last: `header x-n: {{}}` of an open answer"},
      {kFlow + step + get +
           "type = \"text/plain\"\nassert.1 = { at = 'pattern \"n\" digits \".\"', equals = \"1\" "
           "}\n",
       "step Last: `equals` of a pattern is not built"},
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

// operations.md (a) "Slots": each built-in name is counted as long as it is, so that a connection
// that is to carry the request has room for it.
TEST(FlowBound, TheLongestRequestHasRoomForBuiltInNames) {
  const auto longest = [](const std::string& name) {
    const flow::Flow flow =
        load(kFlow + "\n[[step]]\nname = \"Last\"\nrequest = \"\"\"\nGET /x?n=" + name +
             " HTTP/1.1\nHost: site.flexroom.example\n\"\"\"\n");
    return longest_request(room(), flow, *flow.step("Last"), {{"who", "m0"}});
  };
  const size_t bare = longest("x");
  EXPECT_EQ(longest("{{run}}"), bare + 25);
  EXPECT_EQ(longest("{{room}}"), bare + 25);
  EXPECT_EQ(longest("{{idempotency}}"), bare + 31);
}

// operations.md (e): of a page's key that not all members say, who does is shown.
TEST(FlowBound, APageKeyThatNotAllSayHasTheirNames) {
  const auto words = [](const flow::PageKey& key) {
    flow::Outlook outlook;
    outlook.page_keys["site.flexroom.example"] = key;
    const agreement::Proposal shown =
        flow_proposal(room(), load(kFlow), kFlow, {{"who", "m0"}}, outlook, nullptr, "");
    for (const auto& field : shown.fields) {
      if (field.name == "page key") return agreement::value_text(field);
    }
    return std::string();
  };
  flow::PageKey key;
  key.before = {"aa"};
  key.now = {"aa"};
  key.before_of["aa"] = key.now_of["aa"] = {"m0", "m1"};
  EXPECT_THAT(words(key), AllOf(HasSubstr("aa, as in earlier runs"), Not(HasSubstr("as m"))));
  key.before_of["aa"] = {"m1"};  // the other one remembers none
  EXPECT_THAT(words(key), HasSubstr("aa (as m1 has it)"));
  key.before = {"aa", "bb"};
  key.before_of["bb"] = {"m0"};
  key.now = {"cc"};
  key.now_of = {{"cc", {"m0"}}};
  EXPECT_THAT(words(key), AllOf(HasSubstr("ANOTHER ONE, cc (as m0 has it)"),
                                HasSubstr("aa (as m1 has it) and bb (as m0 has it)")));
}

TEST(FlowBound, WhoIsAskedIsAMember) {
  const std::string ask =
      "\n[[step]]\nname = \"Last\"\nask = \"{{who}}\"\nopen.\"run/said\" = { class = "
      "\"digits\", max = 4 }\n";
  EXPECT_THAT(refusal(kFlow + ask), HasSubstr("step Last: asks x, who is no member"));
  EXPECT_EQ(refusal(kFlow + ask, "m1"), "");
}

TEST(FlowBound, AnInputIsOfAMemberAndOfItsClass) {
  const auto with = [](const std::string& value_class) {
    return kFlow +
           "\n[[step]]\nname = \"Last\"\nrequest = \"\"\"\nPOST /x HTTP/1.1\nHost: "
           "site.flexroom.example\nContent-Type: application/json\n\n{\"a\": "
           "\"{{mine}}\"}\n\"\"\"\n"
           "on.unknown = \"stop\"\n[input.mine]\nfrom = \"{{who}}\"\nclass = \"" +
           value_class +
           "\"\nlength = 4\npurposes = [\"POST https://site.flexroom.example/x json /a={{}}\"]\n";
  };
  EXPECT_THAT(refusal(with("digits")), HasSubstr("mine is given by x, who is no member"));
  EXPECT_EQ(refusal(with("digits"), "m1"), "");
  EXPECT_EQ(refusal(with("jsonsafe"), "m1"), "");
  EXPECT_EQ(refusal(with("digits"), "room:box"), "");
  for (const char* const name : {"hex", "base32", "base64", "base64url", "urlsafe", "cookie",
                                 "jsonsafe", "xmltext", "digits", "shellurl"}) {
    const flow::Flow flow = load(with(name));
    flow::SlotUse use;
    use.name = "mine";
    const auto slot = input_of(flow, use, {{"who", "m1"}});
    ASSERT_TRUE(slot.has_value());
    EXPECT_EQ(slot->member, "m1");
    EXPECT_EQ(http::char_set(slot->char_class), flow::set_of(*flow::value_class_of(name))) << name;
  }
}

// A code of a member's own value would be computed of what nobody checked.
TEST(FlowBound, NothingIsComputedOfOneMembersInput) {
  const std::string text =
      kFlow +
      "\n[[step]]\nname = \"Last\"\nrequest = \"\"\"\nPOST /x HTTP/1.1\nHost: "
      "site.flexroom.example\nContent-Type: application/json\n\n{\"a\": "
      "\"{{mine as totp}}\"}\n\"\"\"\non.unknown = \"stop\"\n[input.mine]\nfrom = \"{{who}}\"\n"
      "class = \"base32\"\nlength = 20\n"
      "purposes = [\"POST https://site.flexroom.example/x json /a={{}} as totp\"]\n";
  EXPECT_THAT(refusal(text, "m1"), HasSubstr("is computed from an input of one member"));
  EXPECT_EQ(refusal(text, "room:box"), "");
}

// The host's entry says which (tls-in-mpc.md §4.7).
TEST(FlowBound, SealedAnswersComeUnderAnySuite) {
  RoomConfig other = room();
  other.providers[0].tls.suite = &tls::chacha20_poly1305_sha256();
  EXPECT_NO_THROW(require_bound(other, load(kFlow), {{"who", "x"}}));
}

TEST(FlowBound, TheHostIsOneOfTheProvider) {
  RoomConfig other = room();
  other.providers[0].hosts = {"elsewhere.example"};
  EXPECT_THROW(require_bound(other, load(kFlow), {{"who", "x"}}), InputError);
}

TEST(FlowBound, ShippedFilesAreRefusedByTheFirstStepThatIsNotBound) {
  const std::filesystem::path folder = std::filesystem::path(FLEXROOM_SOURCE_DIR) / "share/flows";
  const auto said = [&](const std::string& name) -> std::string {
    const flow::Flow flow = flow::load_flow(folder / (name + ".toml"), view());
    std::map<std::string, std::string> arguments;
    for (const auto& [argument, declared] : flow.arguments) {
      arguments[argument] = declared.fallback.value_or(argument == "value" ? "16" : "m0");
    }
    try {
      require_bound(room(), flow, arguments);
    } catch (const InputError& error) {
      return error.what();
    }
    return "";
  };
  for (const char* const name :
       {"enrol-totp", "run-script-classic", "quota-increase", "quota-state", "drop-totp",
        "buy-card", "buy-card-pdf", "support-case", "create-account", "create-session",
        "support-mail", "chat-key"}) {
    EXPECT_EQ(said(name), "") << name;
  }
  // Who reads the answer is a member by its name in the file.
  EXPECT_THAT(said("ask-chat"), HasSubstr("hospital-a"));
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

// Members that know other texts would pick other elements: they have other requests.
TEST(FlowPolicyTest, ARequestIsBoundToWhatIsExcluded) {
  const flow::Flow flow =
      load(kFlow +
           "\n[[step]]\nname = \"Last\"\nrequest = \"\"\"\nGET /x HTTP/1.1\nHost: "
           "site.flexroom.example\n\"\"\"\nitem = '/list/[id!=\"{{run/count}}\"]'\n"
           "open.\"n\" = { at = \"json item/id\", class = \"urlsafe\", max = 8 }\n");
  const std::map<std::string, std::string> none;
  std::set<Digest> all;
  for (const std::vector<std::string>& texts :
       {std::vector<std::string>{}, {"1"}, {"2"}, {"1", "2"}, {"12"}}) {
    const flow::StepCall call{flow,
                              *flow.step("Last"),
                              std::string(26, 'a'),
                              1,
                              "",
                              "",
                              none,
                              0,
                              {},
                              [&](std::string_view) { return texts; },
                              {}};
    all.insert(step_policy(call, Digest{}, {}));
  }
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
  const flow::StepAnswer answer = sealed_answer(
      *flow.step("Open"), std::move(reply),
      [](auto) -> std::map<std::string, flow::NewSecret> { return {}; },
      [](const std::string&, ByteView) { ADD_FAILURE(); });
  EXPECT_EQ(answer.status, 0);
  EXPECT_EQ(answer.reason, "truncated");
}

}  // namespace
}  // namespace flexroom::room
