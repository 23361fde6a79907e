// What becomes known late, lists with odd entries, and the filters of EC2's lists.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/cloud/browser.h"

namespace flexroom::cloud::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class Late : public testing::Test {
 protected:
  Late() : admin(fixture), key(fixture.sandbox->account("joint")) {}
  std::string iam(const std::string& form) {
    return query_call(*fixture.sandbox, key, Service::kIam, kIam, form + "&Version=2010-05-08");
  }
  std::string ec2(const std::string& form) {
    return query_call(
        *fixture.sandbox, key, Service::kEc2, kEc2,
        form + (form.find("&Version=") == std::string::npos ? "&Version=2016-11-15" : ""));
  }
  Fixture fixture;
  Admin admin;
  AccountKey key;
};

TEST_F(Late, ARoleIsThereButNotKnownYet) {
  admin.post("/settings", {{"role_lag_s", 1000}});
  const std::string trust = percent_encode(
      R"({"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":"*"}})", false);
  const std::string make = "Action=CreateRole&RoleName=r&AssumeRolePolicyDocument=" + trust;
  EXPECT_THAT(iam(make), HasSubstr(" 200 OK"));
  EXPECT_EQ(element(iam(make), "Code"), "EntityAlreadyExists");
  const std::string attach =
      "Action=AttachRolePolicy&RoleName=r&PolicyArn=arn:aws:iam::aws:policy/AmazonS3FullAccess";
  EXPECT_EQ(element(iam("Action=GetRole&RoleName=r"), "Code"), "NoSuchEntity");
  EXPECT_EQ(element(iam(attach), "Code"), "NoSuchEntity");
  EXPECT_THAT(iam("Action=ListRoles"), Not(HasSubstr("<RoleName>r</RoleName>")));
  admin.post("/settings", {{"role_lag_s", 0}});
  EXPECT_THAT(iam(attach), HasSubstr(" 200 OK"));
  EXPECT_THAT(iam("Action=ListRoles"), HasSubstr("<RoleName>r</RoleName>"));
}

TEST_F(Late, AGroupIsUsableBeforeItIsListed) {
  admin.post("/settings", {{"group_lag_s", 1000}});
  const std::string made = ec2("Action=CreateSecurityGroup&GroupName=g&GroupDescription=d");
  const std::string id = element(made, "groupId");
  EXPECT_EQ(element(ec2("Action=CreateSecurityGroup&GroupName=g&GroupDescription=d"), "Code"),
            "InvalidGroup.Duplicate");
  EXPECT_EQ(element(ec2("Action=DescribeSecurityGroups&GroupName.1=g"), "Code"),
            "InvalidGroup.NotFound");
  EXPECT_EQ(element(ec2("Action=DescribeSecurityGroups&GroupId.1=" + id), "Code"),
            "InvalidGroup.NotFound");
  EXPECT_THAT(ec2("Action=DescribeSecurityGroups"), Not(HasSubstr(id)));
  EXPECT_THAT(ec2(run_form("#!/bin/sh\n", "&SecurityGroupId.1=" + id)), HasSubstr(id));
  admin.post("/settings", {{"group_lag_s", 0}});
  EXPECT_EQ(element(ec2("Action=DescribeSecurityGroups&GroupName.1=g"), "groupId"), id);
  EXPECT_EQ(element(ec2("Action=DescribeSecurityGroups&GroupName.1=other"), "Code"),
            "InvalidGroup.NotFound");
}

TEST_F(Late, FiltersChooseAndUnknownOnesAreRefused) {
  ec2("Action=CreateKeyPair&KeyName=one");
  ec2("Action=CreateKeyPair&KeyName=two");
  const std::string pairs = "Action=DescribeKeyPairs&Filter.1.Name=key-name&Filter.1.Value.1=";
  EXPECT_THAT(ec2(pairs + "one"), HasSubstr("<keyName>one</keyName>"));
  EXPECT_THAT(ec2(pairs + "one"), Not(HasSubstr("<keyName>two</keyName>")));
  EXPECT_THAT(ec2(pairs + "none"), HasSubstr("<keySet>\n    </keySet>"));
  EXPECT_THAT(ec2(pairs + "t*"), HasSubstr("<keyName>two</keyName>"));
  EXPECT_THAT(ec2(pairs + "x&Filter.1.Value.2=two"), HasSubstr("<keyName>two</keyName>"));
  EXPECT_THAT(ec2(pairs + "one&Filter.2.Name=key-type&Filter.2.Value.1=ed25519"),
              Not(HasSubstr("<keyName>")));
  for (const char* action : {"DescribeKeyPairs", "DescribeSecurityGroups", "DescribeInstances"}) {
    EXPECT_EQ(
        element(ec2(std::string("Action=") + action + "&Filter.1.Name=colour&Filter.1.Value.1=x"),
                "Code"),
        "InvalidParameterValue");
    EXPECT_EQ(element(ec2(std::string("Action=") + action + "&Filter.1.Name=key-name"), "Code"),
              "InvalidParameterValue");
  }
  const std::string id =
      element(ec2(run_form("#!/bin/sh\nsleep 60\n", "&KeyName=one")), "instanceId");
  const std::string running =
      "Action=DescribeInstances&Filter.1.Name=instance-state-name&Filter.1.Value.1=running";
  EXPECT_THAT(ec2(running + "&Filter.2.Name=key-name&Filter.2.Value.1=one"), HasSubstr(id));
  EXPECT_THAT(ec2(running + "&Filter.2.Name=key-name&Filter.2.Value.1=two"), Not(HasSubstr(id)));
  EXPECT_THAT(ec2("Action=DescribeInstances&InstanceId.1=" + id +
                  "&Filter.1.Name=key-name&Filter.1.Value.1=two"),
              Not(HasSubstr(id)));
}

TEST_F(Late, ListsMayBeginWithOddEntriesAndAreStillLists) {
  Story story(fixture);
  story.sign_up();
  story.sign_in();
  const std::string id = story.new_key().access_key_id;
  admin.post("/settings", {{"odd_lists", true}});
  const Answer keys = story.web.get(kConsoleHost, "/keys");
  const auto list = keys.json()["keys"];
  EXPECT_EQ(list[0], 7);
  EXPECT_EQ(list.back()["id"], id);
  const Answer mails = story.mail("GET", "/messages");
  EXPECT_THAT(mails.body, HasSubstr(R"("address":"n\u006f-reply@signup.flexroom.example")"));
  EXPECT_EQ(mails.json()["hydra:member"][0], 7);
  EXPECT_GE(mails.json()["hydra:member"].size(), 7u);
}

}  // namespace
}  // namespace flexroom::cloud::test
