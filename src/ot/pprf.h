#pragma once

#include <span>
#include <vector>

#include "base/block.h"
#include "base/hash.h"
#include "ot/base_ot.h"

namespace flexroom::ot {

/// All-but-one trees and their check (boolean-engine.md §4.1; [Roy22] ePrint 2022/192): 128/k GGM
/// trees of depth k. The owner (COT receiver) knows all leaves, the puncturer (COT sender) all but
/// leaf alpha_v of tree v, where alpha_v = bits [kv, kv+k) of its Delta.
///
/// Guarantee  after the check, the puncturer's leaves are the owner's; a cheating owner passes only
///            by guessing bits of Delta (leak = guess; a failure ends the epoch)
/// Timing     independent of Delta and of all seeds
struct PprfShape {
  unsigned subfield_bits;
  size_t num_trees() const { return 128 / subfield_bits; }
  size_t leaves_per_tree() const { return size_t{1} << subfield_bits; }
  size_t num_leaves() const { return num_trees() * leaves_per_tree(); }
  /// Level sums [128][2] blocks, tree check sums [num_trees] digests, one digest.
  size_t message_bytes() const { return 128 * 32 + num_trees() * 32 + 32; }
};

/// Which ordered pair this is; part of every hash.
struct PairContext {
  RoScope scope;
  PartyId cot_sender;
  PartyId cot_receiver;
};

struct PprfOwner {
  BlockVec leaves;  // keys [v][x]
  Bytes message;    // to the puncturer
};

/// Owner: samples the roots from `prg` and masks the level sums with the base-OT keys [128] of both
/// choices (as sender).
PprfOwner grow_trees(const PprfShape& shape, const PairContext& pair, const BaseOtSenderKeys& keys,
                     Prg& prg);

/// The puncturer's choice bits [128] at the base OTs, as a block: bit v*k+l is 1 - (bit l of
/// alpha_v, MSB first).
Block pprf_choices(const PprfShape& shape, const Block& delta);

/// Puncturer: recovers and checks. Returns keys [v][y] for y = x + alpha_v, slot y = 0 zero, so
/// that no later step needs alpha as an index. Throws kPprf, naming the owner.
BlockVec recover_trees(const PprfShape& shape, const PairContext& pair, const Block& delta,
                       std::span<const Block> chosen_keys, ByteView message);

}  // namespace flexroom::ot
