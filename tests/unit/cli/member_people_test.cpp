#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/people_commands.h"
#include "people/exchange.h"
#include "people/key_file.h"
#include "room/access.h"
#include "room/people.h"
#include "support/room_rig.h"

// A member whose approvals are signatures of its people (members.md §7.2, 9.1): nothing else
// stands for them.

namespace flexroom {
namespace {

using support::RoomRig;
using Ended = RoomRig::Ended;
using ::testing::HasSubstr;

class MemberPeopleTest : public ::testing::Test {
 protected:
  void SetUp() override {
    rig_.write_room("[provider.sandbox]\nhosts = [\"*.flexroom.example\"]\n");
    for (const Ended& e : rig_.init()) ASSERT_EQ(e.code, cli::kOk) << e.out;
    std::string toml =
        "approve = \"2 of (ann, bob, eve)\"\nadminister = \"2 of (ann, bob, eve)\"\n";
    for (const char* name : {"ann", "bob", "eve"}) {
      const people::Key key = people::KeyFile::create(key_of(name), {});
      toml +=
          "[[person]]\nname = \"" + std::string(name) +
          "\"\nroles = [\"approve\", \"administer\"]\n[[person.key]]\nkind = \"file\"\nkey = \"" +
          to_hex(key.bytes) + "\"\n";
    }
    rig_.write(0, "people.toml", toml);
    for (PartyId i = 0; i < 2; ++i) {
      rig_.write(i, "draw.toml",
                 "provider = \"sandbox\"\n[born.pin]\nalphabet = \"digits\"\nlength = 6\n");
    }
    const Ended made = rig_.run_one(0, [&](PartyId i, cli::Output& out, cli::Common& common) {
      return cli::people_init(out, common, rig_.dir(i) / "people.toml", false);
    });
    ASSERT_EQ(made.code, cli::kOk) << made.out;
  }
  std::filesystem::path key_of(const std::string& name) const {
    return rig_.root() / (name + ".key");
  }
  /// Something that all approve; at member 0 with these keys.
  std::vector<Ended> draw(const std::vector<std::string>& names) {
    return rig_.run([&](PartyId i, cli::Output& out, cli::Common& common) {
      if (i == 0) {
        for (const std::string& name : names) common.sign_with.push_back(key_of(name));
      }
      return cli::secret_draw(out, common, rig_.dir(i) / "draw.toml");
    });
  }
  nlohmann::json log_of(PartyId i) {
    return rig_
        .run_one(i, [](PartyId, cli::Output& out,
                       cli::Common& common) { return cli::show_log(out, common, true); })
        .last()["entries"];
  }
  size_t consents() {
    const nlohmann::json log = log_of(0);
    return static_cast<size_t>(std::count_if(log.begin(), log.end(), [](const auto& e) {
      return e["outcome"] == "this member's approval";
    }));
  }
  RoomRig rig_{2};
};

TEST_F(MemberPeopleTest, NeitherAYesNorAutoApproveStandsForThem) {
  const auto alone = [&] {
    return rig_.run_one(0, [&](PartyId i, cli::Output& out, cli::Common& common) {
      return cli::secret_draw(out, common, rig_.dir(i) / "draw.toml");
    });
  };
  EXPECT_THAT(alone().error(), HasSubstr("neither --yes nor auto_approve"));
  const std::string config = RoomRig::read(rig_.dir(0) / "member.toml");
  rig_.write(0, "member.toml", config + "auto_approve = true\n");
  EXPECT_EQ(alone().code, cli::kBadInput);
  const auto one = draw({"ann", "ann"});
  EXPECT_EQ(one[0].code, cli::kRefused) << one[0].out;
  EXPECT_THAT(one[1].error(), HasSubstr("m0 has nobody there to decide now"));
  EXPECT_EQ(consents(), 0u);
}

TEST_F(MemberPeopleTest, EnoughOfThemApproveAndTheLogSaysSo) {
  for (const Ended& e : draw({"ann", "eve"})) EXPECT_EQ(e.code, cli::kOk) << e.out;
  EXPECT_EQ(consents(), 1u);
  // The approval stands before what all approved.
  const nlohmann::json log = log_of(0);
  for (size_t i = 0; i < log.size(); ++i) {
    if (log[i]["outcome"] != "approved") continue;
    EXPECT_EQ(log[i - 1]["outcome"], "this member's approval");
    EXPECT_EQ(log[i - 1]["proposal"], log[i]["proposal"]);
  }
  const Ended open = rig_.run_one(0, [](PartyId, cli::Output& out, cli::Common& common) {
    return cli::export_log(out, common, true);
  });
  EXPECT_EQ(open.code, cli::kOk);
  EXPECT_THAT(open.out, HasSubstr("\"evidence\":"));
  // Nobody else learns who it was.
  EXPECT_EQ(log_of(1).dump().find("eve"), std::string::npos);
}

class SaysYes final : public Decider {
 public:
  Answer approve(const Summary&) override { return Answer::kYes; }
  Answer approve_by_people(const Summary&, PeopleVoices&) override { return Answer::kYes; }
  std::optional<std::string> human_input(const Question&) override { return "yes"; }
};

TEST_F(MemberPeopleTest, AProgramsYesIsNoSignature) {
  const auto ended = rig_.run([&](PartyId i, cli::Output& out, cli::Common& common) {
    if (i == 1) return cli::secret_draw(out, common, rig_.dir(i) / "draw.toml");
    RoomOptions options;
    options.member_file = common.member_file;
    Room room(options);
    SaysYes decider;
    Session session(room, decider);
    try {
      (void)session.draw_secrets(rig_.dir(i) / "draw.toml");
      return int{cli::kOk};
    } catch (const Error& error) {
      return cli::report(out, error, false);
    }
  });
  for (const Ended& e : ended) EXPECT_EQ(e.code, cli::kRefused) << e.out;
  EXPECT_EQ(consents(), 0u);
}

// A window that is over is not opened again by a fresh request for it.
TEST_F(MemberPeopleTest, NothingIsEnteredOnceTheWindowIsOver) {
  RoomOptions options;
  options.member_file = rig_.dir(0) / "member.toml";
  Room room(options);
  uint64_t now = 1'700'000'000;
  agreement::Proposal proposal;
  proposal.kind = "call";
  room::PeopleApproval voices(room::Access::state(room), proposal, [&] { return now; });
  const auto sign = [&](const std::string& name) {
    const auto request = people::Request::parse(voices.request(name), "request");
    const auto key = people::KeyFile::load(key_of(name), [] { return SecretBytes(); });
    return people::voice_text(key.sign(request.st));
  };
  now += room::PeopleApproval::kWindowSeconds;
  voices.add(sign("ann"));
  voices.add(sign("bob"));
  ++now;
  EXPECT_THROW(voices.add(sign("eve")), Error);
  EXPECT_FALSE(voices.enter());
  EXPECT_THAT(voices.lack(), HasSubstr("took longer"));
  EXPECT_EQ(consents(), 0u);
  --now;
  EXPECT_TRUE(voices.enter());
}

// A change of the room is approved under `administer`: no program's yes is that.
TEST_F(MemberPeopleTest, NoYesChangesTheRoom) {
  RoomChangeRequest request;
  request.rename = {"m1=beta"};
  const auto ended = rig_.run([&](PartyId, cli::Output& out, cli::Common& common) {
    return cli::room_change(out, common, request);
  });
  EXPECT_EQ(ended[0].code, cli::kBadInput) << ended[0].out;
  EXPECT_NE(ended[0].out.find("this member's people have a rule"), std::string::npos);
  EXPECT_NE(ended[1].code, cli::kOk) << ended[1].out;
}

}  // namespace
}  // namespace flexroom
