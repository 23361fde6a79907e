#pragma once

#include <immintrin.h>

#include <array>
#include <span>

#include "base/aes.h"
#include "base/block.h"

namespace flexroom::math {

/// GF(2^128) = GF(2)[X]/(X^128 + X^7 + X^2 + X + 1); bit t of a block is the coefficient of X^t
/// (boolean-engine.md §2.2). Addition is XOR. All functions run in constant time.

/// Reduces lo + hi * X^128.
inline Block gf_reduce(__m128i lo, __m128i hi) {
  const __m128i poly = _mm_set_epi64x(0, 0x87);
  const __m128i top = _mm_clmulepi64_si128(hi, poly, 0x01);  // word 3 times X^7+X^2+X+1
  lo = _mm_xor_si128(lo, _mm_slli_si128(top, 8));
  hi = _mm_xor_si128(hi, _mm_srli_si128(top, 8));
  return _mm_xor_si128(lo, _mm_clmulepi64_si128(hi, poly, 0x00));
}

/// Lazily reduced sum of products: XORs 256-bit products, one reduction in value().
class GfSum {
 public:
  void add(const Block& a, const Block& b) {
    const __m128i x = a.m();
    const __m128i y = b.m();
    lo_ = _mm_xor_si128(lo_, _mm_clmulepi64_si128(x, y, 0x00));
    hi_ = _mm_xor_si128(hi_, _mm_clmulepi64_si128(x, y, 0x11));
    mid_ = _mm_xor_si128(
        mid_, _mm_xor_si128(_mm_clmulepi64_si128(x, y, 0x01), _mm_clmulepi64_si128(x, y, 0x10)));
  }
  /// Adds a reduced element (a product by 1).
  void add(const Block& a) { lo_ = _mm_xor_si128(lo_, a.m()); }
  void add(const GfSum& other) { add_parts(other.lo_, other.mid_, other.hi_); }
  /// Adds lo + mid * X^64 + hi * X^128: for kernels that keep their own accumulators.
  void add_parts(__m128i lo, __m128i mid, __m128i hi) {
    lo_ = _mm_xor_si128(lo_, lo);
    mid_ = _mm_xor_si128(mid_, mid);
    hi_ = _mm_xor_si128(hi_, hi);
  }
  Block value() const {
    return gf_reduce(_mm_xor_si128(lo_, _mm_slli_si128(mid_, 8)),
                     _mm_xor_si128(hi_, _mm_srli_si128(mid_, 8)));
  }

 private:
  __m128i lo_ = _mm_setzero_si128();
  __m128i mid_ = _mm_setzero_si128();
  __m128i hi_ = _mm_setzero_si128();
};

inline Block gf_mul(const Block& a, const Block& b) {
  GfSum sum;
  sum.add(a, b);
  return sum.value();
}

/// a * X.
inline Block gf_mul_x(const Block& a) {
  const uint64_t carry = 0 - (a.hi >> 63);
  return {(a.hi << 1) | (a.lo >> 63), (a.lo << 1) ^ (carry & 0x87)};
}

/// a^2; linear over GF(2).
inline Block gf_square(const Block& a) {
  return gf_reduce(_mm_clmulepi64_si128(a.m(), a.m(), 0x00),
                   _mm_clmulepi64_si128(a.m(), a.m(), 0x11));
}

/// a^(2^s).
Block gf_frobenius(Block a, unsigned s);

/// Adds sum_t a[t] * b[t] to `sum`; spans of equal length. VPCLMULQDQ where the CPU has it.
void gf_accumulate(GfSum& sum, std::span<const Block> a, std::span<const Block> b);
/// sum_t a[t] * b[t].
Block gf_inner_product(std::span<const Block> a, std::span<const Block> b);

/// X^(q * 2^s), q < 128: the basis of the Frobenius pack (boolean-engine.md §9.1).
std::array<Block, 128> gf_basis(unsigned s);
/// sum_q X^(q * 2^s) * blocks[q]; exactly 128 blocks.
Block gf_pack(std::span<const Block> blocks, unsigned s = 0);

/// The public coefficients chi_t = AES_seed(t) of one random linear combination
/// (boolean-engine.md §2.3, "Coefficient stream"); one seed per tag.
class ChiStream {
 public:
  explicit ChiStream(const Block& seed) : aes_(seed) {}
  void fill(uint64_t first, std::span<Block> out) const { aes_.ctr(first, out); }
  /// sum += sum_t chi_{first+t} * blocks[t].
  void accumulate(GfSum& sum, uint64_t first, std::span<const Block> blocks) const;
  /// sum_t chi_{first+t} * bits_t, bits packed LSB first, `count` of them.
  Block combine_bits(uint64_t first, ByteView packed_bits, size_t count) const;
  /// sum_t chi_{first+t} * bit0(blocks[t]).
  Block combine_lsbs(uint64_t first, std::span<const Block> blocks) const;

 private:
  Aes128 aes_;
};

}  // namespace flexroom::math
