#include "base/near_name.h"

#include <gtest/gtest.h>

#include <vector>

namespace flexroom {
namespace {

const std::vector<std::string> kKnown = {"image_id", "instance_type", "--fill", "--json",
                                         "log",      "region",        "name"};

TEST(NearNameTest, SlipsOfTheKeyboard) {
  EXPECT_EQ(near_name("image_idd", kKnown), "image_id");
  EXPECT_EQ(near_name("imaeg_id", kKnown), "image_id");
  EXPECT_EQ(near_name("image-id", kKnown), "image_id");
  EXPECT_EQ(near_name("instancetype", kKnown), "instance_type");
  EXPECT_EQ(near_name("--fil", kKnown), "--fill");
  EXPECT_EQ(near_name("lgo", kKnown), "log");
  EXPECT_EQ(near_name("nmae", kKnown), "name");
}

TEST(NearNameTest, TheBeginningOfOneName) {
  EXPECT_EQ(near_name("inst", kKnown), "instance_type");
  EXPECT_EQ(near_name("--j", kKnown), "--json");
  EXPECT_EQ(near_name("--", kKnown), "");  // of two
}

TEST(NearNameTest, WhatIsFarIsNotGuessed) {
  for (const char* word : {"", "frobnicate", "x", "ab", "regional_settings", "name_of_the_rose"}) {
    EXPECT_EQ(near_name(word, kKnown), "") << word;
  }
  EXPECT_EQ(near_name(std::string(100'000, 'a'), kKnown), "");
}

TEST(NearNameTest, AsASentence) {
  EXPECT_EQ(did_you_mean("regoin", kKnown), "; did you mean `region`?");
  EXPECT_EQ(did_you_mean("frobnicate", kKnown), "");
}

}  // namespace
}  // namespace flexroom
