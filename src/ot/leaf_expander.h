#pragma once

#include <vector>

#include "base/aes.h"
#include "base/hash.h"
#include "ot/pprf.h"

namespace flexroom::ot {

/// Columns expanded at a time: 32 blocks = 4096 columns a row, so that the 128 rows of a chunk
/// (64 KiB) stay in the second-level cache.
inline constexpr size_t kChunkBlocks = 32;

/// Blocks of one stream under one key: AES repeats none, so that b of them are told from random
/// with b^2 2^-129 (boolean-engine.md §11).
inline constexpr uint64_t kPieceBlocks = uint64_t{1} << 24;

/// Where a run of `blocks` blocks begins that must not cross into another piece: at `next`, or at
/// the start of the next piece.
uint64_t first_of_run(uint64_t next, size_t blocks);

/// The leaf streams of one COT direction in one session, folded to rows.
///
/// Source  boolean-engine.md §4.2: r_x = AES_{key'}(iv + block), key' = RO128("ses", key, sid,
///         lane, batch id, piece), iv = RO128("iv", sid, lane, batch id, sender, receiver, tree):
///         public and another one for every tree, so that no AES input is common to two trees
class LeafExpander {
 public:
  /// `leaves` [v][y], which must outlive it; y = 0 is skipped (a zero stream) if `punctured`.
  LeafExpander(const PprfShape& shape, std::span<const Block> leaves, bool punctured,
               const PairContext& session);

  /// Blocks [first, first + count) of every row, all of one piece, count <= kChunkBlocks:
  ///   rows[(kv+b) * count + t] = XOR of r_y over y with bit b set
  ///   sums[v * count + t]      = XOR of all r_y
  void expand(uint64_t first, size_t count, Block* rows, Block* sums);

 private:
  void enter_piece(uint64_t piece);

  PprfShape shape_;
  std::span<const Block> leaves_;
  bool punctured_;
  PairContext session_;
  std::vector<Block> ivs_;  // by tree
  uint64_t piece_ = 0;
  std::vector<Aes128> streams_;  // under the keys of piece_
  BlockVec scratch_;             // [2^k][kChunkBlocks]
};

}  // namespace flexroom::ot
