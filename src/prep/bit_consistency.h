#pragma once

#include <span>
#include <vector>

#include "base/block.h"
#include "net/party.h"
#include "ot/verdict.h"

namespace flexroom::prep {

/// Bits of one party, fresh from COT. At the owner blocks[j] = M_j for every peer j; at the others
/// blocks[owner] = K; all other entries are empty.
struct OwnedBatch {
  PartyId owner = 0;
  std::vector<BlockVec> blocks;  // [n][m]
};

/// Batches under one global key per party; at a refresh there are two instances of the same bits.
struct ConsistencyInstance {
  const Block& delta;                   // no copy that somebody had to wipe
  std::span<const OwnedBatch> batches;  // same owners, in the same order, in every instance
};

/// Bits a consistency check consumes beyond those it covers.
inline constexpr size_t kConsistencyMasks = 128;

/// Every owner used the same bits towards all peers and in all instances.
///
/// Protocol   boolean-engine.md §4.3: tossed coefficients, X_i = sum chi_t x_t + packed masks, and
///            a tag on X_i for every peer and instance. Run it after all row checks
/// In         batches of m + 128 bits; the last 128 are masks, to be discarded afterwards
/// Guarantee  inconsistent bits pass with probability 2^-128 (plus 2^-126 for the MAC)
/// Aborts     kBitConsistency, kEcho, kCoin. `notes`, if not null, is told around the comparison
void check_bit_consistency(net::Party& party, std::span<const ConsistencyInstance> instances,
                           size_t m, ot::VerdictNotes* notes = nullptr);

}  // namespace flexroom::prep
