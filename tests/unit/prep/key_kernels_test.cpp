#include "prep/key_kernels.h"

#include <gtest/gtest.h>

#include "base/prg.h"
#include "ot/leaf_expander.h"

// The kernels of a masked batch against their formulas, bit by bit (engine-v2.md §2.5).

namespace flexroom::prep {
namespace key_kernels_test {

class KeyKernels : public ::testing::TestWithParam<size_t /* K */> {
 protected:
  BlockVec random_blocks(size_t count) {
    BlockVec out(count);
    prg_.fill(out.span());
    return out;
  }
  Bytes random_words(size_t items) {
    Bytes out(items * bits_ / 8);
    prg_.fill(std::span<uint8_t>(out));
    return out;
  }
  bool h_bit(const Bytes& h, size_t t, size_t q) const {
    return (h[t * bits_ / 8 + q / 8] >> (q % 8) & 1) != 0;
  }

  const size_t bits_ = GetParam();
  Prg prg_ = Prg(Block(3, GetParam()));
};
INSTANTIATE_TEST_SUITE_P(Sizes, KeyKernels, ::testing::Values(64, 128));

TEST_P(KeyKernels, StringsAreTheColumnsOfTheRows) {
  // Blocks below, at and above a chunk, odd and even; columns that end inside a block.
  for (const size_t items : {1u, 127u, 128u, 129u, 300u, 4096u, 4097u, 9000u}) {
    const size_t blocks = (items + 127) / 128;
    const BlockVec rows = random_blocks(bits_ * blocks);
    const auto strings = strings_of_key_rows(rows, bits_, items);
    ASSERT_EQ(strings.size(), items * bits_ / 64);
    for (size_t t = 0; t < items; ++t) {
      const size_t block = t / 128, chunk = block / ot::kChunkBlocks * ot::kChunkBlocks;
      const size_t length = std::min(ot::kChunkBlocks, blocks - chunk);
      for (size_t q = 0; q < bits_; ++q) {
        const bool expected =
            rows[bits_ * chunk + q * length + block - chunk].bit(static_cast<unsigned>(t % 128));
        ASSERT_EQ((strings[t * bits_ / 64 + q / 64] >> (q % 64) & 1) != 0, expected)
            << items << " " << t << " " << q;
      }
    }
  }
}

TEST_P(KeyKernels, ParitiesAreInnerProducts) {
  constexpr size_t kItems = 77;
  const Bytes h = random_words(kItems);
  math::SecretVector<uint64_t> psi(kItems * bits_ / 64);
  for (uint64_t& word : psi) word = prg_.next_u64();
  Bytes out((kItems + 7) / 8, 0);
  out[2] = 0x5a;  // added to what is there
  add_parities(psi, h, kItems, out);
  for (size_t t = 0; t < kItems; ++t) {
    bool expected = t / 8 == 2 && (0x5a >> (t % 8) & 1) != 0;
    for (size_t q = 0; q < bits_; ++q) {
      expected ^= h_bit(h, t, q) && (psi[t * bits_ / 64 + q / 64] >> (q % 64) & 1) != 0;
    }
    ASSERT_EQ((out[t / 8] >> (t % 8) & 1) != 0, expected) << t;
  }
}

TEST_P(KeyKernels, MasksAreSumsOfKeyBlocks) {
  constexpr size_t kItems = 33;
  const Bytes h = random_words(kItems);
  const BlockVec key = random_blocks(bits_), before = random_blocks(kItems);
  BlockVec after = before.clone();
  add_masks(after, key.span(), h);
  for (size_t t = 0; t < kItems; ++t) {
    Block expected = before[t];
    for (size_t q = 0; q < bits_; ++q) expected ^= select(h_bit(h, t, q), key[q]);
    ASSERT_EQ(after[t], expected) << t;
  }
}

TEST_P(KeyKernels, SumsAreThoseOfTheWeightsUnderTheirBits) {
  constexpr size_t kItems = 50, kFirstRun = 19;
  const Bytes h = random_words(kItems);
  const BlockVec weights = random_blocks(kItems);
  MaskedSums sums(bits_);
  sums.add(0, weights.span().first(kFirstRun), h);
  sums.add(kFirstRun, weights.span().subspan(kFirstRun), h);
  const BlockVec values = sums.values();
  ASSERT_EQ(values.size(), bits_);
  for (size_t q = 0; q < bits_; ++q) {
    Block expected;
    for (size_t t = 0; t < kItems; ++t) expected ^= select(h_bit(h, t, q), weights[t]);
    ASSERT_EQ(values[q], expected) << q;
  }
}

}  // namespace key_kernels_test
}  // namespace flexroom::prep
