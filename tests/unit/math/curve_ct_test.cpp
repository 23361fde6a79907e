// tls-in-mpc.md §8, attack 37: nothing that touches a secret scalar or field element branches or
// indexes on it. The assertions here are trivial; under
//   valgrind --error-exitcode=1 unit_math --gtest_filter=ConstantTime.*
// every dependence of a branch or an address on the marked memory is an error.
#include <gtest/gtest.h>

#include "base/ct.h"
#include "math/curve.h"

namespace flexroom::math {
namespace {

template <typename G>
void multiply_secret() {
  using F = typename G::Field;
  using Q = typename G::Scalar;
  Prg prg(Block(1, 1));
  // Tables that are made at first use are public.
  const auto warm = multiply<G>(Q::from_u64(3), generator<G>());
  ASSERT_TRUE(on_curve<G>(warm));

  Q k = Q::random_nonzero(prg);
  mark_secret(&k, sizeof(k));
  auto p = multiply<G>(k, generator<G>());
  declassify(&p, sizeof(p));
  declassify(&k, sizeof(k));
  EXPECT_TRUE(p == multiply_vartime<G>(k.canonical(), generator<G>()));

  F a = F::random(prg);
  F b = F::random(prg);
  mark_secret(&a, sizeof(a));
  mark_secret(&b, sizeof(b));
  F c = (a * b + a - b) * a.inverse();
  c = F::select(a.canonical()[0] & 1, c, -c);
  std::array<uint8_t, 32> bytes;
  c.to_bytes_be(bytes);
  declassify(&a, sizeof(a));
  declassify(&b, sizeof(b));
  declassify(&c, sizeof(c));
  EXPECT_FALSE(c.is_zero() && a.is_zero());
}

TEST(ConstantTime, FieldOfPoly1305) {
  using F = FPoly1305;
  Prg prg(Block(1, 2));
  F a = F::uniform(prg), b = F::random(prg);
  mark_secret(&a, sizeof(a));
  mark_secret(&b, sizeof(b));
  F c = F::select(a.canonical()[0] & 1, a * b + a, a - b);
  std::array<uint8_t, F::kBytes> bytes;
  c.to_bytes_be(bytes);
  declassify(&a, sizeof(a));
  declassify(&c, sizeof(c));
  declassify(bytes.data(), bytes.size());
  EXPECT_TRUE(*F::from_bytes_be(bytes) == c);
}

TEST(ConstantTime, X25519) { multiply_secret<X25519Group>(); }
TEST(ConstantTime, P256) { multiply_secret<P256Group>(); }

}  // namespace
}  // namespace flexroom::math
