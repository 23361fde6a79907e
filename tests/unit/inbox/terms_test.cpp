#include "inbox/terms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace flexroom::inbox {
namespace {

using agreement::Proposal;
using ::testing::HasSubstr;

Terms full() {
  Terms t;
  t.proposer = {1};
  t.definition[3] = 4;
  t.arguments = {{"region", "eu-1"}, {"size", ""}};
  t.secrets = {{"acme/key", {5}, 3, false, false, Digest{1}},
               {"acme/session", {6}, 1, true, true, Digest{2}}};
  t.inputs = {{{1}, "data", "", "https://a.example/*?X-Date=*", {"X-Date"}},
              {{2}, "pin", "DIGITS", "", {}}};
  t.couriers = {{2}, {1}};
  t.window = {1'767'571'200, 1'770'000'000};
  t.repetition = {4, WeeklyHours::parse("Mon 08:00-10:00 +01:00", "x")};
  t.again = true;
  return t;
}

Proposal proposal_of(const Terms& terms) {
  Proposal p;
  p.kind = "call";
  p.title = "t";
  terms.add_to(p);
  p.section("what runs").text("action", "Describe");
  return p;
}

TEST(TermsTest, AreReadFromTheFieldsOfTheProposal) {
  const Proposal p = Proposal::decode(proposal_of(full()).canonical(), "x");
  EXPECT_EQ(Terms::read(p, "x"), full());
  Terms small;
  small.window = {5, 5};
  EXPECT_EQ(Terms::read(proposal_of(small), "x"), small);
}

// One way to write each: a field left out, doubled, moved, or of another form is no proposal that
// waits, and never one with other terms under the same look (M27).
TEST(TermsTest, NothingElseIsRead) {
  const Proposal good = proposal_of(full());
  const size_t own = good.fields.size() - 2;
  for (size_t i = 0; i < own; ++i) {
    Proposal missing = good;
    missing.fields.erase(missing.fields.begin() + static_cast<ptrdiff_t>(i));
    Proposal twice = good;
    twice.fields.insert(twice.fields.begin() + static_cast<ptrdiff_t>(i), good.fields[i]);
    Proposal other = good;
    other.fields[i].form = Proposal::Form::kBlock;
    Proposal hidden = good;
    hidden.fields[i].secret = true;
    for (const Proposal& p : {missing, twice, other, hidden}) {
      try {
        // Lists may be shorter or longer, never the same.
        EXPECT_NE(Terms::read(p, "x"), full()) << i;
      } catch (const InputError&) {
        // refused
      }
    }
  }
  // Behind them nothing may look like them.
  for (const char* name : {"what waits", "once in each", "not after", "argument size"}) {
    Proposal second = good;
    second.text(name, "x");
    EXPECT_THROW(Terms::read(second, "x"), InputError) << name;
  }
}

TEST(TermsTest, LimitsAreThoseOfWriterAndReader) {
  const auto refused = [](const std::function<void(Terms&)>& change) {
    Terms t = full();
    change(t);
    Proposal p;
    EXPECT_THROW(t.add_to(p), InputError);
  };
  refused([](Terms& t) { t.window.last = t.window.first - 1; });
  refused([](Terms& t) { t.window.last = t.window.first + Terms::kMaxWindow + 1; });
  refused([](Terms& t) { t.repetition.times = 0; });
  refused([](Terms& t) { t.repetition.times = 1001; });
  refused([](Terms& t) { t.repetition.every->last_day = 3; });
  refused([](Terms& t) { t.secrets[1].name = t.secrets[0].name; });
  refused([](Terms& t) { t.secrets[1].record = t.secrets[0].record; });
  refused([](Terms& t) { t.inputs.push_back(t.inputs[0]); });
  refused([](Terms& t) { t.inputs[1].value_class = ""; });
  refused([](Terms& t) { t.inputs[1].renewable = {"X-Date"}; });
  refused([](Terms& t) { t.couriers.push_back(t.couriers[0]); });
  refused([](Terms& t) { t.arguments["two words"] = "x"; });
  refused([](Terms& t) { t.secrets[0].version = 0xffffffff; });
}

TEST(TermsTest, VersionsAreBoundAsTheyAreNamed) {
  const Digest before = full().versions();
  Terms other = full();
  other.secrets[0].version = 4;
  EXPECT_NE(other.versions(), before);
  other = full();
  other.secrets[0].provenance[0] ^= 1;
  EXPECT_NE(other.versions(), before);
  // `newest`: the number is not in it.
  other = full();
  other.secrets[1].version = 9;
  EXPECT_EQ(other.versions(), before);
}

TEST(FitsPattern, StarsArePrintableCharacters) {
  EXPECT_TRUE(fits_pattern("https://*.example/*", "https://a.b.example/x?y"));
  EXPECT_TRUE(fits_pattern("*", ""));
  EXPECT_TRUE(fits_pattern("a*b*c", "aXbYbc"));
  EXPECT_FALSE(fits_pattern("a*b", "a b"));
  EXPECT_FALSE(fits_pattern("https://*.example/*", "https://evil.com/x"));
  EXPECT_FALSE(fits_pattern("", "x"));
}

// M35: a link that is given anew for a run.
TEST(CheckRenewed, OnlyWhatIsRenewableAndOnlyItsValue) {
  const std::string before = "https://a.example/p/q?part=1&X-Date=20260105&X-Sig=abcd";
  const std::vector<std::string> renewable = {"X-Date", "X-Sig"};
  const auto problem = [&](const std::string& now) -> std::string {
    try {
      check_renewed(before, now, renewable, "link");
      return "";
    } catch (const InputError& error) {
      return error.problem();
    }
  };
  EXPECT_EQ(problem("https://a.example/p/q?part=1&X-Date=20260112&X-Sig=dcba"), "");
  EXPECT_THAT(problem("https://b.example/p/q?part=1&X-Date=20260112&X-Sig=dcba"),
              HasSubstr("host"));
  EXPECT_THAT(problem("https://a.example:8443/p/q?part=1&X-Date=20260112&X-Sig=dcba"),
              HasSubstr("host"));
  EXPECT_THAT(problem("https://a.example/p/r?part=1&X-Date=20260112&X-Sig=dcba"),
              HasSubstr("path"));
  EXPECT_THAT(problem("https://a.example/p/q?part=2&X-Date=20260112&X-Sig=dcba"),
              HasSubstr("parameter part"));
  EXPECT_THAT(problem("https://a.example/p/q?part=1&X-Date=2026011&X-Sig=dcba"),
              HasSubstr("length"));
  EXPECT_THAT(problem("https://a.example/p/q?part=1&X-Sig=dcba&X-Date=20260112"),
              HasSubstr("query"));
  EXPECT_THAT(problem("https://a.example/p/q?part=1&X-Date=20260112&X-Sig=dcba&x=1"),
              HasSubstr("query"));
}

}  // namespace
}  // namespace flexroom::inbox
