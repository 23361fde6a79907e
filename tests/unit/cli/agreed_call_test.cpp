#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "support/room_rig.h"

// What a member logs and shows of a call when another member, or its own disk, fails it at the
// worst time: after the request left.

namespace flexroom {
namespace {

using support::RoomRig;
using Ended = RoomRig::Ended;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;

constexpr PartyId kHonest = 0, kLiar = 1;

class AgreedCallTest : public ::testing::Test {
 protected:
  void SetUp() override {
    rig_.start_sandbox();
    all_ok(rig_.run([](PartyId, cli::Output& out, cli::Common& common) {
      return cli::init_room(out, common, false);
    }));
    const nlohmann::json account = rig_.joint_account();
    key_ = account["access_key_id"];
    rig_.write_shares("k.json", "joint/key", account["secret_access_key"].get<std::string>(), "b64",
                      support::RoomRig::signs());
    all_ok(rig_.import("k.json"));
    for (const PartyId i : {kHonest, kLiar}) rig_.write(i, "r.toml", recipe());
  }
  static void all_ok(const std::vector<Ended>& ended) {
    for (const Ended& e : ended) ASSERT_EQ(e.code, cli::kOk) << e.out;
  }
  static std::string recipe() {
    return R"([recipe]
name = "who-am-i"
provider = "sandbox"
host = "sts.us-east-1.amazonaws.com"
open = "everything to all"
request = """
POST / HTTP/1.1
Host: sts.us-east-1.amazonaws.com
Content-Type: application/x-www-form-urlencoded; charset=utf-8
X-Amz-Date: {{amz-date}}
Authorization: AWS4-HMAC-SHA256 Credential={{access-key-id}}/{{amz-day}}/us-east-1/sts/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature={{signature}}
Connection: close
Content-Length: {{content-length}}

Action=GetCallerIdentity&Version=2011-06-15"""

[sign]
secret = "joint/key"
region = "us-east-1"
service = "sts"

[argument.access-key-id]
)";
  }
  using Hook = std::function<void(PartyId, net::Party&)>;
  std::vector<Ended> call(const Hook& connected) {
    return rig_.run([&](PartyId i, cli::Output& out, cli::Common& common) {
      common.connected = [&, i](net::Party& party) { connected(i, party); };
      return cli::call_recipe(out, common, rig_.dir(i) / "r.toml", {{"access-key-id", key_}},
                              std::nullopt);
    });
  }
  nlohmann::json log_of(PartyId i) {
    return rig_
        .run_one(i, [](PartyId, cli::Output& out,
                       cli::Common& common) { return cli::show_log(out, common, true); })
        .last()["entries"];
  }

  RoomRig rig_{2};
  std::string key_;
};

TEST_F(AgreedCallTest, ApprovalAndOutcomeStandInTheLog) {
  all_ok(call([](PartyId, net::Party&) {}));
  for (const PartyId i : {kHonest, kLiar}) {
    const nlohmann::json log = log_of(i);
    ASSERT_EQ(log.size(), 5u) << log.dump();  // who is in the room; import, call: approved, done
    for (const auto& entry : log) EXPECT_TRUE(entry["joint"]) << entry.dump();
    EXPECT_EQ(log[3]["outcome"], "approved");
    EXPECT_EQ(log[4]["outcome"], "done");
    EXPECT_EQ(log[3]["proposal"], log[4]["proposal"]);
    EXPECT_THAT(log[4]["text"].get<std::string>(), HasSubstr("status 200"));
  }
}

// An answer is one; what it says is no success.
TEST_F(AgreedCallTest, AnErrorOfTheServiceIsLoggedAsOne) {
  rig_.use_buckets();
  key_ = "AKIAIOSFODNN7EXAMPLE";
  for (const Ended& e : call([](PartyId, net::Party&) {})) {
    EXPECT_EQ(e.code, cli::kServiceRefused) << e.out;
  }
  for (const PartyId i : {kHonest, kLiar}) {
    const nlohmann::json last = log_of(i).back();
    EXPECT_EQ(last["outcome"], "failed");
    EXPECT_EQ(last["status"], 403);
    EXPECT_TRUE(last["joint"]);
    EXPECT_EQ(last["text"], "call who-am-i: status 403 InvalidClientTokenId");
  }
}

TEST_F(AgreedCallTest, ProgressIsOfTheWholeCallAndNeverGoesBack) {
  const auto ended = call([](PartyId, net::Party&) {});
  all_ok(ended);
  for (const Ended& member : ended) {
    double percent = 0;
    std::vector<std::string> phases;
    size_t with_time_left = 0;
    for (const nlohmann::json& event : member.events("progress")) {
      if (phases.empty() || phases.back() != event["phase"]) phases.push_back(event["phase"]);
      if (!event.contains("percent")) continue;
      EXPECT_GE(event["percent"], percent) << event.dump();
      percent = event["percent"];
      with_time_left += event.contains("eta_seconds");
    }
    EXPECT_GT(percent, 90);
    EXPECT_LE(percent, 100);
    EXPECT_GT(with_time_left, 5u);
    EXPECT_THAT(phases,
                IsSupersetOf({"make AND triples", "token", "garble handshake and request circuits",
                              "ECDHE", "confirm"}));
  }
}

// The call was carried out and its answer is here: whatever the other one does to the log entry.
TEST_F(AgreedCallTest, WhoDoesNotSignTheEntryHidesNoCall) {
  const std::vector<std::function<void(const net::MessageId&, Bytes&)>> lies = {
      [](const net::MessageId& message, Bytes&) {
        if (message.label == "log/entry")
          throw ProtocolAbort(AbortCode::kCancelled, "liar", "gone");
      },
      [](const net::MessageId& message, Bytes& payload) {
        if (message.label == "log/entry") payload.at(3) ^= 1;  // another entry
      },
      [](const net::MessageId& message, Bytes& payload) {
        if (message.label == "log/entry") payload.at(40) ^= 1;  // its signature
      }};
  for (const auto& lie : lies) {
    const auto ended = call([&](PartyId i, net::Party& party) {
      if (i == kLiar) party.set_tamper(lie);
    });
    EXPECT_EQ(ended[kHonest].code, cli::kOk) << ended[kHonest].out;
    EXPECT_EQ(ended[kHonest].last()["status"], 200);
    const nlohmann::json last = log_of(kHonest).back();
    EXPECT_EQ(last["outcome"], "done");
    EXPECT_FALSE(last["joint"]);
    EXPECT_THAT(last["text"].get<std::string>(), HasSubstr("did not sign"));
  }
}

// This member's log cannot be written between release and answer: the request may have been carried
// out, and the exit code says so, though the failure is local.
TEST_F(AgreedCallTest, AFailureHereAfterTheReleaseIsAnUnknownOutcome) {
  const auto ended = call([&](PartyId i, net::Party& party) {
    if (i != kHonest) return;
    party.set_observer([](const net::MessageId& message, ByteView) {
      if (message.label.find("s_ap") != std::string::npos) throw std::runtime_error("disk full");
    });
  });
  EXPECT_EQ(ended[kHonest].code, cli::kUnknown) << ended[kHonest].out;
  EXPECT_THAT(ended[kHonest].error(), HasSubstr("may have been carried out"));
  const nlohmann::json last = log_of(kHonest).back();
  EXPECT_THAT(last["outcome"].get<std::string>(), HasSubstr("may have happened"));
}

// The request was sent, and this member can write nothing down: what it says leads nobody to send
// it a second time.
TEST_F(AgreedCallTest, AStateThatTakesNothingAfterTheReleaseLeadsToNoSecondRequest) {
  for (const std::string name : {"state.db", "once.db"}) {
    const auto ended = call([&](PartyId i, net::Party& party) {
      if (i != kHonest) return;
      party.set_observer([&, held = false](const net::MessageId& message, ByteView) mutable {
        if (held || message.label.find("s_ap") == std::string::npos) return;
        held = true;
        sqlite3* other = nullptr;  // until the process ends
        const auto file = rig_.dir(kHonest) / "state" / name;
        ASSERT_EQ(sqlite3_open(file.c_str(), &other), SQLITE_OK);
        ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
      });
    });
    const Ended& honest = ended[kHonest];
    EXPECT_EQ(honest.code, cli::kOk) << honest.out;
    EXPECT_EQ(honest.last()["status"], 200);
    EXPECT_THAT(honest.out, HasSubstr(name + ": is in use by another"));
    EXPECT_THAT(honest.out, HasSubstr("could not be written"));
    EXPECT_THAT(honest.out,
                Not(AnyOf(HasSubstr("nothing was changed"), HasSubstr("same command again"))));
  }
}

/// A program whose screen is gone, and whose code throws what is no std::exception.
class Throws final : public Decider {
 public:
  Answer approve(const Summary&) override {
    if (instead_of_an_answer) throw 7;
    return Answer::kYes;
  }
  std::optional<std::string> human_input(const Question&) override { throw 7; }
  void progress(const Progress&) override { throw 7; }
  void note(std::string_view) override { throw 7; }
  void timeline(const std::vector<Phase>&) override { throw 7; }
  bool instead_of_an_answer = false;
};

TEST_F(AgreedCallTest, WhateverTheProgramThrowsTheAnswerIsKept) {
  const auto ended = rig_.run([&](PartyId i, cli::Output& out, cli::Common& common) {
    RoomOptions options;
    options.member_file = common.member_file;
    Room room(options);
    Throws decider;
    const ServiceAnswer answer =
        Session(room, decider).call({rig_.dir(i) / "r.toml", {{"access-key-id", key_}}, {}});
    out.result({{"status", answer.status}});
    return int{cli::kOk};
  });
  all_ok(ended);
  for (const PartyId i : {kHonest, kLiar}) {
    EXPECT_EQ(ended[i].last()["status"], 200);
    EXPECT_EQ(log_of(i).back()["outcome"], "done");
    EXPECT_TRUE(log_of(i).back()["joint"]);
  }
}

TEST_F(AgreedCallTest, WhatIsThrownInPlaceOfAnAnswerIsNoApproval) {
  const size_t requests = rig_.sandbox_requests();
  const auto ended = rig_.run([&](PartyId i, cli::Output& out, cli::Common& common) {
    RoomOptions options;
    options.member_file = common.member_file;
    Room room(options);
    Throws decider;
    decider.instead_of_an_answer = i == kLiar;
    try {
      (void)Session(room, decider).call({rig_.dir(i) / "r.toml", {{"access-key-id", key_}}, {}});
      return int{cli::kOk};
    } catch (const Error& error) {
      return cli::report(out, error, false);
    }
  });
  for (const Ended& e : ended) EXPECT_NE(e.code, cli::kOk) << e.out;
  EXPECT_THAT(ended[kLiar].error(), HasSubstr("no std::exception"));
  EXPECT_EQ(rig_.sandbox_requests(), requests);
  EXPECT_EQ(log_of(kLiar).back()["outcome"], "nothing happened at the provider");
}

}  // namespace
}  // namespace flexroom
