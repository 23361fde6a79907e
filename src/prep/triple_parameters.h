#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace flexroom::prep {

/// How what a leaky AND tells of x is taken away again: by combining B of them (boolean-engine.md
/// §5.3), or by a masking key of the batch (engine-v2.md §V2).
enum class TripleProtocol : uint8_t { kBucket, kMasked };

/// How AND triples are made (boolean-engine.md §0, §5.4; engine-v2.md §V0). All parties use the
/// same values; the room's.
struct TripleParameters {
  size_t bucket_size = 4;              // B: leaky triples combined into one; kBucket
  size_t batch = size_t{1} << 16;      // L: triples of one batch, a power of two
  unsigned string_bits = 64;           // w = K: width of strings and of masking keys, 64 or 128
  bool accept_weak_bucketing = false;  // tests only: skips the refusal rule of §5.4
  TripleProtocol protocol = TripleProtocol::kBucket;
};

/// So many of the room's batches may be made as one, or asked for at once. Masked ones only,
/// because each costs its flows, and up to four members, because memory grows with the peers.
/// Public, the same at all members.
constexpr size_t batches_at_once(TripleProtocol protocol, size_t num_parties) {
  return protocol == TripleProtocol::kMasked && num_parties <= 4 ? 4 : 1;
}

/// A security profile (§0): fixed for an epoch.
struct Profile {
  TripleParameters triples;
  unsigned dirty_max = 16;  // unfinished batches tolerated in an epoch (§10.3)
  unsigned life_max = 64;   // and over the life of a peer relation
};

/// "bucket" or "masked". Throws InputError for another name.
TripleProtocol triple_protocol(std::string_view name);

/// "default", "bandwidth" (rho = 40, with buckets only) or "high". Throws InputError for another
/// name, or another pair of names.
Profile profile(std::string_view name, TripleProtocol protocol = TripleProtocol::kBucket);

/// What one AND of a circuit costs until it is used, in bytes from each member to each other: its
/// triple and its share of the wire masks (engine-v2.md 4.1, long batches), by the epoch's COT.
double and_bytes_to_each_peer(TripleProtocol protocol, bool slow_link);

/// log2 of the probability that a batch holds a leaked triple: -(B + (B-1) log2 L).
double bucketing_error_log2(size_t bucket_size, size_t batch);

/// Throws InputError unless L is a power of two and w is 64 or 128, and with buckets B + (B-1)
/// log2 L >= 43.
void require_acceptable(const TripleParameters& parameters);

}  // namespace flexroom::prep
