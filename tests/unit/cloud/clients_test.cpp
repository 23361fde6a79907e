// Unmodified clients of other authors against the sandbox.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "unit/cloud/client.h"

namespace flexroom::cloud::test {
namespace {

using testing::HasSubstr;

/// Output of a shell command, both streams.
std::string run(const std::string& command) {
  FILE* pipe = ::popen(("( " + command + " ) 2>&1").c_str(), "r");
  std::string out;
  char buffer[4096];
  while (const size_t n = std::fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, n);
  ::pclose(pipe);
  return out;
}

std::string environment(const Fixture& fixture, const AccountKey& key) {
  return "env -i PATH=/usr/bin:/bin HOME=" + fixture.dir.string() +
         " AWS_ACCESS_KEY_ID=" + key.access_key_id +
         " AWS_SECRET_ACCESS_KEY=" + key.secret_access_key +
         " AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true AWS_CA_BUNDLE=" +
         fixture.sandbox->ca_file().string() + " ";
}

TEST(Clients, Boto3) {
  if (run("/usr/bin/python3 -c 'import boto3' && echo yes") != "yes\n") {
    GTEST_SKIP() << "python3-boto3 is not installed";
  }
  Fixture fixture;
  const AccountKey key = fixture.sandbox->account("joint");
  std::ofstream(fixture.dir / "t.py") << R"(
import sys, boto3
from botocore.config import Config
from botocore.exceptions import ClientError
def client(name, **more):
    return boto3.client(name, endpoint_url=sys.argv[1], config=Config(retries={'max_attempts': 0}), **more)
print(client('sts').get_caller_identity()['Account'])
ami = client('ssm').get_parameter(Name='/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64')['Parameter']['Value']
s3 = client('s3')
s3.create_bucket(Bucket='boto-box')
s3.put_object(Bucket='boto-box', Key='a b/\u00e9+~.txt', Body=b'x' * 100000)
s3.put_object(Bucket='boto-box', Key='sum', Body=b'y', ChecksumAlgorithm='SHA256')
assert s3.get_object(Bucket='boto-box', Key='a b/\u00e9+~.txt')['ContentLength'] == 100000
assert s3.get_object(Bucket='boto-box', Key='sum', Range='bytes=0-0')['Body'].read() == b'y'
print([o['Key'] for o in s3.list_objects_v2(Bucket='boto-box')['Contents']])
try:
    s3.get_object(Bucket='boto-box', Key='none')
except ClientError as e:
    print(e.response['Error']['Code'])
ec2 = client('ec2')
assert ec2.create_key_pair(KeyName='k')['KeyMaterial'].startswith('-----BEGIN RSA PRIVATE KEY-----')
group = ec2.create_security_group(GroupName='g', Description='d')['GroupId']
r = ec2.run_instances(ImageId=ami, MinCount=1, MaxCount=1, KeyName='k', SecurityGroupIds=[group], UserData='#!/bin/sh\nsleep 60\n')
i = r['Instances'][0]
print(i['State']['Name'])
print(ec2.terminate_instances(InstanceIds=[i['InstanceId']])['TerminatingInstances'][0]['CurrentState']['Name'])
try:
    client('sts', aws_secret_access_key='wrong', aws_access_key_id=sys.argv[2]).get_caller_identity()
except ClientError as e:
    print(e.response['Error']['Code'])
print('END')
)";
  const std::string out = run(
      environment(fixture, key) + "/usr/bin/python3 " + (fixture.dir / "t.py").string() +
      " https://localhost:" + std::to_string(fixture.sandbox->port()) + " " + key.access_key_id);
  EXPECT_THAT(out, HasSubstr(key.account_id));
  EXPECT_THAT(out, HasSubstr("['a b/é+~.txt', 'sum']"));
  EXPECT_THAT(out, HasSubstr("NoSuchKey\npending\nshutting-down\nSignatureDoesNotMatch\nEND"));
}

TEST(Clients, AwsCli) {
  if (run("test -x /usr/bin/aws && echo yes") != "yes\n") GTEST_SKIP() << "no /usr/bin/aws";
  Fixture fixture;
  const AccountKey key = fixture.sandbox->account("joint");
  const std::string aws =
      environment(fixture, key) +
      "/usr/bin/aws --endpoint-url https://localhost:" + std::to_string(fixture.sandbox->port()) +
      " ";
  EXPECT_THAT(run(aws + "sts get-caller-identity"), HasSubstr(key.account_id));
  std::ofstream(fixture.dir / "file") << "by the command line";
  const std::string file = (fixture.dir / "file").string();
  run(aws + "s3 mb s3://cli-box");
  EXPECT_THAT(run(aws + "s3 cp " + file + " s3://cli-box/file"), HasSubstr("upload:"));
  EXPECT_THAT(run(aws + "s3 cp s3://cli-box/file -"), HasSubstr("by the command line"));
}

TEST(Clients, CurlWithItsOwnSigner) {
  if (run("curl --version").find("curl 7.") == std::string::npos &&
      run("curl --version").find("curl 8.") == std::string::npos) {
    GTEST_SKIP() << "curl is not installed";
  }
  Fixture fixture;
  const AccountKey key = fixture.sandbox->account("joint");
  const std::string out = run(
      environment(fixture, key) + "curl -sS --cacert " + fixture.sandbox->ca_file().string() +
      " --connect-to sts.amazonaws.com:443:127.0.0.1:" + std::to_string(fixture.sandbox->port()) +
      " --aws-sigv4 aws:amz:us-east-1:sts --user " + key.access_key_id + ":" +
      key.secret_access_key +
      " -d 'Action=GetCallerIdentity&Version=2011-06-15' https://sts.amazonaws.com/");
  EXPECT_THAT(out, HasSubstr("<Account>" + key.account_id + "</Account>"));
}

}  // namespace
}  // namespace flexroom::cloud::test
