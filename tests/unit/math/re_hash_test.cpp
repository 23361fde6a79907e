#include "math/re_hash.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/prg.h"
#include "support/each_kernel.h"

namespace flexroom::math {
namespace {

// Values from the executable model of the design, which calls OpenSSL's AES.
TEST(ReHash, ValuesAreThoseOfTheModel) {
  const ReHash first(Block(0x3fd4235992edcf45, 0x1a1afe878b33e968));
  EXPECT_EQ(first.hash(hash_tweak(HashDomain::kGarbling, 1, 2, 77),
                       Block(0x687c966c377b9aa2, 0xbb2edb20035b7399)),
            Block(0x7c0f3dfa73672ac8, 0xddcddb943cfdcd88));
  const ReHash second(Block(0xde11cc9dea959c21, 0x2e9c82b1478c281d));
  EXPECT_EQ(second.hash(hash_tweak(HashDomain::kLeakyAnd, 255, 0, uint64_t{1} << 63),
                        Block(0xc30d8b7628dbd25e, 0x63b229f1c4069545)),
            Block(0x8ffa99d94cc82d15, 0xfadf5d78d7926b73));
}

// Lengths around the widths of the kernels (1 to 16) and of two turns, so that all paths and tails
// are met.
TEST(ReHash, BatchesAreSingleHashesAtEveryLength) {
  support::with_each_kernel([] {
    Prg prg(Block(0, 5));
    const ReHash hash(prg.next_block());
    const Block delta = prg.next_block();
    const uint64_t first = 1000;
    const Block tweak = hash_tweak(HashDomain::kFieldOle, 3, 4, first);
    for (size_t m = 0; m <= 40; ++m) {
      const Block behind(5, 6);  // the last one: never written
      std::vector<Block> x(m), one(m + 1, behind), zero(m + 1, behind), in_place;
      prg.fill(std::span<Block>(x));
      hash.hash2(tweak, x, delta, {zero.data(), m}, {one.data(), m});
      EXPECT_EQ(zero[m], behind);
      EXPECT_EQ(one[m], behind);
      in_place = x;
      hash.hash1(tweak, in_place, in_place);
      for (size_t t = 0; t < m; ++t) {
        const Block consecutive = hash_tweak(HashDomain::kFieldOle, 3, 4, first + t);
        EXPECT_EQ(zero[t], hash.hash(consecutive, x[t])) << m;
        EXPECT_EQ(one[t], hash.hash(consecutive, x[t] ^ delta)) << m;
        EXPECT_EQ(in_place[t], zero[t]) << m;
      }
    }
  });
}

TEST(ReHash, DomainSenderReceiverAndCounterSeparate) {
  const ReHash hash(Block(1, 2));
  const Block x(3, 4);
  const Block base = hash.hash(hash_tweak(HashDomain::kLeakyAnd, 0, 1, 0), x);
  EXPECT_NE(base, hash.hash(hash_tweak(HashDomain::kOtConversion, 0, 1, 0), x));
  EXPECT_NE(base, hash.hash(hash_tweak(HashDomain::kLeakyAnd, 1, 0, 0), x));
  EXPECT_NE(base, hash.hash(hash_tweak(HashDomain::kLeakyAnd, 0, 2, 0), x));
  EXPECT_NE(base, hash.hash(hash_tweak(HashDomain::kLeakyAnd, 0, 1, 1), x));
}

}  // namespace
}  // namespace flexroom::math
