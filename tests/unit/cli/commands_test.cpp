#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>

#include "session/secret_import.h"
#include "support/room_rig.h"

// What single commands refuse, and that the next run works.

namespace flexroom {
namespace {

using support::RoomRig;
using Ended = RoomRig::Ended;
using ::testing::HasSubstr;
using ::testing::Not;

class CommandsTest : public ::testing::Test {
 protected:
  static void all_ok(const std::vector<Ended>& ended) {
    for (const Ended& e : ended) ASSERT_EQ(e.code, cli::kOk) << e.out;
  }
  std::vector<Ended> stock(const std::vector<uint64_t>& fill) {
    return rig_.run([&](PartyId i, cli::Output& out, cli::Common& common) {
      return cli::stock(out, common, fill[i]);
    });
  }
  std::vector<uint64_t> triples() {
    std::vector<uint64_t> out;
    for (const Ended& e : stock({0, 0})) {
      EXPECT_EQ(e.code, cli::kOk) << e.out;
      out.push_back(e.last()["triples"]);
    }
    return out;
  }
  RoomRig rig_{2};
};

TEST_F(CommandsTest, AnOwnerWhoIsNoMemberIsRefusedBeforeAnyContact) {
  all_ok(rig_.init());
  const auto path = rig_.write(
      0, "odd.json", R"({"name": "joint/key", "class": "raw", "length": 4, "owner": "nobody"})");
  const Ended e = rig_.run_one(0, [&](PartyId, cli::Output& out, cli::Common& common) {
    return cli::secret_import(out, common, path);  // alone: it does not wait for the other
  });
  EXPECT_EQ(e.code, cli::kBadInput) << e.out;
  EXPECT_THAT(e.error(), HasSubstr("'nobody', who is no member"));
}

TEST_F(CommandsTest, TracesOfTwoMembersMatch) {
  const auto trace = [&](PartyId i) { return rig_.dir(i) / "trace"; };
  rig_.write(0, "trace", "of an earlier run\n");
  std::filesystem::permissions(trace(0), std::filesystem::perms(0644));
  all_ok(rig_.run([&](PartyId i, cli::Output& out, cli::Common& common) {
    common.trace = trace(i);
    return cli::init_room(out, common, false);
  }));
  // What went from one to the other, in order, as each saw it.
  const auto seen = [&](PartyId i, PartyId from) {
    std::ifstream file(trace(i));
    std::vector<nlohmann::json> out;
    for (std::string line; std::getline(file, line);) {
      nlohmann::json entry = nlohmann::json::parse(line);
      entry.erase("half_round");
      if (entry["from"] == from) out.push_back(std::move(entry));
    }
    return out;
  };
  for (const PartyId from : {0, 1}) {
    const auto one = seen(0, from), other = seen(1, from);
    EXPECT_GT(one.size(), 10u);
    EXPECT_EQ(one, other);
    const auto mode = std::filesystem::status(trace(from)).permissions();
    EXPECT_EQ(mode, std::filesystem::perms(0600));
  }
  const Ended e = rig_.run_one(0, [&](PartyId, cli::Output& out, cli::Common& common) {
    common.trace = rig_.root() / "no-such-directory" / "trace";
    return cli::init_room(out, common, false);  // alone: it does not wait for the other
  });
  EXPECT_EQ(e.code, cli::kBadInput);
  EXPECT_THAT(e.error(), HasSubstr("--trace"));
}

TEST_F(CommandsTest, OneOwnerGivesTheWholeValue) {
  all_ok(rig_.init());
  rig_.write(0, "k.json", R"({"name": "k", "length": 4, "class": "hex", "owner": "m0",
                              "value": "beef"})");
  rig_.write(1, "k.json", R"({"name": "k", "length": 4, "class": "hex", "owner": "m0"})");
  all_ok(rig_.import("k.json"));
}

TEST_F(CommandsTest, ANewEpochKeepsTheSecrets) {
  all_ok(rig_.init());
  rig_.write_shares("k.json", "k", "0123456789abcdef");
  all_ok(rig_.import("k.json"));
  rig_.save("old");
  const auto new_epoch = [&] {
    return rig_.run([](PartyId, cli::Output& out, cli::Common& common) {
      return cli::init_room(out, common, true);
    });
  };
  all_ok(new_epoch());
  const auto use = [&] {
    return rig_.run([](PartyId, cli::Output& out, cli::Common& common) {
      support::Inside joined(out, common);
      size_t bits = 0;
      joined.session().guard([&] {
        joined.session().start();
        bits = joined.session().shares(joined.state().secret("k")).size();
      });
      out.result({{"bits", bits}});
      return cli::kOk;
    });
  };
  for (const Ended& e : use()) {
    ASSERT_EQ(e.code, cli::kOk) << e.out;
    EXPECT_EQ(e.last()["bits"], 128);
  }
  // state.db of before the new epoch put back at one member: told, with the remedies.
  RoomRig::copy(rig_.root() / "old" / "0" / "state", rig_.dir(0) / "state");
  for (const Ended& differ : rig_.init()) {
    EXPECT_EQ(differ.code, cli::kRefused) << differ.out;
    EXPECT_THAT(differ.error(), HasSubstr("Put the newest one back"));
  }
  all_ok(new_epoch());
  all_ok(use());
}

TEST_F(CommandsTest, StockIsFilledAlikeOrNotAtAll) {
  for (const Ended& e : stock({1, 1})) {
    EXPECT_EQ(e.code, cli::kBadInput) << e.out;
    EXPECT_THAT(e.error(), HasSubstr("not set up"));
  }
  all_ok(rig_.init());
  rig_.use_buckets();
  for (const Ended& e : stock({1000, 1001})) {
    EXPECT_EQ(e.code, cli::kRefused) << e.out;
    EXPECT_THAT(e.error(), HasSubstr("different amounts"));
  }
  EXPECT_EQ(triples(), (std::vector<uint64_t>{0, 0}));
  all_ok(stock({1, 1}));
  const std::vector<uint64_t> one_batch = triples();
  EXPECT_GT(one_batch[0], 1u);
  EXPECT_EQ(one_batch[0], one_batch[1]);
  all_ok(stock({one_batch[0], one_batch[0]}));  // enough is there
  all_ok(stock({1, 1}));
  EXPECT_EQ(triples(), one_batch);
  // Another session of one member has the pool.
  const int lock = open((rig_.dir(0) / "state/pool/lock").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(flock(lock, LOCK_EX | LOCK_NB), 0);
  const uint64_t more = one_batch[0] + 1;
  for (const Ended& e : stock({more, more})) {
    EXPECT_EQ(e.code, cli::kBadInput) << e.out;
    EXPECT_THAT(e.error(), HasSubstr("wait until it has ended"));
  }
  close(lock);
  EXPECT_EQ(triples(), one_batch);
  all_ok(stock({more, more}));
  EXPECT_EQ(triples(), (std::vector<uint64_t>{2 * one_batch[0], 2 * one_batch[0]}));
}

TEST_F(CommandsTest, ABurnedEpochMakesNothing) {
  all_ok(rig_.init());
  const Ended burn = rig_.run_one(1, [](PartyId, cli::Output& out, cli::Common& common) {
    room::open_state(common.member_file, nullptr)->once().burn(AbortCode::kMac);
    out.result({});
    return cli::kOk;
  });
  ASSERT_EQ(burn.code, cli::kOk);
  rig_.write_shares("k.json", "k", "0123456789abcdef");
  const auto ended = rig_.import("k.json");
  EXPECT_EQ(ended[1].code, cli::kRefused) << ended[1].out;
  EXPECT_THAT(ended[1].error(), HasSubstr("init --new-epoch"));
  EXPECT_TRUE(ended[0].code == cli::kRefused || ended[0].code == cli::kNetworkFailed);
  all_ok(rig_.run([](PartyId, cli::Output& out, cli::Common& common) {
    return cli::init_room(out, common, true);
  }));
  all_ok(rig_.import("k.json"));
}

class CallTest : public CommandsTest {
 protected:
  std::string recipe(const std::string& action = "GetCallerIdentity") const {
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

Action=)" + action +
           R"(&Version=2011-06-15"""

[sign]
secret = "joint/key"
region = "us-east-1"
service = "sts"

[argument.access-key-id]
)";
  }
  std::vector<Ended> call(const std::vector<std::string>& keys) {
    return rig_.run([&](PartyId i, cli::Output& out, cli::Common& common) {
      return cli::call_recipe(out, common, rig_.dir(i) / "r.toml", {{"access-key-id", keys[i]}},
                              std::nullopt);
    });
  }
  void write(const std::string& at_0, const std::string& at_1) {
    rig_.write(0, "r.toml", at_0);
    rig_.write(1, "r.toml", at_1);
  }
};

TEST_F(CallTest, WorksAlikeOrNotAtAll) {
  rig_.start_sandbox();
  all_ok(rig_.init());
  const nlohmann::json account = rig_.joint_account();
  const std::string key = account["access_key_id"];
  write(recipe(), recipe());
  for (const Ended& e : call({key, key})) {  // the secret is not there yet
    EXPECT_EQ(e.code, cli::kBadInput) << e.out;
    EXPECT_THAT(e.error(), HasSubstr("secret import"));
  }
  rig_.write_shares("k.json", "joint/key", account["secret_access_key"].get<std::string>(), "b64",
                    support::RoomRig::signs());
  all_ok(rig_.import("k.json"));
  for (const Ended& e : call({key, key})) {
    ASSERT_EQ(e.code, cli::kOk) << e.out;
    EXPECT_THAT(to_text(from_hex(e.last()["body_hex"].get<std::string>())),
                HasSubstr(account["account_id"].get<std::string>()));
  }
  for (const Ended& e : call({"AKIANOBODY0000000000", "AKIANOBODY0000000000"})) {
    EXPECT_EQ(e.code, cli::kServiceRefused) << e.out;
  }
  // Another argument, another recipe: refused, the field named, nothing contacted.
  for (const Ended& e : call({key, "AKIANOBODY0000000000"})) {
    EXPECT_EQ(e.code, cli::kRefused) << e.out;
    EXPECT_THAT(e.error(), HasSubstr("field Request: as it leaves differs"));
  }
  write(recipe(), "# another one\n" + recipe());
  for (const Ended& e : call({key, key})) {
    EXPECT_EQ(e.code, cli::kRefused) << e.out;
    EXPECT_THAT(e.error(), HasSubstr("recipe sha256"));
  }
  for (const std::string command : {"log"}) {
    const Ended e = rig_.run_one(0, [](PartyId, cli::Output& out, cli::Common& common) {
      return cli::show_log(out, common, true);
    });
    EXPECT_THAT(e.last()["entries"].back()["outcome"], HasSubstr("nothing happened"));
  }
}

TEST_F(CallTest, WhatIsWrongWithARecipeNeedsNoPeer) {
  const auto alone = [&](const std::map<std::string, std::string>& arguments) {
    return rig_.run_one(0, [&](PartyId, cli::Output& out, cli::Common& common) {
      return cli::call_recipe(out, common, rig_.dir(0) / "r.toml", arguments, std::nullopt);
    });
  };
  rig_.write(0, "r.toml", recipe());
  const std::pair<std::map<std::string, std::string>, std::string> cases[] = {
      {{}, "needs argument 'access-key-id'"},
      {{{"access-key-id", "A"}, {"more", "B"}}, "argument"},
      {{{"access-key-id", "A/B"}}, "not allowed"}};
  for (const auto& [arguments, why] : cases) {
    const Ended e = alone(arguments);
    EXPECT_EQ(e.code, cli::kBadInput) << e.out;
    EXPECT_THAT(e.error(), HasSubstr(why));
  }
  rig_.write(0, "r.toml", recipe("GetSessionToken"));  // its answer holds a secret
  EXPECT_THAT(alone({{"access-key-id", "A"}}).error(), HasSubstr("may be open"));
  rig_.write(0, "r.toml", "[recipe]\nname = = 1\n");
  EXPECT_THAT(alone({}).error(), HasSubstr("r.toml:2:"));
}

}  // namespace
}  // namespace flexroom
