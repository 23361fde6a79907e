#include <gtest/gtest.h>

#include "agent/connection_circuits.h"
#include "agent/suite.h"
#include "circuits/handshake.h"

namespace flexroom::agent {
namespace {

// A later request of the connection (tls-in-mpc.md §4.9): its blocks and its signature, no keys.
TEST(RequestProgramTest, ALaterRequestCostsItsBlocksAlone) {
  RequestPlan plan;
  plan.bytes = 1024;
  // The last block carries the content type alone: 864 gates of it are not needed.
  EXPECT_EQ(later_request_program(plan, 1)->num_ands(), 337920u - 864);
  plan.signature_offset = 100;
  EXPECT_EQ(later_request_program(plan, 1)->num_ands(), 337920u - 864 + 16504);
}

// tls-in-mpc.md §7.1: "RunScript, one StartEC2Instance of 1 KB: R2", less the gates whose outputs
// nobody uses: words of key and iv (341), and of the last keystream block all but the content type.
TEST(RequestProgramTest, ASignedKilobyteCostsWhatTheDesignSays) {
  RequestPlan plan;
  plan.bytes = 1024;
  plan.signature_offset = 300;
  const uint32_t gc_a = circuits::gc_a({NamedGroup::kX25519}, 2).num_ands;
  EXPECT_EQ(gc_a + request_program(plan)->num_ands(), 836752u - 341 - (15 + 12) * 32);
}

// 4.3: records of 16,384 bytes, each with its content type and its tag mask, in one circuit.
TEST(RequestProgramTest, ALongRequestIsWrittenInSeveralRecords) {
  RequestPlan plan;
  plan.bytes = 40;
  plan.record_bytes = 16;
  ASSERT_EQ(plan.records(), 3u);
  EXPECT_EQ(plan.inner_bytes(0), 17u);
  EXPECT_EQ(plan.inner_bytes(2), 9u);
  EXPECT_EQ(plan.keystream_blocks(), 2u);
  for (const uint64_t first : {1u, 7u}) {
    const auto program = later_request_program(plan, first);
    for (uint64_t k = 0; k < 3; ++k) {
      const std::string name = std::to_string(first + k);
      EXPECT_EQ(program->outputs[program->output_group("c_" + name)].literals.size(),
                8 * plan.inner_bytes(k));
      EXPECT_EQ(program->outputs[program->output_group("j0_" + name)].kind, mpc::OutputKind::kKeep);
    }
    size_t opened = 0;
    for (const auto& output : program->outputs) {
      if (output.kind == mpc::OutputKind::kOpenAll) opened += output.literals.size();
    }
    EXPECT_EQ(opened, 8u * (17 + 17 + 9));  // 31: nothing else
    // Three tag masks and five blocks, less what the last bytes of the records do not need.
    EXPECT_LE(program->num_ands(), 8u * 5120);
    EXPECT_GT(program->num_ands(), 7u * 5120);
  }
  plan.bytes = 2 * 16384 + 1;
  plan.record_bytes = 16384;
  EXPECT_EQ(plan.records(), 3u);
  EXPECT_EQ(plan.inner_bytes(2), 2u);
  plan.bytes = 2 * 16384;
  EXPECT_EQ(plan.records(), 2u);
}

TEST(RequestProgramTest, InterpretedWithZeroSlotsOpensKeystreamLengths) {
  RequestPlan plan;
  plan.bytes = 31;
  EXPECT_EQ(plan.inner_bytes(), 32u);
  EXPECT_EQ(plan.keystream_blocks(), 2u);
  const auto program = request_program(plan);
  EXPECT_EQ(program->outputs[program->output_group("c_0")].literals.size(), 8u * 32);
  EXPECT_EQ(program->outputs[program->output_group("d_c")].kind, mpc::OutputKind::kOpenAll);
  EXPECT_EQ(program->outputs[program->output_group("j0_0")].kind, mpc::OutputKind::kKeep);
  EXPECT_EQ(program->outputs[program->output_group("s_ap")].kind, mpc::OutputKind::kKeep);
  size_t opened = 0;
  for (const auto& output : program->outputs) {
    if (output.kind == mpc::OutputKind::kOpenAll) opened += output.literals.size();
  }
  EXPECT_EQ(opened, 8u * 32 + 128);  // 31: nothing else is ever opened
  plan.bytes = 32;
  EXPECT_EQ(plan.keystream_blocks(), 3u);
}

// 4.7: key schedule without expansion and hash key (157,682 - 6,400, less 176 for words of iv that
// nobody uses), block 0 with the masks of r, sixteen blocks whose counters fold.
TEST(RequestProgramTest, AKilobyteUnderChaChaCostsWhatTheDesignSays) {
  RequestPlan plan;
  plan.bytes = 1023;
  constexpr uint32_t kSchedule = 157'682 - 6'400 - 176;
  for (const uint32_t n : {2u, 3u}) {
    const auto program = chacha_request_program(plan, n);
    EXPECT_EQ(program->num_ands(), kSchedule + 10'136 + 259 * n + 16 * 10'400 - 31);
    EXPECT_EQ(suite_of(tls::chacha20_poly1305_sha256()).tag_ands(n), 259 * n + 125);
    size_t opened = 0;
    for (const auto& output : program->outputs) {
      if (output.kind == mpc::OutputKind::kOpenAll) opened += output.literals.size();
    }
    EXPECT_EQ(opened, 8u * 1024 + 130);  // 31: C and the masked r, nothing else
  }
  EXPECT_EQ(suite_of(tls::aes128_gcm_sha256()).tag_ands(2), 0u);
}

}  // namespace
}  // namespace flexroom::agent
