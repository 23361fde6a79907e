#include "inbox/start.h"

#include <cstdlib>
#include <fstream>

#include "store/log_export.h"
#include "unit/inbox/inbox_fixture.h"

namespace flexroom::inbox {
namespace {

using agreement::JointStart;
using agreement::Outcome;

class StartTest : public InboxTest, public ::testing::WithParamInterface<size_t> {
 protected:
  StartTest() : InboxTest(GetParam()) {}
  StartContext context(PartyId i) const { return {0, 0, 1, now_ + i}; }
  auto start_all(const std::function<StartContext(PartyId)>& of = nullptr,
                 const net::Tamper& tamper = nullptr) {
    return support::run_parties(
        GetParam(),
        [&](net::Party& party) {
          const PartyId i = party.id();
          return start(party, at(i), of ? of(i) : context(i));
        },
        tamper, std::chrono::seconds(20));
  }
  /// Every member stopped; what the first of them with a reason said.
  std::string why(const support::Run<Started>& run) {
    std::string out;
    for (const auto& o : run.outcomes) {
      EXPECT_FALSE(o.value.has_value());
      if (o.abort && o.abort->code() != AbortCode::kPeerLost && out.empty()) {
        out = o.abort->what();
      }
    }
    return out;
  }
};

TEST_P(StartTest, AllBeginTheSameRunAndItStandsInEveryLog) {
  const Digest a = approved(terms(), "a"), b = approved(terms(), "b");
  const auto run = start_all();
  std::optional<Digest> chosen;
  for (PartyId i = 0; i < GetParam(); ++i) {
    const auto& o = run.outcomes[i];
    ASSERT_TRUE(o.value) << o.abort->what();
    if (!chosen) chosen = o.value->run.id;
    EXPECT_EQ(o.value->run.id, *chosen);
    EXPECT_EQ(o.value->now, now_);
    EXPECT_EQ(o.value->try_number, 1U);
    EXPECT_EQ(at(i).floor(), now_);
    EXPECT_TRUE(o.value->record.verify(conf_.keys()));
    const auto last = *at(i).log().last();
    const auto s = Statement::decode(*at(i).statement(mid(i), 0, last.number), "x");
    EXPECT_EQ(s.kind, StatementKind::kStart);
    EXPECT_TRUE(JointStart::decode(s.body, "x").verify(conf_.keys()));
    EXPECT_TRUE(at(i).arm(o.value->run, "step", 1));
  }
  // The other one is next: the fewest tries.
  for (PartyId i = 0; i < GetParam(); ++i) at(i).finish(*chosen, Outcome::kDone);
  const auto next = start_all();
  ASSERT_TRUE(next.outcomes[0].value);
  EXPECT_NE(next.outcomes[0].value->run.id, *chosen);
  EXPECT_TRUE(next.outcomes[0].value->run.complete == a ||
              next.outcomes[0].value->run.complete == b);
}

// M34: the one that failed waits behind the others.
TEST_P(StartTest, ARunThatFailedBeforeItWasArmedIsTriedLast) {
  (void)approved(terms(), "a");
  (void)approved(terms(), "b");
  const auto first = start_all(), second = start_all(), third = start_all();
  ASSERT_TRUE(first.outcomes[0].value && second.outcomes[0].value && third.outcomes[0].value);
  EXPECT_NE(first.outcomes[0].value->run.id, second.outcomes[0].value->run.id);
  EXPECT_EQ(third.outcomes[0].value->try_number, 2U);
}

// Members that would choose differently choose once more, with what all said.
TEST_P(StartTest, WhatNotAllHaveReadyIsNotChosen) {
  const Digest a = approved(terms(), "a"), b = approved(terms(), "b");
  const Digest smaller = std::min(agreement::run_id(room_, a, 0), agreement::run_id(room_, b, 0));
  const Digest d = smaller == agreement::run_id(room_, a, 0) ? a : b;
  at(1).withdraw_approval(d, now_);  // and nobody knows
  const auto run = start_all();
  for (const auto& o : run.outcomes) {
    ASSERT_TRUE(o.value) << o.abort->what();
    EXPECT_NE(o.value->run.complete, d);
  }
}

TEST_P(StartTest, NothingStartsWithoutAllOfThem) {
  const Digest d = approved(terms());
  at(1).withdraw_approval(d, now_);
  EXPECT_THAT(why(start_all()), HasSubstr("nothing to start"));
  // Every one has approved, and one does not know a withdrawal that was followed by an approval.
  at(1).approve(d, {}, now_);
  const std::string differs = why(start_all());
  EXPECT_THAT(differs, HasSubstr("another state of the statements"));
  sync(now_);
  EXPECT_TRUE(start_all().outcomes[0].value);
}

TEST_P(StartTest, ClocksFloorsAndPlaces) {
  (void)approved(terms());
  EXPECT_THAT(why(start_all([&](PartyId i) {
                return StartContext{0, 0, 1, now_ + (i == 1 ? 400 : 0)};
              })),
              HasSubstr("clock"));
  EXPECT_THAT(why(start_all([&](PartyId i) {
                return StartContext{static_cast<uint8_t>(i == 1 ? 2 : 0), 0, 1, now_};
              })),
              HasSubstr("middle of a change"));
  at(1).raise_floor(now_ + 200);
  EXPECT_THAT(why(start_all()), HasSubstr("nothing to start"));
  now_ += 200;
  EXPECT_TRUE(start_all().outcomes[0].value);
}

// Every message of an honest START altered: who is honest never signs another run than was said.
TEST_P(StartTest, AlteredMessagesStartNothing) {
  (void)approved(terms());
  for (const std::string label : {"start/saying", "start/signature"}) {
    for (const size_t at_byte : {0U, 32U, 45U, 77U, 85U, 118U}) {
      const auto run = start_all(nullptr, [&](const net::MessageId& m, Bytes& payload) {
        if (m.label == label && m.sender == 1 && at_byte < payload.size()) payload[at_byte] ^= 1;
        return true;
      });
      if (label == "start/signature" && at_byte >= sizeof(net::Signature)) continue;
      EXPECT_FALSE(run.outcomes[0].value) << label << at_byte;
    }
  }
}

// What stands in the logs is read by the log's own verifier and by one that shares nothing with
// this program (members.md §5.4).
TEST_P(StartTest, TheLogsAreReadByAVerifierOfOthers) {
  const auto met = support::run_parties(GetParam(), [&](net::Party& party) {
    at(party.id()).log().exchange_heads(party, conf_);
    return true;
  });
  for (const auto& o : met.outcomes) ASSERT_TRUE(o.value.value_or(false));
  Terms t = terms();
  t.inputs = {{mid(1), "data", "", "*", {}}};
  const Digest id = at(0).propose(proposal(t), now_);
  sync(now_);
  at(1).input(id, "data", to_bytes("x"), {}, now_);
  sync(now_);
  const Digest d = complete_of(0, id);
  for (PartyId i = 0; i < GetParam(); ++i) at(i).approve(d, {}, now_);
  at(1).withdraw_approval(d, now_);
  at(1).approve(d, {}, now_);
  sync(now_);
  ASSERT_TRUE(start_all().outcomes[0].value);
  agreement::RuleBody rule;
  rule.version = 1;
  rule.digest[0] = 1;
  at(0).rule(rule.encode(), now_);
  at(0).withdraw_proposal(d, now_);
  std::string command = "/usr/bin/python3 " FLEXROOM_SOURCE_DIR "/examples/verify_log.py";
  for (PartyId i = 0; i < GetParam(); ++i) {
    const std::filesystem::path file = root_ / ("log" + std::to_string(i));
    std::ofstream out(file, std::ios::binary);
    for (const auto& entry : at(i).log().verify()) {
      out << store::export_line(entry) << "\n";
      EXPECT_NE(store::entry_text(entry), "");
    }
    EXPECT_FALSE(at(i).log().last_approved("call", "job"));
    command += " " + file.string();
  }
  EXPECT_EQ(std::system((command + " > " + (root_ / "said").string() + " 2>&1").c_str()), 0);
  std::ifstream in(root_ / "said");
  const std::string said((std::istreambuf_iterator<char>(in)), {});
  EXPECT_THAT(said, HasSubstr("started run 0 of proposal"));
  EXPECT_THAT(said, HasSubstr("this member approved "));
  EXPECT_THAT(said, HasSubstr("all chains and signatures are right"));
}

// A START whose sayings are of another run, or that not all signed, is none.
TEST_P(StartTest, AJointStartIsOfAllAboutOneRun) {
  const Digest d = approved(terms());
  const auto run = start_all();
  ASSERT_TRUE(run.outcomes[0].value);
  const JointStart good = run.outcomes[0].value->record;
  EXPECT_TRUE(good.verify(conf_.keys()));
  const auto refused = [&](const std::function<void(JointStart&)>& change) {
    JointStart other = good;
    change(other);
    EXPECT_FALSE(other.verify(conf_.keys()));
  };
  refused([](JointStart& s) { s.index = 1; });
  refused([](JointStart& s) { s.complete[0] ^= 1; });
  refused([](JointStart& s) { s.configuration[0] ^= 1; });
  refused([](JointStart& s) { s.session[0] ^= 1; });
  refused([](JointStart& s) { s.signatures[1][0] ^= 1; });
  refused([](JointStart& s) { std::swap(s.sayings[0], s.sayings[1]); });
  refused([](JointStart& s) { s.signatures.pop_back(); });
  EXPECT_EQ(good.complete, d);
}

TEST(StartSayingTest, IsReadAsItIsWritten) {
  StartSaying s;
  s.complete[0] = 4;
  s.ready = {{Digest{1}, 2}, {Digest{2}, 0}};
  s.unresolved = {Digest{3}};
  s.decision = agreement::Answer::kYes;
  const Bytes bytes = s.encode();
  EXPECT_EQ(StartSaying::decode(bytes, "x").encode(), bytes);
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    EXPECT_THROW(StartSaying::decode(ByteView(bytes).first(cut), "x"), InputError);
  }
  std::swap(s.ready[0], s.ready[1]);
  EXPECT_THROW(StartSaying::decode(s.encode(), "x"), InputError);
  s.ready = {{Digest{1}, 2}, {Digest{1}, 2}};
  EXPECT_THROW(StartSaying::decode(s.encode(), "x"), InputError);
}

INSTANTIATE_TEST_SUITE_P(Members, StartTest, ::testing::Values(2, 3));

}  // namespace
}  // namespace flexroom::inbox
