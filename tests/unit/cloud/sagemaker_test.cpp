// Training jobs without a container (product.md §7).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cloud/presign.h"
#include "cloud/training_boot.h"
#include "unit/cloud/browser.h"

namespace flexroom::cloud::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kHost = "api.sagemaker.us-east-1.amazonaws.com";
constexpr const char* kBucketHost = "train-box.s3.us-east-1.amazonaws.com";
constexpr const char* kTrust =
    R"({"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"sagemaker.amazonaws.com"}}})";

class Training : public testing::Test {
 protected:
  Training() : key(fixture.sandbox->account("joint")) {
    s3_call(*fixture.sandbox, key, "PUT", kBucketHost, "/");
    make_role("trainer", kTrust);
    iam("Action=AttachRolePolicy&RoleName=trainer&PolicyArn=arn:aws:iam::aws:policy/"
        "AmazonS3FullAccess");
  }
  std::string iam(const std::string& form) {
    return query_call(*fixture.sandbox, key, Service::kIam, kIam, form + "&Version=2010-05-08");
  }
  void make_role(const std::string& name, const std::string& trust) {
    iam("Action=CreateRole&RoleName=" + name +
        "&AssumeRolePolicyDocument=" + percent_encode(trust, false));
  }
  json call(const std::string& action, const json& body) {
    Request request{"POST",
                    "/",
                    "",
                    {{"host", kHost},
                     {"content-type", "application/x-amz-json-1.1"},
                     {"x-amz-target", "SageMaker." + action}},
                    body.dump()};
    last = parse_answer(
        exchange(*fixture.sandbox, kHost, signed_request(key, Service::kSageMaker, request)));
    return last.json();
  }
  void put(const std::string& object, const std::string& bytes) {
    s3_call(*fixture.sandbox, key, "PUT", kBucketHost, "/" + percent_encode(object, true), bytes);
  }
  std::string get(const std::string& object) {
    const std::string text = s3_call(*fixture.sandbox, key, "GET", kBucketHost, "/" + object);
    return text.find(" 200 OK") == std::string::npos ? "" : parse_answer(text).body;
  }
  /// Puts the script and names it as the flow does.
  std::string image_of(const std::string& script) {
    put("code/train.sh", script);
    return std::string(kBucketHost) + "/code/train.sh@sha256:" + to_hex(sha256(as_bytes(script)));
  }
  json job(const std::string& image, const std::string& name = "job-1") const {
    return {{"TrainingJobName", name},
            {"RoleArn", "arn:aws:iam::" + key.account_id + ":role/trainer"},
            {"AlgorithmSpecification", {{"TrainingImage", image}, {"TrainingInputMode", "File"}}},
            {"OutputDataConfig", {{"S3OutputPath", "s3://train-box/out"}}},
            {"ResourceConfig",
             {{"InstanceCount", 1}, {"InstanceType", "ml.m5.large"}, {"VolumeSizeInGB", 10}}},
            {"StoppingCondition", {{"MaxRuntimeInSeconds", 600}}}};
  }
  /// Waits until the job is over; as it is described then.
  json over(const std::string& name = "job-1") {
    for (int i = 0; i < 1200; ++i) {
      json seen = call("DescribeTrainingJob", {{"TrainingJobName", name}});
      const std::string status = seen.value("TrainingJobStatus", "");
      if (status != "InProgress" && status != "Stopping") return seen;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return {};
  }
  std::string unpacked(const std::string& file) {
    std::ofstream(fixture.dir / "model.tgz", std::ios::binary)
        << get("out/job-1/output/model.tar.gz");
    return run("tar -xzOf " + (fixture.dir / "model.tgz").string() + " ./" + file);
  }
  Fixture fixture;
  AccountKey key;
  Answer last;
};

TEST_F(Training, RunsTheAgreedScriptWithItsDataAndHandsOverTheModel) {
  put("data/train/a.csv", "1,2,3\n");
  put("data/train/b c.csv", "4\n");
  json body =
      job(image_of("#!/bin/sh\necho hello from the job\n"
                   "cat \"$SM_CHANNEL_TRAIN_1\"/*.csv > \"$SM_MODEL_DIR/sum\"\n"
                   "printf '%s|' \"$TRAINING_JOB_NAME\" \"$SM_HPS\" \"$@\" > "
                   "\"$SM_MODEL_DIR/how\"\n"));
  body["InputDataConfig"] = {
      {{"ChannelName", "train-1"},
       {"DataSource",
        {{"S3DataSource",
          {{"S3DataType", "S3Prefix"}, {"S3Uri", "s3://train-box/data/train/"}}}}}}};
  body["HyperParameters"] = {{"epochs", "3"}, {"it's", "\"quoted\""}};
  EXPECT_EQ(call("CreateTrainingJob", body),
            json({{"TrainingJobArn",
                   "arn:aws:sagemaker:us-east-1:" + key.account_id + ":training-job/job-1"}}));
  const json done = over();
  EXPECT_EQ(done["TrainingJobStatus"], "Completed") << done;
  EXPECT_EQ(done["SecondaryStatus"], "Completed");
  EXPECT_EQ(done["ModelArtifacts"]["S3ModelArtifacts"],
            "s3://train-box/out/job-1/output/model.tar.gz");
  EXPECT_EQ(done["AlgorithmSpecification"], body["AlgorithmSpecification"]);
  EXPECT_EQ(done["HyperParameters"], body["HyperParameters"]);
  EXPECT_EQ(done["StoppingCondition"], body["StoppingCondition"]);
  EXPECT_EQ(unpacked("sum"), "1,2,3\n4\n");
  EXPECT_EQ(unpacked("how"),
            "job-1|{\"epochs\":\"3\",\"it's\":\"\\\"quoted\\\"\"}|--epochs|3|--it's|quoted|");
  // The name is taken for good.
  EXPECT_EQ(call("CreateTrainingJob", body)["__type"], "ResourceInUse");
}

TEST_F(Training, RunsAProgramOfASourceArchive) {
  const std::string dir = (fixture.dir / "src").string();
  run("mkdir " + dir);
  std::ofstream(dir + "/train.py")
      << "import os, sys\n"
         "open(os.environ['SM_MODEL_DIR'] + '/how', 'w').write(' '.join(sys.argv[1:]))\n";
  run("tar -czf " + dir + ".tgz -C " + dir + " train.py");
  std::ifstream in(dir + ".tgz", std::ios::binary);
  put("code/source.tar.gz", std::string(std::istreambuf_iterator<char>(in), {}));
  json body = job("763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.3.0-cpu-py311");
  body["HyperParameters"] = {{"sagemaker_program", "\"train.py\""},
                             {"sagemaker_submit_directory", "s3://train-box/code/source.tar.gz"},
                             {"lr", "0.1"}};
  call("CreateTrainingJob", body);
  EXPECT_EQ(over()["TrainingJobStatus"], "Completed");
  EXPECT_EQ(unpacked("how"), "--lr 0.1");
}

TEST_F(Training, AJobThatFailsSaysHowAndHandsNothingOver) {
  call("CreateTrainingJob",
       job(image_of("#!/bin/sh\necho 'sandbox: training completed'\nexit 3\n")));
  const json failed = over();
  EXPECT_EQ(failed["TrainingJobStatus"], "Failed");
  EXPECT_EQ(failed["FailureReason"], "AlgorithmError: exit code 3");
  EXPECT_FALSE(failed.contains("ModelArtifacts"));
  EXPECT_EQ(get("out/job-1/output/model.tar.gz"), "");
}

TEST_F(Training, AScriptWithAnotherDigestIsNotRun) {
  std::string image = image_of("#!/bin/sh\ntouch \"$SM_MODEL_DIR/ran\"\n");
  put("code/train.sh", "#!/bin/sh\ntouch \"$SM_MODEL_DIR/other\"\n");
  call("CreateTrainingJob", job(image));
  const json failed = over();
  EXPECT_EQ(failed["TrainingJobStatus"], "Failed");
  EXPECT_EQ(failed["FailureReason"], "ClientError: the training script has another SHA-256");
  call("CreateTrainingJob", job("some/image:1", "job-2"));
  EXPECT_THAT(over("job-2")["FailureReason"].get<std::string>(),
              HasSubstr("Cannot pull algorithm container"));
}

TEST_F(Training, TheRoleDecidesWhatAJobReadsAndWrites) {
  make_role("weak", kTrust);
  json body = job(image_of("#!/bin/sh\ntrue\n"));
  body["RoleArn"] = "arn:aws:iam::" + key.account_id + ":role/weak";
  call("CreateTrainingJob", body);
  EXPECT_EQ(over()["FailureReason"], "ClientError: the training script cannot be fetched");
  iam("Action=AttachRolePolicy&RoleName=weak&PolicyArn=arn:aws:iam::aws:policy/"
      "AmazonS3ReadOnlyAccess");
  body["TrainingJobName"] = "job-2";
  call("CreateTrainingJob", body);
  EXPECT_EQ(over("job-2")["FailureReason"], "ClientError: the model cannot be handed over");
}

TEST_F(Training, RolesThatCannotBeAssumedOrPassed) {
  const std::string image = image_of("#!/bin/sh\ntrue\n");
  const auto refusal = [&](const std::string& role) {
    json body = job(image);
    body["RoleArn"] = "arn:aws:iam::" + key.account_id + ":role/" + role;
    return call("CreateTrainingJob", body).value("__type", "");
  };
  EXPECT_EQ(refusal("nobody"), "ValidationException");
  make_role(
      "other",
      R"({"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"ec2.amazonaws.com"}}})");
  EXPECT_EQ(refusal("other"), "ValidationException");
  iam("Action=CreateUser&UserName=clerk");
  iam("Action=AttachUserPolicy&UserName=clerk&PolicyArn=arn:aws:iam::aws:policy/"
      "AmazonSageMakerFullAccess");
  const std::string made = iam("Action=CreateAccessKey&UserName=clerk");
  key = {key.account_id, element(made, "AccessKeyId"), element(made, "SecretAccessKey")};
  EXPECT_EQ(refusal("trainer"), "AccessDeniedException");  // no iam:PassRole
  EXPECT_THAT(last.at("message"), HasSubstr("iam:PassRole"));
}

TEST_F(Training, StopsWhenAskedAndWhenItsTimeIsOver) {
  call("CreateTrainingJob", job(image_of("#!/bin/sh\nsleep 600\n")));
  EXPECT_EQ(call("DescribeTrainingJob", {{"TrainingJobName", "job-1"}})["TrainingJobStatus"],
            "InProgress");
  call("StopTrainingJob", {{"TrainingJobName", "job-1"}});
  EXPECT_EQ(last.status, 200);
  EXPECT_EQ(last.body, "");
  EXPECT_EQ(over()["TrainingJobStatus"], "Stopped");
  EXPECT_EQ(call("StopTrainingJob", {{"TrainingJobName", "job-1"}})["__type"],
            "ValidationException");
  json body = job(image_of("#!/bin/sh\nsleep 600\n"), "job-2");
  body["StoppingCondition"]["MaxRuntimeInSeconds"] = 1;
  call("CreateTrainingJob", body);
  EXPECT_EQ(over("job-2")["SecondaryStatus"], "MaxRuntimeExceeded");
  const json listed = call("ListTrainingJobs", {{"StatusEquals", "Stopped"}, {"MaxResults", 1}});
  EXPECT_EQ(listed["TrainingJobSummaries"].size(), 1u);
  EXPECT_EQ(listed["NextToken"], "1");
}

TEST_F(Training, CallsThatAreNoneAreRefused) {
  const json good = job("x/y:1");
  const auto refused = [&](const json::json_pointer& at, const json& value) {
    json body = good;
    body[at] = value;
    return call("CreateTrainingJob", body).value("__type", "");
  };
  const auto p = [](const char* text) { return json::json_pointer(text); };
  for (const auto& [at, value] : std::vector<std::pair<const char*, json>>{
           {"/TrainingJobName", "-a"},
           {"/TrainingJobName", std::string(64, 'a')},
           {"/TrainingJobName", 7},
           {"/AlgorithmSpecification", "x"},
           {"/AlgorithmSpecification/TrainingInputMode", "Pipe"},
           {"/AlgorithmSpecification/ContainerEntrypoint", json::array({"sh"})},
           {"/OutputDataConfig/S3OutputPath", "https://train-box/out"},
           {"/OutputDataConfig/S3OutputPath", "s3://UPPER/out"},
           {"/ResourceConfig/InstanceType", "t3.medium"},
           {"/ResourceConfig/VolumeSizeInGB", 0},
           {"/StoppingCondition/MaxRuntimeInSeconds", 0},
           {"/HyperParameters", {{"a", 1}}},
           {"/HyperParameters", {{"sagemaker_program", "../x.py"}}},
           {"/InputDataConfig", {{{"ChannelName", "../a"}}}},
           {"/EnableNetworkIsolation", true},
           {"/VpcConfig", json::object()}}) {
    EXPECT_EQ(refused(p(at), value), "ValidationException") << at << " " << value;
  }
  EXPECT_EQ(refused(p("/ResourceConfig/InstanceCount"), 2), "ResourceLimitExceeded");
  EXPECT_EQ(call("DescribeTrainingJob", {{"TrainingJobName", "job-1"}})["__type"],
            "ValidationException");
  EXPECT_EQ(call("CreateModel", {{"TrainingJobName", "job-1"}})["__type"],
            "UnknownOperationException");
}

TEST_F(Training, JobsOfOthersDoNotExist) {
  call("CreateTrainingJob", job("x/y:1"));
  key = fixture.sandbox->account("hospital-a");
  EXPECT_EQ(call("DescribeTrainingJob", {{"TrainingJobName", "job-1"}})["__type"],
            "ValidationException");
  EXPECT_TRUE(call("ListTrainingJobs", json::object())["TrainingJobSummaries"].empty());
}

TEST(TrainingBoot, ItsVerdictIsTheLastOneOfTheConsole) {
  EXPECT_FALSE(training_end("no word\n"));
  EXPECT_FALSE(training_end("\nsandbox: training maybe\n"));
  EXPECT_TRUE(training_end("x\nsandbox: training completed\n")->completed);
  const auto failed =
      training_end("\nsandbox: training completed\n\nsandbox: training failed A: b\n");
  EXPECT_FALSE(failed->completed);
  EXPECT_EQ(failed->reason, "A: b");
  EXPECT_TRUE(training_end("\nsandbox: training ran out of time\n")->out_of_time);
}

TEST(TrainingBoot, PathsThatLeadElsewhere) {
  for (const char* good : {"a", "input/data/train/b c.csv", "a-b_c.d+e=f@g,h"}) {
    EXPECT_TRUE(is_plain_path(good)) << good;
  }
  for (const char* bad : {"", "/a", "a//b", "a/../b", "..", "./a", "a\nb", "a'b", "a$b", "a`b"}) {
    EXPECT_FALSE(is_plain_path(bad)) << bad;
  }
}

TEST(S3Uris, AreABucketAndAKey) {
  EXPECT_EQ(parse_s3_uri("s3://box-1/a/b")->key, "a/b");
  EXPECT_EQ(parse_s3_uri("s3://box-1")->bucket, "box-1");
  EXPECT_EQ(parse_s3_uri("s3://box-1/")->key, "");
  for (const char* bad : {"", "s3://", "s3:///a", "s3://A/b", "https://box-1/a"}) {
    EXPECT_FALSE(parse_s3_uri(bad)) << bad;
  }
}

}  // namespace
}  // namespace flexroom::cloud::test
