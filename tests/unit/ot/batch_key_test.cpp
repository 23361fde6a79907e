#include "ot/batch_key.h"

#include <gtest/gtest.h>

#include <functional>

#include "ot/cot.h"
#include "support/deal_epoch.h"
#include "support/parties.h"

// Trees under the masking key of one batch, and the rows that they make beside those of Delta
// (engine-v2.md §2.2, §2.3). Party 0 owns the trees and receives the COT; party 1 holds the key.

namespace flexroom::ot {
namespace {

struct Options {
  unsigned k = 4, key_bits = 64;
  size_t count = 1000;
  bool chosen = false;
  uint64_t batch_id = 1;
};

struct Rows {
  BlockVec blocks, key_rows;  // M and N, or K and L
};

/// Bits of the key, authenticated under the owner's global key.
struct DealtKey {
  BlockVec keys, macs;
  DealtKey(size_t bits, const Block& owners_delta) : keys(bits), macs(bits) {
    Prg prg(Block(bits, 0x6b));
    for (size_t q = 0; q < bits; ++q) {
      keys[q] = prg.next_block() & Block(~uint64_t{0}, ~uint64_t{3});
      macs[q] = keys[q] ^ select((prg.next_u64() & 1) != 0, owners_delta);
    }
  }
};

Bytes choices_for(size_t count) {
  Bytes out((count + 7) / 8);
  Prg(Block(count, 3)).fill(std::span<uint8_t>(out));
  return out;
}

auto run_keyed(const Options& options, net::Tamper tamper = nullptr) {
  const auto epoch = support::deal_epoch(2, options.k);
  const DealtKey key(options.key_bits, epoch[0].delta);
  const math::ReHash hash(Block(5, 6));
  return support::run_parties(
      2,
      [&](net::Party& party) {
        const KeyTreesOf of{
            {options.k, options.key_bits}, {party.scope(), 1, 0, 0, options.batch_id}, 7};
        Rows out;
        if (party.id() == 0) {
          KeyTreesOwner trees(of, hash, key.keys.span(), epoch[0].delta, party.prg());
          party.send(1, kKeyTreesLabel, trees.message());
          CotReceiver receiver(party, 1, epoch[0].pairs[1], 0);
          const Bytes choices = choices_for(options.count);
          receiver.send_corrections(
              options.count, options.chosen ? std::optional<ByteView>(choices) : std::nullopt,
              std::move(trees));
          out.blocks = receiver.answer();
          out.key_rows = receiver.take_key_rows();
        } else {
          const Bytes message = party.receive(0, kKeyTreesLabel, of.shape.message_bytes());
          KeyTreesHolder trees(of, hash, key.macs.span(), message);
          CotSender sender(party, 0, epoch[1].pairs[0], epoch[1].delta, 0);
          sender.receive_corrections(options.count, options.chosen, std::move(trees));
          sender.receive_answer();
          out.blocks = sender.finish();
          out.key_rows = sender.take_key_rows();
        }
        return out;
      },
      std::move(tamper));
}

/// Bit of column t of row q, in chunks of kChunkBlocks.
bool row_bit(const BlockVec& rows, size_t key_bits, size_t q, size_t t) {
  const size_t blocks = rows.size() / key_bits, block = t / 128;
  const size_t chunk = block / kChunkBlocks * kChunkBlocks;
  const size_t length = std::min(kChunkBlocks, blocks - chunk);
  return rows[key_bits * chunk + q * length + (block - chunk)].bit(static_cast<unsigned>(t % 128));
}

class BatchKeyTest : public ::testing::TestWithParam<std::tuple<unsigned, unsigned, bool>> {};

// One u makes the columns M = K + u * Delta, with their pinned bits, and the rows N = L + u *
// Gamma.
TEST_P(BatchKeyTest, RowsAreThoseOfTheKeyAndOfTheSameBits) {
  const auto [k, key_bits, chosen] = GetParam();
  const auto epoch = support::deal_epoch(2, k);
  const DealtKey key(key_bits, epoch[0].delta);
  const Block gamma = key_of_macs(key.macs.span());
  for (const size_t count : {size_t{1}, size_t{128}, size_t{5000}, size_t{40000}}) {
    const auto run = run_keyed({k, key_bits, count, chosen, 1});
    ASSERT_TRUE(run.outcomes[0].value && run.outcomes[1].value);
    const Rows &receiver = *run.outcomes[0].value, &sender = *run.outcomes[1].value;
    ASSERT_EQ(receiver.key_rows.size(), sender.key_rows.size());
    const Bytes choices = choices_for(count);
    for (size_t t = 0; t < count; ++t) {
      const bool u = receiver.blocks[t].lsb();
      ASSERT_EQ(receiver.blocks[t], sender.blocks[t] ^ select(u, epoch[1].delta)) << t;
      ASSERT_FALSE(sender.blocks[t].bit(0) || sender.blocks[t].bit(1) || receiver.blocks[t].bit(1));
      if (chosen) {
        ASSERT_EQ(u, (choices[t / 8] >> (t % 8) & 1) != 0);
      }
      for (size_t q = 0; q < key_bits; q += t % 64 == 0 ? 1 : 13) {
        ASSERT_EQ(
            row_bit(receiver.key_rows, key_bits, q, t),
            row_bit(sender.key_rows, key_bits, q, t) != (u && gamma.bit(static_cast<unsigned>(q))))
            << q << " " << t;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, BatchKeyTest,
                         ::testing::Values(std::tuple(2u, 64u, false), std::tuple(4u, 64u, false),
                                           std::tuple(4u, 64u, true), std::tuple(8u, 64u, true),
                                           std::tuple(4u, 128u, true)));

TEST(BatchKey, CostsWhatTheSpecificationSays) {
  const size_t count = 1 << 14;
  const auto run = run_keyed({4, 64, count, false, 1});
  size_t trees = 0, corrections = 0, answer = 0;
  for (const auto& m : run.trace) {
    if (m.label == kKeyTreesLabel) trees += m.bytes;
    if (m.label == "key cot/corrections") corrections += m.bytes;
    if (m.label == "key cot/check answer") answer += m.bytes;
  }
  EXPECT_EQ(trees, 2592u);
  EXPECT_EQ(corrections, (31 + 16) * (count + 128) / 8);
  EXPECT_EQ(answer, 3088u);
}

// --- The trees (PPRF check) ---------------------------------------------------------------------

// A wrong level sum changes what the holder learns only on the side off its path: leak = guess.
TEST(BatchKey, AWrongLevelSumFailsTheCheckWhereTheHolderUsesIt) {
  const auto epoch = support::deal_epoch(2, 4);
  const DealtKey key(64, epoch[0].delta);
  size_t failed = 0;
  for (size_t instance = 0; instance < 64; instance += 5) {
    const size_t q = instance / 4 * 4 + 3 - instance % 4;
    for (const size_t side : {0u, 1u}) {
      const auto run = run_keyed({}, [&](const net::MessageId& m, Bytes& payload) {
        if (m.label == kKeyTreesLabel) payload[32 * instance + 16 * side] ^= 1;
      });
      const bool used = key.macs[q].lsb() != (side == 1);  // it unmasks the side 1 - p
      EXPECT_EQ(run.outcomes[1].value.has_value(), !used) << instance << " " << side;
      if (!used) continue;
      ++failed;
      ASSERT_EQ(run.outcomes[1].code(), AbortCode::kPprf);
      EXPECT_EQ(run.outcomes[1].abort->peer(), PartyId{0});
    }
  }
  EXPECT_EQ(failed, 13u);  // one side of each
}

// Q7: nothing of the holder leaves over trees whose check failed.
TEST(BatchKey, WrongSumsOrDigestFailBeforeAChallengeLeaves) {
  const size_t bytes = PprfShape{4, 64}.message_bytes();
  for (const size_t at : {size_t{64 * 32}, size_t{64 * 32 + 32 * 16 - 1}, bytes - 32, bytes - 1}) {
    const auto run = run_keyed({}, [&](const net::MessageId& m, Bytes& payload) {
      if (m.label == kKeyTreesLabel) payload[at] ^= 0x20;
    });
    EXPECT_EQ(run.outcomes[1].code(), AbortCode::kPprf) << at;
    for (const auto& m : run.trace) EXPECT_NE(m.label, "key cot/check seed");
  }
}

// Q8: batch id in every oracle of the trees. The same roots under another id: nothing fits.
TEST(BatchKey, TreesOfAnotherBatchAreOthers) {
  std::vector<Bytes> seen;
  for (const uint64_t id : {1u, 2u}) {
    run_keyed({4, 64, 100, false, id}, [&](const net::MessageId& m, Bytes& payload) {
      if (m.label == kKeyTreesLabel) seen.push_back(payload);
    });
  }
  ASSERT_EQ(seen.size(), 2u);
  size_t equal = 0;
  for (size_t at = 0; at + 16 <= seen[0].size(); at += 16) {
    equal += load_block(seen[0].data() + at) == load_block(seen[1].data() + at);
  }
  EXPECT_EQ(equal, 0u);
}

// --- One row check over all rows ----------------------------------------------------------------

/// Bytes of one chunk of 8 blocks a row (1000 columns): 31 trees of Delta, then 16 of the key.
constexpr size_t kRowBytes = 8 * 16;

// engine-v2.md, V7: "Gamma rows of y outside the row check of y": the same other u in all trees of
// the key is consistent among them, and only a check over both parts sees it.
TEST(BatchKey, AnotherBitInAllRowsOfOneKeyFailsTheRowCheck) {
  for (const bool of_the_key : {true, false}) {
    const auto run = run_keyed({}, [&](const net::MessageId& m, Bytes& payload) {
      if (m.label != "key cot/corrections") return;
      for (size_t v = of_the_key ? 31 : 0; v < (of_the_key ? 47u : 31u); ++v) {
        payload[v * kRowBytes + 5] ^= 4;
      }
    });
    ASSERT_EQ(run.outcomes[1].code(), AbortCode::kRowCheck) << of_the_key;
    EXPECT_EQ(run.outcomes[1].abort->peer(), PartyId{0});
  }
}

// One tree alone: unnoticed iff its bits of the key are zero, where it changes nothing.
TEST(BatchKey, ABadCorrectionOfOneTreeFailsWhereItHasAnEffect) {
  const auto epoch = support::deal_epoch(2, 4);
  const DealtKey key(64, epoch[0].delta);
  const Block gamma = key_of_macs(key.macs.span());
  size_t caught = 0;
  for (size_t v = 0; v < 16; ++v) {
    const auto run = run_keyed({}, [&](const net::MessageId& m, Bytes& payload) {
      if (m.label == "key cot/corrections") payload[(31 + v) * kRowBytes + 5] ^= 4;
    });
    const bool none = (gamma.lo >> (4 * v) & 15) == 0;
    EXPECT_EQ(run.outcomes[1].value.has_value(), none) << v;
    caught += run.outcomes[1].code() == AbortCode::kRowCheck;
  }
  EXPECT_GT(caught, 10u);
}

TEST(BatchKey, EveryRowOfTheAnswerIsCompared) {
  for (const size_t row : {size_t{0}, size_t{127}, size_t{128}, size_t{150}, size_t{191}}) {
    const auto run = run_keyed({}, [&](const net::MessageId& m, Bytes& payload) {
      if (m.label == "key cot/check answer") payload[16 * (1 + row) + 3] ^= 2;
    });
    EXPECT_EQ(run.outcomes[1].code(), AbortCode::kRowCheck) << row;
  }
}

TEST(BatchKey, TheChallengeFollowsTheTreesAndTheLastCorrection) {
  std::vector<std::string> sent;
  const auto run = run_keyed({4, 64, 40000, false, 1},
                             [&](const net::MessageId& m, Bytes&) { sent.push_back(m.label); });
  ASSERT_TRUE(run.outcomes[1].value.has_value());
  const std::vector<std::string> expected = {std::string(kKeyTreesLabel), "key cot/corrections",
                                             "key cot/corrections", "key cot/check seed",
                                             "key cot/check answer"};
  EXPECT_EQ(sent, expected);
}

TEST(BatchKey, WrongLengthsAreRefusedBeforeUse) {
  for (const std::string_view label : {kKeyTreesLabel, std::string_view("key cot/corrections"),
                                       std::string_view("key cot/check answer")}) {
    const auto run = run_keyed({}, [&](const net::MessageId& m, Bytes& payload) {
      if (m.label == label) payload.push_back(0);
    });
    EXPECT_EQ(run.outcomes[1].code(), AbortCode::kUnexpectedMessage) << label;
  }
}

// Single use: an end of the trees can be moved into one batch and into nothing else.
static_assert(!std::is_copy_constructible_v<KeyTreesOwner>);
static_assert(!std::is_copy_constructible_v<KeyTreesHolder>);

}  // namespace
}  // namespace flexroom::ot
