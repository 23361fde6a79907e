#include "ot/leaf_expander.h"

#include <gtest/gtest.h>

#include <set>

#include "base/prg.h"

namespace flexroom::ot {
namespace {

constexpr PprfShape kShape{2};

RoScope scope() {
  RoScope out;
  out.eid[0] = 1;
  out.sid[0] = 2;
  return out;
}

LockedBlocks some_leaves() {
  LockedBlocks leaves(kShape.num_leaves());
  Prg(Block(1, 2)).fill(leaves.span());
  return leaves;
}

/// Block `at` of leaf (v, y), by the formulas of boolean-engine.md §4.2 and no code of ours but AES
/// of one block.
Block stream_block(const PairContext& session, size_t v, const Block& leaf, uint64_t at) {
  const Block key =
      RandomOracle("ses", session.scope, session.lane, session.cot_sender, session.cot_receiver)
          .field(leaf)
          .field(session.batch_id)
          .field(at >> 24)
          .block();
  const Block iv =
      RandomOracle("iv", session.scope, session.lane, session.cot_sender, session.cot_receiver)
          .field(session.batch_id)
          .field(uint64_t{v})
          .block();
  return Aes128(key).encrypt(iv ^ Block(0, at));
}

void expect_rows(const PairContext& session, uint64_t first, size_t count, bool punctured) {
  const LockedBlocks leaves = some_leaves();
  LeafExpander expander(kShape, leaves.span(), punctured, session);
  BlockVec rows(128 * count), sums(kShape.num_trees() * count);
  expander.expand(first, count, rows.data(), sums.data());
  for (size_t v = 0; v < kShape.num_trees(); ++v) {
    for (size_t t = 0; t < count; ++t) {
      Block row[2], sum;
      for (size_t y = punctured ? 1 : 0; y < 4; ++y) {
        const Block r = stream_block(session, v, leaves[4 * v + y], first + t);
        sum ^= r;
        for (size_t b = 0; b < 2; ++b) row[b] ^= select((y >> b & 1) != 0, r);
      }
      ASSERT_EQ(sums[v * count + t], sum) << v << " " << t;
      for (size_t b = 0; b < 2; ++b) ASSERT_EQ(rows[(2 * v + b) * count + t], row[b]);
    }
  }
}

TEST(LeafExpander, StreamsAreThoseOfTheSpecification) {
  const PairContext session{scope(), 1, 0, 3, 7};
  expect_rows(session, 0, 1, false);
  expect_rows(session, 5, kChunkBlocks, true);
  // The next pieces have keys of their own, whatever the order in which they are asked for.
  expect_rows(session, kPieceBlocks - kChunkBlocks, kChunkBlocks, true);
  expect_rows(session, kPieceBlocks, 3, true);
  expect_rows(session, 5 * kPieceBlocks + 9, kChunkBlocks, false);
}

// Equal leaves everywhere: what keeps two streams apart is their iv (trees) and their key' (the
// rest).
TEST(LeafExpander, NoTwoStreamsMeetTheSameInputsUnderTheSameKey) {
  LockedBlocks leaves(kShape.num_leaves());
  for (Block& leaf : leaves.span()) leaf = Block(3, 4);
  std::set<Bytes> seen;
  size_t streams = 0;
  RoScope other = scope();
  other.sid[1] = 1;
  for (const PairContext& session :
       {PairContext{scope(), 0, 1, 0, 0}, PairContext{scope(), 1, 0, 0, 0},
        PairContext{scope(), 0, 1, 1, 0}, PairContext{scope(), 0, 1, 0, 1},
        PairContext{other, 0, 1, 0, 0}}) {
    LeafExpander expander(kShape, leaves.span(), true, session);
    for (const uint64_t first : {uint64_t{0}, kPieceBlocks}) {
      BlockVec rows(128), sums(kShape.num_trees());
      expander.expand(first, 1, rows.data(), sums.data());
      for (const Block& sum : sums) {
        ++streams;
        const ByteView bytes = block_bytes(sum);  // three equal streams: one of them
        seen.emplace(bytes.begin(), bytes.end());
      }
    }
  }
  EXPECT_EQ(seen.size(), streams);
}

TEST(LeafExpander, ARunStaysInItsPiece) {
  EXPECT_EQ(first_of_run(0, 1), 0u);
  EXPECT_EQ(first_of_run(17, 100), 17u);
  EXPECT_EQ(first_of_run(kPieceBlocks - 100, 100), kPieceBlocks - 100);
  EXPECT_EQ(first_of_run(kPieceBlocks - 100, 101), kPieceBlocks);
  EXPECT_EQ(first_of_run(kPieceBlocks, kPieceBlocks), kPieceBlocks);
  EXPECT_EQ(first_of_run(kPieceBlocks + 1, kPieceBlocks), 2 * kPieceBlocks);
}

}  // namespace
}  // namespace flexroom::ot
