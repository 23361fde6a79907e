#pragma once

#include <vector>

#include "base/aes.h"
#include "base/hash.h"
#include "ot/pprf.h"

namespace flexroom::ot {

/// Columns expanded at a time: 32 blocks = 4096 columns a row, so that the 128 rows of a chunk
/// (64 KiB) stay in the second-level cache.
inline constexpr size_t kChunkBlocks = 32;

/// The leaf streams of one COT direction in one session, folded to rows.
///
/// Source  boolean-engine.md §4.2: key' = RO128("ses", key, sid, lane), r_x = AES-CTR_{key'}
class LeafExpander {
 public:
  /// `leaves` [v][y]; y = 0 is skipped (a zero stream) if `punctured`.
  LeafExpander(const PprfShape& shape, const BlockVec& leaves, bool punctured,
               const PairContext& session, uint16_t lane);

  /// Blocks [first, first + count) of every row, count <= kChunkBlocks:
  ///   rows[(kv+b) * count + t] = XOR of r_y over y with bit b set
  ///   sums[v * count + t]      = XOR of all r_y
  void expand(uint64_t first, size_t count, Block* rows, Block* sums);

 private:
  PprfShape shape_;
  bool punctured_;
  std::vector<Aes128> streams_;
  BlockVec scratch_;  // [2^k][kChunkBlocks]
};

}  // namespace flexroom::ot
