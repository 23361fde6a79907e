// Quotas and the support desk (operations.md (g)), and what the desk's mails say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "unit/cloud/browser.h"

namespace flexroom::cloud::test {
namespace {

using nlohmann::json;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const std::string kQuotas = "ServiceQuotasV20190624.";
const std::string kSupport = "AWSSupport_20130415.";
const json kQuota = {{"ServiceCode", "ec2"}, {"QuotaCode", "L-1216C47A"}};

/// A signed call of one of the JSON services.
Answer rpc(const Sandbox& sandbox, const AccountKey& key, Service service,
           const std::string& target, const std::string& body,
           const std::string& type = "application/x-amz-json-1.1") {
  const std::string host = std::string(to_string(service)) + ".us-east-1.amazonaws.com";
  Request request{
      "POST", "/", "", {{"host", host}, {"content-type", type}, {"x-amz-target", target}}, body};
  return parse_answer(exchange(sandbox, host, signed_request(key, service, request)));
}

class Desks : public testing::Test {
 protected:
  Desks() : story(fixture), key(fixture.sandbox->account("hospital-a")) {}
  /// The answer's object, or its code in __type.
  json quotas(const std::string& action, json body = kQuota) {
    return rpc(*fixture.sandbox, key, Service::kServiceQuotas, kQuotas + action, body.dump())
        .json();
  }
  json support(const std::string& action, const json& body = json::object()) {
    return rpc(*fixture.sandbox, key, Service::kSupport, kSupport + action, body.dump()).json();
  }
  json raise(double value) {
    json body = kQuota;
    body["DesiredValue"] = value;
    return quotas("RequestServiceQuotaIncrease", body);
  }
  std::string open_case(const std::string& subject = "More machines") {
    return support("CreateCase", {{"subject", subject}, {"communicationBody", "Please."}})
        .value("caseId", "");
  }
  /// Somebody who signed up, with a key: the desk mails to the address.
  void sign_up() {
    story.sign_up();
    story.sign_in();
    key = story.new_key();
  }
  std::vector<std::string> desk_mails() {
    std::vector<std::string> out;
    const auto list = story.mail("GET", "/messages").json();
    for (const auto& one : list["hydra:member"]) {
      if (one["from"]["address"] == "support@aws.flexroom.example") out.push_back(one["intro"]);
    }
    return out;
  }
  Fixture fixture;
  Story story;
  AccountKey key;
};

TEST_F(Desks, AQuotaRequestGoesItsWayAndRaisesWhatInstancesMayUse) {
  story.admin.post("/settings", {{"quota_case_s", 1000}});
  EXPECT_EQ(quotas("GetServiceQuota")["Quota"]["Value"], 64.0);
  EXPECT_EQ(quotas("ListServiceQuotas", {{"ServiceCode", "ec2"}})["Quotas"].size(), 1u);
  EXPECT_EQ(raise(64)["__type"], "IllegalArgumentException");  // no increase
  const json asked = raise(70)["RequestedQuota"];
  EXPECT_EQ(asked["Status"], "PENDING");
  const std::string id = asked["Id"];
  EXPECT_EQ(id.size(), 40u);
  EXPECT_EQ(quotas("GetRequestedServiceQuotaChange", {{"RequestId", id}})["RequestedQuota"], asked);
  EXPECT_EQ(raise(80)["__type"], "ResourceAlreadyExistsException");  // one open request a quota
  const auto listed = [&](const std::string& status) {
    json body = kQuota;
    body["Status"] = status;
    return quotas("ListRequestedServiceQuotaChangeHistoryByQuota", body)["RequestedQuotas"];
  };
  EXPECT_EQ(listed("PENDING")[0]["Id"], id);
  EXPECT_TRUE(listed("CASE_OPENED").empty());
  story.admin.post("/settings", {{"quota_case_s", 0}});
  EXPECT_TRUE(listed("PENDING").empty());
  EXPECT_THAT(listed("CASE_OPENED")[0]["CaseId"].get<std::string>(), StartsWith("case-"));
  EXPECT_EQ(support("DescribeCases")["cases"][0]["caseId"], listed("CASE_OPENED")[0]["CaseId"]);
  EXPECT_EQ(story.admin.post("/quotas", {{"id", id}, {"status", "MAYBE"}}), 400);
  EXPECT_EQ(story.admin.post("/quotas", {{"id", id}, {"status", "APPROVED"}}), 204);
  EXPECT_EQ(story.admin.post("/quotas", {{"id", id}, {"status", "DENIED"}}), 400);  // decided
  EXPECT_EQ(listed("APPROVED")[0]["Id"], id);
  EXPECT_EQ(quotas("GetServiceQuota")["Quota"]["Value"], 70.0);
  EXPECT_EQ(raise(80)["RequestedQuota"]["Status"], "PENDING");
}

TEST_F(Desks, ARequestIsDecidedByTheBehaviourAndADenialChangesNothing) {
  story.admin.post("/settings", {{"quota_case_s", 0}, {"quota_answer", "DENIED"}});
  const std::string id = raise(70)["RequestedQuota"]["Id"];
  EXPECT_EQ(
      quotas("GetRequestedServiceQuotaChange", {{"RequestId", id}})["RequestedQuota"]["Status"],
      "DENIED");
  EXPECT_EQ(quotas("GetServiceQuota")["Quota"]["Value"], 64.0);
  story.admin.post("/settings", {{"quota_answer", "SOMEHOW"}});  // no decision
  const std::string next = raise(70)["RequestedQuota"]["Id"];
  EXPECT_EQ(
      quotas("GetRequestedServiceQuotaChange", {{"RequestId", next}})["RequestedQuota"]["Status"],
      "CASE_OPENED");
}

TEST_F(Desks, ADecisionComesAfterItsTime) {
  story.admin.post("/settings",
                   {{"quota_case_s", 0}, {"quota_answer", "APPROVED"}, {"quota_answer_s", 2}});
  const auto begin = std::chrono::steady_clock::now();
  const std::string id = raise(70)["RequestedQuota"]["Id"];
  const auto state = [&] {
    return quotas("GetRequestedServiceQuotaChange", {{"RequestId", id}})["RequestedQuota"]["Status"]
        .get<std::string>();
  };
  EXPECT_EQ(state(), "CASE_OPENED");
  EXPECT_EQ(quotas("GetServiceQuota")["Quota"]["Value"], 64.0);
  while (state() != "APPROVED" &&
         std::chrono::steady_clock::now() - begin < std::chrono::seconds(10)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  // In whole seconds of its clock.
  EXPECT_GT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  EXPECT_EQ(state(), "APPROVED");
  EXPECT_EQ(quotas("GetServiceQuota")["Quota"]["Value"], 70.0);
}

TEST_F(Desks, TheQuotaIsOneThatRunInstancesKeeps) {
  sign_up();
  EXPECT_EQ(quotas("GetServiceQuota")["Quota"]["Value"], 8.0);
  const auto start = [&](const std::string& more) {
    return query_call(
        *fixture.sandbox, key, Service::kEc2, kEc2,
        "Action=RunInstances&Version=2016-11-15&ImageId=ami-0123456789abcdef0" + more);
  };
  EXPECT_EQ(element(start("&MinCount=5&MaxCount=5"), "Code"), "VcpuLimitExceeded");
  const std::string started = start("&MinCount=1&MaxCount=5");  // as many as may
  size_t count = 0;
  for (size_t at = 0; (at = started.find("<instanceId>", at)) != std::string::npos; ++at) ++count;
  EXPECT_EQ(count, 4u);
  EXPECT_EQ(element(start("&MinCount=1&MaxCount=1"), "Code"), "VcpuLimitExceeded");
  story.admin.post("/settings", {{"quota_case_s", 0}, {"quota_answer", "APPROVED"}});
  raise(10);
  EXPECT_THAT(start("&MinCount=1&MaxCount=1"), HasSubstr(" 200 OK"));
}

TEST_F(Desks, OtherQuotasOtherAccountsAndOddCallsAreRefused) {
  EXPECT_EQ(
      quotas("GetServiceQuota", {{"ServiceCode", "s3"}, {"QuotaCode", "L-1216C47A"}})["__type"],
      "NoSuchResourceException");
  EXPECT_EQ(quotas("GetServiceQuota", {{"ServiceCode", "ec2"}, {"QuotaCode", "L-0"}})["__type"],
            "NoSuchResourceException");
  EXPECT_EQ(raise(-1)["__type"], "ValidationException");
  EXPECT_EQ(raise(1e9)["__type"], "QuotaExceededException");
  json body = kQuota;
  body["DesiredValue"] = "70";
  EXPECT_EQ(quotas("RequestServiceQuotaIncrease", body)["__type"], "ValidationException");
  body["DesiredValue"] = 70;
  body["SupportCaseAllowed"] = true;
  EXPECT_EQ(quotas("RequestServiceQuotaIncrease", body)["__type"], "ValidationException");
  EXPECT_EQ(quotas("DoSomething")["__type"], "UnknownOperationException");
  const std::string id = raise(70)["RequestedQuota"]["Id"];
  key = fixture.sandbox->account("hospital-b");
  EXPECT_EQ(quotas("GetRequestedServiceQuotaChange", {{"RequestId", id}})["__type"],
            "NoSuchResourceException");
  EXPECT_TRUE(
      quotas("ListRequestedServiceQuotaChangeHistory", json::object())["RequestedQuotas"].empty());
}

TEST_F(Desks, ACaseAndItsWords) {
  EXPECT_EQ(support("DescribeCases")["cases"], json::array());
  const std::string id = open_case();
  EXPECT_THAT(id, StartsWith("case-" + key.account_id + "-"));
  EXPECT_LE(id.size(), 64u);
  const json one = support("DescribeCases")["cases"][0];
  EXPECT_EQ(one["subject"], "More machines");
  EXPECT_EQ(one["recentCommunications"]["communications"][0]["body"], "Please.");
  EXPECT_FALSE(support("DescribeCases", {{"includeCommunications", false}})["cases"][0].contains(
      "recentCommunications"));
  EXPECT_EQ(story.admin.post("/words", {{"case", id}, {"text", "It is done."}}), 204);
  EXPECT_EQ(story.admin.post("/words", {{"case", "case-0"}, {"text", "x"}}), 400);
  support("AddCommunicationToCase", {{"caseId", id}, {"communicationBody", "Thank you."}});
  const json words = support("DescribeCommunications", {{"caseId", id}})["communications"];
  ASSERT_EQ(words.size(), 3u);  // newest first
  EXPECT_EQ(words[0]["body"], "Thank you.");
  EXPECT_EQ(words[1]["body"], "It is done.");
  EXPECT_EQ(words[1]["submittedBy"], "Amazon Web Services");
  EXPECT_EQ(words[2]["submittedBy"], "hospital-a");
  EXPECT_EQ(support("ResolveCase", {{"caseId", id}})["finalCaseStatus"], "resolved");
  EXPECT_TRUE(support("DescribeCases")["cases"].empty());
  EXPECT_EQ(support("DescribeCases", {{"includeResolvedCases", true}})["cases"].size(), 1u);
  EXPECT_EQ(story.admin.last("saw", "case", id), "Please.");
}

TEST_F(Desks, CasesThatAreNoneOrOfOthersAreRefused) {
  EXPECT_EQ(support("CreateCase", {{"subject", "x"}})["__type"], "ValidationException");
  EXPECT_EQ(support("CreateCase",
                    {{"subject", "x"}, {"communicationBody", std::string(8001, 'x')}})["__type"],
            "ValidationException");
  EXPECT_EQ(support("CreateCase",
                    {{"subject", "x"}, {"communicationBody", "x"}, {"language", "xx"}})["__type"],
            "ValidationException");
  const std::string id = open_case();
  key = fixture.sandbox->account("hospital-b");
  EXPECT_EQ(support("DescribeCommunications", {{"caseId", id}})["__type"], "CaseIdNotFound");
  EXPECT_TRUE(support("DescribeCases")["cases"].empty());
  EXPECT_EQ(support("DescribeCases", {{"caseIdList", {id}}})["__type"], "CaseIdNotFound");
  EXPECT_EQ(support("ResolveCase", {{"caseId", id}})["__type"], "CaseIdNotFound");
  EXPECT_EQ(
      support("AddCommunicationToCase", {{"caseId", id}, {"communicationBody", "x"}})["__type"],
      "CaseIdNotFound");
  story.admin.post("/settings", {{"support_plan", false}});
  EXPECT_EQ(support("DescribeCases")["__type"], "SubscriptionRequiredException");
}

TEST_F(Desks, AnAccountHasSoManyOpenCasesAndListsComeInPages) {
  for (int i = 0; i < 50; ++i) ASSERT_NE(open_case("case " + std::to_string(i)), "");
  EXPECT_EQ(open_case(), "");
  const json first = support("DescribeCases", {{"maxResults", 30}});
  ASSERT_EQ(first["cases"].size(), 30u);
  EXPECT_EQ(first["cases"][0]["subject"], "case 49");
  const json rest =
      support("DescribeCases", {{"maxResults", 30}, {"nextToken", first["nextToken"]}});
  EXPECT_EQ(rest["cases"].size(), 20u);
  EXPECT_EQ(rest["cases"][19]["subject"], "case 0");
  EXPECT_FALSE(rest.contains("nextToken"));
  EXPECT_EQ(support("DescribeCases", {{"nextToken", "50"}})["__type"], "ValidationException");
  EXPECT_EQ(support("DescribeCases", {{"nextToken", "-1"}})["__type"], "ValidationException");
}

TEST_F(Desks, TheDeskAnswersByItselfLateAndByMailToWhoSignedUp) {
  sign_up();
  story.admin.post("/settings", {{"desk_words", "We are on it."}, {"desk_answer_s", 1}});
  const std::string id = open_case();
  ASSERT_NE(id, "");
  ASSERT_GE(desk_mails().size(), 1u);
  const auto words = [&] {
    return support("DescribeCommunications", {{"caseId", id}})["communications"];
  };
  EXPECT_EQ(words().back()["submittedBy"], story.address);  // desks repeat the account's address
  for (int i = 0; i < 100 && words().size() < 2; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_EQ(words()[0]["body"], "We are on it.");
  const auto mails = desk_mails();
  ASSERT_EQ(mails.size(), 2u);
  EXPECT_THAT(mails[0], StartsWith("We are on it."));
  EXPECT_THAT(mails[0], HasSubstr(story.address));
  story.admin.post("/settings", {{"desk_answer_s", 1000}});
  const std::string later = open_case("Still more");
  EXPECT_EQ(support("DescribeCommunications", {{"caseId", later}})["communications"].size(), 1u);
}

TEST_F(Desks, RefusalsOfTheSignatureAreThoseOfTheProtocol) {
  const auto refused = [&](const AccountKey& with, const std::string& target,
                           const std::string& body, const std::string& type) {
    return rpc(*fixture.sandbox, with, Service::kSupport, target, body, type).at("__type");
  };
  const std::string target = kSupport + "DescribeCases", type = "application/x-amz-json-1.1";
  EXPECT_EQ(refused(key, target, "{}", type), "");
  EXPECT_EQ(refused(key, target, "{", type), "SerializationException");
  EXPECT_EQ(refused(key, target, "[]", type), "SerializationException");
  EXPECT_EQ(refused(key, target, R"({"language":"en","language":"ja"})", type),
            "SerializationException");
  EXPECT_EQ(refused(key, target, "{}", "text/plain"), "SerializationException");
  EXPECT_EQ(refused(key, "Other." + target, "{}", type), "UnknownOperationException");
  AccountKey other = key;
  other.secret_access_key = std::string(40, 'x');
  EXPECT_EQ(refused(other, target, "{}", type), "InvalidSignatureException");
  other.access_key_id = "AKIAIOSFODNN7EXAMPLE";
  EXPECT_EQ(refused(other, target, "{}", type), "UnrecognizedClientException");
}

TEST_F(Desks, PoliciesHoldForBothDesks) {
  const auto iam = [&](const std::string& form) {
    return query_call(*fixture.sandbox, fixture.sandbox->account("hospital-a"), Service::kIam, kIam,
                      form + "&Version=2010-05-08");
  };
  iam("Action=CreateUser&UserName=clerk");
  const std::string made = iam("Action=CreateAccessKey&UserName=clerk");
  key = {key.account_id, element(made, "AccessKeyId"), element(made, "SecretAccessKey")};
  EXPECT_EQ(support("DescribeCases")["__type"], "AccessDeniedException");
  EXPECT_EQ(raise(70)["__type"], "AccessDeniedException");
  iam("Action=AttachUserPolicy&UserName=clerk&PolicyArn=arn:aws:iam::aws:policy/AWSSupportAccess");
  EXPECT_TRUE(support("DescribeCases").contains("cases"));
  EXPECT_EQ(raise(70)["__type"], "AccessDeniedException");
  iam("Action=AttachUserPolicy&UserName=clerk&PolicyArn="
      "arn:aws:iam::aws:policy/ServiceQuotasFullAccess");
  EXPECT_EQ(raise(70)["RequestedQuota"]["Status"], "PENDING");
}

}  // namespace
}  // namespace flexroom::cloud::test
