#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <set>

#include "support/room_rig.h"
#include "support/sightings.h"

// The shipped flows by which an account and its key come to be (operations.md (d)), through the
// product against the sandbox, which keeps what it saw and gave in the clear. It is compared with
// what stands at the members, and nothing of it may be found there.

namespace flexroom {
namespace {

using support::Canaries;
using support::RoomRig;
using support::Sightings;
using Ended = RoomRig::Ended;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

const std::string kTelephone = "491701234567";
const std::string kOwnCard = "4111111111111111";
const std::string kPostal = "1 Long Road, Cambridge";

/// Who stands in the place of a member's person: it reads what the sandbox would show it.
class Reader final : public Decider {
 public:
  using Says = std::function<std::optional<std::string>(const Question&)>;
  explicit Reader(Says answer) : answer_(std::move(answer)) {}
  Answer approve(const Summary&) override { return Answer::kYes; }
  std::optional<std::string> human_input(const Question& question) override {
    return answer_(question);
  }

 private:
  const Says answer_;
};

class FlowStoryTest : public ::testing::Test {
 protected:
  void start(std::vector<std::string> sandbox = {}) {
    rig_ = std::make_unique<RoomRig>(2);
    sandbox.insert(sandbox.end(), {"--record", record().string()});
    seen_.emplace(record());
    rig_->start_sandbox(sandbox);
    all_ok(rig_->init());
  }
  std::filesystem::path record() const { return rig_->root() / "seen"; }
  static void all_ok(const std::vector<Ended>& ended) {
    for (const Ended& e : ended) ASSERT_EQ(e.code, cli::kOk) << e.out;
  }
  json cloud(const std::string& file) const {
    return json::parse(RoomRig::read(rig_->root() / "cloud" / file));
  }
  /// A shipped flow at both members; `inputs`: what each gives.
  std::vector<Ended> flow(const std::string& name,
                          const std::map<std::string, std::string>& arguments = {},
                          const std::vector<json>& inputs = {json(), json()}) {
    const std::filesystem::path file =
        std::filesystem::path(FLEXROOM_SOURCE_DIR) / "share/flows" / (name + ".toml");
    std::vector<Ended> ended = rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
      std::filesystem::path mine;
      if (!inputs[i].is_null()) mine = rig_->write(i, "mine.json", inputs[i].dump());
      RoomOptions options;
      options.member_file = common.member_file;
      Room room(options);
      Reader person([&](const Question& question) { return seen_->answer_to(question.text); });
      Session session(room, person);
      try {
        const FlowEnd end = session.flow({file, arguments, "", "", {}, mine});
        out.result({{"ok", true}, {"opened", end.opened}});
        return int{cli::kOk};
      } catch (const Error& error) {
        return cli::report(out, error, false);
      }
    });
    for (PartyId i = 0; i < rig_->size(); ++i) {
      std::filesystem::remove(rig_->dir(i) / "mine.json");
      told_[i] += ended[i].out;
    }
    return ended;
  }
  std::vector<Ended> create_account(const std::string& payer = "m1") {
    std::string postal = kPostal;
    postal.resize(96, ' ');
    json first = {{"phone-number", kTelephone}};
    json second = {{"postal-address", postal}};
    if (payer == "m1") second["card-number"] = kOwnCard;
    return flow("create-account",
                {{"person", "m0"},
                 {"phone", "m0"},
                 {"payer", payer},
                 {"postal", "m1"},
                 {"claimant", payer == "m1" ? "m1" : "m0"}},
                {first, second});
  }
  std::vector<std::string> log_of(PartyId i) {
    std::vector<std::string> out;
    const json last =
        rig_->run_one(i, [](PartyId, cli::Output& to,
                            cli::Common& common) { return cli::show_log(to, common, true); })
            .last();
    for (const json& entry : last["entries"]) out.push_back(entry["text"]);
    return out;
  }
  /// One account, one mailbox, one charge: what the sandbox has is what it was sent, and nobody
  /// else's.
  void expect_one_account(const std::string& account_id, const std::string& card) const {
    const json people = cloud("people.json"), boxes = cloud("mailboxes.json");
    ASSERT_EQ(people.size(), 1u) << people;
    const std::string address = people.begin().key();
    const json person = people.begin().value();
    EXPECT_THAT(address, MatchesRegex("[a-z2-7]+@example-mail.test"));
    EXPECT_EQ(person["account_id"], account_id);
    EXPECT_THAT(person["password"].get<std::string>(), MatchesRegex("[A-Za-z0-9_-]+Aa1!"));
    EXPECT_EQ(person["phone"], kTelephone);
    EXPECT_THAT(person["address"].get<std::string>(), HasSubstr(kPostal));
    EXPECT_EQ(person["phone_verified"], true);
    EXPECT_TRUE(boxes.contains(address)) << boxes;
    EXPECT_EQ(seen_->values("charge", account_id), std::vector<std::string>{card});
    EXPECT_EQ(seen_->values("otp").back(), seen_->values("one-time code", address).back());
    const std::set<std::string> addresses = [&] {
      const auto all = seen_->values("email");
      return std::set<std::string>(all.begin(), all.end());
    }();
    EXPECT_EQ(addresses, std::set<std::string>{address});
  }
  /// Nothing of it stands in what the members printed, or in any of their files. The same search
  /// finds each at the sandbox.
  void expect_nobody_knows() const {
    const auto all = seen_->secrets();
    ASSERT_GT(all.size(), 5u);
    const Canaries canaries = seen_->canaries();
    for (PartyId i = 0; i < rig_->size(); ++i) {
      EXPECT_EQ(canaries.find(as_bytes(told_[i])), std::nullopt) << "printed by m" << i;
      for (const auto& entry : std::filesystem::recursive_directory_iterator(rig_->dir(i))) {
        if (!entry.is_regular_file()) continue;
        EXPECT_EQ(canaries.find(as_bytes(RoomRig::read(entry.path()))), std::nullopt)
            << entry.path();
      }
    }
    const std::string kept = RoomRig::read(record());
    for (const auto& [what, value] : all) {
      Canaries one;
      one.add(what, as_bytes(value));
      EXPECT_EQ(one.find(as_bytes(kept)), what);
    }
  }

  std::unique_ptr<RoomRig> rig_;
  std::optional<Sightings> seen_;
  std::array<std::string, 2> told_;
};

// operations.md (d) CreateAccount and CreateSession, behind them a flow that signs with the key.
// Cookies are renewed at each step; mails of strangers lie in the box, one with a false code on
// top (tls-in-mpc.md attack 54).
TEST_F(FlowStoryTest, AnAccountAndItsKeyComeToBeAndNobodyKnowsThem) {
  start({"--set", "rotate_cookies=true", "--set", "strangers=2", "--set", "planted_codes=1",
         "--set", "quota_case_s=0", "--set", "desk_words=We look at it."});
  const std::vector<Ended> made = create_account();
  all_ok(made);
  const std::string account_id = made[0].last()["opened"]["account-id"];
  expect_one_account(account_id, kOwnCard);
  for (PartyId i = 0; i < rig_->size(); ++i) {
    EXPECT_EQ(made[i].last()["opened"]["account-id"], account_id);
    const std::vector<std::string> log = log_of(i);
    EXPECT_THAT(log, Contains(HasSubstr("GetOTP: ok; kept run/otp v1; opened run/mail (")));
    EXPECT_THAT(log, Contains(HasSubstr("VerifyOTP: 400")));
    EXPECT_THAT(log, Contains(HasSubstr("VerifyOTP: ok; kept run/session v")));
    EXPECT_THAT(log,
                Contains(HasSubstr("CompleteSignup: ok; kept run/creds v1; opened account-id")));
    EXPECT_THAT(log, Contains(HasSubstr("VerifyPhone: ok")));
  }

  const std::vector<Ended> signed_in = flow("create-session", {{"person", "m0"}});
  all_ok(signed_in);
  const std::string id = signed_in[0].last()["opened"]["keys/id"];
  const json keys = cloud("iam.json")["accounts"][account_id]["keys"];
  ASSERT_EQ(keys.size(), 1u) << keys;
  EXPECT_EQ(keys.begin().key(), id);
  EXPECT_EQ(seen_->values("access key", id).size(), 1u);
  for (PartyId i = 0; i < rig_->size(); ++i) {
    const std::vector<std::string> log = log_of(i);
    EXPECT_THAT(log, Contains(HasSubstr("CreateAWSCredentials: ok; kept keys/secret v1")));
    EXPECT_THAT(log, Contains(HasSubstr("GetCallerIdentity: ok")));
    EXPECT_THAT(log, Contains(HasSubstr("AwaitKey: ok")));
    EXPECT_THAT(log, Contains(HasSubstr("ListOldKeys: none")));
  }

  // (g): signed with the key that nobody knows.
  const std::vector<Ended> asked = flow("support-case");
  all_ok(asked);
  EXPECT_EQ(seen_->values("case").size(), 1u);
  EXPECT_EQ(asked[1].last()["opened"]["run/words"], "We look at it.");
  // The desk's mail lies in the box of the account.
  const std::vector<Ended> mail = flow("support-mail");
  all_ok(mail);
  EXPECT_THAT(log_of(1), Contains(HasSubstr("ReadMail: ok")));
  expect_nobody_knows();
}

// (f): the shop answers with an uncompressed PDF. The box begins with mails of odd and of escaped
// senders (tls-in-mpc.md attack 97).
TEST_F(FlowStoryTest, ACardOutOfAPdfIsBought) {
  start({"--set", "odd_lists=true"});
  const std::vector<Ended> bought =
      flow("buy-card-pdf", {{"payer", "m1"}}, {json(), json{{"payer-card", kOwnCard}}});
  all_ok(bought);
  const std::vector<std::string> numbers = seen_->values("card number");
  ASSERT_EQ(numbers.size(), 1u);
  EXPECT_EQ(seen_->values("charge"), std::vector<std::string>{kOwnCard});
  for (PartyId i = 0; i < rig_->size(); ++i) {
    EXPECT_THAT(log_of(i), Contains(HasSubstr("GetCard: ok; kept card-number v1")));
  }
  expect_nobody_knows();
}

}  // namespace
}  // namespace flexroom
