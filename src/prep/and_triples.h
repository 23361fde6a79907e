#pragma once

#include <functional>
#include <vector>

#include "prep/bit_supply.h"
#include "prep/triple_parameters.h"

namespace flexroom::prep {

/// Authenticated AND triples, one bucketing batch at a time.
///
/// Protocol   boolean-engine.md §5.3: B layers of leaky ANDs, combined under cyclic shifts from a
///            coin that is tossed only after the layers it concerns passed their checks
/// In         `products`: bucket_size VecTriple(1), consumed by the layers' zero tests
/// Out        parameters.batch triples, private except with the probability of §5.4
/// Guarantee  any exception before the last bucket opening verified erases all layers and the
///            accumulator: they are local to the call. No layer sees a second shift coin
/// Cost       default profile, n = 2, k = 4: 84 bytes a triple and direction, of which 36 here
/// Aborts     kZeroTest, kMac, kCoin, kEcho. Counts as one batch in flight
/// `more_follow`: the next call is for another batch, with the products at hand: its first bits are
/// made while this one waits.
/// `tick(done)`: leaky triples made so far, of bucket_size * batch.
AndTriples make_and_triples(Context& context, const TripleParameters& parameters,
                            std::vector<VecTriple> products, bool more_follow = false,
                            const std::function<void(size_t)>& tick = nullptr);

}  // namespace flexroom::prep
