#include "room/progress.h"

#include <gtest/gtest.h>

namespace flexroom::room {
namespace {

class ProgressTest : public ::testing::Test {
 protected:
  /// A second goes by between two updates.
  std::optional<Progress> update(std::string_view phase, uint64_t done, uint64_t total) {
    now_ += std::chrono::seconds(1);
    return meter_.update(phase, done, total, now_);
  }
  ProgressMeter meter_;
  ProgressMeter::Clock::time_point now_{};
};

TEST_F(ProgressTest, OnePhaseAloneHasItsOwnShare) {
  const auto start = update("stock", 0, 8), end = update("stock", 8, 8);
  const auto wait = update("the script runs", 0, 0);
  ASSERT_TRUE(start && end && wait);
  EXPECT_EQ(start->share, 0);
  EXPECT_FALSE(start->seconds_left);
  EXPECT_EQ(end->share, 1);
  EXPECT_EQ(end->seconds_left, 0);
  EXPECT_FALSE(wait->share);
}

TEST_F(ProgressTest, ExpectedStepsCountByTheirWeight) {
  meter_.expect({{"triples", 6}, {"nothing to do", 0}, {"garble", 3}, {"call", 1}}, now_);
  EXPECT_EQ(update("triples", 0, 0)->share, 0);
  const auto inner = update("and triples", 5, 5);  // of the present step, whose name is shown
  EXPECT_EQ(inner->phase, "triples");
  EXPECT_DOUBLE_EQ(*inner->share, 0.6);
  EXPECT_DOUBLE_EQ(*update("another work", 1, 5)->share, 0.6);  // does not take the step back
  EXPECT_DOUBLE_EQ(*update("garble", 0, 0)->share, 0.6);
  const auto between = update("between", 0, 0);  // no step: shown, counts nothing
  EXPECT_EQ(between->phase, "between");
  EXPECT_DOUBLE_EQ(*between->share, 0.6);
  EXPECT_DOUBLE_EQ(*update("call", 0, 0)->share, 0.9);
}

TEST_F(ProgressTest, TheTimeLeftFollowsFromTheTimeTaken) {
  meter_.expect({{"triples", 1}, {"garble", 1}}, now_);
  const auto half = update("garble", 0, 0);
  EXPECT_DOUBLE_EQ(*half->seconds_left, 1);  // half of it took a second
}

// A figure that would stand still while somebody else takes his time is not shown.
TEST_F(ProgressTest, NobodyKnowsHowLongAnotherTakes) {
  meter_.expect({{"triples", 96}, {"wait for the answer", 4, true}}, now_);
  EXPECT_TRUE(update("triples", 96, 96)->seconds_left);
  for (const auto& waiting : {update("wait for the answer", 0, 0), update("between", 0, 0)}) {
    EXPECT_DOUBLE_EQ(*waiting->share, 0.96);
    EXPECT_FALSE(waiting->seconds_left);
  }
}

TEST_F(ProgressTest, StepsEndWhereNoneAreExpected) {
  meter_.expect({{"triples", 1}}, now_);
  (void)update("triples", 0, 0);
  meter_.expect({}, now_);
  EXPECT_FALSE(update("the script runs", 0, 0)->share);
}

TEST_F(ProgressTest, ToldFiveTimesASecondAndAtTheEnd) {
  ASSERT_TRUE(update("stock", 0, 8));
  EXPECT_FALSE(meter_.update("stock", 1, 8, now_ + std::chrono::milliseconds(100)));
  EXPECT_TRUE(meter_.update("stock", 8, 8, now_ + std::chrono::milliseconds(100)));
}

}  // namespace
}  // namespace flexroom::room
