#include "room/run_proposal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agreement/render.h"
#include "base/error.h"
#include "call/loader.h"
#include "room/call_proposal.h"

// What members approve of a run: all of it, and nothing private.

namespace flexroom::room {
namespace {

using agreement::Proposal;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kScript = "import sys\nprint(sys.argv)\n";

std::string link(const std::string& member, const std::string& object, char signature) {
  return "https://" + member + ".s3.amazonaws.com/" + object +
         "?X-Amz-Date=20261128T190000Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host"
         "&X-Amz-Signature=" +
         std::string(64, signature);
}

class RunProposalTest : public ::testing::Test {
 protected:
  void SetUp() override {
    room_.name = "study";
    JobConfig& job = terms_.job;
    job.name = "train";
    job.provider = "aws";
    job.region = "us-east-1";
    job.image_id = "ami-0123456789abcdef0";
    job.instance_type = "t3.large";
    job.access_key_id = "AKIAIOSFODNN7EXAMPLE";
    job.secret = "joint/key";
    job.script_url = "https://scripts.example/train.py";
    job.script_sha256 = to_hex(sha256(as_bytes(std::string_view(kScript))));
    job.deadline_minutes = 15;
    job.arguments = {"--rounds", "3"};
    terms_.client_token = "8e81973e-0bec-47b0-b898-d190f9ebdacc";
    for (const char* name : {"bank-x", "bank-y"}) {
      MemberEntry entry;
      entry.name = name;
      room_.members.push_back(entry);
      LinksConfig links;
      const std::string hidden = std::string("hidden-") + name;
      links.data_url = link(name, hidden + "/data.csv", 'd');
      links.result_url = link(name, hidden + "/result.json", 'e');
      links.result_get_url = link(name, hidden + "/result.json", 'f');
      Prg prg(Block(1, room_.members.size()));
      const OwnLinks own(links, "test", prg);
      terms_.links.push_back(own.public_part(name));
      private_.push_back(own.private_part(true));
      private_.push_back(hidden);
    }
    secret_.name = "joint/key";
    secret_.version = 2;
    secret_.purposes = {"sigv4 ec2 us-east-1"};
    layout_ = lay_out_run_script(terms_, {.num_members = terms_.links.size()});
    secrets_.signing = secret_;
  }
  Proposal shown(std::optional<size_t> only = std::nullopt) const {
    return run_proposal(room_, {terms_, layout_->call, secrets_, script_, only});
  }

  RoomConfig room_;
  RunScriptTerms terms_;
  store::RecordMeta secret_;
  CallSecrets secrets_;
  std::string script_ = kScript;
  std::shared_ptr<const RunScriptLayout> layout_;
  std::vector<std::string> private_;
};

TEST_F(RunProposalTest, HoldsEverythingThatRuns) {
  Proposal whole = shown();
  whole.text_form = 2;  // unbroken lines
  const std::string text = agreement::render(whole);
  for (const std::string& part :
       {std::string("run-script (lean) train\n"),
        std::string("ec2:RunInstances\n"),
        std::string("AKIAIOSFODNN7EXAMPLE (secret joint/key)"),
        std::string("15 minutes, then the machine ends"),
        std::string("(no price given in the job)"),
        std::string("Script\n"),
        std::string("    | import sys\n    | print(sys.argv)\n"),
        terms_.job.script_sha256,
        std::string("script argument"),
        std::string("Loader\n"),
        std::string("    | run() {\n"),
        std::string("carried by"),
        std::string("    | https://bank-x.s3.amazonaws.com/{{path: 22 bytes, private to bank-x}}"
                    "?X-Amz-Date=20261128T190000Z"),
        std::string("{{signature: 64 bytes, private to bank-y}}\n"),
        std::string("joint/key version 2\n"),
        std::string("sigv4 ec2 us-east-1\n"),
        std::string("POST / HTTP/1.1\n"),
        terms_.client_token,
        std::string("    | #!/bin/bash\n    | m(){\n    | shutdown +15\n"),
        to_hex(sha256(as_bytes(loader_text(terms_.job, terms_.links))))}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_THAT(text, ContainsRegex("data of bank-x expires +2026-11-28T20:00:00Z\n"));
  EXPECT_THAT(text, ContainsRegex("result of bank-y expires +2026-11-28T20:00:00Z\n"));
}

TEST_F(RunProposalTest, NoPrivatePartEnters) {
  const std::string bytes = to_text(shown().canonical());
  for (const std::string& hidden : private_) EXPECT_THAT(bytes, Not(HasSubstr(hidden)));
  for (const char signature : {'d', 'e', 'f'}) {
    EXPECT_THAT(bytes, Not(HasSubstr(std::string(64, signature))));
  }
}

TEST_F(RunProposalTest, EachThingThatDiffersIsAnotherProposal) {
  std::vector<Bytes> all = {shown().canonical()};
  const auto add = [&] {
    layout_ = lay_out_run_script(terms_, {.num_members = terms_.links.size()});
    all.push_back(shown().canonical());
  };
  script_ += "\n";
  add();
  terms_.job.price_per_hour = Price{"0.1 USD", 100'000, "USD"};
  add();
  terms_.job.deadline_minutes = 16;
  add();
  terms_.job.arguments = {"--rounds 3"};
  add();
  terms_.links[1].result.public_query = "?X-Amz-Signature=";
  add();
  terms_.links[0].sealed[5] = terms_.links[0].sealed[5] == 'a' ? 'b' : 'a';
  add();
  for (size_t a = 0; a < all.size(); ++a) {
    for (size_t b = 0; b < a; ++b) EXPECT_NE(all[a], all[b]) << a << " and " << b;
  }
}

// A plan shows nothing of the others that this member does not know.
TEST_F(RunProposalTest, APlanShowsOwnLinksAndSaysWhatIsMissing) {
  const std::string text = agreement::render(shown(1));
  EXPECT_THAT(text, HasSubstr("links of bank-x"));
  EXPECT_THAT(text, HasSubstr("(known when the members meet)"));
  EXPECT_THAT(text, ContainsRegex("data of bank-y expires +2026-11-28T20:00:00Z\n"));
  EXPECT_THAT(text, HasSubstr("    | import sys\n"));
  EXPECT_THAT(text, HasSubstr("    | run() {\n"));
  EXPECT_THAT(text, HasSubstr("\n    | {{links of bank-x: "));
  // Its own are sealed with another key when the members meet.
  EXPECT_THAT(text, HasSubstr("\n    | member {{sealed links of bank-y: "));
  Proposal plan = shown(1);
  plan.text_form = 2;  // unbroken lines
  EXPECT_THAT(agreement::render(plan),
              HasSubstr("known when the members meet: sealed with a new key for each run}} "
                        "'https://bank-y"));
  for (const PublicLinks& links : terms_.links) EXPECT_THAT(text, Not(HasSubstr(links.sealed)));
  EXPECT_THAT(text, Not(HasSubstr("https://bank-x")));
  EXPECT_THAT(text, Not(HasSubstr(terms_.client_token)));
  EXPECT_THAT(text, ContainsRegex("bytes +about 1[0-9]+\n"));
  EXPECT_THAT(text, Not(HasSubstr("slot private-")));  // who carries the loader is not known
  EXPECT_EQ(not_known_before_meeting().size(), 3u);
}

TEST_F(RunProposalTest, ALinkWhosePublicPartSaysNothingHasNoEnd) {
  terms_.links[0].data.public_query = "?";
  EXPECT_THAT(agreement::render(shown()),
              ContainsRegex("data of bank-x expires +.its public part does not say.\n"));
}

TEST_F(RunProposalTest, TheCostIsAnUpperBound) {
  JobConfig job;
  job.deadline_minutes = 15;
  EXPECT_EQ(machine_cost(job), "(no price given in the job)");
  job.price_per_hour = Price{"0.0832 USD", 83'200, "USD"};
  EXPECT_EQ(machine_cost(job),
            "at most 0.0208 USD, an estimate: 15 minutes at 0.0832 USD an hour, without disks and "
            "traffic");
  job.deadline_minutes = 1;
  job.price_per_hour = Price{"0.000001 EUR", 1, "EUR"};
  EXPECT_THAT(machine_cost(job), HasSubstr("at most 0.0001 EUR"));  // rounded up
  job.deadline_minutes = 1440;
  job.price_per_hour = Price{"999999.999999 EUR", 999'999'999'999, "EUR"};
  EXPECT_THAT(machine_cost(job), HasSubstr("at most 24000000.0000 EUR"));
}

TEST_F(RunProposalTest, AGetHoldsTheWholeRequest) {
  const http::Url url = http::parse_url("https://h.example/a?b=c", "test");
  const Proposal get = get_proposal(room_, "https://h.example/a?b=c", get_call(url, "p"));
  const std::string text = agreement::render(get);
  for (const char* part : {"get https://h.example/a?b=c\n", "    | GET /a?b=c HTTP/1.1\n",
                           "    | Host: h.example\n", "query b", "provider"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

}  // namespace
}  // namespace flexroom::room
