#include "circuits/client_flight.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <random>

#include "mpc/program.h"
#include "support/circuit_run.h"
#include "support/program_interpreter.h"
#include "tls/key_schedule.h"

// GC-CF (tls-complete.md §4.2) against HMAC, AES-GCM and ChaCha20-Poly1305 of OpenSSL.

namespace flexroom::circuits {
namespace {

using support::CircuitRun;

Bytes drawn(std::mt19937_64& random, size_t n) {
  Bytes out(n);
  for (uint8_t& byte : out) byte = static_cast<uint8_t>(random());
  return out;
}

/// A suite with AES-GCM in the clear.
struct Suite {
  const GcmSuite& circuits;
  const tls::HashKind& hash;
  const EVP_MD* (*md)();
  const EVP_CIPHER* (*gcm)();
  const EVP_CIPHER* (*ecb)();
};
const Suite kAes128{aes128_gcm(), tls::sha256_kind(), EVP_sha256, EVP_aes_128_gcm, EVP_aes_128_ecb};
const Suite kAes256{aes256_gcm(), tls::sha384_kind(), EVP_sha384, EVP_aes_256_gcm, EVP_aes_256_ecb};

Bytes mac_of(const Suite& suite, ByteView key, ByteView message) {
  Bytes out(suite.hash.digest_bytes);
  unsigned size = 0;
  HMAC(suite.md(), key.data(), static_cast<int>(key.size()), message.data(), message.size(),
       out.data(), &size);
  EXPECT_EQ(size, out.size());
  return out;
}

Bytes expand(const Suite& suite, ByteView secret, const std::string& label, size_t size) {
  Bytes info = {0, static_cast<uint8_t>(size), static_cast<uint8_t>(6 + label.size())};
  append(info, "tls13 " + label);
  append(info, Bytes{0, 1});
  Bytes out = mac_of(suite, secret, info);
  out.resize(size);
  return out;
}

/// Ciphertext without a tag.
Bytes encrypted(const EVP_CIPHER* cipher, const Bytes& key, const Bytes& iv, const Bytes& text) {
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  Bytes out(text.size() + 64);
  int size = 0;
  EXPECT_EQ(EVP_EncryptInit_ex(context, cipher, nullptr, key.data(), iv.data()), 1);
  EVP_EncryptUpdate(context, out.data(), &size, text.data(), static_cast<int>(text.size()));
  EVP_CIPHER_CTX_free(context);
  out.resize(text.size());
  return out;
}

/// A flight in the clear, and what the circuit is given for it.
struct Flight {
  Bytes c_hs, verify_data, text;
  std::vector<uint8_t> words;

  Flight(const Suite& suite, std::mt19937_64& random)
      : c_hs(drawn(random, suite.hash.digest_bytes)) {
    const size_t size = suite.hash.digest_bytes;
    const Bytes transcript = drawn(random, size);
    verify_data = mac_of(suite, expand(suite, c_hs, "finished", size), transcript);
    for (const uint8_t byte : tls::outer_words(suite.hash, tls::HashValue(transcript))) {
      for (unsigned b = 0; b < 8; ++b) words.push_back(byte >> b & 1);
    }
    text = from_hex("0b00000400000000140000");
    text.push_back(static_cast<uint8_t>(size));
    append(text, verify_data);
    text.push_back(22);
  }
};

/// Bits of what is opened, all of it named here: c_hs, keys and J0 are nowhere in it.
size_t opened_bits(const mpc::Circuit& circuit) {
  size_t out = 0;
  for (const auto& group : circuit.outputs) {
    if (group.kind == mpc::OutputKind::kOpenAll) out += group.wires.size();
  }
  return out;
}

TEST(ClientFlightCircuit, EqualsOpenSsl) {
  std::mt19937_64 random(7);
  for (const Suite* suite : {&kAes128, &kAes256}) {
    const size_t digest = suite->hash.digest_bytes;
    const mpc::Circuit circuit = gc_cf(suite->circuits);
    // verify_data, D_h, C: nothing else
    EXPECT_EQ(opened_bits(circuit), 8 * digest + 128 + 8 * (digest + 13));
    for (int k = 0; k < 3; ++k) {
      const Flight flight(*suite, random);
      const Bytes r = drawn(random, 16);
      CircuitRun run(circuit);
      run.set("c_hs", flight.c_hs).set("r_h", r).set_bits("kw_finished", flight.words).run();
      EXPECT_EQ(run.bytes("verify_data"), flight.verify_data);
      const Bytes key = expand(*suite, flight.c_hs, "key", suite->circuits.key_bytes);
      Bytes iv = expand(*suite, flight.c_hs, "iv", 12);
      EXPECT_EQ(run.bytes("c"), encrypted(suite->gcm(), key, iv, flight.text));
      Bytes h = encrypted(suite->ecb(), key, iv, Bytes(16));
      for (size_t t = 0; t < h.size(); ++t) h[t] ^= r[t];
      EXPECT_EQ(run.bytes("d_h"), h);
      append(iv, Bytes{0, 0, 0, 1});
      EXPECT_EQ(run.bytes("j0"), encrypted(suite->ecb(), key, iv, iv));
      if (k != 0) continue;
      EXPECT_EQ(support::interpret(mpc::compile(circuit), run.inputs()), run.outputs());
    }
  }
}

TEST(ClientFlightCircuit, EqualsOpenSslUnderChaCha) {
  std::mt19937_64 random(8);
  for (const size_t n : {2u, 3u}) {
    const mpc::Circuit circuit = chacha_gc_cf(n);
    EXPECT_EQ(opened_bits(circuit), 256u + 130 + 8 * 45);  // verify_data, masked r, C
    const Flight flight(kAes128, random);
    CircuitRun run(circuit);
    run.set("c_hs", flight.c_hs).set_bits("kw_finished", flight.words);
    for (size_t i = 0; i < n; ++i) run.set("rho_0_" + std::to_string(i), Bytes(17));
    run.run();
    EXPECT_EQ(run.bytes("verify_data"), flight.verify_data);
    const Bytes key = expand(kAes128, flight.c_hs, "key", 32);
    const Bytes iv = expand(kAes128, flight.c_hs, "iv", 12);
    EXPECT_EQ(run.bytes("c_0"), encrypted(EVP_chacha20_poly1305(), key, iv, flight.text));
    Bytes first(4);  // counter 0
    append(first, iv);
    const Bytes block = encrypted(EVP_chacha20(), key, first, Bytes(64));
    EXPECT_EQ(run.bytes("s_0"), Bytes(block.begin() + 16, block.begin() + 32));
    EXPECT_EQ(support::interpret(mpc::compile(circuit), run.inputs()), run.outputs());
  }
}

// tls-complete.md §4.2 says 264 602, less the gates whose outputs nobody uses: 341 of words of key
// and iv, 96 of the last three bytes of keystream.
TEST(ClientFlightCircuit, CostsWhatTheDesignSays) {
  EXPECT_EQ(gc_cf().num_ands, 264602u - 341 - 96);
  EXPECT_EQ(mpc::compile(gc_cf()).num_ands(), gc_cf().num_ands);
  const uint32_t under_chacha = chacha_gc_cf(2).num_ands;
  EXPECT_EQ(chacha_gc_cf(3).num_ands, under_chacha + 259);
  EXPECT_EQ(under_chacha, 258452u);
  // With SHA-384 and AES-256: 4 kpad + 3 constmsg + 4 secmsg + pubmsg of 4.8 there, 6 blocks and a
  // key expansion, less what nobody uses.
  constexpr uint32_t kAsWritten = 4 * 55734u + 3 * 40827 + 4 * 55729 + 40984 + 1664 + 6 * 7168;
  EXPECT_EQ(gc_cf(aes256_gcm()).num_ands, kAsWritten - 1623);
}

}  // namespace
}  // namespace flexroom::circuits
