#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <functional>

#include "agreement/change.h"
#include "agreement/member_statements.h"
#include "agreement/statement.h"
#include "base/base64.h"
#include "base/error.h"
#include "store/log_verifier.h"
#include "support/parties.h"

namespace flexroom::store {
namespace change_log_test {

using namespace agreement;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

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
    tried_ = statements_;
    tried_.push_back(s);
    const VerifiedEntry entry = verifier_.next(s, "entry");
    statements_.push_back(s);
    return entry;
  }
  /// What a program that shares nothing with this one (examples/verify_log.py) says of it, the
  /// entry that was refused last included.
  std::string python() const {
    char name[] = "/tmp/flexroom-log-XXXXXX";
    const int file = mkstemp(name);
    EXPECT_GE(file, 0);
    std::ofstream out(name);
    for (const Statement& s : tried_) {
      out << "{\"statement\": \"" << base64_encode(s.encode()) << "\"}\n";
    }
    out.close();
    close(file);
    FILE* pipe = popen((std::string("/usr/bin/python3 ") + FLEXROOM_SOURCE_DIR +
                        "/examples/verify_log.py " + name + " 2>&1")
                           .c_str(),
                       "r");
    std::string text;
    std::array<char, 4096> buffer{};
    for (size_t n = 0; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
      text.append(buffer.data(), n);
    }
    const int code = WEXITSTATUS(pclose(pipe));
    std::remove(name);
    return std::to_string(code) + " " + text;
  }

 private:
  const Story& story_;
  const net::Identity& who_;
  LogVerifier verifier_;
  const uint8_t id_;
  std::vector<Statement> statements_, tried_;
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
  for (const Chain* chain : {&stayer, &joiner, &leaver}) {
    EXPECT_THAT(chain->python(), AllOf(StartsWith("0 "), HasSubstr("change to configuration 1"),
                                       HasSubstr("all chains and signatures are right")));
  }
}

// Each by itself makes the chain worth nothing, before both verifiers (M17, M39).
TEST(ChangeLogTest, EachForgeryOfAChangeIsNamedByBothVerifiers) {
  const Story s;
  const auto refused = [&](StatementKind kind, const Bytes& body, const std::string& here,
                           const std::string& there) {
    Chain chain(s, s.a, 1);
    (void)chain.add(StatementKind::kChange, s.founded().encode());
    if (kind != StatementKind::kStart) (void)chain.add(StatementKind::kStart, s.start.encode());
    EXPECT_THAT(error_of([&] { (void)chain.add(kind, body); }), HasSubstr(here));
    EXPECT_THAT(chain.python(), AllOf(StartsWith("1 "), HasSubstr(there)));
  };
  const auto start = [&](const std::function<void(ChangeStart&)>& forge, const std::string& here,
                         const std::string& there) {
    ChangeStart forged = s.start;
    forge(forged);
    refused(StatementKind::kStart, forged.encode(), here, there);
  };
  start([](ChangeStart& f) { f.approval.signatures[2][3] ^= 1; }, "not all of both",
        "not approved by c");
  start([](ChangeStart& f) { f.nonces.pop_back(); }, "lacks the nonce", "lacks the nonce");
  start([&](ChangeStart& f) { f.next.members[1].key = s.b.signing_key(); }, "the key of",
        "the key of another");
  start([](ChangeStart& f) { f.next.members[1].address = "elsewhere:1"; }, "something else",
        "something else");
  start([](ChangeStart& f) { f.next.number = 2; }, "does not follow", "does not follow");
  start([](ChangeStart& f) { std::swap(f.next.members[0], f.next.members[1]); }, "another order",
        "another order");
  const auto change = [&](const std::function<void(ChangeBody&)>& forge, const std::string& here,
                          const std::string& there) {
    ChangeBody forged = s.changed();
    forge(forged);
    refused(StatementKind::kChange, forged.encode(), here, there);
  };
  change([](ChangeBody& f) { f.statements.erase(f.statements.begin() + 1); }, "lacks BIND of a",
         "lacks BIND of a");
  change([](ChangeBody& f) { f.statements[0].signature[3] ^= 1; }, "not signed by a member",
         "not signed by");
  change([](ChangeBody& f) { std::swap(f.statements[0], f.statements[2]); }, "unsorted",
         "unsorted");
  change(
      [&](ChangeBody& f) {
        f.statements[0] =
            s.alone(s.a, 1, StatementKind::kReady, ReadyBody{s.start.attempt(), {1}, {9}}.encode());
      },
      "different READY", "different READY");
  change(
      [&](ChangeBody& f) {
        f.statements[1] = s.alone(s.a, 1, StatementKind::kBind, AttemptBody{{5}}.encode());
      },
      "another attempt", "another attempt");
  change([&](ChangeBody& f) { f.statements[1] = s.alone(s.a, 1, StatementKind::kVoid, s.attempt); },
         "shows nothing", "shows nothing");
}

// The text above rests on a configuration: who joins has none before its CHANGE.
TEST(ChangeLogTest, AJoinerHasNoConfigurationToSignWithOthersUnder) {
  const Story s;
  Chain joiner(s, s.c, 3);
  (void)joiner.add(StatementKind::kStart, s.start.encode());
  ResultBody joint;
  joint.signatures.resize(2);
  EXPECT_THAT(error_of([&] { (void)joiner.add(StatementKind::kResult, joint.encode()); }),
              HasSubstr("has no configuration"));
  EXPECT_THAT(joiner.python(), AllOf(StartsWith("1 "), HasSubstr("has no configuration")));
}

// A START rests on what this member itself said last about it, and stands once.
TEST(StartLogTest, NothingBeginsThatThisMemberHadNotApproved) {
  const Story s;
  Chain chain(s, s.a, 1);
  (void)chain.add(StatementKind::kChange, s.founded().encode());
  Proposal p;
  p.kind = "call";
  const Digest d = p.digest();
  const auto start = [&](uint8_t session) {
    StartBody body{s.first.digest(), {d, {session}, p.canonical(), {}}};
    body.approval.signatures = {sign_start(s.a, {session}, d), sign_start(s.b, {session}, d)};
    return body.encode();
  };
  const auto joint_start = [&](uint8_t session) {
    StartSaying saying;
    saying.configuration = s.first.digest();
    saying.complete = d;
    saying.decision = Answer::kYes;
    JointStart body{s.first.digest(), d, 0, {session}, {saying.encode(), saying.encode()}, {}};
    body.signatures = {sign_start(s.a, {session}, body.digest()),
                       sign_start(s.b, {session}, body.digest())};
    return body.encode();
  };
  const auto refused = [&](const Bytes& body, const std::string& why) {
    EXPECT_THAT(error_of([&] { (void)chain.add(StatementKind::kStart, body); }), HasSubstr(why));
    EXPECT_THAT(chain.python(), AllOf(StartsWith("1 "), HasSubstr(why)));
  };
  ApproveBody approval;
  approval.proposal = d;
  const auto approve = [&] { (void)chain.add(StatementKind::kApprove, approval.encode()); };
  // Of a proposal that waited, always; where all members were there, once people have a rule.
  refused(joint_start(1), "had not approved");
  (void)chain.add(StatementKind::kStart, start(1));
  refused(start(1), "stands twice");
  approve();
  (void)chain.add(StatementKind::kStart, joint_start(2));
  refused(joint_start(2), "stands twice");
  (void)chain.add(StatementKind::kWithdraw,
                  WithdrawBody{d, WithdrawBody::What::kApproval}.encode());
  refused(joint_start(3), "took back");
  approve();
  (void)chain.add(StatementKind::kReject, RejectBody{d, "no"}.encode());
  refused(joint_start(3), "took back");
  (void)chain.add(StatementKind::kRule, RuleBody{1, {1}, {}, false, {}}.encode());
  refused(start(3), "had not approved");
  approval.rule_version = 1;
  approval.evidence = {1};
  approve();
  (void)chain.add(StatementKind::kStart, start(3));
  EXPECT_THAT(chain.python(), StartsWith("0 "));
}

// M17, M39 (members.md §5.4): a chain that signs both stops there; so does one about no change.
TEST(ChangeLogTest, BindAndVoidOfOneKeyAreNamed) {
  const Story s;
  Chain chain(s, s.a, 1);
  (void)chain.add(StatementKind::kChange, s.founded().encode());
  EXPECT_THAT(error_of([&] { (void)chain.add(StatementKind::kReady, s.ready); }),
              HasSubstr("not approved before it"));
  EXPECT_THAT(chain.python(), HasSubstr("not approved before it"));
  (void)chain.add(StatementKind::kVoid, s.attempt);  // of an attempt that it did not come to
  (void)chain.add(StatementKind::kStart, s.start.encode());
  (void)chain.add(StatementKind::kBind, s.attempt);
  EXPECT_THAT(error_of([&] { (void)chain.add(StatementKind::kVoid, s.attempt); }),
              HasSubstr("signs BIND and VOID"));
  EXPECT_THAT(chain.python(), HasSubstr("signs BIND and VOID"));
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
  EXPECT_THAT(chain.python(), HasSubstr("lacks READY of c"));
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
  EXPECT_THAT(chain.python(), HasSubstr("without READY and BIND"));
}

}  // namespace change_log_test
}  // namespace flexroom::store
