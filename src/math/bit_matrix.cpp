#include "math/bit_matrix.h"

#include <immintrin.h>

#include <cstring>

#include "base/cpu.h"

namespace flexroom::math {
namespace {

// 16 rows by 128 columns at a time: bytes are transposed by unpacking, so that one register holds
// the same byte of 16 rows; movemask then takes one bit of each.
void transpose_tile_sse(const Block* rows, size_t row_stride, Block* out) {
  auto* bytes = reinterpret_cast<uint8_t*>(out);
  for (size_t group = 0; group < 8; ++group) {
    __m128i v[16], w[16];
    for (size_t r = 0; r < 16; ++r) v[r] = rows[(16 * group + r) * row_stride].m();
    for (int round = 0; round < 4; ++round) {  // perfect shuffles: after 4, byte c of row r is in
      for (size_t r = 0; r < 8; ++r) {         // register c at place r
        w[2 * r] = _mm_unpacklo_epi8(v[r], v[r + 8]);
        w[2 * r + 1] = _mm_unpackhi_epi8(v[r], v[r + 8]);
      }
      std::memcpy(v, w, sizeof v);
    }
    for (size_t c = 0; c < 16; ++c) {
      __m128i x = v[c];
      for (size_t b = 8; b-- > 0;) {
        const auto mask = static_cast<uint16_t>(_mm_movemask_epi8(x));
        std::memcpy(bytes + 16 * (8 * c + b) + 2 * group, &mask, 2);
        x = _mm_add_epi8(x, x);
      }
    }
  }
}

#define FLEXROOM_GFNI __attribute__((target("avx512f,avx512bw,avx512vbmi,gfni")))

struct TileIndexes {
  alignas(64) uint8_t gather[2][64];   // from 8 rows of 16 bytes: lane c (+8) = byte c of each row
  alignas(64) uint8_t scatter[2][64];  // from 16 lanes [g][b]: block b (+4) = byte b of each lane
};

constexpr TileIndexes tile_indexes() {
  TileIndexes t{};
  for (size_t half = 0; half < 2; ++half) {
    for (size_t lane = 0; lane < 8; ++lane) {
      for (size_t r = 0; r < 8; ++r) {
        // The affine instruction takes matrix row 0 from the highest byte.
        t.gather[half][8 * lane + (7 - r)] = static_cast<uint8_t>(16 * r + 8 * half + lane);
      }
    }
    for (size_t b = 0; b < 4; ++b) {
      for (size_t g = 0; g < 16; ++g) {
        t.scatter[half][16 * b + g] = static_cast<uint8_t>(8 * g + 4 * half + b);
      }
    }
  }
  return t;
}
constexpr TileIndexes kIndexes = tile_indexes();

FLEXROOM_GFNI inline __m512i load_4_rows(const Block* rows, size_t stride) {
  __m512i v = _mm512_castsi128_si512(rows[0].m());
  v = _mm512_inserti32x4(v, rows[stride].m(), 1);
  v = _mm512_inserti32x4(v, rows[2 * stride].m(), 2);
  return _mm512_inserti32x4(v, rows[3 * stride].m(), 3);
}

// 8 x 8 transposition of 64-bit lanes, in place.
FLEXROOM_GFNI inline void transpose_lanes(__m512i* v) {
  __m512i a[8];
  for (int i = 0; i < 4; ++i) {
    a[2 * i] = _mm512_maskz_unpacklo_epi64(0xff, v[2 * i], v[2 * i + 1]);
    a[2 * i + 1] = _mm512_maskz_unpackhi_epi64(0xff, v[2 * i], v[2 * i + 1]);
  }
  const __m512i low = _mm512_set_epi64(13, 12, 5, 4, 9, 8, 1, 0);
  const __m512i high = _mm512_set_epi64(15, 14, 7, 6, 11, 10, 3, 2);
  __m512i b[8];
  for (int i = 0; i < 2; ++i) {
    for (int k = 0; k < 2; ++k) {
      b[4 * i + k] = _mm512_permutex2var_epi64(a[4 * i + k], low, a[4 * i + k + 2]);
      b[4 * i + k + 2] = _mm512_permutex2var_epi64(a[4 * i + k], high, a[4 * i + k + 2]);
    }
  }
  // b[k] / b[k + 4]: pairs of 128-bit lanes of rows 0..3 / 4..7
  for (int k = 0; k < 4; ++k) {
    v[k] = _mm512_maskz_shuffle_i64x2(0xff, b[k], b[k + 4], 0x44);
    v[k + 4] = _mm512_maskz_shuffle_i64x2(0xff, b[k], b[k + 4], 0xee);
  }
}

FLEXROOM_GFNI void transpose_tile_gfni(const Block* rows, size_t stride, Block* out) {
  const __m512i identity = _mm512_set1_epi64(static_cast<long long>(0x8040201008040201ULL));
  const __m512i gather0 = _mm512_load_si512(kIndexes.gather[0]);
  const __m512i gather1 = _mm512_load_si512(kIndexes.gather[1]);
  const __m512i scatter0 = _mm512_load_si512(kIndexes.scatter[0]);
  const __m512i scatter1 = _mm512_load_si512(kIndexes.scatter[1]);
  __m512i lanes[2][2][8];  // [half of the bytes][half of the row groups][group]: lane = byte
  for (size_t g = 0; g < 16; ++g) {
    const __m512i a = load_4_rows(rows + 8 * g * stride, stride);
    const __m512i b = load_4_rows(rows + (8 * g + 4) * stride, stride);
    lanes[0][g / 8][g % 8] =
        _mm512_gf2p8affine_epi64_epi8(identity, _mm512_permutex2var_epi8(a, gather0, b), 0);
    lanes[1][g / 8][g % 8] =
        _mm512_gf2p8affine_epi64_epi8(identity, _mm512_permutex2var_epi8(a, gather1, b), 0);
  }
  for (size_t half = 0; half < 2; ++half) {
    transpose_lanes(lanes[half][0]);
    transpose_lanes(lanes[half][1]);
    for (size_t c = 0; c < 8; ++c) {
      Block* const eight = out + 64 * half + 8 * c;
      const __m512i a = lanes[half][0][c];
      const __m512i b = lanes[half][1][c];
      _mm512_storeu_si512(eight, _mm512_permutex2var_epi8(a, scatter0, b));
      _mm512_storeu_si512(eight + 4, _mm512_permutex2var_epi8(a, scatter1, b));
    }
  }
}

#undef FLEXROOM_GFNI

}  // namespace

void transpose_128_portable(const Block* rows, size_t row_stride, Block* out, size_t num_tiles) {
  for (size_t tile = 0; tile < num_tiles; ++tile) {
    transpose_tile_sse(rows + tile, row_stride, out + 128 * tile);
  }
}

void transpose_128(const Block* rows, size_t row_stride, Block* out, size_t num_tiles) {
  if (!cpu_features().gfni512) return transpose_128_portable(rows, row_stride, out, num_tiles);
  for (size_t tile = 0; tile < num_tiles; ++tile) {
    transpose_tile_gfni(rows + tile, row_stride, out + 128 * tile);
  }
}

}  // namespace flexroom::math
