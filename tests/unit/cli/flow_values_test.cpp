#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "room/joined.h"
#include "room/named_secrets.h"
#include "room/removals.h"
#include "session/signing_keys.h"
#include "store/epoch_change.h"
#include "support/sandbox_flows.h"

// Values that flows keep are secrets of the room: listed, refreshed, removed, and the key of jobs
// and calls that name none (operations.md (c), members.md §3).

namespace flexroom {
namespace flow_values_test {

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

class FlowValuesTest : public ::testing::Test, protected support::SandboxFlows {
 protected:
  void SetUp() override {
    set_up(2);
    import_key({"sigv4 iam us-east-1", "sigv4 sts us-east-1"});
  }
  static void all_say(const std::vector<Ended>& ended, const std::string& words) {
    for (const Ended& e : ended) {
      EXPECT_NE(e.code, cli::kOk);
      EXPECT_THAT(e.error(), HasSubstr(words)) << e.out;
    }
  }
  std::vector<Ended> flow(const std::string& text) {
    write_all("flow.toml", text);
    return run_own("flow.toml", {joint_key()});
  }
  std::vector<Ended> shipped(const std::string& name, const Prepare& prepare = nullptr) {
    Given given{joint_key()};
    given.prepare = prepare;
    return run_file(shipped_flow(FLEXROOM_SOURCE_DIR, name), given);
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
    write_all("who.toml", kWhoAmI);
    return rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
      return cli::call_recipe(out, common, rig_->dir(i) / "who.toml", {}, std::nullopt);
    });
  }
  std::vector<Ended> remove(const std::string& name, const Prepare& prepare = nullptr) {
    return rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
      if (prepare) prepare(i, common);
      return cli::secret_remove(out, common, name);
    });
  }
  std::vector<Ended> refresh() {
    return rig_->run([](PartyId, cli::Output& out, cli::Common& common) {
      return cli::secret_refresh(out, common);
    });
  }
  json show(PartyId i, const std::string& name) {
    const Ended ended = rig_->run_one(i, [&](PartyId, cli::Output& out, cli::Common& common) {
      return cli::secret_show(out, common, name);
    });
    return ended.code == cli::kOk ? ended.last()["secret"] : json();
  }
  /// On this member's disk, in a process of its own; fails where `change` throws.
  template <typename Change>
  void at(PartyId i, Change change) {
    const Ended e = rig_->run_one(i, [&](PartyId, cli::Output& out, cli::Common& common) {
      change(*room::open_state(common.member_file, nullptr));
      out.result({});
      return cli::kOk;
    });
    ASSERT_EQ(e.code, cli::kOk) << e.out;
  }
  std::string log_of(PartyId i) {
    return rig_
        ->run_one(i, [](PartyId, cli::Output& out,
                        cli::Common& common) { return cli::show_log(out, common, false); })
        .out;
  }
  static bool told_of(const Ended& ended) { return ended.out.find(kComplete) != std::string::npos; }
  static constexpr std::string_view kComplete =
      "the removal that was interrupted before is complete";
  bool is_there(PartyId i, const std::string& name) { return !show(i, name).is_null(); }
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
  all_ok(refresh());
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
  all_say(rig_->import("over.json"), "PREFIX:NAME is what flows make");
}

// A room may have a secret that was imported under such a name before it was refused: what a flow
// made is found by its record, and the other one only stands where it is named.
TEST_F(FlowValuesTest, AnImportedSecretThatIsCalledLikeAFlowsSignsNothingInItsPlace) {
  all_ok(make_key());
  all_ok(call());
  const std::string name = "account:keys/secret";
  for (PartyId i = 0; i < rig_->size(); ++i) {
    at(i, [&](session::MemberState& state) {
      const store::RecordMeta own = state.secret("joint/key");
      auto planted = state.secrets().find(own.id, own.version);
      planted->meta.id[0] ^= 1;
      planted->meta.name = name;
      planted->meta.version = 9;
      state.secrets().put_committed(*planted);
    });
  }
  const std::vector<Ended> called = call();
  all_ok(called);
  EXPECT_THAT(called[0].out, HasSubstr("(secret account:keys/secret v1, kept by flow make-key"));
  at(0, [&](session::MemberState& state) {
    try {
      (void)state.secret(name);
      throw std::logic_error("one of two was taken");
    } catch (const InputError& error) {
      EXPECT_THAT(error.remedy(), HasSubstr("secret remove"));
    }
    // The day's key of the flow's belongs to a record that is the newest of its own.
    const size_t before = state.loaded().list().size();
    session::erase_orphaned_keys(state);
    if (before == 0 || state.loaded().list().size() != before) {
      throw std::logic_error("the day's key was erased");
    }
  });
  all_ok(remove(name));
  EXPECT_EQ(show(0, name)["kind"], "flow make-key");
  all_ok(call());
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
      const auto settled = refresh();
      all_ok(settled);
      // Who did not live to log it logs it now, and says so; who did says nothing again.
      const bool gone = !is_there(1, name);
      EXPECT_EQ(told_of(settled[1]), gone) << settled[1].out;
      EXPECT_EQ(log_of(1).find(kComplete) != std::string::npos, gone);
      if (step == "committed") {
        EXPECT_FALSE(told_of(settled[0])) << settled[0].out;
      }
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

// What an open run keeps is not proved yet, and may be dropped: nothing outside it uses it.
TEST_F(FlowValuesTest, AValueOfARunIsUsedByItsRunAlone) {
  const std::string name = "run/aaaaaaaa:keys/secret";
  for (PartyId i = 0; i < rig_->size(); ++i) {
    at(i, [&](session::MemberState& state) {
      const store::RecordMeta own = state.secret("joint/key");
      auto kept = state.secrets().find(own.id, own.version);
      kept->meta.id[0] ^= 1;
      kept->meta.name = name;
      kept->meta.kind = "flow make-key";
      state.secrets().put_committed(*kept);
    });
  }
  for (PartyId i = 0; i < rig_->size(); ++i) {
    rig_->write(i, "who.toml", kWhoAmI + "secret = \"" + name + "\"\n[argument.access-key-id]\n");
    rig_->write(i, "flow.toml", kAccount);
  }
  const std::string id = account_["access_key_id"].get<std::string>();
  all_say(rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
    return cli::call_recipe(out, common, rig_->dir(i) / "who.toml", {{"access-key-id", id}},
                            std::nullopt);
  }),
          "is a value of an open run");
  all_say(rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
    return cli::run_flow(out, common, rig_->dir(i) / "flow.toml", {}, "", "", {name, id});
  }),
          "is a value of an open run");
}

// A step that was cut leaves rows that no refresh would renew.
TEST_F(FlowValuesTest, NothingIsRefreshedWhileAStepIsStagedAnywhere) {
  const auto refresh = [&] {
    return rig_->run([](PartyId, cli::Output& out, cli::Common& common) {
      return cli::secret_refresh(out, common);
    });
  };
  const json before = show(0, "joint/key");
  flow::Change change;
  change.run = "aaaaaaaa";
  at(1, [&](session::MemberState& state) { room::flow_store(state).stage(change, {}); });
  all_say(refresh(), "a step of a flow was cut at m1");
  EXPECT_EQ(show(0, "joint/key"), before);
  at(1, [&](session::MemberState& state) { room::flow_store(state).drop_staged(change.run); });
  all_ok(refresh());
  EXPECT_NE(show(0, "joint/key")["set"], before["set"]);
}

TEST_F(FlowValuesTest, ARemovalIsAlone) {
  const auto other = std::make_unique<store::SessionLock>(rig_->dir(0) / "state");
  const auto ended = remove("joint/key");
  EXPECT_NE(ended[0].code, cli::kOk) << ended[0].out;
  EXPECT_THAT(ended[0].error(), HasSubstr("another command of this member runs"));
  for (PartyId i = 0; i < rig_->size(); ++i) EXPECT_TRUE(is_there(i, "joint/key"));
}

// Two sessions may have seen one removal: who comes second erases nothing, whatever has the name.
TEST_F(FlowValuesTest, WhatIsErasedIsNotErasedAgain) {
  const Ended ended = rig_->run_one(0, [](PartyId, cli::Output& out, cli::Common& common) {
    const auto state = room::open_state(common.member_file, nullptr);
    room::Removals removals(*state);
    using Phase = room::Removal::Phase;
    const room::NamedSecret key{"joint/key", "", ""};
    const Bytes id(32, 1), other(32, 2), old(32, 3);
    json said = json::array();
    const auto has_key = [&] {
      const auto all = state->secrets().list();
      return std::any_of(all.begin(), all.end(),
                         [](const auto& m) { return m.name == "joint/key"; });
    };
    removals.put(id, {Phase::kErased, key});
    said.push_back(removals.erase(id) || !has_key());
    removals.drop_staged(id);
    said.push_back(removals.all().size() != 1);
    said.push_back(removals.erase(other) || !has_key());
    removals.put(id, {Phase::kStaged, key});
    said.push_back(!removals.erase(id) || has_key());
    said.push_back(!removals.all().at(id).is_erased());
    // A record of before the limits may have such a name.
    removals.put(old, {Phase::kStaged, {std::string(300, 'x'), "", ""}});
    said.push_back(removals.all().at(old).target.name.size() != 300);
    removals.drop_staged(old);
    said.push_back(removals.all().size() != 1);
    out.result({{"wrong", said}});
    return int{cli::kOk};
  });
  ASSERT_EQ(ended.code, cli::kOk) << ended.out;
  EXPECT_EQ(ended.last()["wrong"], json(std::vector<bool>(7, false))) << ended.out;
}

// A member that says something else about a removal is named, and nothing is erased.
TEST_F(FlowValuesTest, WhoLiesAboutARemovalIsNamed) {
  all_ok(make_key());
  rig_->save("before");
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
    rig_->restore("before");
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
  all_ok(remove("account:keys/secret"));  // also where the liar has erased its own
}

// operations.md (c) "Resumption": a name in different versions without an open run.
TEST_F(FlowValuesTest, AValueOfARestoredBackupIsRemovedAtAll) {
  all_ok(make_key());
  rig_->save("before");
  all_ok(remove("account:keys/secret"));
  // One member's state.db of before is put back.
  const std::filesystem::path old = rig_->root() / "before" / "1" / "state" / "state.db";
  const std::filesystem::path now = rig_->dir(1) / "state" / "state.db";
  for (const char* const end : {"-wal", "-shm"}) std::filesystem::remove(now.string() + end);
  std::filesystem::copy_file(old, now, std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(refresh()[1].error(), HasSubstr("state.db is older than once.db"));
  const Ended accepted = rig_->run_one(1, [](PartyId, cli::Output& out, cli::Common& common) {
    return cli::peer_accept(out, common);
  });
  ASSERT_EQ(accepted.code, cli::kOk) << accepted.out;
  EXPECT_FALSE(is_there(0, "account:keys/secret"));
  EXPECT_TRUE(is_there(1, "account:keys/secret"));
  const std::vector<Ended> ended = remove("keys/secret");
  all_ok(ended);
  EXPECT_THAT(ended[0].out, HasSubstr("version 1 at m1"));
  for (PartyId i = 0; i < 2; ++i) EXPECT_FALSE(is_there(i, "account:keys/secret"));
  all_say(call(), "names no key, and no flow has left one");
}

// `decode` (operations.md (a)): the seed of a second factor. Killed once the seed is stored, the
// run enrols it with codes of what lies in the rows, which the sandbox makes of the text that it
// sent.
TEST_F(FlowValuesTest, ASecondFactorIsEnrolledWithCodesOfItsDecodedSeed) {
  all_ok(flow(kAccount));
  const std::vector<Ended> killed = shipped("enrol-totp", [](PartyId i, cli::Common& common) {
    if (i != 1) return;
    common.fault = [commits = 0](std::string_view reached) mutable {
      // The run's first one, and that of CreateVirtualMFADevice.
      if (reached == "flow/committed" && ++commits == 2) kill(getpid(), SIGKILL);
    };
  });
  EXPECT_TRUE(killed[1].killed);
  for (PartyId i = 0; i < 2; ++i) {
    const json seed = show(i, "account:mfa/seed");
    EXPECT_EQ(seed["bytes"], 40);
    EXPECT_EQ(seed["class"], "raw");
    EXPECT_EQ(seed["entropy"], 320);
  }
  all_ok(shipped("enrol-totp"));
  // It is on: what is enabled is not enrolled again.
  EXPECT_THAT(shipped("enrol-totp")[0].error(), HasSubstr("mfa/seed exists"));
}

}  // namespace flow_values_test
}  // namespace flexroom
