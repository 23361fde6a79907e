#include "room/run_proposal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agreement/render.h"
#include "base/error.h"
#include "call/loader.h"
#include "call/per_run.h"
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

// Only its owner knows the end of a link whose whole query is private; it tells the end alone.
TEST_F(RunProposalTest, TheEndOfAPrivateQueryIsItsOwnersWord) {
  LinksConfig links;
  links.data_url = "https://bank-y.example/d?Expires=1795896000&Signature=hiddenQx&Key-Pair-Id=K";
  links.result_url = "https://bank-y.example/r?sig=hiddenQx";  // says none
  links.result_get_url = link("bank-y", "r", 'f');
  Prg prg(Block(9, 9));
  terms_.links[1] = OwnLinks(links, "test", prg).public_part("bank-y");
  EXPECT_EQ(terms_.links[1].data.public_query, "?");
  EXPECT_EQ(terms_.links[1].carrier->says_end, 0) << "its public part says it";
  layout_ = lay_out_run_script(terms_, {.num_members = terms_.links.size()});
  const std::string text = agreement::render(shown());
  EXPECT_THAT(text, ContainsRegex("data of bank-y expires +bank-y says: 2026-11-28T20:00:00Z\n"));
  EXPECT_THAT(text, ContainsRegex("result of bank-y expires +.its public part does not say.\n"));
  EXPECT_THAT(text, ContainsRegex("data of bank-x expires +2026-11-28T20:00:00Z\n"));
  for (const char* hidden : {"1795896000", "hiddenQx", "Key-Pair"}) {
    EXPECT_THAT(to_text(shown().canonical()), Not(HasSubstr(hidden)));
  }
  EXPECT_THAT(agreement::render(shown(1)), HasSubstr("bank-y says: 2026-11-28T20:00:00Z"));
}

TEST_F(RunProposalTest, AnEndThatIsNoneOrContradictsTheLinkIsRefused) {
  const PublicLinks good = terms_.links[0];
  check_public_links(good);
  for (const int64_t end : {int64_t{-1}, int64_t{253'402'300'800}, INT64_MAX, INT64_MIN}) {
    PublicLinks bad = good;
    bad.data.public_query = "?";
    bad.data.says_end = end;
    EXPECT_THROW(check_public_links(bad), InputError) << end;
  }
  PublicLinks two = good;
  two.result.says_end = 1'795'896'000;  // its public part says another
  EXPECT_THROW(check_public_links(two), InputError);
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

class RunAgainTest : public RunProposalTest {
 protected:
  void SetUp() override {
    RunProposalTest::SetUp();
    before_ = shown();
    again();
  }
  /// The same run once more: another token, links sealed under other keys.
  void again() {
    terms_.client_token = "0b5e1f00-1111-4222-8333-0123456789ab";
    for (PublicLinks& links : terms_.links) {
      for (char& digit : links.sealed) digit = digit == 'f' ? '0' : digit == '9' ? 'a' : digit + 1;
    }
    layout_ = lay_out_run_script(terms_, {.num_members = terms_.links.size()});
  }
  ChangedSince changed() const { return changed_since(before_, shown()); }
  /// As the log gives it back.
  static Proposal decoded(const Proposal& proposal) {
    return Proposal::decode(proposal.canonical(), "test");
  }
  static Proposal::Field& field(Proposal& proposal, const std::string& name) {
    return *std::find_if(proposal.fields.begin(), proposal.fields.end(),
                         [&](const auto& f) { return f.name == name; });
  }
  Proposal before_;
};

TEST_F(RunAgainTest, WhatIsNewInEveryRunIsNoChange) {
  ASSERT_NE(agreement::diff(before_, shown()), "");
  for (const ChangedSince& since : {changed(), changed_since(decoded(before_), decoded(shown()))}) {
    EXPECT_EQ(since.text, "");
    EXPECT_THAT(since.new_each_run, ::testing::UnorderedElementsAre(
                                        "client token", "sealed links", "user data",
                                        "SHA-256 of the loader", "the request that holds them"));
  }
  const ChangedSince same = changed_since(before_, before_);
  EXPECT_EQ(same.text, "");
  EXPECT_TRUE(same.new_each_run.empty());
}

TEST_F(RunAgainTest, ARealChangeBesideThemIsShown) {
  terms_.job.instance_type = "t3.small";
  terms_.job.arguments = {"--rounds", "4"};
  layout_ = lay_out_run_script(terms_, {.num_members = terms_.links.size()});
  const ChangedSince since = changed();
  EXPECT_THAT(since.text, HasSubstr("  Parameters: form InstanceType\n    - t3.large\n"));
  EXPECT_THAT(since.text, HasSubstr("  Loader: loader\n"));
  EXPECT_THAT(since.text, HasSubstr("  Loader: loader sha256\n    - " +
                                    to_hex(field(before_, "loader sha256").value)));
  EXPECT_THAT(since.text, HasSubstr("  Request: as it leaves\n"));
  EXPECT_THAT(since.text, Not(HasSubstr("form ClientToken")));
  EXPECT_THAT(since.text, Not(HasSubstr(terms_.links[0].sealed.substr(0, 40))));
  EXPECT_THAT(since.new_each_run, ::testing::Contains("sealed links"));
}

// Another length, another place, other text around it, a hash that is none of the loader: each is a
// change, wherever a part of a run stands.
TEST_F(RunAgainTest, WhatIsNotOnlyAnotherValueIsShown) {
  const Proposal good = shown();
  const auto shows = [&](const std::string& where, const std::function<void(Proposal&)>& edit) {
    Proposal other = good;
    edit(other);
    EXPECT_THAT(changed_since(before_, other).text, HasSubstr(where));
  };
  const auto replace = [](Bytes& value, const std::string& from, const std::string& to) {
    std::string text = to_text(value);
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    value = to_bytes(text.replace(at, from.size(), to));
  };
  const std::string sealed = terms_.links[1].sealed;
  shows("form ClientToken",
        [&](Proposal& p) { field(p, "form ClientToken").value.push_back('0'); });
  shows("form ClientToken", [&](Proposal& p) { field(p, "form ClientToken").value[8] = '0'; });
  shows("form ClientToken", [&](Proposal& p) { field(p, "form ClientToken").value[3] = 'g'; });
  shows("Loader: loader\n",
        [&](Proposal& p) { replace(field(p, "loader").value, sealed, sealed + "00"); });
  shows("Loader: loader\n",
        [&](Proposal& p) { replace(field(p, "loader").value, sealed, sealed.substr(1) + "x"); });
  shows("Loader: loader\n", [&](Proposal& p) {
    replace(field(p, "loader").value, "member " + sealed + " '", "member " + sealed + "  ");
  });
  shows("loader sha256", [&](Proposal& p) { field(p, "loader sha256").value[5] ^= 1; });
  shows("decoded from base64", [&](Proposal& p) {
    replace(field(p, "form UserData, decoded from base64").value, "sha256sum -c", "sha256sum -b");
  });
  const std::string hash = to_hex(field(before_, "loader sha256").value);
  shows("decoded from base64", [&](Proposal& p) {
    const std::string own = to_hex(field(p, "loader sha256").value);
    replace(field(p, "form UserData, decoded from base64").value, own, hash);  // of before
  });
  const std::string token = terms_.client_token;
  shows("as it leaves", [&](Proposal& p) {
    replace(field(p, "as it leaves").value, token, "8e81973e-0bec-47b0-b898-d190f9ebdacc");
  });
  shows("as it leaves", [&](Proposal& p) {
    replace(field(p, "as it leaves").value, "&ClientToken=" + token, "&clientToken=" + token);
  });
  shows("as it leaves", [&](Proposal& p) {
    std::vector<agreement::RequestPart> parts =
        agreement::request_parts(field(p, "as it leaves").value, "test");
    for (auto& part : parts) {
      const size_t begins = to_text(part.text).find("&UserData=");
      if (begins != std::string::npos) part.text.at(begins + 10 + 8) ^= 1;  // of "#!/bin/bash"
    }
    field(p, "as it leaves").value = agreement::request_value(parts);
  });
}

// Another operation has no such parts: every byte counts.
TEST_F(RunAgainTest, OnlyARunHasThem) {
  Proposal before = before_, now = shown();
  before.kind = now.kind = "call";
  const ChangedSince since = changed_since(before, now);
  EXPECT_THAT(since.text, HasSubstr("form ClientToken"));
  EXPECT_TRUE(since.new_each_run.empty());
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
