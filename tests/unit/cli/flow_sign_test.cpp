#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>

#include "support/sandbox_flows.h"
#include "support/sweeps.h"

// Signed steps of flows against the sandbox (operations.md (a) `sign`): with a key of the state,
// and with one that an earlier flow pulled out of a sealed answer, whose session token nobody knows
// either. The sandbox checks every signature.

namespace flexroom {
namespace flow_sign_test {

using support::RoomRig;
using Ended = RoomRig::Ended;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

const std::string kHead = R"(
[flow]
name = "NAME"
provider = "sandbox"
prefix = "account"
hosts = ["sts.us-east-1.amazonaws.com", "iam.amazonaws.com"]
key = "KEY"
)";

std::string head(const std::string& name, const std::string& key) {
  std::string out = kHead;
  out.replace(out.find("NAME"), 4, name);
  return out.replace(out.find("KEY"), 3, key);
}

const std::string kSts = R"(
sign = "sts us-east-1"
request = """
POST / HTTP/1.1
Host: sts.us-east-1.amazonaws.com
Content-Type: application/x-www-form-urlencoded
MORE
Action=ACTION&Version=2011-06-15
"""
type = "text/xml"
on.unknown = "again"
)";

std::string sts(const std::string& action, const std::string& more = "") {
  std::string out = kSts;
  out.replace(out.find("MORE\n"), 5, more.empty() ? "\n" : more + "\n\n");
  return out.replace(out.find("ACTION"), 6, action);
}

/// Who signs, and a session whose three parts nobody has.
const std::string kGetSession = head("get-session", "keys") + R"(
[[step]]
name = "WhoAmI")" + sts("GetCallerIdentity") +
                                R"(
open."account-id" = { at = "xml /GetCallerIdentityResponse/GetCallerIdentityResult/Account", class = "digits", max = 12 }

[[step]]
name = "GetSession")" + sts("GetSessionToken") +
                                R"(
leaves = "a session"
open."session/id" = { at = "xml /GetSessionTokenResponse/GetSessionTokenResult/Credentials/AccessKeyId", class = "urlsafe", max = 32 }

[step.keep."session/secret"]
at = "xml /GetSessionTokenResponse/GetSessionTokenResult/Credentials/SecretAccessKey"
class = "base64"
length = 40
entropy = 128
purposes = ["sigv4 sts us-east-1"]

[step.keep."session/token"]
at = "xml /GetSessionTokenResponse/GetSessionTokenResult/Credentials/SessionToken"
class = "base64"
length = [16, 512]
entropy = 128
purposes = ["POST https://sts.us-east-1.amazonaws.com/ header x-amz-security-token: {{}}"]
)";

/// The token stands in a signed header.
const std::string kUseSession = head("use-session", "session") + R"(
uses = ["session/token", "account-id"]

[[step]]
name = "WhoIsIt")" + sts("GetCallerIdentity", "X-Amz-Security-Token: {{session/token}}") +
                                R"(
assert.1 = { at = "xml /GetCallerIdentityResponse/GetCallerIdentityResult/Account", equals = "{{account-id}}" }
)";

/// What nobody knows stands in the signed body.
const std::string kMakeUser = R"(
[flow]
name = "make-user"
provider = "sandbox"
prefix = "people"
hosts = ["iam.amazonaws.com"]
key = "keys"

[born."user"]
alphabet = "base32"
length = 26
purposes = ["POST https://iam.amazonaws.com/ form UserName={{}}"]

[[step]]
name = "CreateUser"
sign = "iam us-east-1"
request = """
POST / HTTP/1.1
Host: iam.amazonaws.com
Content-Type: application/x-www-form-urlencoded

Action=CreateUser&Version=2010-05-08&UserName={{user}}
"""
on.unknown = "again"

[[step]]
name = "GetUser"
sign = "iam us-east-1"
request = """
POST / HTTP/1.1
Host: iam.amazonaws.com
Content-Type: application/x-www-form-urlencoded

Action=GetUser&Version=2010-05-08&UserName={{user}}
"""
on.unknown = "again"
)";

class FlowSignTest : public ::testing::TestWithParam<size_t>, protected support::SandboxFlows {
 protected:
  void SetUp() override { set_up(GetParam()); }
  std::vector<Ended> flow(const std::string& text, const std::string& secret = "joint/key",
                          const Prepare& prepare = nullptr) {
    write_all("flow.toml", text);
    Given given{secret.empty() ? FlowKey{} : joint_key()};
    given.key.secret = secret;
    given.prepare = prepare;
    return run_own("flow.toml", given);
  }
  std::vector<Ended> shipped(const std::string& name,
                             const std::map<std::string, std::string>& arguments = {}) {
    return run_file(shipped_flow(FLEXROOM_SOURCE_DIR, name), {joint_key(), arguments});
  }
};
INSTANTIATE_TEST_SUITE_P(Members, FlowSignTest, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, FlowSignTest, ::testing::ValuesIn(support::in_long_runs({3})));

TEST_P(FlowSignTest, AKeyPulledOutOfASealedAnswerSignsWithItsToken) {
  import_key({"sigv4 sts us-east-1"});
  const std::vector<Ended> got = flow(kGetSession);
  all_ok(got);
  for (const Ended& e : got) {
    const json opened = e.last()["opened"];
    EXPECT_EQ(opened["account-id"], account_["account_id"]);
    EXPECT_THAT(opened["session/id"].get<std::string>(), MatchesRegex("ASIA[A-Z0-9]+"));
    EXPECT_THAT(e.out, HasSubstr("(secret joint/key v1)"));
  }
  all_ok(flow(kUseSession, ""));
  // Again, and a day of waiting later by the run's own clock: requests carry the time that it is.
  all_ok(flow(kUseSession, "", [](PartyId, cli::Common& common) {
    common.clock = [] { return int64_t{std::time(nullptr)} + 24 * 3600; };
  }));
}

TEST_P(FlowSignTest, WhatNobodyKnowsIsSignedInTheBody) {
  import_key({"sigv4 iam us-east-1"});
  all_ok(flow(kMakeUser));
}

class FlowSignPairTest : public FlowSignTest {};
INSTANTIATE_TEST_SUITE_P(Members, FlowSignPairTest, ::testing::Values(2));

TEST_P(FlowSignPairTest, AKeySignsOnlyWhatItsPurposesSay) {
  import_key({"sigv4 ec2 us-east-1"});
  for (const Ended& e : flow(kGetSession)) {
    EXPECT_EQ(e.code, cli::kBadInput) << e.out;
    EXPECT_THAT(e.error(), HasSubstr("'sigv4 sts us-east-1' is none of its purposes"));
  }
}

TEST_P(FlowSignPairTest, NoKeyIsGivenInThePlaceOfOneThatTheFlowMakes) {
  import_key({"sigv4 sts us-east-1"});
  std::string text = kGetSession;
  text.replace(text.find("key = \"keys\""), 12, "key = \"session\"");
  text.replace(text.find("sign = \"sts us-east-1\"\n"), 23, "");
  text.replace(text.find("sign = \"sts us-east-1\"\n"), 23, "");
  for (const Ended& e : flow(text)) {
    EXPECT_EQ(e.code, cli::kBadInput) << e.out;
    EXPECT_THAT(e.error(), HasSubstr("the flow makes its key session/secret itself"));
  }
}

// The shipped files that need nothing but a key (operations.md (d), (g)).
TEST_P(FlowSignPairTest, AQuotaIsAskedForAndItsStateRead) {
  import_key({"sigv4 servicequotas us-east-1"});
  all_ok(shipped("quota-increase", {{"value", "128"}}));
  for (const Ended& e : shipped("quota-state")) {
    ASSERT_EQ(e.code, cli::kOk) << e.out;
    EXPECT_THAT(e.last()["opened"]["run/quota-state"].get<std::string>(),
                MatchesRegex("PENDING|CASE_OPENED"));
  }
  // One open request for a quota: the second finds ours.
  all_ok(shipped("quota-increase", {{"value", "128"}}));
}

TEST_P(FlowSignPairTest, ASecondFactorThatIsOffStaysOff) {
  rig_->use_buckets();
  import_key({"sigv4 sts us-east-1", "sigv4 iam us-east-1"});
  all_ok(flow(kGetSession));
  all_ok(shipped("drop-totp"));
}

// Without a key in the state nothing is signed, and nobody is asked for more.
TEST_P(FlowSignPairTest, AKeyThatIsNotThereIsSaidBeforeAnythingIsContacted) {
  for (const Ended& e : flow(kGetSession, "")) {
    EXPECT_EQ(e.code, cli::kRefused) << e.out;
    EXPECT_THAT(e.error(), HasSubstr("uses keys/secret, which the room does not have"));
  }
}

// §5.8: one member's key id differs, so its request does: all are told before anything leaves.
TEST_P(FlowSignPairTest, MembersThatNameOtherKeysMakeNoRequest) {
  import_key({"sigv4 sts us-east-1"});
  for (PartyId i = 0; i < rig_->size(); ++i) rig_->write(i, "flow.toml", kGetSession);
  const auto ended = rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
    const std::string id = i == 0 ? "AKIAEXAMPLE" : "AKIAOTHER";
    return cli::run_flow(out, common, rig_->dir(i) / "flow.toml", {}, "", "", {"joint/key", id});
  });
  for (const Ended& e : ended) {
    EXPECT_EQ(e.code, cli::kRefused) << e.out;
    EXPECT_THAT(e.error(), HasSubstr("signed with"));
  }
}

}  // namespace flow_sign_test
}  // namespace flexroom
