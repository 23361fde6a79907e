#include "circuits/sigv4.h"

#include <gtest/gtest.h>

#include <random>

#include "circuits/text.h"
#include "support/circuit_run.h"
#include "support/hmac_states.h"
#include "support/round_words.h"

namespace flexroom::circuits {
namespace {

using mpc::Builder;
using mpc::InputKind;
using mpc::OutputKind;
using support::CircuitRun;

Digest hmac_of(ByteView key, std::string_view message) {
  return hmac_sha256(key, as_bytes(message));
}

Sha256State state_from(const Bytes& bytes) {
  Digest digest{};
  std::copy(bytes.begin(), bytes.end(), digest.begin());
  return sha256_state_from(digest);
}

constexpr std::string_view kSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
constexpr std::string_view kStringToSignHead =
    "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\n";
constexpr std::string_view kRequestHash =
    "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59";

/// Runs the derivation circuits level by level, revealing what they open.
struct SigningKey {
  Bytes kin, kout;
  uint32_t num_ands = 0;
};

SigningKey derive_signing_key() {
  SigningKey key;
  const mpc::Circuit secret_states = sigv4_secret_states(kSecret.size());
  const mpc::Circuit derivation = sigv4_derivation();
  CircuitRun first(secret_states);
  first.set("secret", as_bytes(kSecret)).run();
  key = {first.bytes("kin"), first.bytes("kout"), secret_states.num_ands};
  for (const std::string_view part : {"20150830", "us-east-1", "iam", "aws4_request"}) {
    CircuitRun run(derivation);
    const Digest inner = hmac_inner_digest(state_from(key.kin), as_bytes(part));
    run.set("kout", key.kout)
        .set_bits("kw", support::round_word_bits(support::hmac_last_block(inner)))
        .run();
    key = {run.bytes("kin"), run.bytes("kout"), key.num_ands + derivation.num_ands};
  }
  return key;
}

TEST(SigV4Circuit, DerivesTheSigningKeyAndSignsTheDocumentedExample) {
  const SigningKey key = derive_signing_key();
  EXPECT_EQ(key.num_ands, 281134u);
  EXPECT_EQ(sigv4_secret_states(40).num_ands, 43150u);
  EXPECT_EQ(sigv4_derivation(InputKind::kDyn).num_ands, 59496u);

  Digest clear = hmac_of(to_bytes("AWS4" + std::string(kSecret)), "20150830");
  for (const std::string_view part : {"us-east-1", "iam", "aws4_request"}) {
    clear = hmac_of(clear, part);
  }
  EXPECT_EQ(to_hex(clear), "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
  const support::HmacStates states = support::hmac_states(clear);
  EXPECT_EQ(state_from(key.kin), states.inner);
  EXPECT_EQ(state_from(key.kout), states.outer);

  Builder builder;
  builder.add_output("signature", OutputKind::kKeep, [&] {
    const StateWords kout = state_of(builder.add_input("kout_signing", InputKind::kZero, 256));
    const Bits words = builder.add_input("kw_sts", InputKind::kPub, 2048);
    Bits out = bits_of(sigv4_signature(kout, round_words_of(words)));
    for (size_t i = 0; i < out.size(); ++i) {
      if (out[i].is_constant())
        out[i] ^= builder.add_input("zero" + std::to_string(i), InputKind::kPriv, 1)[0];
    }
    return out;
  }());
  EXPECT_EQ(builder.num_ands(), 16504u);
  const mpc::Circuit circuit = builder.finish();
  EXPECT_EQ(circuit.num_ands, 16504u);
  CircuitRun run(circuit);
  const Bytes string_to_sign = to_bytes(std::string(kStringToSignHead) + std::string(kRequestHash));
  const Digest inner = hmac_inner_digest(state_from(key.kin), string_to_sign);
  run.set("kout_signing", key.kout);
  run.set_bits("kw_sts", support::round_word_bits(support::hmac_last_block(inner))).run();
  EXPECT_EQ(to_text(run.bytes("signature")),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
}

TEST(SigV4Circuit, HashesABodyFromItsFirstSecretBlock) {
  std::mt19937_64 random(1);
  const Bytes head = to_bytes(std::string(150, 'a'));
  for (const size_t secret_size : {size_t{1}, size_t{41}, size_t{42}, size_t{100}}) {
    Bytes secret(secret_size), body = head;
    for (uint8_t& byte : secret) byte = static_cast<uint8_t>(random());
    append(body, secret);
    append(body, "&end=1");

    Builder builder;
    Text rest = constant_text(ByteView(head).subspan(128));
    append(rest, text_of(builder.add_input("secret", InputKind::kZero,
                                           static_cast<uint32_t>(8 * secret_size))));
    append(rest, as_bytes("&end=1"));
    const Sha256State state = sha256_absorb(kSha256Initial, ByteView(head).first(128));
    builder.add_output("hash", OutputKind::kOpenAll, bits_of(sha256_of_rest(state, 128, rest)));
    const mpc::Circuit circuit = builder.finish();
    EXPECT_LE(circuit.num_ands, 22573u * ((rest.size() + 9 + 63) / 64));
    CircuitRun run(circuit);
    run.set("secret", secret).run();
    const Digest want = sha256(body);
    EXPECT_EQ(run.bytes("hash"), Bytes(want.begin(), want.end())) << secret_size;
  }
}

}  // namespace
}  // namespace flexroom::circuits
