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
namespace open_call_test {

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
    meta.provider = "sandbox";
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
  EXPECT_EQ(ask.slots[0].position.exact, "header authorization: Bearer {{}}");
  EXPECT_EQ(to_text(ask.text()).substr(ask.slots[0].offset - 7, 7), "Bearer ");

  const OpenCall privately = fill_recipe(recipe(example("ask-model-privately.toml")), {}, kDate);
  ASSERT_EQ(privately.slots.size(), 2u);
  EXPECT_EQ(privately.slots[1].position.exact, "json /messages/0/content={{}}");
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
  EXPECT_THAT(check(text, {}), HasSubstr("usable nowhere"));
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

// B4: the trust roots follow the provider, and the secret does too.
TEST_F(OpenCallTest, ASecretGoesToHostsOfItsOwnProviderOnly) {
  const std::vector<std::string> right = {purpose("header authorization: Bearer {{}}")};
  RoomConfig room;
  room.providers.resize(2);
  room.providers[0].name = "sandbox";
  room.providers[0].hosts = {"*.flexroom.example"};
  room.providers[0].open_calls = {std::string(kAddress) + " header authorization"};
  room.providers[1] = room.providers[0];
  room.providers[1].name = "evil";
  room.providers[1].hosts = {"evil.example"};
  const auto check = [&](const std::string& text, store::RecordMeta secret) {
    return problem_of([&] {
      (void)check_rules(fill_recipe(recipe(text), {}, kDate), room,
                        [&](const std::string&) { return secret; });
    });
  };
  const std::string text = example("ask-model.toml");
  EXPECT_EQ(check(text, token(right)), "no error");
  store::RecordMeta other = token(right);
  other.provider = "evil";
  EXPECT_THAT(check(text, other), HasSubstr("of provider 'evil' at provider 'sandbox'"));
  other.provider = "";
  EXPECT_THAT(check(text, other), HasSubstr("belongs to no provider"));
  // The recipe of a member who owns the roots of another entry.
  const std::string theirs = replaced(text, "provider = \"sandbox\"", "provider = \"evil\"");
  EXPECT_THAT(check(theirs, token(right)),
              HasSubstr("belongs to provider 'sandbox', not to 'evil'"));
  room.providers[0].hosts = {"api.flexroom.example"};
  EXPECT_THAT(check(text, token(right)), HasSubstr("does not list the host"));
}

// Attack 59: what signing opens lets anybody try a guess.
TEST_F(OpenCallTest, OnlyASecretThatCannotBeGuessedSigns) {
  store::RecordMeta key;
  key.name = "joint/key";
  key.value_class = "b64";
  key.bits = 8 * 40;
  key.provider = "aws";
  key.entropy = 238;
  key.purposes = {"sigv4 ec2 us-east-1"};
  const auto signs = [&](const store::RecordMeta& meta) {
    return problem_of([&] { check_signing_secret(meta, "ec2", "us-east-1"); });
  };
  const auto terms = [&](const store::RecordMeta& meta) {
    return problem_of([&] {
      check_secret_terms(
          meta, [](std::string_view host) { return host == "ec2.us-east-1.amazonaws.com"; }, "k");
    });
  };
  EXPECT_EQ(signs(key), "no error");
  EXPECT_EQ(terms(key), "no error");
  store::RecordMeta pin = key;  // read by a member in 3.6 s once
  pin.value_class = "digits";
  pin.bits = 8 * 4;
  pin.entropy = 13;
  EXPECT_THAT(signs(pin), HasSubstr("claims 13 bits"));
  EXPECT_THAT(terms(pin), HasSubstr("claims 13 bits"));
  pin.entropy = 128;  // a claim that cannot be true
  EXPECT_THAT(terms(pin), HasSubstr("hold 13 at most"));
  store::RecordMeta none = key;
  none.purposes.clear();
  EXPECT_THAT(signs(none), HasSubstr("usable nowhere"));
  none.purposes = {"sigv4 sts us-east-1", "sigv4 ec2 eu-west-1", "POST https://a.example/ body"};
  EXPECT_THAT(signs(none), HasSubstr("none of its purposes"));
  // 64 bytes ended both processes once.
  for (const uint32_t bytes : {61u, 64u, 4096u}) {
    store::RecordMeta longer = key;
    longer.bits = 8 * bytes;
    EXPECT_THAT(signs(longer), HasSubstr("1 to 60")) << bytes;
    EXPECT_THAT(terms(longer), HasSubstr("1 to 60")) << bytes;
  }
  store::RecordMeta elsewhere = key;
  elsewhere.purposes = {"sigv4 ec2 us-west-2"};
  EXPECT_THAT(terms(elsewhere), HasSubstr("none of provider 'aws'"));
  // Nor does another one's host open the key that a secret leaves encrypted under.
  const std::string jwe =
      "POST https://ec2.us-east-1.amazonaws.com/x json /p={{}} as jwe RSA-OAEP A128GCM";
  elsewhere.purposes = {jwe};
  EXPECT_EQ(terms(elsewhere), "no error");
  elsewhere.purposes = {jwe + " key b.example"};
  EXPECT_THAT(terms(elsewhere), HasSubstr("at host 'b.example', which is none of provider 'aws'"));
  elsewhere = key;
  elsewhere.provider = "";
  EXPECT_THAT(terms(elsewhere), HasSubstr("names no provider"));
}

// B5: METHOD and URL opened every action and field once.
// A key of codes stands nowhere itself, also where " as totp" is text behind the slot; it makes
// codes only where its purpose says, with 128 bits of entropy (§3.4(i)).
TEST_F(OpenCallTest, AKeyOfOneTimeCodesMakesCodesOnly) {
  const std::string text = replaced(
      replaced(example("ask-model.toml"), "source = \"secret\"\nsecret = \"joint/model-token\"",
               "source = \"totp\"\nsecret = \"joint/seed\"\nkey_length = 20"),
      "class = \"urlsafe\"\nlength = 48\n", "");
  const std::string right = purpose("header authorization: Bearer {{}} as totp");
  store::RecordMeta seed = token({right});
  seed.name = "joint/seed";
  seed.value_class = "raw";
  seed.bits = 160;
  seed.entropy = 160;
  const auto check = [&](const std::string& recipe_text, const store::RecordMeta& meta) {
    return problem_of([&] {
      const OpenCall call = fill_recipe(recipe(recipe_text), {}, kDate);
      check_secret_slot(call, call.slots.at(0), meta);
    });
  };
  EXPECT_EQ(check(text, seed), "no error");
  store::RecordMeta other = seed;
  other.purposes = {purpose("header authorization: Bearer {{}}")};
  EXPECT_THAT(check(text, other), HasSubstr("none of its purposes"));
  other = seed;
  other.entropy = 127;
  EXPECT_THAT(check(text, other), HasSubstr("an open answer needs 128"));
  EXPECT_THAT(check(replaced(text, "key_length = 20", "key_length = 32"), seed),
              HasSubstr("has key_length 32"));
  EXPECT_THAT(check(replaced(text, "key_length = 20", "key_length = 65"), seed),
              HasSubstr("key_length"));
  // The key itself, with the words of its purpose behind it.
  const std::string stolen = replaced(
      replaced(replaced(example("ask-model.toml"), "Bearer {{token}}", "Bearer {{token}} as totp"),
               "class = \"urlsafe\"", "class = \"hex\""),
      "length = 48", "length = 20");
  seed.value_class = "hex";
  EXPECT_THAT(check(stolen, seed), HasSubstr("none of its purposes"));
}

TEST_F(OpenCallTest, OpenCallsAreKeyedByPositionAndAction) {
  Provider provider;
  provider.name = "models";
  const std::string text = example("ask-model-privately.toml");
  const OpenCall call = fill_recipe(recipe(text), {}, kDate);
  const auto check = [&](const OpenCall& one) {
    return problem_of([&] { check_open_call(one, provider); });
  };
  EXPECT_THAT(check(call), ::testing::AllOf(HasSubstr(kAddress), HasSubstr("[provider.models]")));
  provider.open_calls = {
      std::string("GET https://llm.flexroom.example/v1/chat/completions header "
                  "authorization"),
      std::string("POST https://llm.flexroom.example/v1/chat header authorization"),
      std::string(kAddress) + " header x-note"};
  EXPECT_THAT(check(call), HasSubstr("header authorization"));
  provider.open_calls.push_back(std::string(kAddress) + " header authorization");
  EXPECT_THAT(check(call), HasSubstr("json /messages/0/content"));
  // Its owner may let the question be read.
  const OpenCall echoed = fill_recipe(
      recipe(replaced(text, "fill = \" \"", "fill = \" \"\necho_ok = true")), {}, kDate);
  EXPECT_EQ(check(echoed), "no error");
  provider.open_calls.push_back(std::string(kAddress) + " json /messages/0/content");
  EXPECT_EQ(check(call), "no error");
  // Nobody but a member can say so of its own value.
  EXPECT_THAT(problem_of([&] {
                (void)recipe(replaced(text, "length = 48", "length = 48\necho_ok = true"));
              }),
              HasSubstr("echo_ok"));
  provider.open_calls = {std::string(kAddress)};
  EXPECT_THAT(check(call), HasSubstr("names no call and position"));
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
        problem_of([&] { out = fill_recipe(recipe(text), {}, kDate).slots.at(0).position.exact; });
    return problem == "no error" ? out : "refused";
  };
  EXPECT_EQ(positions("/v1", "a=1&key={{key}}&b=2"), "form key={{}}");
  EXPECT_EQ(positions("/v1?a=1&key=x{{key}}", "b=2"), "query key=x{{}}");
  EXPECT_EQ(positions("/v1", "key=1&key={{key}}"), "refused");
  EXPECT_EQ(positions("/v1", "Key=1&key={{key}}"), "refused");
  EXPECT_EQ(positions("/v1", "k%65y=1&key={{key}}"), "refused");
  EXPECT_EQ(positions("/v1?key=1&key={{key}}", "b=2"), "refused");
}

TEST_F(OpenCallTest, PurposesAreWrittenInOneWay) {
  const auto check = [](const std::string& text) {
    return problem_of([&] { (void)parse_purpose(text, "k.json"); });
  };
  for (const char* good :
       {"POST https://api.example.com/v1/chat header authorization: Bearer {{}}",
        "GET https://api.example.com/ query key={{}}", "PUT https://a.example/x form f={{}}",
        "POST https://a.example/x json /a/0/b={{}}", "POST https://a.example/x body",
        "sigv4 ec2 us-east-1", "sigv4 iam us-east-1", "sigv4 s3 eu-west-1",
        "POST https://a.example/totp json /code={{}} as totp",
        "POST https://a.example/x json /code={{}} as totp next",
        "POST https://a.example/x json /p={{}} as jwe RSA-OAEP-256 A256GCM",
        "POST https://a.example/x json /p={{}} as jwe RSA-OAEP A128GCM key b.example"}) {
    EXPECT_EQ(check(good), "no error") << good;
  }
  for (const char* bad : {"",
                          "POST",
                          "POST https://a.example/x",
                          "BREW https://a.example/x body",
                          "POST http://a.example/x body",
                          "POST https://a.example/x?q=1 body",
                          "POST https://A.example/x body",
                          "POST https://a.example/x header h: v",
                          "POST https://a.example/x header {{}}: {{}}",
                          "POST https://a.example/x cookie c={{}}",
                          "POST https://a.example/x header h: {{}}\r\nx: y",
                          "POST https://a.example/x  body",
                          "POST https://a.example/%41 body",
                          "sigv4",
                          "sigv4 ec2",
                          "sigv4 ec2 us-east-1 more",
                          "sigv4 nothing us-east-1",
                          "sigv4 ec2 US",
                          "sigv4 iam eu-west-1",
                          "hmac-sha256",
                          "totp x",
                          "totp",
                          "POST https://a.example/x json /code as totp",
                          "sigv4  ec2 us-east-1"}) {
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

// What nobody reads may hold a secret: of a sealed answer any action, and signed secrets, whose
// hash then stays inside (tls-in-mpc.md §4.6 R2-3, §6.2).
TEST(SealedCall, MayMakeAnyActionAndSignSecrets) {
  http::Slot token;
  token.name = token.from = "token";
  token.char_class = http::CharClass::kB64;
  token.length = 100;
  const auto request = [&](const std::string& more, const std::string& names) {
    std::vector<http::Slot> slots = {signature_slot()};
    if (!more.empty()) slots.insert(slots.begin(), token);
    return http::template_from_text(
        "iam.amazonaws.com", 443,
        "POST / HTTP/1.1\nHost: iam.amazonaws.com\n"
        "Content-Type: application/x-www-form-urlencoded\nX-Amz-Date: 20250902T100000Z\n" +
            more +
            "Authorization: AWS4-HMAC-SHA256 "
            "Credential=AKIAEXAMPLE/20250902/us-east-1/iam/aws4_request, "
            "SignedHeaders=content-type;host;x-amz-date" +
            names +
            ", Signature={{signature}}\nContent-Length: {{content-length}}\n\n"
            "Action=CreateAccessKey&Version=2010-05-08",
        std::move(slots));
  };
  CallTerms terms;
  terms.place = "step CreateKey";
  terms.provider = "sandbox";
  terms.sign = Recipe::Sign{"keys/secret", "us-east-1", "iam"};
  EXPECT_THAT(problem_of([&] { (void)make_call(request("", ""), terms); }),
              HasSubstr("not on the list of actions whose answer may be open"));
  terms.sealed = true;
  EXPECT_FALSE(make_call(request("", ""), terms).signs_secrets);
  const std::string header = "X-Amz-Security-Token: {{token}}\n";
  EXPECT_TRUE(make_call(request(header, ";x-amz-security-token"), terms).signs_secrets);
  terms.sealed = false;
  EXPECT_THAT(problem_of([&] { (void)make_call(request(header, ";x-amz-security-token"), terms); }),
              HasSubstr("has 'x-amz-security-token' in its header"));
  terms.sealed = true;
  EXPECT_THAT(
      problem_of([&] { (void)make_call(request("SecurityToken: {{token}}\n", ""), terms); }),
      HasSubstr("has 'securitytoken' in its header"));
  // To the service's own host only, sealed or not.
  terms.sign->service = "sts";
  EXPECT_THAT(problem_of([&] { (void)make_call(request("", ""), terms); }),
              HasSubstr("does not belong"));
}

}  // namespace open_call_test
}  // namespace flexroom
