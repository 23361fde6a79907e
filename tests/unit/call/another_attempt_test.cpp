#include "call/another_attempt.h"

#include <gtest/gtest.h>

namespace flexroom {
namespace {

Refusal of(int status, const std::string& code, const std::string& message = "") {
  return refusal_of(status, {code, message});
}

TEST(AnotherAttemptTest, WhatPassesWhatIsUnclearAndWhatIsFinal) {
  EXPECT_EQ(of(503, "RequestLimitExceeded"), Refusal::kPassing);
  EXPECT_EQ(of(400, "Throttling"), Refusal::kPassing);
  EXPECT_EQ(of(429, ""), Refusal::kPassing);
  EXPECT_EQ(of(400, "InvalidParameterValue",
               "Value (p) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance "
               "Profile name"),
            Refusal::kPassing);
  EXPECT_EQ(of(400, "InvalidParameterValue", "Invalid value 't9' for InstanceType."),
            Refusal::kFinal);
  EXPECT_EQ(of(500, "InternalError"), Refusal::kUnclear);
  EXPECT_EQ(of(502, ""), Refusal::kUnclear);
  EXPECT_EQ(of(503, "Unavailable"), Refusal::kUnclear);
  EXPECT_EQ(of(500, "InsufficientInstanceCapacity"), Refusal::kFinal);
  EXPECT_EQ(of(403, "UnauthorizedOperation"), Refusal::kFinal);
  EXPECT_EQ(of(200, ""), Refusal::kFinal);
  // A success that talks of limits is one.
  EXPECT_EQ(of(200, "RequestLimitExceeded"), Refusal::kFinal);
}

// What is approved says what is not tried again.
TEST(AnotherAttemptTest, TheRuleNamesItsExceptions) {
  for (const char* exception :
       {"for want of capacity", "on another day (UTC)", "without a whole answer"}) {
    EXPECT_NE(retry_rule().find(exception), std::string::npos) << exception;
  }
}

TEST(AnotherAttemptTest, WaitsDouble) {
  EXPECT_EQ(wait_before_attempt(0).count(), 0);
  for (unsigned k = 1; k < kMaxAttempts; ++k) {
    EXPECT_EQ(wait_before_attempt(k).count(), 1 << (k - 1));
  }
  EXPECT_LE(wait_before_attempt(1000).count(), 32);
}

}  // namespace
}  // namespace flexroom
