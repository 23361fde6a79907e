#include <fmt/core.h>

#include <algorithm>
#include <mutex>
#include <set>

#include "flow/rules.h"
#include "hostile_rig.h"
#include "run_fixture.h"

// As hostile_test.cpp: outcomes that nobody knows, --continue and --abandon.

namespace flexroom::flow {
namespace {

// ------------------------------------------------------------------ outcomes that nobody knows

TEST(FlowHostile, AStopBehindAnUnknownOutcomeLeavesItUnknown) {
  History h(2);
  h.toy.fates = {{2, "noreq"}, {4, "noreq"}, {6, "late"}};
  EXPECT_TRUE(says(h.session(desk()), 1, "running it again follows the rule"));
  EXPECT_EQ(h.toy.releases, 6u);
  // The line of the log commits nothing, and clears no doubt.
  EXPECT_FALSE(h.log.back().committed);
  EXPECT_EQ(h.doubts[1], "CreateCase");
  ASSERT_TRUE(h.finish(desk())) << h.last[0];
  EXPECT_EQ(h.toy.world.cases, 1u);
}

TEST(FlowHostile, AWrittenStopSaysThatItSendsAgain) {
  History h(2);
  h.toy.fates = {{2, "late"}};
  const Flow flow = desk({{"on.unknown = \"back FindCase\"", "on.unknown = \"stop\""}});
  EXPECT_TRUE(says(h.session(flow), 1, "the outcome is unknown; running it again sends it again"));
  EXPECT_EQ(h.doubts[1], "CreateCase");
}

TEST(FlowHostile, WhyThereIsNoAnswerIsLogged) {
  History h(2);
  h.toy.fates = {{2, "noans"}, {3, "408"}};
  ASSERT_TRUE(h.finish(desk(), 1)) << h.last[0];
  std::vector<std::string> told;
  for (const LogLine& line : h.log) {
    if (!line.committed) told.push_back(line.step + ": " + line.event);
  }
  EXPECT_EQ(told, (std::vector<std::string>{"CreateCase: no answer: the courier has none",
                                            "FindCase: 408, which is none"}));
}

TEST(FlowHostile, ADoubtOfASessionBeforeIsOneOfThisSession) {
  History h(2);
  stop_at(h, "CreateCase");
  (void)h.session(desk());
  EXPECT_EQ(h.doubts[1], "CreateCase");
  h.toy.at_step = nullptr;
  // Ended before it came to release anything: what was released before may have been carried out.
  const auto late = lie("flow/time", [](Bytes& p) { p[0] = 0x80; });
  EXPECT_TRUE(says(h.session(desk(), Op::kRun, std::nullopt, late), 1, "the clock of m0 differs"));
  EXPECT_EQ(h.doubts[1], "CreateCase");
  EXPECT_FALSE(h.released[1]);
  EXPECT_EQ(h.outlooks[1].unknown,
            (std::map<std::string, std::set<std::string>>{{"CreateCase", {"m0", "m1"}}}));
  // The rule finds it out.
  ASSERT_TRUE(h.finish(desk(), 1)) << h.last[0];
  EXPECT_EQ(h.doubts[1], "");
}

TEST(FlowHostile, AStepThatFailsBehindCommittedOnesIsNotNothing) {
  History h(2);
  // The clock of the birth of the run, of FindCase and of CreateCase.
  const auto late = lie(
      "flow/time", [](Bytes& p) { p[0] = 0x80; }, 2);
  EXPECT_TRUE(says(h.session(desk(), Op::kRun, std::nullopt, late), 1, "the clock of m0 differs"));
  EXPECT_EQ(h.toy.releases, 1u);
  EXPECT_TRUE(h.released[1]);
  EXPECT_EQ(h.doubts[1], "");
}

TEST(FlowHostile, TheSixthServerErrorIsUndecidedTheSixthThrottlingIsNot) {
  const Flow flow = desk({{"\"back FindCase\"", "\"back FindCase x20\""}});
  Fired errors, throttled;
  for (int k = 0; k < 5; ++k) {
    EXPECT_FALSE(decide(flow, *flow.step("CreateCase"), "503", errors).undecided);
    EXPECT_FALSE(decide(flow, *flow.step("CreateCase"), "429", throttled).undecided);
  }
  EXPECT_TRUE(decide(flow, *flow.step("CreateCase"), "503", errors).undecided);
  EXPECT_FALSE(decide(flow, *flow.step("CreateCase"), "429", throttled).undecided);
}

// ------------------------------------------------------------------ --continue

TEST(FlowHostile, AStepThatIsArmedKeepsItsNameAndWhatItLeaves) {
  History h(2);
  stop_at(h, "CreateCase");
  (void)h.session(desk());
  h.toy.at_step = nullptr;
  const Flow renamed = desk({{"\"CreateCase\"", "\"CreateCase2\""}});
  EXPECT_TRUE(says(h.session(renamed, Op::kGoOn), 1, "CreateCase was armed at m0"));
  const Flow lighter = desk({{"leaves = \"a case\"\n", ""}});
  EXPECT_TRUE(says(h.session(lighter, Op::kGoOn), 1, "CreateCase was armed at m0"));
  const Flow other = desk({{"max = 64 }\non.ok", "max = 63 }\non.ok"}});
  ASSERT_TRUE(History::done(h.session(other, Op::kGoOn)));
  ASSERT_TRUE(h.finish(other)) << h.last[0];
}

TEST(FlowHostile, AnEditedFileShortensNoWait) {
  History h(2);
  const std::string host = "hosts = [\"shop.flexroom.example\"]\n";
  const Flow longer = desk({{host, host + "settle_seconds = 2000\n"}});
  stop_at(h, "CreateCase");
  (void)h.session(longer);
  h.toy.at_step = nullptr;
  const int64_t before = h.toy.world.now;
  ASSERT_TRUE(History::done(h.session(desk(), Op::kGoOn)));
  ASSERT_TRUE(h.finish(desk())) << h.last[0];
  EXPECT_GE(h.toy.world.now, before + 1990);
}

TEST(FlowHostile, AnUnprovedKeyThatIsLostLeavesTheCurrentOne) {
  History h(2);
  ASSERT_TRUE(h.finish(file("create-account"), 1)) << h.last[0];
  ASSERT_TRUE(h.finish(file("create-session"), 1)) << h.last[0];
  const std::string secret = h.current("account", "keys/secret");
  stop_at(h, "CreateAWSCredentials");
  (void)h.session(file("create-session"));
  h.save(1, "before");
  stop_at(h, "GetCallerIdentity");
  (void)h.session(file("create-session"));
  h.restore(1, "before");
  h.toy.at_step = nullptr;
  ASSERT_TRUE(History::done(h.session(file("create-session"), Op::kGoOn)));
  EXPECT_EQ(h.current("account", "keys/secret"), secret);
  ASSERT_TRUE(h.finish(file("create-session"))) << h.last[0];
  EXPECT_NE(h.current("account", "keys/secret"), secret);
  EXPECT_EQ(h.toy.world.keys.size(), 1u);
}

// Made twice in a run, and one member is back at the first: it is made once more, whatever older
// key the room has, and nobody proves that one in its place.
TEST(FlowHostile, AKeyMadeTwiceOfWhichOneMemberHasTheFirstIsMadeOnceMore) {
  History h(2);
  ASSERT_TRUE(h.finish(file("create-account"), 1)) << h.last[0];
  ASSERT_TRUE(h.finish(file("create-session"), 1)) << h.last[0];
  const std::string secret = h.current("account", "keys/secret");
  h.toy.world.max_keys = 4;
  const Flow flow = edited(
      "create-session", {{"on.exhausted = \"back CreateAWSCredentials x1\"\non.unknown = \"again\"",
                          "on.exhausted = \"back CreateAWSCredentials x1\"\n"
                          "on.unknown = \"back CreateAWSCredentials x1\""}});
  stop_at(h, "GetCallerIdentity");
  (void)h.session(flow);
  h.save(1, "first");
  h.toy.fates[h.toy.releases + 1] = "noans";
  std::mutex mutex;
  std::set<std::string> made;
  h.toy.at_step = [&](const std::string& name) {
    const std::lock_guard lock(mutex);
    if (name == "GetCallerIdentity" && made.contains("CreateAWSCredentials")) {
      throw ProtocolAbort(AbortCode::kCancelled, name, "stopped");
    }
    made.insert(name);
  };
  (void)h.session(flow);
  ASSERT_TRUE(made.contains("CreateAWSCredentials"));
  h.restore(1, "first");
  h.toy.at_step = nullptr;
  ASSERT_TRUE(History::done(h.session(flow, Op::kGoOn))) << h.last[0];
  std::vector<std::string> order;
  h.toy.at_step = [&](const std::string& name) {
    const std::lock_guard lock(mutex);
    order.push_back(name);
  };
  ASSERT_TRUE(h.finish(flow)) << h.last[0];
  const auto made_again = std::find(order.begin(), order.end(), "CreateAWSCredentials");
  ASSERT_NE(made_again, order.end());
  EXPECT_EQ(std::find(order.begin(), made_again, "GetCallerIdentity"), made_again);
  EXPECT_NE(h.current("account", "keys/secret"), secret);
}

// ------------------------------------------------------------------ what --abandon erases

constexpr std::pair<const char*, const char*> kOpensCase = {"open.\"run/case\"", "open.\"case\""};

/// One run that is done, a name of which member 1 lost, and one that is open and armed.
void lose_case(History& h, const Flow& flow) {
  ASSERT_TRUE(h.finish(flow, 1)) << h.last[0];
  stop_at(h, "FindCase");
  (void)h.session(flow);
  h.toy.at_step = nullptr;
  h.look(1, [](RunStore& store) {
    store.erase_room_value("desk", "case");
    return 0;
  });
}

bool has_case(History& h, PartyId member) {
  return h.look(member, [](RunStore& s) { return s.room_value("desk", "case").has_value(); });
}

TEST(FlowHostile, AnAbandonThatIsKilledAnywhereLeavesNoNameAtOneMember) {
  const Flow flow = desk({kOpensCase, kOpensCase});
  // Its durable steps: the name, the run, the close.
  for (size_t at = 1; at <= 3; ++at) {
    SCOPED_TRACE(at);
    History h(2);
    lose_case(h, flow);
    (void)h.session(flow, Op::kAbandon, Kill{0, at});
    // Told before anything is erased.
    EXPECT_EQ(h.endings[0].erased, std::vector<std::string>{"case"});
    EXPECT_EQ(h.endings[0].runs, h.endings[1].runs);
    // Its name alone is erased: it is found by its run.
    EXPECT_EQ(open_run(h, 0, "desk").empty(), at > 1);
    ASSERT_TRUE(History::done(h.session(flow, Op::kAbandon)));
    EXPECT_FALSE(has_case(h, 0));
    EXPECT_EQ(open_run(h, 0, "desk"), "");
    ASSERT_TRUE(h.finish(flow, 1)) << h.last[0];
  }
}

TEST(FlowHostile, WhatIsErasedBecauseOneMemberSaysSoIsShownBefore) {
  const Flow flow = desk({kOpensCase, kOpensCase});
  History h(2);
  ASSERT_TRUE(h.finish(flow, 1)) << h.last[0];
  stop_at(h, "FindCase");
  (void)h.session(flow);
  h.toy.at_step = nullptr;
  // It says that it has no value of the room: the list is the last of the statement.
  const auto none = lie("flow/abandoned", [](Bytes& p) {
    p.resize(p.size() - (4 + 4 + 4 + 4 + 32 + 1));
    append(p, Writer().u32(0).bytes());
  });
  ASSERT_TRUE(History::done(h.session(flow, Op::kAbandon, std::nullopt, none)));
  EXPECT_EQ(h.endings[1].erased, std::vector<std::string>{"case"});
}

TEST(FlowHostile, AbandonIsOfOneFile) {
  History h(2);
  stop_at(h, "CreateCase");
  (void)h.session(desk());
  h.toy.at_step = nullptr;
  const auto ended = h.session(desk(), Op::kAbandon, std::nullopt,
                               lie("flow/abandon", [](Bytes& p) { p[0] ^= 1; }));
  EXPECT_TRUE(says(ended, 1, "m0 has another prefix, flow or file"));
  EXPECT_FALSE(open_run(h, 1, "desk").empty());
}

TEST(FlowHostile, WhatAContinueErasesIsShownAndLogged) {
  const Flow flow = desk({kOpensCase, kOpensCase});
  History h(2);
  lose_case(h, flow);
  ASSERT_TRUE(History::done(h.session(flow, Op::kGoOn)));
  EXPECT_EQ(h.going_on[1].voided, std::vector<std::string>{"case"});
  EXPECT_EQ(h.going_on[1].step, "FindCase");
  EXPECT_EQ(h.log.back().voided, std::vector<std::string>{"case"});
  ASSERT_TRUE(h.finish(flow)) << h.last[0];
}

TEST(FlowHostile, AnAbandonThatIsCutIsFoundAgain) {
  History h(2);
  ASSERT_TRUE(h.finish(file("create-account"), 1)) << h.last[0];
  stop_at(h, "ConsoleSignin");
  (void)h.session(file("create-session"));
  h.toy.at_step = nullptr;
  const RunId id = open_run(h, 0, "create-session");
  (void)h.session(file("create-session"), Op::kAbandon, Kill{0, 1});
  EXPECT_TRUE(h.look(0, [&](RunStore& store) { return store.run_values(id).empty(); }));
  (void)h.session(file("create-session"), Op::kAbandon);
  ASSERT_TRUE(h.finish(file("create-session"))) << h.last[0];
}

}  // namespace
}  // namespace flexroom::flow
