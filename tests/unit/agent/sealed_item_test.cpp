#include "base/error.h"
#include "support/sealed_rig.h"

// An `item` of a sealed answer of which nothing is taken: it only has to be there (operations.md
// (a)).

namespace flexroom {
namespace {

using agent::SealedItem;
using agent::SealedPlan;
using support::answer_with;
using support::ConnectionRig;
using support::expect_failure;
using support::rig;
using support::small_plan;
using Report = ConnectionRig::Report;

SealedPlan key_plan() {
  SealedPlan plan = small_plan();
  http::JsonItem ours;
  ours.filters = {{{"id"}, "AKIAOURS"}};
  SealedItem item;
  item.at = agent::SealedJson{{std::string("keys"), ours}, false};
  item.fate = SealedItem::Fate::kTest;  // without a text
  plan.items.push_back(item);
  return plan;
}

class SealedItemTest : public ::testing::TestWithParam<size_t> {
 protected:
  Report list(const std::string& keys) {
    const std::string body = "{\"keys\":[" + keys + "]}";
    return answer_with(rig(GetParam(), "keys", key_plan),
                       "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
                           std::to_string(body.size()) + "\r\n\r\n" + body);
  }
};
INSTANTIATE_TEST_SUITE_P(Members, SealedItemTest, ::testing::Values(2, 3));

TEST_P(SealedItemTest, AnElementIsThereOrNoneOrNamedWrong) {
  const std::string ours = R"({"id":"AKIAOURS","on":true})", other = R"({"id":"AKIAELSE"})";
  for (const std::string& keys : {ours, other + "," + ours}) {
    const Report there = list(keys);
    ASSERT_TRUE(there.ended);
    for (const auto& member : there.members) {
      EXPECT_FALSE(member.none);
      EXPECT_EQ(member.failure, "");
      ASSERT_EQ(member.values.size(), 1u);
      EXPECT_EQ(member.values[0].state, static_cast<uint8_t>(agent::SealedValue::State::kTested));
      EXPECT_EQ(member.values[0].text, "");
    }
  }
  for (const std::string& keys : {std::string(), other}) {
    const Report none = list(keys);
    ASSERT_TRUE(none.ended);
    for (const auto& member : none.members) {
      EXPECT_TRUE(member.none);
      EXPECT_EQ(member.failure, "");
      EXPECT_EQ(member.values[0].state, 0);
    }
  }
  expect_failure(list(ours + "," + ours), "twice");
  expect_failure(list(R"({"\u0069d":"AKIAOURS"})"), "escaped key");
}

TEST(SealedItemPlan, OnlyAnElementHasToBeThere) {
  const auto refused = [](const std::function<void(SealedItem&)>& edit) {
    SealedPlan plan = key_plan();
    edit(plan.items[0]);
    try {
      plan.require_valid(2);
    } catch (const InputError&) {
      return true;
    }
    return false;
  };
  EXPECT_FALSE(refused([](SealedItem&) {}));
  EXPECT_TRUE(refused([](SealedItem& item) { item.behind = "x"; }));
  EXPECT_TRUE(refused([](SealedItem& item) { item.at = agent::SealedXml{{"A"}}; }));
  EXPECT_TRUE(refused([](SealedItem& item) {
    item.at = agent::SealedJson{{std::string("a")}, false};
  }));
  EXPECT_TRUE(refused([](SealedItem& item) { item.at = agent::SealedJson{}; }));
  EXPECT_TRUE(
      refused([](SealedItem& item) { std::get<agent::SealedJson>(item.at).number = true; }));
}

}  // namespace
}  // namespace flexroom
