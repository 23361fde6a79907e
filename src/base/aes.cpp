#include "base/aes.h"

#include <algorithm>

#include "base/cpu.h"
#include "base/secret.h"

namespace flexroom {
namespace {

template <int kRcon>
__m128i expand_step(__m128i key) {
  const __m128i word = _mm_shuffle_epi32(_mm_aeskeygenassist_si128(key, kRcon), 0xff);
  key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
  key = _mm_xor_si128(key, _mm_slli_si128(key, 8));
  return _mm_xor_si128(key, word);
}

// The first round key meets the counter block with the iv added to it. The kernels make that sum
// themselves: where their caller did, it would leave it on the stack around a call.
void ctr_aesni(const __m128i* keys, const Block& iv, uint64_t first, Block* out, size_t count) {
  constexpr size_t kWidth = 8;
  const __m128i start = _mm_xor_si128(keys[0], iv.m());
  size_t t = 0;
  for (; t + kWidth <= count; t += kWidth) {
    __m128i s[kWidth];
    for (size_t i = 0; i < kWidth; ++i) {
      s[i] = _mm_xor_si128(_mm_set_epi64x(0, static_cast<long long>(first + t + i)), start);
    }
    for (int r = 1; r < 10; ++r) {
      for (size_t i = 0; i < kWidth; ++i) s[i] = _mm_aesenc_si128(s[i], keys[r]);
    }
    for (size_t i = 0; i < kWidth; ++i) out[t + i] = _mm_aesenclast_si128(s[i], keys[10]);
  }
  for (; t < count; ++t) {
    __m128i s = _mm_xor_si128(_mm_set_epi64x(0, static_cast<long long>(first + t)), start);
    for (int r = 1; r < 10; ++r) s = _mm_aesenc_si128(s, keys[r]);
    out[t] = _mm_aesenclast_si128(s, keys[10]);
  }
}

__attribute__((target("avx512f,vaes"))) size_t ctr_vaes512(const __m128i* keys, const Block& iv,
                                                           uint64_t first, Block* out,
                                                           size_t count) {
  constexpr size_t kLanes = 8;  // 8 registers of 4 blocks
  __m512i k[11];
  k[0] = _mm512_maskz_broadcast_i32x4(0xffff, _mm_xor_si128(keys[0], iv.m()));
  for (int r = 1; r < 11; ++r) k[r] = _mm512_maskz_broadcast_i32x4(0xffff, keys[r]);
  const __m512i step = _mm512_set_epi64(0, 4, 0, 4, 0, 4, 0, 4);
  const auto f = static_cast<long long>(first);
  __m512i counter = _mm512_set_epi64(0, f + 3, 0, f + 2, 0, f + 1, 0, f);
  size_t t = 0;
  for (; t + 4 * kLanes <= count; t += 4 * kLanes) {
    __m512i s[kLanes];
    for (auto& lane : s) {
      lane = _mm512_xor_si512(counter, k[0]);
      counter = _mm512_add_epi64(counter, step);
    }
    for (int r = 1; r < 10; ++r) {
      for (auto& lane : s) lane = _mm512_aesenc_epi128(lane, k[r]);
    }
    for (size_t i = 0; i < kLanes; ++i) {
      _mm512_storeu_si512(out + t + 4 * i, _mm512_aesenclast_epi128(s[i], k[10]));
    }
  }
  return t;
}

__attribute__((target("avx2,vaes"))) size_t ctr_vaes256(const __m128i* keys, const Block& iv,
                                                        uint64_t first, Block* out, size_t count) {
  constexpr size_t kLanes = 8;  // 8 registers of 2 blocks
  const __m256i first_key = _mm256_broadcastsi128_si256(_mm_xor_si128(keys[0], iv.m()));
  const __m256i step = _mm256_set_epi64x(0, 2, 0, 2);
  const auto f = static_cast<long long>(first);
  __m256i counter = _mm256_set_epi64x(0, f + 1, 0, f);
  size_t t = 0;
  for (; t + 2 * kLanes <= count; t += 2 * kLanes) {
    // Round keys are read anew in every turn. Sixteen registers do not hold eleven of them beside
    // the lanes: those kept across turns would be spilled to the stack, and stay there.
    asm volatile("" ::: "memory");
    __m256i s[kLanes];
    for (auto& lane : s) {
      lane = _mm256_xor_si256(counter, first_key);
      counter = _mm256_add_epi64(counter, step);
    }
    for (int r = 1; r < 10; ++r) {
      const __m256i key = _mm256_broadcastsi128_si256(keys[r]);
      for (auto& lane : s) lane = _mm256_aesenc_epi128(lane, key);
    }
    const __m256i last_key = _mm256_broadcastsi128_si256(keys[10]);
    for (size_t i = 0; i < kLanes; ++i) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + t + 2 * i),
                          _mm256_aesenclast_epi128(s[i], last_key));
    }
  }
  return t;
}

}  // namespace

Aes128::Aes128(const Block& key) {
  keys_[0] = key.m();
  keys_[1] = expand_step<0x01>(keys_[0]);
  keys_[2] = expand_step<0x02>(keys_[1]);
  keys_[3] = expand_step<0x04>(keys_[2]);
  keys_[4] = expand_step<0x08>(keys_[3]);
  keys_[5] = expand_step<0x10>(keys_[4]);
  keys_[6] = expand_step<0x20>(keys_[5]);
  keys_[7] = expand_step<0x40>(keys_[6]);
  keys_[8] = expand_step<0x80>(keys_[7]);
  keys_[9] = expand_step<0x1b>(keys_[8]);
  keys_[10] = expand_step<0x36>(keys_[9]);
}

Aes128::~Aes128() { wipe(keys_, sizeof keys_); }

Block Aes128::encrypt(const Block& in) const {
  __m128i s = _mm_xor_si128(in.m(), keys_[0]);
  for (int r = 1; r < 10; ++r) s = _mm_aesenc_si128(s, keys_[r]);
  return _mm_aesenclast_si128(s, keys_[10]);
}

void Aes128::ctr(const Block& iv, uint64_t first, std::span<Block> out) const {
  size_t done = 0;
  if (out.size() >= 32 && cpu_features().vaes512) {
    done = ctr_vaes512(keys_, iv, first, out.data(), out.size());
  } else if (out.size() >= 16 && cpu_features().vaes256) {
    done = ctr_vaes256(keys_, iv, first, out.data(), out.size());
  }
  ctr_aesni(keys_, iv, first + done, out.data() + done, out.size() - done);
}

}  // namespace flexroom
