#include "config/of_proposal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/codec.h"
#include "base/error.h"

namespace flexroom {
namespace {

using ::testing::HasSubstr;

class JobOfProposalTest : public ::testing::Test {
 protected:
  JobOfProposalTest() {
    job_.name = "count";
    job_.provider = "sandbox";
    job_.region = "us-east-1";
    job_.image_id = "ami-0123";
    job_.instance_type = "t3.large";
    job_.access_key_id = "AKIAEXAMPLE";
    job_.secret = "joint/key";
    job_.script_url = "https://scripts.example/count.py";
    job_.arguments = {"--epochs=3", "it's \"quoted\" \\ and #=[]"};
    job_.deadline_minutes = 30;
    given_ = arguments_of_job(job_);
  }
  void refuses(const std::string& words) {
    try {
      (void)job_of_proposal(given_, kScript);
      ADD_FAILURE() << words;
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), HasSubstr(words));
    }
  }
  static constexpr const char* kScript = "print(1)\n";
  JobConfig job_;
  std::map<std::string, std::string> given_;
};

TEST_F(JobOfProposalTest, IsTheJobThatWasProposed) {
  const JobConfig read = job_of_proposal(given_, kScript);
  EXPECT_EQ(read.name, "count");
  EXPECT_EQ(read.arguments, job_.arguments);
  EXPECT_EQ(read.deadline_minutes, 30);
  EXPECT_EQ(read.script_sha256, to_hex(sha256(as_bytes(std::string(kScript)))));
  EXPECT_EQ(read.script_text, kScript);
  EXPECT_FALSE(read.script_file);
  EXPECT_EQ(arguments_of_job(read), given_);
}

TEST_F(JobOfProposalTest, AJobWithoutAKeyStaysOne) {
  given_.erase("access_key_id");
  given_.erase("secret");
  EXPECT_FALSE(job_of_proposal(given_, kScript).names_key());
}

// No value of it is TOML: nothing in it opens another key or table.
TEST_F(JobOfProposalTest, NothingOfItIsReadAsMoreThanItsValue) {
  given_["region"] = "x\"\nfile = \"/etc/shadow\"\n[job.more]\ny = \"";
  refuses("region");
}

// The file would be one of this machine, by a name that another member chose.
TEST_F(JobOfProposalTest, NamesNoFileOfThisMachine) {
  given_["script-file"] = "/etc/hostname";
  refuses("file");
}

TEST_F(JobOfProposalTest, RefusesWhatNoJobHas) {
  given_["script-sha256"] = std::string(64, 'a');
  refuses("the proposed job");
}

TEST_F(JobOfProposalTest, IsWrittenInOneWay) {
  given_.erase("script-failure_output");  // the default, unsaid
  refuses("another way");
}

TEST_F(JobOfProposalTest, WordsHaveTheirNumbers) {
  given_["script-argument-99"] = "last";
  refuses("another way");
}

TEST_F(JobOfProposalTest, ADeadlineIsANumber) {
  given_["deadline_minutes"] = "30\nx = 1";
  refuses("deadline_minutes");
}

TEST_F(JobOfProposalTest, AScriptThatNoShellReadsIsRefused) {
  EXPECT_THROW((void)job_of_proposal(given_, "a\r\nb\r\n"), InputError);
}

}  // namespace
}  // namespace flexroom
