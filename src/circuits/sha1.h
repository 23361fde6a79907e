#pragma once

#include <array>

#include "base/bytes.h"
#include "circuits/word.h"

namespace flexroom::circuits {

using Sha1State = std::array<Word, 5>;    // H0 .. H4
using Sha1Rounds = std::array<Word, 80>;  // W_t + K_t

/// One application of the SHA-1 compression function, for HMAC-SHA1 of TOTP and MGF1 of RSA-OAEP
/// alone: SHA-1 is no hash for anything that needs collisions to be hard.
///
/// Standard  FIPS 180-4 §6.1.2
/// In        state [5 words], block [16 words]; words may be secret, constant or mixed, not `pub`
/// Size      at most 11 215 ANDs with no constant input (tls-in-mpc.md §5.3); constants fold away
Sha1State sha1_compress(const Sha1State& state, const std::array<Word, 16>& block);

/// The same for a block that is public but known only online: its words W_t + K_t come as `pub`
/// bits (sha1_round_words).
Sha1State sha1_compress_pub(const Sha1State& state, const Sha1Rounds& round_words);

Sha1State sha1_initial();

/// W_t + K_t of a public padded block of 64 bytes.
std::array<uint32_t, 80> sha1_round_words(ByteView block);

/// Reads 2 560 input bits: word t is bits 32t .. 32t+31, least significant first.
Sha1Rounds sha1_rounds_of(const Bits& bits);

}  // namespace flexroom::circuits
