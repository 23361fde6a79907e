#include "cloud/sandbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit/cloud/client.h"

namespace flexroom::cloud::test {
namespace sandbox_test {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr const char* kSts = "sts.amazonaws.com";
constexpr const char* kHost = "box-1.s3.us-east-1.amazonaws.com";
constexpr const char* kWhoAmI = "Action=GetCallerIdentity&Version=2011-06-15";

class SandboxTest : public testing::Test {
 protected:
  SandboxTest() : joint(box().account("joint")), other(box().account("hospital-a")) {}
  static void SetUpTestSuite() { fixture_ = new Fixture; }
  static void TearDownTestSuite() { delete fixture_; }
  static Sandbox& box() { return *fixture_->sandbox; }
  static Fixture* fixture_;
  AccountKey joint, other;
};
Fixture* SandboxTest::fixture_ = nullptr;

TEST_F(SandboxTest, GoodSignatureIsAccepted) {
  const std::string answer = query_call(box(), joint, Service::kSts, kSts, kWhoAmI);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK"));
  EXPECT_EQ(element(answer, "Account"), joint.account_id);
}

TEST_F(SandboxTest, WrongSecretIsRefusedInTheFormatOfTheService) {
  CallOptions wrong;
  wrong.secret = std::string(40, 'x');
  const std::string sts = query_call(box(), joint, Service::kSts, kSts, kWhoAmI, wrong);
  EXPECT_THAT(sts, StartsWith("HTTP/1.1 403 Forbidden"));
  EXPECT_THAT(sts, HasSubstr("<Type>Sender</Type>"));
  EXPECT_EQ(element(sts, "Code"), "SignatureDoesNotMatch");
  const std::string ec2 =
      query_call(box(), joint, Service::kEc2, kEc2, "Action=DescribeInstances", wrong);
  EXPECT_THAT(ec2, StartsWith("HTTP/1.1 401 Unauthorized"));
  EXPECT_THAT(ec2, HasSubstr("<Response><Errors><Error><Code>AuthFailure</Code>"));
  const std::string s3 = s3_call(box(), joint, "GET", "s3.us-east-1.amazonaws.com", "/", "", wrong);
  EXPECT_THAT(s3, StartsWith("HTTP/1.1 403 Forbidden"));
  EXPECT_EQ(element(s3, "Code"), "SignatureDoesNotMatch");
  EXPECT_THAT(s3, HasSubstr("<CanonicalRequest>GET\n/\n\nhost:s3.us-east-1.amazonaws.com\n"));
}

TEST_F(SandboxTest, UnknownKeyMissingTokenAndUnknownActionAreRefused) {
  AccountKey nobody = joint;
  nobody.access_key_id = "AKIAIOSFODNN7EXAMPLE";
  EXPECT_EQ(element(query_call(box(), nobody, Service::kSts, kSts, kWhoAmI), "Code"),
            "InvalidClientTokenId");
  EXPECT_EQ(element(s3_call(box(), nobody, "GET", "s3.amazonaws.com", "/"), "Code"),
            "InvalidAccessKeyId");
  EXPECT_THAT(exchange(box(), kSts,
                       "GET /?" + std::string(kWhoAmI) + " HTTP/1.1\r\nHost: " + kSts +
                           "\r\nConnection: close\r\n\r\n"),
              HasSubstr("MissingAuthenticationToken"));
  EXPECT_EQ(element(query_call(box(), joint, Service::kIam, kIam, "Action=BuyIsland"), "Code"),
            "InvalidAction");
}

TEST_F(SandboxTest, OldAndFutureSignaturesAreRefused) {
  CallOptions late, early, within;
  late.time -= 301;
  early.time += 310;
  within.time -= 240;
  EXPECT_THAT(query_call(box(), joint, Service::kSts, kSts, kWhoAmI, late),
              HasSubstr("Signature expired"));
  EXPECT_THAT(query_call(box(), joint, Service::kSts, kSts, kWhoAmI, early),
              HasSubstr("Signature not yet current"));
  EXPECT_THAT(query_call(box(), joint, Service::kSts, kSts, kWhoAmI, within), HasSubstr(" 200 OK"));
  // S3 allows a quarter of an hour.
  EXPECT_THAT(s3_call(box(), joint, "GET", "s3.amazonaws.com", "/", "", late),
              HasSubstr(" 200 OK"));
  late.time -= 601;
  EXPECT_EQ(element(s3_call(box(), joint, "GET", "s3.amazonaws.com", "/", "", late), "Code"),
            "RequestTimeTooSkewed");
}

TEST_F(SandboxTest, AlteredBodyIsRefused) {
  std::string text =
      signed_request(joint, Service::kSts,
                     {"POST",
                      "/",
                      "",
                      {{"host", kSts}, {"content-type", "application/x-www-form-urlencoded"}},
                      kWhoAmI});
  text.back() = '6';
  EXPECT_THAT(exchange(box(), kSts, text), HasSubstr("SignatureDoesNotMatch"));
}

TEST_F(SandboxTest, ConflictingFramingIsRefused) {
  const std::string head = "POST / HTTP/1.1\r\nHost: sts.amazonaws.com\r\n";
  for (const char* framing : {"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                              "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                              "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
                              "Host: other\r\nContent-Length: 0\r\n\r\n"}) {
    const std::string answer = exchange(box(), kSts, head + framing);
    EXPECT_THAT(answer, testing::AnyOf(StartsWith("HTTP/1.1 400"), StartsWith("HTTP/1.1 501")))
        << framing;
  }
  EXPECT_EQ(exchange(box(), "www.example.com", ""), "TLS failed");
}

TEST_F(SandboxTest, ObjectsBelongToTheirAccount) {
  EXPECT_THAT(s3_call(box(), joint, "PUT", kHost, "/"), HasSubstr(" 200 OK"));
  const std::string put = s3_call(box(), joint, "PUT", kHost, "/d/a%20b", "hello");
  EXPECT_THAT(put, HasSubstr("ETag: \"5d41402abc4b2a76b9719d911017c592\""));
  EXPECT_THAT(s3_call(box(), joint, "GET", kHost, "/d/a%20b"), HasSubstr("\r\n\r\nhello"));
  EXPECT_EQ(element(s3_call(box(), other, "GET", kHost, "/d/a%20b"), "Code"), "AccessDenied");
  EXPECT_EQ(element(s3_call(box(), other, "PUT", kHost, "/x", "1"), "Code"), "AccessDenied");
  EXPECT_EQ(element(s3_call(box(), joint, "GET", kHost, "/nope"), "Code"), "NoSuchKey");
  EXPECT_EQ(element(s3_call(box(), joint, "DELETE", kHost, "/"), "Code"), "BucketNotEmpty");
  CallOptions wrong_hash;
  wrong_hash.payload_hash = std::string(64, '0');
  EXPECT_EQ(element(s3_call(box(), joint, "PUT", kHost, "/x", "1", wrong_hash), "Code"),
            "XAmzContentSHA256Mismatch");
  // Anonymous: refused, unless the object was put with a public ACL.
  const std::string plain =
      std::string(" HTTP/1.1\r\nHost: ") + kHost + "\r\nConnection: close\r\n\r\n";
  EXPECT_EQ(element(exchange(box(), kHost, "GET /d/a%20b" + plain), "Code"), "AccessDenied");
  CallOptions acl;
  acl.headers = {{"x-amz-acl", "public-read"}};
  EXPECT_THAT(s3_call(box(), joint, "PUT", kHost, "/open", "seen", acl), HasSubstr(" 200 OK"));
  EXPECT_THAT(exchange(box(), kHost, "GET /open" + plain), HasSubstr("\r\n\r\nseen"));
}

TEST_F(SandboxTest, PresignedUrlsWorkUntilTheyExpire) {
  s3_call(box(), joint, "PUT", kHost, "/");
  const auto get = [&](const std::string& target) {
    return exchange(
        box(), kHost,
        "GET " + target + " HTTP/1.1\r\nHost: " + kHost + "\r\nConnection: close\r\n\r\n");
  };
  const std::string target = presigned_target(joint, "PUT", kHost, "/p", 60);
  EXPECT_THAT(exchange(box(), kHost,
                       "PUT " + target + " HTTP/1.1\r\nHost: " + kHost +
                           "\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"),
              HasSubstr(" 200 OK"));
  EXPECT_THAT(get(presigned_target(joint, "GET", kHost, "/p", 60)), HasSubstr("\r\n\r\nhi"));
  EXPECT_THAT(get(target), HasSubstr("SignatureDoesNotMatch"));  // signed for PUT
  EXPECT_THAT(get(presigned_target(joint, "GET", kHost, "/p", 60, std::time(nullptr) - 61)),
              HasSubstr("Request has expired"));
  EXPECT_EQ(element(get(presigned_target(joint, "GET", kHost, "/p", 604801)), "Code"),
            "AuthorizationQueryParametersError");
  EXPECT_EQ(element(get(presigned_target(other, "GET", kHost, "/p", 60)), "Code"), "AccessDenied");
}

TEST_F(SandboxTest, UserWithoutPolicyMayDoNothing) {
  query_call(box(), joint, Service::kIam, kIam, "Action=CreateUser&UserName=eve");
  const std::string made =
      query_call(box(), joint, Service::kIam, kIam, "Action=CreateAccessKey&UserName=eve");
  AccountKey eve{joint.account_id, element(made, "AccessKeyId"), element(made, "SecretAccessKey")};
  EXPECT_THAT(query_call(box(), eve, Service::kSts, kSts, kWhoAmI), HasSubstr("user/eve"));
  EXPECT_EQ(
      element(query_call(box(), eve, Service::kEc2, kEc2, "Action=DescribeInstances"), "Code"),
      "UnauthorizedOperation");
  EXPECT_EQ(element(query_call(box(), eve, Service::kIam, kIam, "Action=GetUser"), "Code"),
            "AccessDenied");
}

TEST_F(SandboxTest, ClientTokenMakesRunInstancesIdempotent) {
  const std::string form = run_form("#!/bin/sh\nsleep 60\n", "&ClientToken=t-1");
  const std::string first = query_call(box(), joint, Service::kEc2, kEc2, form);
  const std::string id = element(first, "instanceId");
  ASSERT_THAT(id, StartsWith("i-0"));
  EXPECT_THAT(first, HasSubstr("<name>pending</name>"));
  EXPECT_EQ(element(query_call(box(), joint, Service::kEc2, kEc2, form), "instanceId"), id);
  EXPECT_EQ(element(query_call(box(), joint, Service::kEc2, kEc2, form + "&KeyName=k"), "Code"),
            "IdempotentParameterMismatch");
  EXPECT_EQ(element(query_call(box(), other, Service::kEc2, kEc2,
                               "Action=TerminateInstances&InstanceId.1=" + id),
                    "Code"),
            "InvalidInstanceID.NotFound");
  EXPECT_THAT(
      query_call(box(), joint, Service::kEc2, kEc2, "Action=TerminateInstances&InstanceId.1=" + id),
      HasSubstr("<name>shutting-down</name>"));
  wait_for(box(), joint, id, "terminated");
  const auto again = [&](const std::string& more) {
    return element(query_call(box(), joint, Service::kEc2, kEc2, form + more), "Code");
  };
  EXPECT_EQ(again(""), "IdempotentInstanceTerminated");
  EXPECT_EQ(again("&KeyName=k"), "IdempotentParameterMismatch");
}

TEST_F(SandboxTest, RunInstancesChecksItsParameters) {
  const auto code = [&](const std::string& form) {
    return element(query_call(box(), joint, Service::kEc2, kEc2, form), "Code");
  };
  EXPECT_EQ(code("Action=RunInstances&ImageId=ami-0123456789abcdef0&MaxCount=1"),
            "MissingParameter");
  EXPECT_EQ(code("Action=RunInstances&ImageId=ami-00000000000000000&MinCount=1&MaxCount=1"),
            "InvalidAMIID.NotFound");
  EXPECT_EQ(code("Action=RunInstances&ImageId=ami-0123456789abcdef0&MinCount=2&MaxCount=1"),
            "InvalidParameterCombination");
  EXPECT_EQ(code(run_form(std::string(16385, 'x'))), "InvalidParameterValue");
  EXPECT_EQ(code(run_form("x", "&IamInstanceProfile.Name=none")), "InvalidParameterValue");
}

TEST_F(SandboxTest, VmRunsItsUserDataAndWritesItsResultThroughAPresignedPut) {
  s3_call(box(), joint, "PUT", kHost, "/");
  const std::string url =
      std::string("https://") + kHost + presigned_target(joint, "PUT", kHost, "/result", 300);
  const std::string script = "#!/bin/bash\necho from-the-vm > r\ncurl -fsS -T r '" + url +
                             "' && echo uploaded\nshutdown -h now\nsleep 60\n";
  const std::string id =
      element(query_call(box(), joint, Service::kEc2, kEc2,
                         run_form(script, "&InstanceInitiatedShutdownBehavior=terminate")),
              "instanceId");
  EXPECT_THAT(wait_for(box(), joint, id, "terminated"), HasSubstr("uploaded"));
  EXPECT_THAT(s3_call(box(), joint, "GET", kHost, "/result"), HasSubstr("\r\n\r\nfrom-the-vm\n"));
}

TEST_F(SandboxTest, VmCannotReadTheStateFolder) {
  if (const auto why = why_not_apart(box()); !why.empty()) GTEST_SKIP() << why;
  const std::string state = (fixture_->dir / "state/accounts.json").string();
  ::setenv("FLEXROOM_TEST_SECRET", "inherited", 1);
  // Says only whether it could read, never what: a failure must not print the machine's secrets.
  const std::string script = "#!/bin/bash\n(: < '" + state +
                             "') 2>/dev/null && echo READ-STATE\n"
                             "(: < /etc/shadow) 2>/dev/null && echo READ-SHADOW\n"
                             "[ -n \"$FLEXROOM_TEST_SECRET\" ] && echo INHERITED\n"
                             "[ \"$(ls -d /proc/[0-9]* | wc -l)\" -gt 10 ] && echo SEES-PROCESSES\n"
                             "echo uid $(id -u); shutdown now; sleep 60\n";
  const std::string id =
      element(query_call(box(), joint, Service::kEc2, kEc2, run_form(script)), "instanceId");
  const std::string console = wait_for(box(), joint, id, "stopped");
  ::unsetenv("FLEXROOM_TEST_SECRET");
  EXPECT_THAT(console, HasSubstr("uid 19000"));
  EXPECT_THAT(console, Not(HasSubstr("READ-")));
  EXPECT_THAT(console, Not(HasSubstr("INHERITED")));
  EXPECT_THAT(console, Not(HasSubstr("SEES-PROCESSES")));
}

TEST(SandboxFailures, FailRateOneNeverAnswersWithSuccess) {
  SandboxOptions options;
  options.fail_rate = 1;
  Fixture fixture(options);
  const AccountKey key = fixture.sandbox->account("joint");
  for (int i = 0; i < 8; ++i) {
    const std::string answer = query_call(*fixture.sandbox, key, Service::kSts, kSts, kWhoAmI);
    EXPECT_TRUE(answer.empty() || answer.starts_with("HTTP/1.1 503")) << answer;
  }
}

TEST(SandboxState, KeysObjectsAndCaSurviveARestart) {
  Fixture fixture;
  const AccountKey key = fixture.sandbox->account("joint");
  s3_call(*fixture.sandbox, key, "PUT", kHost, "/");
  s3_call(*fixture.sandbox, key, "PUT", kHost, "/k", "kept");
  fixture.sandbox.reset();
  SandboxOptions options;
  options.state_dir = fixture.dir / "state";
  options.quiet = true;
  fixture.sandbox = std::make_unique<Sandbox>(options);
  fixture.sandbox->start();
  EXPECT_THAT(s3_call(*fixture.sandbox, key, "GET", kHost, "/k"), HasSubstr("\r\n\r\nkept"));
  struct stat info {};
  ASSERT_EQ(::stat((fixture.dir / "state/accounts.json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

}  // namespace sandbox_test
}  // namespace flexroom::cloud::test
