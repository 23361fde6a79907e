#include "circuits/aes128.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <random>

#include "support/circuit_run.h"

namespace flexroom::circuits {
namespace {

using mpc::Builder;
using mpc::InputKind;
using mpc::OutputKind;
using support::CircuitRun;

Bytes openssl_aes128(const Bytes& key, const Bytes& in) {
  Bytes out(32);
  int size = 0;
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  EVP_EncryptInit_ex(context, EVP_aes_128_ecb(), nullptr, key.data(), nullptr);
  EVP_EncryptUpdate(context, out.data(), &size, in.data(), 16);
  EVP_CIPHER_CTX_free(context);
  out.resize(16);
  return out;
}

/// The S-box by its definition: inverse in GF(2^8), then the affine map (FIPS 197 §5.1.1).
uint8_t sbox_by_definition(uint8_t v) {
  const auto multiply = [](uint32_t a, uint32_t b) {
    uint32_t product = 0;
    for (; b != 0; b >>= 1, a = a << 1 ^ ((a & 0x80) != 0 ? 0x11b : 0)) {
      if ((b & 1) != 0) product ^= a;
    }
    return product & 0xff;
  };
  uint32_t inverse = 1;
  for (int i = 0; i < 254; ++i) inverse = multiply(inverse, v);
  uint32_t out = 0x63;
  for (int shift = 0; shift < 5; ++shift) out ^= inverse << shift | inverse >> (8 - shift);
  return static_cast<uint8_t>(out);
}

TEST(AesCircuit, SboxIsRightForEveryByte) {
  Builder builder;
  const Text in = text_of(builder.add_input("in", InputKind::kZero, 8));
  builder.add_output("out", OutputKind::kOpenAll, bits_of(Text{aes_sbox(in[0])}));
  const auto circuit = builder.finish();
  EXPECT_EQ(circuit.num_ands, 32u);
  for (unsigned v = 0; v < 256; ++v) {
    CircuitRun run(circuit);
    run.set("in", Bytes{static_cast<uint8_t>(v)}).run();
    EXPECT_EQ(run.bytes("out")[0], sbox_by_definition(static_cast<uint8_t>(v))) << v;
  }
}

TEST(AesCircuit, EqualsOpenSslAndCostsWhatTheDesignSays) {
  Builder builder;
  const Text key = text_of(builder.add_input("key", InputKind::kZero, 128));
  const Text in = text_of(builder.add_input("in", InputKind::kZero, 128));
  const AesRoundKeys keys = aes128_expand_key(block_of(key));
  EXPECT_EQ(builder.num_ands(), 1280u);
  const AesBlock out = aes128_encrypt(round_keys_of(bits_of(keys)), block_of(in));
  EXPECT_EQ(builder.num_ands(), 1280u + 5120u);
  builder.add_output("out", OutputKind::kOpenAll, bits_of(text_of(out)));
  const auto circuit = builder.finish();
  EXPECT_EQ(circuit.num_ands, 6400u);
  std::mt19937_64 random(1);
  for (int i = 0; i < 50; ++i) {
    Bytes k(16), m(16);
    for (uint8_t& byte : k) byte = static_cast<uint8_t>(random());
    for (uint8_t& byte : m) byte = static_cast<uint8_t>(random());
    CircuitRun run(circuit);
    run.set("key", k).set("in", m).run();
    EXPECT_EQ(run.bytes("out"), openssl_aes128(k, m));
  }
}

TEST(AesCircuit, PartialBlocksSaveSboxesOfTheLastRounds) {
  Builder builder;
  const Text key = text_of(builder.add_input("key", InputKind::kZero, 1408));
  const AesBlock out = aes128_encrypt(round_keys_of(bits_of(key)), constant_block({}));
  builder.add_output("out", OutputKind::kOpenAll, bits_of(Text{out[3]}));
  // One byte needs one S-box of round 10 and the four of one column of round 9.
  EXPECT_EQ(builder.finish().num_ands, 5120u - (15 + 12) * 32);
}

}  // namespace
}  // namespace flexroom::circuits
