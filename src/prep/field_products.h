#pragma once

#include <span>
#include <vector>

#include "prep/bit_supply.h"

namespace flexroom::prep {

/// Factors of the extraction (tau of boolean-engine.md §9.3): each a_h is a random combination of
/// this many bit vectors, so that a guess of some of their bits tells nothing about a_h.
inline constexpr size_t kExtractionFactors = 2;

/// A VecTriple with the bit vectors it was made of: every element of it is a public linear form of
/// them, which Powers needs (§9.4). With H = triple.a.size():
struct FieldProducts {
  VecTriple triple;
  AuthBits b_bits;         // [128], packs to b
  AuthBits alpha;          // [H][kExtractionFactors][128]
  std::vector<Block> chi;  // [H][kExtractionFactors]: a_h = sum_s chi_hs * pack(alpha_hs)
  AuthBits rho;            // [H][128]
  std::vector<Block> g;    // [H]: c_h = pack(rho_h) + g_h
};

/// Random products with one common factor in every set.
///
/// Protocol   boolean-engine.md §9.3 (VecTriple; MASCOT, ePrint 2016/505, with authenticated bits
///            as choice bits): OLE, extraction with an interactive coin, sacrifice
/// In         counts [number of sets]: products in each set, at least 1
/// Guarantee  c_h = a_h * b up to 2^-128; a_h uniform to a cheater except with 2^-64
/// Cost       per product, party and peer 4 KB and 384 bits; one product a set is sacrificed. Ten
///            flows for n = 2, however many sets
/// Aborts     kSacrifice, kMac, kCoin, kEcho. The sets count as one batch in flight
std::vector<FieldProducts> make_field_products(Context& context, std::span<const size_t> counts);

}  // namespace flexroom::prep
