#include "circuits/handshake.h"

#include <algorithm>
#include <string>

#include "base/error.h"

namespace flexroom::circuits {
namespace {

using mpc::Builder;
using mpc::InputKind;
using mpc::OutputKind;

Bits pub_round_words(Builder& builder, std::string_view name) {
  return builder.add_input(name, InputKind::kPub, 2048);
}

/// Derive-Secret(., "derived", ""), RFC 8446 §7.1, as message under HMAC.
Text derived_message() { return constant_text(hkdf_label_message("derived", sha256({}), 32)); }

/// The key of HKDF-Extract(., ECDHE) is public: Derive-Secret of the early secret without PSK. All
/// of it folds to constants.
HmacKeyWords derived_early_secret() {
  const Text zeros = constant_text(Bytes(32));
  const StateWords early = hmac(hmac_key(zeros), zeros);
  return hmac_key(text_of(hmac(hmac_key(text_of(early)), derived_message())));
}

/// The shared secret as bytes: little-endian u (RFC 7748), big-endian x (RFC 8446 §7.4.2).
Text shared_secret(NamedGroup group, Bits x) {
  x.resize(256);
  Text bytes = text_of(x);
  if (group == NamedGroup::kP256) std::reverse(bytes.begin(), bytes.end());
  return bytes;
}

/// x of one group, from its masked coordinate.
Bits unmask(Builder& builder, NamedGroup group, size_t num_parties) {
  const auto bits = static_cast<uint32_t>(field_bits(group));
  std::vector<Bits> masks;
  for (size_t i = 0; i < num_parties; ++i) {
    masks.push_back(builder.add_input(mask_input(group, i), InputKind::kZero, bits));
  }
  const Bits c = builder.add_input(masked_input(group), InputKind::kPub, bits);
  return arithmetic_to_boolean(group, c, masks);
}

/// The shared secret on the curve that the server took. The other curve's x is minus the sum of its
/// masks: a secret on which nothing depends.
Text agreed_secret(Builder& builder, const Groups& groups, size_t num_parties) {
  std::vector<Text> of;
  for (const NamedGroup curve : curves_of(groups)) {
    of.push_back(shared_secret(curve, unmask(builder, curve, num_parties)));
  }
  FLEXROOM_ASSERT(!of.empty());
  if (of.size() == 1) return of[0];
  const Bits is_p256 = builder.add_input(kGroupInput, InputKind::kPub, 1);
  for (size_t k = 0; k < of[0].size(); ++k) {
    for (size_t b = 0; b < 8; ++b) of[0][k][b] ^= (of[0][k][b] ^ of[1][k][b]) & is_p256[0];
  }
  return of[0];
}

/// The inner hash of HKDF-Extract(., x), or of HKDF-Extract(., ss || x) where the server took
/// ML-KEM. Behind the key's block the first has one of x and padding, the second one of ss and x
/// and one of padding. No AND of two `pub` wires: what hangs on them alone comes ready.
StateWords extract_inner(Builder& builder, const StateWords& key, const Text& x) {
  const Bits kem = builder.add_input(kKemInput, InputKind::kPub, 1);
  const Text secret = text_of(builder.add_input(kKemSecretInput, InputKind::kPub, 256));
  const Text padding = text_of(builder.add_input(kPaddingInput, InputKind::kPub, 256));
  Text first(32), second(32);
  for (size_t k = 0; k < 32; ++k) {
    for (size_t b = 0; b < 8; ++b) {
      const auto behind = x[k][b] & kem[0];
      first[k][b] = x[k][b] ^ behind ^ secret[k][b];
      second[k][b] = behind ^ padding[k][b];
    }
  }
  BlockWords block;
  const StateWords halves[2] = {state_of(first), state_of(second)};
  for (size_t k = 0; k < 16; ++k) block[k] = halves[k / 8][k % 8];
  const StateWords one = sha256_compress(key, block);
  const Bits whole = bits_of(sha256_finish(one, 128, {}));
  Bits out = bits_of(one);
  for (size_t t = 0; t < out.size(); ++t) out[t] ^= (out[t] ^ whole[t]) & kem[0];
  return state_of(out);
}

Text key_message(std::string_view label, uint16_t length) {
  return constant_text(hkdf_label_message(label, {}, length));
}

}  // namespace

std::string mask_input(NamedGroup group, size_t party) {
  return "rho_" + std::string(to_string(group)) + "_" + std::to_string(party);
}

Bytes x_padding() {
  Bytes out = sha256_padding(64 + 32);
  FLEXROOM_ASSERT(out.size() == 32);
  return out;
}

std::string masked_input(NamedGroup group) { return "c_" + std::string(to_string(group)); }

mpc::Circuit gc_a(const Groups& groups, size_t num_parties) {
  Builder builder;
  const Text x = agreed_secret(builder, groups, num_parties);
  const Bits kw_c_hs = pub_round_words(builder, "kw_c_hs");
  const Bits kw_s_hs = pub_round_words(builder, "kw_s_hs");

  const HmacKeyWords early = derived_early_secret();
  const StateWords extracted =
      has_kem(groups) ? extract_inner(builder, early.inner, x) : hmac_inner(early.inner, x);
  const HmacKeyWords handshake = hmac_key(text_of(hmac_outer(early.outer, extracted)));

  // The traffic secrets' inner messages hold the transcript hash: public, but known only online.
  const auto traffic_secret = [&](const Bits& round_words) {
    const StateWords inner = sha256_compress_pub(handshake.inner, round_words_of(round_words));
    return bits_of(hmac_outer(handshake.outer, inner));
  };
  builder.add_output("c_hs", OutputKind::kKeep, traffic_secret(kw_c_hs));
  builder.add_output("s_hs", OutputKind::kOpenAll, traffic_secret(kw_s_hs));

  const HmacKeyWords derived = hmac_key(text_of(hmac(handshake, derived_message())));
  const HmacKeyWords master = hmac_key(text_of(hmac(derived, constant_text(Bytes(32)))));
  builder.add_output("kin_ms", OutputKind::kOpenAll, bits_of(master.inner));
  builder.add_output("kout_ms", OutputKind::kKeep, bits_of(master.outer));
  return builder.finish();
}

TrafficKeys traffic_keys(const HmacKeyWords& secret) {
  Text key = text_of(hmac(secret, key_message("key", 16)));
  Text iv = text_of(hmac(secret, key_message("iv", 12)));
  key.resize(16);
  iv.resize(12);
  return {aes128_expand_key(block_of(key)), std::move(iv)};
}

AesBlock keystream_block(const TrafficKeys& keys, uint64_t seq, uint32_t counter) {
  Text in = keys.iv;
  for (size_t k = 0; k < 8; ++k) {
    const ByteBits mask = constant_byte(static_cast<uint8_t>(seq >> (56 - 8 * k)));
    for (size_t b = 0; b < 8; ++b) in[4 + k][b] ^= mask[b];
  }
  for (int shift = 24; shift >= 0; shift -= 8) {
    in.push_back(constant_byte(static_cast<uint8_t>(counter >> shift)));
  }
  return aes128_encrypt(keys.round_keys, block_of(in));
}

void RecordWriter::add_tag_mask(uint64_t seq) {
  FLEXROOM_ASSERT(std::find(used_.begin(), used_.end(), seq) == used_.end());
  used_.push_back(seq);
  builder_.add_output("j0_" + std::to_string(seq), OutputKind::kKeep,
                      bits_of(text_of(keystream_block(keys_, seq, 1))));
}

void RecordWriter::add(uint64_t seq, const Text& content, size_t padding) {
  FLEXROOM_ASSERT(!content.empty() && content.size() + padding <= kMaxRecordContent);
  add_tag_mask(seq);
  constexpr uint8_t kApplicationData = 23;
  Text plaintext = content;
  plaintext.push_back(constant_byte(kApplicationData));
  plaintext.resize(plaintext.size() + padding, constant_byte(0));
  for (size_t offset = 0; offset < plaintext.size(); offset += 16) {
    const auto counter = static_cast<uint32_t>(2 + offset / 16);  // 1 is J0
    const AesBlock keystream = keystream_block(keys_, seq, counter);
    for (size_t k = 0; k < std::min<size_t>(16, plaintext.size() - offset); ++k) {
      for (size_t b = 0; b < 8; ++b) plaintext[offset + k][b] ^= keystream[k][b];
    }
  }
  builder_.add_output("c_" + std::to_string(seq), OutputKind::kOpenAll, bits_of(plaintext));
}

void add_server_secret(Builder& builder, const StateWords& s_ap, ServerSecret server_secret) {
  if (server_secret == ServerSecret::kKept) {
    builder.add_output("s_ap", OutputKind::kKeep, bits_of(s_ap));
    return;
  }
  const HmacKeyWords states = hmac_key(text_of(s_ap));
  builder.add_output("kin_s_ap", OutputKind::kOpenAll, bits_of(states.inner));
  builder.add_output("kout_s_ap", OutputKind::kKeep, bits_of(states.outer));
}

GcB::GcB(bool keep_write_keys, ServerSecret server_secret) {
  const StateWords kout_ms = state_of(builder_.add_input("kout_ms", InputKind::kDyn, 256));
  const Bits kw_c_ap = pub_round_words(builder_, "kw_c_ap");
  const Bits kw_s_ap = pub_round_words(builder_, "kw_s_ap");
  const Bits r_c = builder_.add_input("r_c", InputKind::kZero, 128);

  const StateWords c_ap = hmac_outer_pub(kout_ms, round_words_of(kw_c_ap));
  const StateWords s_ap = hmac_outer_pub(kout_ms, round_words_of(kw_s_ap));
  TrafficKeys keys = traffic_keys(hmac_key(text_of(c_ap)));

  Bits d_c = bits_of(text_of(aes128_encrypt(keys.round_keys, constant_block({}))));
  for (size_t i = 0; i < d_c.size(); ++i) d_c[i] ^= r_c[i];
  builder_.add_output("d_c", OutputKind::kOpenAll, d_c);
  add_server_secret(builder_, s_ap, server_secret);
  if (keep_write_keys) {
    builder_.add_output("iv_c", OutputKind::kKeep, bits_of(keys.iv));
    builder_.add_output("round_keys_c", OutputKind::kKeep, bits_of(keys.round_keys));
  }
  records_ = std::make_unique<RecordWriter>(builder_, std::move(keys));
}

LaterRequest::LaterRequest() {
  Text iv = text_of(builder_.add_input("iv_c", InputKind::kDyn, 96));
  const Bits keys = builder_.add_input("round_keys_c", InputKind::kDyn, 1408);
  records_ =
      std::make_unique<RecordWriter>(builder_, TrafficKeys{round_keys_of(keys), std::move(iv)});
}

}  // namespace flexroom::circuits
