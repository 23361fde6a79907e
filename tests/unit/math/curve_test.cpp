// Prime fields and both curves against OpenSSL, against published vectors and against each other
// (the constant-time multiplication and the variable-time one share no formula).
#include "math/curve.h"

#include <gtest/gtest.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace flexroom::math {
namespace {

struct BnFree {
  void operator()(BIGNUM* p) const { BN_free(p); }
};
using Bn = std::unique_ptr<BIGNUM, BnFree>;

void store_be(const U256& a, std::span<uint8_t, 32> out) {
  for (size_t i = 0; i < 4; ++i) {
    for (size_t b = 0; b < 8; ++b) {
      out[31 - 8 * i - b] = static_cast<uint8_t>(a[i] >> (8 * b));
    }
  }
}

Bn to_bn(const U256& v) {
  std::array<uint8_t, 32> bytes;
  store_be(v, bytes);
  return Bn(BN_bin2bn(bytes.data(), 32, nullptr));
}

U256 from_bn(const BIGNUM* v) {
  std::array<uint8_t, 32> bytes;
  BN_bn2binpad(v, bytes.data(), 32);
  return load_be(bytes);
}

template <typename F>
class FieldTest : public testing::Test {};
using Fields = testing::Types<F25519, FP256, Q25519, QP256>;
TYPED_TEST_SUITE(FieldTest, Fields);

TYPED_TEST(FieldTest, AgreesWithOpenSsl) {
  using F = TypeParam;
  Prg prg(Block(1, 2));
  std::unique_ptr<BN_CTX, decltype(&BN_CTX_free)> ctx(BN_CTX_new(), BN_CTX_free);
  const Bn p = to_bn(F::kModulus);
  Bn r(BN_new());
  std::vector<F> values;
  for (uint64_t v : {0, 1, 2, 19, 38}) {
    values.push_back(F::from_u64(v));
    values.push_back(-F::from_u64(v));
  }
  for (int i = 0; i < 20; ++i) values.push_back(F::random(prg));
  for (const F& a : values) {
    const Bn x = to_bn(a.canonical());
    for (const F& b : values) {
      const Bn y = to_bn(b.canonical());
      BN_mod_add(r.get(), x.get(), y.get(), p.get(), ctx.get());
      EXPECT_EQ((a + b).canonical(), from_bn(r.get()));
      BN_mod_sub(r.get(), x.get(), y.get(), p.get(), ctx.get());
      EXPECT_EQ((a - b).canonical(), from_bn(r.get()));
      BN_mod_mul(r.get(), x.get(), y.get(), p.get(), ctx.get());
      EXPECT_EQ((a * b).canonical(), from_bn(r.get()));
      EXPECT_EQ(a == b, BN_cmp(x.get(), y.get()) == 0);
    }
    if (!a.is_zero()) {
      BN_mod_inverse(r.get(), x.get(), p.get(), ctx.get());
      EXPECT_EQ(a.inverse().canonical(), from_bn(r.get()));
    }
  }
  EXPECT_TRUE(F().inverse().is_zero());
}

TYPED_TEST(FieldTest, WideReductionAndCanonicalBytes) {
  using F = TypeParam;
  Prg prg(Block(3, 4));
  std::unique_ptr<BN_CTX, decltype(&BN_CTX_free)> ctx(BN_CTX_new(), BN_CTX_free);
  const Bn p = to_bn(F::kModulus);
  for (int i = 0; i < 50; ++i) {
    std::array<uint8_t, 48> wide;  // big-endian
    prg.fill(std::span<uint8_t>(wide));
    if (i == 0) wide.fill(0xff);
    const Bn v(BN_bin2bn(wide.data(), 48, nullptr));
    Bn r(BN_new());
    BN_nnmod(r.get(), v.get(), p.get(), ctx.get());
    std::array<uint8_t, 32> high{};
    std::copy_n(wide.begin(), 16, high.begin() + 16);
    const U256 h = load_be(high);
    const U256 low = load_be(std::span<const uint8_t, 48>(wide).last<32>());
    const F a = F::from_wide(low, h[0], h[1]);
    EXPECT_EQ(a.canonical(), from_bn(r.get()));
    Bytes bytes;
    a.append_be(bytes);
    EXPECT_TRUE(F::from_bytes_be(std::span<const uint8_t, 32>(bytes)) == a);
  }
  std::array<uint8_t, 32> modulus;
  store_be(F::kModulus, modulus);
  EXPECT_FALSE(F::from_bytes_be(modulus));
  modulus[31] -= 1;  // p - 1; odd p, no borrow
  EXPECT_TRUE(F::from_bytes_be(modulus));
  modulus.fill(0xff);
  EXPECT_FALSE(F::from_bytes_be(modulus));
}

template <typename G>
class CurveTest : public testing::Test {};
using Groups = testing::Types<X25519Group, P256Group>;
TYPED_TEST_SUITE(CurveTest, Groups);

TYPED_TEST(CurveTest, MultiplicationsAgreeAndAreLinear) {
  using G = TypeParam;
  using Q = typename G::Scalar;
  Prg prg(Block(5, 6));
  const auto g = generator<G>();
  EXPECT_TRUE(on_curve<G>(g));
  EXPECT_TRUE(in_prime_subgroup_vartime<G>(g));
  auto base = g;
  for (int i = 0; i < 10; ++i) {
    const Q a = Q::random_nonzero(prg);
    const Q b = Q::random_nonzero(prg);
    const auto pa = multiply<G>(a, base);
    EXPECT_TRUE(on_curve<G>(pa));
    EXPECT_TRUE(pa == multiply_vartime<G>(a.canonical(), base));
    EXPECT_TRUE(add_points<G>(pa, multiply<G>(b, base)) == multiply<G>(a + b, base));
    base = pa;
  }
  for (uint64_t k = 0; k < 40; ++k) {
    EXPECT_TRUE(multiply<G>(Q::from_u64(k), g) == multiply_vartime<G>({k, 0, 0, 0}, g));
    EXPECT_TRUE(multiply<G>(-Q::from_u64(k), g) == negate<G>(multiply<G>(Q::from_u64(k), g)));
  }
  EXPECT_TRUE(multiply<G>(Q(), g).infinity);
  EXPECT_TRUE(add_points<G>(g, negate<G>(g)).infinity);
  EXPECT_TRUE(add_points<G>(g, g) == multiply<G>(Q::from_u64(2), g));
}

TYPED_TEST(CurveTest, PointEncodingIsStrict) {
  using G = TypeParam;
  Bytes bytes;
  append_point<G>(bytes, generator<G>());
  EXPECT_TRUE(parse_point<G>(std::span<const uint8_t, 64>(bytes)));
  for (size_t b = 0; b < 64; ++b) {
    bytes[b] ^= 1;
    EXPECT_FALSE(parse_point<G>(std::span<const uint8_t, 64>(bytes))) << b;
    bytes[b] ^= 1;
  }
}

TEST(P256, AgreesWithOpenSsl) {
  std::unique_ptr<EC_GROUP, decltype(&EC_GROUP_free)> group(
      EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1), EC_GROUP_free);
  std::unique_ptr<EC_POINT, decltype(&EC_POINT_free)> point(EC_POINT_new(group.get()),
                                                            EC_POINT_free);
  Prg prg(Block(7, 8));
  for (int i = 0; i < 20; ++i) {
    const QP256 k = i == 0 ? -QP256::one() : QP256::random_nonzero(prg);
    EC_POINT_mul(group.get(), point.get(), to_bn(k.canonical()).get(), nullptr, nullptr, nullptr);
    Bytes want(65);
    EC_POINT_point2oct(group.get(), point.get(), POINT_CONVERSION_UNCOMPRESSED, want.data(), 65,
                       nullptr);
    EXPECT_EQ(encode_share<P256Group>(multiply<P256Group>(k, generator<P256Group>())), want);
  }
}

// tls-in-mpc.md §8 attack 11.
TEST(P256, RefusesBadShares) {
  const Bytes good = encode_share<P256Group>(generator<P256Group>());
  EXPECT_TRUE(decode_share<P256Group>(good));
  for (const int form : {0, 2, 3, 5, 6, 7}) {  // infinity, compressed, hybrid
    Bytes bad = good;
    bad[0] = static_cast<uint8_t>(form);
    EXPECT_FALSE(decode_share<P256Group>(bad)) << form;
  }
  Bytes compressed(good.begin(), good.begin() + 33);
  compressed[0] = 3;
  EXPECT_FALSE(decode_share<P256Group>(compressed));
  EXPECT_FALSE(decode_share<P256Group>(Bytes{0}));
  EXPECT_FALSE(decode_share<P256Group>(Bytes{}));
  Bytes off = good;
  off[64] ^= 1;
  EXPECT_FALSE(decode_share<P256Group>(off));
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_FALSE(decode_share<P256Group>(longer));
}

std::array<uint8_t, 32> little_endian(const U256& v) {
  std::array<uint8_t, 32> out;
  store_be(v, out);
  std::reverse(out.begin(), out.end());
  return out;
}

TEST(X25519, RefusesLowOrderAndTwistSharesInEveryEncoding) {
  const auto nine = decode_share<X25519Group>(little_endian({9, 0, 0, 0}));
  ASSERT_TRUE(nine.has_value());
  const U256 p = Modulus25519::kValue;
  const U256 order8a = load_be(std::span<const uint8_t, 32>(
      from_hex("00b8495f16056286fdb1329ceb8d09da6ac49ff1fae35616aeb8413b7c7aebe0")));
  const U256 order8b = load_be(std::span<const uint8_t, 32>(
      from_hex("57119fd0dd4e22d8868e1c58c45c44045bef839c55b1d0b1248c50a3bc959c5f")));
  const std::vector<U256> bad = {
      {0, 0, 0, 0},
      {1, 0, 0, 0},
      order8a,
      order8b,
      {p[0] - 1, p[1], p[2], p[3]},
      p,                             // 0
      {p[0] + 1, p[1], p[2], p[3]},  // 1
      {p[0] + 2, p[1], p[2], p[3]},  // 2
      {2, 0, 0, 0},                  // twist
  };
  const uint64_t top = uint64_t{1} << 63;
  for (size_t i = 0; i < bad.size(); ++i) {
    EXPECT_FALSE(decode_share<X25519Group>(little_endian(bad[i]))) << i;
    EXPECT_FALSE(decode_share<X25519Group>(
        little_endian({bad[i][0], bad[i][1], bad[i][2], bad[i][3] | top})))
        << i;
  }
  // RFC 7748 §5: the top bit is masked, u is taken mod p.
  for (const U256& share : {U256{9, 0, 0, top}, U256{p[0] + 9, p[1], p[2], p[3]},
                            U256{p[0] + 9, p[1], p[2], p[3] | top}}) {
    const auto point = decode_share<X25519Group>(little_endian(share));
    ASSERT_TRUE(point.has_value());
    EXPECT_EQ(encode_share<X25519Group>(*point), encode_share<X25519Group>(*nine));
  }
  // A point of the curve with a component of order 2: prime part times the point (0,0).
  const X25519Group::Point torsion{F25519(), F25519(), false};
  EXPECT_TRUE(on_curve<X25519Group>(torsion));
  EXPECT_FALSE(in_prime_subgroup_vartime<X25519Group>(torsion));
  const auto mixed = add_points<X25519Group>(generator<X25519Group>(), torsion);
  EXPECT_FALSE(decode_share<X25519Group>(encode_share<X25519Group>(mixed)));
  EXPECT_FALSE(decode_share<X25519Group>(Bytes(31)));
  EXPECT_FALSE(decode_share<X25519Group>(Bytes(33)));
}

TEST(X25519, LiftIsEven) {
  Prg prg(Block(9, 10));
  int lifted = 0;
  for (int i = 0; i < 40; ++i) {
    const auto p = lift_even_vartime(F25519::random(prg));
    if (!p) continue;
    ++lifted;
    EXPECT_TRUE(on_curve<X25519Group>(*p));
    EXPECT_EQ(p->y.canonical()[0] & 1, 0u);
  }
  EXPECT_GT(lifted, 5);
  EXPECT_LT(lifted, 35);
}

/// A case of tests/vectors: id, public, private, shared, valid.
struct EcdhCase {
  int id;
  Bytes share, secret, shared;
  bool valid;
};

std::vector<EcdhCase> wycheproof(const std::string& name) {
  std::ifstream in(std::string(FLEXROOM_SOURCE_DIR "/tests/vectors/") + name);
  std::vector<EcdhCase> out;
  for (const auto& row : nlohmann::json::parse(in)) {
    out.push_back({row[0], from_hex(row[1].get<std::string>()), from_hex(row[2].get<std::string>()),
                   from_hex(row[3].get<std::string>()), row[4]});
  }
  return out;
}

/// A 256-bit big-endian integer mod q.
template <typename Q>
Q scalar(ByteView big_endian) {
  Q r;
  const Q base = Q::from_u64(256);
  for (const uint8_t byte : big_endian) r = r * base + Q::from_u64(byte);
  return r;
}

TEST(X25519, Wycheproof) {
  int accepted = 0;
  int refused = 0;
  int on_the_curve = 0;
  for (const EcdhCase& test : wycheproof("x25519.json")) {
    const Bytes& share = test.share;
    const Bytes& want = test.shared;
    Bytes k = test.secret;
    k[0] &= 248;
    k[31] = static_cast<uint8_t>((k[31] & 127) | 64);
    std::reverse(k.begin(), k.end());
    // Every canonical point of the curve, torsion or not, through the general multiplication.
    const auto u = F25519::from_bytes_le(std::span<const uint8_t, 32>(share));
    const auto lifted = u ? lift_even_vartime(*u) : std::nullopt;
    if (lifted) {
      const auto p =
          multiply_vartime<X25519Group>(load_be(std::span<const uint8_t, 32>(k)), *lifted);
      EXPECT_EQ(p.infinity ? Bytes(32) : encode_share<X25519Group>(p), want) << test.id;
      ++on_the_curve;
    }
    const auto s = decode_share<X25519Group>(share);
    if (!s) {
      // Only what an honest server never sends: twist, not in the prime subgroup.
      EXPECT_TRUE(!lifted || !in_prime_subgroup_vartime<X25519Group>(*lifted)) << test.id;
      ++refused;
      continue;
    }
    EXPECT_EQ(encode_share<X25519Group>(multiply<X25519Group>(scalar<Q25519>(k), *s)), want)
        << test.id;
    ++accepted;
  }
  EXPECT_GT(on_the_curve, 200);
  EXPECT_GT(accepted, 15);
  EXPECT_GT(refused, 50);
}

// RFC 7748 §5: a receiver of X25519 masks the most significant bit of the final byte. The keys are
// those of §6.1; Bob's share arrives with that bit set.
TEST(X25519, TheHighBitOfAServerShareIsMasked) {
  Bytes k = from_hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
  k[0] &= 248;
  k[31] = static_cast<uint8_t>((k[31] & 127) | 64);
  std::reverse(k.begin(), k.end());
  Bytes share = from_hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  share[31] |= 0x80;
  const auto bob = decode_share<X25519Group>(share);
  ASSERT_TRUE(bob.has_value());
  EXPECT_EQ(encode_share<X25519Group>(multiply<X25519Group>(scalar<Q25519>(k), *bob)),
            from_hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"));
}

TEST(P256, Wycheproof) {
  int accepted = 0;
  int refused = 0;
  for (const EcdhCase& test : wycheproof("ecdh-p256.json")) {
    const auto s = decode_share<P256Group>(test.share);
    if (!s) {
      EXPECT_FALSE(test.valid) << test.id;
      ++refused;
      continue;
    }
    EXPECT_TRUE(test.valid) << test.id;
    const auto k = scalar<QP256>(test.secret);
    Bytes x;
    multiply<P256Group>(k, *s).x.append_be(x);
    EXPECT_EQ(x, test.shared) << test.id;
    ++accepted;
  }
  EXPECT_GT(accepted, 50);
  EXPECT_GT(refused, 5);
}

}  // namespace
}  // namespace flexroom::math
