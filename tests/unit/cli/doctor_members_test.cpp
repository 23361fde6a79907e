#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>

#include "net/tcp_mesh.h"
#include "session/room_terms.h"
#include "support/room_rig.h"
#include "support/sweeps.h"

// `doctor --with-members` (docs/spec/product.md): members that differ see in what, with both values
// and what to do; members that do not differ see that.

namespace flexroom {
namespace {

using support::RoomRig;
using Ended = RoomRig::Ended;
using ::testing::HasSubstr;
using ::testing::Not;

class DoctorMembersTest : public ::testing::TestWithParam<size_t> {
 protected:
  void SetUp() override {
    rig_ = std::make_unique<RoomRig>(GetParam());
    rig_->edit_room("name = \"rig\"\n", "name = \"rig\"\ntimeout_seconds = 15\n");
    rig_->write_room("[provider.p]\nhosts = [\"*.a.example\"]\n");
    for (const Ended& e : rig_->init()) ASSERT_EQ(e.code, cli::kOk) << e.out;
    rig_->write_shares("k.json", "k", "0123456789abcdef");
    for (const Ended& e : rig_->import("k.json")) ASSERT_EQ(e.code, cli::kOk) << e.out;
  }
  static int doctor(PartyId, cli::Output& out, cli::Common& common) {
    return cli::doctor(out, common, "", "", true);
  }
  std::vector<Ended> all_run_it() { return rig_->run(doctor); }
  PartyId last() const { return static_cast<PartyId>(rig_->size() - 1); }
  std::string name_of(PartyId i) const { return "m" + std::to_string(i); }
  /// The check of that field about that member; empty if there is none.
  static nlohmann::json check(const Ended& ended, const std::string& member,
                              const std::string& field) {
    const nlohmann::json last = ended.last();
    for (const auto& one : last["checks"]) {
      if (one.value("member", "") == member && one.value("field", "") == field) return one;
    }
    return nlohmann::json::object();
  }
  static size_t problems(const Ended& ended) {
    size_t count = 0;
    const nlohmann::json last = ended.last();
    for (const auto& one : last["checks"]) count += one["state"] == "problem" ? 1 : 0;
    return count;
  }
  template <typename Change>
  void at(PartyId i, Change change) {
    const Ended e = rig_->run_one(i, [&](PartyId, cli::Output& out, cli::Common& common) {
      change(*room::open_state(common.member_file, nullptr));
      out.result({});
      return cli::kOk;
    });
    ASSERT_EQ(e.code, cli::kOk) << e.out;
  }
  std::unique_ptr<RoomRig> rig_;
};

TEST_P(DoctorMembersTest, NothingDiffersAndNothingIsChanged) {
  const auto before = rig_->run_one(
      0, [](PartyId, cli::Output& out, cli::Common& common) { return cli::status(out, common); });
  for (const Ended& e : all_run_it()) {
    EXPECT_EQ(e.code, cli::kOk) << e.out;
    EXPECT_EQ(problems(e), 0u) << e.out;
  }
  const auto ended = all_run_it();
  for (PartyId j = 1; j < rig_->size(); ++j) {
    EXPECT_EQ(check(ended[0], name_of(j), "clock")["state"], "ok") << ended[0].out;
    EXPECT_EQ(check(ended[0], name_of(j), "state")["state"], "ok") << ended[0].out;
  }
  const auto after = rig_->run_one(
      0, [](PartyId, cli::Output& out, cli::Common& common) { return cli::status(out, common); });
  EXPECT_EQ(before.last(), after.last());
}

TEST_P(DoctorMembersTest, EveryDifferenceIsNamedWithBothValuesAndTheRemedy) {
  // Room, secrets, and the state of one member, all at once.
  std::string text = RoomRig::read(rig_->dir(last()) / "room.toml");
  text.replace(text.find("[\"*.a.example\"]"), 15, "[\"*.b.example\"]");
  rig_->write(last(), "room.toml", text);
  at(last(), [](session::MemberState& state) {
    state.secrets().remove(state.secret("k").id);
    state.once().begin_batches(16);
  });
  const auto ended = all_run_it();
  for (PartyId i = 0; i < rig_->size(); ++i) {
    const PartyId other = i == last() ? 0 : last();
    EXPECT_EQ(ended[i].code, cli::kBadInput) << ended[i].out;
    const auto hosts = check(ended[i], name_of(other), "hosts of provider p");
    EXPECT_EQ(hosts.value("here", ""), i == last() ? "*.b.example" : "*.a.example") << ended[i].out;
    EXPECT_EQ(hosts.value("there", ""), i == last() ? "*.a.example" : "*.b.example");
    EXPECT_THAT(hosts.value("remedy", ""), HasSubstr("room.toml"));
    const auto secret = check(ended[i], name_of(other), "secret k version 1");
    EXPECT_EQ(secret.value(i == last() ? "here" : "there", ""), "(nothing)") << ended[i].out;
    EXPECT_THAT(secret.value(i == last() ? "there" : "here", ""), HasSubstr("provenance"));
    EXPECT_THAT(secret.value("remedy", ""), HasSubstr("newest"));
    const auto state = check(ended[i], name_of(last()), "state");
    EXPECT_THAT(state.value("detail", ""), HasSubstr("unfinished batches: 16 of 16"));
    EXPECT_THAT(state.value("remedy", ""), HasSubstr("secret refresh"));
    // Members that do not differ are not named.
    for (PartyId j = 0; j < rig_->size(); ++j) {
      if (j == i || i == last() || j == last()) continue;
      EXPECT_TRUE(check(ended[i], name_of(j), "hosts of provider p").empty()) << ended[i].out;
    }
  }
}

// A flow's value is not imported, and the flow settles it.
TEST_P(DoctorMembersTest, AValueOfAFlowIsThatFlowsToSettle) {
  at(last(), [](session::MemberState& state) {
    const store::RecordMeta own = state.secret("k");
    auto kept = state.secrets().find(own.id, own.version);
    kept->meta.id[0] ^= 1;
    kept->meta.name = "account:keys/secret";
    kept->meta.kind = "flow create-session";
    state.secrets().put_committed(*kept);
  });
  const auto ended = all_run_it();
  const auto value =
      check(ended[0], name_of(last()), "value of a flow account:keys/secret version 1");
  EXPECT_EQ(value.value("here", ""), "(nothing)") << ended[0].out;
  EXPECT_THAT(value.value("remedy", ""), HasSubstr("start the same flow at all members"));
  EXPECT_THAT(value.value("remedy", ""), Not(HasSubstr("import")));
}

TEST_P(DoctorMembersTest, ABurnedEpochAndLostStateAreSeenFromElsewhere) {
  rig_->save("before");
  at(last(), [](session::MemberState& state) { state.once().burn(AbortCode::kMac); });
  auto ended = all_run_it();
  auto state = check(ended[0], name_of(last()), "state");
  EXPECT_EQ(state["state"], "problem") << ended[0].out;
  EXPECT_THAT(state.value("remedy", ""), HasSubstr("init --new-epoch"));
  rig_->restore("before");
  at(last(), [](session::MemberState& one) {
    one.once().enter_open_mark(store::OpenMark::State::kArmed, true);
  });
  ended = all_run_it();
  state = check(ended[0], name_of(last()), "state");
  EXPECT_EQ(state["state"], "problem") << ended[0].out;
  EXPECT_THAT(state.value("remedy", ""), HasSubstr("peer accept"));
  rig_->restore("before");
  for (const char* file : {"state/once.db", "state/once.db-wal", "state/once.db-shm"}) {
    std::filesystem::remove(rig_->dir(last()) / file);
  }
  ended = all_run_it();
  state = check(ended[0], name_of(last()), "state");
  EXPECT_THAT(state.value("detail", ""), HasSubstr("single-use state: lost")) << ended[0].out;
  EXPECT_THAT(state.value("remedy", ""), HasSubstr("peer accept"));
}

TEST_P(DoctorMembersTest, AnotherEpochIsNamed) {
  rig_->save("before");
  for (const Ended& e : rig_->run([](PartyId, cli::Output&out, cli::Common&common) {
         return cli::init_room(out, common, true);
       })) {
    ASSERT_EQ(e.code, cli::kOk) << e.out;
  }
  // All of the last one's files are of before: it cannot know.
  RoomRig::copy(rig_->root() / "before" / std::to_string(last()), rig_->dir(last()));
  const auto ended = all_run_it();
  const auto epoch = check(ended[0], name_of(last()), "epoch");
  EXPECT_EQ(epoch.value("here", "").size(), 64u) << ended[0].out;
  EXPECT_EQ(epoch.value("there", "").size(), 64u);
  EXPECT_NE(epoch.value("here", ""), epoch.value("there", ""));
  EXPECT_THAT(epoch.value("remedy", ""), HasSubstr("state.db"));
}

TEST_P(DoctorMembersTest, AnotherCommandIsNamedOnBothSides) {
  const auto ended = rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
    return i == last() ? cli::init_room(out, common, false) : doctor(i, out, common);
  });
  const auto command = check(ended[0], name_of(last()), "command");
  EXPECT_EQ(command.value("there", ""), "init") << ended[0].out;
  EXPECT_EQ(ended[last()].code, cli::kRefused) << ended[last()].out;
  EXPECT_THAT(ended[last()].error(), HasSubstr("doctor --with-members"));
}

// A member of another version, protocol and clock, which a test has to play.
TEST_P(DoctorMembersTest, VersionProtocolAndClockAreCompared) {
  const auto ended = rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
    if (i != last()) return doctor(i, out, common);
    const auto state =
        room::open_state(common.member_file, nullptr, store::SealedDb::Access::kLook);
    const RoomConfig& room = state->room();
    net::Party party(net::TcpMesh::join(session::mesh_of(room, state->member(), nullptr, nullptr),
                                        state->identity()),
                     Prg::from_system());
    std::vector<session::Term> terms = session::meeting_terms("doctor --with-members", room);
    for (session::Term& term : terms) {
      if (term.name == "forms that are read of proposals") term.value = "format 9";
    }
    for (const auto& [label, said] :
         {std::pair("session/terms", terms),
          {"doctor/terms", {{"version", "9.9.9\x1b[2J"}, {"protocol", "77"}}},
          {"doctor/state", {{"clock", std::to_string(std::time(nullptr) - 500)}}}}) {
      (void)session::exchange_terms(party, said, label);
      party.echo(label);
    }
    return static_cast<int>(cli::kOk);
  });
  const std::string them = name_of(last());
  EXPECT_EQ(check(ended[0], them, "version").value("there", ""), "9.9.9?[2J") << ended[0].out;
  EXPECT_EQ(check(ended[0], them, "protocol").value("there", ""), "77");
  const auto forms = check(ended[0], them, "forms that are read of proposals");
  EXPECT_EQ(forms.value("there", ""), "format 9") << ended[0].out;
  EXPECT_EQ(forms.value("here", ""), "format 2, text forms 1 to 3");
  EXPECT_THAT(forms.value("remedy", ""), HasSubstr("read the same forms"));
  const auto clock = check(ended[0], them, "clock");
  EXPECT_EQ(clock["state"], "problem") << ended[0].out;
  EXPECT_THAT(clock.value("detail", ""), HasSubstr("behind ours"));
  EXPECT_THAT(clock.value("remedy", ""), HasSubstr("NTP"));
  EXPECT_EQ(check(ended[0], them, "state")["state"], "problem") << "it says nothing of its state";
}

TEST_P(DoctorMembersTest, WhoDoesNotComeIsNamed) {
  rig_->edit_room("timeout_seconds = 15", "timeout_seconds = 2");
  const Ended e = rig_->run_one(0, doctor);
  EXPECT_EQ(e.code, cli::kBadInput);
  EXPECT_THAT(e.out, HasSubstr("waited for"));
  EXPECT_THAT(e.out, HasSubstr("start `flexroom doctor --with-members` at all members"))
      << "a remedy";
  EXPECT_THAT(e.out, HasSubstr("m1"));
}

INSTANTIATE_TEST_SUITE_P(Members, DoctorMembersTest, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, DoctorMembersTest,
                         ::testing::ValuesIn(support::in_long_runs({3})));

}  // namespace
}  // namespace flexroom
