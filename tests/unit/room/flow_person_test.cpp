#include "room/flow_person.h"

#include <gtest/gtest.h>

namespace flexroom::room {
namespace {

class Asked : public Decider {
 public:
  Answer approve(const Summary&) override { return Answer::kNo; }
  std::optional<std::string> human_input(const Question& question) override {
    text = question.text;
    EXPECT_EQ(question.kind, Question::Kind::kText);
    return answer;
  }
  std::string text;
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

}  // namespace
}  // namespace flexroom::room
