#include "store/open_mark.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "store_fixture.h"

namespace flexroom::store {
namespace {

using State = OpenMark::State;

class OpenMarkTest : public StoreTest {
 protected:
  /// The states that are shown, and closed if `enter`.
  std::string left(bool enter = true) {
    std::string out;
    OpenMark::settle(root_, [&](const OpenMark::Left& mark) {
      out += static_cast<char>(mark.state);
      EXPECT_EQ(mark.room, room_);
      EXPECT_EQ(mark.epoch, epoch_);
      return enter;
    });
    return out;
  }
  Digest room_{1}, epoch_{2}, members_{3};
};

TEST_F(OpenMarkTest, ASessionThatEndsLeavesNothing) {
  EXPECT_EQ(left(), "");
  {
    const OpenMark mark(root_, room_, epoch_, members_);
    EXPECT_EQ(left(), "") << "it runs";
  }
  EXPECT_EQ(left(), "");
}

TEST_F(OpenMarkTest, WhatASessionCouldNotEnterIsThereForTheNext) {
  {
    OpenMark mark(root_, room_, epoch_, members_);
    EXPECT_TRUE(mark.put(State::kBurn));
    EXPECT_TRUE(mark.put(State::kStrike));  // does not weaken it
    OpenMark other(root_, room_, epoch_, members_);
    EXPECT_TRUE(other.put(State::kStrike));
  }
  { const OpenMark another(root_, room_, epoch_, members_); }  // does not overwrite them
  std::string all = left(false);
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, "bs");
  EXPECT_EQ(left(true).size(), 2u);
  EXPECT_EQ(left(), "");
}

TEST_F(OpenMarkTest, AKilledSessionIsKnown) {
  const pid_t child = fork();
  if (child == 0) {
    const OpenMark mark(root_, room_, epoch_, members_);
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(left(), "o");
  EXPECT_EQ(left(), "");
}

// While a verdict is awaited that only a cheat fails; and a session that saw a check fail and could
// write it nowhere does not close its mark.
TEST_F(OpenMarkTest, AnAwaitedVerdictIsKnown) {
  const pid_t child = fork();
  if (child == 0) {
    OpenMark mark(root_, room_, epoch_, members_);
    mark.arm();
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(left(), "a");
  {
    OpenMark mark(root_, room_, epoch_, members_);
    mark.arm();
    EXPECT_EQ(left(), "") << "it runs";
  }
  EXPECT_EQ(left(), "a") << "nobody said how the verdict was";
  {
    OpenMark mark(root_, room_, epoch_, members_);
    mark.arm();
    mark.settle_verdict();
  }
  EXPECT_EQ(left(), "") << "it ended by itself";
  for (const bool armed : {true, false}) {
    {
      OpenMark mark(root_, room_, epoch_, members_);
      mark.arm();
      if (!armed) mark.disarm();
      mark.leave();
    }
    EXPECT_EQ(left(), armed ? "a" : "o");
  }
  {
    OpenMark mark(root_, room_, epoch_, members_);
    EXPECT_TRUE(mark.put(State::kStrike));
    mark.arm();  // does not weaken it
    mark.disarm();
  }
  EXPECT_EQ(left(), "s");
}

// A refresh that was cut is finished in the session that follows, which then is in another epoch.
TEST_F(OpenMarkTest, AMarkGoesAlongToAnotherEpoch) {
  Digest room = room_, epoch = epoch_;
  room[0] ^= 1;
  epoch[0] ^= 1;
  {
    OpenMark mark(root_, room_, epoch_, members_);
    mark.move_to(room, epoch);
    EXPECT_TRUE(mark.put(State::kBurn));
  }
  size_t found = 0;
  OpenMark::settle(root_, [&](const OpenMark::Left& left) {
    ++found;
    EXPECT_EQ(left.state, State::kBurn);
    EXPECT_EQ(left.room, room);
    EXPECT_EQ(left.epoch, epoch);
    return true;
  });
  EXPECT_EQ(found, 1u);
}

TEST_F(OpenMarkTest, NothingIsCheckedWithoutAMark) {
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit full{0, before.rlim_max};
  {
    OpenMark mark(root_, room_, epoch_, members_);
    setrlimit(RLIMIT_FSIZE, &full);
    EXPECT_NE(error_of([&] { mark.arm(); }), "no error");
    EXPECT_NE(error_of([&] { const OpenMark another(root_, room_, epoch_, members_); }),
              "no error");
    setrlimit(RLIMIT_FSIZE, &before);
    mark.arm();
  }
  fs::remove_all(root_ / "open");
  std::ofstream(root_ / "open") << "no folder";
  EXPECT_NE(error_of([&] { const OpenMark mark(root_, room_, epoch_, members_); }), "no error");
}

// What lies there in another form was no session's: it never began.
TEST_F(OpenMarkTest, AMarkThatWasNotWrittenToItsEndIsNone) {
  fs::create_directories(root_ / "open");
  std::ofstream(root_ / "open" / "0") << "flexroom open/1\nb";
  EXPECT_EQ(left(), "");
  std::ofstream(root_ / "open" / "0", std::ios::trunc)
      << "flexroom open/1\nb" << std::string(2 * 32 + 31, 'x');
  EXPECT_EQ(left(), "");
  const OpenMark mark(root_, room_, epoch_, members_);
}

// A mark is of one room: by its id, or as long as it has none by its members.
TEST_F(OpenMarkTest, AMarkNamesItsRoom) {
  const Digest none{}, other{9};
  const auto one_left = [&] {
    const std::vector<OpenMark::Left> all = OpenMark::left(root_);
    EXPECT_EQ(all.size(), 1u);
    EXPECT_EQ(OpenMark::left(root_).size(), 1u) << "only looked at";
    fs::remove_all(root_ / "open");
    return all.at(0);
  };
  OpenMark(root_, none, none, members_).arm();
  OpenMark::Left mark = one_left();
  EXPECT_EQ(mark.state, State::kArmed);
  EXPECT_EQ(mark.file, root_ / "open" / "0");
  EXPECT_TRUE(mark.is_of(none, members_));
  EXPECT_TRUE(mark.is_of(room_, members_)) << "it got its id since";
  EXPECT_FALSE(mark.is_of(none, other));
  EXPECT_FALSE(mark.is_of(room_, other));
  OpenMark(root_, room_, epoch_, members_).arm();
  mark = one_left();
  EXPECT_TRUE(mark.is_of(room_, members_));
  EXPECT_FALSE(mark.is_of(other, members_));
  EXPECT_FALSE(mark.is_of(none, members_));
  // Of before the members stood in it: nobody knows whose it is.
  fs::create_directories(root_ / "open");
  std::ofstream(root_ / "open" / "0") << "flexroom open/1\na" << std::string(2 * 32, '\0');
  mark = one_left();
  EXPECT_FALSE(mark.members.has_value());
  EXPECT_TRUE(mark.is_of(none, members_));
  EXPECT_TRUE(mark.is_of(other, members_));
}

TEST_F(OpenMarkTest, TheMembersOfAMarkAreASet) {
  const MemberId a{1}, b{2}, c{3};
  EXPECT_EQ(marked_members({a, b}), marked_members({b, a}));
  EXPECT_NE(marked_members({a, b}), marked_members({a, c}));
  EXPECT_NE(marked_members({a, b}), marked_members({a, b, c}));
}

TEST_F(OpenMarkTest, ARunningSessionHasLeftNothing) {
  OpenMark mark(root_, room_, epoch_, members_);
  mark.arm();
  EXPECT_TRUE(OpenMark::left(root_).empty());
  mark.disarm();
}

}  // namespace
}  // namespace flexroom::store
