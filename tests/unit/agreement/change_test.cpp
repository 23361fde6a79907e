#include "agreement/change.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "agreement/render.h"
#include "agreement/statement.h"
#include "base/error.h"
#include "support/parties.h"

namespace flexroom::agreement {
namespace change_test {

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

/// a and b are in the room; c is to join, b to leave.
struct Example {
  net::Identity a = net::Identity::make("a"), b = net::Identity::make("b"),
                c = net::Identity::make("c");
  Configuration before = [this] {
    Configuration out;
    out.room = {9};
    out.number = 3;
    out.previous = {8};
    out.name = "room";
    out.profile = "default";
    out.members = {entry(1, a), entry(2, b)};
    out.couriers = {mid(2)};
    return out;
  }();

  static Configuration::Member entry(uint8_t id, const net::Identity& identity) {
    return {mid(id), identity.name(), identity.signing_key(), identity.fingerprint(), "host:7100"};
  }
  Configuration then(std::vector<Configuration::Member> members) const {
    Configuration out = before;
    out.number = 4;
    out.previous = before.digest();
    out.couriers = {members.back().id};
    out.members = std::move(members);
    return out;
  }
  /// Signed by these, for the members of U.
  ChangeStart start(const Configuration& next, const std::vector<const net::Identity*>& who) const {
    ChangeStart out;
    out.before = before;
    out.next = next;
    for (size_t i = 0; i < who.size(); ++i) out.nonces.push_back({static_cast<uint8_t>(i + 1)});
    const Proposal proposal = change_proposal(before, next);
    auto run = support::run_parties(who.size(), [&](net::Party& party) {
      return approve(party, *who[party.id()], change_sets(before, next).keys(), proposal);
    });
    out.approval = run.outcomes[0].value.value();
    return out;
  }
  Statement said(const net::Identity& identity, uint8_t id, StatementKind kind, Bytes body) const {
    Statement s;
    s.room = before.room;
    s.author = mid(id);
    s.number = 5;
    s.kind = kind;
    s.body = std::move(body);
    s.sign(identity);
    return s;
  }
};

// members.md §1.2.
TEST(ChangeTest, Sets) {
  const Example e;
  const ChangeSets sets =
      change_sets(e.before, e.then({Example::entry(1, e.a), Example::entry(3, e.c)}));
  EXPECT_EQ(sets.stay, std::vector<MemberId>{mid(1)});
  EXPECT_EQ(sets.leave, std::vector<MemberId>{mid(2)});
  EXPECT_EQ(sets.join, std::vector<MemberId>{mid(3)});
  EXPECT_EQ(sets.all.size(), 3u);
  EXPECT_EQ(sets.index_of(mid(3)), 2u);
}

// M24: a member signs with the key that it has in CONF_{g+1}; the old one is no voice any more.
TEST(ChangeTest, ANewKeySpeaksAndTheOldOneDoesNot) {
  const Example e;
  const Configuration next = e.then({Example::entry(1, e.a), Example::entry(2, e.c)});
  EXPECT_TRUE(needs_rows(e.before, next));
  EXPECT_EQ(change_sets(e.before, next).keys()[1], e.c.signing_key());
  const ChangeStart start = e.start(next, {&e.a, &e.c});
  EXPECT_NO_THROW(start.verify("change"));
  EXPECT_NO_THROW(ChangeStart::decode(start.encode(), "change").verify("change"));
  EXPECT_EQ(ChangeStart::decode(start.encode(), "change").attempt(), start.attempt());
}

TEST(ChangeTest, WhatMayNotBeIsRefused) {
  const Example e;
  const auto a = Example::entry(1, e.a), b = Example::entry(2, e.b), c = Example::entry(3, e.c);
  const auto refused = [&](const Configuration& next) {
    return error_of([&] { check_change(e.before, next, "change"); });
  };
  Configuration same = e.before;
  same.number = 4;
  same.previous = e.before.digest();
  EXPECT_THAT(refused(same), HasSubstr("changes nothing"));
  EXPECT_THAT(refused(e.then({b, a})), HasSubstr("another order"));
  EXPECT_THAT(refused(e.then({a})), HasSubstr("has 1 members"));
  EXPECT_THAT(refused(e.then({c, Example::entry(4, net::Identity::make("d"))})),
              HasSubstr("keeps no member"));
  auto thief = Example::entry(3, e.b);
  thief.name = "thief";
  EXPECT_THAT(refused(e.then({a, thief})), HasSubstr("the key of b"));
  Configuration skips = e.then({a, b, c});
  skips.number = 5;
  EXPECT_THAT(refused(skips), HasSubstr("does not follow"));
  skips = e.then({a, b, c});
  skips.previous = {1};
  EXPECT_THAT(refused(skips), HasSubstr("does not follow"));
  Configuration other = e.then({a, b, c});
  other.profile = "other";
  EXPECT_THAT(refused(other), HasSubstr("another name or profile"));
  auto namesake = c;
  namesake.name = "a";
  EXPECT_THAT(refused(e.then({a, b, namesake})), HasSubstr("a name twice"));
  EXPECT_NO_THROW(check_change(e.before, e.then({a, b, c}), "change"));
}

// members.md §1.3: what is approved says to everybody what it means (M10, M18).
TEST(ChangeTest, TheProposalSaysWhatItMeans) {
  const Example e;
  const std::string text =
      render(change_proposal(e.before, e.then({Example::entry(1, e.a), Example::entry(3, e.c)})));
  EXPECT_THAT(text, HasSubstr("From then on c is needed for everything"));
  EXPECT_THAT(text, HasSubstr("b keeps what it has copied"));
  EXPECT_THAT(text, HasSubstr("from the moment you press enter"));
  EXPECT_THAT(text, HasSubstr("you rely on one of a, b telling the truth"));
  EXPECT_THAT(text, HasSubstr(to_hex(e.c.signing_key())));
  EXPECT_THAT(text, HasSubstr("handed over as new rows"));
}

// members.md §5.4: what a configuration that came of the switch has to show.
TEST(ChangeTest, ACertificateIsReadyOfAllThenAndBindOfAllWhoStay) {
  const Example e;
  ChangeBody body;
  body.start =
      e.start(e.then({Example::entry(1, e.a), Example::entry(3, e.c)}), {&e.a, &e.b, &e.c});
  body.configuration = body.start->next;
  const Digest attempt = body.start->attempt();
  const Bytes ready = ReadyBody{attempt, {1}, {2}}.encode();
  const Bytes plain = AttemptBody{attempt}.encode();
  const Statement ready_a = e.said(e.a, 1, StatementKind::kReady, ready);
  const Statement bind_a = e.said(e.a, 1, StatementKind::kBind, plain);
  const Statement left_b = e.said(e.b, 2, StatementKind::kLeft, plain);
  const Statement ready_c = e.said(e.c, 3, StatementKind::kReady, ready);
  const auto problem = [&](std::vector<Statement> statements) {
    ChangeBody one = body;
    one.statements = std::move(statements);
    return error_of([&] { one.require_valid("change"); });
  };
  EXPECT_EQ(problem({ready_a, bind_a, left_b, ready_c}), "no error");
  EXPECT_EQ(problem({ready_a, bind_a, ready_c}), "no error");
  EXPECT_THAT(problem({ready_a, bind_a, left_b}), HasSubstr("lacks READY of c"));
  EXPECT_THAT(problem({ready_a, left_b, ready_c}), HasSubstr("lacks BIND of a"));
  EXPECT_THAT(problem({bind_a, ready_a, ready_c}), HasSubstr("unsorted or twice"));
  EXPECT_THAT(problem({ready_a, bind_a, e.said(e.b, 3, StatementKind::kReady, ready)}),
              HasSubstr("not signed by a member of the change"));
  EXPECT_THAT(
      problem({ready_a, bind_a,
               e.said(e.c, 3, StatementKind::kReady, ReadyBody{attempt, {7}, {2}}.encode())}),
      HasSubstr("different READY"));
  EXPECT_THAT(
      problem({ready_a, e.said(e.a, 1, StatementKind::kBind, AttemptBody{{4}}.encode()), ready_c}),
      HasSubstr("another attempt"));
  EXPECT_THAT(problem({ready_a, bind_a, e.said(e.a, 1, StatementKind::kVoid, plain), ready_c}),
              HasSubstr("a kind that shows nothing"));
  const ChangeBody read = [&] {
    ChangeBody whole = body;
    whole.statements = {ready_a, bind_a, left_b, ready_c};
    return ChangeBody::decode(whole.encode(), "change");
  }();
  EXPECT_NO_THROW(read.require_valid("change"));
  ChangeBody other = read;
  other.configuration.number = 7;
  EXPECT_FALSE(other.verify());
}

// A START whose approval is of another change, or lacks a voice, shows nothing.
TEST(ChangeTest, AStartIsApprovedByAllOfBothConfigurations) {
  const Example e;
  const Configuration next = e.then({Example::entry(1, e.a), Example::entry(3, e.c)});
  ChangeStart start = e.start(next, {&e.a, &e.b, &e.c});
  const ChangeStart whole = start;
  start.approval.signatures[1] = start.approval.signatures[0];
  EXPECT_THAT(error_of([&] { start.verify("change"); }), HasSubstr("not all of both"));
  start = whole;
  start.next.couriers = {mid(1)};
  EXPECT_THAT(error_of([&] { start.verify("change"); }), HasSubstr("something else"));
  start = whole;
  start.nonces.pop_back();
  EXPECT_THAT(error_of([&] { start.verify("change"); }), HasSubstr("lacks the nonce"));
  start = whole;
  start.nonces[0] = {77};
  EXPECT_NE(start.attempt(), whole.attempt());
}

}  // namespace change_test
}  // namespace flexroom::agreement
