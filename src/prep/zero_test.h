#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "prep/bit_supply.h"

namespace flexroom::prep {

/// Are additively shared values zero, and nothing more.
///
/// Protocol   boolean-engine.md §3.6, ZERO: values masked with bits known to one party each, then
///            multiplied with the random factor b of a field product
/// Setting    value h is the sum over all parties of shares[h]; `products` holds one VecTriple(1)
///            for every value and is consumed: its b serves this one test
/// Guarantee  passes for nonzero values with probability 2^-128; a nonzero value shows a uniform
///            nonzero field element and nothing else of it (§3.7: values may depend on Delta)
/// Cost       128 owned bits a party and value; a broadcast of 16 bytes and two openings of 16
///            bytes a value; several values share the messages
/// Aborts     kZeroTest, kMac, kEcho
/// Calls batch.before_verdict() before this party's share of the results leaves.
void zero_test(Context& context, std::span<const Block> shares, std::vector<VecTriple> products,
               BatchInFlight& batch, std::string_view label);

/// The same for authenticated values whose shares all parties randomised (§3.6 from "consume one
/// field product"): true iff all are zero. Does not abort on a nonzero value. `notes`, if not null,
/// is told of it as of a check of class A.
bool zero_test_field(net::Party& party, const Block& delta, AuthField values,
                     std::vector<VecTriple> products, BatchInFlight& batch, std::string_view label,
                     ot::VerdictNotes* notes = nullptr);

/// Which of them are zero, of values that are no function of a Delta: an unequal one is an ordinary
/// result, ends nothing and is not counted (tls-in-mpc.md §5.4, zero tests; boolean-engine.md
/// §9.6).
std::vector<bool> are_zero(net::Party& party, const Block& delta, AuthField values,
                           std::vector<VecTriple> products, std::string_view label);

}  // namespace flexroom::prep
