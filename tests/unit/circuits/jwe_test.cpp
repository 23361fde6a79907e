// The circuits of a JWE (tls-in-mpc.md §5.9) against published and independent values; what the
// engine adds is in tests/unit/agent/jwe_attempt_test.cpp.
#include "circuits/jwe.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include <random>

#include "circuits/aes256.h"
#include "circuits/sha1.h"
#include "mpc/builder.h"
#include "support/circuit_run.h"
#include "support/jwe_vectors.h"

namespace flexroom::circuits {
namespace jwe_test {

using mpc::Builder;
using mpc::InputKind;
using mpc::OutputKind;
using support::CircuitRun;

Bytes random_bytes(std::mt19937_64& random, size_t n) {
  Bytes out(n);
  for (uint8_t& byte : out) byte = static_cast<uint8_t>(random());
  return out;
}

Text secret_text(Builder& builder, std::string_view name, size_t bytes) {
  return text_of(builder.add_input(name, InputKind::kZero, static_cast<uint32_t>(8 * bytes)));
}

/// AES of one block, by OpenSSL.
Bytes aes(const Bytes& key, const Bytes& in) {
  EVP_CIPHER_CTX* c = EVP_CIPHER_CTX_new();
  Bytes out(16);
  int n = 0;
  EVP_EncryptInit_ex(c, key.size() == 32 ? EVP_aes_256_ecb() : EVP_aes_128_ecb(), nullptr,
                     key.data(), nullptr);
  EVP_CIPHER_CTX_set_padding(c, 0);
  EVP_EncryptUpdate(c, out.data(), &n, in.data(), 16);
  EVP_CIPHER_CTX_free(c);
  return out;
}

TEST(Aes256Circuit, EncryptsAsOpensslDoes) {
  Builder builder;
  const Text key = secret_text(builder, "key", 32), in = secret_text(builder, "in", 16);
  const AesRoundKeys keys = aes256_expand_key(key);
  EXPECT_EQ(builder.num_ands(), 1664u);
  builder.add_output("out", OutputKind::kOpenAll,
                     bits_of(text_of(aes_encrypt(keys, block_of(in)))));
  const auto circuit = builder.finish();
  EXPECT_EQ(circuit.num_ands, 1664u + 7168u);
  // FIPS 197 Appendix C.3.
  CircuitRun fips(circuit);
  fips.set("key", from_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"))
      .set("in", from_hex("00112233445566778899aabbccddeeff"))
      .run();
  EXPECT_EQ(to_hex(fips.bytes("out")), "8ea2b7ca516745bfeafc49904b496089");
  std::mt19937_64 random(3);
  for (int i = 0; i < 20; ++i) {
    const Bytes k = random_bytes(random, 32), block = random_bytes(random, 16);
    CircuitRun run(circuit);
    run.set("key", k).set("in", block).run();
    EXPECT_EQ(run.bytes("out"), aes(k, block));
  }
}

TEST(AddMod, ReducesOnceAndCostsThreeAndsABit) {
  constexpr size_t kBits = 16;
  Builder builder;
  const Bits a = builder.add_input("a", InputKind::kZero, kBits);
  const Bits b = builder.add_input("b", InputKind::kZero, kBits);
  const Bits minus = builder.add_input("minus_modulus", InputKind::kPub, kBits + 1);
  builder.add_output("sum", OutputKind::kOpenAll, add_mod(a, b, minus));
  const auto circuit = builder.finish();
  EXPECT_EQ(circuit.num_ands, 3 * kBits + 1);
  std::mt19937_64 random(4);
  const auto bits = [](uint64_t v, size_t count) {
    std::vector<uint8_t> out;
    for (size_t t = 0; t < count; ++t) out.push_back(v >> t & 1);
    return out;
  };
  for (int i = 0; i < 2000; ++i) {
    const uint64_t n = (random() % 0x8000) | 0x8001;
    const bool edge = i % 4 == 0;
    const uint64_t x = edge ? n - 1 : random() % n;
    const uint64_t y = edge ? (i % 8 == 0 ? n - 1 : 1) : random() % n;
    CircuitRun run(circuit);
    run.set_bits("a", bits(x, kBits)).set_bits("b", bits(y, kBits));
    run.set_bits("minus_modulus", bits((uint64_t{1} << (kBits + 1)) - n, kBits + 1)).run();
    uint64_t sum = 0;
    for (size_t t = 0; t < kBits; ++t) sum |= uint64_t{run.bits("sum")[t]} << t;
    EXPECT_EQ(sum, (x + y) % n) << n;
  }
}

/// 2^(l+1) - N, as bits.
std::vector<uint8_t> negated(const Bytes& modulus) {
  std::vector<uint8_t> bits;
  unsigned carry = 1;
  for (size_t t = 0; t <= 8 * modulus.size(); ++t) {
    const unsigned bit =
        t / 8 < modulus.size() ? modulus[modulus.size() - 1 - t / 8] >> (t % 8) & 1u : 0u;
    const unsigned sum = (bit ^ 1) + carry;
    bits.push_back(static_cast<uint8_t>(sum & 1));
    carry = sum >> 1;
  }
  return bits;
}

JweShape shape_of(const nlohmann::json& one) {
  JweShape shape;
  shape.hash = one["alg"] == "RSA-OAEP" ? OaepHash::kSha1 : OaepHash::kSha256;
  shape.cek_bytes = one["enc"] == "A128GCM" ? 16 : 32;
  shape.secret_bytes = one["secret"].get<std::string>().size();
  return shape;
}

/// Runs both circuits on a case; returns the compact JWE with its tag taken from the case, after
/// the hash key and the tag's key stream were compared with OpenSSL's AES.
std::string run_case(const nlohmann::json& keys, const nlohmann::json& one) {
  const Bytes modulus =
      *base64url_decode(keys[one["key"].get<std::string>()]["n"].get<std::string>());
  const Bytes cek = from_hex(one["cek"].get<std::string>());
  const Bytes iv = from_hex(one["iv"].get<std::string>());
  JweShape shape = shape_of(one);
  shape.modulus_bytes = modulus.size();
  const auto circuit = jwe_encryption(shape);
  CircuitRun run(circuit);
  const std::string secret = one["secret"];
  run.set("cek", cek).set("seed", from_hex(one["seed"].get<std::string>()));
  run.set("secret", as_bytes(secret)).set("iv", iv);
  run.set_bits("minus_modulus", negated(modulus)).run();  // masks and R are zero
  Bytes block = run.bytes("c");
  std::reverse(block.begin(), block.end());
  EXPECT_EQ(run.bytes("d"), aes(cek, Bytes(16)));
  Bytes j0 = iv;
  append(j0, Bytes{0, 0, 0, 1});
  EXPECT_EQ(run.bytes("j0"), aes(cek, j0));

  const std::string jwe = one["jwe"];
  const auto text = jwe_text(shape.secret_bytes);
  CircuitRun tail(text.circuit);
  tail.set("ciphertext", run.bytes("ciphertext"));
  tail.set("tag", *base64url_decode(jwe.substr(jwe.rfind('.') + 1))).run();
  Bytes characters = text.public_text;
  for (size_t t = 0; t < text.secret_bits.size(); ++t) {
    const uint32_t at = text.secret_bits[t];
    characters[at / 8] |= static_cast<uint8_t>(tail.bits("chars")[t] << (at % 8));
  }
  return base64url_encode(as_bytes(one["header"].get<std::string>())) + "." +
         base64url_encode(support::rsa_power(block, modulus)) + "." + base64url_encode(iv) + "." +
         to_text(characters);
}

TEST(JweCircuit, MakesExactlyTheJwesOfOtherLibraries) {
  const auto vectors = support::jwe_vectors(FLEXROOM_SOURCE_DIR);
  ASSERT_EQ(vectors["cases"].size(), 30u);
  for (const auto& one : vectors["cases"]) {
    const std::string made = run_case(vectors["keys"], one);
    const support::JweService service(
        vectors["keys"][one["key"].get<std::string>()]["private_pem"]);
    if (one.contains("never")) {  // OAEP with SHA-256 and MGF1 with SHA-1
      EXPECT_NE(made, one["jwe"]) << one["name"];
      EXPECT_FALSE(service.open(one["jwe"])) << one["name"];
    } else {
      EXPECT_EQ(made, one["jwe"]) << one["name"];
      EXPECT_EQ(service.open(made), one["secret"].get<std::string>()) << one["name"];
    }
  }
}

// Masks of the parties, the largest ones too, and R only move what is opened.
TEST(JweCircuit, OpensTheBlockUnderTheSumOfTheMasks) {
  const auto vectors = support::jwe_vectors(FLEXROOM_SOURCE_DIR);
  const auto& one = vectors["cases"][0];
  JweShape shape = shape_of(one);
  shape.num_parties = 3;
  const Bytes modulus = *base64url_decode(vectors["keys"]["2048"]["n"].get<std::string>());
  const auto circuit = jwe_encryption(shape);
  Bytes largest(modulus.rbegin(), modulus.rend());
  largest[0] -= 1;  // N - 1, least significant byte first; N is odd
  const auto opened = [&](const Bytes& m0, const Bytes& m1, const Bytes& m2, const Bytes& r) {
    CircuitRun run(circuit);
    run.set("cek", from_hex(one["cek"].get<std::string>()));
    run.set("seed", from_hex(one["seed"].get<std::string>()));
    run.set("mask_0", m0).set("mask_1", m1).set("mask_2", m2).set("r", r);
    run.set_bits("minus_modulus", negated(modulus)).run();
    return std::make_pair(run.bytes("c"), run.bytes("d"));
  };
  const Bytes zero(256);
  Bytes unit = zero;
  unit[0] = 1;
  const auto plain = opened(zero, zero, zero, Bytes(16));
  EXPECT_EQ(opened(largest, unit, zero, Bytes(16)).first, plain.first);
  Bytes less = plain.first;
  for (size_t k = 0; less[k]-- == 0; ++k) {
  }
  EXPECT_EQ(opened(zero, largest, zero, Bytes(16)).first, less);
  EXPECT_EQ(opened(zero, unit, largest, Bytes(16, 0xff)).first, plain.first);
  Bytes flipped = plain.second;
  for (uint8_t& byte : flipped) byte ^= 0xff;
  EXPECT_EQ(opened(zero, zero, zero, Bytes(16, 0xff)).second, flipped);
}

// With the text below, 281 458 for two members: tls-in-mpc.md §5.9(6) counts 283 599.
TEST(JweCircuit, Sizes) {
  const auto ands = [](OaepHash hash, size_t cek, size_t modulus, size_t n, size_t secret) {
    return jwe_encryption({hash, cek, modulus, n, secret}).num_ands;
  };
  EXPECT_EQ(ands(OaepHash::kSha256, 32, 256, 2, 24), 280610u);
  EXPECT_EQ(ands(OaepHash::kSha256, 16, 256, 2, 24), 272034u);
  EXPECT_EQ(ands(OaepHash::kSha1, 32, 256, 2, 24), 212889u);
  EXPECT_EQ(ands(OaepHash::kSha1, 16, 256, 2, 24), 204313u);
  EXPECT_EQ(ands(OaepHash::kSha256, 32, 256, 3, 24), 286755u);
  EXPECT_EQ(ands(OaepHash::kSha256, 32, 384, 2, 24), 417215u);
  EXPECT_EQ(ands(OaepHash::kSha256, 32, 512, 2, 24), 553840u);
  const auto encoding = [](OaepHash hash) {
    Builder builder;
    const Text seed = secret_text(builder, "seed", oaep_hash_bytes(hash));
    const Text cek = secret_text(builder, "cek", 32);
    Text out = oaep_encode(hash, 256, seed, cek);
    out.erase(out.begin());  // constant
    builder.add_output("em", OutputKind::kKeep, bits_of(out));
    return builder.finish().num_ands;
  };
  EXPECT_EQ(encoding(OaepHash::kSha256), 238240u);
  EXPECT_EQ(encoding(OaepHash::kSha1), 170519u);
  EXPECT_EQ(jwe_text(24).circuit.num_ands, 848u);
}

TEST(Sha1Circuit, CompressesAsOpensslDoes) {
  Builder builder;
  const std::vector<Word> words = words_of(secret_text(builder, "block", 64));
  const std::vector<Word> state = words_of(secret_text(builder, "state", 20));
  std::array<Word, 16> block;
  std::copy(words.begin(), words.end(), block.begin());
  Sha1State in;
  std::copy(state.begin(), state.end(), in.begin());
  builder.add_output("out", OutputKind::kOpenAll,
                     bits_of(text_of(std::span<const Word>(sha1_compress(in, block)))));
  const auto circuit = builder.finish();
  EXPECT_EQ(circuit.num_ands, 11215u);
  std::mt19937_64 random(5);
  for (int i = 0; i < 10; ++i) {
    const Bytes message = random_bytes(random, 64), s = random_bytes(random, 20);
    SHA_CTX c{};
    const auto word = [&](size_t k) {
      return uint32_t{s[4 * k]} << 24 | uint32_t{s[4 * k + 1]} << 16 | uint32_t{s[4 * k + 2]} << 8 |
             s[4 * k + 3];
    };
    c.h0 = word(0), c.h1 = word(1), c.h2 = word(2), c.h3 = word(3), c.h4 = word(4);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    SHA1_Transform(&c, message.data());
#pragma GCC diagnostic pop
    Bytes want;
    for (const uint32_t v : {c.h0, c.h1, c.h2, c.h3, c.h4}) {
      for (int shift = 24; shift >= 0; shift -= 8) want.push_back(static_cast<uint8_t>(v >> shift));
    }
    CircuitRun run(circuit);
    run.set("block", message).set("state", s).run();
    EXPECT_EQ(run.bytes("out"), want);
  }
}

}  // namespace jwe_test
}  // namespace flexroom::circuits
