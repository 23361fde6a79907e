#include <gtest/gtest.h>

#include <vector>

#include "base/block.h"

namespace flexroom {
namespace {

BlockVec counted(size_t size) {
  BlockVec out(size, BlockVec::uninitialised);
  for (size_t i = 0; i < size; ++i) out[i] = Block(7, i);
  return out;
}

// Large parts are the memory itself, small ones copies; either way every block is in one place.
TEST(BlockVecTest, PartsAreTakenFromTheFront) {
  for (const size_t first : {size_t{0}, size_t{1}, size_t{4095}, size_t{4096}, size_t{20'001}}) {
    BlockVec rest = counted(50'000);
    const Block* const memory = rest.data();
    BlockVec part = rest.take_front(first);
    ASSERT_EQ(part.size(), first);
    ASSERT_EQ(rest.size(), 50'000 - first);
    EXPECT_EQ(rest.data(), memory + first);
    EXPECT_EQ(part.data() == memory, first >= 4096);
    for (size_t i = 0; i < first; ++i) ASSERT_EQ(part[i], Block(7, i));
    part = BlockVec();
    for (size_t i = 0; i < rest.size(); ++i) ASSERT_EQ(rest[i], Block(7, first + i));
    if (first > 0 && first < 4096) {
      EXPECT_EQ(memory[0], Block()) << "a copied part stays at its old place";
    }
  }
}

TEST(BlockVecTest, APartOutlivesTheRestAndWipesOnlyItself) {
  BlockVec rest = counted(20'000);
  const BlockVec first = rest.take_front(8'000);
  BlockVec second = rest.take_front(5'000);
  const Block* const place = second.data();
  second = BlockVec();
  for (size_t i = 0; i < 5'000; ++i) ASSERT_EQ(place[i], Block());  // first holds the memory
  const BlockVec all = rest.take_front(7'000);
  EXPECT_TRUE(rest.empty());
  for (size_t i = 0; i < 8'000; ++i) ASSERT_EQ(first[i], Block(7, i));
  for (size_t i = 0; i < 7'000; ++i) ASSERT_EQ(all[i], Block(7, 13'000 + i));
}

TEST(BlockVecTest, ShrinkingWipesTheTail) {
  BlockVec blocks = counted(10'000);
  const Block* const memory = blocks.data();
  blocks.shrink(6'000);
  ASSERT_EQ(blocks.size(), 6'000u);
  EXPECT_EQ(blocks[5'999], Block(7, 5'999));
  EXPECT_EQ(memory[6'000], Block());
  EXPECT_EQ(memory[9'999], Block());
  blocks.shrink(0);
  EXPECT_TRUE(blocks.empty());
}

}  // namespace
}  // namespace flexroom
