#pragma once

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "base/block.h"
#include "base/error.h"
#include "math/gf128.h"

namespace flexroom::boolean {

/// One block of every AND of an instance, in the arrays of the slabs that they were made in: taken
/// over, because a copy of megabytes costs more than the gates they are for.
class SlabBlocks {
 public:
  SlabBlocks() = default;
  /// `slab` ANDs each, a power of two, but for the last one.
  explicit SlabBlocks(uint32_t slab) : log2_(static_cast<unsigned>(std::countr_zero(slab))) {
    FLEXROOM_ASSERT(std::has_single_bit(slab));
  }

  void add(BlockVec blocks) {
    FLEXROOM_ASSERT(blocks.size() <= size_t{1} << log2_ && within(size_) == 0);
    size_ += static_cast<uint32_t>(blocks.size());
    if (!blocks.empty()) slabs_.push_back(std::move(blocks));
  }
  uint32_t size() const { return size_; }
  /// Of AND t and those behind it, up to end_of_run(t).
  Block* at(uint32_t t) { return slabs_[t >> log2_].data() + within(t); }
  const Block* at(uint32_t t) const { return slabs_[t >> log2_].data() + within(t); }
  uint32_t end_of_run(uint32_t t) const {
    return std::min(size_, t - within(t) + (uint32_t{1} << log2_));
  }

  /// sum += sum_t chi_t * block_t.
  void accumulate(math::GfSum& sum, const math::ChiStream& chi) const {
    uint64_t first = 0;
    for (const BlockVec& blocks : slabs_) {
      chi.accumulate(sum, first, blocks.span());
      first += blocks.size();
    }
  }

 private:
  uint32_t within(uint32_t t) const { return t & ((uint32_t{1} << log2_) - 1); }

  unsigned log2_ = 0;
  uint32_t size_ = 0;
  std::vector<BlockVec> slabs_;
};

}  // namespace flexroom::boolean
