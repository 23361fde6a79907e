#include "call/open_call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "base/error.h"
#include "call/call_inputs.h"
#include "call/purpose.h"

// Calls with secret and private slots: where a secret may stand, which calls may have an open
// answer, what a member may hand in.

namespace flexroom {
namespace {

using ::testing::HasSubstr;

constexpr const char* kDate = "20260102T030405Z";
constexpr const char* kAddress = "POST https://llm.flexroom.example/v1/chat/completions";

std::string problem_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const InputError& error) {
    return std::string(error.what());
  }
  return "no error";
}

class OpenCallTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) /
              ("open-call-" +
               std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& name, const std::string& text,
                              mode_t mode = 0600) {
    const std::filesystem::path path = folder_ / name;
    std::ofstream(path, std::ios::binary) << text;
    ::chmod(path.c_str(), mode);
    return path;
  }
  Recipe recipe(const std::string& text) { return Recipe::load(write("recipe.toml", text)); }
  static std::string example(const std::string& name) {
    std::ifstream in(std::string(FLEXROOM_SOURCE_DIR) + "/examples/recipes/" + name);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  static std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  }
  static store::RecordMeta token(std::vector<std::string> purposes) {
    store::RecordMeta meta;
    meta.name = "joint/model-token";
    meta.value_class = "urlsafe";
    meta.bits = 8 * 48;
    meta.purposes = std::move(purposes);
    return meta;
  }
  static std::string purpose(const std::string& position) {
    return std::string(kAddress) + " " + position;
  }
  std::filesystem::path folder_;
};

TEST_F(OpenCallTest, TheExamplesPlaceTheirSlots) {
  const OpenCall ask = fill_recipe(recipe(example("ask-model.toml")), {}, kDate);
  ASSERT_EQ(ask.slots.size(), 1u);
  EXPECT_EQ(ask.address, kAddress);
  EXPECT_EQ(ask.slots[0].position, "header authorization: Bearer {{}}");
  EXPECT_EQ(to_text(ask.text()).substr(ask.slots[0].offset - 7, 7), "Bearer ");

  const OpenCall privately = fill_recipe(recipe(example("ask-model-privately.toml")), {}, kDate);
  ASSERT_EQ(privately.slots.size(), 2u);
  EXPECT_EQ(privately.slots[1].position, "json /messages/0/content={{}}");
  EXPECT_EQ(privately.slots[1].slot.from, "hospital-a");
}

// Attack 29: the same token in another field, path or host is another purpose.
TEST_F(OpenCallTest, ASecretStandsOnlyWhereItsPurposeSays) {
  const std::string text = example("ask-model.toml");
  const auto check = [&](const std::string& changed, const std::vector<std::string>& purposes) {
    return problem_of([&] {
      const OpenCall call = fill_recipe(recipe(changed), {}, kDate);
      check_secret_slot(call, call.slots.at(0), token(purposes));
    });
  };
  const std::vector<std::string> right = {purpose("header authorization: Bearer {{}}")};
  EXPECT_EQ(check(text, right), "no error");
  EXPECT_THAT(check(text, {}), HasSubstr("signatures only"));
  EXPECT_THAT(check(text, {purpose("header authorization: {{}}")}), HasSubstr("purposes"));
  EXPECT_THAT(check(replaced(text, "POST /v1/chat/completions", "POST /v1/echo"), right),
              HasSubstr("none of its purposes"));
  EXPECT_THAT(check(replaced(text, "POST /v1/chat", "PUT /v1/chat"), right),
              HasSubstr("none of its purposes"));
  EXPECT_THAT(check(replaced(text, "Authorization: Bearer", "X-Note: Bearer"), right),
              HasSubstr("none of its purposes"));
  std::string elsewhere = replaced(text, "host = \"llm.", "host = \"log.");
  elsewhere = replaced(elsewhere, "Host: llm.", "Host: log.");
  EXPECT_THAT(check(elsewhere, right), HasSubstr("none of its purposes"));
  // In the text that the service is asked to repeat.
  std::string readable = replaced(text, "Authorization: Bearer {{token}}\n", "");
  readable = replaced(readable, "How many words is this?", "{{token}}");
  EXPECT_THAT(check(readable, right), HasSubstr("none of its purposes"));
}

TEST_F(OpenCallTest, LengthAndClassOfASecretAreThoseOfItsSlot) {
  const OpenCall call = fill_recipe(recipe(example("ask-model.toml")), {}, kDate);
  const std::vector<std::string> right = {purpose("header authorization: Bearer {{}}")};
  const auto check = [&](store::RecordMeta meta) {
    return problem_of([&] { check_secret_slot(call, call.slots.at(0), meta); });
  };
  store::RecordMeta meta = token(right);
  meta.value_class = "hex";  // inside urlsafe
  EXPECT_EQ(check(meta), "no error");
  for (const char* wider : {"raw", "b64", "json-safe", "no-class"}) {
    meta.value_class = wider;
    EXPECT_THAT(check(meta), HasSubstr("was stored as class")) << wider;
  }
  meta = token(right);
  meta.bits = 8 * 47;
  EXPECT_THAT(check(meta), HasSubstr("47 bytes"));
}

TEST_F(OpenCallTest, AKeyWithPurposesSignsNothing) {
  EXPECT_EQ(problem_of([] { check_signing_secret(token({})); }), "no error");
  EXPECT_THAT(problem_of([] { check_signing_secret(token({"GET https://a.example/ body"})); }),
              HasSubstr("signs nothing"));
}

TEST_F(OpenCallTest, CallsWithSlotsNeedTheListOfTheProvider) {
  Provider provider;
  provider.name = "models";
  const OpenCall call = fill_recipe(recipe(example("ask-model.toml")), {}, kDate);
  EXPECT_THAT(problem_of([&] { check_open_call(call, provider); }),
              ::testing::AllOf(HasSubstr(kAddress), HasSubstr("[provider.models]")));
  provider.open_calls = {"GET https://llm.flexroom.example/v1/chat/completions",
                         "POST https://llm.flexroom.example/v1/chat"};
  EXPECT_THAT(problem_of([&] { check_open_call(call, provider); }), HasSubstr("does not list"));
  provider.open_calls.emplace_back(kAddress);
  EXPECT_EQ(problem_of([&] { check_open_call(call, provider); }), "no error");
}

TEST_F(OpenCallTest, PositionsThatCannotBeToldAreRefused) {
  const std::string text = example("ask-model-privately.toml");
  const auto refusal = [&](const std::string& from, const std::string& to) {
    return problem_of([&] { (void)fill_recipe(recipe(replaced(text, from, to)), {}, kDate); });
  };
  EXPECT_THAT(refusal("\"role\": \"user\"", "\"content\": \"user\""), HasSubstr("occurs twice"));
  EXPECT_THAT(refusal("{\"model\"", "{'model'"), HasSubstr("not JSON"));
  // Outside a string a value could be any JSON.
  EXPECT_NE(refusal("\"{{question}}\"", "{{question}}"), "no error");
  // In a name.
  EXPECT_NE(refusal("\"content\": \"{{question}}\"", "\"{{question}}\": \"content\""), "no error");
  // A class whose bytes can end the string.
  EXPECT_NE(refusal("class = \"json-safe\"", "class = \"raw\""), "no error");
}

TEST_F(OpenCallTest, FieldsOfAFormAndOfAQueryAreNamedPlainlyAndOnce) {
  const auto positions = [&](const std::string& target, const std::string& body) {
    const std::string text = R"([recipe]
name = "form"
provider = "p"
host = "api.example.com"
open = "everything to all"
request = """
POST )" + target + R"( HTTP/1.1
Host: api.example.com
Content-Type: application/x-www-form-urlencoded
Connection: close
Content-Length: {{content-length}}

)" + body + R"("""

[slot.key]
source = "secret"
secret = "k"
class = "urlsafe"
length = 8
)";
    std::string out;
    const std::string problem =
        problem_of([&] { out = fill_recipe(recipe(text), {}, kDate).slots.at(0).position; });
    return problem == "no error" ? out : "refused";
  };
  EXPECT_EQ(positions("/v1", "a=1&key={{key}}&b=2"), "form key={{}}");
  EXPECT_EQ(positions("/v1?a=1&key=x{{key}}", "b=2"), "query key=x{{}}");
  EXPECT_EQ(positions("/v1", "key=1&key={{key}}"), "refused");
  EXPECT_EQ(positions("/v1", "k%65y=1&key={{key}}"), "refused");
  EXPECT_EQ(positions("/v1?key=1&key={{key}}", "b=2"), "refused");
}

TEST_F(OpenCallTest, PurposesAreWrittenInOneWay) {
  const auto check = [](const std::string& text) {
    return problem_of([&] { check_purpose(text, "k.json"); });
  };
  for (const char* good :
       {"POST https://api.example.com/v1/chat header authorization: Bearer {{}}",
        "GET https://api.example.com/ query key={{}}", "PUT https://a.example/x form f={{}}",
        "POST https://a.example/x json /a/0/b={{}}", "POST https://a.example/x body"}) {
    EXPECT_EQ(check(good), "no error") << good;
  }
  for (const char* bad :
       {"", "POST", "POST https://a.example/x", "BREW https://a.example/x body",
        "POST http://a.example/x body", "POST https://a.example/x?q=1 body",
        "POST https://A.example/x body", "POST https://a.example/x header h: v",
        "POST https://a.example/x header {{}}: {{}}", "POST https://a.example/x cookie c={{}}",
        "POST https://a.example/x header h: {{}}\r\nx: y", "POST https://a.example/x  body"}) {
    EXPECT_NE(check(bad), "no error") << bad;
  }
}

TEST_F(OpenCallTest, SignedBodiesWithSlotsHideTheirHash) {
  const auto with_body = [&](const std::string& body) {
    const std::string text = replaced(
        replaced(example("who-am-i.toml"), "Action=GetCallerIdentity&Version=2011-06-15", body),
        "[argument.access-key-id]", R"([argument.access-key-id]
default = "AKIAEXAMPLE"

[slot.note]
source = "member"
member = "m0"
class = "urlsafe"
length = 8

[slot.nonce]
source = "random"
)");
    return problem_of([&] {
      const OpenCall call = fill_recipe(recipe(text), {}, kDate);
      EXPECT_TRUE(call.hidden_body_at.has_value());
    });
  };
  const std::string action = "Action=GetCallerIdentity&Version=2011-06-15";
  EXPECT_EQ(with_body(action + "&Token={{nonce}}&Note={{note}}"), "no error");
  // The nonce too late: a block with the note alone could be guessed.
  EXPECT_THAT(with_body(action + "&Note={{note}}&Pad=" + std::string(64, 'x') + "&T={{nonce}}"),
              HasSubstr("would tell"));
}

TEST_F(OpenCallTest, SlotsInTheHeadOfASignedRequestAreRefused) {
  const std::string text =
      replaced(example("who-am-i.toml"), "Connection: close",
               "X-Note: {{note}}\nConnection: close") +
      "default = \"AKIAEXAMPLE\"\n[slot.note]\nsource = \"secret\"\nsecret = \"s\"\nclass = "
      "\"hex\"\nlength = 8\n";
  EXPECT_THAT(problem_of([&] { (void)fill_recipe(recipe(text), {}, kDate); }),
              HasSubstr("head of a signed request"));
}

TEST_F(OpenCallTest, MistakesNameLineAndColumn) {
  const std::string text = example("ask-model.toml");
  const auto problem = [&](const std::string& from, const std::string& to) {
    return problem_of([&] { (void)fill_recipe(recipe(replaced(text, from, to)), {}, kDate); });
  };
  EXPECT_THAT(problem("source = \"secret\"", "source = \"thin air\""),
              HasSubstr("none of secret, member, random"));
  EXPECT_THAT(problem("class = \"urlsafe\"", "class = \"anything\""), HasSubstr("recipe.toml:"));
  EXPECT_THAT(problem("length = 48", "length = 0"), HasSubstr("recipe.toml:"));
  EXPECT_THAT(problem("[slot.token]", "[slot.signature]"), HasSubstr("no free name"));
  EXPECT_THAT(problem("{{token}}", "{{tokens}}"), HasSubstr("recipe.toml:"));
  EXPECT_THAT(problem("length = 48", "length = 48\nencoding = \"rot13\""), HasSubstr("base64"));
  EXPECT_THAT(problem("length = 48", "length = 48\nfill = \" \""), HasSubstr("fill"));
}

TEST_F(OpenCallTest, PrivateValuesComeFromAPrivateFile) {
  const Recipe asked = recipe(example("ask-model-privately.toml"));
  const auto load = [&](const std::string& text, mode_t mode = 0600) {
    std::map<std::string, SecretBytes> out;
    const std::filesystem::path file = write("inputs.json", text, mode);
    return problem_of([&] { out = load_call_inputs(asked, "hospital-a", file); });
  };
  const auto values = load_call_inputs(asked, "hospital-a",
                                       write("inputs.json", R"({"question": "Is this one?"})"));
  ASSERT_EQ(values.size(), 1u);
  const std::string value = to_text(values.at("question").reveal());
  EXPECT_EQ(value, "Is this one?" + std::string(200 - 12, ' '));
  EXPECT_TRUE(load_call_inputs(asked, "hospital-b", std::nullopt).empty());

  EXPECT_THAT(load(R"({"question": "x"})", 0644), HasSubstr("readable by other users"));
  EXPECT_THAT(load("no json"), HasSubstr("inputs.json:1:"));
  EXPECT_THAT(load("{}"), HasSubstr("question"));
  EXPECT_THAT(load(R"({"question": "x", "more": "y"})"), HasSubstr("does not ask"));
  EXPECT_THAT(load("{\"question\": \"" + std::string(201, 'x') + "\"}"), HasSubstr("at most"));
  // What would end the JSON string is refused here, before anybody is asked; and in MPC again.
  EXPECT_THAT(load(R"({"question": "secretive\" , \"x"})"), HasSubstr("outside class"));
  EXPECT_EQ(load(R"({"question": "secretive\" , \"x"})").find("secretive"), std::string::npos);
  EXPECT_THAT(problem_of([&] { (void)load_call_inputs(asked, "hospital-a", std::nullopt); }),
              HasSubstr("--inputs"));
}

}  // namespace
}  // namespace flexroom
