#include <gtest/gtest.h>

#include <map>

#include "support/sealed_rig.h"
#include "support/sweeps.h"

// Requests of several records (tls-in-mpc.md §4.3, attack 64): one A3 for all of them. A member
// that alters exactly one record's bits, its tag, their order or their number gets nothing
// released.

namespace flexroom {
namespace request_records_test {

using support::ConnectionRig;
using Scenario = ConnectionRig::Scenario;
using Report = ConnectionRig::Report;

constexpr size_t kRecordBytes = 40;  // the signature of the request stands in two of three records

struct Room {
  size_t members;
  std::string_view suite;
};

ConnectionRig& rig(const Room& room) {
  static std::map<std::pair<size_t, std::string_view>, std::unique_ptr<ConnectionRig>> rigs;
  auto& rig = rigs[{room.members, room.suite}];
  if (rig) return *rig;
  const auto configure = [&](PartyId, agent::ConnectionConfig& config) {
    config.suite = tls::find_suite(room.suite);
  };
  using Plans = std::vector<std::shared_ptr<const agent::SealedPlan>>;
  rig = std::make_unique<ConnectionRig>(room.members, configure, Plans{}, kRecordBytes);
  return *rig;
}

class RequestRecords : public ::testing::TestWithParam<Room> {
 protected:
  ConnectionRig& members() { return rig(GetParam()); }
  size_t n() const { return GetParam().members; }
  Report run(const Scenario& scenario) {
    Report report = members().run(scenario);
    EXPECT_TRUE(report.ended);
    return report;
  }
  /// The courier has no tag of any record and wrote nothing.
  void expect_nothing_sent(const Report& report, std::optional<AbortCode> at_courier) {
    EXPECT_TRUE(report.seen.record_bytes.empty());
    EXPECT_FALSE(report.seen.finished);
    const auto& courier = report.members[members().courier()];
    EXPECT_FALSE(courier.released);
    EXPECT_TRUE(courier.code.has_value());
    if (at_courier) {
      EXPECT_EQ(courier.code, *at_courier) << courier.where << courier.detail;
    }
    for (const auto& member : report.members) EXPECT_FALSE(member.replied);
  }
};

std::string name_of(const ::testing::TestParamInfo<Room>& room) {
  return std::string(room.param.suite) + "_" + std::to_string(room.param.members);
}

INSTANTIATE_TEST_SUITE_P(Rooms, RequestRecords,
                         ::testing::Values(Room{2, "aes128"}, Room{3, "chacha20"}), name_of);
INSTANTIATE_TEST_SUITE_P(LongSweep, RequestRecords,
                         ::testing::ValuesIn(support::in_long_runs<Room>(
                             {{3, "aes128"}, {2, "chacha20"}, {3, "aes256"}})),
                         name_of);

// All records are marked before anything of them, and their tags leave in one message.
TEST_P(RequestRecords, HaveOneRelease) {
  const Report report = run({});
  EXPECT_EQ(report.seen.request, members().expected_request());
  const size_t last = members().expected_request().size() - 1 - 2 * kRecordBytes;
  EXPECT_EQ(report.seen.record_bytes,
            (std::vector<size_t>{kRecordBytes + 1, kRecordBytes + 1, last + 1}));
  for (PartyId i = 0; i < n(); ++i) {
    const auto& member = report.members[i];
    EXPECT_TRUE(member.replied) << member.where << ": " << member.detail;
    EXPECT_EQ(member.marks, (std::vector<std::string>{"token", "token", "record", "record",
                                                      "record", "release"}));
    EXPECT_EQ(member.sent_count("tls/tag share"), i == members().courier() ? 0u : 1u);
    EXPECT_EQ(member.sent_count("tls/A3"), i == members().courier() ? 0u : 1u);
  }
}

// 64, 32: the tag of any one record.
TEST_P(RequestRecords, AWrongTagOfOneIsCheating) {
  for (size_t record = 0; record < 3; ++record) {
    Scenario scenario;
    scenario.tamper = [=](const net::MessageId& message, Bytes& payload) {
      if (message.sender == 0 && message.label == "tls/tag share") payload.at(16 * record + 5) ^= 1;
    };
    expect_nothing_sent(run(scenario), AbortCode::kMac);
  }
}

// 64: the tag of the first only, of all but one, of one more, the tags of two exchanged.
TEST_P(RequestRecords, OtherNumbersAndOrdersOfTagsAreRefused) {
  const auto with = [&](const std::function<void(Bytes&)>& change) {
    Scenario scenario;
    scenario.tamper = [=](const net::MessageId& message, Bytes& payload) {
      if (message.sender == 0 && message.label == "tls/tag share") change(payload);
    };
    return run(scenario);
  };
  const auto resized = [](size_t records) {
    return [=](Bytes& payload) {
      const Bytes proof(payload.end() - 16, payload.end());
      payload.resize(16 * records);
      append(payload, proof);
    };
  };
  for (const size_t records : {1u, 2u, 4u}) {
    expect_nothing_sent(with(resized(records)), AbortCode::kUnexpectedMessage);
  }
  expect_nothing_sent(with([](Bytes& payload) {
                        std::swap_ranges(payload.begin(), payload.begin() + 16,
                                         payload.begin() + 16);
                      }),
                      AbortCode::kMac);
}

// 19: shares that stand for other records, in another order or at other places
// (Views.BindEveryField says that these have other views).
TEST_P(RequestRecords, SharesForOtherRecordsAreNotTaken) {
  Scenario scenario;
  scenario.tamper = [](const net::MessageId& message, Bytes& payload) {
    if (message.sender == 0 && message.label == "tls/A3") payload.back() ^= 1;
  };
  expect_nothing_sent(run(scenario), AbortCode::kViewMismatch);
}

// 64: one bit of the ciphertext of one record, in what the evaluator or a garbler says of it.
TEST_P(RequestRecords, AWrongBitOfOneLeavesNoTag) {
  const auto [gc_a, gc_b] = members().evaluators();
  const PartyId garbler = gc_b == 0 ? members().courier() : PartyId{0};
  const size_t before = gc_a == gc_b ? 1 : 0;  // proofs of GC-A on that line
  // Where the bits of the three records stand: between other outputs, 40 bytes and more apart.
  for (const double at : {0.15, 0.35, 0.5, 0.65, 0.85}) {
    Scenario scenario;
    scenario.tamper = [=, gc_b = gc_b](const net::MessageId& message, Bytes& payload) {
      const bool proof = message.sender == gc_b && message.label == "boolean/O3 label proof";
      if (proof && message.index == before) {
        payload.at(static_cast<size_t>(at * static_cast<double>(payload.size()))) ^= 4;
      }
    };
    Report report = run(scenario);
    expect_nothing_sent(report, std::nullopt);
    for (PartyId i = 0; i < n(); ++i) {
      if (i == gc_b) continue;
      EXPECT_EQ(report.members[i].sent_count("tls/tag share"), 0u);
    }
    scenario.tamper = [=, gc_b = gc_b](const net::MessageId& message, Bytes& payload) {
      const bool of_garbler = message.sender == garbler && message.label == "boolean/O4 c-proof" &&
                              message.index == before;
      if (of_garbler && message.receiver == gc_b) {
        payload.at(static_cast<size_t>(at * static_cast<double>(payload.size()))) ^= 4;
      }
    };
    report = run(scenario);
    expect_nothing_sent(report, std::nullopt);
    EXPECT_EQ(report.members[gc_b].sent_count("tls/tag share"), 0u);
  }
}

// 44: a marked position in the middle of a request: nothing of any of its records leaves.
TEST_P(RequestRecords, AMarkedPositionOfAnyOfThemGivesNoCiphertext) {
  for (const PartyId who : {PartyId{0}, static_cast<PartyId>(n() - 1)}) {
    for (size_t record = 0; record < 3; ++record) {
      Scenario scenario;
      scenario.marked = {{who, "record"}};
      scenario.unmarked = record;
      const Report report = run(scenario);
      expect_nothing_sent(report, std::nullopt);
      EXPECT_EQ(report.members[who].code, AbortCode::kReuse);
      EXPECT_EQ(report.members[who].sent_count("boolean/masked inputs") / (n() - 1), 1u);
      EXPECT_EQ(report.members[who].sent_count("boolean/dyn inputs"), 0u);
      for (const auto& member : report.members) EXPECT_EQ(member.sent_count("tls/tag share"), 0u);
    }
  }
}

// 4.9: the records of a later request go on where those of the one before ended, sealed too.
class LaterRequestRecords : public RequestRecords {};

TEST_P(LaterRequestRecords, GoOnInOneSequence) {
  agent::SealedPlan plan = support::small_plan();
  plan.statuses = {204};
  plan.keep_alive = true;
  const auto first = std::make_shared<const agent::SealedPlan>(plan);
  const auto last = std::make_shared<const agent::SealedPlan>(support::small_plan());
  ConnectionRig sealed(
      n(),
      [&](PartyId, agent::ConnectionConfig& config) {
        config.suite = tls::find_suite(GetParam().suite);
        config.receive = agent::ReceiveMode::kSealed;
        config.sealed = first;
      },
      {first, last}, kRecordBytes);
  const std::string no_content = "HTTP/1.1 204 No Content\r\n\r\n";
  Scenario scenario;
  scenario.script.answer = no_content;
  scenario.script.close_notify = false;
  scenario.script.stays = true;
  scenario.script.one_piece = true;
  scenario.script.next_answers = {{{tls::ContentType::kApplicationData, to_bytes(no_content)}},
                                  {{tls::ContentType::kApplicationData, to_bytes(no_content)}}};
  scenario.next_requests = 2;
  const Report report = sealed.run(scenario);
  ASSERT_TRUE(report.ended);
  ASSERT_EQ(report.seen.requests.size(), 3u);
  for (size_t k = 0; k < 3; ++k) EXPECT_EQ(report.seen.requests[k], sealed.expected_request(k));
  EXPECT_EQ(report.seen.record_bytes.size(), 9u);
  for (const auto& member : report.members) {
    ASSERT_EQ(member.next.size(), 2u) << member.where << ": " << member.detail;
    EXPECT_EQ(member.next[1].sealed_status, 204) << member.next[1].where;
  }
}
INSTANTIATE_TEST_SUITE_P(Rooms, LaterRequestRecords,
                         ::testing::Values(Room{2, "aes128"}, Room{3, "chacha20"},
                                           Room{2, "aes256"}),
                         name_of);
INSTANTIATE_TEST_SUITE_P(
    LongSweep, LaterRequestRecords,
    ::testing::ValuesIn(support::in_long_runs<Room>({{3, "aes128"}, {2, "chacha20"}})), name_of);

// tls-complete.md §8.2: zeros behind the type byte, which the service drops, of each record as many
// as it may hold.
TEST(PaddedRecords, AreAsLongAsThePolicySays) {
  using tls::Padding;
  struct Case {
    Room room;
    Padding pad;
    size_t record_bytes;
    std::vector<size_t> sent;
  };
  for (const Case& one : {Case{{2, "aes128"}, Padding::k256, 16384, {256}},
                          Case{{3, "chacha20"}, Padding::kPadme, 16384, {104}},
                          Case{{2, "chacha20"}, Padding::k1024, kRecordBytes, {41, 41, 41}},
                          Case{{2, "aes128"}, Padding::kPadme, kRecordBytes, {41, 41, 22}}}) {
    ConnectionRig members(
        one.room.members,
        [&](PartyId, agent::ConnectionConfig& config) {
          config.suite = tls::find_suite(one.room.suite);
          config.pad = one.pad;
        },
        {}, one.record_bytes);
    const Report report = members.run({});
    ASSERT_TRUE(report.ended);
    EXPECT_EQ(report.seen.record_bytes, one.sent) << to_string(one.pad);
    EXPECT_EQ(report.seen.request, members.expected_request());
    for (const auto& member : report.members) {
      EXPECT_TRUE(member.replied) << member.where << ": " << member.detail;
    }
  }
}

// 86: a member of another policy takes part in nothing, also where the records would be as long.
TEST(PaddedRecords, MembersOfAnotherPolicySendNothing) {
  for (const size_t n : {size_t{2}, size_t{3}}) {
    ConnectionRig members(
        n,
        [&](PartyId i, agent::ConnectionConfig& config) {
          config.pad = i == 0 ? tls::Padding::k256 : tls::Padding::k1024;
        },
        {}, 16);
    const Report report = members.run({});
    ASSERT_TRUE(report.ended);
    EXPECT_FALSE(report.seen.hello);
    for (const auto& member : report.members) {
      EXPECT_FALSE(member.replied);
      EXPECT_FALSE(member.released);
      ASSERT_TRUE(member.code.has_value());
      EXPECT_LE(member.abort_class(), AbortClass::kNetwork) << member.where << member.detail;
    }
  }
}

}  // namespace request_records_test
}  // namespace flexroom
