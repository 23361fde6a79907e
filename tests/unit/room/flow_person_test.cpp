#include "room/flow_person.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace flexroom::room {
namespace {

class Asked : public Decider {
 public:
  Answer approve(const Summary&) override { return Answer::kNo; }
  std::optional<std::string> human_input(const Question& question) override {
    text = question.text;
    std::this_thread::sleep_for(takes);
    EXPECT_EQ(question.kind, Question::Kind::kText);
    return answer;
  }
  std::string text;
  std::chrono::milliseconds takes{0};
  std::optional<std::string> answer;
};

TEST(FlowPerson, AsksTheDeciderAndShowsNothingThatMovesTheCursor) {
  Asked decider;
  FlowPerson person(decider);
  flow::Person::Question question{
      "SolveCaptcha", "create-account", {{"run/image", "a\x1b[2Jb"}}, 300};
  EXPECT_FALSE(person.answer(question).has_value());  // not now
  decider.answer = "xk4";
  EXPECT_EQ(person.answer(question), "xk4");
  EXPECT_NE(decider.text.find("create-account, step SolveCaptcha"), std::string::npos);
  EXPECT_NE(decider.text.find("run/image: a"), std::string::npos);
  EXPECT_EQ(decider.text.find('\x1b'), std::string::npos);
}

TEST(FlowPerson, AnAnswerLaterThanTheQuestionAllowsIsNone) {
  Asked decider;
  decider.answer = "xk4";
  decider.takes = std::chrono::milliseconds(1100);
  FlowPerson person(decider);
  EXPECT_EQ(person.answer({"SolveCaptcha", "create-account", {}, 300}), "xk4");
  EXPECT_FALSE(person.answer({"SolveCaptcha", "create-account", {}, 1}).has_value());
}

}  // namespace
}  // namespace flexroom::room
