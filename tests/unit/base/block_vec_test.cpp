#include <gtest/gtest.h>

#include <vector>

#include "base/block.h"

namespace flexroom {
namespace {

// Sizes below, at and above a page, so that first and last pages are shared with neighbours.
constexpr size_t kSizes[] = {1, 3, 255, 256, 257, 1000, 4096, 70'001};

TEST(BlockVecTest, DiscardingLeavesWhatLiesBesideAlone) {
  std::vector<BlockVec> all;
  for (int round = 0; round < 4; ++round) {
    for (const size_t size : kSizes) {
      BlockVec& made = all.emplace_back(size, BlockVec::uninitialised);
      for (size_t i = 0; i < size; ++i) made[i] = Block(all.size(), i);
    }
  }
  for (size_t k = 0; k < all.size(); k += 2) {
    all[k].discard();
    EXPECT_TRUE(all[k].empty());
    EXPECT_EQ(all[k].data(), nullptr);
    all[k].discard();  // of nothing
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

}  // namespace
}  // namespace flexroom
