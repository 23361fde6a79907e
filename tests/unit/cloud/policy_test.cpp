#include "cloud/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/cloud/client.h"

namespace flexroom::cloud::test {
namespace {

using testing::HasSubstr;

constexpr const char* kAccount = "111122223333";
const std::string kAlice = "arn:aws:iam::111122223333:user/alice";
const std::string kBob = "arn:aws:iam::111122223333:user/bob";
const std::string kSession = "arn:aws:sts::111122223333:assumed-role/app/i-0";

std::string statement(const std::string& effect, const std::string& more) {
  return R"({"Statement":[{"Effect":")" + effect +
         R"(","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*",)" + more + "}]}";
}

Decision by(const std::string& document, const std::string& arn) {
  return evaluate_policy(document, "s3:GetObject", "arn:aws:s3:::b/k", arn,
                         arn.empty() ? "" : kAccount);
}

TEST(Policy, DenyWithNotPrincipalDeniesAllOthers) {
  const std::string document = statement("Deny", R"("NotPrincipal":{"AWS":")" + kAlice + R"("})");
  EXPECT_TRUE(is_policy_document(document, PolicyKind::kBucket));
  EXPECT_EQ(by(document, kAlice), Decision::kNone);
  EXPECT_EQ(by(document, kBob), Decision::kDeny);
  EXPECT_EQ(by(document, kSession), Decision::kDeny);
  EXPECT_EQ(by(document, ""), Decision::kDeny);  // anonymous
}

TEST(Policy, AllowWithNotPrincipalGrantsNothing) {
  const std::string document = statement("Allow", R"("NotPrincipal":{"AWS":")" + kAlice + R"("})");
  EXPECT_FALSE(is_policy_document(document, PolicyKind::kBucket));
  EXPECT_EQ(by(document, kBob), Decision::kNone);
}

TEST(Policy, ARoleStandsForItsSessions) {
  const std::string role = R"("Principal":{"AWS":"arn:aws:iam::111122223333:role/app"})";
  EXPECT_EQ(by(statement("Deny", role), kSession), Decision::kDeny);
  EXPECT_EQ(by(statement("Allow", role), kSession), Decision::kAllow);
  EXPECT_EQ(by(statement("Allow", role), kAlice), Decision::kNone);
}

TEST(Policy, WhatCannotBeMatchedIsNoPolicy) {
  const auto fits = [](PolicyKind kind, const std::string& text) {
    return is_policy_document(R"({"Statement":)" + text + "}", kind);
  };
  using enum PolicyKind;
  const std::string ok = R"({"Effect":"Deny","Action":"s3:*","Resource":"*"})";
  EXPECT_TRUE(fits(kIdentity, ok));
  EXPECT_TRUE(fits(kIdentity, "[" + ok + "]"));
  for (const char* bad :
       {R"({"Effect":"Deny","Action":"s3:*"})", R"({"Effect":"Deny","Resource":"*"})",
        R"({"Effect":"deny","Action":"s3:*","Resource":"*"})",
        R"({"Effect":"Deny","Action":7,"Resource":"*"})",
        R"({"Effect":"Deny","Action":["s3:*",7],"Resource":"*"})",
        R"({"Effect":"Deny","Action":[],"Resource":"*"})",
        R"({"Effect":"Deny","Action":"a:b","NotAction":"a:c","Resource":"*"})",
        R"({"Effect":"Deny","Action":"s3:*","Resource":"*","Principal":"*"})", "[]", "7",
        R"("x")"}) {
    EXPECT_FALSE(fits(kIdentity, bad)) << bad;
  }
  EXPECT_FALSE(fits(kBucket, ok));
  for (const char* bad : {R"("bob")", R"({"AWS":7})", R"({"Federated":"x"})", "{}", "[]"}) {
    EXPECT_FALSE(fits(kBucket, R"({"Effect":"Deny","Action":"s3:*","Resource":"*","Principal":)" +
                                   std::string(bad) + "}"))
        << bad;
  }
  EXPECT_FALSE(fits(kTrust, ok));
  EXPECT_TRUE(fits(
      kTrust,
      R"({"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"ec2.amazonaws.com"}})"));
}

TEST(Policy, DeepNestingIsRefusedBeforeItIsFollowed) {
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  EXPECT_FALSE(is_policy_document(deep, PolicyKind::kIdentity));
  EXPECT_FALSE(is_policy_document(
      R"({"Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":)" + deep +
          "}]}",
      PolicyKind::kIdentity));
}

class AssumeRole : public testing::Test {
 protected:
  AssumeRole()
      : key(fixture.sandbox->account("joint")), other(fixture.sandbox->account("hospital-a")) {}
  std::string create(const std::string& name, const std::string& trust) {
    return query_call(*fixture.sandbox, key, Service::kIam, kIam,
                      "Action=CreateRole&RoleName=" + name +
                          "&AssumeRolePolicyDocument=" + percent_encode(trust, false));
  }
  std::string assume(const AccountKey& who, const std::string& role,
                     const std::string& session = "s-1") {
    return query_call(*fixture.sandbox, who, Service::kSts, "sts.amazonaws.com",
                      "Action=AssumeRole&RoleSessionName=" + percent_encode(session, false) +
                          "&RoleArn=arn:aws:iam::" + key.account_id + ":role/" + role);
  }
  std::string trust(const std::string& principal) {
    return R"({"Effect":"Allow","Action":"sts:AssumeRole","Principal":)" + principal + "}";
  }
  Fixture fixture;
  AccountKey key, other;
};

TEST_F(AssumeRole, GivesASessionWithTheRightsOfTheRoleAlone) {
  const std::string root = R"({"AWS":"arn:aws:iam::)" + key.account_id + R"(:root"})";
  // A single statement and a list of one mean the same.
  EXPECT_THAT(create("one", R"({"Statement":)" + trust(root) + "}"), HasSubstr(" 200 OK"));
  EXPECT_THAT(create("list", R"({"Statement":[)" + trust(root) + "]}"), HasSubstr(" 200 OK"));
  query_call(*fixture.sandbox, key, Service::kIam, kIam,
             "Action=AttachRolePolicy&RoleName=one&PolicyArn=arn:aws:iam::aws:policy/"
             "AmazonEC2ReadOnlyAccess");
  EXPECT_THAT(assume(key, "list"), HasSubstr(" 200 OK"));
  const std::string given = assume(key, "one");
  EXPECT_EQ(element(given, "Arn"), "arn:aws:sts::" + key.account_id + ":assumed-role/one/s-1");
  const AccountKey session{key.account_id, element(given, "AccessKeyId"),
                           element(given, "SecretAccessKey")};
  const auto call = [&](const std::string& token, const std::string& form) {
    CallOptions options;
    options.headers = {{"x-amz-security-token", token}};
    return query_call(*fixture.sandbox, session, Service::kEc2, kEc2, form, options);
  };
  const std::string token = element(given, "SessionToken");
  EXPECT_THAT(call(token, "Action=DescribeInstances"), HasSubstr(" 200 OK"));
  EXPECT_EQ(element(call(token, "Action=CreateKeyPair&KeyName=k"), "Code"),
            "UnauthorizedOperation");
  EXPECT_EQ(element(call(token + "x", "Action=DescribeInstances"), "Code"), "AuthFailure");
  EXPECT_EQ(element(query_call(*fixture.sandbox, session, Service::kEc2, kEc2,
                               "Action=DescribeInstances"),
                    "Code"),
            "AuthFailure");
}

TEST_F(AssumeRole, IsRefusedToWhomTheTrustPolicyDoesNotName) {
  create("vm", R"({"Statement":)" + trust(R"({"Service":"ec2.amazonaws.com"})") + "}");
  create("any", R"({"Statement":)" + trust(R"({"AWS":"*"})") + "}");
  create("not-me", R"({"Statement":[)" + trust(R"({"AWS":"*"})") +
                       R"(,{"Effect":"Deny","Action":"sts:AssumeRole","NotPrincipal":{"AWS":")" +
                       "arn:aws:iam::" + key.account_id + R"(:user/eve"}}]})");
  EXPECT_EQ(element(assume(key, "vm"), "Code"), "AccessDenied");
  EXPECT_EQ(element(assume(key, "not-me"), "Code"), "AccessDenied");
  EXPECT_EQ(element(assume(key, "none"), "Code"), "AccessDenied");
  EXPECT_EQ(element(assume(other, "any"), "Code"), "AccessDenied");
  EXPECT_THAT(assume(key, "any"), HasSubstr(" 200 OK"));
  for (const char* session : {"x", "a/b", "a\nb", "a b"}) {
    EXPECT_EQ(element(assume(key, "any", session), "Code"), "ValidationError") << session;
  }
}

TEST_F(AssumeRole, WhatCannotBeSavedHasNotHappened) {
  const auto blocker = fixture.dir / "state/iam.json.new";
  std::filesystem::create_directory(blocker);
  const auto call = [&](const std::string& form) {
    return query_call(*fixture.sandbox, key, Service::kIam, kIam, form);
  };
  EXPECT_EQ(element(call("Action=CreateUser&UserName=eve"), "Code"), "ServiceFailure");
  std::filesystem::remove(blocker);
  EXPECT_EQ(element(call("Action=GetUser&UserName=eve"), "Code"), "NoSuchEntity");
  EXPECT_THAT(call("Action=CreateUser&UserName=eve"), HasSubstr(" 200 OK"));
}

}  // namespace
}  // namespace flexroom::cloud::test
