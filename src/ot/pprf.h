#pragma once

#include <span>

#include "ot/base_ot.h"

namespace flexroom::ot {

/// 128/k trees of depth k, k = subfield_bits in {1, 2, 4, 8}.
struct PprfShape {
  unsigned subfield_bits = 4;
  size_t num_trees() const { return 128 / subfield_bits; }
  size_t leaves_per_tree() const { return size_t{1} << subfield_bits; }
  size_t num_leaves() const { return num_trees() * leaves_per_tree(); }
  /// Masked level sums [128][2] blocks, tree check sums [num_trees] of 32 bytes, one digest.
  size_t message_bytes() const { return 128 * 32 + num_trees() * 32 + 32; }
};

/// All-but-one trees and their check: the owner (COT receiver) knows all leaves, the puncturer (COT
/// sender) all but leaf alpha_v of tree v, where alpha_v = bits [kv, kv+k) of its Delta.
///
/// Protocol   boolean-engine.md §4.1; check of [Roy22] (ePrint 2022/192)
/// Guarantee  after the check the puncturer's leaves are the owner's; a cheating owner passes only
///            by guessing bits of Delta (leak = guess; a failure ends the epoch)
/// Timing     independent of Delta and of all seeds
struct PprfOwner {
  BlockVec leaves;  // keys [v][x]
  Bytes message;    // to the puncturer
};

/// Owner: samples roots from `prg`, masks the level sums with both base-OT keys of each instance.
PprfOwner grow_trees(const PprfShape& shape, const PairContext& pair, const BaseOtSenderKeys& keys,
                     Prg& prg);

/// The puncturer's choice bits at the base OTs: bit v*k+l is 1 - p_l, where p_0..p_{k-1} is
/// alpha_v, most significant bit first.
LockedBlock pprf_choices(const PprfShape& shape, const Block& delta);

/// Puncturer: recovers and checks. Returns keys [v][y] for x = y + alpha_v (XOR), slot y = 0 zero,
/// so that no later step needs alpha as an index. Throws kPprf, naming the owner.
BlockVec recover_trees(const PprfShape& shape, const PairContext& pair, const Block& delta,
                       std::span<const Block> chosen_keys, ByteView message);

}  // namespace flexroom::ot
