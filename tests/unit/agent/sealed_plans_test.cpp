#include <gtest/gtest.h>

#include <functional>

#include "support/sealed_rig.h"

// Plans of sealed answers (tls-in-mpc.md §5.4 to §5.7): what does not go together is refused before
// anything is prepared, and every field is in the digest that members compare.

namespace flexroom {
namespace {

using agent::SealedItem;
using agent::SealedPlan;
using support::json_path;
using support::json_plan;
using support::keep_cookie;

/// Whether the plan of a JSON answer, changed so, is refused.
bool refused(const std::function<void(SealedPlan&)>& change) {
  SealedPlan plan = json_plan();
  change(plan);
  try {
    plan.require_valid(2);
    return false;
  } catch (const InputError&) {
    return true;
  }
}

TEST(SealedPlans, WhatDoesNotGoTogetherIsRefused) {
  EXPECT_FALSE(refused([](SealedPlan&) {}));
  EXPECT_TRUE(refused([](SealedPlan& p) { p.statuses = {408}; }));
  EXPECT_TRUE(refused([](SealedPlan& p) { p.statuses = {500}; }));
  EXPECT_TRUE(refused([](SealedPlan& p) { p.max_chunks = 17; }));
  EXPECT_TRUE(refused([](SealedPlan& p) { p.spare_blocks = 129; }));
  EXPECT_TRUE(refused([](SealedPlan& p) { p.key_updates = p.records; }));
  EXPECT_TRUE(refused([](SealedPlan& p) { p.items[0].at = agent::SealedXml{{"A"}}; }));
  EXPECT_TRUE(refused([](SealedPlan& p) { p.items[2].to = 2; }));
  EXPECT_TRUE(refused([](SealedPlan& p) { p.items[0].to = 0; }));
  EXPECT_TRUE(refused([](SealedPlan& p) { p.items[0].char_class = {}; }));
  EXPECT_TRUE(refused([](SealedPlan& p) { p.items[3].equals = ""; }));
  EXPECT_TRUE(refused([](SealedPlan& p) { p.items[4].behind = "x"; }));
  EXPECT_TRUE(refused([](SealedPlan& p) { p.codes->one_of = {"other"}; }));
  EXPECT_TRUE(refused(
      [](SealedPlan& p) { std::get<agent::SealedHeader>(p.items[4].at).name = "Set-Cookie"; }));
  EXPECT_TRUE(refused([](SealedPlan& p) {
    p.items[3].at = json_path({std::string("kind")}, true);
    p.items[3].equals = "null";
  }));
  EXPECT_TRUE(refused([](SealedPlan& p) {
    p.items.push_back(keep_cookie());
    std::get<agent::SealedCookie>(p.items.back().at).query.domain = "other.example";
  }));
  EXPECT_TRUE(refused([](SealedPlan& p) { p.codes->one_of = {"1a"}; }));
  EXPECT_TRUE(refused([](SealedPlan& p) {
    p.items.push_back(keep_cookie());
    p.items.back().fate = SealedItem::Fate::kOpen;
  }));
}

// Nothing is asked about a name of no bytes (a service may send one, and stop all members).
TEST(SealedPlans, ANameOfNoBytesIsRefused) {
  EXPECT_TRUE(refused([](SealedPlan& p) { p.items[0].at = json_path({std::string()}); }));
  EXPECT_TRUE(refused([](SealedPlan& p) { p.codes->at = json_path({std::string()}); }));
  EXPECT_TRUE(refused([](SealedPlan& p) {
    http::JsonItem element;
    element.filters = {{{"from", ""}, "x"}};
    p.items[0].at = json_path({std::string("m"), element, std::string("id")});
  }));
  EXPECT_TRUE(
      refused([](SealedPlan& p) { std::get<agent::SealedHeader>(p.items[4].at).name = ""; }));
  EXPECT_TRUE(refused([](SealedPlan& p) {
    p.items.push_back(keep_cookie());
    std::get<agent::SealedCookie>(p.items.back().at).query.name = "";
  }));
  for (const std::vector<std::string>& path :
       {std::vector<std::string>(), std::vector<std::string>{"A", ""}}) {
    EXPECT_TRUE(refused([&](SealedPlan& p) {
      p.codes.reset();
      p.items.resize(1);
      p.items[0].at = agent::SealedXml{path};
    }));
  }
}

// The run behind a literal ends at the end of the text: '"' of JSON, '<' of XML.
TEST(SealedPlans, ARunThatHoldsTheEndOfItsTextIsRefused) {
  const auto searched = [&](agent::SealedPlace at, const http::CharSet& run) {
    return refused([&](SealedPlan& p) {
      p.codes.reset();
      p.items.resize(1);
      p.items[0].at = at;
      p.items[0].behind = "is ";
      p.items[0].char_class = run;
    });
  };
  const agent::SealedPlace json = json_path({std::string("a")}), xml = agent::SealedXml{{"A"}};
  const http::CharSet cookie = http::char_set(http::CharClass::kCookie);
  EXPECT_TRUE(searched(xml, cookie));
  EXPECT_FALSE(searched(json, cookie));
  EXPECT_TRUE(searched(json, http::char_set(http::CharClass::kXmlText)));
  EXPECT_TRUE(searched(json, http::char_set(http::CharClass::kRaw)));
  EXPECT_TRUE(searched(json, http::CharSet::of(std::string_view("a\0", 2))));
  EXPECT_FALSE(searched(xml, http::char_set(http::CharClass::kDigits)));
  // Nor does a run hold what begins an escape, or what only an escape spells.
  EXPECT_TRUE(searched(json, http::CharSet::of("a\\")));
  EXPECT_TRUE(searched(json, http::CharSet::of("a\n")));
}

// What is looked for in JSON is whole characters (§5.5); in XML it is bytes.
TEST(SealedPlans, ALiteralOfAPartOfACharacterIsRefused) {
  const auto after = [&](agent::SealedPlace at, const std::string& literal,
                         SealedItem::Fate fate = SealedItem::Fate::kKeep) {
    return refused([&](SealedPlan& p) {
      p.codes.reset();
      p.items.resize(1);
      p.items[0].at = at;
      p.items[0].fate = fate;
      p.items[0].behind = literal;
    });
  };
  const agent::SealedPlace json = json_path({std::string("a")}), xml = agent::SealedXml{{"A"}};
  EXPECT_FALSE(after(json, "is \\\""));
  for (const std::string bad : {"is \\", "is \"", "\\u0041", "is\n", "a/b\\/"}) {
    EXPECT_TRUE(after(json, bad)) << bad;
    EXPECT_TRUE(after(json, bad, SealedItem::Fate::kAbsent)) << bad;
    EXPECT_FALSE(after(xml, bad)) << bad;
  }
}

TEST(SealedPlans, EveryFieldIsInTheDigest) {
  const Digest same = json_plan().digest();
  const std::vector<std::function<void(SealedPlan&)>> changes = {
      [](SealedPlan& p) { p.statuses = {201}; },
      [](SealedPlan& p) { p.content_type = "text/json"; },
      [](SealedPlan& p) { ++p.header_max; },
      [](SealedPlan& p) { ++p.body_max; },
      [](SealedPlan& p) { ++p.max_chunks; },
      [](SealedPlan& p) { ++p.records; },
      [](SealedPlan& p) { ++p.record_bytes; },
      [](SealedPlan& p) { ++p.tests_max; },
      [](SealedPlan& p) { ++p.spare_blocks; },
      [](SealedPlan& p) { ++p.key_updates; },
      [](SealedPlan& p) { p.items.pop_back(); },
      [](SealedPlan& p) { p.codes.reset(); },
      [](SealedPlan& p) { p.codes->one_of.pop_back(); },
      [](SealedPlan& p) { p.items[0].at = json_path({std::string("key")}); },
      [](SealedPlan& p) { std::get<agent::SealedJson>(p.items[1].at).number = false; },
      [](SealedPlan& p) { std::get<agent::SealedHeader>(p.items[4].at).after = ""; },
      [](SealedPlan& p) { p.items[0].fate = SealedItem::Fate::kOpen; },
      [](SealedPlan& p) { p.items[2].to = 0; },
      [](SealedPlan& p) { p.items[3].equals = "x"; },
      [](SealedPlan& p) { p.items[0].behind = "x"; },
      [](SealedPlan& p) { ++p.items[0].max_bytes; },
      [](SealedPlan& p) { ++p.items[0].min_bytes; },
      [](SealedPlan& p) { p.items[0].char_class = http::char_set(http::CharClass::kHex); },
  };
  for (size_t k = 0; k < changes.size(); ++k) {
    SealedPlan plan = json_plan();
    changes[k](plan);
    EXPECT_NE(plan.digest(), same) << k;
  }
}

}  // namespace
}  // namespace flexroom
