#include "people/rule_store.h"

#include "unit/people/people_fixture.h"

// The durable chain of rules (members.md 7.1, 7.5, M29, M44, M45) and what stands behind entries of
// the log (7.5).

namespace flexroom::people {
namespace {

using ::testing::HasSubstr;

class RuleStoreTest : public PeopleTest {
 protected:
  Rule next_of(const Rule& before) const {
    Rule out = before;
    out.version = before.version + 1;
    out.previous = before.digest();
    out.reset = false;
    return out;
  }
  Voice administrator(const Rule& before, const Rule& next, VirtualAuthenticator& with,
                      const std::string& name = "bob") const {
    PersonStatement st = matter(StatementKind::kRule);
    st.room = before.room;
    st.member = before.member;
    st.person = name;
    st.rule_version = before.version;
    st.what = next.digest();
    return voice(st.encode(), with);
  }
  std::string applied(const Rule& next, const std::vector<Voice>& voices) {
    return refused(
        [&] { rules_->apply(*log_, next, Evidence::of(voices), local_relying_parties(7180)); });
  }
  Voice approval(const Rule& rule, const std::string& name, VirtualAuthenticator& with) const {
    PersonStatement st = matter();
    st.room = rule.room;
    st.member = rule.member;
    st.person = name;
    st.rule_version = rule.version;
    return voice(st.encode(), with);
  }
  agreement::ApproveBody body(const Rule& rule, const Evidence& evidence) const {
    const PersonStatement m = matter();
    return {m.what,      m.terms,      m.versions, m.not_before,
            m.not_after, rule.version, "",         evidence.commitment()};
  }
};

TEST_F(RuleStoreTest, AChangeTakesItsAdministratorsUnderTheVersionBefore) {
  const Rule first = begin();
  Rule next = next_of(first);
  next.administer = {1, {"ann"}};
  next.persons[0].roles = {Role::kApprove, Role::kAdminister};
  EXPECT_THAT(applied(next, {}), HasSubstr("the rule asks for 1"));
  EXPECT_EQ(applied(next, {administrator(first, next, ann_, "ann")}), "role")
      << "an administrator of the new rule alone";
  Rule other = next;
  other.approve.needed = 1;
  EXPECT_EQ(applied(next, {administrator(first, other, bob_)}), "matter");
  EXPECT_EQ(applied(next, {administrator(first, next, bob_)}), "ok");
  EXPECT_EQ(rules_->current()->rule, next);
  EXPECT_EQ(rules_->all().size(), 2u);
}

TEST_F(RuleStoreTest, VersionsFollowFromEachOther) {
  const Rule first = begin();
  Rule next = next_of(first);
  Rule skipped = next;
  skipped.version = 3;
  EXPECT_THAT(applied(skipped, {administrator(first, skipped, bob_)}),
              HasSubstr("does not follow"));
  Rule apart = next;
  apart.previous = {1};
  EXPECT_THAT(applied(apart, {administrator(first, apart, bob_)}), HasSubstr("does not follow"));
  Rule elsewhere = next;
  elsewhere.room = {9};
  EXPECT_THAT(applied(elsewhere, {administrator(first, elsewhere, bob_)}),
              HasSubstr("does not follow"));
  Rule reset = next;
  reset.reset = true;
  EXPECT_THAT(applied(reset, {administrator(first, reset, bob_)}), HasSubstr("is a reset"));
  // A signature that changed the rule changes it once.
  const Voice voice = administrator(first, next, bob_);
  EXPECT_EQ(applied(next, {voice}), "ok");
  EXPECT_NE(applied(next, {voice}), "ok");
  EXPECT_EQ(applied(next_of(next), {voice}), "rule");
  EXPECT_THAT(refused([&] { rules_->begin(*log_, rule()); }), HasSubstr("has people already"));
}

// M29, M45: neither an old rule nor the time before there was one comes back.
TEST_F(RuleStoreTest, ARestoredStateDoesNotBringAnOldRuleBack) {
  db_->scrub();
  const auto copy = [&](const std::string& name) {
    open_files(name != "none" || rules_->current().has_value());
    db_.reset();
    store::fs::copy(root_ / "m0" / "state.db", root_ / name);
    open_files(true);
  };
  (void)db_->ids("x");
  const auto restore = [&](const std::string& name) {
    rules_.reset();
    log_.reset();
    db_.reset();
    for (const char* end : {"", "-wal", "-shm"}) {
      store::fs::remove(root_ / "m0" / ("state.db" + std::string(end)));
    }
    store::fs::copy(root_ / name, root_ / "m0" / "state.db");
    open_files(true);
  };
  copy("none");
  const Rule first = begin();
  copy("first");
  ASSERT_EQ(applied(next_of(first), {administrator(first, next_of(first), bob_)}), "ok");
  copy("second");
  restore("first");
  EXPECT_THAT(refused([&] { (void)rules_->current(); }),
              HasSubstr("version 1 is here, and 2 held"));
  restore("none");
  EXPECT_THAT(refused([&] { (void)rules_->current(); }),
              HasSubstr("version 0 is here, and 2 held"));
  restore("second");
  EXPECT_EQ(rules_->current()->rule.version, 2u);
}

// state.db is written first: the next start finishes it.
TEST_F(RuleStoreTest, AProcessKilledBetweenTheFilesLosesNothing) {
  const Rule first = begin();
  rules_.reset();
  log_.reset();
  once_.reset();
  store::fs::copy(root_ / "m0" / "once.db", root_ / "once-before");
  open_files(true);
  ASSERT_EQ(applied(next_of(first), {administrator(first, next_of(first), bob_)}), "ok");
  rules_.reset();
  log_.reset();
  once_.reset();
  for (const char* end : {"", "-wal", "-shm"}) {
    store::fs::remove(root_ / "m0" / ("once.db" + std::string(end)));
  }
  store::fs::copy(root_ / "once-before", root_ / "m0" / "once.db");
  open_files(true);
  EXPECT_EQ(rules_->current()->rule.version, 2u);
  Rule third = next_of(next_of(first));
  EXPECT_EQ(applied(third, {administrator(next_of(first), third, bob_)}), "ok");
}

TEST_F(RuleStoreTest, AResetFollowsWhateverWasLost) {
  EXPECT_THAT(refused([&] { rules_->reset(*log_, rule()); }), HasSubstr("people init"));
  const Rule first = begin();
  rules_->reset(*log_, rule());
  const Rule now = rules_->current()->rule;
  EXPECT_EQ(now.version, 2u);
  EXPECT_TRUE(now.reset);
  EXPECT_EQ(now.previous, first.digest());
  EXPECT_THAT(now.text(), HasSubstr("RESET by its machine's administrator"));
}

TEST_F(RuleStoreTest, APendingChangeIsForAWeekAndTheRuleItFollows) {
  const Rule first = begin();
  const uint64_t now = 1'700'000'000;
  RuleStore::Pending pending{next_of(first), {Bytes{1}, Bytes{2}}, now + RuleStore::kPendingLife};
  rules_->put_pending(pending);
  ASSERT_TRUE(rules_->pending(now));
  EXPECT_EQ(rules_->pending(now)->statements, pending.statements);
  EXPECT_FALSE(rules_->pending(now + RuleStore::kPendingLife));
  EXPECT_FALSE(rules_->pending(now - 1)) << "a clock set back";
  rules_->reset(*log_, rule());
  EXPECT_FALSE(rules_->pending(now));
}

TEST_F(RuleStoreTest, EvidenceOpensToWhatWasCommittedAndNothingElse) {
  const Rule r = begin();
  const Evidence evidence = Evidence::of({approval(r, "ann", ann_), approval(r, "bob", bob_)});
  const auto judged = [&](const agreement::ApproveBody& b, const Evidence& e) {
    return refused(
        [&] { (void)verify_evidence(b, e, r, 0, local_relying_parties(7180), "entry 3"); });
  };
  const agreement::ApproveBody right = body(r, evidence);
  EXPECT_EQ(judged(right, evidence), "ok");
  Evidence other = evidence;
  other.voices.pop_back();
  EXPECT_THAT(judged(right, other), HasSubstr("other evidence"));
  other = evidence;
  other.salt[0] ^= 1;
  EXPECT_THAT(judged(right, other), HasSubstr("other evidence"));
  // Without the salt, who approved is found by trying names.
  EXPECT_NE(Evidence::of(evidence.voices).commitment(), evidence.commitment());
  const Evidence one = Evidence::of({approval(r, "ann", ann_), approval(r, "ann", ann2_)});
  EXPECT_THAT(judged(body(r, one), one), HasSubstr("of 1 of its people; the rule asks for 2"));
  const std::vector<std::function<void(agreement::ApproveBody&)>> others = {
      [](agreement::ApproveBody& b) { b.proposal = {9}; },
      [](agreement::ApproveBody& b) { b.terms = {9}; },
      [](agreement::ApproveBody& b) { b.versions = {9}; },
      [](agreement::ApproveBody& b) { b.not_before = 0; },
      [](agreement::ApproveBody& b) { b.not_after = 2000; },
  };
  for (const auto& alter : others) {
    agreement::ApproveBody altered = right;
    alter(altered);
    EXPECT_EQ(judged(altered, evidence), "matter");
  }
  agreement::ApproveBody later = right;
  later.rule_version = 2;
  EXPECT_THAT(judged(later, evidence), HasSubstr("another version"));
  const Evidence none = Evidence::of({});
  EXPECT_THAT(judged(body(r, none), none), HasSubstr("no signatures"));
}

TEST_F(RuleStoreTest, EvidenceIsKeptByItsCommitment) {
  const Rule r = begin();
  const Evidence evidence = Evidence::of({approval(r, "ann", ann_), approval(r, "bob", bob_)});
  log_->append_approve(body(r, evidence), [&] { rules_->put_evidence(evidence); });
  EXPECT_EQ(rules_->evidence(evidence.commitment()), evidence);
  EXPECT_FALSE(rules_->evidence({}));
  EXPECT_EQ(Evidence::decode(evidence.encode(), "e"), evidence);
}

// M44: who is gone, or has another key, no longer counts; the others may be enough.
TEST_F(RuleStoreTest, ApprovalsAreJudgedAgainAfterAChange) {
  const Rule r = begin();
  const Evidence evidence = Evidence::of({approval(r, "ann", ann_), approval(r, "bob", bob_)});
  Rule now = next_of(r);
  const auto again = judged_again(now, 0, evidence);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->voices, evidence.voices);
  EXPECT_NE(again->salt, evidence.salt);
  EXPECT_EQ(refused([&] {
              (void)verify_evidence(body(now, *again), *again, now, 0, local_relying_parties(7180),
                                    "entry 5");
            }),
            "ok");
  Rule without = now;
  without.persons[0].keys = {ann2_.key()};  // the key that signed is lost
  without.one_key = true;
  EXPECT_FALSE(judged_again(without, 0, evidence));
  without.approve.needed = 1;
  ASSERT_TRUE(judged_again(without, 0, evidence));
  EXPECT_EQ(judged_again(without, 0, evidence)->voices.size(), 1u);
  Rule reset = now;
  reset.reset = true;
  EXPECT_FALSE(judged_again(reset, 2, evidence));
  EXPECT_THAT(refused([&] {
                (void)verify_evidence(body(reset, evidence), evidence, reset, 2,
                                      local_relying_parties(7180), "entry 5");
              }),
              HasSubstr("does not reach"));
  Rule replaced = now;  // another key under the same credential id
  VirtualAuthenticator other("ann");
  replaced.persons[0].keys[0] = other.key();
  EXPECT_FALSE(judged_again(replaced, 0, evidence));
}

// M44, M45: what was signed before a reset is void for good, under the versions behind it too.
TEST_F(RuleStoreTest, NoVoiceReachesOverAReset) {
  const Rule first = begin();
  const Evidence evidence =
      Evidence::of({approval(first, "ann", ann_), approval(first, "bob", bob_)});
  rules_->reset(*log_, rule());
  const Rule reset = rules_->current()->rule;
  ASSERT_EQ(applied(next_of(reset), {administrator(reset, next_of(reset), bob_)}), "ok");
  const Rule now = rules_->current()->rule;
  ASSERT_FALSE(now.reset);
  EXPECT_EQ(rules_->newest_reset(1), 0u);
  EXPECT_EQ(rules_->newest_reset(now.version), reset.version);
  EXPECT_FALSE(judged_again(now, rules_->newest_reset(now.version), evidence));
  EXPECT_THAT(refused([&] {
                (void)verify_evidence(body(now, evidence), evidence, now,
                                      rules_->newest_reset(now.version),
                                      local_relying_parties(7180), "entry 5");
              }),
              HasSubstr("does not reach"));
  const Evidence since = Evidence::of({approval(reset, "ann", ann_), approval(reset, "bob", bob_)});
  EXPECT_TRUE(judged_again(now, rules_->newest_reset(now.version), since));
}

// A change that lacks voices costs nobody a signature: the same ones are good once all are there.
TEST_F(RuleStoreTest, CountersAreUsedUpByAChangeThatCame) {
  Rule two = rule();
  two.persons[0].roles = {Role::kApprove, Role::kAdminister};
  two.administer = {2, {"ann", "bob"}};
  rules_->begin(*log_, two);
  const Rule first = rules_->current()->rule;
  const Voice ann = administrator(first, next_of(first), ann_, "ann");
  const Voice bob = administrator(first, next_of(first), bob_);
  EXPECT_THAT(applied(next_of(first), {ann}), HasSubstr("the rule asks for 2"));
  EXPECT_EQ(applied(next_of(first), {ann, bob}), "ok");
  EXPECT_EQ(refused([&] { rules_->count(bob_.key(), bob_.counter); }), "counter");
  EXPECT_EQ(refused([&] { rules_->count(ann_.key(), ann_.counter); }), "counter");
}

TEST_F(RuleStoreTest, AKeyIsOfOnePersonWhateverItsKind) {
  Rule r = rule();
  Key file;
  file.kind = KeyKind::kFile;
  file.bytes = ann2_.key().bytes;  // Ed25519 too
  r.persons[1].keys[1] = file;
  EXPECT_THAT(refused([&] { (void)r.encode(); }), HasSubstr("stands twice, here under bob"));
}

TEST_F(RuleStoreTest, TheLogsVerifierFollowsTheRules) {
  const auto decoded = [](const agreement::RuleBody& b) {
    return refused([&] { (void)agreement::RuleBody::decode(b.encode(), "rule"); });
  };
  EXPECT_EQ(decoded({1, {1}, {}, false, {}}), "ok");
  EXPECT_EQ(decoded({2, {1}, {1}, false, {1}}), "ok");
  EXPECT_EQ(decoded({2, {1}, {1}, true, {}}), "ok");
  EXPECT_NE(decoded({0, {1}, {}, false, {}}), "ok");
  EXPECT_NE(decoded({1, {1}, {1}, false, {}}), "ok");
  EXPECT_NE(decoded({2, {1}, {}, false, {1}}), "ok");
  EXPECT_NE(decoded({1, {1}, {}, true, {}}), "ok");
  EXPECT_NE(decoded({2, {1}, {1}, false, {}}), "ok") << "a change that nobody signed";
  EXPECT_NE(decoded({2, {1}, {1}, true, {1}}), "ok");
}

}  // namespace
}  // namespace flexroom::people
