#pragma once

#include <span>
#include <string_view>

#include "ot/base_ot.h"

namespace flexroom::ot {

/// key_bits/k trees of depth k, k = subfield_bits in {1, 2, 4, 8}: over the 128 bits of a Delta, or
/// over the bits of the masking key of one batch (engine-v2.md §2.2; a multiple of k).
struct PprfShape {
  unsigned subfield_bits = 4;
  unsigned key_bits = 128;
  size_t num_trees() const { return key_bits / subfield_bits; }
  size_t leaves_per_tree() const { return size_t{1} << subfield_bits; }
  size_t num_leaves() const { return num_trees() * leaves_per_tree(); }
  /// Masked level sums [key_bits][2] blocks, tree check sums [num_trees] of 32 bytes, one digest.
  size_t message_bytes() const { return key_bits * 32 + num_trees() * 32 + 32; }
};

/// All-but-one trees and their check: the owner (COT receiver) knows all leaves, the puncturer (COT
/// sender) all but leaf alpha_v of tree v, where alpha_v = bits [kv, kv+k) of its key.
///
/// Protocol   boolean-engine.md §4.1; check of [Roy22] (ePrint 2022/192)
/// Guarantee  after the check the puncturer's leaves are the owner's; a cheating owner passes only
///            by guessing bits of the key (leak = guess; a failure ends the epoch)
/// Timing     independent of the key and of all seeds
struct PprfOwner {
  BlockVec leaves;  // keys [v][x]
  Bytes message;    // to the puncturer
};

/// Owner: samples roots from `prg`, masks the level sums with both base keys of each instance.
PprfOwner grow_trees(const PprfShape& shape, const PairContext& pair, const BaseOtSenderKeys& keys,
                     Prg& prg);

/// The puncturer's choice bits at the base OTs: bit v*k+l is 1 - p_l, where p_0..p_{k-1} is
/// alpha_v, most significant bit first.
LockedBlock pprf_choices(const PprfShape& shape, const Block& key);

/// Puncturer: recovers and checks. Returns keys [v][y] for x = y + alpha_v (XOR), slot y = 0 zero,
/// so that no later step needs alpha as an index. Throws kPprf, naming the owner and `label`.
BlockVec recover_trees(const PprfShape& shape, const PairContext& pair, const Block& key,
                       std::span<const Block> chosen_keys, ByteView message,
                       std::string_view label = "setup/trees");

}  // namespace flexroom::ot
