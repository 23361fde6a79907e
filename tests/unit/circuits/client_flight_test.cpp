#include "circuits/client_flight.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <random>

#include "base/hash.h"
#include "mpc/program.h"
#include "support/circuit_run.h"
#include "support/program_interpreter.h"
#include "support/round_words.h"

// GC-CF (tls-complete.md §4.2) against HMAC, AES-GCM and ChaCha20-Poly1305 of OpenSSL.

namespace flexroom::circuits {
namespace {

using support::CircuitRun;

Bytes drawn(std::mt19937_64& random, size_t n) {
  Bytes out(n);
  for (uint8_t& byte : out) byte = static_cast<uint8_t>(random());
  return out;
}

Bytes expand(ByteView secret, const std::string& label, uint8_t size) {
  Bytes info = {0, size, static_cast<uint8_t>(6 + label.size())};
  append(info, "tls13 " + label);
  append(info, Bytes{0, 1});
  const Digest all = hmac_sha256(secret, info);
  return Bytes(all.begin(), all.begin() + size);
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

  explicit Flight(std::mt19937_64& random) : c_hs(drawn(random, 32)) {
    const Digest transcript = sha256(drawn(random, 8));
    const Digest mac = hmac_sha256(expand(c_hs, "finished", 32), transcript);
    verify_data.assign(mac.begin(), mac.end());
    words = support::round_word_bits(support::hmac_last_block(transcript));
    text = from_hex("0b0000040000000014000020");
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
  const mpc::Circuit circuit = gc_cf();
  EXPECT_EQ(opened_bits(circuit), 256u + 128 + 8 * 45);  // verify_data, D_h, C: nothing else
  for (int k = 0; k < 3; ++k) {
    const Flight flight(random);
    const Bytes r = drawn(random, 16);
    CircuitRun run(circuit);
    run.set("c_hs", flight.c_hs).set("r_h", r).set_bits("kw_finished", flight.words).run();
    EXPECT_EQ(run.bytes("verify_data"), flight.verify_data);
    const Bytes key = expand(flight.c_hs, "key", 16);
    Bytes iv = expand(flight.c_hs, "iv", 12);
    EXPECT_EQ(run.bytes("c"), encrypted(EVP_aes_128_gcm(), key, iv, flight.text));
    Bytes h = encrypted(EVP_aes_128_ecb(), key, iv, Bytes(16));
    for (size_t t = 0; t < h.size(); ++t) h[t] ^= r[t];
    EXPECT_EQ(run.bytes("d_h"), h);
    append(iv, Bytes{0, 0, 0, 1});
    EXPECT_EQ(run.bytes("j0"), encrypted(EVP_aes_128_ecb(), key, iv, iv));
    if (k != 0) continue;
    EXPECT_EQ(support::interpret(mpc::compile(circuit), run.inputs()), run.outputs());
  }
}

TEST(ClientFlightCircuit, EqualsOpenSslUnderChaCha) {
  std::mt19937_64 random(8);
  for (const size_t n : {2u, 3u}) {
    const mpc::Circuit circuit = chacha_gc_cf(n);
    EXPECT_EQ(opened_bits(circuit), 256u + 130 + 8 * 45);  // verify_data, masked r, C
    const Flight flight(random);
    CircuitRun run(circuit);
    run.set("c_hs", flight.c_hs).set_bits("kw_finished", flight.words);
    for (size_t i = 0; i < n; ++i) run.set("rho_0_" + std::to_string(i), Bytes(17));
    run.run();
    EXPECT_EQ(run.bytes("verify_data"), flight.verify_data);
    const Bytes key = expand(flight.c_hs, "key", 32);
    const Bytes iv = expand(flight.c_hs, "iv", 12);
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
}

}  // namespace
}  // namespace flexroom::circuits
