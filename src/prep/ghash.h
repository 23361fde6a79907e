#pragma once

#include <vector>

#include "base/block.h"
#include "prep/prep.h"

namespace flexroom::prep {

/// GHASH (NIST SP 800-38D) of public data under a shared key H from Powers: boolean-engine.md §9.5.
/// Once per key d = Open(H + r); then for every message
/// [[GHASH]] = combine(powers, ghash_combination(d, blocks)), without any message (tls-in-mpc.md
/// §4.4).

/// A GHASH block in this field's bit order: GHASH's coefficient of X^i is bit 7 - (i mod 8) of byte
/// i / 8, ours bit i. Its own inverse. Bits that leave an AES circuit most significant first in a
/// byte are already in this order when packed.
Block ghash_block(ByteView bytes /* 16 */);
/// The 16 bytes of a field element, such as an opened tag.
Bytes ghash_bytes(const Block& block);

/// Pads to whole blocks with zeros and appends them: how AAD and ciphertext enter GHASH.
void append_ghash_blocks(std::vector<Block>& out, ByteView data);

/// In place: w_j = sum over i that contain j bitwise of w_i * d^(i xor j). Public data; O(L log L)
/// products. The transpose of H^i = sum_{j subset of i} d^(i xor j) r^j, H = d + r.
void apply_powers_transform(std::vector<Block>& w, const Block& d);

/// Coefficients w_0 .. w_m of [[r^0]] .. [[r^m]] that give GHASH_H(X_1 .. X_m) = sum_i X_i *
/// H^(m+1-i); blocks as from ghash_block, lengths block included.
std::vector<Block> ghash_combination(const Block& d, std::span<const Block> blocks);

/// [[GHASH]] of the blocks. Needs as many powers as blocks.
AuthField ghash_share(const Powers& powers, const Block& d, std::span<const Block> blocks);

}  // namespace flexroom::prep
