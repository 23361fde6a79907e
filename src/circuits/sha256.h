#pragma once

#include <array>

#include "base/sha256_block.h"
#include "circuits/word.h"

namespace flexroom::circuits {

using StateWords = std::array<Word, 8>;   // H0 .. H7
using BlockWords = std::array<Word, 16>;  // big-endian words of one 64-byte block
using RoundWords = std::array<Word, 64>;  // W_t + K_t

/// One application of the SHA-256 compression function.
///
/// Standard  FIPS 180-4 §6.2.2
/// In        state [8 words], block [16 words]; words may be secret, constant or mixed, not `pub`
/// Out       next state [8 words]
/// Size      22 573 ANDs with no constant input; constants fold away, on average (tls-in-mpc.md
/// §3.4): constant
///           state and 32 secret bytes with padding 21 282, IV and HMAC key pad 21 624, secret
///           state and padded digest 21 649, secret state and constant block 16 117; all constant 0
/// Not here  padding and length: see sha256_padding
StateWords sha256_compress(const StateWords& state, const BlockWords& block);

/// The same for a block that is public but known only online: its words W_t + K_t come as `pub`
/// input bits (sha256_schedule_plus_k of base computes them). Secret state: 16 248 ANDs.
StateWords sha256_compress_pub(const StateWords& state, const RoundWords& round_words);

StateWords constant_state(const Sha256State& state);
StateWords sha256_initial();

/// Padding of a message of `message_bytes` bytes (FIPS 180-4 §5.1.1).
Bytes sha256_padding(uint64_t message_bytes);

/// Hashes the rest of a message: `bytes_before` (a multiple of 64) went into `state`, `tail` and
/// the padding follow. Every block with a secret byte costs up to 22 573 ANDs; blocks that are
/// constant under a constant state cost nothing.
StateWords sha256_finish(const StateWords& state, uint64_t bytes_before, const Text& tail);

/// Byte order: word 0 first, each word big-endian. 32 bytes.
Text text_of(const StateWords& state);
StateWords state_of(const Text& text);
StateWords state_of(const Bits& bits);
Bits bits_of(const StateWords& state);

/// Reads 2 048 input bits: word t is bits 32t .. 32t+31, least significant first.
RoundWords round_words_of(const Bits& bits);

}  // namespace flexroom::circuits
