#include "base/split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace flexroom {
namespace {

using ::testing::ElementsAre;

TEST(Split, EveryEntryIsKeptAlsoEmptyOnes) {
  EXPECT_THAT(split("a;bc;d", ';'), ElementsAre("a", "bc", "d"));
  EXPECT_THAT(split(";a;;b;", ';'), ElementsAre("", "a", "", "b", ""));
  EXPECT_THAT(split("a,b", ';'), ElementsAre("a,b"));
  EXPECT_THAT(split("", ';'), ElementsAre(""));
}

}  // namespace
}  // namespace flexroom
