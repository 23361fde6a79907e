#include <gtest/gtest.h>

#include <map>

#include "support/connection_rig.h"

// The tag of TLS_CHACHA20_POLY1305_SHA256 (tls-in-mpc.md §4.7) on whole connections: a member that
// breaks one of its steps gets no share of a tag from anybody, and nothing is sent.

namespace flexroom {
namespace chacha_test {

using support::ConnectionRig;
using Scenario = ConnectionRig::Scenario;
using Report = ConnectionRig::Report;

ConnectionRig& rig(size_t n) {
  static std::map<size_t, std::unique_ptr<ConnectionRig>> rigs;
  auto& rig = rigs[n];
  if (!rig) {
    rig = std::make_unique<ConnectionRig>(n, [](PartyId, agent::ConnectionConfig& config) {
      config.suite = &tls::chacha20_poly1305_sha256();
    });
  }
  return *rig;
}

class ChaChaAttack : public ::testing::TestWithParam<size_t> {
 protected:
  ConnectionRig& members() { return rig(GetParam()); }
  Report run(const Scenario& scenario) {
    Report report = members().run(scenario);
    EXPECT_TRUE(report.ended);
    return report;
  }
  PartyId last() const { return static_cast<PartyId>(GetParam() - 1); }
  /// Up to here nobody has a tag: no honest share of it left, no record, no key of the service.
  void expect_no_tag(const Report& report) {
    EXPECT_EQ(report.seen.request, "");
    EXPECT_FALSE(report.seen.finished);
    for (const auto& member : report.members) {
      EXPECT_FALSE(member.replied);
      EXPECT_TRUE(member.code.has_value());
      EXPECT_FALSE(member.released);
      EXPECT_EQ(member.sent_count("tls/tag share"), 0u);
      EXPECT_EQ(member.sent_count("tls/open s_ap"), 0u);
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Members, ChaChaAttack, ::testing::Values(2, 3));

net::Tamper alter(PartyId sender, std::string_view label, size_t index,
                  std::optional<PartyId> receiver = std::nullopt) {
  return [=](const net::MessageId& message, Bytes& payload) {
    if (message.sender == sender && message.label == label && message.index == index &&
        message.receiver == receiver.value_or(message.receiver)) {
      payload[0] ^= 1;
    }
  };
}

// 1.5: a wrong share of r^b, of a product or of the masked accumulator is an F_p cheat; the
// arithmetic engine is done for.
TEST_P(ChaChaAttack, WrongShareBehindTheCiphertextEndsWithoutATag) {
  for (const char* label : {"arith/poly1305/giant step", "arith/poly1305/products",
                            "arith/poly1305/masked accumulator"}) {
    for (const PartyId liar : {PartyId{0}, last()}) {
      const PartyId honest = liar == 0 ? 1 : 0;
      Scenario scenario;
      scenario.tokens_afterwards = true;
      scenario.tamper = [=](const net::MessageId& message, Bytes& payload) {
        if (message.sender == liar && message.receiver == honest && message.label == label) {
          payload.back() ^= 1;
        }
      };
      const Report report = run(scenario);
      expect_no_tag(report);
      EXPECT_EQ(report.members[honest].code, AbortCode::kFpMac) << label;
      EXPECT_TRUE(report.members[honest].engine_ended) << label;
      EXPECT_EQ(report.members[honest].abort_class(), AbortClass::kFpCheat);
    }
  }
}

// The third instance of a connection is the tag's, which member 0 evaluates: its label proof, its
// c-proof and its view.
TEST_P(ChaChaAttack, TheTagsCircuitIsCheckedLikeAnyOther) {
  const size_t before = members().evaluators().count(0);
  Scenario scenario;
  scenario.tamper = alter(0, "boolean/O3 label proof", before);
  Report report = run(scenario);
  expect_no_tag(report);
  EXPECT_EQ(report.members[1].code, AbortCode::kLabelProof);

  scenario.tamper = alter(1, "boolean/O4 c-proof", before, 0);
  report = run(scenario);
  EXPECT_EQ(report.seen.request, "");
  EXPECT_EQ(report.members[0].code, AbortCode::kCProof);
  EXPECT_EQ(report.members[0].sent_count("tls/tag share"), 0u);

  scenario.tamper = [this](const net::MessageId& message, Bytes& payload) {
    if (message.sender == last() && message.label == "boolean/masked inputs" &&
        message.index == 2) {
      payload.back() ^= 1;  // of the view hash
    }
  };
  report = run(scenario);
  expect_no_tag(report);
}

// 4.7, 4.1: the opening of the masked accumulator counts as the tag. What is marked already gives
// none: neither record nor request.
TEST_P(ChaChaAttack, MarkedMeansThatNothingOfTheTagLeaves) {
  for (const char* kind : {"record", "release"}) {
    for (const PartyId who : {PartyId{0}, last()}) {
      Scenario scenario;
      scenario.marked = {{who, kind}};
      const Report report = run(scenario);
      EXPECT_EQ(report.seen.request, "");
      EXPECT_EQ(report.members[who].code, AbortCode::kReuse);
      for (const char* label : {"arith/poly1305/giant step", "arith/poly1305/products",
                                "arith/poly1305/masked accumulator", "tls/tag share"}) {
        EXPECT_EQ(report.members[who].sent_count(label), 0u) << kind << ": " << label;
      }
      EXPECT_FALSE(report.members[who].released);
    }
  }
}

// 19, 32: the share of the tag itself, as for every suite.
TEST_P(ChaChaAttack, WrongTagShareIsCheating) {
  Scenario scenario;
  scenario.tamper = alter(0, "tls/tag share", 0);
  const Report report = run(scenario);
  const auto& courier = report.members[members().courier()];
  EXPECT_EQ(courier.code, AbortCode::kMac);
  EXPECT_FALSE(courier.released);
  EXPECT_FALSE(report.seen.finished);
}

// 4.1: r^b, the products and the accumulator are opened once a record.
TEST_P(ChaChaAttack, EachMaskIsOpenedOnce) {
  const Report report = run({});
  for (const auto& member : report.members) {
    ASSERT_TRUE(member.replied) << member.where << ": " << member.detail;
    for (const char* label : {"arith/poly1305/giant step", "arith/poly1305/products",
                              "arith/poly1305/masked accumulator"}) {
      EXPECT_EQ(member.sent_count(label), GetParam() - 1) << label;
    }
  }
}

}  // namespace chacha_test
}  // namespace flexroom
