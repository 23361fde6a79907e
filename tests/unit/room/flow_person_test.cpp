#include "room/flow_person.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "base/base64.h"

namespace flexroom::room {
namespace {

class Asked : public Decider {
 public:
  Answer approve(const Summary&) override { return Answer::kNo; }
  std::optional<std::string> human_input(const Question& question) override {
    text = question.text;
    shown = question.shown;
    if (looks) looks(question.text);
    std::this_thread::sleep_for(takes);
    EXPECT_EQ(question.kind, Question::Kind::kText);
    return answer;
  }
  std::string text;
  std::map<std::string, std::string> shown;
  std::function<void(const std::string& text)> looks;
  std::chrono::milliseconds takes{0};
  std::optional<std::string> answer;
};

std::filesystem::path nowhere() { return "/proc/none/flows/run"; }

TEST(FlowPerson, AsksTheDeciderAndShowsNothingThatMovesTheCursor) {
  Asked decider;
  FlowPerson person(decider, nowhere);
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
  FlowPerson person(decider, nowhere);
  EXPECT_EQ(person.answer({"SolveCaptcha", "create-account", {}, 300}), "xk4");
  EXPECT_FALSE(person.answer({"SolveCaptcha", "create-account", {}, 1}).has_value());
}

// A CAPTCHA of 64 KiB is no line of a terminal: it lies in a file that only this user may read, and
// is gone with the question, also where the person never answers.
TEST(FlowPerson, APictureLiesInAFileAsLongAsTheQuestionStands) {
  char name[] = "/tmp/flexroom-person-XXXXXX";
  const std::filesystem::path root = mkdtemp(name);
  const auto in_run = [&] { return root / "flows" / "run"; };
  const std::string bytes("\x89PNG\r\n\x1a\n and more", 17);
  const std::string url = "data:image/png;base64," + base64_encode(as_bytes(bytes));
  Asked decider;
  FlowPerson person(decider, in_run);
  const auto ask = [&](const std::string& value) {
    return person.answer({"SolveCaptcha", "create-account", {{"run/image", value}}, 300});
  };
  std::filesystem::path file;
  bool looked = false;
  decider.looks = [&](const std::string& text) {
    const size_t at = text.find("17 bytes, in ");
    ASSERT_NE(at, std::string::npos) << text;
    file = text.substr(at + 13, text.find('\n', at) - at - 13);
    struct stat info = {};
    ASSERT_EQ(stat(file.c_str(), &info), 0) << file;
    EXPECT_EQ(info.st_mode & 0777, 0600u);
    std::ifstream in(file, std::ios::binary);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), bytes);
    EXPECT_EQ(text.find("base64"), std::string::npos);
    looked = true;
  };
  EXPECT_EQ(ask(url), std::nullopt);
  EXPECT_TRUE(looked);
  EXPECT_EQ(decider.shown.at("run/image"), url);
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_FALSE(std::filesystem::exists(in_run()));
  decider.looks = [&](const std::string&) { throw std::runtime_error("stopped by the operator"); };
  EXPECT_THROW((void)ask(url), std::runtime_error);
  EXPECT_FALSE(std::filesystem::exists(in_run()));
  // What a killed process left is replaced.
  std::filesystem::create_directories(in_run());
  std::ofstream(file) << "old";
  decider.looks = [&](const std::string&) { EXPECT_EQ(std::filesystem::file_size(file), 17u); };
  EXPECT_EQ(ask(url), std::nullopt);
  // What is no picture, and a picture that is a program, are text.
  decider.looks = nullptr;
  for (const std::string& text : {"data:image/svg+xml;base64," + base64_encode(as_bytes(bytes)),
                                  std::string("data:image/png;base64,?"), std::string("abc")}) {
    EXPECT_EQ(ask(text), std::nullopt);
    EXPECT_NE(decider.text.find("run/image: " + text), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists(in_run()));
  }
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace flexroom::room
