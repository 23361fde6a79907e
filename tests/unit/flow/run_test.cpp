#include <random>

#include "flow/rules.h"
#include "run_fixture.h"
#include "support/sweeps.h"

// The shipped files lie below FLEXROOM_SOURCE_DIR (flow_fixture.h).

namespace flexroom::flow {
namespace run_test {

const Flow& file(const std::string& name) {
  static std::map<std::string, Flow> all;
  auto it = all.find(name);
  if (it == all.end()) it = all.emplace(name, load_shipped(name)).first;
  return it->second;
}

/// operations.md (c): what counts as harm, at any quiet moment. Empty: none.
std::string harm(History& h, bool has_session) {
  const ToyWorld& w = h.toy.world;
  const std::string address = h.current("account", "mail/address");
  for (const auto& [box, password] : w.boxes) {
    if (box != address && box != h.current("card", "address")) return "orphan mailbox";
  }
  for (const auto& [owner, account] : w.accounts) {
    if (owner != address) return "orphan account";
    if (account.password != h.current("account", "account/password")) return "lost password";
  }
  if (w.charges.size() > 1) return "double charge";
  if (w.orders.size() > 1) return "two orders";
  const std::string id = h.current("account", "keys/id");
  if (has_session) {
    if (w.keys.size() != 1) return "live keys: " + std::to_string(w.keys.size());
    if (!w.keys.contains(id)) return "the live key is not ours";
    if (w.keys.at(id).secret != h.current("account", "keys/secret")) return "key and id differ";
  }
  if (w.keys.contains(id) && w.keys.at(id).account != h.current("account", "account-id")) {
    return "current key of another account";
  }
  for (const auto& [name, value] : h.toy.opened) {
    for (const auto& [tag, secret] : h.toy.vault) {
      if (secret.size() >= 6 && value.find(secret) != std::string::npos)
        return "secret opened in " + name;
    }
  }
  for (PartyId i = 0; i < h.n(); ++i) {
    const bool kept = h.look(i, [](RunStore& store) {
      for (const RunState& run : store.runs()) {
        if (run.done && !store.run_values(run.id).empty()) return true;
      }
      return false;
    });
    if (kept) return "a value of a run outlived it";
  }
  return "";
}

// ------------------------------------------------------------------ rules

TEST(FlowRules, AnIdempotencyIdIsTheSameAtAllAndAnotherAfterARefusal) {
  const std::string run(26, 'a');
  EXPECT_EQ(idempotency_id(run, "SubmitCredit", 0), "908a13d0dcc7bf9be2ee0caa8d52f366");
  std::set<std::string> all = {idempotency_id(run, "SubmitCredit", 0),
                               idempotency_id(std::string(26, 'b'), "SubmitCredit", 0),
                               idempotency_id(run, "SubmitInfo", 0),
                               idempotency_id(run, "SubmitCredit", 1)};
  EXPECT_EQ(all.size(), 4u);
}

TEST(FlowRules, TheFirstOfCodeStatusAndClassThatHasARuleCounts) {
  const Flow& flow = file("create-session");
  const Step& step = *flow.step("ConsoleSignin");
  Fired fired;
  EXPECT_EQ(decide(flow, step, "401 MfaRequired", fired).at.line, "Mfa");
  EXPECT_EQ(decide(flow, step, "401 other", fired).at, (Position{"main", 0}));
  EXPECT_EQ(decide(flow, step, "403", fired).kind, Decision::Kind::kStop);
  EXPECT_EQ(decide(flow, step, "ok", fired).at, (Position{"main", 9}));
  EXPECT_EQ(decide(flow, *flow.step("ChallengeOauth"), "418", fired).rule, "4xx");
}

TEST(FlowRules, ARuleIsFollowedAsOftenAsItSaysThenItIsExhausted) {
  const Flow& flow = file("create-account");
  const Step& step = *flow.step("GetOTP");
  Fired fired;
  for (int k = 0; k < 24; ++k) {
    const Decision decision = decide(flow, step, "none", fired);
    EXPECT_EQ(decision.rule, "none");
    EXPECT_EQ(decision.pause_seconds, 5);
  }
  EXPECT_EQ(decide(flow, step, "none", fired).at, (Position{"main", 4}));  // back InitialRequest
  EXPECT_EQ(decide(flow, step, "none", fired).rule, "exhausted");
  EXPECT_EQ(decide(flow, step, "none", fired).kind, Decision::Kind::kStop);
}

TEST(FlowRules, ThrottlingPausesLongerEachTimeAndEnds) {
  const Flow& flow = file("create-account");
  const Step& step = *flow.step("CreateEmail");
  Fired fired;
  for (const int64_t pause : {30, 60, 120, 240, 300}) {
    const Decision decision = decide(flow, step, "429", fired);
    EXPECT_EQ(decision.kind, Decision::Kind::kHold);
    EXPECT_EQ(decision.pause_seconds, pause);
  }
  EXPECT_EQ(decide(flow, step, "429", fired).kind, Decision::Kind::kStop);
  Fired other;
  EXPECT_TRUE(decide(flow, step, "503", other).settle);
}

// ------------------------------------------------------------------ whole flows

TEST(FlowRun, AnAccountAndItsKeyAreMadeAndTheKeyIsRotated) {
  for (const size_t n : {2, 3}) {
    History h(n);
    ASSERT_TRUE(h.finish(file("create-account"), 1)) << h.last[0];
    EXPECT_EQ(h.toy.world.calls, 21u);  // and two questions
    EXPECT_EQ(h.toy.questions, 2u);
    ASSERT_TRUE(h.finish(file("create-session"), 1)) << h.last[0];
    EXPECT_EQ(harm(h, true), "");
    const std::string first = h.current("account", "keys/id");
    ASSERT_TRUE(h.finish(file("create-session"), 1)) << h.last[0];
    EXPECT_EQ(harm(h, true), "");
    EXPECT_NE(h.current("account", "keys/id"), first);
  }
}

TEST(FlowRun, TheLogHoldsNoSecretNoPersonsAnswerAndNoDigestOfIt) {
  History h(2);
  ASSERT_TRUE(h.finish(file("create-account"), 1)) << h.last[0];
  bool any = false;
  for (const LogLine& line : h.log) {
    any |= line.step == "GetOTP" && line.kept == std::vector<std::string>{"run/otp v1"};
    for (const auto& [name, digest] : line.opened) EXPECT_NE(name, "run/answer");
    for (const auto& [name, digest] : line.opened) EXPECT_NE(name, "run/phone-code");
    EXPECT_FALSE(line.run.empty());
  }
  EXPECT_TRUE(any);
}

// tls-in-mpc.md attack 62: killed at every durable step of either member; no harm, and the next
// runs go on from there.
TEST(FlowRun, KilledAnywhereItGoesOnWithoutHarmSweep) {
  size_t cases = 0;
  History base(2);
  ASSERT_TRUE(base.finish(file("create-account"), 1));
  const size_t in_account = base.steps(0);
  ASSERT_TRUE(base.finish(file("create-session"), 1));
  const size_t in_session = base.steps(0);
  const size_t stride = std::getenv("FLEXROOM_LONG") != nullptr ? 1 : 9;
  for (const bool rotation : {false, true}) {
    const size_t steps = rotation ? in_session : in_account;
    for (size_t at = 1; at <= steps; at += stride) {
      for (const PartyId member : {0, 1}) {
        SCOPED_TRACE((rotation ? "session " : "account ") + std::to_string(member) + " at " +
                     std::to_string(at));
        History h(2);
        h.toy.world.rotate = (at + member) % 2 == 0;
        if (rotation) {
          ASSERT_TRUE(h.finish(file("create-account"), 1));
        }
        const auto first = h.session(file(rotation ? "create-session" : "create-account"),
                                     History::Op::kRun, Kill{member, at});
        ASSERT_FALSE(History::done(first));
        if (!rotation) {
          ASSERT_TRUE(h.finish(file("create-account"))) << h.last[0] << " / " << h.last[1];
        }
        ASSERT_TRUE(h.finish(file("create-session"))) << h.last[0] << " / " << h.last[1];
        ASSERT_EQ(harm(h, true), "");
        ++cases;
      }
    }
  }
  RecordProperty("cases", static_cast<int>(cases));
}

// The courier drops a request, its answer, holds it, makes 429, 503, and delivers a kept 408
// (attack 90).
TEST(FlowRun, WhateverTheCourierDoesToOneRequestThereIsNoHarmSweep) {
  const size_t stride = std::getenv("FLEXROOM_LONG") != nullptr ? 1 : 5;
  size_t k = 0;
  for (const std::string fate : {"noreq", "noans", "late", "429", "503", "408"}) {
    for (size_t at = 1 + k++ % stride; at <= 39; at += stride) {
      SCOPED_TRACE(fate + " at " + std::to_string(at));
      History h(2);
      h.toy.world.rotate = at % 2 == 0;
      h.toy.world.lag = at % 3 == 0 ? 30 : 0;
      h.toy.hold = at % 2 == 0 ? 100 : 110;
      h.toy.fates[at] = fate;
      ASSERT_TRUE(h.finish(file("create-account"))) << h.last[0];
      ASSERT_TRUE(h.finish(file("create-session"))) << h.last[0];
      ASSERT_EQ(harm(h, true), "");
    }
  }
}

// A released request may arrive until the step has settled: the rule of a step that leaves
// something begins 600 s after `armed`, that of another one 120 s after it (operations.md (c)).
TEST(FlowRun, AnUnknownOutcomeWaitsForWhatMayStillArrive) {
  History h(2);
  ASSERT_TRUE(h.finish(file("create-account"), 1));
  // CreateAWSCredentials is the 13th row; one of them asks a person.
  h.toy.fates[h.toy.releases + 12] = "late";
  h.toy.hold = 550;
  const int64_t before = h.toy.world.now;
  ASSERT_TRUE(h.finish(file("create-session"))) << h.last[0];
  EXPECT_GE(h.toy.world.now, before + 600);
  EXPECT_EQ(harm(h, true), "");
}

TEST(FlowRun, PeopleMayBeWrongAndLateAndACardIsRefusedOnce) {
  History h(2);
  h.toy.people = {{1, "wrong"}, {2, "late"}};
  h.toy.world.refuse_card = 1;
  ASSERT_TRUE(h.finish(file("create-account"))) << h.last[0];
  ASSERT_TRUE(h.finish(file("create-session"))) << h.last[0];
  EXPECT_EQ(harm(h, true), "");
  EXPECT_EQ(h.toy.world.charges.size(), 1u);
}

// §5.8: a key of another account is never current.
TEST(FlowRun, AKeyOfAnotherAccountIsNeverCurrent) {
  History h(2);
  ASSERT_TRUE(h.finish(file("create-account"), 1));
  h.toy.world.swap_session = true;
  const auto first = h.session(file("create-session"));
  EXPECT_NE(first[0].find("assert account"), std::string::npos) << first[0];
  EXPECT_EQ(h.current("account", "keys/id"), "");
  EXPECT_EQ(harm(h, false), "");
}

TEST(FlowRun, ACardIsBoughtOnceAtEveryKillPointSweep) {
  History base(2);
  ASSERT_TRUE(base.finish(file("buy-card"), 1)) << base.last[0];
  const size_t steps = base.steps(1);
  const size_t stride = std::getenv("FLEXROOM_LONG") != nullptr ? 1 : 3;
  for (size_t at = 1; at <= steps; at += stride) {
    SCOPED_TRACE(at);
    History h(2);
    (void)h.session(file("buy-card"), History::Op::kRun, Kill{static_cast<PartyId>(at % 2), at});
    ASSERT_TRUE(h.finish(file("buy-card"))) << h.last[0];
    ASSERT_EQ(harm(h, false), "");
    EXPECT_EQ(h.current("card", "card-number"), "4111000011112222");
  }
}

// ------------------------------------------------------------------ corrupted members

TEST(FlowRun, AnOkThatIsNotSignedCommitsNothing) {
  History h(2);
  const auto ended = h.session(file("buy-card"), History::Op::kRun, std::nullopt,
                               support::flip_bit_of({0, 1, "flow/ok", 2}));
  EXPECT_NE(ended[1].find("is not signed"), std::string::npos) << ended[1];
  ASSERT_TRUE(h.finish(file("buy-card"))) << h.last[0];
  EXPECT_EQ(harm(h, false), "");
}

TEST(FlowRun, MembersThatWouldCommitDifferentChangesCommitNone) {
  History h(2);
  const auto ended = h.session(file("buy-card"), History::Op::kRun, std::nullopt,
                               support::flip_bit_of({0, 1, "flow/change", 3}));
  EXPECT_NE(ended[1].find("has another change"), std::string::npos) << ended[1];
  ASSERT_TRUE(h.finish(file("buy-card"))) << h.last[0];
}

// Who says at a contact that it committed shows the ok's of all.
TEST(FlowRun, ACommitThatIsClaimedWithoutTheOksOfAllIsRefusedAndNothingErased) {
  History h(2);
  (void)h.session(file("buy-card"), History::Op::kRun, Kill{1, 9});
  const auto lie = [](const net::MessageId& message, Bytes& payload) {
    if (message.sender == 0 && message.label == "flow/contact") payload[7] += 1;  // commits + 1
  };
  const auto ended = h.session(file("buy-card"), History::Op::kRun, std::nullopt, lie);
  EXPECT_NE(ended[1].find("without the ok's of all"), std::string::npos) << ended[1];
  ASSERT_TRUE(h.finish(file("buy-card"))) << h.last[0];
  EXPECT_EQ(harm(h, false), "");
}

TEST(FlowRun, StatementsThatDifferBetweenMembersAreNotActedOn) {
  History h(3);
  (void)h.session(file("buy-card"), History::Op::kRun, Kill{1, 9});
  const auto lie = [](const net::MessageId& message, Bytes& payload) {
    if (message.sender == 2 && message.receiver == 0 && message.label == "flow/contact") {
      payload.back() ^= 1;
    }
  };
  const auto ended = h.session(file("buy-card"), History::Op::kRun, std::nullopt, lie);
  EXPECT_TRUE(ended[0].starts_with("abort")) << ended[0];
  EXPECT_TRUE(ended[1].starts_with("abort")) << ended[1];
  // By the echo, before anybody acted on what it was told.
  EXPECT_NE((ended[0] + ended[1]).find("flow/contact/echo"), std::string::npos)
      << ended[0] << " / " << ended[1];
  ASSERT_TRUE(h.finish(file("buy-card"))) << h.last[0];
}

// ------------------------------------------------------------------ restored backups

TEST(FlowRun, ARestoredMemberIsNamedAndTheRunGoesOnByContinue) {
  History h(2);
  (void)h.session(file("create-account"), History::Op::kRun, Kill{0, 20});
  h.save(1, "backup");
  (void)h.session(file("create-account"), History::Op::kRun, Kill{0, 30});
  h.restore(1, "backup");
  const auto refused = h.session(file("create-account"));
  EXPECT_NE(refused[0].find("restored: m1 lacks what all had committed"), std::string::npos)
      << refused[0];
  EXPECT_EQ(refused[0], refused[1]);
  const auto merged = h.session(file("create-account"), History::Op::kGoOn);
  ASSERT_TRUE(History::done(merged)) << merged[0] << " / " << merged[1];
  ASSERT_TRUE(h.finish(file("create-account"))) << h.last[0];
  ASSERT_TRUE(h.finish(file("create-session"))) << h.last[0];
  EXPECT_EQ(harm(h, true), "");
}

TEST(FlowRun, AStateOfBeforeTheBirthIsRefusedWhileOnceDbKnowsAnArmedRun) {
  History h(2);
  for (PartyId i = 0; i < 2; ++i) h.look(i, [](RunStore&) { return 0; });
  for (PartyId i = 0; i < 2; ++i) h.save(i, "empty" + std::to_string(i));
  (void)h.session(file("create-account"), History::Op::kRun, Kill{0, 20});
  for (PartyId i = 0; i < 2; ++i) h.restore(i, "empty" + std::to_string(i));
  const auto refused = h.session(file("create-account"));
  EXPECT_NE(refused[0].find("only --abandon"), std::string::npos) << refused[0];
  EXPECT_EQ(h.toy.world.boxes.size(), 1u);
  ASSERT_TRUE(History::done(h.session(file("create-account"), History::Op::kAbandon)));
  EXPECT_EQ(h.told, std::vector<std::string>{"a mailbox"});
}

TEST(FlowRun, AbandonTellsWhatWasMadeAndErasesTheRun) {
  History h(2);
  ASSERT_TRUE(h.finish(file("create-account"), 1));
  // Held behind `armed`: whether there is a key nobody knows.
  h.toy.fates[h.toy.releases + 12] = "late";
  h.toy.hold = 590;
  bool armed = false;
  h.toy.behind_armed = [&](PartyId) { armed = true; };
  (void)h.session(file("create-session"), History::Op::kRun, Kill{0, 36});
  const int64_t before = h.toy.world.now;
  ASSERT_TRUE(History::done(h.session(file("create-session"), History::Op::kAbandon)));
  EXPECT_GE(h.toy.world.now, before);
  for (PartyId i = 0; i < 2; ++i) {
    EXPECT_TRUE(h.look(i, [](RunStore& store) {
      for (const RunState& run : store.runs()) {
        if (!store.run_values(run.id).empty()) return false;
      }
      return true;
    }));
  }
  ASSERT_TRUE(h.finish(file("create-session"))) << h.last[0];
  EXPECT_EQ(harm(h, true), "");
}

TEST(FlowRun, AnEditedFileGoesOnByContinueAndOnlyAheadOfUs) {
  const Flow stops = edited("create-account", {{"open.\"account-id\" = { at = \"json /account\"",
                                                "open.\"account-id\" = { at = \"json /moved\""}});
  History h(2);
  const auto first = h.session(stops);
  EXPECT_NE(first[0].find("account-id not found"), std::string::npos) << first[0];
  EXPECT_NE(h.session(file("create-account"))[0].find("another file"), std::string::npos);
  const Flow behind = edited("create-account", {{"every_seconds = 5", "every_seconds = 6"}});
  EXPECT_NE(h.session(behind, History::Op::kGoOn)[0].find("behind us was edited"),
            std::string::npos);
  const Flow born = edited("create-account", {{"length = 22", "length = 23"}});
  EXPECT_NE(h.session(born, History::Op::kGoOn)[0].find("[born]"), std::string::npos);
  ASSERT_TRUE(History::done(h.session(file("create-account"), History::Op::kGoOn)));
  ASSERT_TRUE(h.finish(file("create-account"))) << h.last[0];
  EXPECT_EQ(harm(h, false), "");
  EXPECT_EQ(h.toy.world.accounts.size(), 1u);
}

// ------------------------------------------------------------------ the ledger

constexpr std::string_view kEcho = R"([flow]
name = "echo"
provider = "sandbox"
prefix = "account"
hosts = ["shop.flexroom.example"]
[argument.guess]
[input.pin]
from = "m1"
class = "digits"
length = 4
purposes = ["POST https://shop.flexroom.example/echo json /pin={{}}"]
[[step]]
name = "Echo"
request = '''
POST /echo HTTP/1.1
Host: shop.flexroom.example
Content-Type: application/json

{"pin": "{{pin}}"}
'''
assert.guess = { at = "json /pin", equals = "{{guess}}" }
on.unknown = "stop"
)";

// Attacks 65 and 96: a text chosen at run time against an answer that echoes a short secret.
TEST(FlowLedger, TheNinthReleaseIsRefusedWhoeverAbortsWhenever) {
  const Flow flow = parse_flow(kEcho, shipped("echo"), sandbox_room());
  EXPECT_EQ(flow.leaks.at("pin"), 6u);
  for (const std::string how : {"answers", "aborts", "lost", "restored"}) {
    SCOPED_TRACE(how);
    History h(2);
    for (PartyId i = 0; i < 2; ++i) h.look(i, [](RunStore&) { return 0; });
    for (PartyId i = 0; i < 2; ++i) h.save(i, "empty" + std::to_string(i));
    h.arguments = {{"guess", "0000"}};
    size_t released = 0;
    std::string last;
    for (int k = 0; k < 24 && last.find("LEDGER") == std::string::npos; ++k) {
      h.arguments["guess"] = std::to_string(1000 + k);
      const size_t before = h.toy.releases;
      if (how == "restored" && k > 0) {
        for (PartyId i = 0; i < 2; ++i) h.restore(i, "empty" + std::to_string(i));
        (void)h.session(flow, History::Op::kAbandon);
      }
      if (how == "lost") h.toy.fates[h.toy.releases + 1] = "noans";
      // Whoever sees the bit first aborts: behind the answer, before anything is committed.
      const auto kill = how == "aborts" ? std::optional(Kill{1, 4}) : std::nullopt;
      last = h.session(flow, History::Op::kRun,
                       k == 0            ? kill
                       : how == "aborts" ? std::optional(Kill{1, 2})
                                         : kill)[0];
      released += h.toy.releases - before;
    }
    EXPECT_NE(last.find("LEDGER"), std::string::npos) << last;
    EXPECT_LE(released, 8u);
    EXPECT_EQ(h.look(0, [](RunStore& store) { return store.booked("input m1 other"); }), 8u);
  }
}

// The account belongs to the place: a new keep, a new run, another name for the same place go on
// with it.
TEST(FlowLedger, TheAccountOfAKeptSecretIsThatOfItsPlace) {
  std::string text(kEcho);
  const size_t input = text.find("[input.pin]"), step = text.find("[[step]]");
  std::string give = text.substr(step), use = text.substr(step);
  const auto put = [](std::string& in, const std::string& old_text, const std::string& new_text) {
    in.replace(in.find(old_text), old_text.size(), new_text);
  };
  put(give, "\"Echo\"", "\"Give\"");
  put(give, "{\"pin\": \"{{pin}}\"}", "{\"a\": \"4711\"}");
  put(give, "assert.guess = { at = \"json /pin\", equals = \"{{guess}}\" }\n", "");
  give +=
      "[step.keep.\"run/pin\"]\nat = \"json /a\"\nclass = \"digits\"\nlength = 4\n"
      "purposes = [\"POST https://shop.flexroom.example/echo json /pin={{}}\"]\n";
  put(use, "{{pin}}", "{{run/pin}}");
  const std::string head = text.substr(0, input);
  const Flow flow = parse_flow(head + give + use, shipped("kept"), sandbox_room());
  std::string again = head + give + use;
  for (size_t at = again.find("run/pin"); at != std::string::npos;
       at = again.find("run/pin", at + 7)) {
    again.replace(at, 7, "run/nip");
  }
  // And read in another way, whose place is the same.
  put(again, "at = \"json /a\"", "at = \"json /a after \\\"4\\\"\"");
  put(again, "length = 4", "length = 3");
  const Flow renamed = parse_flow(again, shipped("kept"), sandbox_room());
  History h(2);
  h.arguments = {{"guess", "0000"}};
  size_t tests = 0;
  std::string last;
  for (int k = 0; k < 20 && last.find("LEDGER") == std::string::npos; ++k) {
    last = h.session(k < 6 ? flow : renamed)[0];
    tests += last.find("assert guess") != std::string::npos;
    if (k % 3 == 2) (void)h.session(flow, History::Op::kAbandon);
  }
  EXPECT_NE(last.find("LEDGER"), std::string::npos) << last;
  EXPECT_EQ(tests, 8u);
  EXPECT_EQ(
      h.look(0, [](RunStore& store) { return store.booked("kept shop.flexroom.example body/a"); }),
      8u);
}

// What is approved shows the most that any member has booked.
TEST(FlowLedger, WhatWasSpentIsOfAllMembers) {
  const Flow flow = parse_flow(kEcho, shipped("echo"), sandbox_room());
  History h(2);
  h.arguments = {{"guess", "0000"}};
  (void)h.session(flow);
  EXPECT_EQ(h.outlooks[0].spent.at("pin"), 0u);
  EXPECT_EQ(h.outlooks[0].id, "");
  (void)h.session(flow);
  EXPECT_EQ(h.outlooks[0].spent.at("pin"), 1u);
  EXPECT_EQ(h.outlooks[0].id.size(), kRunIdChars);
  EXPECT_EQ(h.outlooks[0].step, "Echo");
  h.lose_once(1);
  (void)h.session(flow);
  for (PartyId i = 0; i < 2; ++i) EXPECT_EQ(h.outlooks[i].spent.at("pin"), kLifeBits);
}

TEST(FlowLedger, NobodyHasSpentMoreThanALife) {
  const Flow flow = parse_flow(kEcho, shipped("echo"), sandbox_room());
  History h(2);
  h.arguments = {{"guess", "0000"}};
  const auto lie = [](const net::MessageId& message, Bytes& payload) {
    constexpr size_t kKeys = 4;  // their number, behind the bits
    const bool is_it = message.sender == 0 && message.label == "flow/outlook";
    if (is_it) payload[payload.size() - kKeys - 1] = 9;
  };
  const auto ended = h.session(flow, History::Op::kRun, std::nullopt, lie);
  EXPECT_NE(ended[1].find("m0 says 9 bits of a value"), std::string::npos) << ended[1];
}

// An input is the same place under another name of the same member, and another one at another.
TEST(FlowLedger, TheAccountOfAnInputIsOfItsMember) {
  const auto with = [](const std::string& name, const std::string& from) {
    std::string text(kEcho);
    for (const auto& [old_text, new_text] :
         {std::pair<std::string, std::string>{"[input.pin]", "[input." + name + "]"},
          {"from = \"m1\"", "from = \"" + from + "\""},
          {"{{pin}}", "{{" + name + "}}"}}) {
      text.replace(text.find(old_text), old_text.size(), new_text);
    }
    return parse_flow(text, shipped("echo"), sandbox_room());
  };
  History h(2);
  h.arguments = {{"guess", "0000"}};
  for (int k = 0; k < 5; ++k) (void)h.session(with("pin", "m1"));
  ASSERT_TRUE(History::done(h.session(with("pin", "m1"), History::Op::kAbandon)));
  std::string last;
  for (int k = 0; k < 24 && last.find("LEDGER") == std::string::npos; ++k) {
    last = h.session(with("nip", "m1"))[0];
  }
  EXPECT_NE(last.find("LEDGER"), std::string::npos) << last;
  EXPECT_EQ(h.toy.releases, 8u);
  ASSERT_TRUE(History::done(h.session(with("nip", "m1"), History::Op::kAbandon)));
  EXPECT_EQ(h.session(with("nip", "m0"))[0].find("LEDGER"), std::string::npos);
}

TEST(FlowLedger, ALostOnceDbMakesItsAccountsFull) {
  const Flow flow = parse_flow(kEcho, shipped("echo"), sandbox_room());
  History h(2);
  h.arguments = {{"guess", "0000"}};
  (void)h.session(flow);
  h.lose_once(1);
  const size_t before = h.toy.releases;
  std::string last;
  for (int k = 0; k < 3; ++k) last = h.session(flow)[0];
  EXPECT_NE(last.find("LEDGER"), std::string::npos) << last;
  EXPECT_EQ(h.toy.releases, before);
}

TEST(FlowLedger, ShippedFlowsBookNothing) {
  History h(2);
  ASSERT_TRUE(h.finish(file("create-account"), 1));
  for (int k = 0; k < 3; ++k) ASSERT_TRUE(h.finish(file("create-session"), 1)) << h.last[0];
  for (const std::string name : {"mail/address", "account/password", "name/given"}) {
    EXPECT_EQ(h.look(0, [&](RunStore& store) { return store.booked("born account " + name); }), 0u);
  }
}

}  // namespace run_test
}  // namespace flexroom::flow
