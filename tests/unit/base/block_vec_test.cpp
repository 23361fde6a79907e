#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

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

TEST(BlockVecTest, DiscardedPagesAreNotHeldAnyMore) {
  BlockVec blocks(10'000);
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto inside = reinterpret_cast<uintptr_t>(blocks.data() + 5'000) / page * page;
  const auto held = [&] {  // not mapped any more is not held either
    unsigned char resident = 0;
    return mincore(reinterpret_cast<void*>(inside), page, &resident) == 0 && (resident & 1) != 0;
  };
  EXPECT_TRUE(held());
  blocks.discard();
  EXPECT_FALSE(held());
}

}  // namespace
}  // namespace flexroom
