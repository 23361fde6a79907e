#pragma once

#include <cstddef>
#include <string_view>

namespace flexroom::prep {

/// How AND triples are made (boolean-engine.md §0, §5.4). All parties use the same values; part of
/// the agreed epoch parameters.
struct TripleParameters {
  size_t bucket_size = 4;              // B: leaky triples combined into one
  size_t batch = size_t{1} << 16;      // L: triples of one bucketing batch, a power of two
  unsigned string_bits = 64;           // w: width of the leaky AND's strings, 64 or 128
  bool accept_weak_bucketing = false;  // tests only: skips the refusal rule of §5.4
};

/// A security profile (§0): fixed for an epoch.
struct Profile {
  TripleParameters triples;
  unsigned dirty_max = 16;  // unfinished batches tolerated in an epoch (§10.3)
  unsigned life_max = 64;   // and over the life of a peer relation
};

/// "default", "bandwidth" (rho = 40) or "high". Throws InputError for another name.
Profile profile(std::string_view name);

/// log2 of the probability that a batch holds a leaked triple: -(B + (B-1) log2 L).
double bucketing_error_log2(size_t bucket_size, size_t batch);

/// Throws InputError unless B + (B-1) log2 L >= 43, L is a power of two and w is 64 or 128.
void require_acceptable(const TripleParameters& parameters);

}  // namespace flexroom::prep
