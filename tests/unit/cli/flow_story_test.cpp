#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "support/account_flows.h"

// The shipped flows by which an account and its key come to be (operations.md (d)), through the
// product against the sandbox, which keeps what it saw and gave in the clear. It is compared with
// what stands at the members, and nothing of it may be found there.

namespace flexroom {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::HasSubstr;

class FlowStoryTest : public ::testing::Test, protected support::AccountFlows {
 protected:
  /// That member's state.db of a save.
  void put_state(PartyId i, const std::string& saved) const {
    const std::filesystem::path to = rig_->dir(i) / "state" / "state.db";
    for (const char* const end : {"-wal", "-shm"}) std::filesystem::remove(to.string() + end);
    std::filesystem::copy_file(rig_->root() / saved / std::to_string(i) / "state" / "state.db", to,
                               std::filesystem::copy_options::overwrite_existing);
  }
  /// What that member's state.db has a byte of the account's secrets, as they rest there.
  struct AtRest {
    size_t secret = 0;  // bytes of their texts
    size_t rows = 0;    // sealed: shares and their tags
    size_t all = 0;     // with what names and describes them, as secrets and as values of flows
  };
  AtRest at_rest(PartyId i) {
    AtRest out;
    for (const json& one : secrets_of(i)) out.secret += one["bytes"].get<size_t>();
    sqlite3* db = nullptr;
    const std::string file = (rig_->dir(i) / "state" / "state.db").string();
    EXPECT_EQ(sqlite3_open_v2(file.c_str(), &db, SQLITE_OPEN_READONLY, nullptr), SQLITE_OK);
    const auto sum = [&](const std::string& what, const std::string& kind) {
      size_t bytes = 0;
      const auto take = [](void* to, int, char** columns, char**) {
        *static_cast<size_t*>(to) = columns[0] == nullptr ? 0 : std::stoul(columns[0]);
        return 0;
      };
      const std::string query =
          "SELECT SUM(" + what + ") FROM rows WHERE CAST(kind AS TEXT) LIKE '" + kind + "@%'";
      EXPECT_EQ(sqlite3_exec(db, query.c_str(), take, &bytes, nullptr), SQLITE_OK);
      return bytes;
    };
    out.rows = sum("LENGTH(sealed)", "row");
    const std::string whole = "LENGTH(kind) + LENGTH(name) + LENGTH(label) + LENGTH(sealed)";
    out.all = sum(whole, "row") + sum(whole, "flow value");
    EXPECT_EQ(sum(whole, "row/staged"), 0u);
    sqlite3_close(db);
    return out;
  }
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

  // At most 64 bytes on disk for each byte of a secret, and what is sealed of it a few: shares,
  // tags and one mask (members.md 3.1).
  for (PartyId i = 0; i < rig_->size(); ++i) {
    const AtRest bytes = at_rest(i);
    EXPECT_GT(bytes.secret, 150u);
    EXPECT_LE(bytes.rows, 16 * bytes.secret);
    EXPECT_LE(bytes.all, 64 * bytes.secret);
    std::printf("at rest: %zu secret bytes, %zu in rows, %zu in all\n", bytes.secret, bytes.rows,
                bytes.all);
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
