#include <array>
#include <random>

#include "base/codec.h"
#include "unit/inbox/inbox_fixture.h"

// Chains of statements between members: members.md §5.1, §5.2, §5.3.

namespace flexroom::inbox {
namespace {

class ExchangeTest : public InboxTest {
 protected:
  Statement note(PartyId author, uint64_t number, const Digest& previous, const std::string& text,
                 uint32_t incarnation = 0, uint64_t time = kMonday) {
    agreement::NoteBody body;
    body.text = text;
    return forged(author, StatementKind::kNote, body.encode(), number, previous, incarnation, time);
  }
  std::string why_stopped(PartyId to, const std::vector<Bytes>& statements) {
    const TakeReport report = at(to).take(bundle(statements), mid(2), now_);
    return report.stopped.empty() ? "" : report.stopped.front().why;
  }
  Statement approve(PartyId author, const Digest& d, uint64_t number, const Digest& previous) {
    agreement::ApproveBody body;
    body.proposal = d;
    body.terms = conf_.terms();
    body.versions = terms().versions();
    body.not_before = terms().window.first;
    body.not_after = terms().window.last;
    return forged(author, StatementKind::kApprove, body.encode(), number, previous);
  }
  Statement reject(PartyId author, const Digest& d, uint64_t number, const Digest& previous) {
    return forged(author, StatementKind::kReject, agreement::RejectBody{d, "no"}.encode(), number,
                  previous);
  }
};

TEST_F(ExchangeTest, OnlyWhatItsAuthorSignedAndWhatFollowsIsTaken) {
  const Statement one = note(2, 1, {}, "a");
  Statement stranger = note(2, 1, {}, "a");
  stranger.author = {99};
  stranger.sign(identities_[2]);
  EXPECT_THAT(why_stopped(0, {stranger.encode()}), HasSubstr("no member"));
  Statement unsigned_one = one;
  unsigned_one.signature[3] ^= 1;
  EXPECT_THAT(why_stopped(0, {unsigned_one.encode()}), HasSubstr("not signed"));
  Statement others = note(2, 1, {}, "a");
  others.author = mid(1);
  others.sign(identities_[2]);
  EXPECT_THAT(why_stopped(0, {others.encode()}), HasSubstr("not signed"));
  EXPECT_THAT(why_stopped(0, {note(2, 1, Digest{1}, "a").encode()}), HasSubstr("follow"));
  EXPECT_EQ(at(0).take(bundle({one.encode()}), mid(2), now_).taken, 1U);
  EXPECT_EQ(at(0).take(bundle({one.encode()}), mid(1), now_).known, 1U);
  EXPECT_THAT(why_stopped(0, {note(2, 2, Digest{1}, "b").encode()}), HasSubstr("follow"));
  // Another one with its number proves something only if its author signed it.
  Statement another = note(2, 1, {}, "b");
  another.signature[3] ^= 1;
  EXPECT_THAT(why_stopped(0, {another.encode()}), HasSubstr("not signed"));
  EXPECT_TRUE(at(0).forks().empty());
  // Out of its place: asked for again, not an error.
  EXPECT_EQ(why_stopped(0, {note(2, 3, one.digest(), "b").encode()}), "");
  EXPECT_EQ(at(0).take(bundle({note(2, 2, one.digest(), "b").encode()}), mid(1), now_).taken, 1U);
  EXPECT_FALSE(at(0).statement(mid(2), 0, 3));
}

TEST_F(ExchangeTest, MessagesThatNoHonestMemberSendsAreRefused) {
  (void)approved(terms());
  const Bytes heads = at(0).heads();
  const Bytes wants = at(2).missing(at(0).heads(), mid(0), now_);
  EXPECT_TRUE(wants.empty());
  (void)at(0).propose(proposal(terms(), "more"), now_);
  const Bytes asked = at(2).missing(at(0).heads(), mid(0), now_);
  const Bytes given = at(0).give(asked, mid(2));
  const auto each = [&](const Bytes& good, const std::function<void(const Bytes&)>& read) {
    for (size_t cut = 0; cut < good.size(); cut += 7) {
      EXPECT_THROW(read(Bytes(good.begin(), good.begin() + static_cast<ptrdiff_t>(cut))),
                   ProtocolAbort);
    }
    Bytes more = good;
    more.push_back(0);
    EXPECT_THROW(read(more), ProtocolAbort);
    Bytes form = good;
    form[0] = 2;
    EXPECT_THROW(read(form), ProtocolAbort);
    Bytes many = good;
    many[1] = 0xff;
    EXPECT_THROW(read(many), ProtocolAbort);
  };
  each(heads, [&](const Bytes& b) { (void)at(1).missing(b, mid(0), now_); });
  each(asked, [&](const Bytes& b) { (void)at(0).give(b, mid(1)); });
  each(given, [&](const Bytes& b) { (void)at(1).take(b, mid(0), now_); });
  // Doubled and unsorted lists.
  Writer twice;
  twice.u8(1).u32(2);
  for (int i = 0; i < 2; ++i) twice.raw(mid(0)).u32(0).u64(1).raw(Digest{});
  twice.u32(0);
  EXPECT_THROW((void)at(1).missing(twice.bytes(), mid(0), now_), ProtocolAbort);
  Writer backwards;
  backwards.u8(1).u32(1).raw(mid(0)).u32(0).u64(5).u64(4).u32(0);
  EXPECT_THROW((void)at(1).give(backwards.bytes(), mid(0)), ProtocolAbort);
  Statement foreign = note(2, 1, {}, "a");
  foreign.room[0] ^= 1;
  foreign.sign(identities_[2]);
  EXPECT_THROW((void)at(1).take(bundle({foreign.encode()}), mid(2), now_), ProtocolAbort);
}

// M28: APPROVE to one, REJECT to the other: both name the author, nothing starts with it, until
// people of all others said so and it began a new chain.
TEST_F(ExchangeTest, TwoStatementsWithOneNumberAreKeptAndStopTheirAuthor) {
  const Digest id = at(0).propose(proposal(terms()), now_);
  sync(now_);
  const Digest d = complete_of(0, id);
  at(0).approve(d, {}, now_);
  at(1).approve(d, {}, now_);
  const Statement yes = approve(2, d, 1, {}), no = reject(2, d, 1, {});
  EXPECT_EQ(at(0).take(bundle({yes.encode()}), mid(2), now_).taken, 1U);
  EXPECT_EQ(at(1).take(bundle({no.encode()}), mid(2), now_).taken, 1U);
  pull(0, 1, now_);
  pull(1, 0, now_);
  for (PartyId i : {0U, 1U}) {
    const auto forks = at(i).forks();
    ASSERT_EQ(forks.size(), 1U) << i;
    EXPECT_EQ(forks[0].author, mid(2));
    EXPECT_EQ(forks[0].number, 1U);
    EXPECT_TRUE(Statement::decode(forks[0].first, "x").verify(identities_[2].signing_key()));
    EXPECT_TRUE(Statement::decode(forks[0].second, "x").verify(identities_[2].signing_key()));
    EXPECT_TRUE(at(i).ready(now_).empty());
    EXPECT_EQ(at(i).show(d, now_)->decisions[2].counts, i == 0 ? Counts::kFork : Counts::kNone);
  }
  EXPECT_EQ(at(0).forks()[0].id, at(1).forks()[0].id);
  reopen(0);
  EXPECT_EQ(at(0).forks().size(), 1U);
  // Nothing more of that chain is taken.
  EXPECT_THAT(why_stopped(0, {note(2, 2, yes.digest(), "go on").encode()}), HasSubstr("forks"));
  // People of both others, and a chain that begins anew.
  const Digest d2 = [&] {
    const Digest other = at(0).propose(proposal(terms(), "another"), now_);
    pull(1, 0, now_);
    return complete_of(0, other);
  }();
  at(0).approve(d2, {}, now_);
  at(1).approve(d2, {}, now_);
  agreement::ApproveBody body;
  body.proposal = d2;
  body.terms = conf_.terms();
  body.versions = terms().versions();
  body.not_before = terms().window.first;
  body.not_after = terms().window.last;
  const Statement anew = forged(2, StatementKind::kApprove, body.encode(), 1, {}, 1);
  EXPECT_EQ(at(0).take(bundle({anew.encode()}), mid(2), now_).taken, 1U);
  pull(0, 1, now_);
  EXPECT_TRUE(at(0).ready(now_).empty());
  at(0).go_on_after(at(0).forks()[0].id, now_);
  EXPECT_TRUE(at(0).ready(now_).empty());
  at(1).go_on_after(at(1).forks()[0].id, now_);
  pull(0, 1, now_);
  EXPECT_EQ(at(0).forks()[0].gone_on.size(), 2U);
  ASSERT_EQ(at(0).ready(now_).size(), 1U);
  EXPECT_EQ(at(0).ready(now_).front().complete, d2);
  EXPECT_THROW(at(0).go_on_after(Digest{1}, now_), InputError);
}

// The chains differ earlier than where they end: the number where they part is found.
TEST_F(ExchangeTest, AForkFurtherBackIsFoundToo) {
  const Statement one = note(2, 1, {}, "one");
  const Statement a2 = note(2, 2, one.digest(), "a2"), b2 = note(2, 2, one.digest(), "b2");
  const Statement b3 = note(2, 3, b2.digest(), "b3"), b4 = note(2, 4, b3.digest(), "b4");
  (void)at(0).take(bundle({one.encode(), a2.encode()}), mid(2), now_);
  (void)at(1).take(bundle({one.encode(), b2.encode(), b3.encode(), b4.encode()}), mid(2), now_);
  pull(0, 1, now_);
  ASSERT_EQ(at(0).forks().size(), 1U);
  EXPECT_EQ(at(0).forks()[0].number, 2U);
  pull(1, 0, now_);
  ASSERT_EQ(at(1).forks().size(), 1U);
  EXPECT_EQ(at(1).forks()[0].id, at(0).forks()[0].id);
}

// Who holds neither branch, or one alone, takes the proof from who has it.
TEST_F(ExchangeTest, AProofIsPassedOn) {
  const Statement a = note(1, 1, {}, "a"), b = note(1, 1, {}, "b");
  (void)at(0).take(bundle({a.encode(), b.encode()}), mid(1), now_);
  ASSERT_EQ(at(0).forks().size(), 1U);
  (void)at(2).take(bundle({a.encode()}), mid(1), now_);
  pull(2, 0, now_);
  ASSERT_EQ(at(2).forks().size(), 1U);
  EXPECT_EQ(at(2).forks()[0].id, at(0).forks()[0].id);
}

// Two pairs prove one fork, and name it alike: its author may go on when the others said so (5.2).
TEST_F(ExchangeTest, OneForkHasOneNameWhateverProvesIt) {
  const Statement a = note(2, 1, {}, "a"), b = note(2, 1, {}, "b"), c = note(2, 1, {}, "c");
  (void)at(0).take(bundle({a.encode(), b.encode()}), mid(2), now_);
  (void)at(1).take(bundle({a.encode(), c.encode()}), mid(2), now_);
  pull(0, 1, now_);
  pull(1, 0, now_);
  ASSERT_EQ(at(0).forks().size(), 1U);
  ASSERT_EQ(at(1).forks().size(), 1U);
  EXPECT_EQ(at(0).forks()[0].id, at(1).forks()[0].id);
  EXPECT_TRUE(at(0).missing(at(1).heads(), mid(1), now_).empty());
  const Statement anew = note(2, 1, {}, "anew", 1);
  for (PartyId i : {0U, 1U}) {
    (void)at(i).take(bundle({anew.encode()}), mid(2), now_);
    at(i).go_on_after(at(i).forks()[0].id, now_);
  }
  pull(0, 1, now_);
  pull(1, 0, now_);
  const Digest id = at(0).propose(proposal(terms()), now_);
  pull(1, 0, now_);
  for (PartyId i : {0U, 1U}) {
    EXPECT_EQ(at(i).forks()[0].gone_on.size(), 2U);
    EXPECT_EQ(at(i).show(id, now_)->decisions[2].counts, Counts::kNone);
  }
  agreement::ApproveBody body;
  body.proposal = complete_of(0, id);
  body.terms = conf_.terms();
  body.versions = terms().versions();
  body.not_before = terms().window.first;
  body.not_after = terms().window.last;
  const Statement yes = forged(2, StatementKind::kApprove, body.encode(), 2, anew.digest(), 1);
  for (PartyId i : {0U, 1U}) {
    EXPECT_EQ(at(i).take(bundle({yes.encode()}), mid(2), now_).taken, 1U);
    EXPECT_EQ(at(i).show(id, now_)->decisions[2].counts, Counts::kYes);
  }
}

// M37: a proof of two of the longest statements takes the place of nothing else.
TEST_F(ExchangeTest, TheLargestProofAndWhatIsBesideItBothArrive) {
  Statement big[2];
  for (int i = 0; i < 2; ++i) {
    big[i] = forged(0, StatementKind::kPropose,
                    Bytes(agreement::kMaxStatementBytes - 512, static_cast<uint8_t>(i)), 1, {});
    ASSERT_LE(big[i].encode().size(), agreement::kMaxStatementBytes);
    ASSERT_GT(big[i].encode().size(), agreement::kMaxStatementBytes - 512);
    (void)at(1).take(bundle({big[i].encode()}), mid(0), now_);
  }
  ASSERT_EQ(at(1).forks().size(), 1U);
  const Digest mine = at(1).propose(proposal(terms(1)), now_);
  for (int i = 0; i < 2; ++i) {
    const Bytes wants = at(2).missing(at(1).heads(), mid(1), now_);
    if (!wants.empty()) (void)at(2).take(at(1).give(wants, mid(2)), mid(1), now_);
  }
  EXPECT_EQ(at(2).forks().size(), 1U);
  EXPECT_TRUE(at(2).show(mine, now_));
}

// M37: of an author that is not taken now nothing keeps another's statements from coming.
TEST_F(ExchangeTest, AuthorsTakeTurnsInABundle) {
  // Of one author as many as leave room for nothing else.
  constexpr size_t kRoom = Quotas::kMaxBundle - (64 << 10),
                   kLongest = agreement::kMaxStatementBytes;
  const std::array<size_t, 3> sizes = {kLongest, kLongest, kRoom - 2 * (kLongest + 4) - 100};
  const size_t bare = forged(0, StatementKind::kPropose, {}, 1, {}).encode().size();
  Digest previous{};
  for (uint64_t n = 1; n <= sizes.size(); ++n) {
    const Statement s =
        forged(0, StatementKind::kPropose, Bytes(sizes[n - 1] - bare, 1), n, previous);
    previous = s.digest();
    ASSERT_EQ(at(1).take(bundle({s.encode()}), mid(0), now_).taken, 1U);
  }
  agreement::NoteBody body;
  const Statement first = note(1, 1, {}, "of an honest member");
  (void)at(1).propose(proposal(terms(1)), now_);
  const Bytes wants = at(2).missing(at(1).heads(), mid(1), now_);
  const TakeReport report = at(2).take(at(1).give(wants, mid(2)), mid(1), now_);
  EXPECT_TRUE(at(2).statement(mid(0), 0, 1));
  EXPECT_TRUE(at(2).statement(mid(1), 0, 1));
}

// What was no good is not asked for again at once, of who gave it; of others it is (M37).
TEST_F(ExchangeTest, WhatIsRefusedIsNotAskedForAgainAtOnce) {
  const Statement one = note(0, 1, {}, "one");
  (void)at(1).take(bundle({one.encode()}), mid(0), now_);
  Statement bad = one;
  bad.signature[3] ^= 1;
  EXPECT_FALSE(at(2).take(bundle({bad.encode()}), mid(1), now_).stopped.empty());
  EXPECT_TRUE(at(2).missing(at(1).heads(), mid(1), now_).empty());
  EXPECT_FALSE(at(2).missing(at(1).heads(), mid(0), now_).empty());
  EXPECT_FALSE(at(2).missing(at(1).heads(), mid(1), now_ + 60).empty());
  EXPECT_EQ(pull(2, 1, now_ + 60).taken, 1U);
}

// M37: proofs of statements ahead of a chain are as few as its author may have chains, and those of
// one author take no other's place.
TEST_F(ExchangeTest, ForksAreBoundedByAuthor) {
  const auto pair = [&](PartyId author, uint32_t incarnation) {
    return bundle({note(author, 5, {}, "a", incarnation).encode(),
                   note(author, 5, {}, "b", incarnation).encode()});
  };
  size_t stopped = 0;
  for (uint32_t i = 0; i <= Quotas::kMaxIncarnations; ++i) {
    stopped += at(0).take(pair(2, i), mid(2), now_).stopped.size();
  }
  EXPECT_EQ(stopped, 1U);
  EXPECT_EQ(at(0).forks().size(), Quotas::kMaxIncarnations);
  EXPECT_EQ(at(0).take(pair(1, 0), mid(1), now_).forks.size(), 1U);
  (void)at(0).take(bundle({note(1, 1, {}, "anew", 1).encode()}), mid(1), now_);
  const Digest id = at(0).propose(proposal(terms()), now_);
  agreement::ApproveBody body;
  body.proposal = complete_of(0, id);
  body.terms = conf_.terms();
  body.versions = terms().versions();
  body.not_after = terms().window.last;
  const Statement yes =
      forged(1, StatementKind::kApprove, body.encode(), 2, note(1, 1, {}, "anew", 1).digest(), 1);
  ASSERT_EQ(at(0).take(bundle({yes.encode()}), mid(1), now_).taken, 1U);
  EXPECT_EQ(at(0).show(id, now_)->decisions[1].counts, Counts::kFork);
  reopen(0);
  EXPECT_EQ(at(0).forks().size(), Quotas::kMaxIncarnations + 1);
  EXPECT_EQ(at(0).show(id, now_)->decisions[1].counts, Counts::kFork);
  EXPECT_FALSE(at(1).missing(at(0).heads(), mid(0), now_).empty());
}

// One statement under two signatures is one statement.
TEST_F(ExchangeTest, OneStatementTwiceIsNoFork) {
  const Statement ahead = note(2, 5, Digest{1}, "ahead");
  const TakeReport report = at(0).take(bundle({ahead.encode(), ahead.encode()}), mid(2), now_);
  EXPECT_TRUE(report.forks.empty());
}

// Who left the room says nothing new (1.2); what was known of it stays.
TEST_F(ExchangeTest, WhoLeftIsNoAuthorAnyMore) {
  const Statement one = note(2, 1, {}, "as a member");
  EXPECT_EQ(at(0).take(bundle({one.encode()}), mid(2), now_).taken, 1U);
  Configuration next = conf_;
  next.number = 1;
  next.previous = conf_.digest();
  next.members.pop_back();
  configurations_.push_back(next);
  reopen(0);
  EXPECT_THAT(why_stopped(0, {note(2, 2, one.digest(), "after").encode()}), HasSubstr("left"));
  EXPECT_TRUE(at(0).statement(mid(2), 0, 1));
  const Statement left = forged(2, StatementKind::kLeft, to_bytes("x"), 2, one.digest());
  EXPECT_EQ(at(0).take(bundle({left.encode()}), mid(2), now_).taken, 1U);
}

// What an author says last counts, in whatever order its chains arrive.
TEST_F(ExchangeTest, TheOrderOfIncarnationsDecidesNothing) {
  Terms t = terms();
  t.inputs = {{mid(2), "data", "", "*", {}}, {mid(1), "more", "", "*", {}}};
  std::swap(t.inputs[0], t.inputs[1]);
  const Digest id = at(0).propose(proposal(t), now_);
  sync(now_);
  const auto input = [&](const std::string& value, uint32_t incarnation) {
    agreement::InputBody body;
    body.proposal = id;
    body.slot = "data";
    body.public_part = to_bytes(value);
    return forged(2, StatementKind::kInput, body.encode(), 1, {}, incarnation);
  };
  const Statement old_input = input("old", 0), new_input = input("new", 1);
  (void)at(0).take(bundle({old_input.encode(), new_input.encode()}), mid(2), now_);
  (void)at(1).take(bundle({new_input.encode(), old_input.encode()}), mid(2), now_);
  at(1).input(id, "more", to_bytes("x"), {}, now_);
  pull(0, 1, now_);
  const Digest d = complete_of(0, id);
  EXPECT_EQ(d, complete_of(1, id));
  EXPECT_EQ(at(0).inputs(id)[1].body.public_part, to_bytes("old"));
  agreement::ApproveBody body;
  body.proposal = d;
  body.terms = conf_.terms();
  body.versions = t.versions();
  body.not_after = t.window.last;
  const Statement old_yes =
      forged(2, StatementKind::kApprove, body.encode(), 2, old_input.digest());
  const Statement new_yes =
      forged(2, StatementKind::kApprove, body.encode(), 2, new_input.digest(), 1);
  (void)at(0).take(bundle({old_yes.encode(), new_yes.encode()}), mid(2), now_);
  (void)at(1).take(bundle({new_yes.encode(), old_yes.encode()}), mid(2), now_);
  for (PartyId i : {0U, 1U}) {
    EXPECT_EQ(at(i).show(id, now_)->decisions[2].counts, Counts::kYes) << i;
  }
  EXPECT_EQ(at(0).statements_about(d), at(1).statements_about(d));
}

// A RULE that was entered before once.db was lost, while no inbox was open, is in force after it.
TEST_F(ExchangeTest, OwnStatementsOfAnEarlierIncarnationCount) {
  const auto close = [&](PartyId i) {
    members_[i].inbox.reset();
    members_[i].once.reset();
    members_[i].db.reset();
  };
  (void)at(1).propose(proposal(terms(1), "of before"), now_);
  close(1);
  const auto by_hand = [&](const std::function<void(store::AuditLog&)>& enter) {
    const auto db = open(name(1));
    const auto once = open_once(name(1));
    store::AuditLog log(*db, *once, identities_[1], room_, mid(1));
    enter(log);
  };
  agreement::RuleBody rule;
  rule.version = 1;
  rule.digest[0] = 3;
  by_hand([&](store::AuditLog& log) { log.append_rule(rule); });
  std::filesystem::remove(root_ / "m1" / "once.db");
  by_hand([&](store::AuditLog& log) {
    store::LogEntry note;
    note.outcome = store::LogOutcome::kNote;
    note.text = "anew";
    log.append_alone(note);
  });
  reopen(1);
  EXPECT_EQ(at(1).log().last()->incarnation, 1U);
  EXPECT_EQ(at(1).rule_version(), 1U);
  // state.db lost too: what the others give back of the earlier chain counts as well.
  sync(now_);
  close(1);
  std::filesystem::remove_all(root_ / "m1");
  reopen(1);
  EXPECT_EQ(at(1).rule_version(), 0U);
  sync(now_);
  EXPECT_EQ(at(1).log().last()->incarnation, 1U);
  EXPECT_EQ(at(1).rule_version(), 1U);
  EXPECT_TRUE(at(1).statement(mid(1), 0, 2));
  EXPECT_TRUE(at(1).forks().empty());
}

// A state.db put back: the member fetches its own statements before it signs (5.1).
TEST_F(ExchangeTest, OwnStatementsComeBackBeforeAnythingIsSigned) {
  keep(0, "before");
  const Digest d = approved(terms());
  const auto signed_last = *at(0).log().last();
  put_back(0, "before");
  EXPECT_FALSE(at(0).own_log_is_whole());
  EXPECT_THROW((void)at(0).propose(proposal(terms(), "x"), now_), InputError);
  // What comes back is signed by this member and follows; nothing else is its own.
  Statement lie = note(0, 1, {}, "lie");
  lie.sign(identities_[1]);
  EXPECT_NE(why_stopped(0, {lie.encode()}), "");
  EXPECT_FALSE(at(0).own_log_is_whole());
  EXPECT_TRUE(pull(0, 1, now_).own_log_is_whole_again);
  EXPECT_EQ(*at(0).log().last(), signed_last);
  EXPECT_EQ(state(0, d), State::kReady);
  (void)at(0).propose(proposal(terms(), "x"), now_);
  sync(now_);
  EXPECT_TRUE(at(1).forks().empty());
}

// A copy of this member, or a once.db put back beside its key: what the copy signed comes back, and
// two with one number stop this member itself.
TEST_F(ExchangeTest, ACopyOfThisMemberIsNoticedByItself) {
  (void)at(0).propose(proposal(terms(), "mine"), now_);
  const auto last = *at(0).log().last();
  const Statement ahead = note(0, last.number + 1, last.digest, "the copy's");
  EXPECT_EQ(at(0).take(bundle({ahead.encode()}), mid(1), now_).taken, 1U);
  EXPECT_EQ(at(0).log().last()->digest, ahead.digest());
  EXPECT_TRUE(at(0).own_log_is_whole());
  (void)at(0).propose(proposal(terms(), "after it"), now_);
  const Statement other = note(0, last.number + 1, last.digest, "another");
  EXPECT_EQ(at(0).take(bundle({other.encode()}), mid(1), now_).forks.size(), 1U);
  try {
    (void)at(0).propose(proposal(terms(), "no more"), now_);
    ADD_FAILURE();
  } catch (const InputError& error) {
    EXPECT_THAT(error.problem(), HasSubstr("copied"));
  }
}

// once.db lost: a new incarnation, shown to all, earlier approvals void (5.1).
TEST_F(ExchangeTest, ANewIncarnationVoidsEarlierApprovals) {
  const Digest d = approved(terms());
  members_[1].inbox.reset();
  members_[1].once.reset();
  members_[1].db.reset();
  std::filesystem::remove(root_ / "m1" / "once.db");
  reopen(1);
  EXPECT_TRUE(at(1).ready(now_).empty());
  (void)at(1).propose(proposal(terms(1), "anew"), now_);
  EXPECT_EQ(at(1).log().last()->incarnation, 1U);
  reopen(1);
  EXPECT_TRUE(at(1).ready(now_).empty());
  sync(now_);
  EXPECT_TRUE(at(0).forks().empty());
  EXPECT_EQ(at(0).show(d, now_)->decisions[1].counts, Counts::kIncarnation);
  EXPECT_EQ(state(0, d), State::kVoid);
  at(1).approve(d, {}, now_);
  sync(now_);
  EXPECT_EQ(state(0, d), State::kReady);
  EXPECT_EQ(at(1).ready(now_).size(), 1U);
}

// 5.3: from who is no member nothing but APPROVE and READY of a joiner of an open change.
TEST_F(ExchangeTest, AJoinerMayApproveAndNothingElse) {
  const net::Identity joiner = net::Identity::make("joiner");
  const auto by_joiner = [&](StatementKind kind, uint64_t number) {
    Statement s = approve(2, Digest{1}, number, {});
    s.author = {50};
    s.kind = kind;
    if (kind == StatementKind::kNote) s.body = agreement::NoteBody{}.encode();
    s.sign(joiner);
    return s.encode();
  };
  EXPECT_THAT(why_stopped(0, {by_joiner(StatementKind::kApprove, 1)}), HasSubstr("no member"));
  at(0).set_joiners({{{50}, "joiner", joiner.signing_key(), {}, ""}});
  EXPECT_THAT(why_stopped(0, {by_joiner(StatementKind::kNote, 1)}), HasSubstr("approve and be"));
  EXPECT_EQ(at(0).take(bundle({by_joiner(StatementKind::kApprove, 1)}), mid(2), now_).taken, 1U);
}

// What was replaced by another key counts no more, and the old key signs nothing new (6.2).
TEST_F(ExchangeTest, KeysAreThoseOfTheConfigurations) {
  const Digest d = approved(terms());
  const net::Identity fresh = net::Identity::make("m2");
  Configuration next = conf_;
  next.number = 1;
  next.previous = conf_.digest();
  next.members[2].key = fresh.signing_key();
  configurations_.push_back(next);
  reopen(0);
  EXPECT_EQ(at(0).show(d, now_)->decisions[2].counts, Counts::kKey);
  const auto last = *at(2).log().last();
  Statement under_new = note(2, last.number + 1, last.digest, "new key");
  under_new.sign(fresh);
  EXPECT_EQ(at(0).take(bundle({under_new.encode()}), mid(2), now_).taken, 1U);
  const Statement under_old = note(2, last.number + 2, under_new.digest(), "old key");
  EXPECT_THAT(why_stopped(0, {under_old.encode()}), HasSubstr("not signed"));
}

// M37: a flood of one member keeps only its own chain waiting.
TEST_F(ExchangeTest, AFloodWaitsAndNobodyElseDoes) {
  std::vector<Bytes> flood;
  Digest previous{};
  for (uint64_t n = 1; n <= 100; ++n) {
    const Statement s = note(2, n, previous, "flood", 0, now_);
    previous = s.digest();
    flood.push_back(s.encode());
  }
  TakeReport report = at(0).take(bundle(flood), mid(2), now_);
  EXPECT_EQ(report.taken, 30U);
  ASSERT_EQ(report.stopped.size(), 1U);
  EXPECT_EQ(report.stopped[0].name, "m2");
  EXPECT_GT(report.stopped[0].until, now_);
  // Until then nobody is asked for it, and everybody else is served.
  (void)at(1).propose(proposal(terms(1)), now_);
  EXPECT_GT(pull(0, 1, now_).taken, 0U);
  EXPECT_TRUE(
      at(1).take(bundle({flood.begin(), flood.begin() + 30}), mid(2), now_).stopped.empty());
  report = at(0).take(bundle(flood), mid(2), now_ + 60);
  EXPECT_EQ(report.taken, 30U);
  // Old statements of who was away are not slowed down by the minute they arrive in.
  std::vector<Bytes> history;
  Digest before{};
  for (uint64_t n = 1; n <= 90; ++n) {
    const Statement s = note(1, n, before, "history", 0, kMonday - 3 * kHour + n * 10);
    before = s.digest();
    history.push_back(s.encode());
  }
  reopen(2);
  EXPECT_EQ(at(2).take(bundle(history), mid(1), now_).taken, 90U);
}

TEST_F(ExchangeTest, ADayHasAnEnd) {
  quotas_.statements_a_day = 40;
  quotas_.bytes_a_day = 6000;
  reopen(0);
  std::vector<Bytes> flood;
  Digest previous{};
  for (uint64_t n = 1; n <= 60; ++n) {
    const Statement s = note(2, n, previous, "", 0, kMonday - n * 60);
    previous = s.digest();
    flood.push_back(s.encode());
  }
  const size_t size = flood.front().size();
  const TakeReport report = at(0).take(bundle(flood), mid(2), now_);
  EXPECT_EQ(report.taken, std::min<size_t>(40, 6000 / size));
  EXPECT_THAT(report.stopped.at(0).why, HasSubstr("a day"));
  reopen(0);  // a restart gives no other day
  EXPECT_EQ(at(0).take(bundle(flood), mid(2), now_).taken, 0U);
  EXPECT_GT(at(0).take(bundle(flood), mid(2), now_ + kDayLong / 2).taken, 0U);
}

TEST_F(ExchangeTest, OpenProposalsAreBounded) {
  quotas_.open_proposals = 3;
  for (PartyId i = 0; i < 3; ++i) reopen(i);
  std::vector<Digest> ids;
  for (int i = 0; i < 3; ++i) {
    ids.push_back(at(0).propose(proposal(terms(), "job " + std::to_string(i)), now_));
  }
  EXPECT_THROW((void)at(0).propose(proposal(terms(), "too many"), now_), InputError);
  at(0).withdraw_proposal(ids[0], now_);
  (void)at(0).propose(proposal(terms(), "another"), now_);
  EXPECT_TRUE(pull(1, 0, now_).stopped.empty());
  EXPECT_EQ(at(1).list(now_).size(), 4U);
  // A member that does not keep to it waits, at each of the others.
  std::vector<Bytes> flood;
  Digest previous{};
  for (uint64_t n = 1; n <= 10; ++n) {
    const Statement s =
        forged(2, StatementKind::kPropose,
               proposal(terms(2), "flood " + std::to_string(n)).canonical(), n, previous);
    previous = s.digest();
    flood.push_back(s.encode());
  }
  const TakeReport report = at(0).take(bundle(flood), mid(2), now_);
  EXPECT_EQ(report.taken, 3U);
  EXPECT_THAT(report.stopped.at(0).why, HasSubstr("open proposals"));
  // One that is expired is not open.
  EXPECT_EQ(at(0).take(bundle(flood), mid(2), terms().window.last + 1).taken, 7U);
}

TEST_F(ExchangeTest, OpenBytesAreBounded) {
  quotas_.open_bytes = 10'000;
  reopen(0);
  Proposal big = proposal(terms(2), "big");
  big.block("script", std::string(6000, 'x'));
  const Statement one = forged(2, StatementKind::kPropose, big.canonical(), 1, {});
  big.title = "more";
  const Statement two = forged(2, StatementKind::kPropose, big.canonical(), 2, one.digest());
  const TakeReport report = at(0).take(bundle({one.encode(), two.encode()}), mid(2), now_);
  EXPECT_EQ(report.taken, 1U);
  EXPECT_EQ(report.stopped.size(), 1U);
}

TEST_F(ExchangeTest, IncarnationsAreBounded) {
  std::vector<Bytes> many;
  for (uint32_t i = 1; i <= Quotas::kMaxIncarnations + 1; ++i) {
    many.push_back(note(2, 1, {}, "anew", i, kMonday - 90 * 60 * i).encode());
  }
  size_t taken = 0;
  for (const Bytes& one : many) taken += at(0).take(bundle({one}), mid(2), now_).taken;
  EXPECT_EQ(taken, Quotas::kMaxIncarnations);
}

// What a member signs that says nothing stays in its chain and has no effect.
TEST_F(ExchangeTest, SignedNonsenseHasNoEffect) {
  Digest previous{};
  uint64_t number = 0;
  for (const StatementKind kind :
       {StatementKind::kPropose, StatementKind::kInput, StatementKind::kApprove,
        StatementKind::kReject, StatementKind::kWithdraw, StatementKind::kRule,
        StatementKind::kNote, StatementKind::kResult, StatementKind::kStart,
        StatementKind::kChange}) {
    const Statement s = forged(2, kind, to_bytes("nonsense"), ++number, previous);
    previous = s.digest();
    EXPECT_EQ(at(0).take(bundle({s.encode()}), mid(2), now_).taken, 1U);
  }
  // Another member's name in a proposal of its own.
  const Statement s =
      forged(2, StatementKind::kPropose, proposal(terms(1)).canonical(), ++number, previous);
  EXPECT_EQ(at(0).take(bundle({s.encode()}), mid(2), now_).taken, 1U);
  EXPECT_TRUE(at(0).list(now_).empty());
  reopen(0);
  EXPECT_TRUE(at(0).list(now_).empty());
}

// A full disk in the middle of a bundle: nothing of it is there, and the memory says the same.
TEST_F(ExchangeTest, ABundleIsTakenWhollyOrNotAtAll) {
  std::vector<Bytes> some;
  Digest previous{};
  for (uint64_t n = 1; n <= 20; ++n) {
    const Statement s = note(2, n, previous, std::string(4000, 'x'));
    previous = s.digest();
    some.push_back(s.encode());
  }
  members_[0].db->set_max_pages(20);
  EXPECT_THROW((void)at(0).take(bundle(some), mid(2), now_), InputError);
  EXPECT_FALSE(at(0).statement(mid(2), 0, 1));
  members_[0].db->set_max_pages(1 << 20);
  EXPECT_EQ(at(0).take(bundle(some), mid(2), now_).taken, 20U);
}

// 1,000 proposals and 10,000 statements: what they take on disk, and what opening takes (Appendix
// B).
TEST_F(ExchangeTest, AThousandProposalsOpenWithoutTheirBodies) {
  quotas_.open_proposals = 2000;
  quotas_.open_bytes = 1 << 30;
  quotas_.statements_a_day = 100'000;
  quotas_.statements_a_minute = 100'000;
  quotas_.bytes_a_day = 1 << 30;
  reopen(0);
  std::vector<Bytes> proposed, said[2];
  std::vector<Digest> ds;
  Digest previous{};
  for (uint64_t n = 1; n <= 1000; ++n) {
    Proposal p = proposal(terms(1), "job " + std::to_string(n));
    p.block("script", std::string(2000, 'x'));
    const Statement s = forged(1, StatementKind::kPropose, p.canonical(), n, previous);
    previous = s.digest();
    ds.push_back(agreement::complete_digest(p.digest(), {}));
    proposed.push_back(s.encode());
  }
  Digest last{};
  for (uint64_t n = 1; n <= 9000; ++n) {
    const Statement s = n <= 1000 ? approve(2, ds[n - 1], n, last) : note(2, n, last, "noted");
    last = s.digest();
    said[0].push_back(s.encode());
  }
  const auto take_all = [&](const std::vector<Bytes>& all, PartyId author) {
    for (size_t from = 0; from < all.size(); from += 1000) {
      const auto first = all.begin() + static_cast<ptrdiff_t>(from);
      const std::vector<Bytes> part(first, first + 1000);
      EXPECT_EQ(at(0).take(bundle(part), mid(author), now_).taken, 1000U);
    }
  };
  take_all(proposed, 1);
  take_all(said[0], 2);
  const auto begin = std::chrono::steady_clock::now();
  reopen(0);
  const auto opened = std::chrono::steady_clock::now();
  EXPECT_EQ(at(0).list(now_).size(), 1000U);
  const auto listed = std::chrono::steady_clock::now();
  const auto ms = [](auto from, auto to) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(to - from).count();
  };
  RecordProperty("open_ms", static_cast<int>(ms(begin, opened)));
  RecordProperty("list_ms", static_cast<int>(ms(opened, listed)));
  EXPECT_LT(ms(begin, opened), 1000);
  EXPECT_LT(ms(opened, listed), 1000);
  members_[0].db->scrub();
  EXPECT_LT(std::filesystem::file_size(root_ / "m0" / "state.db"), 25U << 20);
}

// A room of three that proposes, approves, refuses, takes back, restarts, puts state.db back and
// meets in any order, at random: nobody is called a cheat, and what is ready at all is approved by
// all, as each last said.
TEST_F(ExchangeTest, HonestMembersNeverLookLikeCheatsSweep) {
  const int steps = std::getenv("FLEXROOM_LONG") != nullptr ? 4000 : 120;
  std::mt19937 random(7);
  const auto pick = [&](size_t n) { return static_cast<PartyId>(random() % n); };
  std::map<Digest, std::array<bool, 3>> truth;
  std::vector<Digest> all;
  std::set<PartyId> kept;
  int made = 0;
  for (int step = 0; step < steps; ++step) {
    now_ += 30;
    const PartyId i = pick(3);
    const Digest d = all.empty() ? Digest{} : all[pick(all.size())];
    try {
      switch (pick(9)) {
        case 0: {
          const Digest id = at(i).propose(proposal(terms(i), "r" + std::to_string(made++)), now_);
          all.push_back(complete_of(i, id));
          break;
        }
        case 1:
        case 2:
          at(i).approve(d, {}, now_);
          truth[d][i] = true;
          break;
        case 3:
          at(i).withdraw_approval(d, now_);
          truth[d][i] = false;
          break;
        case 4:
          if (pick(8) == 0) {
            at(i).reject(d, "", now_);
            truth[d][i] = false;
            std::erase(all, d);
          }
          break;
        case 5:
          if (pick(4) == 0) keep(i, "kept" + std::to_string(i)), kept.insert(i);
          break;
        case 6:
          if (pick(4) == 0 && kept.contains(i)) put_back(i, "kept" + std::to_string(i));
          break;
        default:
          pull(i, (i + 1 + pick(2)) % 3, now_);
      }
    } catch (const InputError&) {
      // not now
    }
    for (PartyId j = 0; j < 3; ++j) {
      EXPECT_TRUE(at(j).forks().empty());
      for (const ReadyRun& run : at(j).ready(now_)) {
        // Its own decision is always the last one; of the others what was signed at some time.
        EXPECT_TRUE(truth[run.complete][j]) << step;
      }
    }
  }
  sync(now_);
  sync(now_);
  for (const Digest& d : all) {
    const bool ready = truth[d][0] && truth[d][1] && truth[d][2];
    for (PartyId j = 0; j < 3; ++j) {
      EXPECT_EQ(state(j, d) == State::kReady, ready);
      EXPECT_EQ(at(j).statements_about(d), at(0).statements_about(d));
    }
  }
}

}  // namespace
}  // namespace flexroom::inbox
