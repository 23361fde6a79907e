#include "runs/follow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "call/loader.h"
#include "e2e/object_store.h"

// Waiting for a result, against an object store that answers as each test says.

namespace flexroom::runs {
namespace {

using How = Followed::How;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FollowTest : public ObjectStoreTest {
 protected:
  static cloud::Response waiting() { return answer(200, std::string(kWaitingMark) + "\n"); }
  static cloud::Response begun() { return answer(200, std::string(kBegunMark) + "\n"); }
  /// Follows for at most `seconds`.
  Followed follow(std::vector<cloud::Response> answers, int seconds = 60,
                  const std::string& before = "", std::optional<int> begun_within = {}) {
    answers_ = std::move(answers);
    asked_ = 0;
    told_.clear();
    const auto now = std::chrono::system_clock::now();
    Patience patience{now + std::chrono::seconds(seconds)};
    if (begun_within) patience.begun_by = now + std::chrono::seconds(*begun_within);
    return follow_result(
        room_, "https://store.example/result?X-Amz-Signature=secret", before, patience,
        [this](std::string_view words) { told_.emplace_back(words); }, &cancel_);
  }

  std::vector<std::string> told_;
};

TEST_F(FollowTest, WaitsForTheResultAndTellsWhatTheLinkSays) {
  const Followed got = follow({waiting(), answer(503, "<Code>SlowDown</Code>"),
                               answer(404, "<Code>NoSuchKey</Code>"), answer(200, "a,b\n")});
  EXPECT_EQ(got.how, How::kResult);
  EXPECT_EQ(to_text(got.body), "a,b\n");
  EXPECT_THAT(told_, ElementsAre("nothing there yet", "503 SlowDown", "404 NoSuchKey"));
}

// A machine that never got its loader is not waited for until the deadline.
TEST_F(FollowTest, AMachineThatHasNotBegunInTimeEndsTheWait) {
  for (const cloud::Response& untouched :
       {waiting(), answer(200, std::string(kLoaderMark) + "x")}) {
    const Followed got = follow({untouched}, 600, "", 0);
    EXPECT_EQ(got.how, How::kNotBegun);
    EXPECT_EQ(got.words, kNothingYet);
  }
  // One that has, or whose link says something else, is.
  EXPECT_EQ(follow({begun(), answer(200, "a,b\n")}, 600, "", 0).how, How::kResult);
  EXPECT_THAT(told_, ElementsAre("the machine has begun"));
  EXPECT_EQ(follow({answer(503, ""), answer(200, "a,b\n")}, 600, "", 0).how, How::kResult);
}

TEST_F(FollowTest, WhatLayThereBeforeIsNoResult) {
  const Followed got =
      follow({answer(200, "old", "\"1\""), answer(200, "new", "\"2\"")}, 60, "\"1\" ");
  EXPECT_EQ(got.how, How::kResult);
  EXPECT_EQ(to_text(got.body), "new");
}

TEST_F(FollowTest, AFailureComesWithStepAndExitStatus) {
  const Followed got =
      follow({answer(200, std::string(kFailedMark) + " script: exit status 3\nlog\x1b\n")});
  EXPECT_EQ(got.how, How::kFailed);
  EXPECT_EQ(got.words, "script: exit status 3");
  // Names of members may be of any language.
  EXPECT_EQ(follow({answer(200, std::string(kFailedMark) + "\ndata of h\xc3\xb4pital: 4\x1b[03\n")})
                .words,
            "data of h\xc3\xb4pital: 4?[03");
}

TEST_F(FollowTest, ALinkThatIsTurnedAwayEndsTheWaitAtOnce) {
  const std::vector<std::pair<cloud::Response, std::string>> dead = {
      {refusal(403, "SignatureDoesNotMatch", "no"), "403 SignatureDoesNotMatch"},
      {refusal(403, "AccessDenied", "Request has expired"), "403 AccessDenied"},
      {refusal(403, "AccessDenied", "Access Denied"), "403 AccessDenied"},
      {refusal(400, "ExpiredToken", "The provided token has expired."), "400 ExpiredToken"},
      {refusal(404, "NoSuchBucket", "no"), "404 NoSuchBucket"},
      {answer(401, "who are you"), "401"},
      {answer(410, ""), "410"}};
  for (const auto& [response, words] : dead) {
    const Followed got = follow({response, answer(200, "later")});
    EXPECT_EQ(got.how, How::kDeadLink) << words;
    EXPECT_EQ(got.words, words);
    EXPECT_EQ(asked_, 1u) << words;
  }
}

TEST_F(FollowTest, AResultThatIsTooLargeEndsTheWaitAtOnce) {
  const Followed got = follow({answer(200, std::string(kMaxResultBytes + 1, 'x'))});
  EXPECT_EQ(got.how, How::kTooLarge);
  EXPECT_TRUE(got.body.empty());
  EXPECT_EQ(asked_, 1u);
}

TEST_F(FollowTest, NothingComesUntilTheEnd) {
  const Followed got = follow({waiting()}, 0);
  EXPECT_EQ(got.how, How::kNothing);
  EXPECT_EQ(got.words, "nothing there yet");
}

TEST_F(FollowTest, TheOperatorStopsIt) {
  cancel_ = true;
  try {
    (void)follow({waiting()});
    FAIL();
  } catch (const ProtocolAbort& abort) {
    EXPECT_EQ(abort.code(), AbortCode::kCancelled);
    EXPECT_THAT(abort.what(), ::testing::Not(HasSubstr("secret")));
  }
}

}  // namespace
}  // namespace flexroom::runs
