#include <fmt/core.h>

#include <algorithm>
#include <mutex>
#include <set>

#include "flow/rules.h"
#include "hostile_rig.h"
#include "run_fixture.h"

// Members that lie to the machine of operations.md (c), or come back from a backup at a bad moment:
// whatever a peer says is bounded, of this room and this flow, and named after it when it is wrong.

namespace flexroom::flow {
namespace {

// ------------------------------------------------------------------ inputs of the room

std::string echo_of_card(const std::string& name, const std::string& purpose, int length,
                         const std::string& flow = "note") {
  std::string out = R"([flow]
name = "NOTE"
provider = "sandbox"
prefix = "note"
hosts = ["shop.flexroom.example", "signup.flexroom.example"]
[argument.payer]
[input."NAME"]
from = "{{payer}}"
class = "digits"
length = LENGTH
purposes = ["PURPOSE"]
[[step]]
name = "Echo"
request = '''
POST /echo HTTP/1.1
Host: shop.flexroom.example
Content-Type: application/json

{"note": "{{NAME}}"}
'''
on.unknown = "stop"
)";
  const auto put = [&](const std::string& hole, const std::string& text) {
    for (size_t at = out.find(hole); at != std::string::npos; at = out.find(hole)) {
      out.replace(at, hole.size(), text);
    }
  };
  put("NAME", name);
  put("NOTE", flow);
  put("LENGTH", std::to_string(length));
  put("PURPOSE", purpose);
  return out;
}

TEST(FlowHostile, AnInputOfTheRoomGoesWhereItsOwnPurposesSay) {
  History h(2);
  ASSERT_TRUE(h.finish(file("buy-card"), 1)) << h.last[0];
  const std::string any = "POST https://shop.flexroom.example/echo json /note={{}}";
  std::string asked = "note";
  const auto run = [&](const std::string& name, int length, const std::string& payer) {
    h.arguments["payer"] = payer;
    asked += "x";  // a flow of its own
    return h.session(
        parse_flow(echo_of_card(name, any, length, asked), shipped("note"), sandbox_room()));
  };
  const size_t before = h.toy.releases;
  EXPECT_TRUE(
      says(run("card-number", 16, "room:card"), 1, "card-number of room:card has no purpose"));
  EXPECT_TRUE(says(run("card-number", 15, "room:card"), 1, "digits of 15 in the file"));
  EXPECT_TRUE(says(run("card-number", 16, "room:cord"), 1, "the room has no cord/card-number"));
  EXPECT_TRUE(says(run("card-number", 16, "cord"), 1, "cord is no member"));
  EXPECT_EQ(h.toy.releases, before);
  // Where the value's own purposes allow it, it goes.
  h.arguments["payer"] = "room:card";
  ASSERT_TRUE(h.finish(file("create-account"), 1)) << h.last[0];
  h.arguments["payer"] = "room:account";
  EXPECT_TRUE(says(run("account-id", 12, "room:account"), 1, "account/account-id is public"));
}

// A secret of `secret import` or `secret draw`: what all approved with it holds, its functions too.
TEST(FlowHostile, AnImportedSecretGoesWhereItsOwnPurposesSay) {
  History h(2);
  const std::string place = "POST https://shop.flexroom.example/echo json /note={{}}";
  ValueMeta meta;
  meta.tag = sha256(as_bytes("k v1"));
  meta.value_class = ValueClass::kDigits;
  meta.min = meta.max = 16;
  meta.provider = "sandbox";
  meta.purposes = {place};
  h.toy.vault[meta.tag] = "0123456789012345";
  h.secret = [&](std::string_view name) -> std::optional<StoredValue> {
    if (name != "joint/k") return std::nullopt;
    return StoredValue{meta, {}};
  };
  std::string asked = "note";
  const auto run = [&](const std::string& source, const std::string& purpose, int length,
                       const std::string& use = "") {
    h.arguments["payer"] = source;
    asked += "x";
    std::string text = echo_of_card("note-key", purpose, length, asked);
    const std::string hole = "{{note-key}}";
    text.replace(text.find(hole), hole.size(), "{{note-key" + use + "}}");
    return h.session(parse_flow(text, shipped("note"), sandbox_room()));
  };
  EXPECT_TRUE(says(run("secret:joint/l", place, 16), 1, "the room has no joint/l"));
  EXPECT_TRUE(says(run("secret:joint/k", place, 15), 1, "digits of 15 in the file"));
  // Usable nowhere without a purpose; a function is one of its own.
  const std::string code = place + " as totp";
  EXPECT_TRUE(says(run("secret:joint/k", code, 16, " as totp"), 1, "has no purpose `" + code));
  meta.purposes = {code};
  EXPECT_TRUE(says(run("secret:joint/k", place, 16), 1, "has no purpose `" + place));
  EXPECT_TRUE(says(run("secret:joint/k", code, 16, " as totp"), 1, "it needs 128 bits"));
  meta.purposes = {};
  EXPECT_TRUE(says(run("secret:joint/k", place, 16), 1, "has no purpose"));
  meta.purposes = {place};
  meta.provider = "another";
  EXPECT_TRUE(says(run("secret:joint/k", place, 16), 1, "is kept for provider another"));
  meta.provider = "sandbox";
  EXPECT_EQ(h.toy.releases, 0u);
  EXPECT_TRUE(History::done(run("secret:joint/k", place, 16))) << h.last.size();
  EXPECT_EQ(h.toy.releases, 1u);
}

// ------------------------------------------------------------------ births of other flows

TEST(FlowHostile, AnotherFlowsAbandonErasesNoBirthAndNothingThatItDoesNotMake) {
  History h(2);
  for (PartyId i = 0; i < 2; ++i) h.look(i, [](RunStore&) { return 0; });
  h.save(1, "empty");
  ASSERT_TRUE(h.finish(file("create-account"), 1)) << h.last[0];
  h.save(1, "newer");
  h.restore(1, "empty");
  ASSERT_TRUE(History::done(h.session(file("create-session"), Op::kAbandon)));
  for (const std::string name : {"account/password", "mail/address", "account-id"}) {
    EXPECT_TRUE(h.look(0, [&](RunStore& s) { return s.room_value("account", name).has_value(); }))
        << name;
  }
  // A newer backup of the restored member heals the room.
  h.restore(1, "newer");
  ASSERT_TRUE(h.finish(file("create-session"))) << h.last[0];
}

/// An edit of create-session that itself says that it makes a born name.
TEST(FlowHostile, ABirthIsToldByTheValueNotByTheFile) {
  History h(2);
  ASSERT_TRUE(h.finish(file("create-account"), 1)) << h.last[0];
  stop_at(h, "ConsoleSignin");
  (void)h.session(file("create-session"));
  h.toy.at_step = nullptr;
  // One member says at --continue that it has no values of the room.
  const auto none = lie("flow/continue", [](Bytes& payload) {
    Reader in(payload, "test");
    const ByteView state = in.field(1 << 20);
    Writer out;
    out.field(state);
    const uint32_t oks = in.u32();
    out.u32(oks);
    for (uint32_t k = 0; k < oks; ++k) out.raw(in.raw(64));
    for (uint32_t k = in.u32(); k > 0; --k) {
      (void)in.field(64);
      (void)in.raw(4 + 32 + 1);
    }
    out.u32(0).raw(in.raw(in.remaining()));
    payload = out.take();
  });
  EXPECT_TRUE(says(h.session(file("create-session"), Op::kGoOn, std::nullopt, none), 1,
                   "the born secret account/password is lost"));
  EXPECT_TRUE(h.look(
      1, [](RunStore& s) { return s.room_value("account", "account/password").has_value(); }));
  ASSERT_TRUE(h.finish(file("create-session"))) << h.last[0];
}

TEST(FlowHostile, BirthsNeedANewPrefixWhereOnceDbKnowsOneWhateverTheStateSays) {
  History h(2);
  for (PartyId i = 0; i < 2; ++i) h.look(i, [](RunStore&) { return 0; });
  for (PartyId i = 0; i < 2; ++i) h.save(i, "empty" + std::to_string(i));
  (void)h.session(file("create-account"), Op::kRun, Kill{0, 20});
  for (PartyId i = 0; i < 2; ++i) h.restore(i, "empty" + std::to_string(i));
  ASSERT_TRUE(History::done(h.session(file("create-account"), Op::kAbandon)));
  EXPECT_TRUE(says(h.session(file("create-account")), 1, "births need a new prefix"));
  // Whichever flow it is.
  EXPECT_TRUE(says(h.session(edited("create-account",
                                    {{"name = \"create-account\"", "name = \"create-another\""}})),
                   0, "births need a new prefix"));
  EXPECT_EQ(h.toy.world.boxes.size(), 1u);
}

// ------------------------------------------------------------------ runs that a peer names

TEST(FlowHostile, AbandonClosesNoRunOfAnotherFlow) {
  History h(2);
  (void)h.session(file("buy-card"), Op::kRun, Kill{0, 20});
  const RunId id = open_run(h, 1, "buy-card");
  ASSERT_FALSE(id.empty());
  const auto ended = h.session(file("create-session"), Op::kAbandon, std::nullopt,
                               lie("flow/abandoned", [&](Bytes& p) { add_run(p, id); }));
  EXPECT_TRUE(says(ended, 1, "m0 names run " + id + ", which is one of buy-card"));
  EXPECT_EQ(open_run(h, 1, "buy-card"), id);
  const auto odd = h.session(file("create-session"), Op::kAbandon, std::nullopt,
                             lie("flow/abandoned", [&](Bytes& p) { add_run(p, RunId(26, '!')); }));
  EXPECT_TRUE(says(odd, 1, "no id of a run"));
  EXPECT_THROW(h.look(1,
                      [&](RunStore& store) {
                        store.close({id, "account", "create-session", true});
                        return 0;
                      }),
               ProtocolAbort);
  ASSERT_TRUE(h.finish(file("buy-card"))) << h.last[0];
  EXPECT_EQ(h.toy.world.orders.size(), 1u);
}

TEST(FlowHostile, ARunThatIsNotOpenHereIsNotGoneOnWith) {
  History h(2);
  const RunId id(26, 'q');
  Change change;
  change.run = id;
  change.number = 1;
  change.head = head_of(desk());
  h.look(0, [&](RunStore& store) {
    store.stage(change, {});
    return 0;
  });
  const auto ended = h.session(desk(), Op::kRun, std::nullopt,
                               lie(
                                   "flow/runs", [&](Bytes& p) { add_run(p, id); }, 1));
  EXPECT_TRUE(says(ended, 1, "m0 lists run " + id + ", which is not open here"));
  // Abandoned at one member alone.
  stop_at(h, "CreateCase");
  (void)h.session(desk());
  h.toy.at_step = nullptr;
  const RunId real = open_run(h, 1, "desk");
  h.look(1, [&](RunStore& store) {
    store.erase_run(real);
    store.close({real, "desk", "desk", true});
    return 0;
  });
  EXPECT_TRUE(says(h.session(desk()), 0, "m0 lists run " + real + ", which is not open here"));
  const auto twice = h.session(desk(), Op::kRun, std::nullopt,
                               lie("flow/runs", [&](Bytes& p) { add_run(p, real); }));
  EXPECT_TRUE(says(twice, 1, "runs twice or out of order"));
  ASSERT_TRUE(History::done(h.session(desk(), Op::kAbandon)));
  ASSERT_TRUE(h.finish(desk())) << h.last[0];
}

TEST(FlowHostile, AnOldRunThatAPeerEndsAgainIsNotTheOneThatWasAskedFor) {
  History h(2);
  (void)h.session(desk());
  const size_t steps = h.steps(0);
  History g(2);
  // Staged and not committed: the last durable step but one.
  (void)g.session(desk(), Op::kRun, Kill{0, steps - 1});
  g.save(0, "before");
  ASSERT_TRUE(g.finish(desk())) << g.last[0];
  g.restore(0, "before");
  const size_t before = g.toy.releases;
  const auto ended = g.session(desk());
  EXPECT_TRUE(says(ended, 1, "was done here before; m0 had not ended it"));
  EXPECT_TRUE(says(ended, 0, "Nothing else was run"));
  EXPECT_EQ(g.toy.releases, before);
  ASSERT_TRUE(g.finish(desk(), 1)) << g.last[0];
  EXPECT_GT(g.toy.releases, before);
}

TEST(FlowHostile, TheNumberOfAStagedChangeIsItsOwn) {
  History h(2);
  (void)h.session(desk(), Op::kRun, Kill{0, 1});
  const auto ended =
      h.session(desk(), Op::kRun, std::nullopt, lie("flow/contact", [](Bytes& p) { p[51] += 8; }));
  EXPECT_TRUE(says(ended, 1, "m0 says number 9 of a change that has number 1"));
  ASSERT_TRUE(h.finish(desk())) << h.last[0];
}

TEST(FlowHostile, WhatIsCommittedAtAContactIsLogged) {
  History h(2);
  (void)h.session(desk(), Op::kRun, Kill{0, 1});
  ASSERT_TRUE(h.finish(desk(), 1)) << h.last[0];
  ASSERT_FALSE(h.log.empty());
  EXPECT_EQ(h.log.front().event, "begin");
}

// ------------------------------------------------------------------ numbers of peers

TEST(FlowHostile, AClockOfAnotherAgeIsRefused) {
  for (const int bit : {0x80, 0x40}) {
    History h(2);
    const auto ended =
        h.session(desk(), Op::kRun, std::nullopt,
                  lie("flow/time", [&](Bytes& p) { p[0] = static_cast<uint8_t>(p[0] ^ bit); }));
    EXPECT_TRUE(says(ended, 1, "the clock of m0 differs from ours"));
    ASSERT_TRUE(h.finish(desk())) << h.last[0];
  }
}

TEST(FlowHostile, AttemptsAndCommitsThatAreWordsAreRefused) {
  History h(2);
  const auto ended =
      h.session(desk(), Op::kRun, std::nullopt,
                lie("flow/ready", [](Bytes& p) { std::fill(p.begin(), p.begin() + 4, 0xff); }));
  EXPECT_TRUE(says(ended, 1, "m0 says 4294967295 attempts of FindCase"));
  for (const uint64_t commits : {uint64_t{7}, UINT64_MAX}) {
    const auto go_on = lie("flow/continue", [&](Bytes& p) {
      Reader in(p, "test");
      RunState run = RunState::decode(in.field(1 << 20));
      run.commits = commits;
      Writer out;
      out.field(run.encode()).raw(in.raw(in.remaining()));
      p = out.take();
    });
    EXPECT_TRUE(
        says(h.session(desk(), Op::kGoOn, std::nullopt, go_on), 1, "without the ok's of all"));
  }
  ASSERT_TRUE(h.finish(desk())) << h.last[0];
}

TEST(FlowHostile, AListThatIsTooLongIsNamedAfterWhoSentIt) {
  RunState run;
  run.id = RunId(26, 'a');
  run.head = head_of(desk());
  for (int k = 0; k < 1025; ++k) run.attempts[fmt::format("S{}", k)] = 1;
  try {
    (void)RunState::decode(run.encode(), PartyId{1});
    FAIL();
  } catch (const ProtocolAbort& abort) {
    EXPECT_EQ(abort.peer(), PartyId{1});
    EXPECT_NE(std::string(abort.what()).find("a list of more than 1,024"), std::string::npos);
  }
  EXPECT_THROW((void)RunState::decode(run.encode()), InputError);
}

TEST(FlowHostile, NobodyMakesTheOthersWaitLongerThanTheStepsOfTheFile) {
  History h(2);
  stop_at(h, "CreateCase");
  (void)h.session(desk());
  h.toy.at_step = nullptr;
  const int64_t before = h.toy.world.now;
  const auto ended =
      h.session(desk(), Op::kAbandon, std::nullopt, lie("flow/abandoned", [](Bytes& p) {
                  p[4 + 30 + 5] = 1;  // 65,536 s more
                }));
  ASSERT_TRUE(History::done(ended)) << ended[1];
  EXPECT_LE(h.toy.world.now, before + 1300);  // the toy members share one clock
}

// ------------------------------------------------------------------ what a step makes

// tls-in-mpc.md §5.12: before anything leaves, never behind the release.
TEST(FlowHostile, AVersionThatAMemberLacksOfWhatAStepMakesIsFoundBeforeTheRelease) {
  const Flow flow =
      desk({{"open.\"run/case\"", "open.\"case\""}, {"open.\"run/case\"", "open.\"case\""}});
  History h(2);
  ASSERT_TRUE(h.finish(flow, 1)) << h.last[0];
  h.look(1, [](RunStore& store) {
    store.erase_room_value("desk", "case");
    return 0;
  });
  const size_t before = h.toy.releases;
  const auto ended = h.session(flow);
  EXPECT_TRUE(says(ended, 0, "restored: READY: case has another version at some member"));
  EXPECT_EQ(ended[0], ended[1]);
  EXPECT_EQ(h.toy.releases, before);
  // As it says: what not all have is void, and made again.
  ASSERT_TRUE(History::done(h.session(flow, Op::kGoOn)));
  ASSERT_TRUE(h.finish(flow, 1)) << h.last[0];
  EXPECT_EQ(h.current("desk", "case"), "case");
}

// ------------------------------------------------------------------ words of peers

TEST(FlowHostile, WhatAPeerSaysIsNamedAfterIt) {
  std::string text =
      echo_of_card("pin", "POST https://shop.flexroom.example/echo json /note={{}}", 4);
  text.insert(text.find("on.unknown"),
              "assert.guess = { at = \"json /note\", equals = \"{{guess}}\" }\n");
  text.insert(text.find("[argument.payer]"), "[argument.guess]\n");
  const Flow flow = parse_flow(text, shipped("note"), sandbox_room());
  History h(2);
  h.arguments = {{"guess", "0000"}, {"payer", "m1"}};
  (void)h.session(flow);
  h.lose_once(1);
  (void)h.session(flow);
  const auto ended = h.session(flow);
  EXPECT_TRUE(says(ended, 0, "m1: LEDGER: Echo: once.db was lost"));
  EXPECT_EQ(ended[0], ended[1]);
}

}  // namespace
}  // namespace flexroom::flow
