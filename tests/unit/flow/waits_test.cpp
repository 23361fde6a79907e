#include "run_fixture.h"

// What all members wait for, each is told before it waits.

namespace flexroom::flow {
namespace {

class FlowWaits : public ::testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Members, FlowWaits, ::testing::Values(2, 3));

TEST_P(FlowWaits, EveryMemberIsToldWhatIsWaitedFor) {
  History h(GetParam());
  h.toy.fates = {{1, "429"}, {3, "noans"}};
  h.toy.own_clocks = true;
  const Flow flow = parse_flow(R"([flow]
name = "poll"
provider = "sandbox"
prefix = "poll"
hosts = ["shop.flexroom.example"]
[[step]]
name = "FindCase"
request = """
GET /cases HTTP/1.1
Host: shop.flexroom.example
"""
item = '/cases/[subject="quota"]'
pick = "first"
on.none = "again x2"
on.exhausted = "next"
)",
                               shipped("poll"), sandbox_room());
  (void)h.session(flow);
  for (PartyId i = 0; i < h.n(); ++i) {
    std::vector<std::string> said;
    for (const Waiting& one : h.waits[i]) {
      EXPECT_EQ(one.step, "FindCase");
      EXPECT_GT(one.seconds, 0);
      said.push_back(one.what);
    }
    EXPECT_THAT(said,
                ::testing::ElementsAre("429, then FindCase", "none, then FindCase",
                                       "its outcome is unknown, until it can no longer arrive",
                                       "unknown, then FindCase", "none, then FindCase"))
        << i;
  }
}

TEST_P(FlowWaits, TheOthersAreToldWhosePersonIsAsked) {
  History h(GetParam());
  ASSERT_TRUE(h.finish(load_shipped("create-account"), 1)) << h.last[0];
  const auto asked = [&](PartyId i) {
    size_t out = 0;
    for (const Waiting& one : h.waits[i]) out += one.what == "m0 asks its person" ? 1 : 0;
    return out;
  };
  EXPECT_EQ(asked(0), 0u);
  for (PartyId i = 1; i < h.n(); ++i) EXPECT_GE(asked(i), 1u) << i;
}

const char* const kAsk = R"([flow]
name = "ask"
provider = "sandbox"
prefix = "ask"
hosts = ["shop.flexroom.example"]
[[step]]
name = "AskCode"
ask = "m0"
open."run/code" = { class = "digits", max = 16 }
within_seconds = 30
)";

// Whatever once.db knew: nothing was released for a person to answer.
TEST_P(FlowWaits, ALostLedgerLeavesNoDoubtWhereAPersonIsAsked) {
  History h(GetParam());
  h.toy.people = {{1, "late"}, {2, "late"}};
  const Flow flow = parse_flow(kAsk, shipped("ask"), sandbox_room());
  (void)h.session(flow);
  h.lose_once(1);
  const auto ended = h.session(flow);
  EXPECT_FALSE(History::done(ended));
  EXPECT_EQ(h.toy.questions, 2u);
  for (PartyId i = 0; i < h.n(); ++i) EXPECT_EQ(h.doubts[i], "") << i;
}

// Others wait as long as the step allows, whatever they wait for each other otherwise.
TEST_P(FlowWaits, APersonHasTheTimeOfTheStep) {
  History h(GetParam());
  h.patience = std::chrono::seconds(10);  // enough for what else is waited for, under any load
  h.toy.thinks = [] { std::this_thread::sleep_for(std::chrono::seconds(12)); };
  const Flow flow = parse_flow(kAsk, shipped("ask"), sandbox_room());
  EXPECT_TRUE(History::done(h.session(flow))) << h.session(flow)[1];
}

}  // namespace
}  // namespace flexroom::flow
