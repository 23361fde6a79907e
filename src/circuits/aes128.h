#pragma once

#include <array>
#include <span>
#include <vector>

#include "circuits/word.h"

namespace flexroom::circuits {

using AesBlock = std::array<ByteBits, 16>;   // byte 0 first, FIPS 197 §3.4 order
using AesRoundKeys = std::vector<AesBlock>;  // round 0 .. 10, of AES-256 0 .. 14

/// The S-box as the 32-AND circuit of Boyar and Peralta (ePrint 2011/332; FIPS 197 §5.1.1).
ByteBits aes_sbox(const ByteBits& in);

/// Key expansion, FIPS 197 §5.2: 40 S-boxes, 1 280 ANDs.
AesRoundKeys aes128_expand_key(const AesBlock& key);

/// One block, FIPS 197 §5.1, under round keys 0 .. Nr: 16 S-boxes a round.
AesBlock aes_encrypt(std::span<const AesBlock> keys, const AesBlock& in);
/// 160 S-boxes, 5 120 ANDs. Bytes of the output that nobody uses save
/// their last S-box.
AesBlock aes128_encrypt(const AesRoundKeys& keys, const AesBlock& in);

AesBlock constant_block(const std::array<uint8_t, 16>& bytes);
AesBlock block_of(const Text& text);  // 16 bytes
Text text_of(const AesBlock& block);

/// Round keys as kept between circuits: 1 408 or 1 920 bits, round 0 first.
Bits bits_of(std::span<const AesBlock> keys);
AesRoundKeys round_keys_of(const Bits& bits);

}  // namespace flexroom::circuits
