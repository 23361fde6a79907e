#include "math/ml_kem.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/ct.h"
#include "base/openssl_ptr.h"
#include "base/prg.h"

namespace flexroom::math {
namespace {

const nlohmann::json& vectors() {
  static const nlohmann::json read = [] {
    std::ifstream in(FLEXROOM_SOURCE_DIR "/tests/vectors/ml-kem-768.json");
    return nlohmann::json::parse(in);
  }();
  return read;
}
Bytes hex(const nlohmann::json& value) { return from_hex(value.get<std::string>()); }
std::string hashed(ByteView bytes) { return to_hex(sha256(bytes)); }
std::string shown(const SecretBytes& secret) { return to_hex(secret.reveal()); }

SecretBytes drawn(Prg& prg, size_t size) {
  SecretBytes out(size);
  prg.fill(out.writable());
  return out;
}

Bytes shake(const char* name, ByteView data, size_t size) {
  Bytes out(size);
  const OpensslPtr<EVP_MD_CTX> context(EVP_MD_CTX_new());
  const EVP_MD* md = EVP_get_digestbyname(name);
  EXPECT_EQ(EVP_DigestInit_ex(context.get(), md, nullptr), 1);
  EXPECT_EQ(EVP_DigestUpdate(context.get(), data.data(), data.size()), 1);
  EXPECT_EQ(EVP_DigestFinalXOF(context.get(), out.data(), out.size()), 1);
  return out;
}

/// J(z || c), what a ciphertext that no encapsulation made is to give.
std::string rejected(const SecretBytes& seed, ByteView ciphertext) {
  Bytes input(seed.reveal().begin() + 32, seed.reveal().end());
  append(input, ciphertext);
  return to_hex(shake("SHAKE256", input, 32));
}

// All that `count` pseudorandom cases give, hashed: ek, ct, k and the k of a random ciphertext.
std::string accumulated(size_t count) {
  constexpr size_t kEach = MlKem768::kSeed + MlKem768::kMessage + MlKem768::kCiphertext;
  const Bytes stream = shake("SHAKE128", {}, count * kEach);
  const OpensslPtr<EVP_MD_CTX> all(EVP_MD_CTX_new());
  EXPECT_EQ(EVP_DigestInit_ex(all.get(), EVP_shake128(), nullptr), 1);
  const auto add = [&](ByteView bytes) {
    EXPECT_EQ(EVP_DigestUpdate(all.get(), bytes.data(), bytes.size()), 1);
  };
  for (size_t k = 0; k < count; ++k) {
    const ByteView one = ByteView(stream).subspan(k * kEach, kEach);
    const MlKemKey key(SecretBytes::copy_of(one.first(MlKem768::kSeed)));
    const auto capsule = ml_kem_encapsulate(
        key.public_key(), SecretBytes::copy_of(one.subspan(MlKem768::kSeed, MlKem768::kMessage)));
    if (!capsule) return "refused";
    EXPECT_EQ(shown(key.decapsulate(capsule->ciphertext)), shown(capsule->shared));
    add(key.public_key());
    add(capsule->ciphertext);
    add(capsule->shared.reveal());
    add(key.decapsulate(one.last(MlKem768::kCiphertext)).reveal());
  }
  Bytes out(32);
  EXPECT_EQ(EVP_DigestFinalXOF(all.get(), out.data(), out.size()), 1);
  return to_hex(out);
}

// The accumulated vectors of the reference implementation, as in CCTV without the expanded key.
TEST(MlKem, Accumulated100) {
  EXPECT_EQ(accumulated(100), "1114b1b6699ed191734fa339376afa7e285c9e6acf6ff0177d346696ce564415");
}
TEST(MlKem, Accumulated10000) {
  EXPECT_EQ(accumulated(10000), "8a518cc63da366322a8e7a818c7a0d63483cb3528d34a4cf42f35d5ad73f22fc");
}

TEST(MlKem, PublishedKeys) {
  for (const auto& c : vectors()["keygen"]) {
    SCOPED_TRACE(c[0].dump());
    EXPECT_EQ(hashed(MlKemKey(SecretBytes(hex(c[1]))).public_key()), c[2]);
  }
}

// Random and altered ciphertexts, one that ends in equal bytes after a zero, matrices that ask for
// more of the XOF or hold extreme entries.
TEST(MlKem, PublishedCiphertexts) {
  for (const auto& c : vectors()["decaps"]) {
    SCOPED_TRACE(c[0].dump());
    const MlKemKey key(SecretBytes(hex(c[1])));
    EXPECT_EQ(hashed(key.public_key()), c[2]);
    EXPECT_EQ(shown(key.decapsulate(hex(c[3]))), c[4]);
  }
}

TEST(MlKem, PublishedEncapsulations) {
  size_t refused = 0;
  for (const auto& c : vectors()["encaps"]) {
    SCOPED_TRACE(c[0].dump());
    const auto capsule = ml_kem_encapsulate(hex(c[1]), SecretBytes(hex(c[2])));
    ASSERT_EQ(capsule.has_value(), c[3] != "");
    if (!capsule && ++refused != 0) continue;
    EXPECT_EQ(hashed(capsule->ciphertext), c[3]);
    EXPECT_EQ(shown(capsule->shared), c[4]);
  }
  EXPECT_GT(refused, 10U);
}

// One polynomial of this key's matrix needs more than 575 bytes of the XOF.
TEST(MlKem, PublishedUnluckyMatrix) {
  const auto& c = vectors()["unlucky"];
  const auto capsule = ml_kem_encapsulate(hex(c[0]), SecretBytes(hex(c[1])));
  ASSERT_TRUE(capsule);
  EXPECT_EQ(hashed(capsule->ciphertext), c[2]);
  EXPECT_EQ(shown(capsule->shared), c[3]);
}

TEST(MlKem, BothSidesAgree) {
  Prg prg(Block(1, 1));
  for (int k = 0; k < 50; ++k) {
    const MlKemKey key(drawn(prg, MlKem768::kSeed));
    ASSERT_EQ(key.public_key().size(), MlKem768::kPublicKey);
    const auto capsule = ml_kem_encapsulate(key.public_key(), drawn(prg, MlKem768::kMessage));
    ASSERT_TRUE(capsule);
    ASSERT_EQ(capsule->ciphertext.size(), MlKem768::kCiphertext);
    EXPECT_EQ(shown(key.decapsulate(capsule->ciphertext)), shown(capsule->shared));
    const MlKemKey other(drawn(prg, MlKem768::kSeed));
    EXPECT_NE(shown(other.decapsulate(capsule->ciphertext)), shown(capsule->shared));
  }
}

TEST(MlKem, EveryAlteredByteIsRejectedImplicitly) {
  Prg prg(Block(1, 2));
  const SecretBytes seed = drawn(prg, MlKem768::kSeed);
  const MlKemKey key(seed);
  const auto capsule = ml_kem_encapsulate(key.public_key(), drawn(prg, MlKem768::kMessage));
  ASSERT_TRUE(capsule);
  for (size_t k = 0; k < MlKem768::kCiphertext; ++k) {
    Bytes altered = capsule->ciphertext;
    altered[k] = static_cast<uint8_t>(altered[k] ^ (1U << (k % 8)));
    EXPECT_EQ(shown(key.decapsulate(altered)), rejected(seed, altered)) << k;
  }
  EXPECT_NE(rejected(seed, capsule->ciphertext), shown(capsule->shared));
}

// Every place, with the least value that is too much and the largest.
TEST(MlKem, KeysWithCoefficientsOutsideTheFieldAreRefused) {
  Prg prg(Block(1, 3));
  const Bytes good = MlKemKey(drawn(prg, MlKem768::kSeed)).public_key();
  const SecretBytes m = drawn(prg, MlKem768::kMessage);
  for (size_t k = 0; k < 768; ++k) {
    for (const unsigned value : {3328U, 3329U, 4095U}) {
      Bytes key = good;
      uint8_t* at = key.data() + k / 2 * 3;
      if (k % 2 == 0) {
        at[0] = static_cast<uint8_t>(value);
        at[1] = static_cast<uint8_t>((at[1] & 0xf0) | value >> 8);
      } else {
        at[1] = static_cast<uint8_t>((at[1] & 0x0f) | (value & 15) << 4);
        at[2] = static_cast<uint8_t>(value >> 4);
      }
      EXPECT_EQ(ml_kem_encapsulate(key, m).has_value(), value == 3328U) << k << ' ' << value;
    }
  }
}

TEST(MlKemDeathTest, OtherLengths) {
  Prg prg(Block(1, 4));
  for (const size_t size : {0, 63, 65}) EXPECT_DEATH(MlKemKey{SecretBytes(size)}, "kSeed");
  const MlKemKey key(drawn(prg, MlKem768::kSeed));
  for (const size_t size : {0, 1087, 1089}) EXPECT_DEATH(key.decapsulate(Bytes(size)), "kCipher");
  const SecretBytes m = drawn(prg, MlKem768::kMessage);
  for (const size_t size : {0, 1183, 1185}) {
    EXPECT_DEATH((void)ml_kem_encapsulate(Bytes(size), m), "kPublicKey");
  }
  for (const size_t size : {0, 31, 33}) {
    EXPECT_DEATH((void)ml_kem_encapsulate(key.public_key(), SecretBytes(size)), "kMessage");
  }
}

// Under valgrind (curve_ct_test.cpp): also whether a ciphertext is the one of the re-encryption
// stays secret.
TEST(ConstantTime, MlKem) {
  Prg prg(Block(1, 5));
  const SecretBytes seed = drawn(prg, MlKem768::kSeed), m = drawn(prg, MlKem768::kMessage);
  mark_secret(seed.reveal().data(), seed.size());
  mark_secret(m.reveal().data(), m.size());
  const MlKemKey key(seed);
  auto capsule = ml_kem_encapsulate(key.public_key(), m);
  ASSERT_TRUE(capsule);
  const SecretBytes same = key.decapsulate(capsule->ciphertext);
  Bytes altered = capsule->ciphertext;
  altered[0] = static_cast<uint8_t>(altered[0] ^ 1);
  const SecretBytes other = key.decapsulate(altered);
  for (const ByteView secret :
       {seed.reveal(), capsule->shared.reveal(), same.reveal(), other.reveal()}) {
    declassify(secret.data(), secret.size());
  }
  EXPECT_EQ(shown(same), shown(capsule->shared));
  EXPECT_EQ(shown(other), rejected(seed, altered));
}

}  // namespace
}  // namespace flexroom::math
