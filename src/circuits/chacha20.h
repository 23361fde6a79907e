#pragma once

#include "circuits/word.h"

namespace flexroom::circuits {

using ChaChaKey = std::array<Word, 8>;
using ChaChaNonce = std::array<Word, 3>;
using ChaChaBlock = std::array<Word, 16>;

/// Little-endian words, as ChaCha20 reads and writes them (RFC 8439 §2.3).
ChaChaKey chacha20_key(const Text& key);        // 32 bytes
ChaChaNonce chacha20_nonce(const Text& nonce);  // 12 bytes
Text text_of(const ChaChaBlock& block);         // 64 bytes

/// The block function of RFC 8439 §2.3: 320 additions in the rounds and 16 at the end.
///
/// Size     10 400 ANDs with secret key and nonce and a counter known only online; the constants
///          of the first row fold in their first and their last addition. A constant counter or
///          nonce word w saves its last addition the carries up to its lowest 1 bit: ctz(w) + 1 of
///          31 ANDs, all for 0 (10 317 for those of RFC 8439 §2.3.2). Words of the output
///          that nobody uses save what only they need.
/// Counter  constant, or `pub` bits: they enter beside a secret in every gate
ChaChaBlock chacha20_block(const ChaChaKey& key, const Word& counter, const ChaChaNonce& nonce);

}  // namespace flexroom::circuits
