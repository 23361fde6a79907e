#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <thread>

#include "support/account_flows.h"
#include "support/sandbox_admin.h"
#include "support/shared_clock.h"

// What the main lines of create-account and create-session (operations.md (d)) come to only where
// something went wrong or a second factor is on, through the product against the sandbox: the
// branches of the shipped files, and a name that is somebody else's.

namespace flexroom {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

class FlowBranches : public ::testing::Test, protected support::AccountFlows {
 protected:
  void begin(const std::vector<std::string>& sandbox) {
    start(sandbox);
    admin_.emplace(rig_->root() / "cloud");
  }
  /// Nobody waits ten minutes.
  Prepare hurries() {
    return [this](PartyId, cli::Common& common) { common.clock = clock_.looks(); };
  }
  void expect_log(const std::vector<std::string>& lines) {
    for (PartyId i = 0; i < rig_->size(); ++i) {
      const std::vector<std::string> log = log_of(i);
      for (const std::string& line : lines) EXPECT_THAT(log, Contains(HasSubstr(line)));
    }
  }
  json keys_of(const std::string& account_id) const {
    return cloud("iam.json")["accounts"][account_id]["keys"];
  }
  /// A run that stopped with these words at that step; its id.
  static std::string stopped_at(const std::vector<Ended>& ended, const std::string& words) {
    for (const Ended& e : ended) {
      EXPECT_EQ(e.code, cli::kServiceRefused) << e.out;
      EXPECT_THAT(e.error(), AllOf(HasSubstr("flow create-account stopped: " + words),
                                   HasSubstr("The same command goes on from there")));
    }
    const std::string text = ended[0].error(), word = "--abandon ";
    return text.substr(text.find(word) + word.size(), 26);
  }

  support::SharedClock clock_;
  std::optional<support::SandboxAdmin> admin_;
};

// The answer to CompleteSignup is lost, and the session that comes of signing in is over at once:
// the born password signs in, twice (branch SignIn). The answer with the key is lost: it is deleted
// unseen and another one made (branch StrayKeys). Then a second factor is asked for (branch Mfa),
// and dropped. The pages' keys have 3072 bits.
TEST_F(FlowBranches, ThePasswordSignsInAStrayKeyGoesAndASecondFactorIsGiven) {
  begin({"--page-key-bits", "3072", "--set", "creds_lifetime_s=0", "--fault",
         "POST signup.flexroom.example/complete cut x1", "--fault",
         "POST console.flexroom.example/keys cut x1"});
  types_ = [admin = &*admin_](const std::string& what, size_t k, const std::string& answer) {
    if (what == "captcha answer" && k == 3) admin->settings({{"creds_lifetime_s", 1800}});
    return answer;
  };
  const std::vector<Ended> made = sign_up(hurries());
  types_ = nullptr;
  all_ok(made);
  const std::string account_id = made[0].last()["opened"]["account-id"];
  expect_one_account(account_id, kOwnCard);
  EXPECT_EQ(seen_->values("captcha answer").size(), 3u);
  expect_log({"CompleteSignup: unknown", "SignIn: ok; kept run/creds v1; opened account-id",
              "InitiateBilling: 401", "SignIn: ok; kept run/creds v2; opened account-id",
              "InitiateBilling: ok"});

  const std::vector<Ended> signed_in =
      flow("create-session", {{"person", "m0"}}, {{}, {}}, hurries());
  all_ok(signed_in);
  expect_log({"CreateAWSCredentials: unknown", "ListStrayKeys: ok; opened run/stray-key",
              "DeleteStrayKey: ok", "ListStrayKeys: none",
              "CreateAWSCredentials: ok; kept keys/secret v1"});
  ASSERT_EQ(keys_of(account_id).size(), 1u);
  EXPECT_EQ(keys_of(account_id).begin().key(), signed_in[1].last()["opened"]["keys/id"]);
  EXPECT_EQ(seen_->values("access key").size(), 2u);

  all_ok(flow("enrol-totp"));
  // It gave the codes of two numbers: the next one to be given is of a later one.
  const auto number = [] { return std::time(nullptr) / 30; };
  for (const auto given = number(); number() == given;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  const std::vector<Ended> again = flow("create-session", {{"person", "m0"}});
  all_ok(again);
  expect_log({"ConsoleSignin: 401 MfaRequired", "SubmitTotp: ok; kept run/c"});
  ASSERT_EQ(keys_of(account_id).size(), 1u);
  EXPECT_EQ(keys_of(account_id).begin().key(), again[1].last()["opened"]["keys/id"]);
  all_ok(flow("drop-totp"));
  EXPECT_TRUE(cloud("iam.json")["accounts"][account_id]["mfa"].empty());
  expect_nobody_knows();
}

// operations.md (c) "name taken": 130 bits say that the name is ours, so it is looked whether the
// born password opens it; of somebody else's the run stops, and nothing else came to be. A mailbox
// that is taken: FlowFaultsLong.
TEST_F(FlowBranches, ANameThatIsSomebodyElsesStopsTheRun) {
  begin({"--set", "taken_accounts=1"});
  std::string run = stopped_at(sign_up(hurries()), "SubmitEmail: 409 (exhausted)");
  expect_log({"SubmitEmail: 409", "SignIn: 401"});
  std::vector<Ended> ended = sign_up(hurries(), run);
  all_ok(ended);
  EXPECT_EQ(ended[0].last()["left"], json::array({"a mailbox"}));
  // Whose it is has lost nothing, and nobody was charged.
  EXPECT_EQ(cloud("people.json").begin().value()["given"], "Somebody");
  EXPECT_TRUE(seen_->values("charge").empty());
  for (const Ended& e : sign_up(hurries())) {
    EXPECT_EQ(e.code, cli::kRefused) << e.out;
    EXPECT_THAT(e.error(), HasSubstr("account is in use"));
  }
}

}  // namespace
}  // namespace flexroom
