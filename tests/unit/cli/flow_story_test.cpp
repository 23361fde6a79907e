#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <thread>

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
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

const std::string kTelephone = "491701234567";
const std::string kOwnCard = "4111111111111111";
const std::string kPostal = "1 Long Road, Cambridge";

/// Stands in the place of a member's person while it lives: standard input holds what the sandbox
/// would show or tell it, as soon as it does.
class Reader {
 public:
  explicit Reader(const Sightings& seen) {
    int ends[2];
    FLEXROOM_ASSERT(pipe(ends) == 0 && dup2(ends[0], STDIN_FILENO) >= 0);
    close(ends[0]);
    thread_ = std::jthread([&seen, in = ends[1]](const std::stop_token& ended) {
      std::map<std::string, size_t> told;
      for (const char* const what : kAnswers) told[what] = seen.values(what).size();
      while (!ended.stop_requested()) {
        for (const char* const what : kAnswers) {
          const std::vector<std::string> all = seen.values(what);
          for (size_t& k = told[what]; k < all.size(); ++k) {
            const std::string line = all[k] + "\n";
            FLEXROOM_ASSERT(write(in, line.data(), line.size()) > 0);
          }
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
      close(in);
    });
  }

 private:
  static constexpr std::array<const char*, 2> kAnswers = {"captcha answer", "telephone code"};
  std::jthread thread_;
};

/// Of a longer message its beginning is searched: the rest is of one kind with it.
constexpr size_t kMostOfMessage = 64 * 1024;

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
  /// Standard error of that member, questions too.
  std::filesystem::path shown_to(PartyId i) const {
    return rig_->root() / ("shown-" + std::to_string(i));
  }
  /// What that member sent to the other one.
  std::filesystem::path traffic_of(PartyId i) const {
    return rig_->root() / ("traffic-" + std::to_string(i));
  }
  static void all_ok(const std::vector<Ended>& ended) {
    for (const Ended& e : ended) ASSERT_EQ(e.code, cli::kOk) << e.out;
  }
  json cloud(const std::string& file) const {
    return json::parse(RoomRig::read(rig_->root() / "cloud" / file));
  }
  using Mine = std::optional<std::filesystem::path>;
  using Command = std::function<int(cli::Output&, cli::Common&, PartyId, const Mine&)>;
  /// At both members; `inputs`: what each gives.
  std::vector<Ended> at_both(const std::vector<json>& inputs, const Command& command) {
    std::vector<Ended> ended = rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
      Mine mine;
      if (!inputs[i].is_null()) mine = rig_->write(i, "mine.json", inputs[i].dump());
      std::ofstream traffic(traffic_of(i), std::ios::binary | std::ios::app);
      common.connected = [&traffic](net::Party& party) {
        party.set_observer([&traffic](const net::MessageId&, ByteView payload) {
          const ByteView begin = payload.first(std::min(payload.size(), kMostOfMessage));
          traffic.write(reinterpret_cast<const char*>(begin.data()),
                        static_cast<std::streamsize>(begin.size()));
        });
      };
      const int shown = open(shown_to(i).c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
      FLEXROOM_ASSERT(shown >= 0 && dup2(shown, STDERR_FILENO) >= 0);
      const Reader person(*seen_);
      return command(out, common, i, mine);
    });
    for (PartyId i = 0; i < rig_->size(); ++i) {
      for (const char* const file : {"mine.json", "card.json"}) {
        std::filesystem::remove(rig_->dir(i) / file);
      }
      told_[i] += ended[i].out;
    }
    return ended;
  }
  /// A shipped flow.
  std::vector<Ended> flow(const std::string& name,
                          const std::map<std::string, std::string>& arguments = {},
                          const std::vector<json>& inputs = {json(), json()}) {
    const std::filesystem::path file =
        std::filesystem::path(FLEXROOM_SOURCE_DIR) / "share/flows" / (name + ".toml");
    return at_both(inputs, [&](cli::Output& out, cli::Common& common, PartyId, const Mine& mine) {
      return cli::run_flow(out, common, file, arguments, "", "", {}, mine);
    });
  }
  using Prepare = std::function<void(PartyId, cli::Common&)>;
  /// With a card that m1's own one buys first, unless the room has one.
  std::vector<Ended> create_account(const Prepare& prepare = nullptr) {
    std::string postal = kPostal;
    postal.resize(96, ' ');
    const std::map<std::string, std::string> arguments = {
        {"person", "m0"}, {"phone", "m0"}, {"payer", "m1"}, {"postal", "m1"}};
    return at_both({json{{"phone-number", kTelephone}}, json{{"postal-address", postal}}},
                   [&](cli::Output& out, cli::Common& common, PartyId i, const Mine& mine) {
                     if (prepare) prepare(i, common);
                     cli::CardPurchase card;
                     const json own = {{"payer-card", kOwnCard}};
                     if (i == 1) card.inputs = rig_->write(i, "card.json", own.dump());
                     return cli::create_account(out, common,
                                                {"create-account", arguments, "", "", mine}, card);
                   });
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
  /// Of the account's secret of that name, as `secret list` shows them.
  std::vector<uint64_t> versions_of(PartyId i, const std::string& name) {
    const json last =
        rig_->run_one(i, [](PartyId, cli::Output& to,
                            cli::Common& common) { return cli::secret_list(to, common); })
            .last();
    std::vector<uint64_t> out;
    for (const json& one : last["secrets"]) {
      if (one["name"] == "account:" + name) out.push_back(one["version"]);
    }
    return out;
  }
  /// That member's state.db of a save.
  void put_state(PartyId i, const std::string& saved) const {
    const std::filesystem::path to = rig_->dir(i) / "state" / "state.db";
    for (const char* const end : {"-wal", "-shm"}) std::filesystem::remove(to.string() + end);
    std::filesystem::copy_file(rig_->root() / saved / std::to_string(i) / "state" / "state.db", to,
                               std::filesystem::copy_options::overwrite_existing);
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
  /// Nothing of it stands in what the members printed or sent to each other, or in any of their
  /// files. The same search finds each at the sandbox.
  void expect_nobody_knows() const {
    const auto all = seen_->secrets();
    ASSERT_GT(all.size(), 5u);
    const Canaries canaries = seen_->canaries();
    for (PartyId i = 0; i < rig_->size(); ++i) {
      const std::string told = told_[i] + RoomRig::read(shown_to(i));
      EXPECT_EQ(canaries.find(as_bytes(told)), std::nullopt) << "told by m" << i;
      const std::string sent = RoomRig::read(traffic_of(i));
      EXPECT_GT(sent.size(), size_t{1} << 20);
      EXPECT_EQ(canaries.find(as_bytes(sent)), std::nullopt) << "sent by m" << i;
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
  // operations.md (f): the member's card bought the one that the account is charged to.
  ASSERT_EQ(seen_->values("card number").size(), 1u);
  EXPECT_EQ(seen_->values("charge").front(), kOwnCard);
  expect_one_account(account_id, seen_->values("card number").front());
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

  // Once more: the card is there and no other one is bought, the prefix of the account is in use.
  for (const Ended& again : create_account()) {
    EXPECT_EQ(again.code, cli::kRefused) << again.out;
    EXPECT_THAT(again.out, HasSubstr("none is bought"));
  }
  EXPECT_EQ(seen_->values("charge").size(), 2u);

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

  // Once more: another key, proved before the one of before is deleted, at the service and here.
  rig_->save("before");
  all_ok(flow("create-session", {{"person", "m0"}}));
  const json left = cloud("iam.json")["accounts"][account_id]["keys"];
  ASSERT_EQ(left.size(), 1u) << left;
  EXPECT_NE(left.begin().key(), id);
  for (PartyId i = 0; i < rig_->size(); ++i) {
    const std::vector<std::string> log = log_of(i);
    EXPECT_THAT(log, Contains(HasSubstr("CreateAWSCredentials: ok; kept keys/secret v2")));
    EXPECT_THAT(log, Contains(HasSubstr("DeleteOldKey: ok")));
    EXPECT_EQ(versions_of(i, "keys/secret"), std::vector<uint64_t>{2});
  }
  // A backup with the key of before is named, and the newest state goes on.
  rig_->save("now");
  put_state(1, "before");
  EXPECT_THAT(flow("support-case")[1].out, HasSubstr("state.db is older than once.db"));
  put_state(1, "now");

  // (g): signed with the key that nobody knows, the new one.
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

/// A durable step of the purchase for the n-th time: armed and answered are of its fifth request,
/// GetCard; commits count the births and, last, the end.
struct KillPoint {
  const char* step;
  unsigned at;
};
std::vector<KillPoint> kill_points() {
  if (std::getenv("FLEXROOM_LONG") == nullptr) return {{"flow/answered", 5}};
  return {{"flow/armed", 5},     {"flow/answered", 5}, {"flow/staged", 6},
          {"flow/committed", 6}, {"flow/staged", 7},   {"flow/committed", 7}};
}

// operations.md (f): `create-account --buy-card`, a member killed around GetCard, then the same
// command: the shop charged the member's card once and sold one card, which is the room's.
TEST_F(FlowStoryTest, ACardIsPaidOnceWhereverTheCommandIsKilledAroundItSweep) {
  start();
  rig_->save("start");
  for (const KillPoint& point : kill_points()) {
    SCOPED_TRACE(std::string(point.step) + " " + std::to_string(point.at));
    rig_->restore("start");
    const size_t charges = seen_->values("charge").size();
    const size_t cards = seen_->values("card number").size();
    const std::vector<Ended> cut = create_account([&](PartyId i, cli::Common& common) {
      if (i != 1) return;
      common.fault = [&, left = point.at](std::string_view reached) mutable {
        if (reached == point.step && --left == 0) kill(getpid(), SIGKILL);
      };
    });
    EXPECT_TRUE(cut[1].killed) << cut[1].out;
    EXPECT_EQ(seen_->values("charge").size(), charges + 1);
    // The sessions of the command: who lacks a card, the purchase, the account's, which has its
    // test elsewhere.
    const std::vector<Ended> again = create_account([](PartyId, cli::Common& common) {
      common.clock = [ahead = int64_t{640}]() mutable { return std::time(nullptr) + (ahead += 2); };
      common.connected = [seen = common.connected, left = 3](net::Party& party) mutable {
        if (--left == 0) kill(getpid(), SIGKILL);
        if (seen) seen(party);
      };
    });
    EXPECT_EQ(seen_->values("charge").size(), charges + 1);
    EXPECT_EQ(seen_->values("charge").back(), kOwnCard);
    EXPECT_EQ(seen_->values("card number").size(), cards + 1);
    EXPECT_TRUE(again[0].killed || again[1].killed);  // one may hear of the other's end first
    for (PartyId i = 0; i < rig_->size(); ++i) {
      EXPECT_THAT(again[i].out, HasSubstr("nobody knows the card's number"));
      const std::vector<std::string> log = log_of(i);
      EXPECT_EQ(std::count_if(log.begin(), log.end(),
                              [](const std::string& line) {
                                return line.find("GetCard: ok; kept card-number v1") != line.npos;
                              }),
                1);
    }
  }
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
