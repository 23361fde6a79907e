#include "room/slots.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"

// Slots of a timetable (tls-complete.md §8.3): who has one.

namespace flexroom::room {
namespace {

using std::chrono::seconds;
using Time = SlotBook::Time;

class SlotsTest : public ::testing::Test {
 protected:
  SlotsTest() {
    char name[] = "/tmp/flexroom-slots-XXXXXX";
    folder_ = mkdtemp(name);
  }
  ~SlotsTest() override { std::filesystem::remove_all(folder_); }
  static Time at(int64_t unix_seconds) { return Time(seconds(unix_seconds)); }
  std::filesystem::path folder_;
};

TEST_F(SlotsTest, BeginAtMultiplesOfThePeriod) {
  EXPECT_EQ(next_slot(seconds(600), at(1'200)), at(1'800));
  EXPECT_EQ(next_slot(seconds(600), at(1'201)), at(1'800));
  EXPECT_EQ(next_slot(seconds(600), at(1'799)), at(1'800));
  EXPECT_EQ(next_slot(seconds(1), at(5) + std::chrono::milliseconds(10)), at(6));
}

// Of a call and of cover, whichever process they are in: never both.
TEST_F(SlotsTest, HaveOneOwnerEach) {
  const SlotBook one(folder_), other(folder_);
  EXPECT_TRUE(one.claim("a.example", at(600)));
  EXPECT_FALSE(other.claim("a.example", at(600)));
  EXPECT_FALSE(one.claim("a.example", at(600)));
  EXPECT_TRUE(other.claim("b.example", at(600)));
  EXPECT_TRUE(other.claim("a.example", at(1'200)));
  EXPECT_EQ(one.claim_next("a.example", seconds(600), at(10)), at(1'800));
  EXPECT_EQ(other.claim_next("a.example", seconds(600), at(10)), at(2'400));
}

TEST_F(SlotsTest, ThatAreAllTakenAreSaidToBe) {
  const SlotBook book(folder_);
  for (int64_t k = 1; k <= 16; ++k) EXPECT_TRUE(book.claim("a.example", at(k)));
  EXPECT_THROW((void)book.claim_next("a.example", seconds(1), at(0)), InputError);
}

TEST_F(SlotsTest, ThatAreLongOverAreForgotten) {
  const SlotBook book(folder_);
  EXPECT_TRUE(book.claim("a.example", at(600)));
  (void)book.claim_next("a.example", seconds(600), at(600 + 3 * 24 * 3600));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_ / "slots"),
                          std::filesystem::directory_iterator()),
            1);
}

}  // namespace
}  // namespace flexroom::room
