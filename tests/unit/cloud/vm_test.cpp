// What an instance can reach: its role's credentials, and nothing of anybody else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <future>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cloud/metadata.h"
#include "cloud/server.h"
#include "cloud/vm_host.h"
#include "cloud/vm_limits.h"
#include "unit/cloud/client.h"

namespace flexroom::cloud::test {
namespace vm_test {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

MetadataFacts facts() {
  MetadataFacts out;
  out.instance_id = "i-0123456789abcdef0";
  out.role = "app";
  return out;
}

SessionKey session() { return {"ASIAX", "secret", "token", std::time(nullptr) + 3600}; }

TEST(Metadata, GivesTheRolesCredentialsForATokenOnly) {
  MetadataService service(facts(), ::geteuid(), session);
  const std::string curl = "curl -sS -w ' %{http_code}' " + service.listen("127.0.0.1");
  const std::string role = curl + "/latest/meta-data/iam/security-credentials/";
  EXPECT_EQ(run(role), " 401");
  EXPECT_EQ(run(role + "app -H 'X-aws-ec2-metadata-token: guess'"), " 401");
  const std::string put =
      curl + "/latest/api/token -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: ";
  EXPECT_EQ(run(put + "0'"), " 400");
  EXPECT_EQ(run(put + "60' -H 'X-Forwarded-For: 1.2.3.4'"), " 403");
  const std::string token = run(put + "60'");
  ASSERT_THAT(token, HasSubstr(" 200"));
  const std::string with = " -H 'X-aws-ec2-metadata-token: " + token.substr(0, 56) + "'";
  EXPECT_EQ(run(role + with), "app 200");
  const std::string text = run(role + "app" + with);
  const auto json = nlohmann::json::parse(text.substr(0, text.rfind(' ')));
  EXPECT_EQ(json.at("AccessKeyId"), "ASIAX");
  EXPECT_EQ(json.at("SecretAccessKey"), "secret");
  EXPECT_EQ(json.at("Token"), "token");
  EXPECT_EQ(run(role + "other" + with), " 404");
}

TEST(Metadata, AnswersOneUserAlone) {
  const auto token_status = [](MetadataService& service, const std::string& as) {
    return run(as +
               "curl -sS -o /dev/null -w '%{http_code}' -X PUT -H "
               "'X-aws-ec2-metadata-token-ttl-seconds: 60' " +
               service.listen("127.0.0.1") + "/latest/api/token");
  };
  MetadataService own(facts(), ::geteuid(), session);
  EXPECT_EQ(token_status(own, ""), "200");
  MetadataService another(facts(), ::geteuid() + 1, session);
  EXPECT_EQ(token_status(another, ""), "403");
  if (::geteuid() != 0) return;
  EXPECT_EQ(token_status(own, "setpriv --reuid 65534 --regid 65534 --clear-groups "), "403");
}

TEST(Metadata, WithoutCredentialsTheAnswerIs500AndTheServiceGoesOn) {
  MetadataService service(facts(), ::geteuid(),
                          []() -> SessionKey { throw ApiError(400, "Throttling", ""); });
  const std::string url = service.listen("127.0.0.1");
  const std::string get =
      "T=$(curl -sS -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' " + url +
      "/latest/api/token); curl -sS -o /dev/null -w '%{http_code}' -H \"X-aws-ec2-metadata-token: "
      "$T\" " +
      url + "/latest/meta-data/";
  EXPECT_EQ(run(get + "iam/security-credentials/app"), "500");
  EXPECT_EQ(run(get + "instance-id"), "200");
}

TEST(VmHost, AnInstanceThatCannotStartSaysWhy) {
  Fixture fixture;
  VmHost::Options options;
  options.dir = fixture.dir / "vms";
  options.state_dir = fixture.dir / "other";
  options.ca_file = fixture.sandbox->ca_file();
  options.network.index = 100;
  options.network.cloud_address = "127.83.100.1";
  options.network.serve = [](Fd) { return false; };  // no thread
  options.network.release = [](int) {};
  VmHost host(options);
  const auto slot = host.acquire_slot();
  ASSERT_TRUE(slot);
  const auto launch = [&](const std::string& script) -> std::string {
    try {
      host.launch("i-0", *slot, script, {"http://127.83.100.10:80", [](Fd) { return true; }},
                  [](VmEnd) { FAIL() << "it never ran"; });
    } catch (const InputError& error) {
      return error.problem();
    }
    return "started";
  };
  EXPECT_THAT(launch("#!/no/such/interpreter\n"), HasSubstr("the interpreter"));
  EXPECT_THAT(host.console("i-0"), HasSubstr("the interpreter"));
  host.forget("i-0");
  EXPECT_EQ(host.acquire_slot(), slot);  // free again
  if (host.isolation() == VmIsolation::kNamespaces) {
    EXPECT_THAT(launch("#!/bin/sh\n"), HasSubstr("no thread"));
  }
}

class VmTest : public testing::Test {
 protected:
  VmTest() : key(fixture.sandbox->account("joint")) {}
  Sandbox& box() { return *fixture.sandbox; }
  std::string iam(const std::string& form) {
    return query_call(box(), key, Service::kIam, kIam, form);
  }
  /// A profile "p" with a role "app" that may use S3.
  void make_profile() {
    iam("Action=CreateRole&RoleName=app&AssumeRolePolicyDocument=" +
        percent_encode(R"({"Statement":{"Effect":"Allow","Action":"sts:AssumeRole",)"
                       R"("Principal":{"Service":"ec2.amazonaws.com"}}})",
                       false));
    iam("Action=AttachRolePolicy&RoleName=app&PolicyArn=arn:aws:iam::aws:policy/"
        "AmazonS3FullAccess");
    iam("Action=CreateInstanceProfile&InstanceProfileName=p");
    EXPECT_THAT(iam("Action=AddRoleToInstanceProfile&InstanceProfileName=p&RoleName=app"),
                HasSubstr(" 200 OK"));
  }
  Fixture fixture;
  AccountKey key;
};

TEST_F(VmTest, ItsScriptSignsWithTheCredentialsOfItsRole) {
  make_profile();
  s3_call(box(), key, "PUT", "s3.us-east-1.amazonaws.com", "/role-box");
  const std::string script = R"sh(#!/bin/bash
imds=http://169.254.169.254/latest
token=$(curl -fsS -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $imds/api/token)
get() { curl -fsS -H "X-aws-ec2-metadata-token: $token" "$imds/meta-data/iam/$1"; }
role=$(get security-credentials/)
json=$(get "security-credentials/$role")
field() { sed -n "s/.*\"$1\": \"\([^\"]*\)\".*/\1/p" <<< "$json"; }
call() {  # service, more
  curl -sS --aws-sigv4 "aws:amz:us-east-1:$1" --user "$(field AccessKeyId):$(field SecretAccessKey)" \
       -H "x-amz-security-token: $(field Token)" "${@:2}"
}
echo "role=$role"
call sts -d 'Action=GetCallerIdentity&Version=2011-06-15' https://sts.amazonaws.com/
call s3 -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' -T "$0" -w 'put=%{http_code}\n' \
     https://s3.us-east-1.amazonaws.com/role-box/by-role
call ec2 -d 'Action=DescribeInstances&Version=2016-11-15' https://ec2.us-east-1.amazonaws.com/
if /usr/bin/python3 -c 'import boto3' 2>/dev/null; then
  /usr/bin/python3 -c 'import os, boto3
sts = boto3.client("sts", endpoint_url=os.environ.get("AWS_ENDPOINT_URL"))  # for old versions
print("boto=" + sts.get_caller_identity()["Arn"])'
else
  echo boto=none
fi
shutdown now
sleep 600
)sh";
  const std::string console = console_of(box(), key, script, "&IamInstanceProfile.Name=p");
  const std::string arn = "arn:aws:sts::" + key.account_id + ":assumed-role/app/i-0";
  EXPECT_THAT(console, AllOf(HasSubstr("role=app\n"), HasSubstr("<Arn>" + arn),
                             HasSubstr("put=200\n"), HasSubstr("UnauthorizedOperation")));
  EXPECT_THAT(console, testing::AnyOf(HasSubstr("boto=" + arn), HasSubstr("boto=none")));
  EXPECT_THAT(s3_call(box(), key, "GET", "s3.us-east-1.amazonaws.com", "/role-box/by-role"),
              HasSubstr("imds=http://169.254.169.254/latest"));
}

TEST_F(VmTest, RunInstancesFailsWhenTheScriptCannotStart) {
  const std::string answer =
      query_call(box(), key, Service::kEc2, kEc2, run_form("#!/no/such/interpreter\n"));
  EXPECT_THAT(answer, AllOf(HasSubstr(" 500 "), HasSubstr("InternalError"),
                            HasSubstr("interpreter of the user data")));
}

TEST_F(VmTest, ReachesTheSandboxAndItsOwnCredentialsAlone) {
  if (const auto why = why_not_apart(box()); !why.empty()) GTEST_SKIP() << why;
  make_profile();
  const std::string first =
      element(query_call(box(), key, Service::kEc2, kEc2,
                         run_form("#!/bin/sh\nsleep 600\n", "&IamInstanceProfile.Name=p")),
              "instanceId");
  // A service of this machine, as a member's would be.
  Server service({}, [](const Request&, int) { return std::optional(Response{}); });
  const uint16_t port = service.listen("127.0.0.1", 0);
  ASSERT_NE(port, 0);
  const std::string status = "curl -sS -o /dev/null -w '%{http_code}\\n' -m 5 ";
  EXPECT_EQ(run("curl -sS -o /dev/null -w '%{http_code}' http://127.0.0.1:" + std::to_string(port)),
            "200");
  const std::string script =
      "#!/bin/bash\nimds=http://169.254.169.254/latest\n"
      "token=$(curl -fsS -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $imds/api/token)\n"
      "echo own=$(curl -fsS -H \"X-aws-ec2-metadata-token: $token\" $imds/meta-data/instance-id)\n"
      "echo machine=$(" +
      status + "http://127.0.0.1:" + std::to_string(port) +
      "/ 2>/dev/null)\n"
      "echo cloud=$(" +
      status +
      "https://sts.amazonaws.com/)\n"
      "echo links=$(ls /sys/class/net 2>/dev/null | tr '\\n' ' ') \n"
      "shutdown now\nsleep 600\n";
  const std::string console = console_of(box(), fixture.sandbox->account("hospital-a"), script);
  EXPECT_THAT(console, AllOf(HasSubstr("own=i-0"), Not(HasSubstr("own=" + first)),
                             HasSubstr("machine=000"), HasSubstr("cloud=4")));
  service.stop();
}

TEST_F(VmTest, IsBoundedAsAWhole) {
  if (const auto why = why_not_apart(box()); !why.empty()) GTEST_SKIP() << why;
  const std::string script = R"sh(#!/bin/bash
echo home=$(df --output=size -B1 "$HOME" | tail -1)
echo ok > "$HOME/file" && cat "$HOME/file"
for folder in / /var/lock /run /var/spool /etc /usr/local /dev /var/lib; do
  (: > "$folder/flexroom-probe") 2>/dev/null && echo "WROTE $folder"
done
for folder in /tmp /var/tmp /dev/shm; do
  (: > "$folder/probe") || echo "cannot write $folder"
  df --output=size -B1M $folder | tail -1 | sed "s|^ *|size=|"
done
group=flexroom-$(id -u)
grep -o $group /proc/self/cgroup | head -1
cat /sys/fs/cgroup/$group/memory.max /sys/fs/cgroup/memory/$group/memory.limit_in_bytes 2>/dev/null
echo files=$(ulimit -n) processes=$(ulimit -u) core=$(ulimit -c)
mount --bind "$HOME" /mnt 2>/dev/null && echo MOUNTED
shutdown now
sleep 600
)sh";
  const std::string console = console_of(box(), key, script);
  EXPECT_THAT(console, AllOf(HasSubstr("home=1073741824\nok\n"), Not(HasSubstr("WROTE")),
                             Not(HasSubstr("MOUNTED")), Not(HasSubstr("cannot write")),
                             HasSubstr("size=256\nsize=256\nsize=256\n"),
                             HasSubstr("files=1024 processes=256 core=0")));
  if (console.find("no control group can be made") == std::string::npos) {
    EXPECT_THAT(console, testing::ContainsRegex("flexroom-19000[0-9]+\n4294967296\n"));
  }
  fixture.sandbox->stop();
  std::ifstream mounts("/proc/mounts");
  const std::string text{std::istreambuf_iterator<char>(mounts), {}};
  EXPECT_THAT(text, Not(HasSubstr(fixture.dir.string())));
}

TEST(VmGroup, BoundsTheMemoryOfAllItsProcessesTogether) {
  const VmGroup group("flexroom-test-" + std::to_string(::getpid()), 32u << 20, 64);
  if (group.joins().empty()) {
    GTEST_SKIP() << "no control group can be made: that takes a cgroup file system that this user "
                    "may write to (root, and /sys/fs/cgroup not mounted read-only)";
  }
  const auto held = [](const std::string& join) {
    return run("sh -c '" + join +
               "head -c 100000000 /dev/zero | tail -c 100000000 | wc -c' 2>/dev/null");
  };
  EXPECT_EQ(held(""), "100000000\n");
  std::string join;
  for (const auto& file : group.joins()) join += "echo 0 > " + file + "; ";
  EXPECT_NE(held(join), "100000000\n");
}

}  // namespace vm_test
}  // namespace flexroom::cloud::test
