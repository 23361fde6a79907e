#include <gtest/gtest.h>

#include "support/sealed_rig.h"
#include "support/sweeps.h"

// Records of sealed connections that are no answer, or not in the plainest form (tls-in-mpc.md
// §3.6, §4.5): tickets, padding, new keys of the server.

namespace flexroom {
namespace sealed_records_test {

using agent::SealedPlan;
using support::ConnectionRig;
using support::expect_kept;
using support::keep_cookie;
using support::rig;
using support::set_cookie;
using support::small_plan;
using support::TestService;
using ::testing::HasSubstr;
using Report = ConnectionRig::Report;
using Scenario = ConnectionRig::Scenario;
using Records = std::vector<std::pair<tls::ContentType, Bytes>>;

constexpr auto kData = tls::ContentType::kApplicationData;
constexpr auto kHandshakeRecord = tls::ContentType::kHandshake;

class SealedRecordsTest : public ::testing::TestWithParam<size_t> {};
class SealedPairRecordsTest : public SealedRecordsTest {};  // public code: two members show it

Scenario with_records_before(const Records& before) {
  Scenario scenario;
  scenario.script.answer = "HTTP/1.1 204 No Content\r\n\r\n";
  scenario.script.before = before;
  return scenario;
}

Bytes joined(const std::vector<Bytes>& parts) {
  Bytes out;
  for (const Bytes& part : parts) append(out, part);
  return out;
}

/// The shortest ticket: 18 bytes with its header.
Bytes short_ticket() {
  return tls::handshake_message(tls::HandshakeType::kNewSessionTicket, Bytes(14, 1));
}

void expect_unknown(const Report& report, const std::string& why) {
  ASSERT_TRUE(report.ended);
  for (const auto& member : report.members) {
    EXPECT_FALSE(member.code.has_value()) << member.where << ": " << member.detail;
    EXPECT_TRUE(member.unknown);
    EXPECT_THAT(member.unknown_why, HasSubstr(why));
    EXPECT_EQ(member.sealed_status, 0);
    for (const auto& value : member.values) EXPECT_EQ(value.state, 0);
  }
}

void expect_status(const Report& report, size_t ticket_headers, size_t padding = 0) {
  ASSERT_TRUE(report.ended);
  for (const auto& member : report.members) {
    EXPECT_EQ(member.failure, "") << member.detail;
    EXPECT_EQ(member.sealed_status, 204);
    EXPECT_EQ(member.leak.ticket_headers, ticket_headers);
    EXPECT_EQ(member.leak.padding_bytes, padding);
  }
}

SealedPlan tickets_plan() {
  SealedPlan plan = small_plan();
  plan.records = 3;
  plan.spare_blocks = 3;
  return plan;
}

SealedPlan updates_plan() {
  SealedPlan plan = small_plan();
  plan.records = 6;
  plan.key_updates = 2;
  plan.items.push_back(keep_cookie());
  return plan;
}

const Bytes kUpdate = TestService::key_update_message();

// Of each ticket its header is opened and nothing else, wherever it stands in its record.
TEST_P(SealedRecordsTest, SeveralTicketsInARecord) {
  ConnectionRig& members = rig(GetParam(), "tickets", tickets_plan);
  const Bytes ticket = TestService::ticket_message(), small = short_ticket();
  expect_status(
      members.run(with_records_before({{kHandshakeRecord, joined({ticket, ticket, ticket})}})), 3);
  // A ticket that goes on in the next record, and a header that two blocks hold.
  const Bytes both = joined({small, ticket, small});
  const ByteView all(both);
  constexpr std::ptrdiff_t kCut = 88;
  expect_status(
      members.run(with_records_before({{kHandshakeRecord, Bytes(all.begin(), all.begin() + kCut)},
                                       {kHandshakeRecord, Bytes(all.begin() + kCut, all.end())}})),
      3);
  const Bytes thirty = tls::handshake_message(tls::HandshakeType::kNewSessionTicket, Bytes(26, 1));
  expect_status(members.run(with_records_before({{kHandshakeRecord, joined({thirty, small})}})), 2);
  expect_unknown(members.run(with_records_before(
                     {{kHandshakeRecord, joined({ticket, ticket, ticket, ticket, ticket})}})),
                 "more handshake messages in a record than the plan has room for");
  expect_unknown(members.run(with_records_before(
                     {{kHandshakeRecord, joined({ticket, Bytes{20, 0, 0, 1, 0}})}})),
                 "after the handshake");
}

std::pair<tls::ContentType, Bytes> piece(const Bytes& all, size_t begin, size_t end) {
  const ByteView part = ByteView(all).subspan(begin, std::min(end, all.size()) - begin);
  return {kHandshakeRecord, Bytes(part.begin(), part.end())};
}

// The header of a message in two records, or in three; nothing of another type between them.
TEST_P(SealedRecordsTest, AHeaderMayStandInSeveralRecords) {
  ConnectionRig& members = rig(GetParam(), "updates", updates_plan);
  const Bytes both = joined({short_ticket(), TestService::ticket_message()});
  size_t number = 0;
  for (const size_t cut : {size_t{1}, size_t{2}, size_t{3}, size_t{18 + 1}, size_t{18 + 3}}) {
    if (support::skipped(GetParam(), number++)) continue;
    expect_status(members.run(with_records_before({piece(both, 0, cut), piece(both, cut, 999)})),
                  2);
  }
  expect_status(members.run(with_records_before(
                    {piece(both, 0, 19), piece(both, 19, 21), piece(both, 21, 999)})),
                2);
  const Bytes cut = joined({short_ticket(), Bytes{4, 0, 0}});
  expect_unknown(members.run(with_records_before({{kHandshakeRecord, cut}})),
                 "interleaved with another record");
  const Bytes other{20, 0, 0, 1, 0};
  expect_unknown(members.run(with_records_before({piece(other, 0, 2), piece(other, 2, 5)})),
                 "after the handshake");
}

// The same of a KeyUpdate: its one byte is the last of its record wherever it stands.
TEST_P(SealedRecordsTest, AKeyUpdateMayStandInSeveralRecords) {
  ConnectionRig& members = rig(GetParam(), "updates", updates_plan);
  for (const size_t cut : {size_t{2}, size_t{4}}) {
    Scenario scenario = with_records_before({piece(kUpdate, 0, cut), piece(kUpdate, cut, 5)});
    scenario.script.next_keys_behind = 2;
    const Report report = members.run(scenario);
    expect_status(report, 1);
    for (const auto& member : report.members) EXPECT_EQ(member.leak.key_updates, 1u);
  }
  const Bytes more = joined({kUpdate, short_ticket()});
  expect_unknown(members.run(with_records_before({piece(more, 0, 4), piece(more, 4, 99)})),
                 "not the end of its record");
}

SealedPlan many_tickets_plan() {
  SealedPlan plan = tickets_plan();
  plan.spare_blocks = 80;
  return plan;
}

// §3.6, attack 25: 64 tickets a connection.
TEST_P(SealedPairRecordsTest, AFloodOfTicketsEnds) {
  ConnectionRig& members = rig(GetParam(), "many tickets", many_tickets_plan);
  const std::vector<Bytes> tickets(64, short_ticket());
  expect_status(members.run(with_records_before({{kHandshakeRecord, joined(tickets)}})), 64);
  expect_unknown(members.run(with_records_before(
                     {{kHandshakeRecord, joined(tickets)}, {kHandshakeRecord, short_ticket()}})),
                 "more than 64 tickets");
}

// §4.5: 64 zeros behind the type byte, over as many blocks as they take.
TEST_P(SealedRecordsTest, PaddingOfSeveralBlocks) {
  ConnectionRig& members = rig(GetParam(), "status", small_plan);
  for (const size_t padding : {size_t{17}, size_t{64}}) {
    Scenario scenario = with_records_before({});
    scenario.script.padding = padding;
    expect_status(members.run(scenario), 0, padding);
    scenario.script.padding = 65;
    expect_unknown(members.run(scenario), "more than 64 bytes of padding");
  }
  // Three blocks are spare in this plan: 64 zeros may take four.
  Scenario scenario = with_records_before({});
  scenario.script.padding = 64;
  expect_unknown(rig(GetParam(), "tickets", tickets_plan).run(scenario),
                 "more padding than the plan has room for");
}

// --- new keys ---

// An answer over three generations, a ticket in front of one change: what is kept is right, every
// record has a tag opening and a mark of its own, and of each KeyUpdate five bytes are opened.
TEST_P(SealedRecordsTest, TheServerChangesItsKeys) {
  ConnectionRig& members = rig(GetParam(), "updates", updates_plan);
  const std::string answer = set_cookie("session=a1b2c3d4; Path=/; Secure");
  Scenario scenario;
  scenario.script.answer = answer.substr(0, 20);
  scenario.script.behind = {{kHandshakeRecord, joined({TestService::ticket_message(), kUpdate})},
                            {kData, to_bytes(answer.substr(20, 43))},
                            {kHandshakeRecord, TestService::key_update_message(1)},
                            {kData, to_bytes(answer.substr(63))}};
  const Report report = members.run(scenario);
  expect_kept(report, "a1b2c3d4");
  for (const auto& member : report.members) {
    EXPECT_EQ(member.leak.key_updates, 2u);
    EXPECT_EQ(member.leak.ticket_headers, 3u);
    EXPECT_EQ(member.sent_count("sealed/open tags") / (members.size() - 1), 5u);
    EXPECT_EQ(std::count(member.marks.begin(), member.marks.end(), "answer tags"), 5);
  }
  // In front of the answer.
  scenario = {};
  scenario.script.answer = answer;
  scenario.script.before = {{kHandshakeRecord, kUpdate}};
  expect_kept(members.run(scenario), "a1b2c3d4");
}

TEST_P(SealedRecordsTest, KeyUpdatesThatAreRefused) {
  ConnectionRig& members = rig(GetParam(), "updates", updates_plan);
  const auto refused = [&](const Records& before, const std::string& why) {
    SCOPED_TRACE(why);
    Scenario scenario = with_records_before(before);
    expect_unknown(members.run(scenario), why);
  };
  const Bytes with_ticket = joined({TestService::ticket_message(), kUpdate});
  refused(
      {{kHandshakeRecord, kUpdate}, {kHandshakeRecord, kUpdate}, {kHandshakeRecord, with_ticket}},
      "KeyUpdate that the plan has no room for");
  refused({{kHandshakeRecord, joined({kUpdate, TestService::ticket_message()})}},
          "not the end of its record");
  refused({{kHandshakeRecord, Bytes{24, 0, 0, 2, 0, 0}}}, "malformed");
  refused({{kHandshakeRecord, Bytes{24, 0, 0, 2, 0}}, {kHandshakeRecord, Bytes{0}}}, "malformed");
  refused({{kHandshakeRecord, Bytes{24, 0, 0, 2, 0}}}, "malformed");
  refused({{kHandshakeRecord, Bytes{24, 0, 0, 1}}}, "interleaved");
  refused({{kHandshakeRecord, TestService::key_update_message(2)}}, "bad KeyUpdate");
  Scenario old = with_records_before({{kHandshakeRecord, kUpdate}});
  old.script.keeps_keys = true;
  expect_unknown(members.run(old), "does not verify under its key");
}

// Whoever alters a share of what is opened of a KeyUpdate, or of what leads to the new keys, ends
// the connection for all.
TEST_P(SealedRecordsTest, AlteredSharesOfAKeyUpdateAreCheating) {
  ConnectionRig& members = rig(GetParam(), "updates", updates_plan);
  Scenario scenario = with_records_before({{kHandshakeRecord, kUpdate}});
  for (const std::string label : {"sealed/open key update", "sealed/open ticket header"}) {
    SCOPED_TRACE(label);
    scenario.tamper = [&](const net::MessageId& message, Bytes& payload) {
      if (message.sender == 1 && message.receiver == 0 && message.label == label) {
        payload.front() ^= 1;
      }
    };
    const Report report = members.run(scenario);
    ASSERT_TRUE(report.ended);
    EXPECT_EQ(report.members[0].code, AbortCode::kMac);
    for (PartyId i = 0; i < members.size(); ++i) {
      EXPECT_TRUE(i == 1 || !report.members[i].sealed) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Rooms, SealedRecordsTest, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, SealedRecordsTest,
                         ::testing::ValuesIn(support::in_long_runs({3})));
INSTANTIATE_TEST_SUITE_P(Rooms, SealedPairRecordsTest, ::testing::Values(2));

}  // namespace sealed_records_test
}  // namespace flexroom
