#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>

#include "support/canaries.h"
#include "support/sandbox_flows.h"
#include "support/sweeps.h"

// A flow against the sandbox (operations.md (c)): values are drawn, a sealed answer's token is kept
// and used, and what the service then has is compared with what the members never saw.

namespace flexroom {
namespace {

using support::RoomRig;
using Ended = RoomRig::Ended;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kMailbox = R"(
[flow]
name = "open-mailbox"
provider = "sandbox"
prefix = "box"
hosts = ["mail.flexroom.example"]

[born."mail/address"]
alphabet = "base32"
length = 26
suffix = "@example-mail.test"
identifies = true
purposes = ["POST https://mail.flexroom.example/accounts json /address={{}}",
            "POST https://mail.flexroom.example/token json /address={{}}"]

[born."mail/password"]
alphabet = "base32"
length = 26
purposes = ["POST https://mail.flexroom.example/accounts json /password={{}}",
            "POST https://mail.flexroom.example/token json /password={{}}"]

[[step]]
name = "CreateEmail"
leaves = "a mailbox"
request = """
POST /accounts HTTP/1.1
Host: mail.flexroom.example
Content-Type: application/json

{"address": "{{mail/address}}", "password": "{{mail/password}}"}
"""
status = [201]
on.422 = "next"
on.unknown = "again"

[[step]]
name = "GetMailToken"
request = """
POST /token HTTP/1.1
Host: mail.flexroom.example
Content-Type: application/json

{"address": "{{mail/address}}", "password": "{{mail/password}}"}
"""
on.unknown = "again"

[step.keep."run/mail-token"]
at = "json /token"
class = "cookie"
length = [16, 512]
entropy = 128
purposes = ["https://mail.flexroom.example header authorization: Bearer {{}}"]

[[step]]
name = "ListMails"
request = """
GET /messages HTTP/1.1
Host: mail.flexroom.example
Authorization: Bearer {{run/mail-token}}
"""
type = "application/ld+json"
open."mail-count" = { at = "json-number /hydra:totalItems", class = "digits", max = 4 }
)";

class FlowTest : public ::testing::TestWithParam<size_t>, protected support::SandboxFlows {
 protected:
  void SetUp() override {
    set_up(GetParam());
    write_all("flow.toml", kMailbox);
  }
  std::vector<Ended> flow(const Prepare& prepare = nullptr, const std::string& go_on = "",
                          const std::string& abandon = "") {
    return run_own("flow.toml", {{}, {}, go_on, abandon, prepare});
  }
  /// Kills a member when it comes to that durable step for the n-th time.
  static Prepare kills(PartyId victim, const std::string& step, unsigned n) {
    return [=, left = n](PartyId i, cli::Common& common) {
      if (i != victim) return;
      common.fault = [step, left](std::string_view reached) mutable {
        if (reached == step && --left == 0) kill(getpid(), SIGKILL);
      };
    };
  }
  json boxes() const {
    return json::parse(RoomRig::read(rig_->root() / "cloud" / "mailboxes.json"));
  }
  /// The one mailbox that the service has: its address, password and whatever else it keeps.
  std::pair<std::string, json> box() const {
    const json all = boxes();
    EXPECT_EQ(all.size(), 1u) << all;
    return {all.begin().key(), all.begin().value()};
  }
};
INSTANTIATE_TEST_SUITE_P(Members, FlowTest, ::testing::Values(2, 3));

TEST_P(FlowTest, AMailboxThatNobodyKnowsIsOpenedAndRead) {
  const std::vector<Ended> ended = flow();
  all_ok(ended);
  const auto [address, kept] = box();
  EXPECT_THAT(address, ::testing::MatchesRegex("[a-z2-7]+@example-mail.test"));
  EXPECT_EQ(address.size(), 26 + std::string("@example-mail.test").size());
  const std::string password = kept["password"];
  EXPECT_EQ(password.size(), 26u);
  for (PartyId i = 0; i < rig_->size(); ++i) {
    EXPECT_EQ(ended[i].last()["opened"], (json{{"mail-count", "0"}}));
    EXPECT_EQ(ended[i].last()["run"], ended[0].last()["run"]);
    const std::vector<std::string> log = log_of(i);
    EXPECT_THAT(log, ::testing::Contains(HasSubstr("GetMailToken: ok; kept run/mail-token v1")));
    EXPECT_THAT(log, ::testing::Contains(HasSubstr("ListMails: ok; opened mail-count (")));
    EXPECT_THAT(log.back(), HasSubstr("done"));
  }
  expect_unknown(ended, {address, address.substr(0, 26), password});
  // The prefix has an identity now: another run would be another one.
  for (const Ended& again : flow()) {
    EXPECT_EQ(again.code, cli::kRefused) << again.out;
    EXPECT_THAT(again.error(), HasSubstr("box is in use"));
  }
  EXPECT_EQ(boxes().size(), 1u);
}

class FlowKilledTest : public FlowTest {};
INSTANTIATE_TEST_SUITE_P(Members, FlowKilledTest, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, FlowKilledTest,
                         ::testing::ValuesIn(support::in_long_runs({3})));

TEST_P(FlowKilledTest, AMemberKilledBetweenTwoStepsGoesOnWithWhatWasKept) {
  // Commits: births, CreateEmail, GetMailToken; the token is read back from its row.
  const PartyId victim = static_cast<PartyId>(GetParam() - 1);
  const std::vector<Ended> first = flow(kills(victim, "flow/committed", 3));
  for (PartyId i = 0; i < rig_->size(); ++i) {
    if (i == victim) {
      EXPECT_TRUE(first[i].killed);
      continue;
    }
    EXPECT_EQ(first[i].code, cli::kNetworkFailed) << first[i].out;
    EXPECT_THAT(first[i].error(), HasSubstr("it goes on from there"));
  }
  // The line of a commit is durable with it: no command has to be run for that.
  const auto lines = [&](PartyId i, const std::string& step) {
    const std::vector<std::string> log = log_of(i);
    return std::count_if(log.begin(), log.end(), [&](const std::string& note) {
      return note.find(step + ": ok") != note.npos;
    });
  };
  EXPECT_EQ(lines(victim, "GetMailToken"), 1);
  const json before = boxes();
  const std::vector<Ended> ended = flow();
  all_ok(ended);
  EXPECT_EQ(ended[0].last()["opened"], (json{{"mail-count", "0"}}));
  EXPECT_EQ(boxes().size(), 1u);
  EXPECT_EQ(boxes().begin().key(), before.begin().key());
  for (PartyId i = 0; i < rig_->size(); ++i) {
    EXPECT_EQ(lines(i, "CreateEmail"), 1) << "member " << i;
    EXPECT_EQ(lines(i, "GetMailToken"), 1) << "member " << i;
  }
  expect_unknown(ended, {box().first.substr(0, 26), box().second["password"]});
}

class FlowPairTest : public FlowTest {
 protected:
  /// Each look at the clock is some seconds later: nobody waits ten minutes in a test.
  static void hurry(PartyId, cli::Common& common) {
    common.clock = [ahead = int64_t{0}]() mutable { return std::time(nullptr) + (ahead += 3); };
  }
};
INSTANTIATE_TEST_SUITE_P(Members, FlowPairTest, ::testing::Values(2));

TEST_P(FlowPairTest, AnAnswerThatNobodyCommittedIsFoundOutByTheRuleForUnknown) {
  const std::vector<Ended> first = flow([&](PartyId i, cli::Common& common) {
    hurry(i, common);
    kills(1, "flow/answered", 1)(i, common);
  });
  EXPECT_TRUE(first[1].killed);
  EXPECT_EQ(first[0].code, cli::kUnknown) << first[0].out;
  EXPECT_THAT(first[0].error(), HasSubstr("The request of CreateEmail had been released"));
  EXPECT_EQ(boxes().size(), 1u);  // it was carried out
  const std::vector<Ended> ended = flow(hurry);
  all_ok(ended);
  for (const Ended& e : ended) {
    EXPECT_THAT(e.out, AllOf(HasSubstr("CreateEmail waits up to "),
                             HasSubstr("its outcome is unknown, until it can no longer arrive")));
  }
  EXPECT_EQ(boxes().size(), 1u);
  EXPECT_THAT(log_of(0), ::testing::Contains(HasSubstr("CreateEmail: unknown")));
}

/// Says that to what has to be known, and approves everything.
class Told final : public Decider {
 public:
  explicit Told(std::string answer) : answer_(std::move(answer)) {}
  Answer approve(const Summary&) override { return Answer::kYes; }
  std::optional<std::string> human_input(const Question& question) override {
    EXPECT_EQ(question.kind, Question::Kind::kConsent);
    EXPECT_THAT(question.text, HasSubstr("open-mailbox: the box is gone with a member."));
    ++asked;
    return answer_;
  }
  int asked = 0;

 private:
  const std::string answer_;
};

// operations.md (f): asked for by the library, before anybody is joined; --yes is no answer.
TEST_P(FlowPairTest, WhatAFileWantsToBeKnownIsAskedForWhoeverStartsIt) {
  std::string text = kMailbox;
  text.insert(text.find("provider = "), "consent = \"the box is gone with a member\"\n");
  write_all("flow.toml", text);
  rig_->write(0, "room.toml",
              "[room]\ntimeout_seconds = 1\n" +
                  RoomRig::read(rig_->dir(0) / "room.toml").substr(std::string("[room]\n").size()));
  const auto alone = [&](bool knows) {
    return rig_->run_one(0, [&](PartyId i, cli::Output& out, cli::Common& common) {
      common.knows = knows;
      return cli::run_flow(out, common, rig_->dir(i) / "flow.toml", {}, "", "");
    });
  };
  const Ended refused = alone(false);
  EXPECT_EQ(refused.code, cli::kBadInput) << refused.out;
  EXPECT_THAT(refused.error(),
              AllOf(HasSubstr("the box is gone with a member"), HasSubstr("--i-know")));
  EXPECT_THAT(refused.out, Not(HasSubstr("waiting for")));
  const Ended known = alone(true);
  EXPECT_EQ(known.code, cli::kNetworkFailed) << known.out;  // it waits for the other one
  const auto told = [&](const std::string& answer) {
    return rig_->run_one(0, [&](PartyId i, cli::Output& out, cli::Common& common) {
      RoomOptions options;
      options.member_file = common.member_file;
      Room room(options);
      Told decider(answer);
      Session session(room, decider);
      try {
        (void)session.flow({rig_->dir(i) / "flow.toml", {}, "", "", {}, {}});
      } catch (const Error& error) {
        EXPECT_EQ(decider.asked, 1);
        return cli::report(out, error, false);
      }
      return int{cli::kOk};
    });
  };
  EXPECT_EQ(told("no").code, cli::kBadInput);
  EXPECT_EQ(told("yes").code, cli::kNetworkFailed);
}

TEST_P(FlowPairTest, AnAbandonedRunSaysWhatItMayHaveLeft) {
  const std::vector<Ended> first = flow([&](PartyId i, cli::Common& common) {
    hurry(i, common);
    kills(0, "flow/committed", 2)(i, common);
  });
  EXPECT_TRUE(first[0].killed);
  std::string text = first[1].error();
  const size_t at = text.find("Run ");
  ASSERT_NE(at, std::string::npos) << text;
  const std::string run = text.substr(at + 4, 26);
  for (const Ended& wrong : flow(hurry, "", std::string(26, 'a'))) {
    EXPECT_EQ(wrong.code, cli::kRefused) << wrong.out;
  }
  for (const Ended& wrong : flow(hurry, std::string(26, 'a'))) {
    EXPECT_EQ(wrong.code, cli::kRefused) << wrong.out;
    EXPECT_THAT(wrong.error(), HasSubstr("the open run of this flow is " + run));
  }
  const std::vector<Ended> ended = flow(hurry, "", run);
  all_ok(ended);
  for (const Ended& e : ended) EXPECT_EQ(e.last()["left"], json::array({"a mailbox"}));
}

// A refused step is the file's affair, and the same at all members.
TEST_P(FlowPairTest, ARefusalWithoutARuleStopsTheRunThere) {
  std::string text = kMailbox;
  const size_t at = text.find("GET /messages ");
  text.replace(at, 14, "GET /nowhere ");
  write_all("flow.toml", text);
  for (const Ended& e : flow()) {
    EXPECT_EQ(e.code, cli::kServiceRefused) << e.out;
    EXPECT_THAT(e.error(), AllOf(HasSubstr("ListMails: 404"), HasSubstr("--continue")));
  }
  write_all("flow.toml", kMailbox);
  for (const Ended& e : flow()) {
    EXPECT_EQ(e.code, cli::kRefused) << e.out;
    EXPECT_THAT(e.error(), HasSubstr("began with another file"));
  }
  const Ended log = rig_->run_one(0, [](PartyId, cli::Output& to, cli::Common& common) {
    return cli::show_log(to, common, true);
  });
  const size_t named = log.out.find("flow open-mailbox run ");
  ASSERT_NE(named, std::string::npos);
  const std::vector<Ended> ended = flow(nullptr, log.out.substr(named + 22, 26));
  all_ok(ended);
  EXPECT_EQ(ended[1].last()["opened"], (json{{"mail-count", "0"}}));
}

// members.md §3.2: rows are brought together only where all describe them alike.
TEST_P(FlowPairTest, AValueThatAMemberDescribesOtherwiseIsNotLoaded) {
  EXPECT_TRUE(flow(kills(1, "flow/committed", 1))[1].killed);
  const std::vector<Ended> ended = flow([](PartyId i, cli::Common& common) {
    common.connected = [i](net::Party& party) {
      if (i == 0) return;
      party.set_tamper([](const net::MessageId& id, Bytes& bytes) {
        // Of the first one's metadata the record id, behind its length and epoch.
        if (id.label == "store/agree") bytes[36] = static_cast<uint8_t>(bytes[36] ^ 1);
      });
    };
  });
  EXPECT_EQ(ended[0].code, cli::kRefused) << ended[0].out;
  EXPECT_THAT(ended[0].error(), HasSubstr("has another record id there"));
  EXPECT_FALSE(std::filesystem::exists(rig_->root() / "cloud" / "mailboxes.json") &&
               !boxes().empty());
  all_ok(flow());
  EXPECT_EQ(boxes().size(), 1u);
}

}  // namespace
}  // namespace flexroom
