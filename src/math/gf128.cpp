#include "math/gf128.h"

#include <algorithm>

#include "base/cpu.h"
#include "base/error.h"

namespace flexroom::math {
namespace {

constexpr size_t kChunk = 64;  // blocks of coefficients generated at a time

__attribute__((target("avx512f"))) __m128i fold_lanes(__m512i v) {
  return _mm_xor_si128(_mm_xor_si128(_mm512_maskz_extracti32x4_epi32(0xf, v, 0),
                                     _mm512_maskz_extracti32x4_epi32(0xf, v, 1)),
                       _mm_xor_si128(_mm512_maskz_extracti32x4_epi32(0xf, v, 2),
                                     _mm512_maskz_extracti32x4_epi32(0xf, v, 3)));
}

// Four products an instruction. Returns how many pairs it took (a multiple of 4).
__attribute__((target("avx512f,vpclmulqdq"))) size_t accumulate_vpclmul(GfSum& sum, const Block* a,
                                                                        const Block* b,
                                                                        size_t count) {
  __m512i lo = _mm512_setzero_si512();
  __m512i mid0 = _mm512_setzero_si512();
  __m512i mid1 = _mm512_setzero_si512();
  __m512i hi = _mm512_setzero_si512();
  size_t t = 0;
  for (; t + 4 <= count; t += 4) {
    const __m512i x = _mm512_loadu_si512(a + t);
    const __m512i y = _mm512_loadu_si512(b + t);
    lo = _mm512_xor_si512(lo, _mm512_clmulepi64_epi128(x, y, 0x00));
    mid0 = _mm512_xor_si512(mid0, _mm512_clmulepi64_epi128(x, y, 0x01));
    mid1 = _mm512_xor_si512(mid1, _mm512_clmulepi64_epi128(x, y, 0x10));
    hi = _mm512_xor_si512(hi, _mm512_clmulepi64_epi128(x, y, 0x11));
  }
  sum.add_parts(fold_lanes(lo), fold_lanes(_mm512_xor_si512(mid0, mid1)), fold_lanes(hi));
  return t;
}

__attribute__((target("avx2"))) __m128i fold_lanes(__m256i v) {
  return _mm_xor_si128(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}

// Two products an instruction; a multiple of 2.
__attribute__((target("avx2,vpclmulqdq"))) size_t accumulate_vpclmul256(GfSum& sum, const Block* a,
                                                                        const Block* b,
                                                                        size_t count) {
  __m256i lo = _mm256_setzero_si256(), mid0 = lo, mid1 = lo, hi = lo;
  size_t t = 0;
  for (; t + 2 <= count; t += 2) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(a + t));
    const __m256i y = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(b + t));
    lo = _mm256_xor_si256(lo, _mm256_clmulepi64_epi128(x, y, 0x00));
    mid0 = _mm256_xor_si256(mid0, _mm256_clmulepi64_epi128(x, y, 0x01));
    mid1 = _mm256_xor_si256(mid1, _mm256_clmulepi64_epi128(x, y, 0x10));
    hi = _mm256_xor_si256(hi, _mm256_clmulepi64_epi128(x, y, 0x11));
  }
  sum.add_parts(fold_lanes(lo), fold_lanes(_mm256_xor_si256(mid0, mid1)), fold_lanes(hi));
  return t;
}

}  // namespace

Block gf_frobenius(Block a, unsigned s) {
  for (unsigned i = 0; i < s; ++i) a = gf_square(a);
  return a;
}

void gf_accumulate(GfSum& sum, std::span<const Block> a, std::span<const Block> b) {
  FLEXROOM_ASSERT(a.size() == b.size());
  size_t t = 0;
  if (a.size() >= 4 && cpu_features().vpclmul512) {
    t = accumulate_vpclmul(sum, a.data(), b.data(), a.size());
  } else if (a.size() >= 4 && cpu_features().vpclmul256) {
    t = accumulate_vpclmul256(sum, a.data(), b.data(), a.size());
  }
  for (; t < a.size(); ++t) sum.add(a[t], b[t]);
}

Block gf_inner_product(std::span<const Block> a, std::span<const Block> b) {
  GfSum sum;
  gf_accumulate(sum, a, b);
  return sum.value();
}

std::array<Block, 128> gf_basis(unsigned s) {
  std::array<Block, 128> out;
  const Block step = gf_frobenius(Block(0, 2), s);
  out[0] = Block(0, 1);
  for (size_t q = 1; q < out.size(); ++q) out[q] = gf_mul(out[q - 1], step);
  return out;
}

Block gf_pack(std::span<const Block> blocks, unsigned s) {
  FLEXROOM_ASSERT(blocks.size() == 128);
  const auto basis = gf_basis(s);
  return gf_inner_product(basis, blocks);
}

void ChiStream::accumulate(GfSum& sum, uint64_t first, std::span<const Block> blocks) const {
  Block chi[kChunk];
  for (size_t done = 0; done < blocks.size(); done += kChunk) {
    const size_t count = std::min(kChunk, blocks.size() - done);
    aes_.ctr(first + done, {chi, count});
    gf_accumulate(sum, {chi, count}, blocks.subspan(done, count));
  }
}

Block ChiStream::combine_bits(uint64_t first, ByteView packed_bits, size_t count) const {
  FLEXROOM_ASSERT(packed_bits.size() * 8 >= count);
  Block chi[kChunk];
  Block sum;
  for (size_t done = 0; done < count; done += kChunk) {
    const size_t here = std::min(kChunk, count - done);
    aes_.ctr(first + done, {chi, here});
    size_t t = 0;
    for (; t + 8 <= here; t += 8) {  // sums that do not wait for each other
      const unsigned bits = packed_bits[(done + t) / 8];
      Block part[4];
      for (unsigned k = 0; k < 4; ++k) {
        part[k] = select((bits >> k & 1) != 0, chi[t + k]) ^
                  select((bits >> (k + 4) & 1) != 0, chi[t + k + 4]);
      }
      sum ^= (part[0] ^ part[1]) ^ (part[2] ^ part[3]);
    }
    for (; t < here; ++t) {
      const size_t at = done + t;
      sum ^= select(((packed_bits[at / 8] >> (at % 8)) & 1) != 0, chi[t]);
    }
  }
  return sum;
}

Block ChiStream::combine_lsbs(uint64_t first, std::span<const Block> blocks) const {
  Block chi[kChunk];
  Block sum;
  for (size_t done = 0; done < blocks.size(); done += kChunk) {
    const size_t here = std::min(kChunk, blocks.size() - done);
    aes_.ctr(first + done, {chi, here});
    for (size_t t = 0; t < here; ++t) sum ^= select(blocks[done + t].lsb(), chi[t]);
  }
  return sum;
}

}  // namespace flexroom::math
