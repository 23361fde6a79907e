#include "circuits/sha512.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "circuits/hmac_hkdf.h"
#include "support/circuit_run.h"
#include "support/hmac_values.h"
#include "tls/key_schedule.h"

namespace flexroom::circuits {
namespace sha512_test {

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

template <typename Words>
Words words_of(const Text& text) {
  Words out;
  const std::vector<Word64> words = words64_of(text);
  std::copy(words.begin(), words.end(), out.begin());
  return out;
}
Text state_text(const Sha512Words& words) { return text_of(std::span<const Word64>(words)); }

mpc::Circuit finish(Builder& builder, const Text& out) {
  builder.add_output("out", OutputKind::kOpenAll, bits_of(out));
  return builder.finish();
}

Bytes bytes_of(const tls::HashValue& value) { return {value.begin(), value.end()}; }

TEST(Sha512Circuit, CompressesSecretBlocksUnderASecretState) {
  Builder builder;
  const Text state = secret_text(builder, "state", 64), block = secret_text(builder, "block", 128);
  const auto circuit = finish(
      builder,
      state_text(sha512_compress(words_of<Sha512Words>(state), words_of<Sha512BlockWords>(block))));
  EXPECT_EQ(circuit.num_ands, 57947u);
  std::mt19937_64 random(1);
  for (int i = 0; i < 4; ++i) {
    const Bytes s = random_bytes(random, 64), b = random_bytes(random, 128);
    CircuitRun run(circuit);
    run.set("state", s).set("block", b).run();
    EXPECT_EQ(run.bytes("out"),
              bytes_of(tls::sha384_kind().compress(tls::HashValue(ByteView(s)), b)));
  }
}

/// SHA-512 as sha384_hash() is made, from its own initial value and with all of its digest.
HashCircuit sha512_hash() {
  HashCircuit out = sha384_hash();
  out.digest_bytes = 64;
  out.initial = [] { return state_text(constant_state(kSha512Initial)); };
  return out;
}

// NIST's cases, all but the first byte of a message secret.
TEST(Sha512Circuit, GivesTheKnownAnswers) {
  std::ifstream in(FLEXROOM_SOURCE_DIR "/tests/vectors/sha512.json");
  ASSERT_TRUE(in);
  size_t done = 0;
  for (const auto& row : nlohmann::json::parse(in)) {
    const HashCircuit hash = row[0] == "sha384" ? sha384_hash() : sha512_hash();
    const Bytes message = from_hex(row[1].get<std::string>());
    const Bytes want = from_hex(row[2].get<std::string>());
    ASSERT_EQ(want.size(), hash.digest_bytes);
    Builder builder;
    Text text = constant_text(ByteView(message).first(std::min<size_t>(1, message.size())));
    append(text, secret_text(builder, "m", message.size() - text.size()));
    const Text out = digest_of(hash, hash_finish(hash, hash.initial(), 0, text));
    ++done;
    if (message.size() <= 1) {
      EXPECT_EQ(builder.num_ands(), 0u);
      for (size_t k = 0; k < out.size(); ++k) {
        for (size_t b = 0; b < 8; ++b)
          EXPECT_EQ(out[k][b].constant_value(), (want[k] >> b & 1) != 0);
      }
      continue;
    }
    const auto circuit = finish(builder, out);
    CircuitRun run(circuit);
    run.set("m", ByteView(message).subspan(1)).run();
    EXPECT_EQ(run.bytes("out"), want) << message.size();
  }
  EXPECT_EQ(done, 16u);
}

// Around the two lengths where the padding takes a block more.
TEST(Sha512Circuit, HashesMessagesOfEveryLength) {
  std::mt19937_64 random(2);
  const HashCircuit& hash = sha384_hash();
  for (const size_t size : {3, 47, 48, 110, 111, 112, 113, 127, 128, 129, 239, 240, 300}) {
    const Bytes message = random_bytes(random, size);
    Builder builder;
    const Text text = secret_text(builder, "m", size);
    const auto circuit =
        finish(builder, digest_of(hash, hash_finish(hash, hash.initial(), 0, text)));
    CircuitRun run(circuit);
    run.set("m", message).run();
    EXPECT_EQ(run.bytes("out"), bytes_of(tls::hash_of(tls::sha384_kind(), message))) << size;
  }
}

TEST(Sha512Circuit, TakesPublicBlocksAsRoundWords) {
  Builder builder;
  const Text state = secret_text(builder, "state", 64);
  const Bits kw = add_round_words(builder, "kw", sha384_hash());
  const auto circuit = finish(builder, sha384_hash().compress_pub(state, kw));
  EXPECT_EQ(circuit.num_ands, 40984u);
  std::mt19937_64 random(3);
  const Bytes s = random_bytes(random, 64), inner = random_bytes(random, 48);
  const tls::HashKind& kind = tls::sha384_kind();
  const Bytes block = tls::last_block(kind, inner, 128);
  std::vector<uint8_t> words;
  for (const uint8_t byte : kind.round_words(block)) {
    for (unsigned b = 0; b < 8; ++b) words.push_back(byte >> b & 1);
  }
  CircuitRun run(circuit);
  run.set("state", s).set_bits("kw", words).run();
  EXPECT_EQ(run.bytes("out"), bytes_of(kind.compress(tls::HashValue(ByteView(s)), block)));
}

// tls-complete.md §3, as written: what a digest does not need of the last state is counted.
TEST(Sha512Circuit, SpecialKindsCostWhatTheDesignSays) {
  const HashCircuit& hash = sha384_hash();
  const auto written = [](auto write) {
    Builder builder;
    (void)write(builder);
    return builder.num_ands();
  };
  EXPECT_EQ(written([&](Builder& b) { return hmac_key(hash, secret_text(b, "k", 48)); }),
            111469u);  // kpad: 55 734.5 on average
  EXPECT_EQ(written([&](Builder& b) {
              return hmac_outer(hash, secret_text(b, "s", 64), secret_text(b, "d", 48));
            }),
            55729u);  // secmsg

  // conststate: the two compressions of HMAC(dES, x), whose key is a constant of TLS 1.3 without
  // PSK.
  const tls::HashKind& kind = tls::sha384_kind();
  const support::HmacValues early = support::hmac_values(kind, tls::derived_early_secret(kind));
  EXPECT_EQ(written([&](Builder& b) {
              return hmac_inner(hash, constant_text(early.inner), secret_text(b, "x", 32));
            }),
            54620u);
  EXPECT_EQ(written([&](Builder& b) {
              return hmac_outer(hash, constant_text(early.outer), secret_text(b, "d", 48));
            }),
            109630u - 54620u);

  const auto constmsg = [&](const Bytes& message) {
    return written([&](Builder& b) {
      return hmac_inner(hash, secret_text(b, "s", 64), constant_text(message));
    });
  };
  const uint32_t derived = constmsg(hkdf_label_message("derived", tls::hash_of(kind, {}), 48));
  const uint32_t zeros = constmsg(Bytes(48)), key = constmsg(hkdf_label_message("key", {}, 32));
  const uint32_t iv = constmsg(hkdf_label_message("iv", {}, 12));
  EXPECT_EQ(derived, 40830u);
  EXPECT_EQ(zeros, 40834u);
  EXPECT_EQ(key, 40822u);
  EXPECT_EQ(iv, 40824u);
  EXPECT_EQ((derived + zeros + key + iv) / 4, 40827u);
}

TEST(HmacSha384Circuit, EqualsOpenSsl) {
  std::mt19937_64 random(4);
  const HashCircuit& hash = sha384_hash();
  for (const size_t key_size : {size_t{1}, size_t{48}, size_t{128}}) {
    for (const size_t size : {size_t{0}, size_t{48}, size_t{111}, size_t{112}, size_t{200}}) {
      Builder builder;
      const Text key = secret_text(builder, "key", key_size);
      const Text message = secret_text(builder, "message", size);
      const auto circuit = finish(builder, hmac(hash, hmac_key(hash, key), message));
      const Bytes k = random_bytes(random, key_size), m = random_bytes(random, size);
      CircuitRun run(circuit);
      run.set("key", k).set("message", m).run();
      EXPECT_EQ(run.bytes("out"), bytes_of(tls::hmac(tls::sha384_kind(), k, m)))
          << key_size << " " << size;
    }
  }
}

}  // namespace sha512_test
}  // namespace flexroom::circuits
