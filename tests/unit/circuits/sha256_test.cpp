#include "circuits/sha256.h"

#include <gtest/gtest.h>

#include <random>

#include "circuits/hmac_hkdf.h"
#include "support/circuit_run.h"
#include "support/hmac_states.h"
#include "support/round_words.h"

namespace flexroom::circuits {
namespace sha256_test {

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

BlockWords block_words(const Text& text) {
  BlockWords out;
  const auto words = words_of(text);
  std::copy(words.begin(), words.end(), out.begin());
  return out;
}

Digest digest_of(const CircuitRun& run) {
  Digest out{};
  const Bytes bytes = run.bytes("out");
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

mpc::Circuit finish(Builder& builder, const StateWords& out) {
  builder.add_output("out", OutputKind::kOpenAll, bits_of(out));
  return builder.finish();
}

TEST(Sha256Circuit, CompressesSecretBlocksUnderASecretState) {
  Builder builder;
  const Text state = secret_text(builder, "state", 32), block = secret_text(builder, "block", 64);
  const auto circuit = finish(builder, sha256_compress(state_of(state), block_words(block)));
  EXPECT_EQ(circuit.num_ands, 22573u);
  std::mt19937_64 random(1);
  for (int i = 0; i < 20; ++i) {
    const Bytes s = random_bytes(random, 32), b = random_bytes(random, 64);
    Digest state_bytes;
    std::copy(s.begin(), s.end(), state_bytes.begin());
    Sha256BlockBytes block_bytes;
    std::copy(b.begin(), b.end(), block_bytes.begin());
    CircuitRun run(circuit);
    run.set("state", s).set("block", b).run();
    EXPECT_EQ(digest_of(run), sha256_state_bytes(flexroom::sha256_compress(
                                  sha256_state_from(state_bytes), block_bytes)));
  }
}

TEST(Sha256Circuit, HashesMessagesOfEveryLength) {
  std::mt19937_64 random(2);
  for (size_t size = 0; size < 200; size = size < 60 ? size + 1 : size + 17) {
    const Bytes message = random_bytes(random, size);
    // All but the first byte secret; the rest folds where it can.
    Builder builder;
    Text text = constant_text(ByteView(message).first(std::min<size_t>(1, size)));
    append(text, secret_text(builder, "m", size - text.size()));
    const StateWords out = sha256_finish(sha256_initial(), 0, text);
    if (size <= 1) {
      EXPECT_EQ(builder.num_ands(), 0u);
      Digest digest;
      for (size_t k = 0; k < 8; ++k) {
        for (size_t b = 0; b < 4; ++b) {
          digest[4 * k + b] = static_cast<uint8_t>(out[k].constant_value() >> (24 - 8 * b));
        }
      }
      EXPECT_EQ(digest, sha256(message));
      continue;
    }
    const auto circuit = finish(builder, out);
    CircuitRun run(circuit);
    run.set("m", ByteView(message).subspan(1)).run();
    EXPECT_EQ(digest_of(run), sha256(message)) << size;
  }
}

TEST(Sha256Circuit, TakesPublicBlocksAsRoundWords) {
  Builder builder;
  const Text state = secret_text(builder, "state", 32);
  const Bits kw = builder.add_input("kw", InputKind::kPub, 2048);
  const auto circuit = finish(builder, sha256_compress_pub(state_of(state), round_words_of(kw)));
  EXPECT_EQ(circuit.num_ands, 16248u);
  std::mt19937_64 random(3);
  const Bytes key = random_bytes(random, 64);
  const Digest inner = sha256(key);
  CircuitRun run(circuit);
  const support::HmacStates states = support::hmac_states(key);
  run.set("state", sha256_state_bytes(states.outer));
  run.set_bits("kw", support::round_word_bits(support::hmac_last_block(inner))).run();
  EXPECT_EQ(digest_of(run), flexroom::sha256_finish(states.outer, 64, inner));
}

// tls-in-mpc.md §3.4 and boolean-engine.md §13. What folds depends on the value of a constant; the
// design's figures for constant blocks are means over the blocks that occur, these are each.
TEST(Sha256Circuit, SpecialKindsCostWhatTheDesignSays) {
  const auto count = [](auto write) {
    Builder builder;
    builder.add_output("out", OutputKind::kOpenAll, bits_of(write(builder)));
    return builder.finish().num_ands;
  };
  EXPECT_EQ(count([](Builder& b) {
              return sha256_compress(sha256_initial(), block_words(secret_text(b, "m", 64)));
            }),
            22204u);  // boolean-engine.md §13 has 22 355, with another order of additions
  const auto inner_pad = [](Builder& b) {
    return hmac_key(sha256_hash(), secret_text(b, "k", 32)).inner;
  };
  const auto outer_pad = [](Builder& b) {
    return hmac_key(sha256_hash(), secret_text(b, "k", 32)).outer;
  };
  EXPECT_EQ(count(inner_pad) + count(outer_pad), 2 * 21624u);  // kpad
  EXPECT_EQ(count([](Builder& b) {
              return hmac_outer(sha256_hash(), secret_text(b, "s", 32), secret_text(b, "d", 32));
            }),
            21649u);  // secmsg

  // conststate: the two compressions of HMAC(dES, x), whose key is a constant of TLS 1.3 without
  // PSK (RFC 8448's "derived" secret).
  const Bytes derived_secret =
      from_hex("6f2615a108c702c5678f54fc9dbab69716c076189c48250cebeac3576c3611ba");
  const support::HmacStates constant = support::hmac_states(derived_secret);
  const auto words = [](const Sha256State& state) {
    return constant_text(sha256_state_bytes(state));
  };
  EXPECT_EQ(count([&](Builder& b) {
              return hmac_inner(sha256_hash(), words(constant.inner), secret_text(b, "x", 32));
            }) + count([&](Builder& b) {
              return hmac_outer(sha256_hash(), words(constant.outer), secret_text(b, "d", 32));
            }),
            2 * 21282u);

  const auto constmsg = [&](const Bytes& message) {
    return count([&](Builder& b) {
      return hmac_inner(sha256_hash(), secret_text(b, "s", 32), constant_text(message));
    });
  };
  const uint32_t derived = constmsg(hkdf_label_message("derived", sha256({}), 32));
  const uint32_t zeros = constmsg(Bytes(32)), key = constmsg(hkdf_label_message("key", {}, 16));
  const uint32_t iv = constmsg(hkdf_label_message("iv", {}, 12));
  EXPECT_EQ(derived, 16106u);
  EXPECT_EQ(zeros, 16122u);
  EXPECT_EQ(key, 16115u);
  EXPECT_EQ(iv, 16125u);
  EXPECT_EQ(derived + zeros + key + iv, 4 * 16117u);
}

TEST(HmacCircuit, EqualsOpenSsl) {
  std::mt19937_64 random(4);
  for (const size_t key_size : {size_t{1}, size_t{32}, size_t{44}, size_t{64}}) {
    for (const size_t size : {size_t{0}, size_t{32}, size_t{55}, size_t{56}, size_t{100}}) {
      Builder builder;
      const Text key = secret_text(builder, "key", key_size);
      const Text message = secret_text(builder, "message", size);
      const auto circuit =
          finish(builder, state_of(hmac(sha256_hash(), hmac_key(sha256_hash(), key), message)));
      const Bytes k = random_bytes(random, key_size), m = random_bytes(random, size);
      CircuitRun run(circuit);
      run.set("key", k).set("message", m).run();
      EXPECT_EQ(digest_of(run), hmac_sha256(k, m)) << key_size << " " << size;
    }
  }
}

}  // namespace sha256_test
}  // namespace flexroom::circuits
