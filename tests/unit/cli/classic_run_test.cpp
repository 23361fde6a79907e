#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <ctime>

#include "cli/run_history.h"
#include "support/canaries.h"
#include "support/room_rig.h"
#include "support/shared_clock.h"

// run-script --classic (operations.md (d)): the ten calls of the shipped flow for a job. Nobody's
// link is in a message between the members, in what is approved or told; a member that is killed
// behind the start of the machine loses neither the machine nor its result.

namespace flexroom {
namespace {

using support::Canaries;
using support::RoomRig;
using Ended = RoomRig::Ended;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kScript = R"python(import json, sys
rows = sum(open(name).read().count("row") for name in sys.argv[1:])
for member in (1, 2):
    json.dump({"rows": rows}, open(f"result-{member}", "w"))
)python";

/// Each member's bucket and object, the public script, and links to them from boto3.
const std::string kObjects = R"python(
import boto3, json, sys
from botocore.config import Config
cloud, script = sys.argv[1:]
keys = next(a for a in json.load(open(cloud + "/accounts.json")) if a["account"] == "joint")
port = json.load(open(cloud + "/endpoints.json"))["port"]
def s3(endpoint, style):
    return boto3.client("s3", region_name="us-east-1", aws_access_key_id=keys["access_key_id"],
                        aws_secret_access_key=keys["secret_access_key"], endpoint_url=endpoint,
                        verify=cloud + "/ca.pem",
                        config=Config(signature_version="s3v4", s3={"addressing_style": style}))
client = s3(f"https://localhost:{port}", "path")
client.create_bucket(Bucket="scripts")
client.put_object(Bucket="scripts", Key="s.py", Body=open(script, "rb").read(), ACL="public-read")
out = []
for i in range(2):
    bucket = f"bucket-of-member-{i}"
    client.create_bucket(Bucket=bucket)
    client.put_object(Bucket=bucket, Key=f"data/half-{i}-0a1b2c3d4e5f", Body=b"row\n" * (i + 1))
    sign = lambda method, key: s3(None, "virtual").generate_presigned_url(
        method, Params={"Bucket": bucket, "Key": key}, ExpiresIn=7200)
    result = f"result/half-{i}-0a1b2c3d4e5f"
    out.append({"data_url": sign("get_object", f"data/half-{i}-0a1b2c3d4e5f"),
                "result_url": sign("put_object", result), "result_get_url": sign("get_object", result)})
json.dump(out, open(cloud + "/objects.json", "w"))
)python";

class ClassicRunTest : public ::testing::Test {
 protected:
  void SetUp() override { set_up({}); }
  void set_up(std::vector<std::string> sandbox) {
    // As EC2 refuses: the codes of the calls' rules are found without a Content-Type.
    sandbox.insert(sandbox.end(), {"--fault", "POST ec2.us-east-1.amazonaws.com/ untyped"});
    rig_.start_sandbox(sandbox);
    all_ok(rig_.init());
    account_ = rig_.joint_account();
    json terms = RoomRig::signs();
    terms["purposes"] = {"sigv4 iam us-east-1", "sigv4 s3 us-east-1",        "sigv4 ssm us-east-1",
                         "sigv4 ec2 us-east-1", "sigv4 sagemaker us-east-1", "sigv4 ec2 eu-west-1"};
    rig_.write_shares("k.json", "joint/key", account_["secret_access_key"].get<std::string>(),
                      "b64", terms);
    all_ok(rig_.import("k.json"));
  }
  static void all_ok(const std::vector<Ended>& ended) {
    for (const Ended& e : ended) ASSERT_EQ(e.code, cli::kOk) << e.out;
  }
  void make_objects() {
    const std::filesystem::path cloud = rig_.root() / "cloud", program = rig_.root() / "objects.py",
                                script = rig_.root() / "s.py";
    std::ofstream(program) << kObjects;
    std::ofstream(script) << kScript;
    const std::string command =
        "/usr/bin/python3 " + program.string() + " " + cloud.string() + " " + script.string();
    ASSERT_EQ(std::system(command.c_str()), 0);
    objects_ = json::parse(RoomRig::read(cloud / "objects.json"));
    for (const json& of : objects_) {
      for (const auto& [name, value] : of.items()) {
        const std::string url = value;
        const size_t path = url.find('/', 8) + 1;
        links_.add("object", as_bytes(std::string_view(url).substr(path, url.find('?') - path)));
        links_.add("signature", as_bytes(std::string_view(url).substr(url.rfind('=') + 1)));
      }
    }
  }
  /// `more`: of [job].
  void write_job(const std::string& more = "", const std::string& region = "us-east-1") {
    for (PartyId i = 0; i < rig_.size(); ++i) {
      rig_.write(i, "s.py", kScript);
      rig_.write(i, "job.toml",
                 "[job]\nname = \"t\"\nprovider = \"sandbox\"\nregion = \"" + region +
                     "\"\nimage_id = \"ami-0123456789abcdef0\"\ninstance_type = \"t3.large\"\n"
                     "deadline_minutes = 30\n" +
                     more + "access_key_id = \"" + account_["access_key_id"].get<std::string>() +
                     "\"\nsecret = \"joint/key\"\n[script]\n"
                     "url = \"https://scripts.s3.amazonaws.com/s.py\"\nsha256 = \"" +
                     to_hex(sha256(as_bytes(kScript))) +
                     "\"\nfile = \"s.py\"\ninterpreter = \"python3\"\n");
      std::string links;
      for (const auto& [which, url] : objects_.at(i).items()) {
        links += which + " = " + url.dump() + "\n";
      }
      rig_.write(i, "links.toml", links);
    }
  }
  using Prepare = std::function<void(PartyId, cli::Common&)>;
  std::vector<Ended> run_script(bool follow, const Prepare& prepare = nullptr,
                                const std::string& abandon = "") {
    return rig_.run([&](PartyId i, cli::Output& out, cli::Common& common) {
      std::string leak;
      common.connected = [&](net::Party& party) {
        party.set_observer([&](const net::MessageId& id, ByteView payload) {
          if (const auto what = links_.find(payload)) leak += *what + " in " + id.label + "; ";
        });
      };
      if (prepare) prepare(i, common);
      const int code = cli::run_script(out, common,
                                       {rig_.dir(i) / "job.toml",
                                        rig_.dir(i) / "links.toml",
                                        true,
                                        {{"training-image", "none"}},
                                        "",
                                        abandon},
                                       follow);
      EXPECT_EQ(leak, "");
      return code;
    });
  }
  /// Of the only run that the member has.
  std::filesystem::path file_of(PartyId i, const std::string& name) {
    for (const auto& it : std::filesystem::recursive_directory_iterator(rig_.dir(i))) {
      if (it.path().filename() == name) return it.path();
    }
    ADD_FAILURE() << "no " << name;
    return {};
  }
  std::vector<Ended> stop(const Prepare& prepare = nullptr) {
    return rig_.run([&](PartyId i, cli::Output& out, cli::Common& common) {
      if (prepare) prepare(i, common);
      return cli::stop_run(out, common, "last");
    });
  }
  /// No member's seed is there, under whatever run.
  void expect_no_seed() {
    for (PartyId i = 0; i < rig_.size(); ++i) {
      for (const auto& it : std::filesystem::recursive_directory_iterator(rig_.dir(i))) {
        EXPECT_NE(it.path().filename(), "seed") << it.path();
      }
    }
  }
  /// Once the machine's start is answered, a member is killed; behind it time passes by hurry().
  static void kill_behind_start(PartyId i, cli::Common& common) {
    if (i != 1) return;
    // StartEC2Instance is the ninth.
    common.fault = [answers = 0](std::string_view reached) mutable {
      if (reached == "flow/answered" && ++answers == 9) kill(getpid(), SIGKILL);
    };
  }
  /// What was released can no longer arrive by now.
  static void hurry(PartyId, cli::Common& common) {
    common.clock = [ahead = int64_t{640}]() mutable { return std::time(nullptr) + (ahead += 2); };
  }
  json show(PartyId i, const std::string& run = "last") {
    return rig_
        .run_one(i, [&](PartyId, cli::Output& out,
                        cli::Common& common) { return cli::show_run(out, common, run); })
        .last();
  }

  RoomRig rig_{2};
  json account_, objects_;
  Canaries links_;
};

TEST_F(ClassicRunTest, AMemberKilledBehindTheStartLosesNeitherMachineNorResult) {
  make_objects();
  write_job();
  const std::vector<Ended> cut = run_script(true, kill_behind_start);
  EXPECT_TRUE(cut[1].killed) << cut[1].out;
  EXPECT_EQ(cut[0].code, cli::kUnknown) << cut[0].out;
  EXPECT_THAT(cut[0].error(), HasSubstr("The request of StartEC2Instance had been released"));
  // What the answer told is no loss, even where no commit tells of it.
  const json before = show(0);
  EXPECT_EQ(before["state"], "unknown");
  EXPECT_THAT(before["instance_id"].get<std::string>(), HasSubstr("i-"));
  // The record of the one that was killed says `starting`; what it knows is more.
  EXPECT_EQ(json::parse(RoomRig::read(file_of(1, "run.json")))["state"], "starting");
  EXPECT_EQ(show(1)["state"], "unknown");
  EXPECT_EQ(show(1)["instance_id"], "");
  for (PartyId i = 0; i < rig_.size(); ++i) {
    EXPECT_THAT(show(i)["means"].get<std::string>(), HasSubstr("may run"));
  }

  // What that machine gets is not changed any more: another job, other links, a lost seed, another
  // member's word are refused before anything is approved, and nothing is written to the links.
  const auto refused = [&](const std::string& why) {
    for (const Ended& e : run_script(false)) {
      EXPECT_EQ(e.code, cli::kRefused) << e.out;
      EXPECT_THAT(e.error(),
                  AllOf(HasSubstr("may run already"), HasSubstr(why),
                        HasSubstr("--abandon " + before["client_token"].get<std::string>())));
    }
  };
  const std::string other = "are others than those that the machine got";
  for (PartyId i = 0; i < rig_.size(); ++i) {
    std::string job = RoomRig::read(rig_.dir(i) / "job.toml");
    const std::string deadline = "deadline_minutes = 30";
    rig_.write(i, "job.toml",
               job.replace(job.find(deadline), deadline.size(), "deadline_minutes = 31"));
  }
  refused(other);
  const std::string data = objects_[1]["data_url"];
  objects_[1]["data_url"] = data + (data.back() == '0' ? "1" : "0");
  write_job();
  refused(other);
  objects_[1]["data_url"] = data;
  write_job();
  const std::filesystem::path seed = file_of(0, "seed"), record = file_of(1, "run.json"),
                              away = rig_.root() / "away";
  std::filesystem::rename(seed, away);
  refused(other);
  std::filesystem::rename(away, seed);
  std::filesystem::copy_file(record, away);
  json lie = json::parse(RoomRig::read(away));
  lie["machine"] = std::string(64, '0');
  std::ofstream(record) << lie.dump();
  refused(other);
  std::filesystem::remove(record);
  refused("has another record of it than this member");
  std::filesystem::rename(away, record);
  EXPECT_EQ(show(0)["state"], "unknown");

  const std::vector<Ended> done = run_script(true, hurry);
  all_ok(done);
  for (PartyId i = 0; i < rig_.size(); ++i) {
    const Ended& e = done[i];
    EXPECT_THAT(e.out, AllOf(HasSubstr("StartEC2Instance: 400 IdempotentParameterMismatch"),
                             HasSubstr("FindInstance: ok"), HasSubstr("CreateSagemakerJob: ok"),
                             Not(HasSubstr("CreateIamRole: ok"))));
    ASSERT_EQ(e.events("result").size(), 1u) << e.out;
    EXPECT_EQ(e.events("result")[0]["result"], (json{{"rows", 3}}));
    EXPECT_EQ(links_.find(as_bytes(cut[i].out + e.out)), std::nullopt);
    const json run = show(i);
    EXPECT_EQ(run["state"], "succeeded");
    EXPECT_EQ(run["id"], before["id"]);
    EXPECT_EQ(run["instance_id"], before["instance_id"]);
    EXPECT_EQ(run["client_token"].get<std::string>().size(), 26u);
  }
  expect_no_seed();

  // Killed before it could write the id down, a member does not know it: the service says.
  json forgot = json::parse(RoomRig::read(file_of(1, "run.json")));
  forgot["instance_id"] = "";
  std::ofstream(file_of(1, "run.json")) << forgot.dump();
  const std::vector<Ended> stopped = stop();
  all_ok(stopped);
  for (PartyId i = 0; i < rig_.size(); ++i) {
    const json last = stopped[i].last();
    EXPECT_EQ(last["instance_id"], before["instance_id"]);
    EXPECT_EQ(last["found"], true);
    // "none" is no training image: the job ended by itself, or ends now.
    EXPECT_THAT(stopped[i].out, HasSubstr("SageMaker.StopTrainingJob"));
    EXPECT_EQ(show(i)["state"], "stopped");
    EXPECT_EQ(show(i)["instance_id"], before["instance_id"]);
  }
}

// Its first request was answered and no machine was asked for.
TEST_F(ClassicRunTest, AStoppedRunStartsNoMachineAndItsFlowIsEndedByTheSameCommand) {
  make_objects();
  write_job();
  const std::vector<Ended> cut = run_script(false, [](PartyId i, cli::Common& common) {
    if (i != 1) return;
    common.fault = [](std::string_view reached) {
      if (reached == "flow/answered") kill(getpid(), SIGKILL);
    };
  });
  EXPECT_TRUE(cut[1].killed) << cut[1].out;
  for (PartyId i = 0; i < rig_.size(); ++i) {
    EXPECT_EQ(show(i)["state"], "starting");
    EXPECT_THAT(show(i)["means"].get<std::string>(), HasSubstr("no machine was asked for"));
  }
  const std::filesystem::path file = file_of(1, "run.json");
  const std::string kept = RoomRig::read(file);
  json lie = json::parse(kept);
  lie["client_token"] = std::string(26, 'a');
  std::ofstream(file) << lie.dump();
  for (const Ended& e : stop()) {
    EXPECT_NE(e.code, cli::kOk);
    EXPECT_THAT(e.error(), HasSubstr("has another client token of run"));
  }
  std::ofstream(file) << kept;
  const std::vector<Ended> stopped = stop();
  all_ok(stopped);
  for (PartyId i = 0; i < rig_.size(); ++i) {
    EXPECT_EQ(stopped[i].last()["found"], false);
    EXPECT_EQ(stopped[i].last()["job_status"], 400) << stopped[i].out;
    EXPECT_EQ(show(i)["state"], "stopped");
  }
  expect_no_seed();
  // A member that could not write that down goes by the other one's word.
  json record = json::parse(RoomRig::read(file_of(1, "run.json")));
  const std::string id = record["id"], token = record["client_token"];
  record["state"] = "starting";
  std::ofstream(file_of(1, "run.json")) << record.dump();
  for (const Ended& e : run_script(false)) {
    EXPECT_EQ(e.code, cli::kRefused) << e.out;
    EXPECT_THAT(e.error(), AllOf(HasSubstr("was stopped by agreement, as m0 has it"),
                                 HasSubstr("--classic --abandon " + token)));
  }
  const std::vector<Ended> ended = run_script(false, hurry, id.substr(0, 12));
  all_ok(ended);
  EXPECT_THAT(ended[1].last()["left"].dump(), HasSubstr("the role flexroom-"));
  EXPECT_EQ(show(0)["state"], "stopped");
  EXPECT_EQ(show(1)["state"], "not started");
}

class ClassicBranchesTest : public ClassicRunTest {
 protected:
  void SetUp() override {
    // The answers with the role and with the group are lost, a policy is refused once.
    set_up({"--fault", "POST iam.amazonaws.com/ cut x1", "--fault",
            "POST iam.amazonaws.com/ 403 x1 after 4", "--fault",
            "POST ec2.us-east-1.amazonaws.com/ cut x1 after 2"});
  }
  /// A bucket of somebody else, made or deleted.
  void foreign_bucket(const std::string& method, const std::string& name) const {
    const std::filesystem::path cloud = rig_.root() / "cloud", program = rig_.root() / "bucket.py";
    std::ofstream(program) << R"python(
import boto3, json, sys
cloud, method, name = sys.argv[1:]
keys = next(a for a in json.load(open(cloud + "/accounts.json")) if a["account"] == "hospital-a")
port = json.load(open(cloud + "/endpoints.json"))["port"]
client = boto3.client("s3", region_name="us-east-1", aws_access_key_id=keys["access_key_id"],
                      aws_secret_access_key=keys["secret_access_key"], verify=cloud + "/ca.pem",
                      endpoint_url=f"https://localhost:{port}")
getattr(client, method)(Bucket=name)
)python";
    const std::string command =
        "/usr/bin/python3 " + program.string() + " " + cloud.string() + " " + method + " " + name;
    ASSERT_EQ(std::system(command.c_str()), 0);
  }
  /// Both refused, in these words.
  std::vector<Ended> stops(const std::string& words) {
    const std::vector<Ended> ended = run_script(false, hurries());
    for (const Ended& e : ended) {
      EXPECT_EQ(e.code, cli::kServiceRefused) << e.out;
      EXPECT_THAT(e.error(), AllOf(HasSubstr("stopped: " + words),
                                   HasSubstr("The same command goes on from there")));
    }
    return ended;
  }
  Prepare hurries() {
    return [this](PartyId, cli::Common& common) { common.clock = clock_.looks(); };
  }
  support::SharedClock clock_;
};

// Branches Role and Group of the shipped file: what was made and not answered is found by its name.
// A bucket that is somebody else's stops the run, which goes on once that one is gone.
TEST_F(ClassicBranchesTest, WhatIsThereIsFoundAndABucketOfSomebodyElseStops) {
  make_objects();
  write_job();
  const std::vector<Ended> refused = stops("AttachS3Policy: 403");
  EXPECT_THAT(refused[0].out, AllOf(HasSubstr("CreateIamRole: unknown"),
                                    HasSubstr("CreateIamRole: 409 EntityAlreadyExists"),
                                    HasSubstr("GetRole: ok"), HasSubstr("AttachSagePolicy: ok")));
  const std::string run = json::parse(RoomRig::read(file_of(0, "run.json")))["client_token"];
  foreign_bucket("create_bucket", "flexroom-" + run);
  stops("CreateS3Bucket: 409 BucketAlreadyExists");
  foreign_bucket("delete_bucket", "flexroom-" + run);
  const std::vector<Ended> ended = run_script(false, hurries());
  all_ok(ended);
  EXPECT_THAT(ended[1].out,
              AllOf(Not(HasSubstr("CreateIamRole: ok")), HasSubstr("CreateS3Bucket: ok"),
                    HasSubstr("CreateSecurityGroup: unknown"),
                    HasSubstr("CreateSecurityGroup: 400 InvalidGroup.Duplicate"),
                    HasSubstr("DescribeSecurityGroups: ok"), HasSubstr("CreateSagemakerJob: ok")));
}

class ClassicGoneTest : public ClassicRunTest {
 protected:
  void SetUp() override { set_up({"--set", "no_instances=true"}); }
  /// Commits of the session that finds the machine gone: what is unknown, the mismatch, six looks.
  static constexpr size_t kOksToTheEnd = 8;
  void expect_gone(const Ended& ended, PartyId i) {
    EXPECT_EQ(ended.code, cli::kUnknown) << ended.out;
    EXPECT_THAT(ended.error(), AllOf(HasSubstr("was started, and the service lists it no more"),
                                     HasSubstr("the same command begins a new run")));
    EXPECT_THAT(show(i)["means"].get<std::string>(), HasSubstr("lists it no more"));
  }
};

/// A flow of the same prefix that opens a text as the room's instance-id: what an earlier run left.
constexpr std::string_view kEarlier = R"([flow]
name = "earlier"
provider = "sandbox"
prefix = "account"
hosts = ["signin.flexroom.example"]

[[step]]
name = "Key"
sealed = false
request = """
GET /key HTTP/1.1
Host: signin.flexroom.example
"""
open."instance-id" = { at = "json /kid", class = "urlsafe", max = 64 }
)";

// IdempotentParameterMismatch, and no list has the machine: the run is at its end, by name. So it
// is at a member that heard of that end later, though the room has the id of an earlier run's
// machine.
TEST_F(ClassicGoneTest, ARunWhoseMachineIsGoneEndsByName) {
  make_objects();
  write_job();
  all_ok(rig_.run([&](PartyId i, cli::Output& out, cli::Common& common) {
    const auto file = rig_.write(i, "earlier.toml", std::string(kEarlier));
    return cli::run_flow(out, common, file, {}, "", "");
  }));
  const std::vector<Ended> cut = run_script(false, kill_behind_start);
  EXPECT_TRUE(cut[1].killed) << cut[1].out;
  EXPECT_EQ(json::parse(RoomRig::read(file_of(1, "run.json")))["id_before"], 1);
  // The ok of m0 to the run's end is a bad one: m1 has staged what m0 commits.
  const std::vector<Ended> gone = run_script(false, [](PartyId i, cli::Common& common) {
    hurry(i, common);
    if (i != 0) return;
    common.connected = [](net::Party& party) {
      party.set_tamper([](const net::MessageId& id, Bytes& payload) {
        if (id.label == "flow/ok" && id.index + 1 == kOksToTheEnd) payload[0] ^= 1;
      });
    };
  });
  EXPECT_THAT(gone[1].error(), HasSubstr("is not signed"));
  EXPECT_THAT(gone[0].out,
              AllOf(HasSubstr("FindInstance: none"), Not(HasSubstr("CreateSagemakerJob: ok"))));
  // Neither could end it: m0 heard no more of m1.
  for (const Ended& e : gone) EXPECT_THAT(e.error(), Not(HasSubstr("lists it no more")));
  const std::vector<Ended> again = run_script(false, hurry);
  for (PartyId i = 0; i < rig_.size(); ++i) {
    EXPECT_THAT(again[i].out, Not(HasSubstr("CreateIamRole: ok")));
    expect_gone(again[i], i);
  }
  EXPECT_EQ(show(1)["state"], "gone");
  EXPECT_EQ(show(1)["instance_id"], "");
  expect_no_seed();
}

// `plan` shows what the run would have approved, and asks nobody.
TEST_F(ClassicRunTest, ItsPlanIsWhatIsApprovedAndCostsNothing) {
  make_objects();
  write_job();
  const auto plan = [&](bool classic) {
    return rig_.run_one(0, [&](PartyId i, cli::Output& out, cli::Common& common) {
      return cli::plan_job(out, common,
                           {rig_.dir(i) / "job.toml",
                            rig_.dir(i) / "links.toml",
                            classic,
                            {{"training-image", "none"}}});
    });
  };
  const Ended shown = plan(true);
  ASSERT_EQ(shown.code, cli::kOk) << shown.out;
  const json last = shown.last();
  EXPECT_EQ(last["calls"], 10);
  EXPECT_GT(last["ands"], 1'000'000);
  const std::string text = last.dump();
  for (const char* const word : {"run-script (classic)", "StartEC2Instance", "training-image",
                                 "the newest one, as GetAmiID tells it", "s.py"}) {
    EXPECT_THAT(text, HasSubstr(word));
  }
  EXPECT_EQ(links_.find(as_bytes(shown.out)), std::nullopt);
  EXPECT_THAT(plan(false).error(), HasSubstr("is of run-script --classic"));
  // As room.toml has it, then as if all hosts were offered one suite.
  const auto suites = [](const json& of) {
    std::vector<std::string> out;
    for (const json& one : of["suites"]) out.push_back(one["suite"]);
    return out;
  };
  EXPECT_EQ(suites(last), (std::vector<std::string>{"aes128", "chacha20", "aes256"}));
  EXPECT_EQ(last["suites"][0]["ands"], last["ands"]);
  rig_.write(0, "room.toml",
             RoomRig::read(rig_.dir(0) / "room.toml") +
                 "[provider.sandbox.host.\"iam.amazonaws.com\"]\n"
                 "suite = \"chacha20\"\n");
  const json mixed = plan(true).last();
  EXPECT_EQ(mixed["suite"], "aes128 and chacha20");
  EXPECT_EQ(suites(mixed),
            (std::vector<std::string>{"aes128 and chacha20", "aes128", "chacha20", "aes256"}));
  for (const size_t k : {0, 1, 2}) {  // gates that fold with the links' seals are rounded up
    const auto same = mixed["suites"][k + 1]["ands"].get<int64_t>();
    EXPECT_THAT(same - last["suites"][k]["ands"].get<int64_t>(),
                ::testing::AnyOf(0, 25'000, -25'000));
  }
  EXPECT_EQ(mixed["suites"][0]["ands"], mixed["ands"]);
  EXPECT_LT(mixed["ands"], last["ands"].get<int64_t>() - 50'000);
}

// What the calls would do otherwise than the job says is refused before anybody is joined.
TEST_F(ClassicRunTest, AJobThatTheCallsDoNotFitIsRefused) {
  objects_ = json::array();
  for (int i = 0; i < 2; ++i) {
    const std::string url = "https://b.s3.amazonaws.com/o?X-Amz-Signature=abc";
    objects_.push_back({{"data_url", url}, {"result_url", url}, {"result_get_url", url}});
  }
  const auto problem = [&](const std::string& more, const std::string& region) {
    write_job(more, region);
    const std::vector<Ended> ended = run_script(false);
    EXPECT_EQ(ended[0].code, cli::kBadInput) << ended[0].out;
    return ended[0].error();
  };
  EXPECT_THAT(problem("instance_profile = \"p\"\n", "us-east-1"),
              HasSubstr("names an instance_profile"));
  EXPECT_THAT(problem("", "eu-west-1"), HasSubstr("is for region eu-west-1"));
  const Ended lean = rig_.run_one(0, [&](PartyId i, cli::Output& out, cli::Common& common) {
    return cli::run_script(
        out, common,
        {rig_.dir(i) / "job.toml", rig_.dir(i) / "links.toml", false, {{"training-image", "x"}}},
        false);
  });
  EXPECT_THAT(lean.error(), HasSubstr("is of run-script --classic"));
}

}  // namespace
}  // namespace flexroom
