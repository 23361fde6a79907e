#include <gtest/gtest.h>
#include <openssl/bn.h>

#include <memory>

#include "math/fp.h"

// Arithmetic modulo 2^130 - 5 against OpenSSL's integers.

namespace flexroom::math {
namespace {

using F = FPoly1305;
using Number = std::unique_ptr<BIGNUM, decltype(&BN_free)>;
using Encoded = std::array<uint8_t, F::kBytes>;

Encoded encode(const F& v) {
  Encoded out;
  v.to_bytes_be(out);
  return out;
}
Number number(const F& v) {
  const Encoded bytes = encode(v);
  return {BN_bin2bn(bytes.data(), F::kBytes, nullptr), BN_free};
}
F element(const Number& n) {
  Encoded bytes;
  BN_bn2binpad(n.get(), bytes.data(), F::kBytes);
  return F::from_bytes_be(bytes).value();
}

TEST(FieldOfPoly1305, EqualsBigIntegersAlsoAtTheEdges) {
  EXPECT_EQ(F::kBytes, 17u);
  BIGNUM* hex = nullptr;
  BN_hex2bn(&hex, "3FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFB");
  const Number p(hex, BN_free);
  const std::unique_ptr<BN_CTX, decltype(&BN_CTX_free)> ctx(BN_CTX_new(), BN_CTX_free);
  Prg prg(Block(13, 5));
  std::vector<F> values = {F(),
                           F::one(),
                           -F::one(),
                           F::from_u64(5),
                           -F::from_u64(5),
                           F::from_reduced({0, 0, 1, 0}),
                           F::from_reduced({0, 0, 2, 0})};
  for (int k = 0; k < 30; ++k) values.push_back(F::uniform(prg));
  for (const F& a : values) {
    EXPECT_TRUE(BN_cmp(number(a).get(), p.get()) < 0);
    EXPECT_TRUE(element(number(a)) == a);
    EXPECT_TRUE(a.is_zero() || a * a.inverse() == F::one());
    for (const F& b : values) {
      Number out(BN_new(), BN_free);
      BN_mod_mul(out.get(), number(a).get(), number(b).get(), p.get(), ctx.get());
      EXPECT_TRUE(element(out) == a * b);
      BN_mod_add(out.get(), number(a).get(), number(b).get(), p.get(), ctx.get());
      EXPECT_TRUE(element(out) == a + b);
      BN_mod_sub(out.get(), number(a).get(), number(b).get(), p.get(), ctx.get());
      EXPECT_TRUE(element(out) == a - b);
    }
  }
}

TEST(FieldOfPoly1305, OnlyCanonicalEncodingsAreRead) {
  Encoded bytes = encode(-F::one());  // p - 1
  EXPECT_EQ(bytes[0], 3);
  EXPECT_TRUE(F::from_bytes_be(bytes).has_value());
  for (unsigned more = 1; more <= 5; ++more) {  // p .. 2^130 - 1
    Encoded beyond = bytes;
    beyond.back() = static_cast<uint8_t>(beyond.back() + more);
    EXPECT_FALSE(F::from_bytes_be(beyond).has_value()) << more;
  }
  bytes[0] = 4;
  EXPECT_FALSE(F::from_bytes_be(bytes).has_value());
}

// 384 bits as pads and coefficients are made of, and any 256.
TEST(FieldOfPoly1305, WideIntegersAreReduced) {
  EXPECT_TRUE(F::from_any(F::kModulus).is_zero());
  F expected = F::one();
  for (int t = 0; t < 256; ++t) expected = expected.doubled();
  EXPECT_TRUE(F::from_wide({0, 0, 0, 0}, 1, 0) == expected);
  EXPECT_TRUE(F::from_wide({7, 0, 0, 0}, 1, 0) == expected + F::from_u64(7));
}

}  // namespace
}  // namespace flexroom::math
