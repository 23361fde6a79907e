#include "math/re_hash.h"

#include <immintrin.h>

#include <cstring>

#include "base/aes.h"
#include "base/cpu.h"
#include "base/error.h"

// The key schedule is computed with aesenclast instead of aeskeygenassist (slow and unpipelined on
// most CPUs): with the rotated last word broadcast to all four columns, ShiftRows has no effect and
// aesenclast(x, rcon) is SubBytes(x) + rcon. Round keys are consumed as they appear, so nothing is
// stored; kWide registers run side by side to fill the latency.

namespace flexroom::math {
namespace {

constexpr int kRcon[10] = {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1b, 0x36};
constexpr size_t kLanes = 8;  // AES-NI: tweaks at a time

// RotWord of word 3, broadcast: bytes 13, 14, 15, 12.
inline __m128i rot_word_broadcast() { return _mm_set1_epi32(0x0c0f0e0d); }

inline __m128i next_round_key(__m128i key, int rcon) {
  const __m128i word =
      _mm_aesenclast_si128(_mm_shuffle_epi8(key, rot_word_broadcast()), _mm_set1_epi32(rcon));
  key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
  key = _mm_xor_si128(key, _mm_slli_si128(key, 8));
  return _mm_xor_si128(key, word);
}

inline __m128i sigma(__m128i x) {
  const __m128i swapped = _mm_shuffle_epi32(x, 0x4e);  // lo || hi
  // high half hi + lo, low half hi
  return _mm_xor_si128(swapped, _mm_slli_si128(_mm_srli_si128(x, 8), 8));
}

// `count` <= 8 tweaks; a short tail repeats its last element, so that time depends on count only.
template <bool kTwo>
void hash_aesni(__m128i base, uint64_t counter, const Block* x, __m128i delta, Block* out0,
                Block* out1, size_t count) {
  __m128i key[kLanes], in0[kLanes], in1[kLanes], s0[kLanes], s1[kLanes];
  for (size_t i = 0; i < kLanes; ++i) {
    const size_t t = i < count ? i : count - 1;
    // tweak = base with its counter replaced; S is already in `base`'s high part by XOR below.
    key[i] = _mm_xor_si128(base, _mm_set_epi64x(0, static_cast<long long>(counter + t)));
    in0[i] = sigma(x[t].m());
    s0[i] = _mm_xor_si128(in0[i], key[i]);
    if constexpr (kTwo) {
      in1[i] = _mm_xor_si128(in0[i], delta);
      s1[i] = _mm_xor_si128(in1[i], key[i]);
    }
  }
  for (int r = 0; r < 9; ++r) {
    for (size_t i = 0; i < kLanes; ++i) {
      key[i] = next_round_key(key[i], kRcon[r]);
      s0[i] = _mm_aesenc_si128(s0[i], key[i]);
      if constexpr (kTwo) s1[i] = _mm_aesenc_si128(s1[i], key[i]);
    }
  }
  for (size_t i = 0; i < count; ++i) {
    key[i] = next_round_key(key[i], kRcon[9]);
    out0[i] = _mm_xor_si128(_mm_aesenclast_si128(s0[i], key[i]), in0[i]);
    if constexpr (kTwo) out1[i] = _mm_xor_si128(_mm_aesenclast_si128(s1[i], key[i]), in1[i]);
  }
}

constexpr size_t kWide = 4;  // VAES: registers of 4 tweaks

#define FLEXROOM_VAES __attribute__((target("avx512f,avx512bw,vaes")))

FLEXROOM_VAES inline __m512i next_round_key(__m512i key, __m512i rot, int rcon) {
  const __m512i word =
      _mm512_aesenclast_epi128(_mm512_shuffle_epi8(key, rot), _mm512_set1_epi32(rcon));
  key = _mm512_xor_si512(key, _mm512_bslli_epi128(key, 4));
  // key + (key << 8 bytes) + word
  return _mm512_ternarylogic_epi64(key, _mm512_bslli_epi128(key, 8), word, 0x96);
}

FLEXROOM_VAES inline __m512i sigma(__m512i x) {
  const __m512i swapped =
      _mm512_castps_si512(_mm512_maskz_permute_ps(0xffff, _mm512_castsi512_ps(x), 0x4e));
  return _mm512_xor_si512(swapped, _mm512_maskz_mov_epi64(0xaa, x));
}

// `count` tweaks, 4 a register: 4 * kRegisters - 3 to 4 * kRegisters of them. What is missing in
// the last register is neither read nor written.
template <bool kTwo, size_t kRegisters>
FLEXROOM_VAES void hash_vaes(__m128i base, uint64_t counter, const Block* x, __m128i delta,
                             Block* out0, Block* out1, size_t count) {
  const __m512i rot = _mm512_set1_epi32(0x0c0f0e0d);
  const __m512i base4 = _mm512_maskz_broadcast_i32x4(0xffff, base);
  const __m512i delta4 = _mm512_maskz_broadcast_i32x4(0xffff, delta);
  // In the low halves: carries stay in them, as the counter is a 64-bit integer.
  const __m512i first = _mm512_maskz_set1_epi64(0x55, static_cast<long long>(counter));
  const __m512i lanes = _mm512_set_epi64(0, 3, 0, 2, 0, 1, 0, 0);
  const auto last = static_cast<__mmask8>(0xff >> (8 * kRegisters - 2 * count));
  __m512i key[kRegisters], in0[kRegisters], in1[kRegisters], s0[kRegisters], s1[kRegisters];
  for (size_t i = 0; i < kRegisters; ++i) {
    const __m512i t = _mm512_add_epi64(
        first,
        _mm512_add_epi64(lanes, _mm512_maskz_set1_epi64(0x55, static_cast<long long>(4 * i))));
    key[i] = _mm512_xor_si512(base4, t);
    in0[i] = sigma(_mm512_maskz_loadu_epi64(i + 1 < kRegisters ? 0xff : last, x + 4 * i));
    s0[i] = _mm512_xor_si512(in0[i], key[i]);
    if constexpr (kTwo) {
      in1[i] = _mm512_xor_si512(in0[i], delta4);
      s1[i] = _mm512_xor_si512(in1[i], key[i]);
    }
  }
  for (int r = 0; r < 9; ++r) {
    for (size_t i = 0; i < kRegisters; ++i) {
      key[i] = next_round_key(key[i], rot, kRcon[r]);
      s0[i] = _mm512_aesenc_epi128(s0[i], key[i]);
      if constexpr (kTwo) s1[i] = _mm512_aesenc_epi128(s1[i], key[i]);
    }
  }
  for (size_t i = 0; i < kRegisters; ++i) {
    const __mmask8 lanes_of = i + 1 < kRegisters ? 0xff : last;
    key[i] = next_round_key(key[i], rot, kRcon[9]);
    _mm512_mask_storeu_epi64(out0 + 4 * i, lanes_of,
                             _mm512_xor_si512(_mm512_aesenclast_epi128(s0[i], key[i]), in0[i]));
    if constexpr (kTwo) {
      _mm512_mask_storeu_epi64(out1 + 4 * i, lanes_of,
                               _mm512_xor_si512(_mm512_aesenclast_epi128(s1[i], key[i]), in1[i]));
    }
  }
}

#undef FLEXROOM_VAES

#define FLEXROOM_VAES256 __attribute__((target("avx2,vaes")))

FLEXROOM_VAES256 inline __m256i next_round_key(__m256i key, __m256i rot, int rcon) {
  const __m256i word =
      _mm256_aesenclast_epi128(_mm256_shuffle_epi8(key, rot), _mm256_set1_epi32(rcon));
  key = _mm256_xor_si256(key, _mm256_bslli_epi128(key, 4));
  key = _mm256_xor_si256(key, _mm256_bslli_epi128(key, 8));
  return _mm256_xor_si256(key, word);
}

FLEXROOM_VAES256 inline __m256i sigma(__m256i x) {
  const __m256i high = _mm256_blend_epi32(_mm256_setzero_si256(), x, 0xcc);
  return _mm256_xor_si256(_mm256_shuffle_epi32(x, 0x4e), high);
}

FLEXROOM_VAES256 inline void store(Block* p, __m256i v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v);
}

// 8 tweaks, two a register.
template <bool kTwo>
FLEXROOM_VAES256 void hash_vaes256(__m128i base, uint64_t counter, const Block* x, __m128i delta,
                                   Block* out0, Block* out1) {
  const __m256i rot = _mm256_set1_epi32(0x0c0f0e0d);
  const __m256i base2 = _mm256_broadcastsi128_si256(base);
  const __m256i delta2 = _mm256_broadcastsi128_si256(delta);
  __m256i key[kWide], in0[kWide], in1[kWide], s0[kWide], s1[kWide];
  for (size_t i = 0; i < kWide; ++i) {
    const __m256i t = _mm256_set_epi64x(0, static_cast<long long>(counter + 2 * i + 1), 0,
                                        static_cast<long long>(counter + 2 * i));
    key[i] = _mm256_xor_si256(base2, t);
    in0[i] = sigma(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + 2 * i)));
    s0[i] = _mm256_xor_si256(in0[i], key[i]);
    if constexpr (kTwo) {
      in1[i] = _mm256_xor_si256(in0[i], delta2);
      s1[i] = _mm256_xor_si256(in1[i], key[i]);
    }
  }
  for (int r = 0; r < 9; ++r) {
    for (size_t i = 0; i < kWide; ++i) {
      key[i] = next_round_key(key[i], rot, kRcon[r]);
      s0[i] = _mm256_aesenc_epi128(s0[i], key[i]);
      if constexpr (kTwo) s1[i] = _mm256_aesenc_epi128(s1[i], key[i]);
    }
  }
  for (size_t i = 0; i < kWide; ++i) {
    key[i] = next_round_key(key[i], rot, kRcon[9]);
    store(out0 + 2 * i, _mm256_xor_si256(_mm256_aesenclast_epi128(s0[i], key[i]), in0[i]));
    if constexpr (kTwo) {
      store(out1 + 2 * i, _mm256_xor_si256(_mm256_aesenclast_epi128(s1[i], key[i]), in1[i]));
    }
  }
}

#undef FLEXROOM_VAES256

/// Up to 16 tweaks, in as few registers as hold them.
template <bool kTwo>
void hash_wide(__m128i base, uint64_t counter, const Block* x, __m128i delta, Block* out0,
               Block* out1, size_t count) {
  switch ((count + 3) / 4) {
    case 1:
      return hash_vaes<kTwo, 1>(base, counter, x, delta, out0, out1, count);
    case 2:
      return hash_vaes<kTwo, 2>(base, counter, x, delta, out0, out1, count);
    case 3:
      return hash_vaes<kTwo, 3>(base, counter, x, delta, out0, out1, count);
    default:
      return hash_vaes<kTwo, 4>(base, counter, x, delta, out0, out1, count);
  }
}

template <bool kTwo>
void hash_all(const Block& s, const Block& tweak, std::span<const Block> x, const Block& delta,
              Block* out0, Block* out1) {
  // The key is S + tweak (XOR), the tweak's counter being an integer sum made before that.
  const __m128i base = _mm_xor_si128(s.m(), _mm_set_epi64x(static_cast<long long>(tweak.hi), 0));
  const __m128i sigma_delta = sigma(delta.m());  // sigma is linear
  const bool wide = cpu_features().vaes512, halfwide = cpu_features().vaes256;
  const size_t most = wide ? 4 * kWide : kLanes;
  for (size_t t = 0; t < x.size(); t += most) {
    const size_t step = std::min(most, x.size() - t);
    const uint64_t counter = tweak.lo + t;
    Block* second = kTwo ? out1 + t : nullptr;
    if (wide) {
      hash_wide<kTwo>(base, counter, x.data() + t, sigma_delta, out0 + t, second, step);
    } else if (step == kLanes && halfwide) {
      hash_vaes256<kTwo>(base, counter, x.data() + t, sigma_delta, out0 + t, second);
    } else {
      hash_aesni<kTwo>(base, counter, x.data() + t, sigma_delta, out0 + t, second, step);
    }
  }
}

}  // namespace

Block ReHash::hash(const Block& tweak, const Block& x) const {
  const Block in = hash_sigma(x);
  return Aes128(s_ ^ tweak).encrypt(in) ^ in;
}

void ReHash::hash1(const Block& tweak, std::span<const Block> x, std::span<Block> out) const {
  FLEXROOM_ASSERT(out.size() == x.size());
  hash_all<false>(s_, tweak, x, Block(), out.data(), nullptr);
}

void ReHash::hash2(const Block& tweak, std::span<const Block> x, const Block& delta,
                   std::span<Block> out0, std::span<Block> out1) const {
  FLEXROOM_ASSERT(out0.size() == x.size() && out1.size() == x.size());
  hash_all<true>(s_, tweak, x, delta, out0.data(), out1.data());
}

}  // namespace flexroom::math
