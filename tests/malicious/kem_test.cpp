#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "support/connection_rig.h"
#include "support/sweeps.h"
#include "unit/tls/fake_server.h"

// What a courier, the network or a member can do about X25519MLKEM768 (tls-complete.md §2.2).

namespace flexroom {
namespace {

using support::ConnectionRig;
using support::TestService;
using tls::testing::hello_retry;
using Scenario = ConnectionRig::Scenario;
using Report = ConnectionRig::Report;

ConnectionRig& kem_rig(size_t n, const Groups& groups = all_groups()) {
  static std::map<std::pair<size_t, std::string>, std::unique_ptr<ConnectionRig>> rigs;
  auto& rig = rigs[{n, to_string(groups)}];
  if (!rig) {
    rig = std::make_unique<ConnectionRig>(
        n, [groups](PartyId, agent::ConnectionConfig& config) { config.groups = groups; });
  }
  return *rig;
}

void expect_nothing_asked(const Report& report, AbortCode code) {
  ASSERT_TRUE(report.ended);
  EXPECT_FALSE(report.seen.finished);
  EXPECT_EQ(report.seen.request, "");
  for (const auto& member : report.members) {
    EXPECT_FALSE(member.replied || member.released);
    EXPECT_EQ(member.code, code) << member.where << ": " << member.detail;
    EXPECT_EQ(member.sent_count("tls/tag share"), 0u);
  }
}

class KemAttack : public ::testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Rooms, KemAttack, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, KemAttack, ::testing::ValuesIn(support::in_long_runs({3})));

// With and without another group beside it, the server takes it.
TEST_P(KemAttack, TheServerTakesIt) {
  for (const Groups& groups : {all_groups(), Groups{NamedGroup::kX25519MlKem768},
                               Groups{NamedGroup::kP256, NamedGroup::kX25519MlKem768}}) {
    ConnectionRig& members = kem_rig(GetParam(), groups);
    Scenario scenario;
    scenario.script.group = NamedGroup::kX25519MlKem768;
    const Report report = members.run(scenario);
    ASSERT_TRUE(report.ended);
    EXPECT_TRUE(report.seen.finished);
    EXPECT_EQ(report.seen.request, members.expected_request());
    for (const auto& member : report.members) EXPECT_TRUE(member.replied) << member.detail;
  }
}

/// The network writes another group where ML-KEM was offered: the server takes what is left.
class WithoutKem : public ByteStream {
 public:
  explicit WithoutKem(TestService::Seen& seen) : service_(script(), seen) {}
  void write(ByteView bytes) override {
    Bytes altered(bytes.begin(), bytes.end());
    if (!std::exchange(hello_seen_, true)) {
      for (size_t at = 0, found = 0; at + 1 < altered.size() && found < 2; ++at) {
        if (altered[at] != 0x11 || altered[at + 1] != 0xec) continue;
        altered[at] = altered[at + 1] = 0x2a;  // GREASE (RFC 8701)
        ++found;
      }
    }
    service_.write(altered);
  }
  Bytes read_some(size_t max) override { return service_.read_some(max); }
  std::optional<Bytes> read_some_within(size_t max, std::chrono::milliseconds quiet) override {
    return service_.read_some_within(max, quiet);
  }
  void close() override {}

 private:
  static TestService::Script script() {
    TestService::Script out;
    out.group = NamedGroup::kX25519;
    return out;
  }
  TestService service_;
  bool hello_seen_ = false;
};

// 72: the transcripts differ, so the flight does not open.
TEST_P(KemAttack, WhoTakesItOutOfTheHelloEndsTheConnection) {
  Scenario scenario;
  scenario.service = [](TestService::Seen& seen) { return std::make_unique<WithoutKem>(seen); };
  expect_nothing_asked(kem_rig(GetParam()).run(scenario), AbortCode::kServer);
}

// 72, 103: where it is required, no other group is taken, in a HelloRetryRequest or a ServerHello.
TEST_P(KemAttack, NothingLessIsTakenWhereItIsRequired) {
  ConnectionRig& members = kem_rig(GetParam(), {NamedGroup::kX25519MlKem768});
  for (const uint16_t group : {uint16_t{0x0017}, uint16_t{0x001d}}) {
    Scenario scenario;
    scenario.script.retry = {hello_retry(group)};
    const Report report = members.run(scenario);
    expect_nothing_asked(report, AbortCode::kServer);
    EXPECT_FALSE(report.seen.retried);
    for (const auto& member : report.members) EXPECT_EQ(member.sent_count("arith/dh/Z"), 0u);
  }
  Scenario scenario;
  scenario.tamper = [&](const net::MessageId& message, Bytes& payload) {
    if (message.label != "tls/forward" || message.index != 0) return;
    // The network in front of the courier would show the same to all.
    for (size_t at = 0; at + 1 < payload.size(); ++at) {
      if (payload[at] == 0x11 && payload[at + 1] == 0xec)
        payload[at] = 0x00, payload[at + 1] = 0x1d;
    }
  };
  const Report report = members.run(scenario);
  ASSERT_TRUE(report.ended);
  for (const auto& member : report.members) EXPECT_FALSE(member.replied || member.released);
}

// Where a ciphertext lies in the stream: behind the headers of record, message and extensions.
constexpr uint64_t kInCiphertext = 300;

// 73: ML-KEM gives all members a secret that the server does not have.
TEST_P(KemAttack, AnAlteredCiphertextEndsAtTheFlight) {
  Scenario scenario;
  scenario.script.group = NamedGroup::kX25519MlKem768;
  scenario.script.flip_byte = kInCiphertext;
  expect_nothing_asked(kem_rig(GetParam()).run(scenario), AbortCode::kServer);
}

// 73: the courier shows one member another ciphertext; what a member has from ML-KEM is part of its
// view.
TEST_P(KemAttack, AnotherCiphertextForOneMemberStopsAtA1) {
  ConnectionRig& members = kem_rig(GetParam());
  for (PartyId victim = 0; victim < GetParam(); ++victim) {
    if (victim == members.courier()) continue;
    Scenario scenario;
    scenario.script.group = NamedGroup::kX25519MlKem768;
    scenario.tamper = [&](const net::MessageId& message, Bytes& payload) {
      if (message.label != "tls/forward" || message.receiver != victim || message.index != 0)
        return;
      payload.at(9 + kInCiphertext) ^= 1;
    };
    const Report report = members.run(scenario);
    ASSERT_TRUE(report.ended);
    size_t saw = 0;
    for (const auto& member : report.members) {
      EXPECT_EQ(member.abort_class(), AbortClass::kNetwork) << member.where << member.detail;
      EXPECT_EQ(member.sent_count("arith/dh/open"), 0u);
      EXPECT_EQ(member.sent_count("boolean/O2 labels"), 0u);
      if (member.code == AbortCode::kViewMismatch) ++saw;
    }
    EXPECT_GE(saw, 1u);
  }
}

// 74: a member that tells its part to the others differently is found at the hello.
TEST_P(KemAttack, PartsThatDifferAreFoundBeforeTheHelloLeaves) {
  for (const bool zeros : {false, true}) {
    Scenario scenario;
    scenario.tamper = [&](const net::MessageId& message, Bytes& payload) {
      if (message.label != "tls/nonce open" || message.sender != 1 || message.receiver != 0) return;
      ASSERT_EQ(payload.size(), 96u);
      for (size_t k = 64; k < 96; ++k) payload[k] = zeros ? 0 : payload[k] ^ 1;
    };
    const Report report = kem_rig(GetParam()).run(scenario);
    ASSERT_TRUE(report.ended);
    EXPECT_FALSE(report.seen.hello);
    for (const auto& member : report.members) EXPECT_FALSE(member.replied || member.released);
  }
}

}  // namespace
}  // namespace flexroom
