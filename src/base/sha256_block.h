#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "base/hash.h"

namespace flexroom {

/// Chaining value of SHA-256, H_0 .. H_7 (FIPS 180-4 §5.3.3).
using Sha256State = std::array<uint32_t, 8>;
using Sha256BlockBytes = std::array<uint8_t, 64>;
/// The words W_t + K_t mod 2^32, t = 0 .. 63.
using Sha256RoundWords = std::array<uint32_t, 64>;

extern const Sha256State kSha256Initial;
/// K_t (FIPS 180-4 §4.2.2).
extern const std::array<uint32_t, 64> kSha256RoundConstants;

/// SHA-256 with its chaining value in the open, for hashing that starts or ends inside MPC. Public
/// data only: nothing here is meant to run on secrets.

/// One application of the compression function (FIPS 180-4 §6.2.2).
Sha256State sha256_compress(const Sha256State& state, const Sha256BlockBytes& block);

/// The message schedule of a public block with the round constants added: what a `pub` compression
/// takes as input (tls-in-mpc.md §3.7).
Sha256RoundWords sha256_schedule_plus_k(const Sha256BlockBytes& block);

/// Big-endian bytes of a chaining value: the digest, once the last block went in.
Digest sha256_state_bytes(const Sha256State& state);
Sha256State sha256_state_from(const Digest& bytes);

/// The one padded block that ends a message: `tail` (at most 55 bytes) follows `bytes_before` bytes
/// (a multiple of 64) that are already in the chaining value.
Sha256BlockBytes sha256_last_block(ByteView tail, uint64_t bytes_before);

/// Chaining value after `data`, a multiple of 64 bytes.
Sha256State sha256_absorb(Sha256State state, ByteView data);

/// Digest of a message whose first `bytes_before` bytes (a multiple of 64) led to `state`.
Digest sha256_finish(const Sha256State& state, uint64_t bytes_before, ByteView tail);

/// The rest of an HMAC: SHA-256 over `message` from `inner`, which has eaten one block.
Digest hmac_inner_digest(const Sha256State& inner, ByteView message);

}  // namespace flexroom
