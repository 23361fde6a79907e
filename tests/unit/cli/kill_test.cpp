#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "prep/open.h"
#include "session/secret_import.h"
#include "session/signing_keys.h"
#include "support/hmac_states.h"
#include "support/room_rig.h"
#include "support/sweeps.h"

// kill -9 of one member inside a state change, while the others live on and see the connection end.
// Every member is a process; afterwards all start again and must hold the same.

namespace flexroom {
namespace {

using support::RoomRig;
using ::testing::HasSubstr;
using Ended = RoomRig::Ended;

const std::string kValue = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
constexpr const char* kSteps[] = {"begin", "staged", "exchanged", "committed"};

/// SIGKILL to the own process at that step, which the store names after it became durable.
std::function<void(std::string_view)> die_at(const std::string& step) {
  return [step](std::string_view reached) {
    if (reached == step) kill(getpid(), SIGKILL);
  };
}

class KillTest : public ::testing::TestWithParam<size_t> {
 protected:
  void SetUp() override {
    rig_ = std::make_unique<RoomRig>(GetParam());
    rig_->write_room("[provider.sandbox]\nhosts = [\"*.amazonaws.com\"]\n");
    all_ok(rig_->init());
  }
  static void all_ok(const std::vector<Ended>& ended) {
    for (const Ended& e : ended) ASSERT_EQ(e.code, cli::kOk) << e.out;
  }
  void write_shares(const std::string& file, const std::string& name) {
    rig_->write_shares(file, name, kValue, "raw", RoomRig::signs());
  }
  std::vector<Ended> import(const std::string& file) { return rig_->import(file); }
  /// What `command` does at all while `victim` dies at `step`.
  std::vector<Ended> killed(PartyId victim, const std::string& step,
                            const RoomRig::Command& command) {
    return rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
      if (i == victim) common.fault = die_at(step);
      return command(i, out, common);
    });
  }
  /// All start again: each tells what it holds, and the newest value of `name` opened together ("":
  /// not there). Opening checks every MAC: shares of different versions would not pass.
  struct Held {
    nlohmann::json records;
    std::string value;
    bool operator==(const Held&) const = default;
  };
  std::vector<Held> after_restart(const std::string& name) {
    const auto ended = rig_->run([&](PartyId, cli::Output& out, cli::Common& common) {
      support::Inside joined(out, common);
      nlohmann::json records = nlohmann::json::array();
      std::string value;
      joined.session().guard([&] {
        joined.session().start();
        store::SecretStore& secrets = joined.state().secrets();
        EXPECT_EQ(secrets.num_staged(), 0u);
        bool here = false;
        for (const store::RecordMeta& meta : secrets.list()) {
          records.push_back(to_hex(meta.digest()));
          here = here || meta.name == name;
        }
        if (!here) return;
        const store::RecordMeta meta = joined.state().secret(name);
        const prep::AuthBits shares = joined.session().shares(meta);
        const std::vector<uint8_t> bits = prep::open_bits(
            joined.session().party(), joined.session().source().delta(), shares, "test/open");
        value.resize(bits.size() / 8);
        for (size_t t = 0; t < bits.size(); ++t) {
          value[t / 8] = static_cast<char>(value[t / 8] | bits[t] << (t % 8));
        }
      });
      out.result({{"records", records}, {"value", value}});
      return cli::kOk;
    });
    std::vector<Held> held;
    for (const Ended& e : ended) {
      EXPECT_EQ(e.code, cli::kOk) << e.out;
      if (e.code == cli::kOk) held.push_back({e.last()["records"], e.last()["value"]});
    }
    return held;
  }
  std::string log_of(PartyId i) {
    return rig_
        ->run_one(i, [](PartyId, cli::Output& out,
                        cli::Common& common) { return cli::show_log(out, common, false); })
        .out;
  }
  PartyId last() const { return static_cast<PartyId>(rig_->size() - 1); }

  std::unique_ptr<RoomRig> rig_;
};

TEST_P(KillTest, InsideAnImportNothingConfirmedIsLost) {
  write_shares("first.json", "joint/first");
  write_shares("second.json", "joint/second");
  nlohmann::json replaces = RoomRig::signs();
  replaces["replaces"] = 1;
  rig_->write_shares("again.json", "joint/second", kValue, "raw", replaces);
  all_ok(import("first.json"));
  rig_->save("before");
  for (const PartyId victim : {PartyId{0}, last()}) {
    for (const std::string step : kSteps) {
      SCOPED_TRACE(step + " at member " + std::to_string(victim));
      rig_->restore("before");
      const auto ended =
          killed(victim, step, [&](PartyId i, cli::Output& out, cli::Common& common) {
            return cli::secret_import(out, common, rig_->dir(i) / "second.json");
          });
      bool confirmed = step == "exchanged" || step == "committed";
      for (PartyId i = 0; i < rig_->size(); ++i) {
        EXPECT_EQ(ended[i].killed, i == victim) << ended[i].out;
        if (i == victim) continue;
        EXPECT_TRUE(ended[i].code == cli::kOk || ended[i].code == cli::kNetworkFailed)
            << ended[i].out;
        confirmed = confirmed || ended[i].code == cli::kOk;
      }
      const auto held = after_restart("joint/second");
      ASSERT_EQ(held.size(), rig_->size());
      if (step == "exchanged") {  // it finished what the others had confirmed, and says so
        EXPECT_THAT(log_of(victim),
                    HasSubstr("the import that was interrupted before is complete"));
      }
      for (const Held& h : held) {
        EXPECT_EQ(h, held[0]);
        if (confirmed) {
          EXPECT_EQ(h.value, kValue);
        }
        EXPECT_TRUE(h.value.empty() || h.value == kValue);
        EXPECT_TRUE(h.value.empty() || step != "begin");
      }
      for (const Held& h : after_restart("joint/first")) EXPECT_EQ(h.value, kValue);
      all_ok(import(held[0].value.empty() ? "second.json" : "again.json"));  // the next run works
      for (const Held& h : after_restart("joint/second")) EXPECT_EQ(h.value, kValue);
    }
  }
}

// As run-script does before it contacts anybody: derived once a day, then kept.
TEST_P(KillTest, WhileASigningKeyIsKept) {
  write_shares("key.json", "joint/key");
  all_ok(import("key.json"));
  rig_->save("before");
  const auto obtain = [&](PartyId, cli::Output& out, cli::Common& common) {
    support::Inside joined(out, common);
    joined.session().guard([&] {
      joined.session().start();
      const store::RecordMeta secret = joined.state().secret("joint/key");
      session::ObtainedKey key =
          session::obtain_signing_key(joined.session(), secret, "us-east-1", "ec2");
      const auto bits = prep::open_bits(joined.session().party(), joined.session().source().delta(),
                                        key.key.kout, "test/open");
      Bytes kout(bits.size() / 8);
      for (size_t t = 0; t < bits.size(); ++t) {
        kout[t / 8] = static_cast<uint8_t>(kout[t / 8] | bits[t] << (t % 8));
      }
      Digest signing{};
      Bytes level = to_bytes("AWS4" + kValue);
      for (const std::string& part :
           {key.date, std::string("us-east-1"), std::string("ec2"), std::string("aws4_request")}) {
        signing = hmac_sha256(level, as_bytes(part));
        level.assign(signing.begin(), signing.end());
      }
      const support::HmacStates states = support::hmac_states(signing);
      const Digest outer = sha256_state_bytes(states.outer);
      const bool right = sha256_state_bytes(key.key.kin) == sha256_state_bytes(states.inner) &&
                         kout == Bytes(outer.begin(), outer.end());
      out.result({{"cached", key.cached},
                  {"right", right},
                  {"kept", joined.state().loaded().list().size()}});
    });
    return cli::kOk;
  };
  for (const PartyId victim : {PartyId{0}, last()}) {
    for (const std::string step : kSteps) {
      SCOPED_TRACE(step + " at member " + std::to_string(victim));
      rig_->restore("before");
      const auto ended = killed(victim, step, obtain);
      for (PartyId i = 0; i < rig_->size(); ++i) EXPECT_EQ(ended[i].killed, i == victim);
      const bool all_staged = step == "exchanged" || step == "committed";
      for (int again = 0; again < 2; ++again) {
        for (const Ended& e : rig_->run(obtain)) {
          ASSERT_EQ(e.code, cli::kOk) << e.out;
          EXPECT_EQ(e.last()["right"], true);
          EXPECT_EQ(e.last()["kept"], 1);
          EXPECT_TRUE(e.last()["cached"] == true || (again == 0 && !all_staged));
          EXPECT_TRUE(e.last()["cached"] == false || again == 1 || step != "begin");
        }
      }
    }
  }
}

// A removal is not two-phase. Half of one can be finished, and the name used again.
TEST_P(KillTest, BetweenTwoRemovals) {
  write_shares("key.json", "joint/key");
  all_ok(import("key.json"));
  const auto held_by = [&](PartyId i) {
    const Ended e = rig_->run_one(i, [](PartyId, cli::Output& out, cli::Common& common) {
      return cli::secret_list(out, common);
    });
    return e.last()["secrets"].size();
  };
  // As left by a kill after the first member's removal.
  const Ended removed = rig_->run_one(0, [](PartyId, cli::Output& out, cli::Common& common) {
    const auto opened = room::open_state(common.member_file, nullptr);
    session::MemberState& state = *opened;
    state.secrets().remove(state.secret("joint/key").id);
    out.result({});
    return cli::kOk;
  });
  ASSERT_EQ(removed.code, cli::kOk);
  EXPECT_EQ(held_by(0), 0u);
  EXPECT_EQ(held_by(1), 1u);
  // A new import sees the difference, and says what to do.
  for (const Ended& e : import("key.json")) {
    EXPECT_EQ(e.code, cli::kRefused) << e.out;
    EXPECT_THAT(e.error(), ::testing::HasSubstr("secret remove"));
  }
  const auto remove = [](PartyId, cli::Output& out, cli::Common& common) {
    return cli::secret_remove(out, common, "joint/key");
  };
  all_ok(rig_->run(remove));
  EXPECT_EQ(held_by(1), 0u);
  all_ok(import("key.json"));
  all_ok(rig_->run(remove));
  for (const Ended& e : rig_->run(remove)) {
    EXPECT_EQ(e.code, cli::kBadInput) << e.out;
    EXPECT_THAT(e.error(), ::testing::HasSubstr("no member's store"));
  }
}

INSTANTIATE_TEST_SUITE_P(Rooms, KillTest, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, KillTest, ::testing::ValuesIn(support::in_long_runs({3})));

}  // namespace
}  // namespace flexroom
