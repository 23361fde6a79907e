#pragma once

#include "prep/masking_key.h"

namespace flexroom::prep {

struct MaskedBatchSize {
  size_t items = 0;    // L
  unsigned bits = 64;  // K = w, 64 or 128
  size_t next = 0;     // another batch of so many is next, before anything else of this supply
                       // but its product: its x and r are made while this one waits
};

/// One batch of AND triples: leaky ANDs whose x is hidden afterwards by a key of this batch alone,
/// x^_t = x_t + <h_t, G>, with h from a coin that is tossed when every U is fixed.
///
/// Protocol   engine-v2.md §2.2 to §2.5; strings as boolean-engine.md §5.2
/// In         `product`: a VecTriple(1) of its own, consumed by the zero test
/// Out        size.items triples (x^, y, z^)
/// Guarantee  z^ = x^ y except 2^-(w-2), x^ and y uniform and unknown except 2^-K, for every batch
///            that a party may have seen fail and hidden (§3). Any exception erases the batch with
///            its key and tuple: they are local to the call
/// Cost       n = 2, k = 4, K = 64: 22.7 bytes a triple and direction at 2^17, of which 8.1 here
/// Aborts     kPprf, kRowCheck, kBitConsistency, kSacrifice, kZeroTest, kMac, kCoin, kEcho; what
///            the count says. Counts as one batch in flight, from before the share of v
/// Timing     independent of all shares, keys and Delta
AndTriples make_masked_ands(Context& context, KeyedBitSupply& supply, const MaskedBatchSize& size,
                            VecTriple product);

}  // namespace flexroom::prep
