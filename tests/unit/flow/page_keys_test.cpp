#include <gmock/gmock.h>

#include <algorithm>
#include <mutex>

#include "flow/page_keys.h"
#include "run_fixture.h"

// operations.md (e): nothing is encrypted under a page's key that earlier runs did not have before
// the members saw both and approved the run with it.

namespace flexroom::flow {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const std::string kPageHost = "signin.flexroom.example";

TEST(FlowPageKeys, AnotherOneIsUsedOnlyAfterItWasShown) {
  const Flow account = load_shipped("create-account"), session = load_shipped("create-session");
  History h(2);
  ASSERT_TRUE(h.finish(account, 1)) << h.last[0];
  ASSERT_TRUE(h.finish(session, 1)) << h.last[0];
  EXPECT_THAT(h.outlooks[0].page_keys, IsEmpty()) << "of the first run there is none before";
  const std::string first = page_key_digest("N-signin", "AQAB"),
                    second = page_key_digest("N-signin-other", "AQAB");
  EXPECT_EQ(h.current("account", page_key_name(kPageHost)), first);

  h.toy.world.page_keys = "-other";
  std::vector<std::string> steps;
  std::mutex mutex;  // each member says it, on its thread
  h.toy.at_step = [&](const std::string& step) {
    const std::lock_guard lock(mutex);
    steps.push_back(step);
  };
  const std::vector<std::string> stopped = h.session(session);
  for (const std::string& one : stopped) {
    EXPECT_THAT(one, HasSubstr("stop: READY: ConsoleSignin: the page of " + kPageHost));
    EXPECT_THAT(one, HasSubstr(second + " in the place of " + first));
  }
  EXPECT_THAT(steps, Not(::testing::Contains("ConsoleSignin")));
  EXPECT_THAT(h.outlooks[1].page_keys[kPageHost].before, ElementsAre(first));
  EXPECT_THAT(h.outlooks[1].page_keys[kPageHost].now, IsEmpty());
  EXPECT_EQ(h.current("account", page_key_name(kPageHost)), first);

  ASSERT_TRUE(History::done(h.session(session)));
  EXPECT_THAT(h.outlooks[1].page_keys[kPageHost].before, ElementsAre(first));
  EXPECT_THAT(h.outlooks[1].page_keys[kPageHost].now, ElementsAre(second));
  EXPECT_EQ(h.current("account", page_key_name(kPageHost)), second);
  ASSERT_TRUE(h.finish(session, 1)) << h.last[0];
  EXPECT_THAT(h.outlooks[1].page_keys[kPageHost].before, ElementsAre(second));
}

// What only one member remembers binds all, also when the others lost it: --abandon and --continue
// erase no page's key, so neither a restored member nor one that lies makes the next key a first.
TEST(FlowPageKeys, WhatOneMemberRemembersBindsAll) {
  const Flow account = load_shipped("create-account"), session = load_shipped("create-session");
  const std::string first = page_key_digest("N-signin", "AQAB");
  for (const History::Op op : {History::Op::kAbandon, History::Op::kGoOn}) {
    History h(2);
    ASSERT_TRUE(h.finish(account, 1)) << h.last[0];
    h.save(1, "before");
    ASSERT_TRUE(h.finish(session, 1)) << h.last[0];
    h.restore(1, "before");
    (void)h.session(session);
    EXPECT_THAT(h.outlooks[1].page_keys[kPageHost].before, ElementsAre(first));
    h.toy.world.page_keys = "-other";
    (void)h.session(session, op);
    if (op == History::Op::kAbandon) {
      EXPECT_THAT(h.endings[0].erased, Not(::testing::Contains(page_key_name(kPageHost))));
    }
    const auto has = h.look(0, [&](RunStore& store) {
      return store.room_value("account", page_key_name(kPageHost)).has_value();
    });
    EXPECT_TRUE(has);
    if (op == History::Op::kGoOn) continue;
    for (const std::string& one : h.session(session)) {
      EXPECT_THAT(one, HasSubstr("in the place of " + first));
    }
    h.toy.world.page_keys = "";
    ASSERT_TRUE(History::done(h.session(session, History::Op::kAbandon)));
    ASSERT_TRUE(h.finish(session)) << h.last[0];
    EXPECT_EQ(h.current("account", page_key_name(kPageHost)), first) << "and then all have it";
  }
}

// A key that one member says it opened was shown to nobody: what counts is what this member opened.
TEST(FlowPageKeys, AnotherMembersWordShowsNoKey) {
  const Flow account = load_shipped("create-account"), session = load_shipped("create-session");
  History h(2);
  ASSERT_TRUE(h.finish(account, 1)) << h.last[0];
  ASSERT_TRUE(h.finish(session, 1)) << h.last[0];
  h.toy.world.page_keys = "-other";
  const std::string second = page_key_digest("N-signin-other", "AQAB");
  bool lied = false;
  const auto stopped = h.session(session, History::Op::kRun, std::nullopt,
                                 [&](const net::MessageId& message, Bytes& payload) {
                                   if (message.sender != 0 || message.label != "flow/outlook")
                                     return;
                                   // Its last field: nothing that the run opened.
                                   payload.resize(payload.size() - 4);
                                   Writer more;
                                   more.field(second);
                                   const Bytes& bytes = more.bytes();
                                   payload.insert(payload.end(), bytes.begin(), bytes.end());
                                   lied = true;
                                 });
  EXPECT_TRUE(lied);
  EXPECT_THAT(stopped[1], HasSubstr("READY: ConsoleSignin: the page of " + kPageHost));
}

TEST(FlowPageKeys, AnotherPagesKeyNamesWhoSaysIt) {
  const Flow account = load_shipped("create-account"), session = load_shipped("create-session");
  History h(2);
  ASSERT_TRUE(h.finish(account, 1)) << h.last[0];
  const auto told = h.session(
      session, History::Op::kRun, std::nullopt, [&](const net::MessageId& message, Bytes& payload) {
        if (message.sender != 0 || message.label != "flow/outlook") return;
        const auto at =
            std::search(payload.begin(), payload.end(), kPageHost.begin(), kPageHost.end());
        if (at != payload.end()) *at = 'x';
      });
  EXPECT_THAT(told[1], HasSubstr("m0 says the key of a page that is not this file's"));
}

TEST(FlowPageKeys, WhoSaysWhatIsNoKeyIsNamed) {
  const auto lie_at = [](size_t from_end, uint8_t byte) {
    return [=](const net::MessageId& message, Bytes& payload) {
      const bool is_it = message.sender == 0 && message.label == "flow/outlook";
      if (is_it) payload[payload.size() - from_end] = byte;
    };
  };
  const Flow account = load_shipped("create-account"), session = load_shipped("create-session");
  History h(2);
  // Of a flow without such keys their number comes last.
  const auto many =
      h.session(load_shipped("buy-card"), History::Op::kRun, std::nullopt, lie_at(1, 200));
  EXPECT_THAT(many[1], HasSubstr("m0 says keys of 200 pages, this file has 0"));
  History g(2);
  ASSERT_TRUE(g.finish(account, 1)) << g.last[0];
  ASSERT_TRUE(g.finish(session, 1)) << g.last[0];
  // What it remembers, then nothing that it opened.
  const auto none = g.session(session, History::Op::kRun, std::nullopt, lie_at(5, 'z'));
  EXPECT_THAT(none[1], HasSubstr("m0 says a page's key that is no digest"));
}

TEST(FlowPageKeys, AHostThatIsNoNameHasOneAllTheSame) {
  EXPECT_EQ(page_key_name(kPageHost), "page-key/" + kPageHost);
  for (const std::string& host :
       {std::string("{{where}}.example.test"), std::string(60, 'a') + ".example"}) {
    EXPECT_TRUE(is_value_name(page_key_name(host))) << page_key_name(host);
  }
}

}  // namespace
}  // namespace flexroom::flow
