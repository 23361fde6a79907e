#pragma once

#include <array>

#include "base/sha512_block.h"
#include "circuits/word.h"

namespace flexroom::circuits {

using Sha512Words = std::array<Word64, 8>;        // H0 .. H7
using Sha512BlockWords = std::array<Word64, 16>;  // big-endian words of one 128-byte block
using Sha512PubWords = std::array<Word64, 80>;    // W_t + K_t

/// One application of the compression function of SHA-512 and SHA-384.
///
/// Standard  FIPS 180-4 §6.4.2
/// In        state [8 words], block [16 words]; words may be secret, constant or mixed, not `pub`
///           alone
/// Out       next state [8 words]
/// Size      57 947 ANDs with no constant input; constants fold away (tls-complete.md §3): constant
///           state and 32 secret bytes with padding 54 815, IV and HMAC key pad of 48 bytes 55 734,
///           secret state and padded digest 55 729, secret state and constant block 40 827 on
///           average; all constant 0
/// Not here  padding and length: see hash_padding() of hash.h
Sha512Words sha512_compress(const Sha512Words& state, const Sha512BlockWords& block);

/// The same for a block that is public but known only online: its words W_t + K_t come as `pub`
/// input bits (sha512_schedule_plus_k of base computes them). Secret state: 40 984 ANDs.
Sha512Words sha512_compress_pub(const Sha512Words& state, const Sha512PubWords& round_words);

Sha512Words constant_state(const Sha512State& state);

/// Reads 5 120 input bits: word t is bits 64t .. 64t+63, least significant first.
Sha512PubWords sha512_round_words_of(const Bits& bits);

}  // namespace flexroom::circuits
