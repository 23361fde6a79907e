#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "agreement/change.h"
#include "agreement/statement.h"
#include "base/error.h"
#include "store/log_verifier.h"
#include "support/parties.h"

namespace flexroom::store {
namespace {

using namespace agreement;
using ::testing::HasSubstr;

std::string error_of(const std::function<void()>& body) {
  try {
    body();
    return "no error";
  } catch (const InputError& error) {
    return error.what();
  }
}

MemberId mid(uint8_t which) { return {which}; }

/// a and b found a room; b leaves, c joins (members.md §5.4: keys of each entry's own
/// configuration).
struct Story {
  net::Identity a = net::Identity::make("a"), b = net::Identity::make("b"),
                c = net::Identity::make("c");
  Configuration first, second;
  ChangeStart start;
  Bytes ready, attempt;

  Story() {
    first.room = {9};
    first.name = "room";
    first.profile = "default";
    first.members = {entry(1, a), entry(2, b)};
    first.couriers = {mid(2)};
    second = first;
    second.number = 1;
    second.previous = first.digest();
    second.members = {entry(1, a), entry(3, c)};
    second.couriers = {mid(3)};
    start.before = first;
    start.next = second;
    start.nonces = {{1}, {2}, {3}};
    const std::vector<const net::Identity*> who = {&a, &b, &c};
    auto run = support::run_parties(3, [&](net::Party& party) {
      return approve(party, *who[party.id()], change_sets(first, second).keys(),
                     change_proposal(first, second));
    });
    start.approval = run.outcomes[0].value.value();
    ready = ReadyBody{start.attempt(), {1}, {2}}.encode();
    attempt = AttemptBody{start.attempt()}.encode();
  }
  static Configuration::Member entry(uint8_t id, const net::Identity& identity) {
    return {mid(id), identity.name(), identity.signing_key(), identity.fingerprint(), "host:1"};
  }
  ChangeBody founded() const {
    ChangeBody out;
    out.configuration = first;
    out.signatures = {sign_configuration(a, first.digest()), sign_configuration(b, first.digest())};
    return out;
  }
  Statement alone(const net::Identity& who, uint8_t id, StatementKind kind, Bytes body) const {
    Statement s;
    s.room = first.room;
    s.author = mid(id);
    s.number = 1;
    s.kind = kind;
    s.body = std::move(body);
    s.sign(who);
    return s;
  }
  ChangeBody changed() const {
    ChangeBody out;
    out.configuration = second;
    out.start = start;
    out.statements = {alone(a, 1, StatementKind::kReady, ready),
                      alone(a, 1, StatementKind::kBind, attempt),
                      alone(c, 3, StatementKind::kReady, ready)};
    return out;
  }
};

/// A member's chain, as it goes on.
class Chain {
 public:
  Chain(const Story& story, const net::Identity& who, uint8_t id)
      : story_(story), who_(who), verifier_(story.first.room, mid(id)), id_(id) {}
  VerifiedEntry add(StatementKind kind, Bytes body, const net::Identity* signer = nullptr) {
    Statement s;
    s.room = story_.first.room;
    s.author = mid(id_);
    s.number = verifier_.any() ? verifier_.last().number + 1 : 1;
    if (verifier_.any()) s.previous = verifier_.last().digest;
    s.kind = kind;
    s.body = std::move(body);
    s.sign(signer != nullptr ? *signer : who_);
    return verifier_.next(s, "entry");
  }

 private:
  const Story& story_;
  const net::Identity& who_;
  LogVerifier verifier_;
  const uint8_t id_;
};

TEST(ChangeLogTest, StayerJoinerAndLeaverAreReadable) {
  const Story s;
  Chain stayer(s, s.a, 1), joiner(s, s.c, 3), leaver(s, s.b, 2);
  (void)stayer.add(StatementKind::kChange, s.founded().encode());
  (void)leaver.add(StatementKind::kChange, s.founded().encode());
  for (Chain* chain : {&stayer, &joiner, &leaver}) {
    const VerifiedEntry entry = chain->add(StatementKind::kStart, s.start.encode());
    EXPECT_EQ(entry.entry.outcome, LogOutcome::kApproved);
    EXPECT_TRUE(entry.joint);
  }
  (void)leaver.add(StatementKind::kLeft, s.attempt);
  (void)joiner.add(StatementKind::kReady, s.ready);
  (void)stayer.add(StatementKind::kReady, s.ready);
  (void)stayer.add(StatementKind::kBind, s.attempt);
  for (Chain* chain : {&stayer, &joiner}) {
    EXPECT_THAT(chain->add(StatementKind::kChange, s.changed().encode()).entry.text,
                HasSubstr("configuration 1"));
    (void)chain->add(StatementKind::kNote, NoteBody{{}, "hello", {}}.encode());
  }
}

// M17, M39 (members.md §5.4): a chain that signs both stops there; so does one about no change.
TEST(ChangeLogTest, BindAndVoidOfOneKeyAreNamed) {
  const Story s;
  Chain chain(s, s.a, 1);
  (void)chain.add(StatementKind::kChange, s.founded().encode());
  EXPECT_THAT(error_of([&] { (void)chain.add(StatementKind::kReady, s.ready); }),
              HasSubstr("not approved before it"));
  (void)chain.add(StatementKind::kVoid, s.attempt);  // of an attempt that it did not come to
  (void)chain.add(StatementKind::kStart, s.start.encode());
  (void)chain.add(StatementKind::kBind, s.attempt);
  EXPECT_THAT(error_of([&] { (void)chain.add(StatementKind::kVoid, s.attempt); }),
              HasSubstr("signs BIND and VOID"));
}

// M39: a configuration that nobody switched to, once the room changes through the switch.
TEST(ChangeLogTest, MembersChangeThroughTheSwitchAlone) {
  const Story s;
  Chain chain(s, s.a, 1);
  (void)chain.add(StatementKind::kChange, s.founded().encode());
  (void)chain.add(StatementKind::kStart, s.start.encode());
  ChangeBody lacks = s.changed();
  lacks.statements.pop_back();
  EXPECT_THAT(error_of([&] { (void)chain.add(StatementKind::kChange, lacks.encode()); }),
              HasSubstr("lacks READY of c"));
  (void)chain.add(StatementKind::kChange, s.changed().encode());
  ChangeBody third;
  third.configuration = s.second;
  third.configuration.number = 2;
  third.configuration.previous = s.second.digest();
  third.configuration.members[1] = Story::entry(4, s.b);
  third.configuration.couriers = {mid(4)};
  const Digest digest = third.configuration.digest();
  third.signatures = {sign_configuration(s.a, digest), sign_configuration(s.b, digest)};
  EXPECT_THAT(error_of([&] { (void)chain.add(StatementKind::kChange, third.encode()); }),
              HasSubstr("without READY and BIND"));
}

}  // namespace
}  // namespace flexroom::store
