#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "support/room_rig.h"

// Values that flows keep are secrets of the room: listed, refreshed, removed, and the key of jobs
// and calls that name none (operations.md (c), members.md §3).

namespace flexroom {
namespace {

using support::RoomRig;
using Ended = RoomRig::Ended;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

/// A key pair whose secret nobody sees, as create-session makes one.
const std::string kMakeKey = R"(
[flow]
name = "make-key"
provider = "sandbox"
prefix = "PREFIX"
hosts = ["iam.amazonaws.com"]
key = "issuer"

[[step]]
name = "CreateAccessKey"
leaves = "an access key"
sign = "iam us-east-1"
request = """
POST / HTTP/1.1
Host: iam.amazonaws.com
Content-Type: application/x-www-form-urlencoded

Action=CreateAccessKey&Version=2010-05-08
"""
type = "text/xml"
open."keys/id" = { at = "xml /CreateAccessKeyResponse/CreateAccessKeyResult/AccessKey/AccessKeyId", class = "urlsafe", max = 32 }
on.unknown = "stop"

[step.keep."keys/secret"]
at = "xml /CreateAccessKeyResponse/CreateAccessKeyResult/AccessKey/SecretAccessKey"
class = "base64"
length = 40
entropy = 240
purposes = ["sigv4 sts,ec2,iam us-east-1"]
)";

const std::string kWhoAmI = R"(
[recipe]
name = "who-am-i"
provider = "sandbox"
host = "sts.us-east-1.amazonaws.com"
open = "everything to all"
request = """
POST / HTTP/1.1
Host: sts.us-east-1.amazonaws.com
Content-Type: application/x-www-form-urlencoded; charset=utf-8
X-Amz-Date: {{amz-date}}
Authorization: AWS4-HMAC-SHA256 Credential={{access-key-id}}/{{amz-day}}/us-east-1/sts/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature={{signature}}
Accept-Encoding: identity
Connection: close
Content-Length: {{content-length}}

Action=GetCallerIdentity&Version=2011-06-15"""

[sign]
region = "us-east-1"
service = "sts"
)";

/// The device that an earlier flow enrolled, off and on again with codes of its seed.
const std::string kEnableAgain = R"(
[flow]
name = "enable-again"
provider = "sandbox"
prefix = "account"
hosts = ["iam.amazonaws.com"]
key = "issuer"
uses = ["mfa/seed", "mfa/device"]

[[step]]
name = "DeactivateMFADevice"
sign = "iam us-east-1"
request = """
POST / HTTP/1.1
Host: iam.amazonaws.com
Content-Type: application/x-www-form-urlencoded

Action=DeactivateMFADevice&Version=2010-05-08&SerialNumber={{mfa/device}}
"""
on.unknown = "again"

[[step]]
name = "EnableMFADevice"
sign = "iam us-east-1"
request = """
POST / HTTP/1.1
Host: iam.amazonaws.com
Content-Type: application/x-www-form-urlencoded

Action=EnableMFADevice&Version=2010-05-08&SerialNumber={{mfa/device}}&AuthenticationCode1={{mfa/seed as totp}}&AuthenticationCode2={{mfa/seed as totp next}}
"""
on.unknown = "stop"
)";

const std::string kAccount = R"(
[flow]
name = "who"
provider = "sandbox"
prefix = "account"
hosts = ["sts.us-east-1.amazonaws.com"]
key = "issuer"

[[step]]
name = "WhoAmI"
sign = "sts us-east-1"
request = """
POST / HTTP/1.1
Host: sts.us-east-1.amazonaws.com
Content-Type: application/x-www-form-urlencoded

Action=GetCallerIdentity&Version=2011-06-15
"""
type = "text/xml"
open."account-id" = { at = "xml /GetCallerIdentityResponse/GetCallerIdentityResult/Account", class = "digits", max = 12 }
on.unknown = "again"
)";

class FlowValuesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    rig_ = std::make_unique<RoomRig>(2);
    rig_->start_sandbox();
    all_ok(rig_->init());
    account_ = rig_->joint_account();
    json terms = RoomRig::signs();
    terms["purposes"] = {"sigv4 iam us-east-1", "sigv4 sts us-east-1"};
    rig_->write_shares("k.json", "joint/key", account_["secret_access_key"].get<std::string>(),
                       "b64", terms);
    all_ok(rig_->import("k.json"));
  }
  static void all_ok(const std::vector<Ended>& ended) {
    for (const Ended& e : ended) ASSERT_EQ(e.code, cli::kOk) << e.out;
  }
  static void all_say(const std::vector<Ended>& ended, const std::string& words) {
    for (const Ended& e : ended) {
      EXPECT_NE(e.code, cli::kOk);
      EXPECT_THAT(e.error(), HasSubstr(words)) << e.out;
    }
  }
  std::vector<Ended> flow(const std::string& text) {
    for (PartyId i = 0; i < rig_->size(); ++i) rig_->write(i, "flow.toml", text);
    return run_file([this](PartyId i) { return rig_->dir(i) / "flow.toml"; });
  }
  std::vector<Ended> shipped(const std::string& name) {
    return run_file([&](PartyId) {
      return std::filesystem::path(FLEXROOM_SOURCE_DIR) / "share/flows" / (name + ".toml");
    });
  }
  std::vector<Ended> run_file(const std::function<std::filesystem::path(PartyId)>& file) {
    const FlowKey key{"joint/key", account_["access_key_id"].get<std::string>()};
    return rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
      return cli::run_flow(out, common, file(i), {}, "", "", key);
    });
  }
  std::vector<Ended> make_key(const std::string& prefix = "account") {
    std::string text = kMakeKey;
    return flow(text.replace(text.find("PREFIX"), 6, prefix));
  }
  /// Of a user of its own: nobody has more than two.
  std::vector<Ended> make_second_key() {
    std::string text = kMakeKey;
    text.replace(text.find("PREFIX"), 6, "other");
    text.replace(text.find("CreateAccessKey&Version=2010-05-08"), 34,
                 "CreateAccessKey&Version=2010-05-08&UserName=second");
    const size_t at = text.find("[[step]]");
    std::string user = text.substr(at, text.find("type = ") - at);
    user.replace(user.find("\"CreateAccessKey\""), 17, "\"CreateUser\"");
    user.replace(user.find("Action=CreateAccessKey"), 22, "Action=CreateUser");
    return flow(text.substr(0, at) + user + "on.unknown = \"again\"\n\n" + text.substr(at));
  }
  /// The key that nobody names.
  std::vector<Ended> call() {
    for (PartyId i = 0; i < rig_->size(); ++i) rig_->write(i, "who.toml", kWhoAmI);
    return rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
      return cli::call_recipe(out, common, rig_->dir(i) / "who.toml", {}, std::nullopt);
    });
  }
  std::vector<Ended> remove(const std::string& name,
                            const std::function<void(PartyId, cli::Common&)>& prepare = nullptr) {
    return rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
      if (prepare) prepare(i, common);
      return cli::secret_remove(out, common, name);
    });
  }
  json show(PartyId i, const std::string& name) {
    const Ended ended = rig_->run_one(i, [&](PartyId, cli::Output& out, cli::Common& common) {
      return cli::secret_show(out, common, name);
    });
    return ended.code == cli::kOk ? ended.last()["secret"] : json();
  }
  bool is_there(PartyId i, const std::string& name) { return !show(i, name).is_null(); }

  std::unique_ptr<RoomRig> rig_;
  json account_;
};

// What was opened beside the key is put into a header and a file: it has to be what it is called.
TEST_F(FlowValuesTest, WhatIsNoAccessKeyIdMakesNoPair) {
  std::string text = kMakeKey;
  const std::string id =
      "CreateAccessKeyResult/AccessKey/AccessKeyId\", class = \"urlsafe\", max = 32";
  text.replace(text.find("PREFIX"), 6, "account");
  text.replace(text.find(id), id.size(),
               "ResponseMetadata/RequestId\", class = \"urlsafe\", max = 64");
  all_ok(flow(text));
  all_say(call(), "names no key, and no flow has left one for provider 'sandbox'");
}

TEST_F(FlowValuesTest, AKeptKeyIsASecretOfTheRoomAndSignsWhereNoneIsNamed) {
  all_say(call(), "names no key, and no flow has left one for provider 'sandbox'");
  all_ok(make_key());
  const json secret = show(0, "keys/secret"), id = show(1, "account:keys/id");
  EXPECT_EQ(secret["name"], "account:keys/secret");
  EXPECT_EQ(secret["kind"], "flow make-key");
  EXPECT_EQ(secret["known_to"], "service");
  EXPECT_EQ(secret["provider"], "sandbox");
  EXPECT_EQ(secret["bytes"], 40);
  EXPECT_EQ(id["known_to"], "all members");
  EXPECT_EQ(id["set"], "");
  EXPECT_EQ(show(1, "account:keys/secret"), secret);
  for (const Ended& e : rig_->run([](PartyId, cli::Output&out, cli::Common&common) {
         return cli::secret_list(out, common);
       })) {
    EXPECT_THAT(e.out, AllOf(HasSubstr("account:keys/secret"), HasSubstr("account:keys/id"),
                             HasSubstr("joint/key")));
  }
  const std::vector<Ended> called = call();
  all_ok(called);
  EXPECT_THAT(called[0].out,
              AllOf(HasSubstr("(secret account:keys/secret v1, kept by flow make-key; the room's "
                              "only key for sandbox)"),
                    HasSubstr("GetCallerIdentityResult")));
  // New rows of the same value.
  all_ok(rig_->run([](PartyId, cli::Output& out, cli::Common& common) {
    return cli::secret_refresh(out, common);
  }));
  const json now = show(0, "keys/secret");
  EXPECT_NE(now["set"], secret["set"]);
  EXPECT_EQ(now["provenance"], secret["provenance"]);
  all_ok(call());
  // A second pair leaves it open which one is meant.
  all_ok(make_second_key());
  all_say(call(), "the room has 2 for provider 'sandbox': account:keys/secret, other:keys/secret");
  all_say(remove("keys/secret"), "could be several");
  all_ok(remove("other:keys/secret"));
  all_ok(call());
  // What a flow made is not imported over.
  json terms = RoomRig::signs();
  rig_->write_shares("over.json", "account:keys/secret", "x", "raw", terms);
  all_say(rig_->import("over.json"), "");
}

TEST_F(FlowValuesTest, ARemovalIsOfAllOrOfNone) {
  all_ok(make_key());
  rig_->save("before");
  const std::vector<std::pair<std::string, std::vector<std::string>>> cases = {
      {"account:keys/secret", {"begin", "staged", "exchanged", "committed"}},
      {"account:keys/id", {"exchanged"}},
      {"joint/key", {"staged"}}};
  for (const auto& [name, steps] : cases) {
    const std::string& removed = name;
    for (const std::string& step : steps) {
      SCOPED_TRACE(name + " at " + step);
      rig_->restore("before");
      const auto ended = remove(removed, [&](PartyId i, cli::Common& common) {
        if (i != 1) return;
        common.fault = [step](std::string_view reached) {
          if (reached == step) kill(getpid(), SIGKILL);
        };
      });
      EXPECT_TRUE(ended[1].killed);
      const bool confirmed =
          ended[0].code == cli::kOk || step == "exchanged" || step == "committed";
      // The next command that meets all members settles it, whatever it is.
      all_ok(rig_->run([](PartyId, cli::Output& out, cli::Common& common) {
        return cli::secret_refresh(out, common);
      }));
      EXPECT_EQ(is_there(0, name), is_there(1, name));
      if (confirmed) {
        EXPECT_FALSE(is_there(1, name));
      }
      if (step == "begin") {
        EXPECT_TRUE(is_there(0, name));
      }
      for (PartyId i = 0; i < 2; ++i) {
        EXPECT_TRUE(is_there(i, name == "joint/key" ? "account:keys/secret" : "joint/key"));
      }
    }
  }
}

// A member that says something else about a removal is named, and nothing is erased.
TEST_F(FlowValuesTest, WhoLiesAboutARemovalIsNamed) {
  all_ok(make_key());
  struct Lie {
    std::string label;
    size_t byte;
    std::string words;
  };
  for (const Lie& lie :
       {Lie{"removal/ok", 0, "another removal was staged there; nothing was erased"},
        // The first byte of the name, behind the count and its length.
        Lie{"secret/remove", 8, "a value that is not called so"},
        Lie{"secret/remove", 0, "more values of one name than there can be"}}) {
    SCOPED_TRACE(lie.label);
    const auto ended = remove("account:keys/secret", [&](PartyId i, cli::Common& common) {
      if (i != 1) return;
      common.connected = [lie](net::Party& party) {
        party.set_tamper([lie](const net::MessageId& id, Bytes& bytes) {
          if (id.label == lie.label) bytes[lie.byte] = static_cast<uint8_t>(bytes[lie.byte] ^ 0x40);
        });
      };
    });
    EXPECT_THAT(ended[0].error(), HasSubstr(lie.words)) << ended[0].out;
    EXPECT_THAT(ended[0].error(), HasSubstr("m1"));
    EXPECT_TRUE(is_there(0, "account:keys/secret"));
  }
  all_ok(remove("account:keys/secret"));
}

// operations.md (c) "Resumption": a name in different versions without an open run.
TEST_F(FlowValuesTest, AVersionThatMembersDifferOnIsRemovedAndMadeAgain) {
  all_ok(make_key());
  rig_->save("before");
  all_ok(remove("account:keys/secret"));
  all_ok(remove("account:keys/id"));
  all_ok(make_key());
  // One member's value of before, as a restored state.db has it.
  const std::filesystem::path old = rig_->root() / "before" / "1" / "state.db";
  ASSERT_TRUE(std::filesystem::exists(old));
  const auto value = show(1, "account:keys/secret");
  RoomRig::copy(rig_->root() / "before" / "1", rig_->root() / "m1-old");
  std::filesystem::copy_file(old, rig_->dir(1) / "state.db",
                             std::filesystem::copy_options::overwrite_existing);
  for (const char* const end : {"-wal", "-shm"}) {
    std::filesystem::remove((rig_->dir(1) / "state.db").string() + end);
  }
  EXPECT_NE(show(1, "account:keys/secret")["provenance"], value["provenance"]);
  for (const Ended& e : call()) EXPECT_NE(e.code, cli::kOk) << e.out;
}

// `decode` (operations.md (a)): the seed of a second factor, enrolled with codes that the sandbox
// makes of the text it sent, and a code of it in another flow afterwards.
TEST_F(FlowValuesTest, ASecondFactorIsEnrolledAndItsCodesGoOn) {
  all_ok(flow(kAccount));
  all_ok(shipped("enrol-totp"));
  const json seed = show(0, "account:mfa/seed");
  EXPECT_EQ(seed["bytes"], 40);
  EXPECT_EQ(seed["class"], "raw");
  all_ok(flow(kEnableAgain));
}

}  // namespace
}  // namespace flexroom
