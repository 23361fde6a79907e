#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"

namespace flexroom {

/// Chaining value of SHA-512 and SHA-384, H_0 .. H_7 (FIPS 180-4 §5.3.4, §5.3.5).
using Sha512State = std::array<uint64_t, 8>;
using Sha512BlockBytes = std::array<uint8_t, 128>;
/// The words W_t + K_t mod 2^64, t = 0 .. 79.
using Sha512RoundWords = std::array<uint64_t, 80>;

extern const Sha512State kSha512Initial, kSha384Initial;
/// K_t (FIPS 180-4 §4.2.3).
extern const std::array<uint64_t, 80> kSha512RoundConstants;

/// SHA-512 with its chaining value in the open, for hashing that starts or ends inside MPC. Public
/// data only: nothing here is meant to run on secrets. SHA-384 is the same from kSha384Initial, its
/// digest the first 48 bytes of the last chaining value.

/// One application of the compression function (FIPS 180-4 §6.4.2).
Sha512State sha512_compress(const Sha512State& state, const Sha512BlockBytes& block);

/// The message schedule of a public block with the round constants added: what a `pub` compression
/// takes as input (tls-in-mpc.md §3.7).
Sha512RoundWords sha512_schedule_plus_k(const Sha512BlockBytes& block);

/// Big-endian bytes of a chaining value.
std::array<uint8_t, 64> sha512_state_bytes(const Sha512State& state);
Sha512State sha512_state_from(const std::array<uint8_t, 64>& bytes);

}  // namespace flexroom
