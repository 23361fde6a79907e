#include "circuits/totp.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <random>

#include "support/circuit_run.h"

// SHA-1 against FIPS 180 and OpenSSL; codes against RFC 6238 and OpenSSL's HMAC.

namespace flexroom::circuits {
namespace {

using mpc::Builder;
using mpc::InputKind;
using mpc::OutputKind;
using support::CircuitRun;

mpc::Circuit totp_circuit(size_t key_bytes) {
  Builder builder;
  const Text key =
      text_of(builder.add_input("key", InputKind::kDyn, static_cast<uint32_t>(8 * key_bytes)));
  const Bits words = builder.add_input("step", InputKind::kPub, kTotpRoundBits);
  const Text code = totp(key, sha1_rounds_of(words));
  Bits digits;
  for (const ByteBits& byte : code) {
    for (size_t b = 4; b < 8; ++b) EXPECT_EQ(byte[b].constant_value(), (0x30 >> b & 1) != 0);
    for (size_t b = 0; b < 4; ++b) digits.push_back(byte[b]);
  }
  builder.add_output("code", OutputKind::kOpenAll, digits);
  return builder.finish();
}

std::string code_of(const mpc::Circuit& circuit, ByteView key, uint64_t step) {
  CircuitRun run(circuit);
  run.set("key", key).set_bits("step", totp_round_bits(step)).run();
  const std::vector<bool>& bits = run.bits("code");
  std::string out;
  for (size_t k = 0; k < kTotpDigits; ++k) {
    int digit = 0;
    for (size_t b = 0; b < 4; ++b) digit |= bits[4 * k + b] << b;
    out += static_cast<char>('0' + digit);
  }
  return out;
}

std::string reference(ByteView key, uint64_t step) {
  uint8_t message[8], hash[EVP_MAX_MD_SIZE];
  for (int k = 0; k < 8; ++k) message[k] = static_cast<uint8_t>(step >> (56 - 8 * k));
  unsigned size = 0;
  HMAC(EVP_sha1(), key.data(), static_cast<int>(key.size()), message, 8, hash, &size);
  const size_t at = hash[19] & 15u;
  const uint32_t value = (uint32_t{hash[at]} << 24 | uint32_t{hash[at + 1]} << 16 |
                          uint32_t{hash[at + 2]} << 8 | hash[at + 3]) &
                         0x7fffffffu;
  return fmt::format("{:06}", value % 1'000'000);
}

TEST(Sha1Circuit, IsSha1AndCostsWhatTheDesignSays) {
  Builder builder;
  Sha1State state;
  const Bits in = builder.add_input("state", InputKind::kDyn, 160);
  for (size_t i = 0; i < in.size(); ++i) state[i / 32][i % 32] = in[i];
  const std::vector<Word> block =
      words_of(text_of(builder.add_input("block", InputKind::kDyn, 512)));
  std::array<Word, 16> words;
  std::copy(block.begin(), block.end(), words.begin());
  const Sha1State out = sha1_compress(state, words);
  builder.add_output("out", OutputKind::kOpenAll, bits_of(text_of(std::span<const Word>(out))));
  const mpc::Circuit circuit = builder.finish();
  EXPECT_EQ(circuit.num_ands, 11215u);  // tls-in-mpc.md §5.3
  Bytes message = to_bytes("abc\x80");
  message.resize(64);
  message[63] = 24;
  std::vector<uint8_t> initial;
  const Sha1State start = sha1_initial();
  for (const Word& word : start) {
    for (size_t b = 0; b < 32; ++b)
      initial.push_back(static_cast<uint8_t>(word.constant_value() >> b & 1));
  }
  CircuitRun run(circuit);
  run.set_bits("state", initial).set("block", message).run();
  EXPECT_EQ(to_hex(run.bytes("out")), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

// RFC 6238, appendix B (SHA-1): the last six of its eight digits.
TEST(TotpCircuit, GivesTheVectorsOfRfc6238) {
  const mpc::Circuit circuit = totp_circuit(20);
  const std::pair<uint64_t, std::string> vectors[] = {
      {59, "287082"},         {1111111109, "081804"}, {1111111111, "050471"},
      {1234567890, "005924"}, {2000000000, "279037"}, {20000000000, "353130"}};
  for (const auto& [seconds, code] : vectors) {
    EXPECT_EQ(code_of(circuit, as_bytes("12345678901234567890"), seconds / 30), code);
  }
}

TEST(TotpCircuit, CostsNoMoreThanTheDesignSays) {
  // The specification counts 44,325 (§5.3); the digits are cheaper here.
  EXPECT_EQ(totp_circuit(20).num_ands, 41537u);
}

TEST(TotpCircuit, EqualsHmacOfOpenSslForKeysOfEveryKindOfLength) {
  std::mt19937_64 random(4);
  for (const size_t size : {1u, 10u, 16u, 20u, 32u, 64u}) {
    const mpc::Circuit circuit = totp_circuit(size);
    for (int repeat = 0; repeat < 20; ++repeat) {
      Bytes key(size);
      for (uint8_t& byte : key) byte = static_cast<uint8_t>(random());
      const uint64_t step = random() >> (random() % 64);
      ASSERT_EQ(code_of(circuit, key, step), reference(key, step));
    }
  }
}

}  // namespace
}  // namespace flexroom::circuits
