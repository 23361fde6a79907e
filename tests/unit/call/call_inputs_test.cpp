#include "call/call_inputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"

namespace flexroom {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class CallInputsTest : public ::testing::Test {
 protected:
  CallInputsTest() {
    char name[] = "/tmp/flexroom-inputs-XXXXXX";
    dir_ = mkdtemp(name);
    for (const char* slot : {"diagnosis", "dose"}) {
      Recipe::Slot declared;
      declared.slot.name = slot;
      declared.slot.source = http::SlotSource::kMember;
      declared.slot.from = "anna";
      declared.slot.length = 4;
      declared.slot.char_class = http::CharClass::kHex;
      recipe_.slots.push_back(declared);
    }
  }
  ~CallInputsTest() override { fs::remove_all(dir_); }
  std::string error_of(const std::string& text) {
    const fs::path file = dir_ / "mine.json";
    std::ofstream(file) << text;
    chmod(file.c_str(), 0600);
    try {
      (void)load_call_inputs(recipe_, "anna", file);
    } catch (const InputError& error) {
      return error.what();
    }
    return "no error";
  }
  fs::path dir_;
  Recipe recipe_;
};

TEST_F(CallInputsTest, WhatIsRightIsTaken) {
  EXPECT_EQ(error_of("{\"diagnosis\": \"beef\", \"dose\": \"0a0b\"}"), "no error");
}

TEST_F(CallInputsTest, SyntaxIsNamedByLineAndColumnAndNeverShown) {
  EXPECT_THAT(error_of("{\"diagnosis\": \"beef\",\n  \"dose\": 0a0b}"),
              AllOf(HasSubstr("mine.json:2:"), HasSubstr("not JSON"), Not(HasSubstr("0a0b"))));
  EXPECT_THAT(error_of("{\n\"diagnosis\": \"beef"), HasSubstr("mine.json:2:"));
  EXPECT_THAT(error_of(""), HasSubstr("mine.json:1:1"));
  EXPECT_THAT(error_of("[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(error_of(std::string("{\0\"\0", 4)), HasSubstr("UTF-16"));
  EXPECT_EQ(error_of("\xef\xbb\xbf{\"diagnosis\": \"beef\", \"dose\": \"0a0b\"}"), "no error");
  EXPECT_THAT(error_of("{\"diagnosis\": \"beef\",\n\"diagnosis\": \"beef\", \"dose\": \"0a0b\"}"),
              AllOf(HasSubstr("`diagnosis` stands twice"), Not(HasSubstr("beef"))));
}

TEST_F(CallInputsTest, FieldsAreNamedByLineAndNearName) {
  EXPECT_THAT(error_of("{\"dose\": \"0a0b\",\n \"diagnossis\": \"beef\"}"),
              AllOf(HasSubstr("mine.json:2:2"), HasSubstr("`diagnossis`"),
                    HasSubstr("did you mean `diagnosis`?")));
  EXPECT_THAT(error_of("{\"dose\": \"0a0b\"}"), HasSubstr("has no `diagnosis`"));
  EXPECT_THAT(error_of("{\"dose\": \"0a0b\",\n\n \"diagnosis\": 7}"),
              AllOf(HasSubstr("mine.json:3:2"), HasSubstr("is no text")));
  EXPECT_THAT(error_of("{\"dose\": \"0a0\",\n \"diagnosis\": \"beef\"}"),
              AllOf(HasSubstr("mine.json:1:2"), HasSubstr("has 3 bytes"), Not(HasSubstr("0a0"))));
  EXPECT_THAT(
      error_of("{\"dose\": \"0a0b\",\n \"diagnosis\": \"be f\"}"),
      AllOf(HasSubstr("mine.json:2:2"), HasSubstr("outside class"), Not(HasSubstr("be f"))));
}

}  // namespace
}  // namespace flexroom
