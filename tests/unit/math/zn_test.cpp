// Arithmetic modulo an RSA modulus against OpenSSL's, at the edges of the modulus' range too.
#include "math/zn.h"

#include <gtest/gtest.h>
#include <openssl/bn.h>

#include <memory>

#include "base/ct.h"

namespace flexroom::math {
namespace zn_test {

struct Free {
  void operator()(BIGNUM* p) const { BN_free(p); }
  void operator()(BN_CTX* p) const { BN_CTX_free(p); }
};
using Bn = std::unique_ptr<BIGNUM, Free>;

template <typename Limbs>
Bn bn_of(const Limbs& v) {
  Bytes bytes(8 * v.size());
  for (size_t k = 0; k < bytes.size(); ++k) {
    bytes[bytes.size() - 1 - k] = static_cast<uint8_t>(v[k / 8] >> (8 * (k % 8)));
  }
  return Bn(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
}

template <typename F>
Bytes bytes_of(const F& v) {
  Bytes out;
  v.append_be(out);
  return out;
}

template <typename F>
Bytes bytes_of(const Bn& v) {
  Bytes out(F::kBytes);
  EXPECT_GT(BN_bn2binpad(v.get(), out.data(), static_cast<int>(out.size())), 0);
  return out;
}

template <typename Limbs>
void fill(Limbs& v, Prg& prg) {
  for (uint64_t& limb : v) limb = prg.next_u64();
}

template <typename F>
std::vector<typename F::Integer> moduli() {
  Prg prg(Block(F::kBits, 5));
  std::vector<typename F::Integer> out(4);
  out[0].fill(~uint64_t{0});                          // 2^k - 1
  out[1][0] = 1, out[1][F::kLimbs - 1] = 1ull << 63;  // 2^(k-1) + 1
  for (size_t i : {2u, 3u}) {
    fill(out[i], prg);
    out[i][0] |= 1;
    out[i][F::kLimbs - 1] |= 1ull << 63;
  }
  return out;
}

template <typename F>
class ZnTest : public testing::Test {};
using Rings = testing::Types<Z2048, Z3072, Z4096>;
TYPED_TEST_SUITE(ZnTest, Rings);

TYPED_TEST(ZnTest, AgreesWithOpenssl) {
  using F = TypeParam;
  const std::unique_ptr<BN_CTX, Free> context(BN_CTX_new());
  Prg prg(Block(F::kBits, 6));
  for (const auto& n : moduli<F>()) {
    const ZnModulus<F::kBits> modulus(n);
    const typename F::Scope scope(modulus);
    const Bn bn_n = bn_of(n);
    std::vector<F> values = {F(), F::one(), -F::one(), F::from_u64(65537)};
    for (int i = 0; i < 4; ++i) values.push_back(F::uniform(prg));
    Bn out(BN_new());
    for (const F& a : values) {
      const Bn x = bn_of(a.canonical());
      EXPECT_LT(BN_cmp(x.get(), bn_n.get()), 0);
      for (const F& b : values) {
        const Bn y = bn_of(b.canonical());
        BN_mod_add(out.get(), x.get(), y.get(), bn_n.get(), context.get());
        EXPECT_EQ(bytes_of(a + b), bytes_of<F>(out));
        BN_mod_sub(out.get(), x.get(), y.get(), bn_n.get(), context.get());
        EXPECT_EQ(bytes_of(a - b), bytes_of<F>(out));
        BN_mod_mul(out.get(), x.get(), y.get(), bn_n.get(), context.get());
        EXPECT_EQ(bytes_of(a * b), bytes_of<F>(out));
        EXPECT_EQ(a == b, BN_cmp(x.get(), y.get()) == 0);
      }
      const Bn e(BN_new());
      BN_set_word(e.get(), 65537);
      BN_mod_exp(out.get(), x.get(), e.get(), bn_n.get(), context.get());
      EXPECT_EQ(bytes_of(a.pow_65537()), bytes_of<F>(out));
      EXPECT_TRUE((a + -a).is_zero());
    }
  }
}

TYPED_TEST(ZnTest, ReducesAnyIntegerOfItsWidths) {
  using F = TypeParam;
  const std::unique_ptr<BN_CTX, Free> context(BN_CTX_new());
  Prg prg(Block(F::kBits, 7));
  for (const auto& n : moduli<F>()) {
    const ZnModulus<F::kBits> modulus(n);
    const typename F::Scope scope(modulus);
    const Bn bn_n = bn_of(n);
    Bn out(BN_new()), two_128(BN_new());
    BN_set_bit(two_128.get(), 128);
    for (int i = 0; i < 50; ++i) {
      typename F::Integer v;
      typename F::Wide w;
      std::array<Block, F::kUniformBlocks> blocks;
      fill(v, prg);
      fill(w, prg);
      if (i == 0) v.fill(~uint64_t{0}), w.fill(~uint64_t{0});
      if (i == 1) v = n, w = {};
      for (size_t k = 0; k < blocks.size(); ++k)
        blocks[k].lo = w[2 * k], blocks[k].hi = w[2 * k + 1];
      BN_nnmod(out.get(), bn_of(v).get(), bn_n.get(), context.get());
      EXPECT_EQ(bytes_of(F::from_any(v)), bytes_of<F>(out));
      BN_nnmod(out.get(), bn_of(w).get(), bn_n.get(), context.get());
      EXPECT_EQ(bytes_of(F::from_wide(w)), bytes_of<F>(out));
      // from_uniform is the same integer divided by 2^128.
      const Bn back = bn_of(F::from_uniform(blocks).canonical());
      EXPECT_LT(BN_cmp(back.get(), bn_n.get()), 0);
      Bn product(BN_new());
      BN_mod_mul(product.get(), back.get(), two_128.get(), bn_n.get(), context.get());
      EXPECT_EQ(bytes_of<F>(product), bytes_of<F>(out));
    }
  }
}

TYPED_TEST(ZnTest, ReadsCanonicalBytesAlone) {
  using F = TypeParam;
  Prg prg(Block(F::kBits, 8));
  for (const auto& n : moduli<F>()) {
    const ZnModulus<F::kBits> modulus(n);
    const typename F::Scope scope(modulus);
    const F largest = -F::one();
    Bytes bytes = bytes_of(largest);
    const auto read = [](const Bytes& b) {
      return F::from_bytes_be(std::span<const uint8_t, F::kBytes>(b.data(), F::kBytes));
    };
    EXPECT_EQ(read(bytes), largest);
    bytes.back() = static_cast<uint8_t>(bytes.back() + 1);  // N, which is odd
    EXPECT_FALSE(read(bytes));
    EXPECT_FALSE(read(Bytes(F::kBytes, 0xff)));
    const F v = F::random(prg);
    EXPECT_EQ(read(bytes_of(v)), v);
    EXPECT_EQ(F::select(1, v, largest), v);
    EXPECT_EQ(F::select(0, v, largest), largest);
  }
}

TEST(Zn, ScopesNest) {
  const auto n = moduli<Z2048>();
  const ZnModulus<2048> outer(n[2]), inner(n[3]);
  const Z2048::Scope scope(outer);
  {
    const Z2048::Scope other(inner);
    EXPECT_EQ(Z2048::modulus(), n[3]);
  }
  EXPECT_EQ(Z2048::modulus(), n[2]);
}

TEST(ZnDeathTest, OutsideOfAScopeNothingIsComputed) { EXPECT_DEATH(Z2048() + Z2048(), ""); }

TEST(ConstantTime, Zn) {
  const auto n = moduli<Z2048>();
  const ZnModulus<2048> modulus(n[3]);
  const Z2048::Scope scope(modulus);
  Prg prg(Block(1, 9));
  Z2048 a = Z2048::random(prg), b = Z2048::random(prg);
  Z2048::Wide w;
  fill(w, prg);
  const Z2048 a_public = a, b_public = b;
  mark_secret(&a, sizeof(a));
  mark_secret(&b, sizeof(b));
  mark_secret(&w, sizeof(w));
  Z2048 c = (a * b + a - b).doubled() + Z2048::from_wide(w) + Z2048::from_any(a.canonical());
  c = Z2048::select(a.canonical()[0] & 1, c, -c);
  c = c.pow_65537();
  std::array<uint8_t, 256> bytes;
  c.to_bytes_be(bytes);
  declassify(&c, sizeof(c));
  declassify(&a, sizeof(a));
  declassify(&b, sizeof(b));
  EXPECT_TRUE(a == a_public && b == b_public);
}

}  // namespace zn_test
}  // namespace flexroom::math
