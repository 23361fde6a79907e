#include "agent/circuit_counts.h"

#include <gtest/gtest.h>

#include "agent/answer_keys.h"
#include "agent/sealed_circuits.h"
#include "agent/sealed_read_direction.h"
#include "agent/suite.h"

// What a plan counts is what is built (operations.md (a) "costs"), under every suite.

namespace flexroom::agent {
namespace {

/// Constant counters of ChaCha20 fold, a little each.
uint64_t may_fold(const tls::CipherSuite& suite, size_t blocks) {
  return suite.code == tls::chacha20_poly1305_sha256().code ? 2 * blocks : 0;
}

uint64_t built(const tls::CipherSuite& suite, const RequestPlan& plan, size_t n, bool is_first) {
  const Suite& of = suite_of(suite);
  const auto program =
      is_first ? of.request_program(plan, n) : of.later_request_program(plan, 3, n);
  return program->num_ands() + plan.records() * of.tag_ands(n);
}

TEST(CircuitCounts, AHandshakeIsCountedAsItIsBuilt) {
  for (const tls::CipherSuite& suite : tls::cipher_suites()) {
    for (const Groups& groups : {Groups{NamedGroup::kX25519}, Groups{NamedGroup::kP256},
                                 all_curves(), Groups{NamedGroup::kX25519MlKem768}, all_groups()}) {
      const size_t n = groups == all_curves() ? 3 : 2;
      EXPECT_EQ(count_handshake(suite, groups, n),
                suite_of(suite).handshake_program(groups, n)->num_ands())
          << suite.setting << " " << to_string(groups);
    }
  }
}

TEST(CircuitCounts, ARequestIsCountedAsItIsBuilt) {
  struct Case {
    size_t bytes, record_bytes, n;
    bool is_first, is_signed;
    tls::Padding pad = tls::Padding::kNone;
  };
  for (const tls::CipherSuite& suite : tls::cipher_suites()) {
    for (const Case& one : {Case{1, 16384, 2, true, false},
                            {64, 16384, 3, true, false},
                            {200, 90, 2, false, true},
                            {400, 16384, 2, true, true},
                            {64, 16384, 3, true, false, tls::Padding::k256},
                            {200, 90, 2, false, true, tls::Padding::k1024},
                            {333, 16384, 2, false, true, tls::Padding::kPadme}}) {
      RequestPlan plan;
      plan.bytes = one.bytes;
      plan.record_bytes = one.record_bytes;
      plan.pad = one.pad;
      plan.sealed_answer = one.bytes < 100;
      plan.keep_write_keys = one.bytes == 400;
      if (one.is_signed) plan.signature_offset = one.bytes - 64;
      const uint64_t counted = count_request(suite, plan, one.n, one.is_first).ands;
      const uint64_t ands = built(suite, plan, one.n, one.is_first);
      EXPECT_GE(counted, ands) << suite.setting << " " << one.bytes;
      EXPECT_LE(counted, ands + may_fold(suite, one.bytes / 64 + 3))
          << suite.setting << " " << one.bytes;
    }
  }
}

// tls-complete.md §8.2, its table: ANDs that a padding takes more than none, mean and largest.
TEST(CircuitCounts, PaddingTakesWhatTheDesignSays) {
  struct Row {
    tls::Padding pad;
    uint64_t mean_short, largest_short, mean_long, largest_long;
  };
  const tls::CipherSuite& aes = tls::aes128_gcm_sha256();
  for (const Row& row : {Row{tls::Padding::kPadme, 1'590, 5'120, 14'506, 35'840},
                         {tls::Padding::k256, 36'237, 76'800, 38'400, 76'800},
                         {tls::Padding::k1024, 129'292, 261'120, 161'280, 322'560},
                         {tls::Padding::kNone, 0, 0, 0, 0}}) {
    const PaddingCost few = padding_cost(aes, row.pad, 200, 1024);
    const PaddingCost many = padding_cost(aes, row.pad, 1024, 4096);
    EXPECT_EQ(few.mean, row.mean_short) << to_string(row.pad);
    EXPECT_EQ(few.largest, row.largest_short) << to_string(row.pad);
    EXPECT_EQ(many.mean, row.mean_long) << to_string(row.pad);
    EXPECT_EQ(many.largest, row.largest_long) << to_string(row.pad);
  }
  // "ChaCha20: 162 a byte": 10,400 for 64.
  const PaddingCost chacha =
      padding_cost(tls::chacha20_poly1305_sha256(), tls::Padding::k1024, 200, 1024);
  EXPECT_GT(chacha.largest, 12u * 10'390);
  EXPECT_LE(chacha.largest, 12u * 10'400);
}

SealedPlan reads_all() {
  SealedPlan out;
  out.header_max = 300;
  out.body_max = 500;
  SealedItem item;
  item.at = SealedJson{{http::JsonStep(std::string("token"))}, false};
  item.char_class = http::CharSet::of("0123456789");
  item.max_bytes = 6;
  out.items.push_back(item);
  return out;
}

TEST(CircuitCounts, AnAnswerIsCountedAsItIsBuilt) {
  SealedPlan kept = reads_all();
  kept.keep_alive = true;
  RequestsToCome to_come;
  to_come.records = 3;
  to_come.record_bytes = 5000;
  for (const tls::CipherSuite& suite : tls::cipher_suites()) {
    const AnswerCipher& cipher = suite_of(suite).answer();
    for (const SealedPlan& plan : {SealedPlan(), reads_all(), kept}) {
      // However the keystream is cut.
      for (const bool in_parts : {false, true}) {
        const uint64_t circuits = SealedCircuits(plan, cipher, 0, in_parts).num_ands();
        EXPECT_EQ(count_answer(suite, plan, 2, false).ands, circuits) << suite.setting;
        for (const size_t n : {2, 3}) {
          const AnswerKeys keys({plan.records + 3, plan.record_bytes + 5000, 0}, cipher, n);
          const CircuitCount first = count_answer(suite, plan, n, true, to_come);
          EXPECT_EQ(first.ands, circuits + keys.num_ands()) << suite.setting;
          EXPECT_GT(first.tag_bytes, 0);
        }
      }
    }
  }
}

// tls-in-mpc.md 4.7: half the keystream, and tags that cost more.
TEST(CircuitCounts, ASuiteWithFewerGatesMaySendMore) {
  const auto& aes = tls::aes128_gcm_sha256();
  const auto& chacha = tls::chacha20_poly1305_sha256();
  RequestPlan plan;
  plan.bytes = 1023;
  EXPECT_LT(count_request(chacha, plan, 2, true).ands, count_request(aes, plan, 2, true).ands);
  EXPECT_GT(count_request(chacha, plan, 2, true).tag_bytes,
            count_request(aes, plan, 2, true).tag_bytes);
  // Of an answer of which the status alone is read even the gates are more.
  EXPECT_GT(count_answer(chacha, {}, 2, true).ands, count_answer(aes, {}, 2, true).ands);
  EXPECT_GT(count_answer(chacha, {}, 2, true).tag_bytes, 6e6);  // four records of 87 triples
  EXPECT_LT(count_answer(aes, {}, 2, true).tag_bytes, 1e6);
  EXPECT_EQ(count_request(aes, plan, 2, false).tag_bytes, 0);  // powers are made with the first
}

}  // namespace
}  // namespace flexroom::agent
