#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "flexroom/doctor.h"
#include "flexroom/room.h"
#include "session/member_session.h"
#include "store/open_mark.h"
#include "support/room_rig.h"

// boolean-engine.md §10.2, open mark: what a session that ended without a word may have known
// counts towards the members of its room, and towards nobody else.

namespace flexroom {
namespace {

using support::RoomRig;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class OpenMarksTest : public ::testing::Test {
 protected:
  std::unique_ptr<session::MemberState> state() {
    return std::make_unique<session::MemberState>(RoomConfig::load(rig_.dir(0) / "room.toml"),
                                                  MemberConfig::load(rig_.dir(0) / "member.toml"));
  }
  std::vector<std::string> told() {
    RoomOptions options;
    options.member_file = rig_.dir(0) / "member.toml";
    options.only_looks = true;
    return Room(options).status().open_marks;
  }
  /// What a process leaves that was killed while a verdict was awaited.
  void leave(const Digest& room, const Digest& members) {
    store::OpenMark(rig_.dir(0) / "state", room, {}, members).arm();
  }
  /// LIFE after the next session of this room began.
  uint64_t life() {
    const auto opened = state();
    opened->settle_open_marks();
    return opened->once().counters().life;
  }
  uint64_t full() { return session::limits_of(state()->room()).life_max; }
  Digest marked() { return store::marked_members(state()->mids()); }

  RoomRig rig_{2};
};

TEST_F(OpenMarksTest, OfARoomWithoutAnIdItIsOfThoseMembersAlone) {
  const store::MemberId own = state()->mids()[0], stranger{7};
  leave({}, store::marked_members({own, stranger}));
  EXPECT_EQ(life(), 0u) << "these members had no part in it";
  EXPECT_THAT(told(), ElementsAre(HasSubstr("of a room with other members, which was never set")));
  leave({}, marked());
  EXPECT_EQ(life(), full());
  EXPECT_EQ(told().size(), 1u) << "the other one stays";
}

TEST_F(OpenMarksTest, OfARoomWithAnIdItIsOfThatRoomAlone) {
  for (const auto& ended : rig_.init()) ASSERT_EQ(ended.code, cli::kOk) << ended.out;
  const uint64_t before = life();
  Digest other = state()->rid();
  other[0] ^= 1;
  leave(other, marked());
  EXPECT_EQ(life(), before);
  EXPECT_THAT(told(), ElementsAre(HasSubstr("which this state does not know")));
  leave(state()->rid(), marked());
  EXPECT_THAT(told(), ElementsAre(HasSubstr("room"), HasSubstr("of this room: its next command")));
  EXPECT_EQ(life(), full());
  EXPECT_EQ(told().size(), 1u);
}

// Killed in the very set-up that gave the room its id.
TEST_F(OpenMarksTest, OfTheTimeBeforeTheIdItIsOfTheSameMembers) {
  for (const auto& ended : rig_.init()) ASSERT_EQ(ended.code, cli::kOk) << ended.out;
  leave({}, marked());
  EXPECT_EQ(life(), full());
  EXPECT_THAT(told(), IsEmpty());
}

TEST_F(OpenMarksTest, OneOfBeforeTheMembersStoodInItCountsForWhoeverIsNext) {
  (void)state();  // makes the folders
  std::filesystem::create_directories(rig_.dir(0) / "state" / "open");
  rig_.write(0, "state/open/0", "flexroom open/1\na" + std::string(2 * sizeof(Digest), '\0'));
  EXPECT_THAT(told(), ElementsAre(HasSubstr("of this room")));
  EXPECT_EQ(life(), full());
  EXPECT_THAT(told(), IsEmpty());
}

TEST_F(OpenMarksTest, TheDoctorNamesIt) {
  (void)state();
  leave({}, Digest{1});
  ExamineOptions options;
  options.member_file = rig_.dir(0) / "member.toml";
  size_t found = 0;
  for (const Check& check : examine(options)) {
    if (check.name != "open session") continue;
    ++found;
    EXPECT_EQ(check.state, Check::State::kWarning);
    EXPECT_THAT(check.detail, HasSubstr("ended while a verdict was awaited"));
    EXPECT_THAT(check.detail, HasSubstr((rig_.dir(0) / "state/open/0").string()));
  }
  EXPECT_EQ(found, 1u);
}

// A session's own mark names the members it runs with.
TEST_F(OpenMarksTest, ASessionMarksItsMembers) {
  const Digest members = marked();
  const auto ended = rig_.run([](PartyId i, cli::Output& out, cli::Common& common) {
    support::Inside inside(out, common);
    if (i == 0) raise(SIGKILL);
    inside.session().party().echo("waits for the other one");
    return 0;
  });
  EXPECT_TRUE(ended[0].killed);
  const auto left = store::OpenMark::left(rig_.dir(0) / "state");
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].members, members);
}

}  // namespace
}  // namespace flexroom
