#include "math/gf128.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/prg.h"
#include "support/each_kernel.h"
#include "support/gf_pow.h"

namespace flexroom::math {
namespace {

// From the executable model of the design (shift-and-add arithmetic on Python integers).
const Block kProducts[][3] = {
    {Block{0x5bc8fbbcbde5c099, 0x4164d8399f767c45}, Block{0xd76d4330f1446bea, 0xb0c11fdecb91ce37},
     Block{0xcea941e637a18788, 0x6f0006cd5667c362}},
    {Block{0x87b0b125ec1d7da0, 0xa6eb8c9ebd69fe29}, Block{0xc6a5387777330bdb, 0xd7210dff076ce2ef},
     Block{0x5c7ac0ac09ccbc14, 0xff7dbd8e3bd402fd}},
    {Block{0x0d464138a6233255, 0x3fc1ea36f17fd374}, Block{0x5f2dd97f1cfb10f6, 0x2827688de6a16a3b},
     Block{0x729e488f0a055824, 0xe464123c48ef8257}},
};

// Schoolbook multiplication, bit by bit.
Block slow_mul(const Block& a, const Block& b) {
  Block out;
  Block power = a;
  for (unsigned t = 0; t < 128; ++t) {
    if (b.bit(t)) out ^= power;
    power = gf_mul_x(power);
  }
  return out;
}

TEST(Gf128, ProductsAreThoseOfTheModel) {
  for (const auto& [a, b, product] : kProducts) {
    EXPECT_EQ(gf_mul(a, b), product);
    EXPECT_EQ(slow_mul(a, b), product);
  }
  EXPECT_EQ(gf_mul_x(Block(uint64_t{1} << 63, 0)), Block(0, 0x87));
}

TEST(Gf128, FieldLawsHold) {
  Prg prg(Block(0, 1));
  for (int i = 0; i < 200; ++i) {
    const Block a = prg.next_block(), b = prg.next_block(), c = prg.next_block();
    EXPECT_EQ(gf_mul(a, b), slow_mul(a, b));
    EXPECT_EQ(gf_mul(a, b ^ c), gf_mul(a, b) ^ gf_mul(a, c));
    EXPECT_EQ(gf_mul(gf_mul(a, b), c), gf_mul(a, gf_mul(b, c)));
    EXPECT_EQ(gf_square(a), gf_mul(a, a));
  }
  const Block a = prg.next_block();
  EXPECT_EQ(gf_frobenius(a, 128), a);
  EXPECT_EQ(support::gf_pow(a, 5), gf_mul(gf_frobenius(a, 2), a));
}

TEST(Gf128, InnerProductsOfEveryLengthAreSumsOfProducts) {
  support::with_each_kernel([] {
    Prg prg(Block(0, 2));
    for (size_t m = 0; m < 70; ++m) {
      std::vector<Block> a(m), b(m);
      prg.fill(std::span<Block>(a));
      prg.fill(std::span<Block>(b));
      Block sum;
      for (size_t t = 0; t < m; ++t) sum ^= gf_mul(a[t], b[t]);
      EXPECT_EQ(gf_inner_product(a, b), sum) << m;
    }
  });
}

TEST(Gf128, FrobeniusPackGivesPowersOfThePackedElement) {
  EXPECT_EQ(gf_basis(3)[127], Block(0x5b00000000000000, 0x000100000000012d));
  EXPECT_EQ(gf_basis(7)[100], Block(0xa3b1495e64f704a5, 0x31c35d24110318e5));
  EXPECT_EQ(gf_basis(5)[1], support::gf_pow(Block(0, 2), 32));
  Prg prg(Block(0, 3));
  const Block x = prg.next_block();
  std::vector<Block> bits(128);
  for (unsigned q = 0; q < 128; ++q) bits[q] = Block(0, x.bit(q));
  for (unsigned s = 0; s < 6; ++s) EXPECT_EQ(gf_pack(bits, s), gf_frobenius(x, s));
}

TEST(ChiStream, CombinesBlocksAndBitsUnderTheSameCoefficients) {
  support::with_each_kernel([] {
    Prg prg(Block(0, 4));
    const ChiStream chi(prg.next_block());
    constexpr size_t kCount = 203, kFirst = 17;
    std::vector<Block> coefficients(kCount), blocks(kCount);
    chi.fill(kFirst, coefficients);
    prg.fill(std::span<Block>(blocks));
    GfSum sum;
    chi.accumulate(sum, kFirst, blocks);
    EXPECT_EQ(sum.value(), gf_inner_product(coefficients, blocks));
    Block bits_sum;
    Bytes packed((kCount + 7) / 8);
    for (size_t t = 0; t < kCount; ++t) {
      bits_sum ^= select(blocks[t].lsb(), coefficients[t]);
      packed[t / 8] = static_cast<uint8_t>(packed[t / 8] | (blocks[t].lo & 1) << (t % 8));
    }
    EXPECT_EQ(chi.combine_lsbs(kFirst, blocks), bits_sum);
    EXPECT_EQ(chi.combine_bits(kFirst, packed, kCount), bits_sum);
  });
}

}  // namespace
}  // namespace flexroom::math
