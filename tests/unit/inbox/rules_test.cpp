#include "inbox/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace flexroom::inbox {
namespace {

using agreement::Proposal;
using ::testing::HasSubstr;

constexpr uint64_t kNine = 1'767'571'200 + 9 * 3600;  // a Monday, 09:00 UTC

const std::string kHex(64, 'a');
const std::string kRule = R"([[approve]]
recipe = "sha256:)" + kHex +
                          R"("
from = ["bank-y"]
args = { region = ["eu-1"], size = ["s", "m"] }
free = ["title"]
secrets = ["joint/key"]
hours = "Mon-Fri 08:00-18:00"
per_day = 2
until = 2026-12-31
)";

// m5_people.py, "rules": what is asked, one thing changed at a time.
class StandingRulesTest : public ::testing::Test {
 protected:
  StandingRulesTest() {
    terms_.definition.fill(0xaa);
    terms_.arguments = {{"region", "eu-1"}, {"size", "s"}, {"title", "x"}};
    terms_.secrets = {{"joint/key", {1}, 1, false, false, {}}};
    terms_.window = {kNine - 3600, kNine + 7 * 86400};
    proposal_.kind = "call";
  }
  std::optional<RuleApproval> judge() {
    const auto rules = StandingRules::parse(text_, "rules.toml", kNine);
    return rules.judge(
        {proposal_, terms_, {7}, from_, now_, [&](const std::string&, int64_t) { return used_; }},
        &why_);
  }
  Terms terms_;
  Proposal proposal_;
  std::string text_ = kRule, from_ = "bank-y", why_;
  uint64_t now_ = kNine;
  uint32_t used_ = 0;
};

TEST_F(StandingRulesTest, WhatIsListedIsApprovedForTheHoursOfThisDay) {
  const auto got = judge();
  ASSERT_TRUE(got) << why_;
  EXPECT_EQ(got->rule, "rule 1");
  // Cut: otherwise what was approved at nine runs on Sunday night.
  EXPECT_EQ(got->window, (Window{kNine - 3600, kNine + 9 * 3600 - 1}));
  terms_.window = {kNine + 3600, kNine + 2 * 3600};
  EXPECT_EQ(judge()->window, terms_.window);
}

TEST_F(StandingRulesTest, AnotherDefinition) {
  terms_.definition[0] = 0;
  EXPECT_FALSE(judge());
}
TEST_F(StandingRulesTest, AnotherKind) {
  proposal_.kind = "flow";
  EXPECT_FALSE(judge());
}
TEST_F(StandingRulesTest, AnotherProposer) {
  from_ = "bank-z";
  EXPECT_FALSE(judge());
  EXPECT_THAT(why_, HasSubstr("proposer"));
}
TEST_F(StandingRulesTest, AnotherValue) {
  terms_.arguments["region"] = "us-1";
  EXPECT_FALSE(judge());
}
TEST_F(StandingRulesTest, AnotherSpelling) {
  for (const char* value : {"S", "s ", " s", "\xef\xbd\x93"}) {
    terms_.arguments["size"] = value;
    EXPECT_FALSE(judge()) << value;
  }
}
TEST_F(StandingRulesTest, AValueNotGiven) {
  terms_.arguments.erase("size");
  EXPECT_FALSE(judge());
}
TEST_F(StandingRulesTest, AnArgumentThatTheRuleDoesNotName) {
  terms_.arguments["x"] = "1";
  EXPECT_FALSE(judge());
}
TEST_F(StandingRulesTest, AnotherSecret) {
  terms_.secrets.push_back({"other/key", {2}, 1, false, false, {}});
  EXPECT_FALSE(judge());
}
TEST_F(StandingRulesTest, ThirdOfADay) {
  used_ = 1;
  EXPECT_TRUE(judge());
  used_ = 2;
  EXPECT_FALSE(judge());
  EXPECT_THAT(why_, HasSubstr("per_day"));
}
TEST_F(StandingRulesTest, MoreThanOneRun) {
  terms_.repetition.times = 52;
  EXPECT_FALSE(judge());
  terms_.repetition = {1, WeeklyHours::parse("Mon 08:00-10:00", "x")};
  EXPECT_FALSE(judge());
}
TEST_F(StandingRulesTest, AnInputOfAnotherMember) {
  terms_.inputs = {{{8}, "script", "TEXT", "", {}}};
  EXPECT_FALSE(judge());
  terms_.inputs = {{{7}, "script", "TEXT", "", {}}};  // its own
  EXPECT_TRUE(judge());
}
TEST_F(StandingRulesTest, NeverAChangeNorASecret) {
  for (const char* kind : {"change", "secret"}) {
    proposal_.kind = kind;
    EXPECT_FALSE(judge());
    EXPECT_THAT(why_, HasSubstr("never"));
  }
}
TEST_F(StandingRulesTest, HoursOfTheRun) {
  now_ = kNine + 9 * 3600;
  EXPECT_FALSE(judge());
  now_ = kNine + 5 * 86400;  // Saturday
  EXPECT_FALSE(judge());
}
TEST_F(StandingRulesTest, Until) {
  text_.replace(text_.find("2026-12-31"), 10, "2026-01-05");
  EXPECT_FALSE(judge());
  text_.replace(text_.find("2026-01-05"), 10, "2026-01-06");
  EXPECT_TRUE(judge());
}

// Each mistake is refused where it stands.
TEST_F(StandingRulesTest, MistakesAreNamedWithLineAndColumn) {
  const auto place = [](std::string text, const std::string& what, const std::string& with) {
    text.replace(text.find(what), what.size(), with);
    try {
      (void)StandingRules::parse(text, "rules.toml", kNine);
      return std::string("accepted: ") + with;
    } catch (const InputError& error) {
      return error.place();
    }
  };
  EXPECT_EQ(place(kRule, "sha256:a", "sha256:A"), "rules.toml:2:10");
  EXPECT_EQ(place(kRule, "recipe = \"sha256:", "recipe = \"any"), "rules.toml:2:10");
  EXPECT_EQ(place(kRule, "[\"bank-y\"]", "[]"), "rules.toml:3:8");
  EXPECT_EQ(place(kRule, "[\"eu-1\"]", "[]"), "rules.toml:4:19");
  EXPECT_EQ(place(kRule, "[\"title\"]", "[\"size\"]"), "rules.toml:5:8");
  EXPECT_EQ(place(kRule, "Mon-Fri", "Fri-Mon"), "rules.toml:7:9");
  EXPECT_EQ(place(kRule, "per_day = 2", "per_day = 0"), "rules.toml:8:11");
  EXPECT_EQ(place(kRule, "2026-12-31", "2027-12-31"), "rules.toml:9:9");
  EXPECT_EQ(place(kRule, "2026-12-31", "\"2026-12-31\""), "rules.toml:9:9");
  EXPECT_EQ(place(kRule, "until = 2026-12-31", "deny = [\"x\"]\nuntil = 2026-12-31"),
            "rules.toml:9:8");
  EXPECT_EQ(place(kRule, "until = 2026-12-31", ""), "rules.toml:1:1");
  EXPECT_EQ(place(kRule, "[[approve]]", "x = 1\n[[approve]]"), "rules.toml:1:5");
  EXPECT_THAT(place(kRule, "[[approve]]", "[[aprove]]"), HasSubstr("rules.toml:1"));
  EXPECT_THROW(StandingRules::parse(kRule + kRule + "name = \"rule 1\"\n", "rules.toml", kNine),
               InputError);
}

}  // namespace
}  // namespace flexroom::inbox
