#pragma once

#include <functional>
#include <vector>

#include "prep/bit_supply.h"
#include "prep/triple_parameters.h"

namespace flexroom::prep {

/// Layers of leaky AND triples: z = x & y is right, but a cheater that guesses x-shares may know
/// them. Only and_triples.h uses them.
///
/// Protocol   boolean-engine.md §5.2 (KRRW18 ePrint 2018/578, half-gates form; strings of w bits)
/// In         `num_layers` layers of parameters.batch triples, all made in the same flows;
///            `products` one VecTriple(1) a layer, consumed by its zero test
/// Guarantee  every layer passed its own check when the call returns: z = xy except 2^-(w-2). A
///            cheater knows the x-sum of c items with probability 2^-c; y and z stay hidden
/// Cost       per triple 3 bits aBit(all), w + 1 bits to each peer, 3 hashes; 8 flows for n = 2
/// Aborts     kZeroTest, kMac, kCoin, kEcho
/// Timing     independent of all shares and of Delta
/// `more_follow`: another call is next, before any other message but this batch's own; its bits are
/// made while this one waits.
/// `tick(done)` is called now and then with the triples finished so far in this call.
std::vector<AndTriples> make_leaky_ands(Context& context, const TripleParameters& parameters,
                                        size_t num_layers, std::vector<VecTriple> products,
                                        BatchInFlight& batch, bool more_follow = false,
                                        const std::function<void(size_t)>& tick = nullptr);

}  // namespace flexroom::prep
