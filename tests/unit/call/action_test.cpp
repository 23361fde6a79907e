#include "call/action.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "call/open_call.h"

// B1 and B4 of the findings: which action a request asks for, of which service, at which host.

namespace flexroom {
namespace {

using ::testing::HasSubstr;

constexpr const char* kDate = "20260102T030405Z";
constexpr const char* kForm = "application/x-www-form-urlencoded; charset=utf-8";

struct Request {
  std::string line = "POST /";
  std::string host = "sts.us-east-1.amazonaws.com";
  std::string type = kForm;
  std::string more;  // header lines, not signed
  std::string body = "Action=GetCallerIdentity&Version=2011-06-15";
  std::string service = "sts", region = "us-east-1";
  std::string slots;
};

std::string refusal(const Request& r) {
  const std::string text = R"([recipe]
name = "r"
provider = "aws"
host = ")" + r.host + R"("
open = "everything to all"
request = """
)" + r.line + R"( HTTP/1.1
Host: )" + r.host + "\n" + (r.type.empty() ? "" : "Content-Type: " + r.type + "\n") +
                           r.more +
                           R"(X-Amz-Date: {{amz-date}}
Authorization: AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/{{amz-day}}/)" +
                           r.region + "/" + r.service + "/aws4_request, SignedHeaders=" +
                           (r.type.empty() ? "" : "content-type;") + "host;x-amz-date" +
                           (r.more.starts_with("X-Amz-Target") ? ";x-amz-target" : "") +
                           R"(, Signature={{signature}}
Connection: close
Content-Length: {{content-length}}

)" + r.body + R"("""

[sign]
secret = "k"
region = ")" + r.region + R"("
service = ")" + r.service + "\"\n" +
                           r.slots;
  const auto path = std::filesystem::path(::testing::TempDir()) /
                    ("action-" + std::to_string(getpid()) + ".toml");
  std::ofstream(path) << text;
  try {
    const OpenCall call = fill_recipe(Recipe::load(path), {}, kDate);
    return "makes " + call.action.text;
  } catch (const InputError& error) {
    return error.what();
  }
}

TEST(Action, IsReadAsTheServiceReadsIt) {
  EXPECT_EQ(refusal({}), "makes sts:GetCallerIdentity");
  Request query;
  query.line = "GET /?Action=GetCallerIdentity&Version=2011-06-15";
  query.type = query.body = "";
  EXPECT_EQ(refusal(query), "makes sts:GetCallerIdentity");
  Request put;
  put.line = "PUT /data/key.csv";
  put.host = "bucket.s3.eu-west-1.amazonaws.com";
  put.service = "s3";
  put.region = "eu-west-1";
  put.type = "text/csv";
  put.body = "a,b";
  EXPECT_EQ(refusal(put), "makes s3:PutObject");
  put.line = "PUT /bucket";
  put.host = "s3.eu-west-1.amazonaws.com";
  put.type = put.body = "";
  EXPECT_EQ(refusal(put), "makes s3:CreateBucket");
  Request parameter;
  parameter.host = "ssm.us-east-1.amazonaws.com";
  parameter.service = "ssm";
  parameter.type = "application/x-amz-json-1.1";
  parameter.more = "X-Amz-Target: AmazonSSM.GetParameter\n";
  parameter.body = R"({"Name": "/aws/service/ami-amazon-linux-latest/al2023"})";
  EXPECT_EQ(refusal(parameter), "makes ssm:GetParameter");
  parameter.body = R"({"Name": "/aws/services/../secret"})";
  EXPECT_THAT(refusal(parameter), HasSubstr("'ssm:GetParameter' is not on the list"));
}

// tls-in-mpc.md §4.6 R2-3: every action of the list, and the neighbours that must not be on it.
TEST(Action, TheListHoldsWhatTheSpecificationSaysAndNothingElse) {
  const auto query = [](const std::string& service, const std::string& name) {
    Request r;
    r.service = service;
    r.host = service == "iam" ? "iam.amazonaws.com" : service + ".us-east-1.amazonaws.com";
    r.body = "Action=" + name + "&Version=2016-11-15";
    return refusal(r);
  };
  for (const char* name : {"RunInstances", "DescribeInstances", "TerminateInstances",
                           "DescribeImages", "DescribeKeyPairs", "CreateSecurityGroup"}) {
    EXPECT_EQ(query("ec2", name), std::string("makes ec2:") + name);
  }
  for (const char* name : {"CreateRole", "AttachRolePolicy"}) {
    EXPECT_EQ(query("iam", name), std::string("makes iam:") + name);
  }
  for (const auto& [service, name] : {std::pair("ec2", "CreateKeyPair"),
                                      {"ec2", "GetPasswordData"},
                                      {"ec2", "GetConsoleOutput"},
                                      {"ec2", "DescribeInstanceAttribute"},
                                      {"ec2", "ImportKeyPair"},
                                      {"ec2", "DescribeSecurityGroups"},
                                      {"ec2", "DescribeRegions"},
                                      {"ec2", "DescribeInstanceStatus"},
                                      {"iam", "CreateAccessKey"},
                                      {"iam", "GetRole"},
                                      {"iam", "CreateLoginProfile"},
                                      {"iam", "AttachUserPolicy"},
                                      {"sts", "GetSessionToken"},
                                      {"sts", "AssumeRole"},
                                      {"sts", "AssumeRoleWithWebIdentity"},
                                      {"sts", "GetFederationToken"}}) {
    EXPECT_THAT(query(service, name), HasSubstr("is not on the list")) << name;
  }
  const auto json = [](const std::string& service, const std::string& target,
                       const std::string& body) {
    Request r;
    r.service = service;
    r.host = (service == "sagemaker" ? "api." : "") + service + ".us-east-1.amazonaws.com";
    r.type = "application/x-amz-json-1.1";
    r.more = "X-Amz-Target: " + target + "\n";
    r.body = body;
    return refusal(r);
  };
  EXPECT_EQ(json("sagemaker", "SageMaker.CreateTrainingJob", R"({"TrainingJobName": "a"})"),
            "makes sagemaker:CreateTrainingJob");
  EXPECT_THAT(json("sagemaker", "SageMaker.CreatePresignedNotebookInstanceUrl",
                   R"({"NotebookInstanceName": "a"})"),
              HasSubstr("is not on the list"));
  for (const char* body :
       {R"({"Name": "/aws/servic"})", R"({"Name": "/prod/db/password"})",
        R"({"name": "/aws/service/x"})",
        R"({"Name": "arn:aws:ssm:us-east-1:111122223333:parameter/aws/service/x"})",
        R"({"Names": ["/aws/service/x"]})", R"({"x": {"Name": "/aws/service/x"}})"}) {
    EXPECT_THAT(json("ssm", "AmazonSSM.GetParameter", body), HasSubstr("is not on the list"))
        << body;
  }
  EXPECT_THAT(json("ssm", "AmazonSSM.GetParameters", R"({"Names": ["/aws/service/x"]})"),
              HasSubstr("is not on the list"));
  EXPECT_THAT(json("ssm", "AmazonSSM.GetParametersByPath", R"({"Path": "/aws/service/x"})"),
              HasSubstr("is not on the list"));
}

TEST(Action, OfObjectStoresTheListHoldsWhatReadsNothing) {
  const auto s3 = [](const std::string& line, const std::string& more = "") {
    Request r;
    r.line = line;
    r.host = "bucket.s3.eu-west-1.amazonaws.com";
    r.service = "s3";
    r.region = "eu-west-1";
    r.type = r.body = "";
    r.more = more;
    return refusal(r);
  };
  EXPECT_EQ(s3("PUT /key"), "makes s3:PutObject");
  EXPECT_EQ(s3("DELETE /key"), "makes s3:DeleteObject");
  EXPECT_EQ(s3("PUT /"), "makes s3:CreateBucket");
  for (const char* line : {"GET /key", "GET /", "HEAD /", "HEAD /key", "POST /key", "DELETE /",
                           "PUT /key?acl", "GET /?policy", "DELETE /key?versionId=1"}) {
    EXPECT_THAT(s3(line), HasSubstr("is not on the list")) << line;
  }
  for (const char* more : {"X-Amz-Copy-Source: /other/secret\n",
                           "X-Amz-Server-Side-Encryption-Customer-Algorithm: AES256\n",
                           "X-Amz-Server-Side-Encryption-Context: e30=\n"}) {
    EXPECT_THAT(s3("PUT /key", more), HasSubstr("is not on the list")) << more;
  }
  EXPECT_THAT(s3("PUT /key", "X-Amz-Security-Token: abc\n"), HasSubstr("in its header"));
}

// The exact requests of the findings: the account's session credentials came back to all.
TEST(Action, NoSpellingHidesAnAction) {
  const auto with = [](const std::function<void(Request&)>& change) {
    Request r;
    change(r);
    return refusal(r);
  };
  EXPECT_THAT(with([](Request& r) {
                r.line = "POST /?Action=GetSessionToken&Version=2011-06-15";
                r.type = "text/plain";
              }),
              HasSubstr("in its query and in its body"));
  EXPECT_THAT(with([](Request& r) { r.type = "text/plain"; }), HasSubstr("reads forms"));
  EXPECT_THAT(with([](Request& r) { r.type = ""; }), HasSubstr("no Content-Type"));
  EXPECT_THAT(with([](Request& r) { r.type = "application/json"; }), HasSubstr("not JSON"));
  EXPECT_THAT(with([](Request& r) { r.line = "POST /?Action=GetSessionToken"; }),
              HasSubstr("in its query and in its body"));
  EXPECT_THAT(with([](Request& r) { r.line = "POST /?Version=2011-06-15"; }),
              HasSubstr("in its query and in its body"));
  EXPECT_THAT(with([](Request& r) { r.body = "%41ction=GetSessionToken&Version=2011-06-15"; }),
              HasSubstr("needs no escape"));
  EXPECT_THAT(with([](Request& r) { r.body += "&%41ction=GetSessionToken"; }),
              HasSubstr("needs no escape"));
  EXPECT_THAT(with([](Request& r) { r.body = "Action=%47etSessionToken"; }),
              HasSubstr("needs no escape"));
  EXPECT_THAT(with([](Request& r) { r.body += "&Action=GetSessionToken"; }), HasSubstr("twice"));
  EXPECT_THAT(with([](Request& r) { r.body += "&action=GetSessionToken"; }), HasSubstr("twice"));
  EXPECT_THAT(with([](Request& r) { r.body = "Action=GetSessionToken"; }),
              HasSubstr("'sts:GetSessionToken' is not on the list"));
  EXPECT_THAT(with([](Request& r) { r.body = "Version=2011-06-15"; }), HasSubstr("no Action"));
  EXPECT_THAT(with([](Request& r) { r.body = "Action=GetCallerIdentity+"; }),
              HasSubstr("plain text"));
  EXPECT_THAT(with([](Request& r) { r.line = "GET /?Action=GetSessionToken"; }),
              HasSubstr("has a body"));
  EXPECT_THAT(with([](Request& r) {
                r.line = "GET /?Action=GetSessionToken";
                r.type = r.body = "";
              }),
              HasSubstr("not on the list"));
  EXPECT_THAT(with([](Request& r) { r.line = "POST /x"; }), HasSubstr("another path"));
  EXPECT_THAT(with([](Request& r) { r.line = "PUT /"; }), HasSubstr("use POST"));
  EXPECT_THAT(with([](Request& r) {
                r.more = "X-Amz-Target: AWSSecurityTokenServiceV20110615.GetSessionToken\n";
              }),
              HasSubstr("X-Amz-Target"));
  EXPECT_THAT(with([](Request& r) {
                r.line = "GET /?Action=GetCallerIdentity&X-Amz-Security-Token=x";
                r.type = r.body = "";
              }),
              HasSubstr("X-Amz-Security-Token"));
}

// A session token is a credential, and errors print the request that carries it: in no place.
TEST(Action, NoPlaceTakesASessionToken) {
  for (const char* name : {"X-Amz-Security-Token", "x-amz-security-token", "SecurityToken",
                           "X-Amz-Signature", "X-AMZ-Credential"}) {
    Request form;
    form.body += std::string("&") + name + "=x";
    EXPECT_THAT(refusal(form), HasSubstr(std::string("has '") + name + "' in its body"));
    Request query;
    query.line = std::string("GET /?Action=GetCallerIdentity&") + name + "=x";
    query.type = query.body = "";
    EXPECT_THAT(refusal(query), HasSubstr(std::string("has '") + name + "' in its query"));
    for (const std::string& json :
         {std::string(R"({"Name": "/aws/service/x", ")") + name + R"(": "x"})",
          std::string(R"({"Name": "/aws/service/x", "a": [{")") + name + R"(": {"b": "x"}}]})",
          std::string(R"({"Name": "/aws/service/x", "a": "{\\")") + name +
              R"(\\": \\"{{n}}\\"}"})"}) {
      Request r;
      r.host = "ssm.us-east-1.amazonaws.com";
      r.service = "ssm";
      r.type = "application/x-amz-json-1.1";
      r.more = "X-Amz-Target: AmazonSSM.GetParameter\n";
      r.body = json;
      if (json.find("{{n}}") != std::string::npos) r.slots = "[slot.n]\nsource = \"random\"\n";
      EXPECT_THAT(refusal(r), HasSubstr(std::string("has '") + name + "' in its body")) << json;
    }
  }
  for (const char* header : {"X-Amz-Security-Token: abc\n", "SecurityToken: abc\n"}) {
    Request r;
    r.more = header;
    EXPECT_THAT(refusal(r), HasSubstr("in its header")) << header;
  }
}

TEST(Action, HostServiceAndRegionBelongTogether) {
  const auto with = [](const std::string& host, const std::string& service,
                       const std::string& region) {
    Request r;
    r.host = host;
    r.service = service;
    r.region = region;
    return refusal(r);
  };
  EXPECT_EQ(with("sts.amazonaws.com", "sts", "us-east-1"), "makes sts:GetCallerIdentity");
  for (const auto& [host, service, region] :
       {std::tuple("sts.us-east-1.amazonaws.com", "ec2", "us-east-1"),
        std::tuple("sts.us-east-1.amazonaws.com", "sts", "eu-west-1"),
        std::tuple("secretsmanager.us-east-1.amazonaws.com", "sts", "us-east-1"),
        std::tuple("iam.amazonaws.com", "sts", "us-east-1"),
        std::tuple("sts.us-east-1.amazonaws.com.example.com", "sts", "us-east-1"),
        std::tuple("x.sts.us-east-1.amazonaws.com", "sts", "us-east-1"),
        std::tuple("evil.example.com", "sts", "us-east-1"),
        std::tuple("sts.us-east-1.amazonaws.com", "nothing", "us-east-1")}) {
    EXPECT_THAT(with(host, service, region),
                ::testing::AnyOf(HasSubstr("does not belong"), HasSubstr("not in our table"),
                                 HasSubstr("no Action"), HasSubstr("reads")))
        << host << " " << service;
  }
  Request copy;  // another signed action of S3, by header or sub-resource
  copy.host = "b.s3.us-east-1.amazonaws.com";
  copy.service = "s3";
  copy.type = copy.body = "";
  copy.line = "PUT /key?acl";
  EXPECT_THAT(refusal(copy), HasSubstr("'s3:?' is not on the list"));
  copy.line = "GET /key";
  EXPECT_THAT(refusal(copy), HasSubstr("'s3:?' is not on the list"));
}

TEST(OpenCalls, EntriesNameHostActionAndPosition) {
  http::RequestModel model;
  model.host = "llm.example.com";
  model.method = "POST";
  model.path = {"v1", "abc", "chat"};
  CallAction action;
  const auto hit = [&](const std::string& entry, const std::string& position) {
    return opens(entry, action, model, position, "test");
  };
  const std::string url = "POST https://llm.example.com/v1/*/chat ";
  EXPECT_TRUE(hit(url + "header authorization", "header authorization"));
  EXPECT_FALSE(hit(url + "header authorization", "json /text"));
  EXPECT_FALSE(hit("GET https://llm.example.com/v1/*/chat body", "body"));
  EXPECT_FALSE(hit("POST https://llm.example.com/v1/* body", "body"));
  EXPECT_FALSE(hit("POST https://llm.example.com/* body", "body"));
  EXPECT_FALSE(hit("POST https://x.example.com/v1/*/chat body", "body"));
  action.service = aws_service("ec2");
  action.text = "ec2:CreateTags";
  model.host = "ec2.us-east-1.amazonaws.com";
  EXPECT_TRUE(
      hit("ec2.us-east-1.amazonaws.com ec2:CreateTags form Tag.1.Value", "form Tag.1.Value"));
  EXPECT_FALSE(
      hit("ec2.us-east-1.amazonaws.com ec2:RunInstances form Tag.1.Value", "form Tag.1.Value"));
  EXPECT_FALSE(
      hit("ec2.eu-west-1.amazonaws.com ec2:CreateTags form Tag.1.Value", "form Tag.1.Value"));
  // A URL opened every action of it once.
  EXPECT_FALSE(
      hit("POST https://ec2.us-east-1.amazonaws.com/ form InstanceId.1", "form InstanceId.1"));
  for (const char* bad :
       {"", "POST", "POST https://llm.example.com/v1", "POST https://llm.example.com body",
        "POST http://llm.example.com/v1 body", "POST https://llm.example.com/v1 cookie c",
        "POST https://llm.example.com/v1?q header h", "h.example.com ec2 form x",
        "POST https://llm.example.com/v1 form x={{}}", "H.example ec2:X form x"}) {
    EXPECT_THROW(hit(bad, "body"), InputError) << bad;
  }
}

}  // namespace
}  // namespace flexroom
