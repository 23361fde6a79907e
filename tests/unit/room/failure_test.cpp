#include "room/failure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <new>

#include "base/error.h"

namespace flexroom::room {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(FailureTest, WhatEachKindMeans) {
  const std::vector<std::pair<AbortCode, Exit>> kinds = {
      {AbortCode::kDisagreement, Exit::kRefused},
      {AbortCode::kRefusedByRule, Exit::kRefused},
      {AbortCode::kPeerLost, Exit::kFailed},
      {AbortCode::kServer, Exit::kFailed},
      {AbortCode::kCancelled, Exit::kFailed},
      {AbortCode::kFpMac, Exit::kCheat},
      {AbortCode::kMac, Exit::kCheat}};
  for (const auto& [code, exit] : kinds) {
    const ProtocolAbort abort(code, "step", "detail");
    EXPECT_EQ(describe(abort, false).exit, exit) << to_string(code);
    const Error::Fields released = describe(abort, true);
    EXPECT_EQ(released.exit, Exit::kUnknown) << to_string(code);
    EXPECT_THAT(released.text, HasSubstr("may have been carried out"));
  }
}

TEST(FailureTest, AMemberIsCalledByItsName) {
  const ProtocolAbort abort(AbortCode::kPeerLost, "step", "gone", PartyId{1});
  const Error::Fields named = describe(abort, false, {"anna", "bernd"});
  EXPECT_EQ(named.member, "bernd");
  EXPECT_THAT(named.text, HasSubstr("bernd"));
  EXPECT_THAT(named.text, Not(HasSubstr("member 2")));
  EXPECT_THAT(describe(abort, false).text, HasSubstr("member 2"));
}

TEST(FailureTest, InputHasPlaceProblemAndRemedy) {
  const Error::Fields input = describe(InputError("a.toml:1:2", "is odd", "mend it"), false);
  EXPECT_EQ(input.exit, Exit::kBadInput);
  EXPECT_EQ(input.place, "a.toml:1:2");
  EXPECT_EQ(input.problem, "is odd");
  EXPECT_EQ(input.remedy, "mend it");
  const std::filesystem::filesystem_error io("what", "/a/b",
                                             std::make_error_code(std::errc::permission_denied));
  EXPECT_EQ(describe(io, false).place, "/a/b");
  EXPECT_EQ(describe(std::bad_alloc(), false).exit, Exit::kBadInput);
}

TEST(FailureTest, WhatAnotherWroteIsHarmless) {
  const ProtocolAbort abort(AbortCode::kServer, "step",
                            "a\x1b[2J\u202e"
                            "b");
  EXPECT_THAT(describe(abort, false).text, HasSubstr("a?[2J?b"));
}

TEST(FailureTest, OnlyErrorsLeaveTheLibrary) {
  try {
    translated({"anna"}, []() -> int { throw ProtocolAbort(AbortCode::kServer, "s", "d", 0); });
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit(), Exit::kFailed);
    EXPECT_EQ(error.fields().member, "anna");
    EXPECT_FALSE(error.may_have_happened());
    EXPECT_EQ(describe(error, true).exit, Exit::kUnknown);  // told again, it stays what it is
    EXPECT_EQ(describe(error, false).text, error.what());
  }
}

}  // namespace
}  // namespace flexroom::room
