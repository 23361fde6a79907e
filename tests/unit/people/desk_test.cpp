#include "people/desk.h"

#include "unit/people/people_fixture.h"

// Approvals by people: each line of members.md 7.3 with an authenticator that violates exactly it
// (M40), persons counted (M41), statements and replay (M42), copies (M43). Model m5.

namespace flexroom::people {
namespace {

using ::testing::ElementsAre;
using Ask = VirtualAuthenticator::Ask;

class DeskTest : public PeopleTest {
 protected:
  DeskTest() { begin(); }
  /// What becomes of ann's signature where she is asked so.
  std::string asked_so(const Ask& ask) {
    Desk d = desk();
    const Bytes st = d.statement(matter(), "ann").encode();
    return refused([&] { (void)d.accept(voice(st, ann_, ask)); });
  }
};

TEST_F(DeskTest, TwoOfTwoByBrowserAndCommandLineApprove) {
  Desk d = desk();
  Tally tally(rules_->current()->rule, d.statement(matter(), "ann"));
  tally.add(d.accept(asked(d, "ann", ann_)).st);
  EXPECT_FALSE(tally.enough());
  EXPECT_THAT(tally.missing(), ElementsAre("bob"));
  const Bytes st = d.statement(matter(), "bob").encode();
  tally.add(d.accept(voice(st, bob_, {.origin = "flexroom:cli"})).st);
  EXPECT_TRUE(tally.enough());
  EXPECT_EQ(asked_so({}), "ok");
}

TEST_F(DeskTest, EveryKindOfKeySigns) {
  Desk d = desk();
  EXPECT_EQ(d.accept(asked(d, "ann", ann2_)).st.person, "ann");  // Ed25519
  EXPECT_EQ(d.accept(asked(d, "bob", bob_)).st.person, "bob");   // P-256
}

TEST_F(DeskTest, AKeyThatNobodyEnrolled) {
  Desk d = desk();
  EXPECT_EQ(refused([&] { (void)d.accept(asked(d, "ann", evil_)); }), "unknown key");
}

TEST_F(DeskTest, ASignatureOfAnotherKeyUnderAnEnrolledId) {
  Desk d = desk();
  Voice v = asked(d, "ann", evil_);
  v.key_id = ann_.key().credential;
  EXPECT_EQ(refused([&] { (void)d.accept(v); }), "signature");
  Voice edd = asked(d, "ann", evil_);
  edd.key_id = ann2_.key().credential;
  EXPECT_EQ(refused([&] { (void)d.accept(edd); }), "signature");
}

// A page that shows P and asks for Q; another window, terms, versions, room, member, kind.
TEST_F(DeskTest, ASignatureOverOtherWords) {
  const std::vector<std::function<void(PersonStatement&)>> others = {
      [](PersonStatement& s) { s.what = {9}; },
      [](PersonStatement& s) { s.terms = {9}; },
      [](PersonStatement& s) { s.versions = {9}; },
      [](PersonStatement& s) { s.not_before = 2; },
      [](PersonStatement& s) { s.not_after = 9; },
      [](PersonStatement& s) { s.room = {9}; },
      [](PersonStatement& s) { s.member = {9}; },
      [](PersonStatement& s) { s.kind = StatementKind::kReject; },
      [](PersonStatement& s) { s.ticket = {9}; },
  };
  for (const auto& other : others) {
    Desk d = desk();
    const PersonStatement shown = d.statement(matter(), "ann");
    PersonStatement asked_for = shown;
    other(asked_for);
    Voice v = voice(asked_for.encode(), ann_);
    v.st = shown.encode();
    EXPECT_EQ(refused([&] { (void)d.accept(v); }), "challenge");
  }
}

// A program with a touch signs a statement that this node did not make (M42).
TEST_F(DeskTest, AStatementThatThisNodeDidNotMake) {
  const auto with = [&](const std::function<void(PersonStatement&)>& alter) {
    Desk d = desk();
    return refused([&] { (void)d.accept(asked(d, "ann", ann_, alter)); });
  };
  EXPECT_EQ(with([](PersonStatement& s) { s.what = {9}; }), "ticket");
  EXPECT_EQ(with([](PersonStatement& s) { s.not_after = 52; }), "ticket");
  EXPECT_EQ(with([](PersonStatement& s) { s.ticket = {1}; }), "ticket");
  EXPECT_EQ(with([](PersonStatement& s) { s.room = {9}; }), "matter");
  EXPECT_EQ(with([](PersonStatement& s) { s.member = {9}; }), "matter");
  EXPECT_EQ(with(nullptr), "ok");
}

TEST_F(DeskTest, AStatementIsTakenOnce) {
  Desk d = desk();
  const Bytes st = d.statement(matter(), "ann").encode();
  EXPECT_EQ(refused([&] { (void)d.accept(voice(st, ann_)); }), "ok");
  EXPECT_EQ(refused([&] { (void)d.accept(voice(st, ann_)); }), "ticket");
}

TEST_F(DeskTest, ARefusedSignatureLeavesTheStatementOpen) {
  Desk d = desk();
  const Bytes st = d.statement(matter(), "ann").encode();
  EXPECT_EQ(refused([&] { (void)d.accept(voice(st, ann_, {.verified = false})); }), "verification");
  EXPECT_EQ(refused([&] { (void)d.accept(voice(st, ann_)); }), "ok");
}

TEST_F(DeskTest, AStatementLastsTenMinutes) {
  Desk d = desk();
  const Bytes early = d.statement(matter(), "ann").encode();
  now_ += std::chrono::minutes(10) - std::chrono::seconds(1);
  EXPECT_EQ(refused([&] { (void)d.accept(voice(early, ann_)); }), "ok");
  const Bytes late = d.statement(matter(), "ann").encode();
  now_ += std::chrono::minutes(10);
  EXPECT_EQ(refused([&] { (void)d.accept(voice(late, ann_)); }), "ticket");
}

TEST_F(DeskTest, ARestartForgetsAllStatements) {
  Voice v;
  {
    Desk d = desk();
    v = asked(d, "ann", ann_);
  }
  Desk d = desk();
  EXPECT_EQ(refused([&] { (void)d.accept(v); }), "ticket");
}

TEST_F(DeskTest, APageOfAnotherLocalServer) {
  EXPECT_EQ(asked_so({.origin = "http://localhost:3000"}), "origin");
  EXPECT_EQ(asked_so({.origin = "http://localhost:7180/"}), "origin");
  EXPECT_EQ(asked_so({.origin = "https://localhost:7180"}), "origin");
  EXPECT_EQ(asked_so({.origin = "http://127.0.0.1:7180"}), "origin");
  EXPECT_EQ(asked_so({.origin = "flexroom:cli"}), "ok");
}

TEST_F(DeskTest, ARegistrationInPlaceOfAnAssertion) {
  EXPECT_EQ(asked_so({.type = "webauthn.create"}), "type");
  EXPECT_EQ(asked_so({.type = "payment.get"}), "type");
}

TEST_F(DeskTest, AConsoleInAFrameOfAnotherPage) {
  EXPECT_EQ(asked_so({.more = ",\"topOrigin\":\"https://evil\""}), "framed");
}

TEST_F(DeskTest, ACredentialAskedForAnotherRelyingParty) {
  EXPECT_EQ(asked_so({.rp = "evil.example"}), "relying party");
}

TEST_F(DeskTest, NoTouch) { EXPECT_EQ(asked_so({.present = false}), "presence"); }

TEST_F(DeskTest, AKeyFoundOnADesk) { EXPECT_EQ(asked_so({.verified = false}), "verification"); }

TEST_F(DeskTest, AnothersKeyUnderMyName) {
  Desk d = desk();
  EXPECT_EQ(refused([&] { (void)d.accept(asked(d, "bob", ann_)); }), "person");
}

TEST_F(DeskTest, ARoleThatSheHasNot) {
  Desk d = desk();
  EXPECT_EQ(refused([&] { (void)d.statement(matter(StatementKind::kRule), "ann"); }), "role");
  EXPECT_EQ(refused([&] { (void)d.statement(matter(), "eve"); }), "person");
  PersonStatement st = d.statement(matter(StatementKind::kRule), "bob");
  st.person = "ann";
  EXPECT_EQ(refused([&] { (void)d.accept(voice(st.encode(), ann_)); }), "role");
  EXPECT_EQ(refused([&] { (void)d.statement(matter(StatementKind::kRule), "bob"); }), "ok");
}

// M44: a removed person's, and anybody's, pending voice.
TEST_F(DeskTest, ASignatureUnderAnEarlierRule) {
  Desk d = desk();
  const Bytes st = d.statement(matter(), "ann").encode();
  Rule next = rule();
  next.not_own = true;
  rules_->reset(*log_, next);
  EXPECT_EQ(refused([&] { (void)d.accept(voice(st, ann_)); }), "rule");
  EXPECT_EQ(refused([&] { (void)d.accept(asked(d, "ann", ann_)); }), "ok");
}

// M43: also over a restart.
TEST_F(DeskTest, ACopiedAuthenticator) {
  Desk d = desk();
  for (int i = 0; i < 2; ++i) (void)d.accept(asked(d, "ann", ann_));
  const uint32_t seen = ann_.counter;
  ann_.counter = 0;
  EXPECT_EQ(refused([&] { (void)d.accept(asked(d, "ann", ann_)); }), "counter");
  ann_.counter = seen - 1;
  EXPECT_EQ(refused([&] { (void)d.accept(asked(d, "ann", ann_)); }), "counter") << "stood still";
  ann_.counter = 0;
  open_files(true);
  Desk again = desk();
  EXPECT_EQ(refused([&] { (void)again.accept(asked(again, "ann", ann_)); }), "counter");
  ann_.counter = seen;
  EXPECT_EQ(refused([&] { (void)again.accept(asked(again, "ann", ann_)); }), "ok")
      << "the key is not frozen";
}

TEST_F(DeskTest, ACounterThatFallsToZeroIsACopyToo) {
  Desk d = desk();
  (void)d.accept(asked(d, "ann", ann_));
  ann_.counter = UINT32_MAX;  // 0 when it is asked
  EXPECT_EQ(refused([&] { (void)d.accept(asked(d, "ann", ann_)); }), "counter");
}

// Copies of synced passkeys are not noticed: said at enrolment and in the rule's text.
TEST_F(DeskTest, SyncedPasskeysCountZero) {
  VirtualAuthenticator synced("synced", KeyKind::kEs256, true);
  Rule next = rule();
  next.persons[0].keys[1] = synced.key();
  rules_->reset(*log_, next);
  Desk d = desk();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(refused([&] { (void)d.accept(asked(d, "ann", synced)); }), "ok");
  }
  EXPECT_THAT(next.text(), ::testing::HasSubstr("synced: copies of it are not noticed"));
}

// Of an honest key: the later one is asked for again.
TEST_F(DeskTest, TwoSignaturesInTheOtherOrder) {
  Desk d = desk();
  const Voice first = asked(d, "ann", ann_), second = asked(d, "ann", ann_);
  EXPECT_EQ(refused([&] { (void)d.accept(second); }), "ok");
  EXPECT_EQ(refused([&] { (void)d.accept(first); }), "counter");
  EXPECT_EQ(refused([&] { (void)d.accept(asked(d, "ann", ann_)); }), "ok");
}

// M41
TEST_F(DeskTest, TwoKeysOfOnePersonAreOneVoice) {
  Desk d = desk();
  Tally tally(rules_->current()->rule, d.statement(matter(), "ann"));
  tally.add(d.accept(asked(d, "ann", ann_)).st);
  tally.add(d.accept(asked(d, "ann", ann2_)).st);
  EXPECT_EQ(tally.count(), 1u);
  EXPECT_FALSE(tally.enough());
}

// M41
TEST_F(DeskTest, VoicesForDifferentWindowsDoNotAddUp) {
  Desk d = desk();
  Tally tally(rules_->current()->rule, d.statement(matter(), "ann"));
  tally.add(d.accept(asked(d, "ann", ann_)).st);
  PersonStatement other = matter();
  other.not_after = 2000;
  const Bytes st = d.statement(other, "bob").encode();
  const VerifiedVoice bobs = d.accept(voice(st, bob_));
  EXPECT_EQ(refused([&] { tally.add(bobs.st); }), "matter");
  EXPECT_FALSE(tally.enough());
}

TEST_F(DeskTest, WhoProposedDoesNotCountWhereTheRuleSaysSo) {
  Rule next = rule();
  next.persons.push_back(person("eve", {Role::kPropose, Role::kApprove}, {evil_.key()}));
  next.approve = {2, {"ann", "bob", "eve"}};
  next.not_own = true;
  next.one_key = true;
  rules_->reset(*log_, next);
  Desk d = desk();
  const Rule now = rules_->current()->rule;
  Tally own(now, d.statement(matter(), "ann"), "ann");
  own.add(d.accept(asked(d, "ann", ann_)).st);
  EXPECT_EQ(own.count(), 0u);
  EXPECT_THAT(own.missing(), ElementsAre("bob", "eve"));
  Tally others(now, d.statement(matter(), "ann"), "eve");
  others.add(d.accept(asked(d, "ann", ann_)).st);
  EXPECT_EQ(others.count(), 1u);
}

TEST_F(DeskTest, ANoTakesOneOfThem) {
  Desk d = desk();
  Tally tally(rules_->current()->rule, d.statement(matter(StatementKind::kReject), "ann"));
  EXPECT_EQ(tally.needed(), 1u);
}

TEST_F(DeskTest, OpenStatementsAreBounded) {
  Desk d = desk();
  for (size_t i = 0; i < Tickets::kMostOpen; ++i) (void)d.statement(matter(), "ann");
  EXPECT_THROW((void)d.statement(matter(), "ann"), InputError);
  now_ += Tickets::kLife;
  (void)d.statement(matter(), "ann");
}

TEST_F(DeskTest, AnEnrolmentIsForOnePersonOnce) {
  Desk d = desk();
  const Digest challenge = d.tickets().issue_enrolment("ann");
  EXPECT_EQ(d.tickets().take_enrolment({}), "");
  EXPECT_EQ(d.tickets().take_enrolment(challenge), "ann");
  EXPECT_EQ(d.tickets().take_enrolment(challenge), "");
  const Digest late = d.tickets().issue_enrolment("ann");
  now_ += Tickets::kLife;
  EXPECT_EQ(d.tickets().take_enrolment(late), "");
  const PersonStatement st = d.statement(matter(), "ann");
  EXPECT_EQ(d.tickets().take_enrolment(challenge_of(st.encode())), "") << "none for a key";
}

}  // namespace
}  // namespace flexroom::people
