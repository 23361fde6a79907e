#include "circuits/sigv4.h"

#include "base/error.h"
#include "circuits/text.h"

namespace flexroom::circuits {
namespace {

using mpc::Builder;
using mpc::InputKind;
using mpc::OutputKind;

void add_states(Builder& builder, const HmacKeyText& key) {
  builder.add_output("kin", OutputKind::kOpenAll, bits_of(key.inner));
  builder.add_output("kout", OutputKind::kKeep, bits_of(key.outer));
}

}  // namespace

mpc::Circuit sigv4_secret_states(size_t secret_bytes) {
  FLEXROOM_ASSERT(secret_bytes > 0 && secret_bytes <= 60);
  Builder builder;
  const auto size = static_cast<uint32_t>(8 * secret_bytes);
  Text key = constant_text(as_bytes("AWS4"));
  append(key, text_of(builder.add_input("secret", InputKind::kZero, size)));
  add_states(builder, hmac_key(sha256_hash(), key));
  return builder.finish();
}

mpc::Circuit sigv4_derivation(InputKind kind) {
  FLEXROOM_ASSERT(kind == InputKind::kZero || kind == InputKind::kDyn);
  Builder builder;
  const Text kout = text_of(builder.add_input("kout", kind, 256));
  const Bits words = builder.add_input("kw", InputKind::kPub, 2048);
  add_states(builder, hmac_key(sha256_hash(), hmac_outer_pub(sha256_hash(), kout, words)));
  return builder.finish();
}

Text sigv4_signature(const StateWords& kout_signing, const RoundWords& round_words) {
  return hex_lower(text_of(sha256_compress_pub(kout_signing, round_words)));
}

StateWords sha256_of_rest(const Sha256State& state, uint64_t bytes_before, const Text& rest) {
  return sha256_finish(constant_state(state), bytes_before, rest);
}

}  // namespace flexroom::circuits
