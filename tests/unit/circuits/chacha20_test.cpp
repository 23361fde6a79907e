#include "circuits/chacha20.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <random>

#include "circuits/chacha_records.h"
#include "support/circuit_run.h"

namespace flexroom::circuits {
namespace {

using mpc::Builder;
using mpc::InputKind;
using mpc::OutputKind;
using support::CircuitRun;

Bytes little_endian(uint32_t word) {
  Bytes out;
  for (unsigned shift = 0; shift < 32; shift += 8) {
    out.push_back(static_cast<uint8_t>(word >> shift));
  }
  return out;
}

Bytes openssl_chacha20(const Bytes& key, uint32_t counter, const Bytes& nonce, size_t size = 64) {
  Bytes iv = little_endian(counter);
  iv.insert(iv.end(), nonce.begin(), nonce.end());
  const Bytes zeros(size);
  Bytes out(size);
  int written = 0;
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  EVP_EncryptInit_ex(context, EVP_chacha20(), nullptr, key.data(), iv.data());
  EVP_EncryptUpdate(context, out.data(), &written, zeros.data(), static_cast<int>(size));
  EVP_CIPHER_CTX_free(context);
  return out;
}

Bytes random_bytes(std::mt19937_64& random, size_t size) {
  Bytes out(size);
  for (uint8_t& byte : out) byte = static_cast<uint8_t>(random());
  return out;
}

Word word_of(const Bits& bits) {
  Word out;
  for (size_t i = 0; i < 32; ++i) out[i] = bits[i];
  return out;
}

const Bytes kKey = from_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
const Bytes kNonce = from_hex("000000090000004a00000000");

// Counter `pub`, key and nonce secret: how records that come are decrypted.
TEST(ChaChaCircuit, CostsWhatTheDesignSaysAndEqualsOpenSsl) {
  Builder builder;
  const ChaChaKey key = chacha20_key(text_of(builder.add_input("key", InputKind::kDyn, 256)));
  const ChaChaNonce nonce =
      chacha20_nonce(text_of(builder.add_input("nonce", InputKind::kDyn, 96)));
  const Word counter = word_of(builder.add_input("counter", InputKind::kPub, 32));
  builder.add_output("block", OutputKind::kOpenAll,
                     bits_of(text_of(chacha20_block(key, counter, nonce))));
  const auto circuit = builder.finish();
  EXPECT_EQ(circuit.num_ands, 10'400u);

  // RFC 8439 §2.3.2.
  CircuitRun run(circuit);
  run.set("key", kKey).set("nonce", kNonce).set("counter", little_endian(1)).run();
  EXPECT_EQ(to_hex(run.bytes("block")),
            "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
            "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e");

  std::mt19937_64 random(1);
  for (int i = 0; i < 30; ++i) {
    const Bytes k = random_bytes(random, 32), n = random_bytes(random, 12);
    const auto c = static_cast<uint32_t>(random());
    run.set("key", k).set("nonce", n).set("counter", little_endian(c)).run();
    EXPECT_EQ(run.bytes("block"), openssl_chacha20(k, c, n)) << c;
  }
}

TEST(ChaChaCircuit, ConstantsFold) {
  Builder builder;
  const ChaChaKey key = chacha20_key(text_of(builder.add_input("key", InputKind::kDyn, 256)));
  builder.add_output(
      "block", OutputKind::kOpenAll,
      bits_of(text_of(chacha20_block(key, Word(1), chacha20_nonce(constant_text(kNonce))))));
  const auto circuit = builder.finish();
  EXPECT_EQ(circuit.num_ands, 10'317u);
  CircuitRun run(circuit);
  run.set("key", kKey).run();
  EXPECT_EQ(run.bytes("block"), openssl_chacha20(kKey, 1, kNonce));

  // All of it known: no gate at all.
  const ChaChaBlock known = chacha20_block(chacha20_key(constant_text(kKey)), Word(1),
                                           chacha20_nonce(constant_text(kNonce)));
  EXPECT_EQ(known[0].constant_value(), 0xe4e7f110u);
  EXPECT_EQ(known[15].constant_value(), 0x4e3c50a2u);
}

/// A record circuit with key and iv as inputs, and masks of two members.
mpc::Circuit record_circuit(uint64_t seq, size_t content) {
  Builder builder;
  const ChaChaKey key = chacha20_key(text_of(builder.add_input("key", InputKind::kDyn, 256)));
  const Text iv = text_of(builder.add_input("iv", InputKind::kDyn, 96));
  const Text secret =
      text_of(builder.add_input("content", InputKind::kDyn, static_cast<uint32_t>(8 * content)));
  ChaChaRecordWriter(builder, {key, iv}, 2).add(seq, secret);
  return builder.finish();
}

TEST(ChaChaRecords, NonceIsIvXorSequence) {
  std::mt19937_64 random(2);
  const uint64_t seq = 0x0102030405060708;
  const size_t size = 150;
  const auto circuit = record_circuit(seq, size);
  for (int i = 0; i < 10; ++i) {
    const Bytes key = random_bytes(random, 32), iv = random_bytes(random, 12);
    const Bytes content = random_bytes(random, size);
    Bytes nonce = iv;
    for (size_t k = 0; k < 8; ++k) nonce[4 + k] ^= static_cast<uint8_t>(k + 1);
    Bytes expected = openssl_chacha20(key, 1, nonce, size + 1);
    for (size_t k = 0; k < size; ++k) expected[k] ^= content[k];
    expected[size] ^= 23;
    const std::string name = std::to_string(seq);
    CircuitRun run(circuit);
    run.set("key", key).set("iv", iv).set("content", content).run();
    EXPECT_EQ(run.bytes("c_" + name), expected);
    // Masks are 0 here: r itself, clamped, and s.
    Bytes one_time = openssl_chacha20(key, 0, nonce, 32);
    for (const size_t k : {3, 7, 11, 15}) one_time[k] &= 15;
    for (const size_t k : {4, 8, 12}) one_time[k] &= 252;
    Bytes r(one_time.begin(), one_time.begin() + 16);
    r.push_back(0);
    EXPECT_EQ(run.bytes("r_" + name), r);
    EXPECT_EQ(run.bytes("s_" + name), Bytes(one_time.begin() + 16, one_time.end()));
  }
}

// What a record costs, to the gate. Block 0: no last addition of the counter, of four words of key
// and of three of nonce, no carries into the four bits that the clamp drops of each word of r.
TEST(ChaChaRecords, CostToTheGate) {
  EXPECT_EQ(record_circuit(0, 63).num_ands,
            10'400u - 31 - 4 * 31 - 3 * 31 - 4 * 4 + 2 * 259 + 10'399);
  EXPECT_EQ(record_circuit(0, 127).num_ands, record_circuit(0, 63).num_ands + 10'398);
  EXPECT_EQ(record_circuit(0, 191).num_ands, record_circuit(0, 127).num_ands + 10'399);
}

TEST(ChaChaRecordsDeathTest, ASequenceIsWrittenOnce) {
  Builder builder;
  const ChaChaKey key = chacha20_key(text_of(builder.add_input("key", InputKind::kDyn, 256)));
  ChaChaRecordWriter writer(builder, {key, text_of(builder.add_input("iv", InputKind::kDyn, 96))},
                            2);
  writer.add_tag_key(3);
  EXPECT_DEATH(writer.add_tag_key(3), "");
}

}  // namespace
}  // namespace flexroom::circuits
