#include "math/bit_matrix.h"

#include <gtest/gtest.h>

#include "base/prg.h"
#include "support/each_kernel.h"

namespace flexroom::math {
namespace {

TEST(BitMatrix, TransposesEveryTileAtAnyStride) {
  support::with_each_kernel([] {
    Prg prg(Block(0, 6));
    for (const size_t tiles : {1, 2, 5}) {
      const size_t stride = tiles + 2;
      BlockVec rows(128 * stride), columns(128 * tiles), other(128 * tiles);
      prg.fill(rows.span());
      transpose_128(rows.data(), stride, columns.data(), tiles);
      transpose_128_portable(rows.data(), stride, other.data(), tiles);
      for (size_t tile = 0; tile < tiles; ++tile) {
        for (unsigned c = 0; c < 128; ++c) {
          for (unsigned r = 0; r < 128; ++r) {
            const bool expected = rows[r * stride + tile].bit(c);
            ASSERT_EQ(columns[128 * tile + c].bit(r), expected);
            ASSERT_EQ(other[128 * tile + c].bit(r), expected);
          }
        }
      }
    }
  });
}

}  // namespace
}  // namespace flexroom::math
