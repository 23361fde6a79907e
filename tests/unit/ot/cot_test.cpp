#include "ot/cot.h"

#include <gtest/gtest.h>

#include "math/gf128.h"
#include "support/deal_epoch.h"
#include "support/parties.h"

namespace flexroom::ot {
namespace cot_test {

// Party 0 is the receiver, party 1 the sender.
struct Batch {
  std::vector<BlockVec> blocks;  // M or K of each batch
};

struct Options {
  unsigned k = 4;
  std::vector<size_t> counts = {1000};
  bool chosen = false;
};

Bytes choices_for(size_t count) {
  Bytes out((count + 7) / 8);
  Prg prg(Block(count, 3));
  prg.fill(std::span<uint8_t>(out));
  return out;
}

auto run_cot(const Options& options, net::Tamper tamper = nullptr) {
  const auto epoch = support::deal_epoch(2, options.k);
  return support::run_parties(
      2,
      [&](net::Party& party) {
        Batch out;
        if (party.id() == 0) {
          CotReceiver receiver(party, 1, epoch[0].pairs[1], 0);
          for (const size_t count : options.counts) {
            const Bytes choices = choices_for(count);
            receiver.send_corrections(
                count, options.chosen ? std::optional<ByteView>(choices) : std::nullopt);
            out.blocks.push_back(receiver.answer());
          }
        } else {
          CotSender sender(party, 0, epoch[1].pairs[0], epoch[1].delta, 0);
          for (const size_t count : options.counts) {
            sender.receive_corrections(count, options.chosen);
            sender.receive_answer();
            out.blocks.push_back(sender.finish());
          }
        }
        return out;
      },
      tamper);
}

const Block kDelta = support::deal_epoch(2)[1].delta;

class CotTest : public ::testing::TestWithParam<std::tuple<unsigned, bool>> {};

TEST_P(CotTest, MacsAreKeysPlusChoiceTimesDelta) {
  const auto [k, chosen] = GetParam();
  // Sizes below, at and above a chunk (4096) and a message (32768).
  const Options options{k, {1, 127, 128, 4096, 5000, 40000}, chosen};
  const Block delta = support::deal_epoch(2, k)[1].delta;
  const auto run = run_cot(options);
  size_t ones = 0, total = 0;
  for (size_t b = 0; b < options.counts.size(); ++b) {
    const BlockVec& mac = run.outcomes[0].value->blocks[b];
    const BlockVec& key = run.outcomes[1].value->blocks[b];
    ASSERT_EQ(mac.size(), options.counts[b]);
    ASSERT_EQ(key.size(), options.counts[b]);
    const Bytes choices = choices_for(mac.size());
    for (size_t t = 0; t < mac.size(); ++t) {
      ASSERT_FALSE(key[t].lsb());
      ASSERT_EQ(mac[t], key[t] ^ select(mac[t].lsb(), delta)) << b << " " << t;
      if (chosen) {
        ASSERT_EQ(mac[t].lsb(), (choices[t / 8] >> (t % 8) & 1) != 0);
      }
      ones += mac[t].lsb();
    }
    total += mac.size();
  }
  EXPECT_GT(ones, total * 2 / 5);
  EXPECT_LT(ones, total * 3 / 5);
  // Streams go on: no batch repeats another.
  EXPECT_NE(run.outcomes[1].value->blocks[3][0], run.outcomes[1].value->blocks[4][0]);
}

INSTANTIATE_TEST_SUITE_P(All, CotTest,
                         ::testing::Combine(::testing::Values(2, 4, 8), ::testing::Bool()));

TEST(Cot, CostsWhatTheSpecificationSays) {
  const size_t count = 1 << 14;
  const auto run = run_cot({4, {count}, false});
  size_t receiver = 0, sender = 0;
  for (const auto& m : run.trace) (m.sender == 0 ? receiver : sender) += m.bytes;
  EXPECT_EQ(receiver, 31 * (count + 128) / 8 + 2064);
  EXPECT_EQ(sender, 16u);
}

// Every bit of a correction row matters to the sender only where alpha_v is nonzero (a set bit of
// alpha_v puts c_v into the row): elsewhere the flip changes nothing that anybody holds.
TEST(Cot, BadCorrectionFailsTheRowCheckWhereItHasAnEffect) {
  for (const size_t v : {1, 2, 17, 31}) {
    for (const bool sacrificed : {false, true}) {
      const auto run = run_cot({4, {1000}, false}, [&](const net::MessageId& m, Bytes& payload) {
        if (m.label != "cot/corrections") return;
        // One chunk of 8 blocks a row, then the sacrificed chunk of one block a row.
        const size_t at = sacrificed ? 31 * 8 * 16 + (v - 1) * 16 : (v - 1) * 8 * 16 + 40;
        payload[at] ^= 4;
      });
      size_t alpha = 0;
      for (unsigned b = 0; b < 4; ++b) {
        alpha |= size_t{kDelta.bit(static_cast<unsigned>(4 * v + b))} << b;
      }
      if (alpha != 0) {
        EXPECT_EQ(run.outcomes[1].code(), AbortCode::kRowCheck) << v;
        EXPECT_EQ(run.outcomes[1].abort->peer(), PartyId{0});
      } else {
        EXPECT_TRUE(run.outcomes[1].value.has_value()) << v;
      }
    }
  }
}

TEST(Cot, BadAnswerFailsTheRowCheck) {
  for (const size_t at : {0, 16, 16 + 16 * 127, 2063}) {
    const auto run = run_cot({4, {1000}, false}, [&](const net::MessageId& m, Bytes& payload) {
      if (m.label == "cot/check answer") payload[at] ^= 0x10;
    });
    EXPECT_EQ(run.outcomes[1].code(), AbortCode::kRowCheck) << at;
  }
}

// A receiver that answers for another seed than it was sent (as after a flip on the way).
TEST(Cot, AnswerToAnotherSeedFails) {
  const auto run = run_cot({4, {1000}, false}, [&](const net::MessageId& m, Bytes& payload) {
    if (m.label == "cot/check seed") payload[3] ^= 1;
  });
  EXPECT_EQ(run.outcomes[1].code(), AbortCode::kRowCheck);
}

TEST(Cot, WrongLengthsAreRefusedBeforeUse) {
  for (const std::string_view label : {"cot/corrections", "cot/check answer", "cot/check seed"}) {
    const auto run = run_cot({4, {1000}, false}, [&](const net::MessageId& m, Bytes& payload) {
      if (m.label == label) payload.push_back(0);
    });
    const PartyId receiver_of_it = label == "cot/check seed" ? 0 : 1;
    EXPECT_EQ(run.outcomes[receiver_of_it].code(), AbortCode::kUnexpectedMessage) << label;
  }
}

// A receiver that knew the seed, or saw it before its last correction, could fit its errors to it.
TEST(Cot, CheckSeedsAreFreshAndFollowTheLastCorrection) {
  constexpr size_t kTwoMessages = 40000;
  std::vector<Block> seeds;
  size_t corrections = 0;
  const auto run = run_cot({4, {kTwoMessages, kTwoMessages}, false},
                           [&](const net::MessageId& m, Bytes& payload) {
                             if (m.label == "cot/corrections") ++corrections;
                             if (m.label != "cot/check seed") return;
                             seeds.push_back(load_block(payload.data()));
                             EXPECT_EQ(corrections, 2 * seeds.size());
                           });
  ASSERT_TRUE(run.outcomes[1].value.has_value());
  ASSERT_EQ(seeds.size(), 2u);
  EXPECT_NE(seeds[0], seeds[1]);
}

// The sacrificed choice bits mask x~ and must be fresh for every batch (and so for every peer):
// what is left of x~ without the given bits is the mask.
TEST(Cot, SacrificedChoicesAreFreshInEveryBatch) {
  constexpr size_t kCount = 1024;  // no padding: u is known but for the sacrificed columns
  std::vector<Block> seeds, answers;
  const auto run =
      run_cot({4, {kCount, kCount}, true}, [&](const net::MessageId& m, Bytes& payload) {
        if (m.label == "cot/check seed") seeds.push_back(load_block(payload.data()));
        if (m.label == "cot/check answer") answers.push_back(load_block(payload.data()));
      });
  ASSERT_TRUE(run.outcomes[1].value.has_value());
  ASSERT_EQ(answers.size(), 2u);
  const Bytes given = choices_for(kCount);
  std::vector<Block> masks;
  for (size_t b = 0; b < 2; ++b) {
    const math::ChiStream chi(seeds[b]);
    std::vector<Block> u(kCount / 128);
    for (size_t q = 0; q < u.size(); ++q) u[q] = load_block(given.data() + 16 * q);
    math::GfSum sum;
    chi.accumulate(sum, 0, u);
    masks.push_back(answers[b] ^ sum.value());
  }
  EXPECT_NE(masks[0], masks[1]);
  EXPECT_NE(masks[0], Block());
  EXPECT_NE(masks[1], Block());
}

// The sacrificed columns of a batch are used for nothing else: no block of the next batch repeats
// them. The answer shows x~ = h(u) + u_sacrificed, the macs show u.
TEST(Cot, NoBlockOfTheNextBatchRepeatsTheSacrificedOne) {
  constexpr size_t kCount = 1024;
  std::vector<Block> seeds;
  std::vector<std::vector<Block>> answers;
  const auto run =
      run_cot({4, {kCount, kCount}, false}, [&](const net::MessageId& m, Bytes& payload) {
        if (m.label == "cot/check seed") seeds.push_back(load_block(payload.data()));
        if (m.label != "cot/check answer") return;
        auto& answer = answers.emplace_back();
        for (size_t at = 0; at < payload.size(); at += 16) {
          answer.push_back(load_block(payload.data() + at));
        }
      });
  ASSERT_TRUE(run.outcomes[1].value.has_value());
  ASSERT_EQ(answers.size(), 2u);
  // Row r >= 2 of the macs and u itself, by blocks of 128 columns (rows 0 and 1 are pinned).
  const auto row_blocks = [&](size_t batch, unsigned r) {
    const BlockVec& mac = run.outcomes[0].value->blocks[batch];
    std::vector<Block> out(kCount / 128);
    for (size_t t = 0; t < kCount; ++t) {
      out[t / 128].set_bit(static_cast<unsigned>(t % 128), mac[t].bit(r));
    }
    return out;
  };
  for (const unsigned r : {0u, 2u, 77u, 127u}) {
    math::GfSum sum;
    const std::vector<Block> first = row_blocks(0, r), second = row_blocks(1, r);
    math::ChiStream(seeds[0]).accumulate(sum, 0, first);
    const Block sacrificed = sum.value() ^ answers[0][r == 0 ? 0 : 1 + r];
    for (const Block& block : first) EXPECT_NE(block, sacrificed) << r;
    for (const Block& block : second) EXPECT_NE(block, sacrificed) << r;
  }
}

}  // namespace cot_test
}  // namespace flexroom::ot
