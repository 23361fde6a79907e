#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vector>

#include "base/block.h"

namespace flexroom {
namespace {

// Sizes below, at and above a page, so that first and last pages are shared with neighbours.
constexpr size_t kSizes[] = {1, 3, 255, 256, 257, 1000, 4096, 70'001};

TEST(BlockVecTest, ReturningPagesLeavesWhatLiesBesideAlone) {
  std::vector<BlockVec> all;
  for (int round = 0; round < 4; ++round) {
    for (const size_t size : kSizes) {
      BlockVec& made = all.emplace_back(size, BlockVec::uninitialised);
      for (size_t i = 0; i < size; ++i) made[i] = Block(all.size(), i);
    }
  }
  for (size_t k = 0; k < all.size(); k += 2) {
    all[k].return_pages();
    all[k] = BlockVec();
    all[k].return_pages();  // of nothing
  }
  for (size_t k = 1; k < all.size(); k += 2) {
    ASSERT_EQ(all[k].size(), kSizes[k % std::size(kSizes)]);
    for (size_t i = 0; i < all[k].size(); ++i) ASSERT_EQ(all[k][i], Block(k + 1, i));
  }
  // The allocator is whole, too: the freed places serve again, zeroed where zeros were asked for.
  for (size_t k = 0; k < all.size(); k += 2) {
    all[k] = BlockVec(kSizes[k % std::size(kSizes)]);
    for (const Block& b : all[k]) ASSERT_EQ(b, Block());
  }
}

// Whether the page of a block is in memory; one that is not mapped any more is not held either.
bool held(const Block* block) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  unsigned char resident = 0;
  return mincore(reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(block) / page * page), page,
                 &resident) == 0 &&
         (resident & 1) != 0;
}

TEST(BlockVecTest, ReturnedPagesAreNotHeldAnyMore) {
  BlockVec blocks(10'000);
  const Block* const inside = blocks.data() + 5'000;
  EXPECT_TRUE(held(inside));
  blocks.return_pages();
  blocks = BlockVec();
  EXPECT_FALSE(held(inside));
}

BlockVec counted(size_t size) {
  BlockVec out(size, BlockVec::uninitialised);
  for (size_t i = 0; i < size; ++i) out[i] = Block(7, i);
  return out;
}

// A stock that is used up slab by slab shrinks with it.
TEST(BlockVecTest, PagesOfALargePartGoWithIt) {
  BlockVec rest = counted(60'000);
  rest.return_pages();
  const Block* const memory = rest.data();
  const BlockVec first = rest.take_front(20'000);
  BlockVec second = rest.take_front(20'000);
  second = BlockVec();
  EXPECT_FALSE(held(memory + 30'000));
  for (size_t i = 0; i < 20'000; ++i) {
    ASSERT_EQ(first[i], Block(7, i));
    ASSERT_EQ(rest[i], Block(7, 40'000 + i));
  }
  EXPECT_TRUE(held(memory + 10'000));
  EXPECT_TRUE(held(memory + 50'000));
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
