#include "arith/rsa_key.h"

#include <gtest/gtest.h>
#include <openssl/bn.h>

#include <memory>

#include "base/error.h"
#include "support/jwe_vectors.h"

namespace flexroom::arith {
namespace {

const Bytes kE = {1, 0, 1};

using Bn = std::unique_ptr<BIGNUM, decltype(&BN_free)>;

Bytes bytes_of(const Bn& v) {
  Bytes out(static_cast<size_t>(BN_num_bytes(v.get())));
  BN_bn2bin(v.get(), out.data());
  return out;
}

/// `factor` times two large primes, with that many bits.
Bytes multiple(uint64_t factor, int bits) {
  const Bn product(BN_new(), BN_free), f(BN_new(), BN_free);
  BN_set_word(f.get(), factor);
  const std::unique_ptr<BN_CTX, decltype(&BN_CTX_free)> c(BN_CTX_new(), BN_CTX_free);
  int rest = bits - BN_num_bits(f.get());
  do {
    const Bn p(BN_new(), BN_free), q(BN_new(), BN_free);
    BN_generate_prime_ex(p.get(), rest / 2, 0, nullptr, nullptr, nullptr);
    BN_generate_prime_ex(q.get(), rest - rest / 2, 0, nullptr, nullptr, nullptr);
    BN_mul(product.get(), p.get(), q.get(), c.get());
    BN_mul(product.get(), product.get(), f.get(), c.get());
    rest += BN_num_bits(product.get()) < bits ? 1 : 0;
  } while (BN_num_bits(product.get()) != bits);
  return bytes_of(product);
}

Bytes modulus(const std::string& id) {
  const auto vectors = support::jwe_vectors(FLEXROOM_SOURCE_DIR);
  return *base64url_decode(vectors["keys"][id]["n"].get<std::string>());
}

std::string refusal(const Bytes& n, const Bytes& e = kE) {
  try {
    RsaPublicKey::checked(n, e);
  } catch (const ProtocolAbort& abort) {
    EXPECT_EQ(abort.code(), AbortCode::kServer);
    return abort.detail();
  }
  return "";
}

TEST(RsaPublicKey, TakesTheThreeSizes) {
  for (const std::string id : {"2048", "3072", "4096"}) {
    const Bytes n = modulus(id);
    const RsaPublicKey key = RsaPublicKey::checked(n, kE);
    EXPECT_EQ(std::to_string(key.bits()), id);
    EXPECT_EQ(key.modulus(), n);
  }
  EXPECT_NE(RsaPublicKey::checked(modulus("2048"), kE).digest(),
            RsaPublicKey::checked(modulus("cases"), kE).digest());
}

TEST(RsaPublicKey, RefusesOtherExponents) {
  for (const Bytes& e :
       {Bytes{3}, Bytes{1, 0, 2}, Bytes{0, 1, 0, 1}, Bytes{1, 0, 1, 0}, Bytes{}, Bytes{17}}) {
    EXPECT_EQ(refusal(modulus("2048"), e), "the exponent is not 65537");
  }
}

TEST(RsaPublicKey, RefusesOtherSizes) {
  const std::string want = "the modulus is not of exactly 2048, 3072 or 4096 bits";
  Bytes n = modulus("2048");
  n[0] &= 0x7f;  // 2047 bits
  n[0] |= 0x40;
  EXPECT_EQ(refusal(n), want);
  EXPECT_EQ(refusal(Bytes(n.begin() + 1, n.end())), want);
  EXPECT_EQ(refusal(multiple(0xfffffffb, 1024)), want);
  EXPECT_EQ(refusal({}), want);
  Bytes padded = {0};
  append(padded, modulus("2048"));
  EXPECT_EQ(refusal(padded), want);
}

TEST(RsaPublicKey, RefusesAnEvenModulus) {
  Bytes n = modulus("2048");
  n.back() &= 0xfe;
  EXPECT_EQ(refusal(n), "the modulus is even");
}

// The bound is 2^20: 1048573 is the last prime below it, 1048583 the first above.
TEST(RsaPublicKey, RefusesFactorsBelowTheBoundAndNoOthers) {
  for (const uint64_t factor : {3ull, 5ull, 65537ull, 1048573ull}) {
    EXPECT_EQ(refusal(multiple(factor, 2048)),
              "the modulus has the small factor " + std::to_string(factor));
  }
  EXPECT_EQ(refusal(multiple(1048573, 3072)), "the modulus has the small factor 1048573");
  EXPECT_EQ(refusal(multiple(1048583, 2048)), "");
}

TEST(RsaPublicKey, InvertsUnitsAlone) {
  const Bytes n = multiple(1048583, 2048);
  const RsaPublicKey key = RsaPublicKey::checked(n, kE);
  EXPECT_FALSE(key.inverse_vartime(Bytes(256)));
  Bytes factor(256);
  factor[255] = 0x07, factor[254] = 0x00, factor[253] = 0x10;  // 1048583
  EXPECT_FALSE(key.inverse_vartime(factor));
  Bytes two(256);
  two[255] = 2;
  const auto half = key.inverse_vartime(two);
  ASSERT_TRUE(half);
  // 2^-1 = (n + 1) / 2
  Bytes want(256);
  unsigned carry = 0;
  Bytes plus_one = n;
  for (size_t k = plus_one.size(); k-- > 0 && ++plus_one[k] == 0;) {
  }
  for (size_t k = 0; k < 256; ++k) {
    want[k] = static_cast<uint8_t>(plus_one[k] >> 1 | carry << 7);
    carry = plus_one[k] & 1;
  }
  EXPECT_EQ(*half, want);
}

}  // namespace
}  // namespace flexroom::arith
