#include <fmt/core.h>
#include <unistd.h>

#include <set>

#include "call/birth_list.h"
#include "flow/accounts.h"
#include "flow/run_state.h"
#include "flow_fixture.h"

// The shipped files lie below FLEXROOM_SOURCE_DIR (flow_fixture.h).

namespace flexroom::flow {
namespace {

constexpr std::string_view kEcho = R"([flow]
name = "echo"
provider = "sandbox"
prefix = "account"
hosts = ["shop.flexroom.example"]
[argument.guess]
[argument.owner]
[input.pin]
from = "{{owner}}"
class = "digits"
length = 4
purposes = ["POST https://shop.flexroom.example/echo json /pin={{}}"]
[[step]]
name = "Echo"
request = '''
POST /echo HTTP/1.1
Host: shop.flexroom.example
Content-Type: application/json

{"pin": "{{pin}}"}
'''
assert.guess = { at = "json /pin", equals = "{{guess}}" }
on.unknown = "again"
)";

std::string replaced(std::string text, const std::string& old_text, const std::string& new_text) {
  const size_t at = text.find(old_text);
  EXPECT_NE(at, std::string::npos) << old_text;
  return at == std::string::npos ? text : text.replace(at, old_text.size(), new_text);
}

std::string echo_refusal(const std::string& old_text, const std::string& new_text) {
  const std::string text = replaced(std::string(kEcho), old_text, new_text);
  return refusal_of([&] { (void)parse_flow(text, shipped("echo"), sandbox_room()); });
}

// §5.6: the bound of one run, computed from the file.
TEST(FlowLeaks, AreCountedFromTheFileAndMoreThanALifesAreRefused) {
  EXPECT_EQ(parse_flow(kEcho, shipped("echo"), sandbox_room()).leaks.at("pin"), 8u);
  EXPECT_NE(echo_refusal("on.unknown = \"again\"", "on.unknown = \"again x3\"")
                .find("one run could show 9 bits of pin"),
            std::string::npos);
  // A text of an opened value is one too, and `!=` is two.
  const std::string said = refusal_of([] {
    (void)edited(
        "create-session",
        {{"at = \"cookie console-creds\", class = \"cookie\", length = [16, 128], entropy = 128 }",
          "at = \"cookie console-creds\", class = \"cookie\", length = [16, 128] }"}});
  });
  EXPECT_NE(said.find("one run could show"), std::string::npos) << said;
}

TEST(FlowValues, TheNamesOfOtherFlowsBringTheirPurposesAndEntropy) {
  const Flow flow = load_shipped("create-session");
  KnownValues room;
  const Flow account = load_shipped("create-account");
  for (const auto& [name, birth] : account.born) {
    room[name] = {false, static_cast<uint32_t>(birth.bits), birth.value_class(), birth.purposes};
    room[name].provider = "sandbox";
  }
  room["account-id"] = {true, 0, ValueClass::kDigits, {}};
  EXPECT_TRUE(check_against(flow, room).empty());
  const auto said = [&](auto change) {
    KnownValues other = room;
    change(other);
    return refusal_of([&] { (void)check_against(flow, other); });
  };
  EXPECT_NE(said([](KnownValues& r) { r["mail/address"].purposes.clear(); })
                .find("mail/address has no purpose `POST https://signin.flexroom.example/email "
                      "json /email={{}}`"),
            std::string::npos);
  EXPECT_NE(said([](KnownValues& r) {
              r["account-id"].is_public = false;
            }).find("compared with a secret: account-id"),
            std::string::npos);
  EXPECT_NE(said([](KnownValues& r) {
              r["mail/address"].provider = "elsewhere";
            }).find("mail/address is kept for provider 'elsewhere', the flow is for 'sandbox'"),
            std::string::npos);
  // A password of 72 bits in a sign-in that compares with a text chosen at run time.
  EXPECT_NE(
      said([](KnownValues& r) { r["account/password"].entropy = 72; }).find("one run could show"),
      std::string::npos);
}

// operations.md (c) `uses`: they must exist, before anything is contacted; `may_use` may.
TEST(FlowValues, WhatAFileUsesIsThere) {
  const Flow flow = load_shipped("quota-increase");
  KnownValues room;
  room["keys/id"] = {true, 0, ValueClass::kUrlSafe, {}};
  EXPECT_NE(refusal_of([&] {
              (void)check_against(flow, room);
            }).find("uses keys/secret, which the room does not have"),
            std::string::npos);
}

// A value that the room has is replaced by one of the same terms, and never opened over.
TEST(FlowValues, WhatTheRoomHasIsNotOverwritten) {
  const auto parsed = [](const std::string& part) {
    return parse_flow(
        "[flow]\nname = \"x\"\nprovider = \"sandbox\"\nprefix = \"account\"\n"
        "hosts = [\"signin.flexroom.example\"]\n[[step]]\nname = \"Key\"\nrequest = '''\nGET /key "
        "HTTP/1.1\nHost: signin.flexroom.example\n'''\n" +
            part,
        "x.toml", sandbox_room());
  };
  const Flow opens = parsed(
      "open.\"account/password\" = { at = \"json /n\", class = \"base64url\", max = 683 }\n");
  const Flow keeps =
      parsed("keep.\"a/b\" = { at = \"json /n\", class = \"digits\", length = 6, entropy = 9 }\n");
  const auto said = [](const Flow& flow, const std::string& name, const KnownValue& value) {
    return refusal_of([&] { (void)check_against(flow, {{name, value}}); });
  };
  KnownValue value{false, 132, ValueClass::kUrlSafe, {}};
  EXPECT_NE(said(opens, "account/password", value).find("which is a secret of the room"),
            std::string::npos);
  value.is_public = true;
  EXPECT_EQ(said(opens, "account/password", value), "accepted");
  const KnownValue same{false, 9, ValueClass::kDigits, {}, false, 6, 6, "sandbox"};
  EXPECT_EQ(said(keeps, "a/b", same), "accepted");
  EXPECT_EQ(refusal_of([&] {
              check_step_against(keeps, {{"a/b", same}}, *keeps.step("Key"));
            }),
            "accepted");
  for (const KnownValue& other :
       {KnownValue{true, 9, ValueClass::kDigits, {}, false, 6, 6, "sandbox"},
        KnownValue{false, 8, ValueClass::kDigits, {}, false, 6, 6, "sandbox"},
        KnownValue{false, 9, ValueClass::kHex, {}, false, 6, 6, "sandbox"},
        KnownValue{false, 9, ValueClass::kDigits, {"sigv4 s3 r"}, false, 6, 6, "sandbox"},
        KnownValue{false, 9, ValueClass::kDigits, {}, false, 5, 6, "sandbox"},
        KnownValue{false, 9, ValueClass::kDigits, {}, false, 6, 7, "sandbox"}}) {
    EXPECT_NE(said(keeps, "a/b", other).find("another class, length, entropy or purposes"),
              std::string::npos);
  }
  KnownValue elsewhere = same;
  elsewhere.provider = "elsewhere";
  EXPECT_NE(said(keeps, "a/b", elsewhere).find("a/b is kept for provider 'elsewhere'"),
            std::string::npos);
  KnownValue born = same;
  born.is_born = true;
  EXPECT_NE(said(keeps, "a/b", born).find("a/b was born: nothing replaces it"), std::string::npos);
}

// tls-in-mpc.md §5.6: the eight bits are of a place, whatever a file calls it.
TEST(FlowLedgerAccounts, AreOfPlacesNotOfSpellings) {
  Step step;
  step.host = "a.example";
  step.item = parse_item("/list/[on=true]");
  const auto account = [&](const std::string& at) {
    const auto selector = parse_selector(at);
    EXPECT_TRUE(selector.has_value()) << at;
    return account_of_kept(step, *selector);
  };
  const std::vector<std::vector<std::string>> same = {
      {"cookie pin", "cookie pin path /", "cookie pin domain a.example",
       "cookie pin path / domain a.example"},
      {"header X-Pin: {{}}", "header x-pin: {{}}", "header X-Pin: pin {{}}."},
      {"json /pin", "json /pin after \"a\"", "json /pin after \"b\"", "json-number /pin"},
      {"json item/pin", "json /list/0/pin", "json-number item/pin"},
      {"pattern \"a\" digits \"b\"", "pattern \"c\" digits \" \""}};
  std::set<std::string> apart;
  for (const auto& names : same) {
    for (const std::string& name : names) EXPECT_EQ(account(name), account(names[0])) << name;
    apart.insert(account(names[0]));
  }
  for (const std::string other : {"cookie pin path /x", "cookie Pin", "json /Pin", "json /a/pin"}) {
    apart.insert(account(other));
  }
  EXPECT_EQ(apart.size(), same.size() + 4);

  Input card;
  card.from = "{{payer}}";
  card.kind = "card";
  EXPECT_EQ(account_of_input(card, {{"payer", "a"}}), "input a card");
  Input other = card;
  other.from = "a";
  EXPECT_EQ(account_of_input(other, {}), account_of_input(card, {{"payer", "a"}}));
  other.kind = "";
  EXPECT_EQ(account_of_input(other, {}), "input a other");
}

// operations.md (b): what a sampler does not draw is refused when the file is read.
TEST(FlowLists, HaveTwoTo4096Entries) {
  std::string many;
  for (int k = 0; k < 8192; ++k) many += fmt::format("{:04}\n", k);
  EXPECT_EQ(parse_birth_list(many.substr(0, 4096 * 5)).value_or(std::vector<std::string>()).size(),
            4096u);
  EXPECT_FALSE(parse_birth_list(many).has_value());
  EXPECT_FALSE(parse_birth_list("one\n").has_value());
  EXPECT_FALSE(parse_birth_list("").has_value());
  EXPECT_TRUE(parse_birth_list("one\ntwo\n").has_value());
  EXPECT_FALSE(parse_birth_list("two\none\n").has_value());
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / fmt::format("flexroom-list-{}", getpid());
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "l.txt") << "one\n";
  const std::string said = refusal_of([&] {
    (void)parse_flow(
        "[flow]\nname = \"x\"\nprovider = \"sandbox\"\nprefix = \"account\"\n"
        "hosts = [\"a.example\"]\n[born.\"x\"]\nlist = \"l.txt\"\npurposes = []\n[[step]]\n",
        folder / "x.toml", sandbox_room());
  });
  std::filesystem::remove_all(folder);
  EXPECT_NE(said.find("a list has 2^k sorted"), std::string::npos) << said;
}

TEST(FlowValues, AKeyOfAnotherFlowSignsOnlyWithItsPurposeAndBits) {
  const Flow flow = load_shipped("quota-increase");
  KnownValues room;
  room["keys/id"] = {true, 0, ValueClass::kUrlSafe, {}};
  room["keys/secret"] = {false, 240, ValueClass::kBase64, {"sigv4 sts,servicequotas us-east-1"}};
  EXPECT_NE(refusal_of([&] {
              (void)check_against(flow, room);
            }).find("keys/secret is kept for provider '', the flow is for 'sandbox'"),
            std::string::npos);
  room["keys/secret"].provider = "sandbox";
  EXPECT_EQ(refusal_of([&] { (void)check_against(flow, room); }), "accepted");
  room["keys/secret"].entropy = 100;
  EXPECT_NE(refusal_of([&] { (void)check_against(flow, room); }).find("signs with 100 bits"),
            std::string::npos);
  room["keys/secret"].purposes = {"sigv4 sts us-east-1"};
  EXPECT_NE(refusal_of([&] {
              (void)check_against(flow, room);
            }).find("has no purpose `sigv4 servicequotas"),
            std::string::npos);
}

// A key that another flow left makes codes only with 128 bits, and if it can be one.
TEST(FlowValues, AKeyOfAnotherFlowMakesCodesOnlyIfItCanBeOne) {
  const Flow flow = parse_flow(R"([flow]
name = "code"
provider = "sandbox"
prefix = "account"
hosts = ["signin.flexroom.example"]
uses = ["mfa/seed"]

[[step]]
name = "Code"
request = """
POST /totp HTTP/1.1
Host: signin.flexroom.example
Content-Type: application/json

{"code": "{{mfa/seed as totp}}"}
"""
on.unknown = "again"
)",
                               "code.toml", sandbox_room());
  KnownValues room;
  room["mfa/seed"] = {false,
                      320,
                      ValueClass::kRaw,
                      {"POST https://signin.flexroom.example/totp json /code={{}} as totp"},
                      false,
                      40,
                      40,
                      "sandbox"};
  const auto said = [&] { return refusal_of([&] { (void)check_against(flow, room); }); };
  EXPECT_EQ(said(), "accepted");
  room["mfa/seed"].entropy = 127;
  EXPECT_NE(said().find("mfa/seed makes codes with 127 bits"), std::string::npos) << said();
  room["mfa/seed"].entropy = 320;
  room["mfa/seed"].max = 65;
  EXPECT_NE(said().find("mfa/seed may have 65 bytes"), std::string::npos) << said();
}

TEST(FlowValues, ArgumentsFitTheirPlacesAndNobodyGivesTwo) {
  const Flow quota = load_shipped("quota-increase");
  EXPECT_NE(refusal_of([&] {
              (void)check_arguments(quota, {{"value", "16, \"x\": 1"}});
            }).find("argument value does not fit a number"),
            std::string::npos);
  const Flow account = load_shipped("create-account");
  std::map<std::string, std::string> given = {
      {"person", "a"}, {"phone", "hospital-a"}, {"payer", "b"}, {"postal", "hospital-a"}};
  EXPECT_NE(refusal_of([&] {
              (void)check_arguments(account, given);
            }).find("hospital-a gives telephone and postal: name it as claimant"),
            std::string::npos);
  given["claimant"] = "hospital-a";
  EXPECT_EQ(refusal_of([&] { (void)check_arguments(account, given); }), "accepted");
  given["payer"] = "hospital-a";
  given["claimant"] = "b";
  given["postal"] = "room:home";
  given["payer"] = "room:card";
  EXPECT_EQ(refusal_of([&] { (void)check_arguments(account, given); }), "accepted");
}

TEST(FlowValues, WhatStandsInAPathIsOneSegment) {
  using Where = SlotUse::Where;
  for (const std::string bad : {"..", ".", "a/b", "", "a b", "a%2f"})
    EXPECT_FALSE(fits(Where::kPath, bad)) << bad;
  EXPECT_TRUE(fits(Where::kPath, std::string_view("a.b")));
  for (const std::string bad : {"-a", "a-", "A", "a.b", ""})
    EXPECT_FALSE(fits(Where::kHost, bad)) << bad;
  for (const std::string bad : {"01", "-1", "1.0", "", "1, 2", "1234567890123456"})
    EXPECT_FALSE(fits(Where::kNumber, bad)) << bad;
  EXPECT_FALSE(fits(Where::kCookie, std::string_view("a;b")));
  EXPECT_FALSE(fits(Where::kJson, std::string_view("a\nb")));
}

// tls-in-mpc.md §5.6: the entry of the host, else that of the provider.
TEST(FlowMailbox, IsReadInTheEntryOfTheProviderAndOfTheHost) {
  const std::string rule = "on.none = \"next\"                # no such mail: run it again later\n";
  const std::string words = replaced(
      text_of(shipped("support-mail")), rule,
      rule +
          "open.\"run/words\" = { at = \"json item/intro\", class = \"jsonsafe\", max = 512 }\n");
  const auto takes = [&](bool whole, std::map<std::string, bool> hosts) {
    RoomView room = sandbox_room();
    room.providers->front().mailbox = whole;
    room.providers->front().host_mailbox = {hosts.begin(), hosts.end()};
    return refusal_of([&] { (void)parse_flow(words, shipped("support-mail"), room); }) ==
           "accepted";
  };
  const std::string host = "mail.flexroom.example";
  EXPECT_TRUE(takes(false, {}));
  EXPECT_TRUE(takes(false, {{"shop.flexroom.example", true}}));
  EXPECT_FALSE(takes(false, {{host, true}}));
  EXPECT_FALSE(takes(true, {}));
  EXPECT_TRUE(takes(true, {{host, false}}));
}

TEST(FlowLoad, WhatTheTextNamesIsTaken) {
  const std::vector<std::pair<std::string, std::vector<std::pair<std::string, std::string>>>> all =
      {{"create-account",
        {{"\"cookie csrf\"", "\"cookie csrf path /x domain signup.flexroom.example\""}}},
       {"create-session",
        {{"open.\"run/mfa\" = { at = \"json /kind\", class = \"urlsafe\"",
          "open.\"run/mfa\" = { at = \"json-number /kind\", class = \"digits\""}}},
       {"create-session",
        {{"at = \"header location: https://signin", "at = \"header Location: https://signin"},
         {"at = \"json /captcha\"", "at = \"json /@id\""}}},
       {"create-account", {{"[isPrivate=false]", "[isPrivate=false][size=7]"}}},
       {"create-session",
        {{"open.\"run/mfa\" = { at", "open.\"run/mfa\" = { to = \"hospital-a\", at"}}},
       {"create-account", {{"length = 22\nsuffix = \"Aa1!\"", "length = 12\nsuffix = \"Aa1!\""}}},
       {"create-account",
        {{"GET /key HTTP/1.1\nHost: signup.flexroom.example",
          "GET /key HTTP/1.1\nHost: mail.flexroom.example"},
         {"complete json /password={{}} as jwe RSA-OAEP-256 A256GCM\"",
          "complete json /password={{}} as jwe RSA-OAEP-256 A256GCM key mail.flexroom.example\""},
         {"signup.flexroom.example/signin json /password={{}} as jwe RSA-OAEP-256 A256GCM\"",
          "signup.flexroom.example/signin json /password={{}} as jwe RSA-OAEP-256 A256GCM key "
          "mail.flexroom.example\""}}}};
  for (const auto& [name, edits] : all) {
    EXPECT_EQ(refusal_of([&] { (void)edited(name, edits); }), "accepted") << edits.front().second;
  }
}

TEST(FlowLoad, SettlingIs600SecondsWhereSomethingIsLeftAndCanOnlyBeRaised) {
  for (const auto& [seconds, with, without] :
       {std::tuple(120, 600, 120), {300, 600, 300}, {900, 900, 900}}) {
    const Flow flow = edited(
        "create-session",
        {{"key = \"keys\"\n", fmt::format("key = \"keys\"\nsettle_seconds = {}\n", seconds)}});
    EXPECT_EQ(flow.settle_of(*flow.step("CreateAWSCredentials")), with);
    EXPECT_EQ(flow.settle_of(*flow.step("GetSignin")), without);
  }
}

TEST(FlowState, SurvivesItsOwnEncodingAndDamageIsRefused) {
  RunState run;
  run.id = std::string(26, 'q');
  run.head = {"account", "create-account", sha256({}), Digest{}, {Digest{}, sha256({})}};
  run.commits = 7;
  run.at = {"SignIn", 3};
  run.attempts = {{"CreateEmail", 2}};
  run.done = true;
  const Bytes bytes = run.encode();
  const RunState back = RunState::decode(bytes);
  EXPECT_EQ(back.at, run.at);
  EXPECT_EQ(back.head, run.head);
  EXPECT_EQ(back.attempts, run.attempts);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THROW((void)RunState::decode(ByteView(bytes).first(size)), InputError);
    EXPECT_THROW((void)RunState::decode(ByteView(bytes).first(size), PartyId{1}), ProtocolAbort);
  }
}

}  // namespace
}  // namespace flexroom::flow
