// Unmodified clients of other authors against the sandbox.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "unit/cloud/client.h"

namespace flexroom::cloud::test {
namespace {

using testing::HasSubstr;

std::string environment(const Fixture& fixture, const AccountKey& key) {
  return "env -i PATH=/usr/bin:/bin PYTHONWARNINGS=ignore HOME=" + fixture.dir.string() +
         " AWS_ACCESS_KEY_ID=" + key.access_key_id +
         " AWS_SECRET_ACCESS_KEY=" + key.secret_access_key +
         " AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true AWS_CA_BUNDLE=" +
         fixture.sandbox->ca_file().string() + " ";
}

TEST(Clients, Boto3) {
  if (run("/usr/bin/python3 -c 'import boto3' && echo yes") != "yes\n") {
    FAIL() << "python3-boto3 is not installed: tools/install.sh test";
  }
  Fixture fixture;
  const AccountKey key = fixture.sandbox->account("joint");
  std::ofstream(fixture.dir / "t.py") << R"(
import sys, boto3
from botocore.config import Config
from botocore.exceptions import ClientError
def client(name, **more):
    config = Config(retries={'max_attempts': 0}, signature_version='s3v4' if name == 's3' else None)
    return boto3.client(name, endpoint_url=sys.argv[1], config=config, **more)
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

bool has_boto3() { return run("/usr/bin/python3 -c 'import boto3' && echo yes") == "yes\n"; }

/// Runs a Python program with `client(service)` for the account; its output.
std::string boto3(const Fixture& fixture, const AccountKey& key, const std::string& program) {
  std::ofstream(fixture.dir / "program.py") << R"(
import json, ssl, sys, urllib.error, urllib.request, boto3
from botocore.config import Config
from botocore.exceptions import ClientError
def client(name, **more):
    config = Config(retries={'max_attempts': 0}, signature_version='s3v4' if name == 's3' else None)
    return boto3.client(name, endpoint_url=sys.argv[1], config=config, **more)
def code(call, **arguments):
    try:
        call(**arguments)
        return 'no error'
    except ClientError as e:
        return e.response['Error']['Code']
)" << program << "print('END')\n";
  return run(environment(fixture, key) + "/usr/bin/python3 " +
             (fixture.dir / "program.py").string() + " https://localhost:" +
             std::to_string(fixture.sandbox->port()) + " " + fixture.sandbox->ca_file().string());
}

TEST(Clients, Boto3AsksForQuotasOpensCasesAndTrains) {
  if (!has_boto3()) FAIL() << "python3-boto3 is not installed: tools/install.sh test";
  SandboxOptions options;
  options.settings = {"quota_case_s=0"};
  Fixture fixture(options);
  const AccountKey key = fixture.sandbox->account("joint");
  const std::string out = boto3(fixture, key, R"(
import hashlib, io, tarfile, time
quotas = client('service-quotas')
which = dict(ServiceCode='ec2', QuotaCode='L-1216C47A')
print(quotas.get_service_quota(**which)['Quota']['Value'])
asked = quotas.request_service_quota_increase(DesiredValue=70, **which)['RequestedQuota']
print(asked['Status'], asked['DesiredValue'], asked['Created'].year > 2000)
print(code(quotas.request_service_quota_increase, DesiredValue=80, **which))
print(code(quotas.get_requested_service_quota_change, RequestId='none'))
for page in quotas.get_paginator('list_requested_service_quota_change_history_by_quota').paginate(**which):
    print([r['Status'] for r in page['RequestedQuotas']])

support = client('support')
case = support.create_case(subject='s', communicationBody='b', serviceCode='general-info', language='en')['caseId']
print([c['subject'] for p in support.get_paginator('describe_cases').paginate() for c in p['cases']])
print([c['body'] for p in support.get_paginator('describe_communications').paginate(caseId=case) for c in p['communications']])
print(code(support.describe_communications, caseId='case-0'))
print(support.resolve_case(caseId=case)['finalCaseStatus'])

iam, s3, trainer = client('iam'), client('s3'), client('sagemaker')
trust = {'Statement': {'Effect': 'Allow', 'Action': 'sts:AssumeRole', 'Principal': {'Service': 'sagemaker.amazonaws.com'}}}
role = iam.create_role(RoleName='t', AssumeRolePolicyDocument=json.dumps(trust))['Role']['Arn']
iam.attach_role_policy(RoleName='t', PolicyArn='arn:aws:iam::aws:policy/AmazonS3FullAccess')
s3.create_bucket(Bucket='boto-train')
script = b'#!/bin/sh\ncat "$SM_CHANNEL_IN/x" > "$SM_MODEL_DIR/y"\n'
s3.put_object(Bucket='boto-train', Key='in/x', Body=b'data')
s3.put_object(Bucket='boto-train', Key='t.sh', Body=script)
image = 'boto-train.s3.us-east-1.amazonaws.com/t.sh@sha256:' + hashlib.sha256(script).hexdigest()
made = dict(TrainingJobName='boto-1', RoleArn=role, AlgorithmSpecification=dict(TrainingImage=image, TrainingInputMode='File'),
    InputDataConfig=[dict(ChannelName='in', DataSource=dict(S3DataSource=dict(S3DataType='S3Prefix', S3Uri='s3://boto-train/in/')))],
    OutputDataConfig=dict(S3OutputPath='s3://boto-train/out'), StoppingCondition=dict(MaxRuntimeInSeconds=60),
    ResourceConfig=dict(InstanceType='ml.m5.large', InstanceCount=1, VolumeSizeInGB=1))
print(trainer.create_training_job(**made)['TrainingJobArn'].split(':')[-1])
print(code(trainer.create_training_job, **made))
trainer.get_waiter('training_job_completed_or_stopped').wait(TrainingJobName='boto-1', WaiterConfig=dict(Delay=1, MaxAttempts=60))
job = trainer.describe_training_job(TrainingJobName='boto-1')
print(job['TrainingJobStatus'], job.get('FailureReason'))
model = s3.get_object(Bucket='boto-train', Key='out/boto-1/output/model.tar.gz')['Body'].read()
print(tarfile.open(fileobj=io.BytesIO(model)).extractfile('./y').read())
print([j['TrainingJobName'] for j in trainer.list_training_jobs()['TrainingJobSummaries']])
print(code(trainer.stop_training_job, TrainingJobName='boto-1'))
)");
  EXPECT_EQ(out,
            "64.0\nPENDING 70.0 True\nResourceAlreadyExistsException\nNoSuchResourceException\n"
            "['CASE_OPENED']\n['s', 'Limit increase: EC2 instances']\n['b']\nCaseIdNotFound\n"
            "resolved\ntraining-job/boto-1\nResourceInUse\nCompleted None\nb'data'\n['boto-1']\n"
            "ValidationException\nEND\n");
}

TEST(Clients, Boto3ManagesRolesAndAssumesThem) {
  if (!has_boto3()) FAIL() << "python3-boto3 is not installed: tools/install.sh test";
  Fixture fixture;
  const AccountKey key = fixture.sandbox->account("joint");
  const std::string out = boto3(fixture, key, R"(
account = client('sts').get_caller_identity()['Account']
iam = client('iam')
trust = {'Version': '2012-10-17', 'Statement': {'Effect': 'Allow', 'Action': 'sts:AssumeRole',
         'Principal': {'AWS': 'arn:aws:iam::%s:root' % account}}}
made = iam.create_role(RoleName='reader', AssumeRolePolicyDocument=json.dumps(trust))['Role']
got = iam.get_role(RoleName='reader')['Role']
assert got == made and got['AssumeRolePolicyDocument'] == trust, got
print(code(iam.create_role, RoleName='reader', AssumeRolePolicyDocument=json.dumps(trust)))
print([r['RoleName'] for r in iam.list_roles()['Roles']])
policy = 'arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess'
iam.attach_role_policy(RoleName='reader', PolicyArn=policy)
print(iam.list_attached_role_policies(RoleName='reader')['AttachedPolicies'][0]['PolicyName'])
s3 = client('s3')
s3.create_bucket(Bucket='assume-box')
s3.put_object(Bucket='assume-box', Key='k', Body=b'seen by the role')
given = client('sts').assume_role(RoleArn=made['Arn'], RoleSessionName='visit')
print(given['AssumedRoleUser']['Arn'])
c = given['Credentials']
session = dict(aws_access_key_id=c['AccessKeyId'], aws_secret_access_key=c['SecretAccessKey'],
               aws_session_token=c['SessionToken'])
print(client('s3', **session).get_object(Bucket='assume-box', Key='k')['Body'].read().decode())
print(code(client('s3', **session).put_object, Bucket='assume-box', Key='k', Body=b''))
session['aws_session_token'] = 'x' + c['SessionToken']
print(code(client('sts', **session).get_caller_identity))
print(code(client('sts').assume_role, RoleArn=made['Arn'] + 's', RoleSessionName='visit'))
print(code(iam.delete_role, RoleName='reader'))
iam.detach_role_policy(RoleName='reader', PolicyArn=policy)
iam.delete_role(RoleName='reader')
print(code(iam.get_role, RoleName='reader'))
print(iam.list_roles()['Roles'])
)");
  EXPECT_EQ(out, "EntityAlreadyExists\n['reader']\nAmazonS3ReadOnlyAccess\narn:aws:sts::" +
                     key.account_id +
                     ":assumed-role/reader/visit\nseen by the role\nAccessDenied\n"
                     "InvalidClientTokenId\nAccessDenied\nDeleteConflict\nNoSuchEntity\n[]\nEND\n");
}

TEST(Clients, Boto3PresignsUrls) {
  if (!has_boto3()) FAIL() << "python3-boto3 is not installed: tools/install.sh test";
  Fixture fixture;
  const std::string out = boto3(fixture, fixture.sandbox->account("joint"), R"(
s3 = client('s3')
s3.create_bucket(Bucket='sign-box')
where = dict(Bucket='sign-box', Key='a b/\u00e9+~')
tls = ssl.create_default_context(cafile=sys.argv[2])
def fetch(url, method, data=None):
    try:
        request = urllib.request.Request(url, data=data, method=method)
        with urllib.request.urlopen(request, context=tls) as answer:
            return answer.read()
    except urllib.error.HTTPError as e:
        return e.code
put = s3.generate_presigned_url('put_object', Params=where, ExpiresIn=600)
get = s3.generate_presigned_url('get_object', Params=where, ExpiresIn=600)
assert 'X-Amz-Signature' in put, put
print(fetch(put, 'PUT', b'by url'), fetch(get, 'GET'))
print(fetch(put, 'GET'), fetch(get, 'PUT', b'no'), fetch(get.replace('Expires=600', 'Expires=601'), 'GET'))
print(s3.get_object(**where)['Body'].read())
)");
  EXPECT_EQ(out, "b'' b'by url'\n403 403 403\nb'by url'\nEND\n");
}

TEST(Clients, AwsCli) {
  const std::string found = run("command -v aws");
  if (found.empty()) FAIL() << "awscli is not installed: tools/install.sh test";
  Fixture fixture;
  const AccountKey key = fixture.sandbox->account("joint");
  const std::string aws =
      environment(fixture, key) + found.substr(0, found.find('\n')) +
      " --endpoint-url https://localhost:" + std::to_string(fixture.sandbox->port()) + " ";
  EXPECT_THAT(run(aws + "sts get-caller-identity"), HasSubstr(key.account_id));
  std::ofstream(fixture.dir / "file") << "by the command line";
  const std::string file = (fixture.dir / "file").string();
  run(aws + "s3 mb s3://cli-box");
  EXPECT_THAT(run(aws + "s3 cp " + file + " s3://cli-box/file"), HasSubstr("upload:"));
  EXPECT_THAT(run(aws + "s3 cp s3://cli-box/file -"), HasSubstr("by the command line"));

  const std::string role = run(aws +
                               "iam create-role --role-name cli --assume-role-policy-document "
                               "'{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":"
                               "\"sts:AssumeRole\",\"Principal\":{\"Service\":"
                               "\"ec2.amazonaws.com\"}}]}' --query Role.Arn --output text");
  EXPECT_EQ(role, "arn:aws:iam::" + key.account_id + ":role/cli\n");
  EXPECT_EQ(run(aws + "iam list-roles --query 'Roles[].RoleName' --output text"), "cli\n");
  EXPECT_THAT(run(aws + "iam get-user --query User.UserName --output text"), HasSubstr("joint"));
  EXPECT_EQ(run(aws + "ec2 describe-instances --query Reservations --output json"), "[]\n");
  EXPECT_THAT(run(aws + "ec2 describe-images --image-ids ami-0123456789abcdef0"),
              HasSubstr("\"Architecture\": \"x86_64\""));
  EXPECT_THAT(run(aws + "ec2 describe-instances --instance-ids i-0123456789abcdef0"),
              HasSubstr("InvalidInstanceID.NotFound"));
}

/// curl's own signer, to the real host name.
std::string curl(const Fixture& fixture, const AccountKey& key, const std::string& service,
                 const std::string& host, const std::string& more) {
  return run(environment(fixture, key) + "curl -sS --cacert " +
             fixture.sandbox->ca_file().string() + " --connect-to " + host + ":443:127.0.0.1:" +
             std::to_string(fixture.sandbox->port()) + " --aws-sigv4 aws:amz:us-east-1:" + service +
             " --user " + key.access_key_id + ":" + key.secret_access_key + " " + more);
}

TEST(Clients, CurlWithItsOwnSigner) {
  if (run("curl --version").find("curl 7.") == std::string::npos &&
      run("curl --version").find("curl 8.") == std::string::npos) {
    FAIL() << "curl is not installed: tools/install.sh test";
  }
  Fixture fixture;
  const AccountKey key = fixture.sandbox->account("joint");
  EXPECT_THAT(curl(fixture, key, "sts", "sts.amazonaws.com",
                   "-d 'Action=GetCallerIdentity&Version=2011-06-15' https://sts.amazonaws.com/"),
              HasSubstr("<Account>" + key.account_id + "</Account>"));
  EXPECT_THAT(curl(fixture, key, "iam", kIam,
                   "-d 'Action=GetUser&Version=2010-05-08' https://iam.amazonaws.com/"),
              HasSubstr("<UserName>joint</UserName>"));
  EXPECT_THAT(curl(fixture, key, "ec2", kEc2,
                   "-d 'Action=DescribeInstances&Version=2016-11-15' "
                   "https://ec2.us-east-1.amazonaws.com/"),
              HasSubstr("<reservationSet>"));
  std::ofstream(fixture.dir / "file") << "by curl";
  const auto s3 = [&](const AccountKey& who, const std::string& more) {
    // Old versions of curl leave out the header, which S3 wants.
    return curl(fixture, who, "s3", "s3.us-east-1.amazonaws.com",
                "-w '%{http_code}' -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' "
                "https://s3.us-east-1.amazonaws.com/curl-box" +
                    more);
  };
  EXPECT_EQ(s3(key, " -X PUT"), "200");
  EXPECT_EQ(s3(key, "/file -T " + (fixture.dir / "file").string()), "200");
  EXPECT_EQ(s3(key, "/file"), "by curl200");
  AccountKey wrong = key;
  wrong.secret_access_key.back() ^= 1;
  EXPECT_THAT(s3(wrong, "/file"), HasSubstr("SignatureDoesNotMatch"));
}

}  // namespace
}  // namespace flexroom::cloud::test
