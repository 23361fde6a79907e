#include "store/audit_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/codec.h"
#include "support/parties.h"
#include "unit/store/store_fixture.h"

namespace flexroom::store {
namespace {

using agreement::Configuration;
using agreement::MemberId;
using ::testing::HasSubstr;

class AuditLogTest : public StoreTest {
 protected:
  static constexpr size_t kMost = 3;
  AuditLogTest() {
    for (size_t i = 0; i < kMost; ++i) {
      identities_.push_back(net::Identity::make("m" + std::to_string(i)));
    }
    room_[0] = 7;
  }
  static std::string name(PartyId id) { return "m" + std::to_string(id); }
  static MemberId mid(PartyId id) { return {static_cast<uint8_t>(id + 1)}; }
  Configuration configuration(size_t n) const {
    Configuration c;
    c.room = room_;
    c.name = "rig";
    c.profile = "default";
    for (PartyId i = 0; i < n; ++i) {
      c.members.push_back(
          {mid(i), name(i), identities_[i].signing_key(), identities_[i].fingerprint(), ""});
    }
    c.couriers = {mid(1)};
    return c;
  }
  /// One member's two files and its log, open.
  struct Member {
    std::unique_ptr<SealedDb> db;
    std::unique_ptr<OnceDb> once;
    std::unique_ptr<AuditLog> log;
    AuditLog* operator->() const { return log.get(); }
  };
  Member member(PartyId id, bool expected = false) {
    Member m;
    m.db = open(name(id));
    m.once = open_once(name(id), expected);
    m.log = std::make_unique<AuditLog>(*m.db, *m.once, identities_[id], room_, mid(id));
    return m;
  }
  static LogEntry entry(LogOutcome outcome, const std::string& text) {
    LogEntry e;
    e.unix_seconds = 1'700'000'000;
    e.outcome = outcome;
    e.text = text;
    return e;
  }
  using Body = std::function<void(net::Party&, Member&)>;
  /// A session of n members: heads first, as in the product.
  auto session(size_t n, const Body& body = nullptr, const net::Tamper& tamper = nullptr) {
    ++sessions_;
    return support::run_parties(
        n,
        [&](net::Party& party) {
          RoScope scope = party.scope();
          scope.sid[1] = static_cast<uint8_t>(sessions_);
          party.set_scope(scope);
          Member m = member(party.id());
          m->exchange_heads(party, configuration(n));
          if (body) body(party, m);
          return true;
        },
        tamper, std::chrono::seconds(20));
  }
  static void all_well(const support::Run<bool>& run) {
    for (const auto& o : run.outcomes) {
      EXPECT_TRUE(o.value.value_or(false)) << (o.abort ? o.abort->what() : "");
    }
  }
  void lose_once(PartyId id) {
    fs::remove(root_ / (name(id) + ".once"));
    for (const char* suffix : {"", "-wal", "-shm"}) {
      fs::remove(root_ / name(id) / ("once.db" + std::string(suffix)));
    }
  }
  std::string error_of_verify(PartyId id) {
    return error_of([&] { (void)member(id)->verify(); });
  }
  static std::string error_of(const std::function<void()>& body) {
    try {
      body();
      return "no error";
    } catch (const InputError& error) {
      return error.what();
    }
  }
  agreement::Approval approve(net::Party& party, const std::string& title) const {
    agreement::Proposal p;
    p.kind = "call";
    p.title = title;
    p.text("method", "GET");
    return agreement::approve(party, identities_[party.id()],
                              configuration(party.num_parties()).keys(), p);
  }
  LogEntry approved(net::Party& party, const std::string& title) const {
    LogEntry e = entry(LogOutcome::kApproved, "call " + title);
    e.approval = approve(party, title);
    e.proposal = e.approval->digest;
    return e;
  }

  std::vector<net::Identity> identities_;
  Digest room_{};
  size_t sessions_ = 0;
};

TEST_F(AuditLogTest, EntriesVerifyAndSaySoWhoSigned) {
  all_well(session(2, [&](net::Party& party, Member& m) {
    m->append_alone(approved(party, "x"));
    m->append(party, entry(LogOutcome::kDone, "call x: status 200"));
    if (party.id() == 0) m->append_alone(entry(LogOutcome::kEffectMayHaveHappened, "y"));
    m->append(party, entry(LogOutcome::kFailed, "z"));
  }));
  const auto entries = member(0)->verify();
  ASSERT_EQ(entries.size(), 5u);
  EXPECT_EQ(entries[0].entry.outcome, LogOutcome::kChange);
  EXPECT_EQ(entries[0].entry.text, "configuration 0 of room rig");
  EXPECT_EQ(entries[1].entry.outcome, LogOutcome::kApproved);
  EXPECT_EQ(entries[1].entry.text, "call x");
  EXPECT_EQ(entries[1].entry.approval->signatures.size(), 2u);
  EXPECT_EQ(entries[2].entry.run, entries[1].entry.run);
  EXPECT_TRUE(entries[0].joint && entries[1].joint && entries[2].joint && entries[4].joint);
  EXPECT_FALSE(entries[3].joint);
  EXPECT_THAT(std::string(to_string(entries[3].entry.outcome)), HasSubstr("may have happened"));
  EXPECT_EQ(member(1)->verify().size(), 4u);
  // Another session in the same room enters nothing by itself.
  all_well(session(2));
  EXPECT_EQ(member(0)->verify().size(), 5u);
}

// M39, each as whoever holds the database and its key could do it.
TEST_F(AuditLogTest, WhatWasEditedLeftOutOrCutOffIsNamed) {
  all_well(session(2, [&](net::Party& party, Member& m) {
    m->append_alone(approved(party, "x"));
    m->append(party, entry(LogOutcome::kDone, "one"));
    m->append(party, entry(LogOutcome::kDone, "two"));
  }));
  Member m = member(0);
  const std::string kind = rows_of_room("statement", room_);
  const std::vector<Bytes> ids = m.db->ids(kind);
  ASSERT_EQ(ids.size(), 4u);
  std::vector<Bytes> rows;
  for (const Bytes& id : ids) rows.push_back(m.db->get(kind, id)->meta);
  const auto restore = [&] {
    for (size_t k = 0; k < ids.size(); ++k) m.db->put(kind, ids[k], rows[k], {});
  };
  for (size_t k = 0; k < ids.size(); ++k) {
    const std::string place = "entry " + std::to_string(k + 1);
    for (const size_t at : {size_t{0}, size_t{40}, size_t{90}, rows[k].size() / 2,
                            rows[k].size() - 70, rows[k].size() - 1}) {
      Bytes changed = rows[k];
      changed[at] ^= 1;
      m.db->put(kind, ids[k], changed, {});
      EXPECT_THAT(error_of([&] { (void)m->verify(); }), HasSubstr(place)) << at;
    }
    restore();
    m.db->remove(kind, ids[k]);
    EXPECT_THAT(error_of([&] { (void)m->verify(); }), HasSubstr(place));
    EXPECT_THAT(error_of([&] { (void)m->verify(); }), HasSubstr("missing"));
    restore();
  }
  // The end cut off, and the row in state.db that names it put back with it: once.db knows.
  const Bytes head = m.db->get("log head", room_)->meta;
  agreement::Statement third = agreement::Statement::decode(rows[2], "row");
  Writer cut;
  cut.u32(0).u64(3).raw(third.digest()).raw(ByteView(head).subspan(44));
  m.db->put("log head", room_, cut.bytes(), {});
  m.db->remove(kind, ids[3]);
  EXPECT_THAT(error_of([&] { (void)m->verify(); }),
              HasSubstr("older than once.db: its log ends at entry 3, and 4 were signed"));
}

// A member cannot make an approval up, or put another proposal under the signatures.
TEST_F(AuditLogTest, AnApprovedEntryNeedsEverybodysSignature) {
  std::vector<LogEntry> good(3);
  all_well(
      session(3, [&](net::Party& party, Member&) { good[party.id()] = approved(party, "x"); }));
  const std::vector<std::pair<std::string, std::function<void(agreement::Approval&)>>> lies = {
      {"proposal", [](agreement::Approval& a) { a.proposal.back() ^= 1; }},
      {"session", [](agreement::Approval& a) { a.session[0] ^= 1; }},
      {"digest", [](agreement::Approval& a) { a.digest[0] ^= 1; }},
      {"fewer", [](agreement::Approval& a) { a.signatures.pop_back(); }},
      {"order", [](agreement::Approval& a) { std::swap(a.signatures[0], a.signatures[1]); }}};
  Member m = member(1);
  m->append_alone(good[1]);
  EXPECT_EQ(m->verify().size(), 2u);
  const std::string kind = rows_of_room("statement", room_);
  const Bytes id = m.db->ids(kind).back();
  const auto good_row = m.db->get(kind, id);
  const OnceDb::LogHead end = *m.once->log_head(room_);
  for (const auto& [what, lie] : lies) {
    // The liar is the author: its own signature and chain are right.
    agreement::Statement s = agreement::Statement::decode(good_row->meta, "row");
    agreement::StartBody body = agreement::StartBody::decode(s.body, "row");
    lie(body.approval);
    s.body = body.encode();
    s.sign(identities_[1]);
    m.db->put(kind, id, s.encode(), {});
    EXPECT_THAT(error_of([&] { (void)m->verify(); }), HasSubstr("not signed by all members"))
        << what;
  }
  m.db->put(kind, id, good_row->meta, {});
  EXPECT_EQ(m.once->log_head(room_), end);
}

TEST_F(AuditLogTest, AJointEntryCannotStandTwice) {
  all_well(session(2, [&](net::Party& party, Member& m) {
    m->append(party, entry(LogOutcome::kDone, "run"));
    m->append(party, entry(LogOutcome::kDone, "run"));  // twice for two runs is no repetition
  }));
  Member m = member(0);
  EXPECT_EQ(m->verify().size(), 3u);
  const std::string kind = rows_of_room("statement", room_);
  agreement::Statement s =
      agreement::Statement::decode(m.db->get(kind, m.db->ids(kind).back())->meta, "row");
  s.previous = s.digest();
  ++s.number;
  s.sign(identities_[0]);
  m.db->put(kind, Writer().raw(mid(0)).u32(0).u64(s.number).take(), s.encode(), {});
  EXPECT_THAT(error_of([&] { (void)m->verify(); }), HasSubstr("stands twice"));
}

TEST_F(AuditLogTest, AnyAlteredJointEntryIsRefused) {
  for (const auto& [byte, expected] : {std::pair{size_t{3}, AbortCode::kDisagreement},
                                       std::pair{size_t{40}, AbortCode::kRefusedByRule}}) {
    const auto run = session(
        2, [&](net::Party& party, Member& m) { m->append(party, entry(LogOutcome::kDone, "x")); },
        support::flip_bit_of({1, 0, "log/entry", 0, 0}, byte));
    EXPECT_EQ(run.outcomes[0].code(), expected);
  }
  EXPECT_EQ(member(0)->verify().size(), 1u);  // the configuration alone
}

// The log is read with the keys of its time, not with today's.
TEST_F(AuditLogTest, StaysReadableWhenKeysChange) {
  all_well(session(2, [&](net::Party& party, Member& m) {
    m->append_alone(approved(party, "before"));
    m->append(party, entry(LogOutcome::kDone, "before"));
  }));
  identities_[0] = net::Identity::make("renewed");
  all_well(session(2, [&](net::Party& party, Member& m) {
    m->append_alone(approved(party, "after"));
    m->append(party, entry(LogOutcome::kDone, "after"));
  }));
  identities_[1] = net::Identity::make("renewed too");
  all_well(session(2));
  for (PartyId i = 0; i < 2; ++i) {
    const auto entries = member(i)->verify();
    ASSERT_EQ(entries.size(), 7u);
    EXPECT_EQ(entries[3].entry.text, "configuration 1 of room rig; new key: m0");
    EXPECT_EQ(entries[6].entry.text, "configuration 2 of room rig; new key: m1");
  }
  // An entry of the old key's time is none of the new key's.
  EXPECT_EQ(member(0)->configuration()->number, 2u);
}

TEST_F(AuditLogTest, AMemberJoinsAndAConfigurationFollows) {
  all_well(session(2));
  all_well(session(3));
  const auto two = member(0)->verify(), one = member(2)->verify();
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two[1].entry.text, "configuration 1 of room rig; new key: m2");
  ASSERT_EQ(one.size(), 1u);  // it was not there before
}

// M39: what not all signed is never entered; and not accepted from a member's own row.
TEST_F(AuditLogTest, AConfigurationThatNotAllSignedIsRefused) {
  const auto run = session(2, nullptr, support::flip_bit_of({1, 0, "log/change signature", 0, 0}));
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kRefusedByRule);
  EXPECT_THAT(run.outcomes[0].abort->what(), HasSubstr("another configuration of the room"));
  EXPECT_EQ(member(0)->verify().size(), 0u);
  // Member 1 has it, member 0 not: the next contact takes it over instead of making another.
  EXPECT_EQ(member(1)->verify().size(), 1u);
  all_well(session(2));
  EXPECT_EQ(member(0)->verify()[0].head == Digest{}, false);
  EXPECT_EQ(member(0)->configuration()->number, 0u);
  EXPECT_EQ(member(1)->verify().size(), 1u);
  // Shown by a liar with other keys: refused by name.
  Member m = member(1);
  const std::string kind = rows_of_room("statement", room_);
  const Bytes id = m.db->ids(kind)[0];
  agreement::Statement s = agreement::Statement::decode(m.db->get(kind, id)->meta, "row");
  agreement::ChangeBody body = agreement::ChangeBody::decode(s.body, "row");
  body.configuration.members[0].key = net::Identity::make("evil").signing_key();
  s.body = body.encode();
  s.sign(identities_[1]);
  m.db->put(kind, id, s.encode(), {});
  EXPECT_THAT(error_of([&] { (void)m->verify(); }), HasSubstr("not all its members signed"));
  m = {};
  const auto shown = session(2);
  EXPECT_EQ(shown.outcomes[0].code(), AbortCode::kRefusedByRule);
  EXPECT_THAT(shown.outcomes[0].abort->what(), HasSubstr("not all its members signed"));
}

// A state.db of an earlier time verified; now once.db names it, before anything is signed.
TEST_F(AuditLogTest, ARolledBackStateIsNamedAndSignsNothing) {
  all_well(session(
      2, [&](net::Party& party, Member& m) { m->append(party, entry(LogOutcome::kDone, "one")); }));
  fs::copy(root_ / "m0", root_ / "backup", fs::copy_options::recursive);
  all_well(session(
      2, [&](net::Party& party, Member& m) { m->append(party, entry(LogOutcome::kDone, "two")); }));
  for (const auto& file : fs::directory_iterator(root_ / "backup")) {
    if (file.path().filename().string().rfind("state.db", 0) != 0) continue;
    fs::copy(file.path(), root_ / "m0" / file.path().filename(),
             fs::copy_options::overwrite_existing);
  }
  EXPECT_THAT(error_of_verify(0),
              HasSubstr("state.db is older than once.db: its log ends at entry 2, and 3 were"));
  EXPECT_THAT(error_of([&] { member(0)->append_alone(entry(LogOutcome::kDone, "x")); }),
              HasSubstr("peer accept"));
  // The operator's word: a log of its own, which says so; the others enter that it began anew.
  member(0)->accept_loss();
  const auto entries = member(0)->verify();
  ASSERT_EQ(entries.size(), 4u);
  EXPECT_THAT(entries[3].entry.text, HasSubstr("3 entries of the one before were signed"));
  EXPECT_EQ(entries[3].statement.incarnation, 1u);
  all_well(session(2, [&](net::Party& party, Member& m) {
    m->append(party, entry(LogOutcome::kDone, "three"));
  }));
  EXPECT_EQ(member(0)->verify().size(), 5u);
  const auto others = member(1)->verify();
  EXPECT_THAT(others[others.size() - 2].entry.text, HasSubstr("m0 began a new log"));
}

// Both files put back: the member itself cannot know; who met it does.
TEST_F(AuditLogTest, TheOthersNameAMemberWhoseLogWentBack) {
  all_well(session(3));
  fs::copy(root_ / "m0", root_ / "backup", fs::copy_options::recursive);
  all_well(session(
      3, [&](net::Party& party, Member& m) { m->append(party, entry(LogOutcome::kDone, "one")); }));
  all_well(session(3));  // everybody saw it
  fs::remove_all(root_ / "m0");
  fs::copy(root_ / "backup", root_ / "m0", fs::copy_options::recursive);
  fs::permissions(root_ / "m0", fs::perms::owner_all);
  EXPECT_EQ(error_of_verify(0), "no error");
  const auto run = session(3);
  for (PartyId i = 0; i < 3; ++i) {
    ASSERT_EQ(run.outcomes[i].code(), AbortCode::kRefusedByRule) << i;
    EXPECT_THAT(run.outcomes[i].abort->what(), HasSubstr("the log of m0 ends at entry 1, but"));
  }
  EXPECT_EQ(run.outcomes[1].abort->peer(), 0u);
  // Another entry under the same number.
  member(0)->append_alone(entry(LogOutcome::kDone, "not the one that was signed before"));
  const auto forked = session(3);
  for (PartyId i = 0; i < 3; ++i) {
    ASSERT_EQ(forked.outcomes[i].code(), AbortCode::kRefusedByRule) << i;
    EXPECT_THAT(forked.outcomes[i].abort->what(), HasSubstr("two entries 2 of the log of m0"));
  }
  // Only the operators of those who saw it can say that this is well.
  member(1)->accept_loss();
  EXPECT_EQ(session(3).outcomes[1].code(), AbortCode::kRefusedByRule);
  member(2)->accept_loss();
  all_well(session(3));
}

TEST_F(AuditLogTest, ALostOnceDbBeginsANewLog) {
  all_well(session(
      2, [&](net::Party& party, Member& m) { m->append(party, entry(LogOutcome::kDone, "one")); }));
  fs::remove(root_ / "m0.once");
  fs::remove(root_ / "m0" / "once.db");
  fs::remove(root_ / "m0" / "once.db-wal");
  fs::remove(root_ / "m0" / "once.db-shm");
  EXPECT_EQ(error_of_verify(0), "no error");
  member(0)->append_alone(entry(LogOutcome::kNothingHappened, "x"));
  const auto entries = member(0)->verify();
  ASSERT_EQ(entries.size(), 5u);
  EXPECT_EQ(entries[2].statement.incarnation, 1u);
  EXPECT_THAT(entries[3].entry.text, HasSubstr("once.db was lost"));
}

// once.db's word is gone, not only its row: no number of that log is signed again.
TEST_F(AuditLogTest, ALostOnceDbBesideALogOfOneEntryBeginsANewLog) {
  all_well(session(2));
  lose_once(0);
  ASSERT_EQ(member(0, true)->verify().size(), 1u);
  member(0)->append_alone(entry(LogOutcome::kNothingHappened, "x"));
  const auto entries = member(0)->verify();
  ASSERT_EQ(entries.size(), 4u);
  EXPECT_EQ(entries[1].statement.incarnation, 1u);
}

// The others know of a log that neither file here knows any more: its numbers are taken.
TEST_F(AuditLogTest, ANewLogBeginsBehindThoseThatTheOthersSaw) {
  all_well(session(2));
  fs::copy(root_ / "m0", root_ / "backup", fs::copy_options::recursive);
  lose_once(0);
  (void)member(0, true);
  all_well(session(
      2, [&](net::Party& party, Member& m) { m->append(party, entry(LogOutcome::kDone, "one")); }));
  ASSERT_EQ(member(0)->last()->incarnation, 1u);
  all_well(session(2));  // the other one saw it
  fs::remove_all(root_ / "m0");
  fs::copy(root_ / "backup", root_ / "m0", fs::copy_options::recursive);
  fs::permissions(root_ / "m0", fs::perms::owner_all);
  lose_once(0);
  (void)member(0, true);
  all_well(session(2));
  EXPECT_EQ(member(0)->last()->incarnation, 2u);
  EXPECT_EQ(error_of_verify(0), "no error");
}

// `peer accept` begins a new log where it is the remedy, and nowhere else; a session follows.
TEST_F(AuditLogTest, AnAcceptedLossBeginsANewLogAlsoOfAForkAndOfALostOnceDb) {
  all_well(session(
      2, [&](net::Party& party, Member& m) { m->append(party, entry(LogOutcome::kDone, "one")); }));
  member(0)->accept_loss();
  EXPECT_EQ(member(0)->last()->incarnation, 0u) << "nothing was lost";
  EXPECT_FALSE(member(0)->begin_anew_if_once_lost());
  member(0)->accept_loss(true);
  EXPECT_EQ(member(0)->last()->incarnation, 1u);
  EXPECT_THAT(member(0)->verify().back().entry.text, HasSubstr("a copy of this member signed"));
  all_well(session(2));
  lose_once(0);
  member(0, true)->accept_loss();
  EXPECT_EQ(member(0)->last()->incarnation, 2u);
  all_well(session(2));
  lose_once(0);
  EXPECT_TRUE(member(0, true)->begin_anew_if_once_lost());
  EXPECT_EQ(member(0)->last()->incarnation, 3u);
  all_well(session(2));
  EXPECT_EQ(error_of_verify(0), "no error");
}

// M24: whoever has a key that was replaced speaks for nobody, in a new incarnation neither.
TEST_F(AuditLogTest, NothingComesBackUnderAKeyOfBefore) {
  all_well(session(2));
  const net::Identity before = std::move(identities_[0]);
  identities_[0] = net::Identity::make("renewed");
  all_well(session(2, [&](net::Party&, Member& m) {
    m->append_alone(entry(LogOutcome::kNote, "under the new key"));
  }));
  const std::vector<net::SigningKey> keys = {before.signing_key(), identities_[0].signing_key()};
  Member m = member(0);
  const OnceDb::LogHead last = *m->last();
  const auto back = [&](uint32_t incarnation, uint64_t number, const net::Identity& who) {
    agreement::Statement s;
    s.room = room_;
    s.author = mid(0);
    s.incarnation = incarnation;
    s.number = number;
    if (number > 1) s.previous = last.digest;
    s.body = agreement::NoteBody{{}, "back", {}}.encode();
    s.sign(who);
    return error_of([&] { m->take_back(s, keys); });
  };
  EXPECT_THAT(back(last.incarnation, last.number + 1, before), HasSubstr("is not signed by"));
  EXPECT_THAT(back(last.incarnation + 1, 1, before), HasSubstr("is not signed by"));
  EXPECT_EQ(back(last.incarnation, last.number + 1, identities_[0]), "no error");
}

TEST_F(AuditLogTest, KilledBetweenTheTwoFilesNothingIsLostAndNoNumberIsSignedTwice) {
  all_well(session(2));
  Member m = member(0);
  const OnceDb::LogHead before = *m.once->log_head(room_);
  m->append_alone(entry(LogOutcome::kDone, "one"));
  m.once->set_log_head(room_, before);
  EXPECT_EQ(m->verify().size(), 2u);
  m->append_alone(entry(LogOutcome::kDone, "two"));
  EXPECT_EQ(m->verify().size(), 3u);
  // Two more than once.db knows is no crash.
  m.once->set_log_head(room_, before);
  EXPECT_THAT(error_of([&] { (void)m->verify(); }), HasSubstr("different times"));
}

// E2: a member killed after the release says at its next start what may have happened.
// A commit of a flow and its line (operations.md (c) "Logged").
TEST_F(AuditLogTest, ANoteAndWhatItTellsOfAreDurableTogetherOrNeither) {
  all_well(session(2));
  const Bytes id = {1}, row = {2};
  size_t entries = 0;
  {
    const Member m = member(0, true);
    entries = m->verify().size();
    m->append_with(entry(LogOutcome::kNote, "one"), [&] { m.db->put("change", id, row, {}); });
    EXPECT_EQ(m->verify().size(), entries + 1);
    EXPECT_THROW(m->append_with(entry(LogOutcome::kNote, "two"),
                                [&] {
                                  m.db->put("change", id, Bytes{3}, {});
                                  throw InputError("disk", "is full", "");
                                }),
                 InputError);
  }
  const Member m = member(0, true);
  EXPECT_EQ(m->verify().size(), entries + 1);
  ASSERT_TRUE(m.db->get("change", id).has_value());
  EXPECT_EQ(m.db->get("change", id)->meta, row);
  // A log that cannot be written keeps the change away too.
  m.once->set_log_head(room_, {1, 99, {}});
  EXPECT_THROW(m->append_with(entry(LogOutcome::kNote, "three"),
                              [&] { m.db->put("change", id, Bytes{4}, {}); }),
               InputError);
  EXPECT_EQ(m.db->get("change", id)->meta, row);
}

TEST_F(AuditLogTest, RunsThatEndedWithTheirProcessGetAnEntry) {
  for (const bool released : {false, true}) {
    Digest run{};
    all_well(session(2, [&](net::Party& party, Member& m) {
      m->append_alone(approved(party, "x"));
      if (party.id() == 1) m->append(party, entry(LogOutcome::kDone, "x"));
      if (party.id() == 0) {
        run = party.scope().sid;
        if (released) m.once->run_released(run);
        // The other one signs with all; this one is killed before it can write it.
        LogEntry e = entry(LogOutcome::kDone, "x");
        AuditLog elsewhere(*m.db, *m.once, identities_[0], room_, mid(0));
        (void)elsewhere;
        agreement::ResultBody body;
        body.proposal = e.proposal;
        body.run = body.session = run;
        body.outcome = agreement::Outcome::kDone;
        body.text = e.text;
        const Bytes text = body.joint_text(room_, e.unix_seconds);
        const Digest digest = sha256(text);
        Bytes message(digest.begin(), digest.end());
        flexroom::append(message, ByteView(agreement::sign_result(identities_[0], text)));
        (void)party.exchange("log/entry", message);
      }
    }));
    Member m = member(0);
    EXPECT_EQ(m.once->open_runs(room_).size(), 1u);
    EXPECT_EQ(m.once->open_runs(Digest{}).size(), 0u) << "of another room";
    EXPECT_EQ(m->settle_open_runs(), 1u);
    EXPECT_EQ(m->settle_open_runs(), 0u);
    const auto last = m->verify().back();
    EXPECT_EQ(last.entry.run, run);
    EXPECT_EQ(last.entry.outcome,
              released ? LogOutcome::kEffectMayHaveHappened : LogOutcome::kNothingHappened);
    EXPECT_THAT(last.entry.text, HasSubstr("call x: the program ended"));
    EXPECT_EQ(member(1).once->open_runs(room_).size(), 0u) << "an outcome closes it";
  }
}

// M28: both logs say who said no, and the refuser's signature proves it to anybody.
TEST_F(AuditLogTest, ARefusalStandsInBothLogs) {
  const Digest proposal{9};
  Bytes said;
  all_well(session(2, [&](net::Party& party, Member& m) {
    if (party.id() == 1) {
      said = m->refuse(proposal, "budget");
      party.send(0, "no", said);
      return;
    }
    const Bytes heard = party.receive_up_to(1, "no", 4096);
    EXPECT_EQ(m->heard_refusal(1, proposal, heard), "budget");
    EXPECT_THROW((void)m->heard_refusal(1, Digest{8}, heard), ProtocolAbort);
    EXPECT_THROW((void)m->heard_refusal(0, proposal, heard), ProtocolAbort);
    Bytes altered = heard;
    altered.back() ^= 1;
    EXPECT_THROW((void)m->heard_refusal(1, proposal, altered), ProtocolAbort);
    EXPECT_THROW((void)m->heard_refusal(1, proposal, {}), ProtocolAbort);
  }));
  const auto own = member(1)->verify(), other = member(0)->verify();
  ASSERT_EQ(own.size(), 2u);
  EXPECT_EQ(own[1].entry.outcome, LogOutcome::kRefused);
  EXPECT_EQ(own[1].entry.text, "this member said no: budget");
  ASSERT_EQ(other.size(), 2u);
  EXPECT_EQ(other[1].entry.outcome, LogOutcome::kRefused);
  EXPECT_EQ(other[1].entry.text, "m1 said no: budget");
  EXPECT_EQ(other[1].entry.proposal, proposal);
  // Nobody can put words into another's mouth: the note needs the other's signature.
  Member m = member(0);
  const std::string kind = rows_of_room("statement", room_);
  const Bytes id = m.db->ids(kind)[1];
  agreement::Statement s = agreement::Statement::decode(m.db->get(kind, id)->meta, "row");
  agreement::NoteBody note = agreement::NoteBody::decode(s.body, "row");
  note.statement.back() ^= 1;
  s.body = note.encode();
  s.sign(identities_[0]);
  m.db->put(kind, id, s.encode(), {});
  EXPECT_THAT(error_of([&] { (void)m->verify(); }), HasSubstr("refusal in it is not signed"));
}

TEST_F(AuditLogTest, TheLastApprovedOfAKindIsFound) {
  std::vector<Digest> digests;
  all_well(session(2, [&](net::Party& party, Member& m) {
    for (const std::string title : {"a", "b", "a"}) {
      const LogEntry e = approved(party, title);
      m->append_alone(e);
      if (party.id() == 0) digests.push_back(e.proposal);
    }
  }));
  Member m = member(0);
  EXPECT_EQ(agreement::proposal_digest(*m->last_approved("call", "b")), digests[1]);
  EXPECT_EQ(agreement::proposal_digest(*m->last_approved("call", "a")), digests[2]);
  EXPECT_FALSE(m->last_approved("call", "c").has_value());
}

// Also where the operator accepted that later entries are lost: what was seen last is still known.
TEST_F(AuditLogTest, TheLastApprovedIsFoundInAnEarlierLog) {
  std::vector<Digest> digests;
  for (const std::string title : {"a", "b", "a"}) {  // one approval of a proposal in a session
    all_well(session(2, [&](net::Party& party, Member& m) {
      const LogEntry e = approved(party, title);
      m->append_alone(e);
      if (party.id() == 0) digests.push_back(e.proposal);
    }));
  }
  for (int again = 0; again < 2; ++again) {  // two logs on top of it
    fs::remove(root_ / "m0.once");
    for (const char* suffix : {"", "-wal", "-shm"}) {
      fs::remove(root_ / "m0" / ("once.db" + std::string(suffix)));
    }
    member(0)->append_alone(entry(LogOutcome::kNote, "of a new log"));
  }
  Member m = member(0);
  ASSERT_EQ(m->verify().back().statement.incarnation, 2u);
  EXPECT_EQ(agreement::proposal_digest(*m->last_approved("call", "a")), digests[2]);
  EXPECT_EQ(agreement::proposal_digest(*m->last_approved("call", "b")), digests[1]);
  EXPECT_FALSE(m->last_approved("call", "c").has_value());
}

// Two rooms on one state folder have a log each.
TEST_F(AuditLogTest, EachRoomHasItsOwn) {
  all_well(session(
      2, [&](net::Party& party, Member& m) { m->append(party, entry(LogOutcome::kDone, "one")); }));
  room_[0] = 8;
  EXPECT_EQ(member(0)->verify().size(), 0u);
  all_well(session(2));
  EXPECT_EQ(member(0)->verify().size(), 1u);
  room_[0] = 7;
  EXPECT_EQ(member(0)->verify().size(), 2u);
}

}  // namespace
}  // namespace flexroom::store
