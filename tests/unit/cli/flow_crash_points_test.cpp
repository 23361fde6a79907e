#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "support/account_flows.h"
#include "support/sandbox_admin.h"
#include "support/shared_clock.h"
#include "support/sweeps.h"

// create-account, create-session and the rotation of a key with a member killed by SIGKILL where it
// is most dangerous, through the product: then the same command ends it, and the sandbox counts one
// account, one mailbox, one charge and one key. tests/e2e/flow_crash_test.cpp takes every durable
// step, with an ideal engine in the place of MPC and TLS.

namespace flexroom {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::HasSubstr;

/// Where a member dies.
struct Point {
  enum class Kind {
    kDurable,  // m1, at that durable step for the `at`-th time
    kWaiting,  // m1, its request released and not answered yet
    kSplit,    // m0, its `at`-th commit made; m1 holds an ok that is none and has staged it alone
  };
  Kind kind = Kind::kDurable;
  std::string step;  // durable step, or step of the flow
  unsigned at = 1;
  std::string call;     // of kWaiting: as a fault names it
  std::string outcome;  // then in both logs
};

/// Requests and commits of the flows as shipped: births are the first commit, a question has no
/// request.
struct StepAt {
  std::string name, call;
  unsigned request, commit;
  std::string unknown;  // what its log says where its outcome was not known
};
const StepAt kCreateEmail{"CreateEmail", "POST mail.flexroom.example/accounts", 3, 4,
                          "CreateEmail: 422"};
const StepAt kComplete{"CompleteSignup", "POST signup.flexroom.example/complete", 15, 17,
                       "SignIn: ok"};
const StepAt kCharge{"SubmitCredit", "POST signup.flexroom.example/card", 19, 21,
                     "SubmitCredit: ok"};
const StepAt kMakeKey{"CreateAWSCredentials", "POST console.flexroom.example/keys", 12, 14,
                      "DeleteStrayKey: ok"};
const StepAt kProof{"GetCallerIdentity", "POST sts.us-east-1.amazonaws.com/", 13, 15,
                    "GetCallerIdentity: ok"};
const StepAt kDelete{"DeleteOldKey", "DELETE console.flexroom.example/keys/*", 16, 18,
                     "ListOldKeys: none"};

Point behind_armed(const StepAt& of) {
  return {Point::Kind::kDurable, "flow/armed", of.request, "", of.name + ": unknown"};
}
Point behind_answer(const StepAt& of) {
  return {Point::Kind::kDurable, "flow/answered", of.request, "", of.unknown};
}
Point while_waiting(const StepAt& of) {
  return {Point::Kind::kWaiting, of.name, 1, of.call, of.unknown};
}
Point between_commits(const StepAt& of) {
  return {Point::Kind::kSplit, "flow/committed", of.commit, "", of.name + ": ok"};
}
std::vector<Point> all_of(const StepAt& of) {
  return {behind_armed(of), while_waiting(of), behind_answer(of), between_commits(of)};
}

class FlowCrashPoints : public ::testing::Test, protected support::AccountFlows {
 protected:
  void SetUp() override {
    start({"--set", "desk_words=We look at it."});
    admin_.emplace(rig_->root() / "cloud");
  }
  using Run = std::function<std::vector<Ended>(const Prepare&)>;
  Run session() {
    return [this](const Prepare& prepare) {
      return flow("create-session", {{"person", "m0"}}, {{}, {}}, prepare);
    };
  }
  Run account() {
    return [this](const Prepare& prepare) { return sign_up(prepare); };
  }
  void hurry(cli::Common& common) const { common.clock = clock_.looks(); }
  static void kill_at(cli::Common& common, const std::string& step, unsigned at) {
    common.fault = [step, left = at](std::string_view reached) mutable {
      if (reached == step && --left == 0) kill(getpid(), SIGKILL);
    };
  }
  Prepare dies(const Point& point) {
    return [this, point](PartyId i, cli::Common& common) {
      hurry(common);
      const bool split = point.kind == Point::Kind::kSplit;
      if (i != (split ? 0 : 1) || point.kind == Point::Kind::kWaiting) return;
      kill_at(common, point.step, point.at);
      if (!split) return;
      common.connected = [point, before = common.connected](net::Party& party) {
        before(party);
        party.set_tamper([point](const net::MessageId& id, Bytes& payload) {
          if (id.label == "flow/ok" && id.index + 1 == point.at) payload[0] ^= 1;
        });
      };
    };
  }
  /// In that member's process, until it waits for the answer of that step.
  std::function<void()> kills_while_waiting(const std::string& step) const {
    return [step, output = rig_->root() / "output-1"] {
      const std::string out = support::RoomRig::read(output);
      const size_t at = out.find(step + ", attempt");
      if (at == std::string::npos) return;
      if (out.find("wait for the answer", at) != std::string::npos) kill(getpid(), SIGKILL);
    };
  }
  /// Killed there, then the same command again.
  std::vector<Ended> survives(const Point& point, const Run& run) {
    const PartyId victim = point.kind == Point::Kind::kSplit ? 0 : 1;
    if (point.kind == Point::Kind::kWaiting) {
      admin_->faults({point.call + " late=4000 x1"});
      beside_ = [this, point](PartyId i) {
        return i == 1 ? kills_while_waiting(point.step) : nullptr;
      };
    }
    const std::vector<Ended> cut = run(dies(point));
    EXPECT_TRUE(cut[victim].killed) << cut[victim].out;
    EXPECT_NE(cut[1 - victim].code, cli::kOk) << cut[1 - victim].out;
    beside_ = nullptr;
    admin_->faults({});
    if (between) between();
    std::vector<Ended> ended = run([this](PartyId, cli::Common& common) { hurry(common); });
    for (PartyId i = 0; i < rig_->size(); ++i) {
      EXPECT_EQ(ended[i].code, cli::kOk) << ended[i].out;
      EXPECT_THAT(log_of(i), Contains(HasSubstr(point.outcome)));
    }
    return ended;
  }
  /// An account came to be, once; its id.
  void account_survives(const Point& point) {
    const auto count = [&](const char* file) {
      return std::filesystem::exists(rig_->root() / "cloud" / file) ? cloud(file).size() : 0;
    };
    const size_t people = count("people.json"), boxes = count("mailboxes.json");
    const size_t charges = seen_->values("charge").size();
    survives(point, account());
    if (HasFailure()) return;
    account_id_ = seen_->values("account").back();
    EXPECT_EQ(count("people.json"), people + 1);
    EXPECT_EQ(count("mailboxes.json"), boxes + 1);
    EXPECT_EQ(seen_->values("charge").size(), charges + 1);
    EXPECT_EQ(seen_->values("charge", account_id_), std::vector<std::string>{kOwnCard});
  }
  /// The room has the only key of its account, in one version.
  void key_survives(const Point& point) {
    const std::vector<Ended> ended = survives(point, session());
    if (HasFailure()) return;
    const json keys = cloud("iam.json")["accounts"][account_id_]["keys"];
    ASSERT_EQ(keys.size(), 1u) << keys;
    for (PartyId i = 0; i < rig_->size(); ++i) {
      // Told by the session that made it.
      const json told = ended[i].last()["opened"];
      if (told.contains("keys/id")) {
        EXPECT_EQ(told["keys/id"], keys.begin().key());
      }
      EXPECT_EQ(versions_of(i, "keys/secret").size(), 1u);
    }
  }

  std::function<void()> between;  // the two commands
  std::string account_id_;
  support::SharedClock clock_;
  std::optional<support::SandboxAdmin> admin_;
};

// The worst three: a charge that nobody committed, a key whose answer came to the dead, and a proof
// that one member has alone: until create-session was run again nothing is signed with the key.
TEST_F(FlowCrashPoints, NothingIsThereTwiceOrLost) {
  account_survives(behind_answer(kCharge));
  ASSERT_FALSE(HasFailure());
  key_survives(while_waiting(kMakeKey));
  ASSERT_FALSE(HasFailure());
  between = [this] {
    for (const Ended& e : flow("support-case")) {
      EXPECT_EQ(e.code, cli::kRefused) << e.out;
      EXPECT_THAT(e.error(), HasSubstr("keys"));
    }
  };
  key_survives(between_commits(kProof));
  ASSERT_FALSE(HasFailure());
  all_ok(flow("support-case"));  // the only key there is, is the room's
  EXPECT_EQ(seen_->values("charge").size(), 1u);
}

class FlowCrashPointsLong : public FlowCrashPoints, public ::testing::WithParamInterface<size_t> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(FlowCrashPointsLong);
INSTANTIATE_TEST_SUITE_P(LongSweep, FlowCrashPointsLong,
                         ::testing::ValuesIn(support::in_long_runs({0, 1, 2})));

TEST_P(FlowCrashPointsLong, AnAccountComesToBeOnce) {
  const std::array<StepAt, 3> steps = {kCreateEmail, kComplete, kCharge};
  rig_->save("start");
  for (const Point& point : all_of(steps.at(GetParam()))) {
    SCOPED_TRACE(point.step + " " + std::to_string(point.at));
    rig_->restore("start");
    account_survives(point);
    ASSERT_FALSE(HasFailure());
  }
}

TEST_P(FlowCrashPointsLong, AKeyTakesThePlaceOfTheOneBefore) {
  const std::array<StepAt, 3> steps = {kMakeKey, kProof, kDelete};
  const std::vector<Ended> made = account()(nullptr);
  all_ok(made);
  account_id_ = made[0].last()["opened"]["account-id"];
  all_ok(session()(nullptr));
  for (const Point& point : all_of(steps.at(GetParam()))) {
    SCOPED_TRACE(point.step + " " + std::to_string(point.at));
    key_survives(point);
    ASSERT_FALSE(HasFailure());
  }
}

}  // namespace
}  // namespace flexroom
