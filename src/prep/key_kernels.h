#pragma once

#include <span>

#include "base/block.h"
#include "math/gf128.h"
#include "math/secret_vector.h"

namespace flexroom::prep {

/// What a batch of masked triples does with its key (engine-v2.md §2.5), K = 64 or 128 bits. `h`
/// [items][K/8] are the public words of the coin; only they are used as indices. Constant time in
/// everything else.

/// Key rows as CotReceiver::take_key_rows() leaves them, of at least `items` columns, to strings:
/// [items][K/64] words.
math::SecretVector<uint64_t> strings_of_key_rows(const BlockVec& rows, size_t key_bits,
                                                 size_t items);

/// <h_t, psi_t>: bit t % 8 of byte t / 8 of `out` is added.
void add_parities(std::span<const uint64_t> psi, ByteView h, size_t items, Bytes& out);

/// blocks_t += sum_q h_{t,q} * key_q.
void add_masks(BlockVec& blocks, std::span<const Block> key, ByteView h);

/// Y_q = sum_t h_{t,q} * w_t, given one run of weights w after the other.
class MaskedSums {
 public:
  explicit MaskedSums(size_t key_bits);
  /// The next weights.w.size() items, from `first` on.
  void add(size_t first, std::span<const Block> weights, ByteView h);
  /// [K]
  BlockVec values() const;

 private:
  size_t key_bytes_;
  BlockVec table_;  // [K/8][256]: sum of the weights whose byte of h has that value
};

}  // namespace flexroom::prep
