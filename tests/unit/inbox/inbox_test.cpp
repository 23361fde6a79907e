#include "inbox/inbox.h"

#include <array>

#include "base/codec.h"
#include "unit/inbox/inbox_fixture.h"

namespace flexroom::inbox {
namespace {

using agreement::GivenInput;
using agreement::Outcome;

class InboxCase : public InboxTest {
 protected:
  ReadyRun only_ready(PartyId i, uint64_t now) {
    const auto runs = at(i).ready(now);
    EXPECT_EQ(runs.size(), 1U);
    return runs.empty() ? ReadyRun{} : runs.front();
  }
  /// START as the session does it, of one member alone.
  Started begin(PartyId i, const ReadyRun& run, uint64_t now) {
    Started out;
    out.run = run;
    out.try_number = run.tries + 1;
    out.now = now;
    out.record.configuration = conf_.digest();
    out.record.complete = run.complete;
    out.record.index = run.index;
    at(i).require_startable(run, now);
    at(i).begin(out);
    return out;
  }
  std::string problem(const std::function<void()>& action) {
    try {
      action();
    } catch (const InputError& error) {
      return error.problem();
    }
    return "";
  }
};

TEST_F(InboxCase, AProposalWaitsUntilAllApproved) {
  const Digest id = at(0).propose(proposal(terms()), now_);
  EXPECT_EQ(state(0, id), State::kComplete);
  EXPECT_FALSE(at(1).show(id, now_));
  sync(now_);
  const Digest d = complete_of(1, id);
  for (PartyId i = 0; i < 3; ++i) {
    EXPECT_TRUE(at(i).ready(now_).empty());
    at(i).approve(d, {}, now_);
  }
  sync(now_);
  for (PartyId i = 0; i < 3; ++i) {
    EXPECT_EQ(state(i, id), State::kReady);
    const ReadyRun run = only_ready(i, now_);
    EXPECT_EQ(run.complete, d);
    EXPECT_EQ(run.id, agreement::run_id(room_, d, 0));
    EXPECT_EQ(at(i).statements_about(d), at(0).statements_about(d));
    EXPECT_EQ(at(i).list(now_).size(), 1U);
    EXPECT_EQ(at(i).proposal(d).canonical(), proposal(terms()).canonical());
  }
  // And after a restart.
  for (PartyId i = 0; i < 3; ++i) reopen(i);
  EXPECT_EQ(state(2, d), State::kReady);
}

// M27: the bytes are checked against what they are filled in from before this member approves, and
// again when a run begins.
TEST_F(InboxCase, BytesThatAreFilledInOtherwiseAreNotApproved) {
  Terms t = terms();
  t.arguments["bad"] = "1";
  const Digest id = at(0).propose(proposal(t), now_);
  sync(now_);
  EXPECT_THAT(problem([&] { at(1).approve(complete_of(1, id), {}, now_); }),
              HasSubstr("filled in otherwise"));
  EXPECT_THAT(problem([&] { at(1).approve(id, {}, now_); }), HasSubstr("first digest"));
}

TEST_F(InboxCase, WhatMayNotBeProposed) {
  const auto refused = [&](const Proposal& p) { return problem([&] { at(0).propose(p, now_); }); };
  EXPECT_THAT(refused(proposal(terms(1))), HasSubstr("another member"));
  Proposal other = proposal(terms());
  other.terms[0] ^= 1;
  EXPECT_THAT(refused(other), HasSubstr("other terms"));
  other = proposal(terms());
  other.room[0] ^= 1;
  EXPECT_THAT(refused(other), HasSubstr("another room"));
  Terms late = terms();
  late.window = {now_ - 1000, now_ - 1};
  EXPECT_THAT(refused(proposal(late)), HasSubstr("expired"));
  Terms order = terms();
  order.inputs = {{mid(1), "a", "X", "", {}}, {mid(0), "a", "X", "", {}}};
  EXPECT_THAT(refused(proposal(order)), HasSubstr("order"));
  (void)at(0).propose(proposal(terms()), now_);
  EXPECT_THAT(refused(proposal(terms())), HasSubstr("before"));
}

// M35: the first INPUT fixes D; another one changes nothing, and what does not look as the
// proposal says has no effect, whoever signed it.
TEST_F(InboxCase, AnInputIsGivenOnceAndByWhoIsAsked) {
  Terms t = terms();
  t.inputs = {{mid(1), "data", "", "https://*", {}}, {mid(2), "pin", "DIGITS", "", {}}};
  const Digest id = at(0).propose(proposal(t), now_);
  sync(now_);
  EXPECT_EQ(state(1, id), State::kProposed);
  const Bytes link = to_bytes("https://a.example/x");
  EXPECT_THAT(problem([&] { at(2).input(id, "data", link, {}, now_); }), HasSubstr("not wanted"));
  EXPECT_THAT(problem([&] { at(1).input(id, "data", to_bytes("http://a"), {}, now_); }),
              HasSubstr("does not look"));
  EXPECT_THAT(problem([&] { at(1).input(id, "data", link, Digest{1}, now_); }),
              HasSubstr("no private part"));
  EXPECT_THAT(problem([&] { at(2).input(id, "pin", {}, {}, now_); }), HasSubstr("private part"));
  at(1).input(id, "data", link, {}, now_);
  const Digest commitment = agreement::input_commitment("pin", {1, 2, 3}, to_bytes("1234"));
  at(2).input(id, "pin", {}, commitment, now_);
  EXPECT_THAT(problem([&] { at(1).input(id, "data", link, {}, now_); }), HasSubstr("already"));
  sync(now_);
  const Digest d = complete_of(0, id);
  EXPECT_EQ(d, complete_of(2, id));
  const std::vector<GivenInput> inputs = at(0).inputs(id);
  ASSERT_EQ(inputs.size(), 2U);
  EXPECT_EQ(inputs[0].body.public_part, link);
  EXPECT_EQ(inputs[1].body.commitment, commitment);
  // A corrupted member signs another one all the same: D stays.
  agreement::InputBody again;
  again.proposal = id;
  again.slot = "data";
  again.public_part = to_bytes("https://evil.example/");
  const auto last = *at(1).log().last();
  const Statement s =
      forged(1, StatementKind::kInput, again.encode(), last.number + 1, last.digest);
  EXPECT_EQ(at(0).take(bundle({s.encode()}), mid(1), now_).taken, 1U);
  EXPECT_EQ(complete_of(0, id), d);
}

// Inputs that arrive before their proposal count when it comes.
TEST_F(InboxCase, StatementsOfDifferentMembersComeInAnyOrder) {
  Terms t = terms();
  t.inputs = {{mid(1), "data", "", "*", {}}};
  const Digest id = at(0).propose(proposal(t), now_);
  pull(1, 0, now_);
  at(1).input(id, "data", to_bytes("x"), {}, now_);
  const Digest d = complete_of(1, id);
  at(1).approve(d, {}, now_);
  // Only member 1's chain first.
  std::vector<Bytes> own;
  for (uint64_t n = 1; n <= at(1).log().last()->number; ++n) {
    own.push_back(*at(1).statement(mid(1), 0, n));
  }
  EXPECT_EQ(at(2).take(bundle(own), mid(1), now_).taken, own.size());
  EXPECT_FALSE(at(2).show(id, now_));
  reopen(2);
  pull(2, 0, now_);
  EXPECT_EQ(complete_of(2, id), d);
  EXPECT_EQ(at(2).show(d, now_)->decisions[1].counts, Counts::kYes);
}

// M26: terms and versions are those of now.
TEST_F(InboxCase, AnApprovalOfOtherTermsOrVersionsIsVoid) {
  secret_ = SecretNow{1, Digest{5}};
  Terms t = terms();
  t.secrets = {{"acme/key", {5}, 1, false, false, Digest{5}}};
  const Digest d = approved(t);
  EXPECT_EQ(state(0, d), State::kReady);
  const ReadyRun run = only_ready(0, now_);
  secret_ = SecretNow{2, Digest{6}};
  EXPECT_EQ(state(0, d), State::kVoid);
  EXPECT_EQ(at(0).show(d, now_)->decisions[1].counts, Counts::kVersions);
  EXPECT_TRUE(at(0).ready(now_).empty());
  EXPECT_THAT(problem([&] { at(0).require_startable(run, now_); }), HasSubstr("versions"));
  secret_ = SecretNow{1, Digest{6}};  // another secret under that number
  EXPECT_EQ(state(0, d), State::kVoid);
  secret_ = SecretNow{1, Digest{5}};
  EXPECT_EQ(state(0, d), State::kReady);
  conf_.members[2].certificate[0] ^= 1;
  conf_.number = 1;
  configurations_.push_back(conf_);
  reopen(0);
  EXPECT_EQ(state(0, d), State::kVoid);
  EXPECT_TRUE(at(0).ready(now_).empty());
  EXPECT_THAT(problem([&] { at(0).approve(d, {}, now_); }), HasSubstr("other terms"));
}

// `newest`: a later version only if a run of this very proposal made it (6.2).
TEST_F(InboxCase, NewestIsOfTheOwnRunsAlone) {
  secret_ = SecretNow{1, Digest{5}};
  Terms t = terms();
  t.repetition.times = 5;
  t.secrets = {{"acme/session", {5}, 1, true, true, Digest{5}}};
  const Digest d = approved(t);
  EXPECT_EQ(state(1, d), State::kReady);
  secret_ = SecretNow{2, d};
  EXPECT_EQ(state(1, d), State::kReady);
  secret_ = SecretNow{2, Digest{9}};
  EXPECT_EQ(state(1, d), State::kVoid);
}

// M29.
TEST_F(InboxCase, ARejectionIsFinalAndSurvivesAnOlderStateDb) {
  const Digest d = approved(terms());
  keep(1, "before");
  at(1).reject(d, "too dear", now_);
  EXPECT_EQ(state(1, d), State::kRejected);
  EXPECT_THAT(at(1).show(d, now_)->why, HasSubstr("m1 said no: too dear"));
  sync(now_);
  for (PartyId i = 0; i < 3; ++i) {
    EXPECT_EQ(state(i, d), State::kRejected);
    EXPECT_TRUE(at(i).ready(now_).empty());
    EXPECT_THAT(problem([&] { at(i).approve(d, {}, now_); }), HasSubstr("refused"));
  }
  // M29: state.db of before put back.
  put_back(1, "before");
  EXPECT_FALSE(at(1).own_log_is_whole());
  EXPECT_EQ(state(1, d), State::kRejected);
  EXPECT_TRUE(at(1).ready(now_).empty());
  EXPECT_THAT(problem([&] { at(1).propose(proposal(terms(1), "x"), now_); }),
              HasSubstr("before what this member"));
  EXPECT_TRUE(pull(1, 0, now_).own_log_is_whole_again);
  EXPECT_TRUE(at(1).own_log_is_whole());
}

// M29: what was taken back stays taken back, here by the mark, there by the number.
TEST_F(InboxCase, AWithdrawnApprovalComesBackOnlyByAnother) {
  const Digest d = approved(terms());
  keep(1, "before");
  const ReadyRun run = only_ready(1, now_);
  at(1).withdraw_approval(d, now_);
  EXPECT_EQ(state(1, d), State::kComplete);
  EXPECT_EQ(at(1).show(d, now_)->decisions[1].counts, Counts::kWithdrawn);
  sync(now_);
  EXPECT_TRUE(at(0).ready(now_).empty());
  put_back(1, "before");
  EXPECT_TRUE(at(1).ready(now_).empty());
  EXPECT_NE(problem([&] { at(1).require_startable(run, now_); }), "");
  pull(1, 0, now_);
  EXPECT_TRUE(at(1).ready(now_).empty());
  at(1).approve(d, {}, now_);
  sync(now_);
  for (PartyId i = 0; i < 3; ++i) EXPECT_EQ(at(i).ready(now_).size(), 1U) << i;
}

TEST_F(InboxCase, OnlyWhoProposedWithdrawsAProposal) {
  const Digest d = approved(terms());
  EXPECT_THAT(problem([&] { at(1).withdraw_proposal(d, now_); }), HasSubstr("another member's"));
  // Signed all the same: of no effect on the proposal.
  const agreement::WithdrawBody body{d, agreement::WithdrawBody::What::kProposal};
  const auto last = *at(2).log().last();
  const Statement s =
      forged(2, StatementKind::kWithdraw, body.encode(), last.number + 1, last.digest);
  EXPECT_EQ(at(0).take(bundle({s.encode()}), mid(2), now_).taken, 1U);
  EXPECT_NE(state(0, d), State::kWithdrawn);
  at(0).withdraw_proposal(d, now_);
  pull(1, 0, now_);
  EXPECT_EQ(state(0, d), State::kWithdrawn);
  EXPECT_EQ(state(1, d), State::kWithdrawn);
}

// M44's other half: approvals under an older rule of their author do not count.
TEST_F(InboxCase, ANewRuleVoidsItsAuthorsApprovals) {
  const Digest d = approved(terms());
  agreement::RuleBody head;
  head.version = 1;
  head.digest[0] = 3;
  at(1).rule(head.encode(), now_);
  EXPECT_EQ(at(1).rule_version(), 1U);
  sync(now_);
  EXPECT_EQ(state(0, d), State::kVoid);
  EXPECT_EQ(at(0).show(d, now_)->decisions[1].counts, Counts::kRule);
  EXPECT_THAT(problem([&] { at(1).approve(d, {}, now_); }), HasSubstr("older version"));
  at(1).approve(d, {1, Digest{4}, std::nullopt}, now_);
  sync(now_);
  EXPECT_EQ(state(0, d), State::kReady);
  EXPECT_EQ(at(0).show(d, now_)->decisions[1].approval->evidence, Digest{4});
  head.evidence[0] = 1;
  head.previous = head.digest;
  head.version = 3;
  EXPECT_THROW(at(1).rule(head.encode(), now_), InputError);
  head.version = 2;
  head.previous[1] = 1;  // does not follow
  EXPECT_THROW(at(1).rule(head.encode(), now_), InputError);
}

// M30: windows, the floor, and people who lower it.
TEST_F(InboxCase, TimeIsWithinTheWindowAndNeverBelowTheFloor) {
  Terms t = terms();
  t.window = {now_ + kHour, now_ + 2 * kHour};
  const Digest d = approved(t);
  EXPECT_TRUE(at(0).ready(now_).empty());
  EXPECT_EQ(at(0).show(d, now_)->decisions[0].counts, Counts::kEarly);
  EXPECT_EQ(at(0).ready(now_ + kHour).size(), 1U);
  EXPECT_TRUE(at(0).ready(now_ + 2 * kHour + 1).empty());
  EXPECT_EQ(state(0, d, now_ + 2 * kHour + 1), State::kExpired);
  EXPECT_EQ(state(0, d), State::kComplete);  // nobody agreed on that time
  at(0).raise_floor(now_ + 2 * kHour + 1);
  EXPECT_EQ(at(0).floor(), now_ + 2 * kHour + 1);
  // The clock goes back: it stays expired.
  EXPECT_EQ(state(0, d), State::kExpired);
  EXPECT_THROW(at(0).check_time(now_, now_), InputError);
  EXPECT_THROW(at(0).check_time(now_ + 3 * kHour, now_ + 3 * kHour + 301), InputError);
  EXPECT_THROW(at(0).check_time(now_ + 3 * kHour, now_ + 3 * kHour - 301), InputError);
  EXPECT_NO_THROW(at(0).check_time(now_ + 3 * kHour, now_ + 3 * kHour - 300));
  reopen(0);
  EXPECT_EQ(state(0, d), State::kExpired);
  // Somebody's clock stood in the future: people lower the floor, what expired stays so.
  at(0).lower_floor(now_, Digest{1}, now_);
  EXPECT_EQ(at(0).floor(), now_);
  EXPECT_NO_THROW(at(0).check_time(now_, now_));
  EXPECT_EQ(state(0, d, now_ + kHour), State::kExpired);
  EXPECT_THROW(at(0).lower_floor(now_ + 1, Digest{1}, now_), InputError);
  const auto last = *at(0).log().last();
  const auto note = Statement::decode(*at(0).statement(mid(0), 0, last.number), "x");
  EXPECT_THAT(agreement::NoteBody::decode(note.body, "x").text, HasSubstr("lowered the floor"));
}

TEST_F(InboxCase, AnApprovalMayHaveAShorterWindow) {
  const Digest id = at(0).propose(proposal(terms()), now_);
  sync(now_);
  const Digest d = complete_of(0, id);
  EXPECT_THROW(at(0).approve(d, {0, {}, Window{0, now_ + 1}}, now_), InputError);
  EXPECT_THROW(at(0).approve(d, {0, {}, Window{now_, terms().window.last + 1}}, now_), InputError);
  EXPECT_THROW(at(0).approve(d, {0, {}, Window{terms().window.first, now_ - 1}}, now_), InputError);
  at(0).approve(d, {0, {}, Window{now_, now_ + kHour}}, now_);
  at(1).approve(d, {}, now_);
  at(2).approve(d, {}, now_);
  sync(now_);
  EXPECT_EQ(at(1).ready(now_ + kHour).size(), 1U);
  EXPECT_TRUE(at(1).ready(now_ + kHour + 1).empty());
}

// M32, M33: at most once a run, at most `times`, whatever is put back but once.db.
TEST_F(InboxCase, ARunIsArmedOnce) {
  const Digest d = approved(terms());
  keep(0, "before");
  ReadyRun run = only_ready(0, now_);
  EXPECT_FALSE(at(0).arm(run, "step", 1));  // not begun
  begin(0, run, now_);
  EXPECT_EQ(only_ready(0, now_).tries, 1U);
  EXPECT_EQ(state(0, d), State::kReady);  // a try that came to nothing is void
  EXPECT_TRUE(at(0).arm(run, "step", 1));
  EXPECT_FALSE(at(0).arm(run, "step", 1));
  EXPECT_EQ(state(0, d), State::kRunning);
  EXPECT_EQ(at(0).unresolved(), std::vector<Digest>{run.id});
  EXPECT_TRUE(at(0).ready(now_).empty());
  EXPECT_TRUE(at(0).arm(run, "second step", 1));
  put_back(0, "before");
  EXPECT_EQ(at(0).unresolved(), std::vector<Digest>{run.id});
  EXPECT_FALSE(at(0).arm(run, "step", 1));
  EXPECT_TRUE(at(0).ready(now_).empty());
  at(0).finish(run.id, Outcome::kDone);
  EXPECT_EQ(state(0, d), State::kDone);
  EXPECT_TRUE(at(0).unresolved().empty());
  EXPECT_FALSE(at(0).arm(run, "third step", 1));
  EXPECT_TRUE(at(0).ready(now_).empty());
}

TEST_F(InboxCase, AtMostSoManyRuns) {
  Terms t = terms();
  t.repetition.times = 2;
  const Digest d = approved(t);
  EXPECT_EQ(at(0).ready(now_).size(), 2U);
  for (const Outcome outcome : {Outcome::kDone, Outcome::kEffectMayHaveHappened}) {
    const ReadyRun run = at(0).ready(now_).front();
    begin(0, run, now_);
    ASSERT_TRUE(at(0).arm(run, "step", 1));
    at(0).finish(run.id, outcome);
    EXPECT_FALSE(at(0).arm(run, "step", 2));
  }
  EXPECT_TRUE(at(0).ready(now_).empty());
  EXPECT_TRUE(state(0, d) == State::kDone || state(0, d) == State::kUnknown);
  // An index that D does not have.
  ReadyRun third{agreement::run_id(room_, d, 2), d, 2, 0};
  EXPECT_NE(problem([&] { at(0).require_startable(third, now_); }), "");
}

// An unknown outcome is tried again only where the proposal says so: same run, next attempt.
TEST_F(InboxCase, AgainIsTheSameRun) {
  for (const bool again : {false, true}) {
    Terms t = terms();
    t.again = again;
    (void)approved(t, again ? "again" : "never");
    const ReadyRun run = only_ready(0, now_);
    begin(0, run, now_);
    ASSERT_TRUE(at(0).arm(run, "step", 1));
    at(0).finish(run.id, Outcome::kEffectMayHaveHappened);
    EXPECT_EQ(at(0).ready(now_).size(), again ? 1U : 0U);
    EXPECT_FALSE(at(0).arm(run, "step", 1));
    EXPECT_EQ(at(0).arm(run, "step", 2), again);
    at(0).finish(run.id, Outcome::kDone);
    EXPECT_FALSE(at(0).arm(run, "step", 3));
    EXPECT_TRUE(at(0).ready(now_).empty());
  }
}

// The number of an attempt is once.db's, not the caller's: a step is not armed again under the next
// one while nobody knows what came of it.
TEST_F(InboxCase, AnotherAttemptIsNotTheCallersToChoose) {
  Terms t = terms();
  t.again = true;
  (void)approved(t);
  const ReadyRun run = only_ready(0, now_);
  begin(0, run, now_);
  EXPECT_EQ(at(0).attempt(run), 1U);
  EXPECT_FALSE(at(0).arm(run, "one", 2));
  ASSERT_TRUE(at(0).arm(run, "one", 1));
  EXPECT_FALSE(at(0).arm(run, "one", 2));
  ASSERT_TRUE(at(0).arm(run, "two", 1));
  at(0).finish(run.id, Outcome::kEffectMayHaveHappened);
  reopen(0);
  EXPECT_EQ(at(0).attempt(run), 2U);
  begin(0, only_ready(0, now_), now_);
  EXPECT_TRUE(at(0).arm(run, "one", 2));
  EXPECT_TRUE(at(0).arm(run, "two", 2));
  EXPECT_FALSE(at(0).arm(run, "two", 3));
  EXPECT_FALSE(at(0).arm(run, "one", 1));
}

// The window is of when a run begins: its second step is not stopped by the clock. A word of a
// member stops it all the same.
TEST_F(InboxCase, ExpiryDoesNotEndARunUnderWay) {
  Terms t = terms();
  t.window = {kMonday, now_ + 10};
  const Digest d = approved(t);
  const ReadyRun run = only_ready(0, now_);
  begin(0, run, now_);
  ASSERT_TRUE(at(0).arm(run, "one", 1));
  at(0).raise_floor(now_ + 60);
  EXPECT_TRUE(at(0).arm(run, "two", 1));
  const auto last = at(2).log().last();
  const Statement no = forged(2, StatementKind::kReject, agreement::RejectBody{d, ""}.encode(),
                              last->number + 1, last->digest);
  ASSERT_EQ(at(0).take(bundle({no.encode()}), mid(2), now_).taken, 1U);
  EXPECT_FALSE(at(0).arm(run, "three", 1));
  // Not armed in time: not at all.
  t.window.last += 3600;
  (void)approved(t, "late");
  const ReadyRun late = only_ready(0, now_ + 70);
  begin(0, late, now_ + 70);
  at(0).raise_floor(now_ + 7200);
  EXPECT_FALSE(at(0).arm(late, "one", 1));
}

// M34: two that were begun before either was armed are not both under way.
TEST_F(InboxCase, OfTwoRunsThatConflictOneIsArmed) {
  secret_ = SecretNow{1, Digest{5}};
  Terms t = terms();
  t.secrets = {{"acme/key", {5}, 1, false, true, Digest{5}}};
  (void)approved(t, "a");
  (void)approved(t, "b");
  const auto runs = at(0).ready(now_);
  ASSERT_EQ(runs.size(), 2U);
  for (const ReadyRun& run : runs) begin(0, run, now_);
  ASSERT_TRUE(at(0).arm(runs[0], "one", 1));
  EXPECT_FALSE(at(0).arm(runs[1], "one", 1));
  EXPECT_TRUE(at(0).arm(runs[0], "two", 1));
  at(0).finish(runs[0].id, Outcome::kDone);
  // And not with another version than was approved.
  secret_->version = 2;
  EXPECT_FALSE(at(0).arm(runs[1], "one", 1));
  secret_->version = 1;
  EXPECT_TRUE(at(0).arm(runs[1], "one", 1));
}

// M34: what this member would refuse at START is not ready, and keeps no other run waiting.
TEST_F(InboxCase, WhatIsFilledInOtherwiseIsNotReady) {
  Terms t = terms();
  t.arguments["worse"] = "1";
  (void)approved(t, "bad");
  const Digest good = approved(terms(), "good");
  EXPECT_EQ(at(0).ready(now_).size(), 2U);
  refuses_worse_ = true;
  EXPECT_EQ(only_ready(0, now_).complete, good);
}

// What others make up in START is looked up, not searched for (M37).
TEST_F(InboxCase, UnknownRunsOfOthersCostLittle) {
  Terms t = terms();
  t.repetition.times = 1000;
  for (int i = 0; i < 8; ++i) (void)approved(t, "job " + std::to_string(i));
  const Digest run = at(0).ready(now_).front().id;
  const auto begin = std::chrono::steady_clock::now();
  Digest other{};
  for (uint32_t i = 0; i < 20'000; ++i) {
    other[0] = static_cast<uint8_t>(i);
    other[1] = static_cast<uint8_t>(i >> 8);
    EXPECT_TRUE(at(0).conflict(run, other));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

// M37: what is over when it arrives takes no memory, and an author's clock prunes nothing.
TEST_F(InboxCase, WhatIsLateWhenItArrivesHasNoEffect) {
  const Statement late =
      forged(2, StatementKind::kPropose, proposal(terms(2), "late").canonical(), 1, {});
  const uint64_t after = terms().window.last + 1;
  EXPECT_EQ(at(0).take(bundle({late.encode()}), mid(2), after).taken, 1U);
  EXPECT_TRUE(at(0).list(after).empty());
  // In time, of an author whose clock is at the end of all time.
  const Statement odd = forged(2, StatementKind::kPropose, proposal(terms(2), "odd").canonical(), 2,
                               late.digest(), 0, UINT64_MAX);
  EXPECT_EQ(at(0).take(bundle({odd.encode()}), mid(2), after - 9).taken, 1U);
  EXPECT_EQ(at(0).prune(after), 0U);
  EXPECT_EQ(at(0).list(after).size(), 1U);
  reopen(0);
  EXPECT_EQ(at(0).prune(after + 91 * kDayLong), 1U);
}

// Two refusals, of which the first could be marked and not signed: both are said.
TEST_F(InboxCase, ARefusalThatWasNotSignedIsNotForgotten) {
  const Digest a = at(0).propose(proposal(terms(), "a"), now_);
  const Digest b = at(0).propose(proposal(terms(), "b"), now_);
  sync(now_);
  bool fail = false;
  reopen(1, [&](std::string_view step) {
    if (fail && step == "statement") throw InputError("disk", "is full");
  });
  fail = true;
  EXPECT_THROW(at(1).reject(a, "no", now_), InputError);
  fail = false;
  at(1).reject(b, "no", now_);
  reopen(1);
  sync(now_);
  EXPECT_EQ(state(0, a), State::kRejected);
  EXPECT_EQ(state(0, b), State::kRejected);
}

// A RULE that another process enters while this one signs is not passed over.
TEST_F(InboxCase, ARuleOfAnotherProcessIsSeenBeforeWhatIsSignedNext) {
  const Digest id = at(0).propose(proposal(terms()), now_);
  sync(now_);
  const Digest d = complete_of(1, id);
  bool enter = false;
  reopen(1, [&](std::string_view step) {
    if (!enter || step != "statement") return;
    enter = false;
    const auto db = open(name(1));
    const auto once = open_once(name(1));
    store::AuditLog log(*db, *once, identities_[1], room_, mid(1));
    agreement::RuleBody rule;
    rule.version = 1;
    rule.digest[0] = 3;
    log.append_rule(rule);
  });
  enter = true;
  EXPECT_THAT(problem([&] { at(1).approve(d, {}, now_); }), HasSubstr("older version"));
  EXPECT_EQ(at(1).rule_version(), 1U);
  EXPECT_FALSE(at(1).show(d, now_)->decisions[1].approval);
  at(1).approve(d, {1, Digest{4}, std::nullopt}, now_);
  EXPECT_EQ(at(1).show(d, now_)->decisions[1].counts, Counts::kYes);
}

// The inbox signs, and takes of others, what the verifier of the log does (5.4).
TEST_F(InboxCase, RulesAndApprovalsAreAsTheVerifierWantsThem) {
  const Digest d = approved(terms());
  agreement::RuleBody rule;
  rule.version = 1;
  rule.digest[0] = 3;
  at(1).rule(rule.encode(), now_);
  EXPECT_THAT(problem([&] {
                at(1).approve(d, {1, {}, std::nullopt}, now_);
              }),
              HasSubstr("without this member's people"));
  rule.version = 2;
  rule.reset = true;
  rule.previous[0] = 9;
  EXPECT_THROW(at(1).rule(rule.encode(), now_), InputError);
  // Of others: one that jumps, or resets upon another one, voids nothing.
  agreement::RuleBody jump;
  jump.version = 5;
  jump.digest[0] = jump.previous[0] = jump.evidence[0] = 4;
  agreement::RuleBody reset = jump;
  reset.version = 2;
  reset.reset = true;
  reset.evidence = {};
  const auto last = *at(2).log().last();
  uint64_t number = last.number;
  Digest previous = last.digest;
  for (const agreement::RuleBody& body : {jump, reset}) {
    (void)agreement::RuleBody::decode(body.encode(), "well-formed");
    const Statement s = forged(2, StatementKind::kRule, body.encode(), ++number, previous);
    previous = s.digest();
    EXPECT_EQ(at(0).take(bundle({s.encode()}), mid(2), now_).taken, 1U);
    EXPECT_EQ(at(0).show(d, now_)->decisions[2].counts, Counts::kYes);
  }
}

// While it waits for a person a run is in nobody's way, and goes on under its index.
TEST_F(InboxCase, ARunThatWaitsForAPersonGoesOnAsTheSame) {
  const Digest d = approved(terms());
  const ReadyRun run = only_ready(0, now_);
  begin(0, run, now_);
  ASSERT_TRUE(at(0).arm(run, "one", 1));
  at(0).suspend(run);
  EXPECT_TRUE(at(0).unresolved().empty());
  EXPECT_EQ(only_ready(0, now_).id, run.id);
  reopen(0);
  begin(0, only_ready(0, now_), now_);
  EXPECT_FALSE(at(0).arm(run, "one", 1));
  EXPECT_TRUE(at(0).arm(run, "two", 1));
  EXPECT_EQ(state(0, d), State::kRunning);
}

// A withdrawal between START and the own share ends this member's part (the model's
// stop_on_withdrawal).
TEST_F(InboxCase, NothingIsArmedAfterTheApprovalWasTakenBack) {
  const Digest d = approved(terms());
  const ReadyRun run = only_ready(0, now_);
  begin(0, run, now_);
  at(0).withdraw_approval(d, now_);
  EXPECT_FALSE(at(0).arm(run, "step", 1));
  at(0).approve(d, {}, now_);
  EXPECT_TRUE(at(0).arm(run, "step", 1));
}

// M31: a schedule runs once in each slot; what is missed is missed and not counted.
TEST_F(InboxCase, AScheduleRunsOnceInEachSlot) {
  Terms t = terms();
  t.window = {kMonday, kMonday + 200 * kDayLong};
  t.repetition = {3, WeeklyHours::parse("Mon 08:00-10:00", "x")};
  now_ = kMonday + kHour;
  const Digest d = approved(t);
  EXPECT_TRUE(at(0).ready(now_).empty());
  // Weeks 0 to 3 are missed.
  uint32_t week = 4;
  for (; week < 7; ++week) {
    const uint64_t at_nine = kMonday + week * 7 * kDayLong + 9 * kHour;
    const ReadyRun run = only_ready(0, at_nine);
    EXPECT_EQ(run.index, week);
    begin(0, run, at_nine);
    ASSERT_TRUE(at(0).arm(run, "step", 1));
    EXPECT_TRUE(at(0).ready(at_nine + 60).empty());
    at(0).finish(run.id, Outcome::kDone);
    EXPECT_TRUE(at(0).ready(at_nine + 120).empty());
    reopen(0);
    EXPECT_TRUE(at(0).ready(at_nine + 180).empty());
  }
  EXPECT_TRUE(at(0).ready(kMonday + week * 7 * kDayLong + 9 * kHour).empty());
  EXPECT_EQ(state(0, d), State::kDone);
}

// M34: two runs over one secret, one of which makes a version of it.
TEST_F(InboxCase, RunsThatReplaceWhatAnotherUsesConflict) {
  secret_ = SecretNow{1, Digest{5}};
  Terms reads = terms(), replaces = terms(), other = terms();
  reads.secrets = {{"acme/key", {5}, 1, false, false, Digest{5}}};
  replaces.secrets = {{"acme/key", {5}, 1, false, true, Digest{5}}};
  const auto run = [&](const Digest& d) { return agreement::run_id(room_, d, 0); };
  const Digest a = run(approved(reads, "a")), b = run(approved(replaces, "b")),
               c = run(approved(reads, "c")), e = run(approved(other, "e"));
  EXPECT_TRUE(at(0).conflict(a, b));
  EXPECT_TRUE(at(0).conflict(b, a));
  EXPECT_FALSE(at(0).conflict(a, c));
  EXPECT_FALSE(at(0).conflict(b, e));
  EXPECT_TRUE(at(0).conflict(a, a));
  EXPECT_TRUE(at(0).conflict(e, Digest{77}));  // of whom nothing is known
}

// M50 in the inbox: what a rule approves is counted in once.db before it is signed, and the others
// see that nobody looked.
TEST_F(InboxCase, AStandingRuleApprovesAndCounts) {
  now_ = kMonday + 9 * kHour;
  const std::string text = "[[approve]]\nname = \"morning\"\nrecipe = \"sha256:09" +
                           std::string(62, '0') +
                           "\"\nfrom = [\"m0\"]\nargs = { region = [\"eu-1\"] }\n"
                           "hours = \"Mon-Fri 08:00-18:00\"\nper_day = 2\nuntil = 2026-12-31\n";
  const auto rules = StandingRules::parse(text, "rules.toml", now_);
  std::vector<Digest> all;
  for (int i = 0; i < 3; ++i) {
    all.push_back(at(0).propose(proposal(terms(), "job " + std::to_string(i)), now_));
  }
  Terms bad = terms();
  bad.arguments = {{"region", "us-1"}};
  (void)at(0).propose(proposal(bad, "another region"), now_);
  sync(now_);
  keep(1, "before");
  EXPECT_EQ(at(1).apply(rules, 0, now_).size(), 2U);
  EXPECT_TRUE(at(1).apply(rules, 0, now_).empty());
  EXPECT_THROW(at(1).apply(rules, 1, now_), InputError);
  sync(now_);
  size_t approved = 0;
  for (const Item& item : at(2).list(now_)) {
    if (!item.decisions[1].approval) continue;
    ++approved;
    EXPECT_EQ(item.decisions[1].approval->automatic, "morning");
    EXPECT_EQ(item.decisions[1].approval->not_after, kMonday + 18 * kHour - 1);
  }
  EXPECT_EQ(approved, 2U);
  // state.db of before put back: the count is in once.db.
  put_back(1, "before");
  EXPECT_THROW(at(1).approve(complete_of(1, all[2]), {}, now_), InputError);
  EXPECT_TRUE(at(1).apply(rules, 0, now_).empty());
  pull(1, 0, now_);
  EXPECT_TRUE(at(1).apply(rules, 0, now_).empty());
  // What lapsed may be approved again on another day, and counts again.
  now_ += kDayLong;
  EXPECT_EQ(at(1).apply(rules, 0, now_).size(), 2U);
  // What people took back is theirs.
  std::optional<Digest> taken_back;
  for (const Item& item : at(1).list(now_)) {
    if (item.decisions[1].counts == Counts::kYes) taken_back = item.complete;
  }
  ASSERT_TRUE(taken_back);
  at(1).withdraw_approval(*taken_back, now_);
  now_ += kDayLong;
  EXPECT_EQ(at(1).apply(rules, 0, now_).size(), 2U);
  EXPECT_EQ(at(1).show(*taken_back, now_)->decisions[1].counts, Counts::kWithdrawn);
}

// Killed at every durable step of every operation of its own: after the restart the statement is
// there and says what the marks say, or neither is.
TEST_F(InboxCase, KilledAtEveryStepItSaysOneThing) {
  const Digest d = approved(terms());
  const std::vector<std::pair<std::string, std::function<void(Inbox&)>>> operations = {
      {"withdraw", [&](Inbox& in) { in.withdraw_approval(d, now_); }},
      {"approve", [&](Inbox& in) { in.approve(d, {}, now_); }},
      {"begin",
       [&](Inbox& in) {
         Started s;
         s.run = in.ready(now_).at(0);
         s.try_number = 1;
         s.now = now_;
         in.begin(s);
       }},
      {"arm",
       [&](Inbox& in) {
         if (!in.ready(now_).empty()) (void)in.arm(in.ready(now_).at(0), "step", 1);
       }},
      {"reject", [&](Inbox& in) { in.reject(d, "no", now_); }},
  };
  for (const auto& [what, operation] : operations) {
    for (size_t stop_at = 0;; ++stop_at) {
      size_t seen = 0;
      bool killed = false;
      reopen(1, [&](std::string_view) {
        if (!killed && seen++ == stop_at) {
          killed = true;
          throw std::runtime_error("killed");
        }
      });
      try {
        operation(at(1));
      } catch (const std::runtime_error&) {
      }
      reopen(1);
      const Item item = *at(1).show(d, now_);
      const bool yes = item.decisions[1].counts == Counts::kYes;
      // What this member says is what it would do: its own mark and its statement agree.
      EXPECT_EQ(!at(1).ready(now_).empty(), item.state == State::kReady) << what << stop_at;
      if (what == "withdraw") {
        EXPECT_EQ(yes, killed && stop_at == 0) << stop_at;
      }
      if (what == "reject") {
        EXPECT_EQ(item.decisions[1].rejected.has_value(), !killed || stop_at > 0) << stop_at;
      }
      EXPECT_TRUE(at(1).own_log_is_whole());
      if (!killed) break;
      ASSERT_LT(stop_at, 20U);
      if (what == "withdraw" && !yes) at(1).approve(d, {}, now_);
      if (what == "approve" && yes) at(1).withdraw_approval(d, now_);
      if (what == "reject" && stop_at > 0) return;
    }
    sync(now_);
  }
}

TEST_F(InboxCase, AClosedProposalThatNeverRanIsPruned) {
  const Digest old = at(0).propose(proposal(terms(), "old"), now_);
  const Digest ran = approved(terms(), "ran");
  at(0).withdraw_proposal(old, now_);
  sync(now_);
  const ReadyRun run = only_ready(1, now_);
  begin(1, run, now_);
  ASSERT_TRUE(at(1).arm(run, "step", 1));
  at(1).finish(run.id, Outcome::kDone);
  EXPECT_EQ(at(1).prune(now_ + 89 * kDayLong), 0U);
  EXPECT_EQ(at(1).prune(now_ + 90 * kDayLong), 1U);
  EXPECT_FALSE(at(1).show(old, now_));
  EXPECT_FALSE(at(1).statement(mid(0), 0, 1));
  EXPECT_TRUE(at(1).show(ran, now_));
  // Its chain goes on, and the digest is still held against others'.
  (void)at(0).propose(proposal(terms(), "new"), now_);
  EXPECT_GT(pull(1, 0, now_).taken, 0U);
  EXPECT_EQ(at(0).prune(now_ + 90 * kDayLong), 0U);  // the own log keeps everything
}

TEST_F(InboxCase, StartsThatFailPause) {
  for (uint64_t i = 0; i < 9; ++i) at(0).note_failed_start(mid(1), now_ + i);
  EXPECT_EQ(at(0).pause_until(mid(1), now_ + 9), 0U);
  at(0).note_failed_start(mid(1), now_ + 9);
  EXPECT_EQ(at(0).pause_until(mid(1), now_ + 9), now_ + 39);
  EXPECT_EQ(at(0).pause_until(mid(2), now_ + 9), 0U);
  uint64_t at_last = now_ + 40;
  for (int i = 0; i < 10; ++i) {
    at(0).note_failed_start(mid(1), at_last);
    const uint64_t until = at(0).pause_until(mid(1), at_last);
    EXPECT_LE(until, at_last + 600);
    at_last += 20;
  }
  EXPECT_EQ(at(0).pause_until(mid(1), at_last - 20), at_last - 20 + 600);
  EXPECT_EQ(at(0).pause_until(mid(1), at_last + 600), 0U);
}

// M38: a copied or restored node counts what was counted.
TEST_F(InboxCase, ASessionNumberComesOnce) {
  const auto first = at(0).next_session(), second = at(0).next_session();
  EXPECT_LT(first.counter, second.counter);
  EXPECT_NO_THROW(at(1).check_session(mid(0), second));
  for (const auto& old : {first, second}) {
    try {
      at(1).check_session(mid(0), old);
      ADD_FAILURE();
    } catch (const ProtocolAbort& abort) {
      EXPECT_THAT(abort.what(), HasSubstr("m0 runs twice, or was restored"));
    }
  }
  reopen(1);
  EXPECT_THROW(at(1).check_session(mid(0), second), ProtocolAbort);
  EXPECT_NO_THROW(at(1).check_session(mid(0), {1, 1}));  // a new incarnation, shown to all
  reopen(0);
  EXPECT_EQ(at(0).next_session().counter, second.counter + 1);
}

}  // namespace
}  // namespace flexroom::inbox
