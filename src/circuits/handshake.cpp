#include "circuits/handshake.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "circuits/aes256.h"

namespace flexroom::circuits {
namespace {

using mpc::Builder;
using mpc::InputKind;
using mpc::OutputKind;

Bytes value_of(const Text& constant) {
  Bytes out;
  for (const ByteBits& byte : constant) {
    unsigned value = 0;
    for (size_t b = 0; b < 8; ++b) value |= static_cast<unsigned>(byte[b].constant_value()) << b;
    out.push_back(static_cast<uint8_t>(value));
  }
  return out;
}

/// Derive-Secret(., "derived", ""), RFC 8446 §7.1, as message under HMAC.
Text derived_message(const HashCircuit& hash) {
  const Bytes of_nothing = value_of(digest_of(hash, hash_finish(hash, hash.initial(), 0, {})));
  return constant_text(
      hkdf_label_message("derived", of_nothing, static_cast<uint16_t>(hash.digest_bytes)));
}

/// The key of HKDF-Extract(., ECDHE) is public: Derive-Secret of the early secret without PSK. All
/// of it folds to constants.
HmacKeyText derived_early_secret(const HashCircuit& hash) {
  const Text zeros = constant_text(Bytes(hash.digest_bytes));
  const Text early = hmac(hash, hmac_key(hash, zeros), zeros);
  return hmac_key(hash, hmac(hash, hmac_key(hash, early), derived_message(hash)));
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

/// A byte that is public: the second one where the server took ML-KEM.
ByteBits either(uint8_t usual, uint8_t with_kem, Bit kem) {
  ByteBits out = constant_byte(usual);
  for (size_t b = 0; b < 8; ++b) {
    if (((usual ^ with_kem) >> b & 1) != 0) out[b] ^= kem;
  }
  return out;
}

Text absorb(const HashCircuit& hash, Text state, const Text& blocks) {
  const auto size = static_cast<std::ptrdiff_t>(hash.block_bytes);
  for (auto at = blocks.begin(); at != blocks.end(); at += size) {
    state = hash.compress(state, Text(at, at + size));
  }
  return state;
}

/// The inner hash of HKDF-Extract(., x), or of HKDF-Extract(., ss || x) where the server took
/// ML-KEM, behind the key's block. Blocks that both have hold either; one that the second alone has
/// is padding, and the state behind it is taken or not. No AND of two `pub` wires: what hangs on
/// them alone comes ready, or is a selector itself.
Text extract_inner(Builder& builder, const HashCircuit& hash, const Text& key, const Text& x) {
  const Bit kem = builder.add_input(kKemInput, InputKind::kPub, 1)[0];
  const Text secret = text_of(builder.add_input(kKemSecretInput, InputKind::kPub, 256));
  const Text padding = text_of(builder.add_input(kPaddingInput, InputKind::kPub, 256));
  const Bytes usual = hash_padding(hash, hash.block_bytes + 32);
  const Bytes with_kem = hash_padding(hash, hash.block_bytes + 64);
  Text both(64);
  for (size_t k = 0; k < 32; ++k) {
    for (size_t b = 0; b < 8; ++b) {
      const Bit behind = x[k][b] & kem;
      both[k][b] = x[k][b] ^ behind ^ secret[k][b];
      both[32 + k][b] = behind ^ padding[k][b];
    }
  }
  for (size_t k = 32; k < usual.size(); ++k) {
    both.push_back(either(usual[k], with_kem[k - 32], kem));
  }
  Text out = absorb(hash, key, both);
  const Bytes rest(with_kem.begin() + static_cast<std::ptrdiff_t>(both.size() - 64),
                   with_kem.end());
  const Text whole = absorb(hash, out, constant_text(rest));
  for (size_t k = 0; k < out.size() && !rest.empty(); ++k) {
    for (size_t b = 0; b < 8; ++b) out[k][b] ^= (out[k][b] ^ whole[k][b]) & kem;
  }
  return digest_of(hash, std::move(out));
}

}  // namespace

std::string mask_input(NamedGroup group, size_t party) {
  return "rho_" + std::string(to_string(group)) + "_" + std::to_string(party);
}

Bytes x_padding(const HashCircuit& hash) {
  Bytes out = hash_padding(hash, hash.block_bytes + 32);
  out.resize(32);
  return out;
}

std::string masked_input(NamedGroup group) { return "c_" + std::string(to_string(group)); }

mpc::Circuit gc_a(const Groups& groups, size_t num_parties, const HashCircuit& hash) {
  Builder builder;
  const Text x = agreed_secret(builder, groups, num_parties);
  const Bits kw_c_hs = add_round_words(builder, "kw_c_hs", hash);
  const Bits kw_s_hs = add_round_words(builder, "kw_s_hs", hash);

  const HmacKeyText early = derived_early_secret(hash);
  const Text extracted = has_kem(groups) ? extract_inner(builder, hash, early.inner, x)
                                         : hmac_inner(hash, early.inner, x);
  const HmacKeyText handshake = hmac_key(hash, hmac_outer(hash, early.outer, extracted));

  // The traffic secrets' inner messages hold the transcript hash: public, but known only online.
  const auto traffic_secret = [&](const Bits& round_words) {
    const Text inner = hmac_outer_pub(hash, handshake.inner, round_words);
    return bits_of(hmac_outer(hash, handshake.outer, inner));
  };
  builder.add_output("c_hs", OutputKind::kKeep, traffic_secret(kw_c_hs));
  builder.add_output("s_hs", OutputKind::kOpenAll, traffic_secret(kw_s_hs));

  const HmacKeyText derived = hmac_key(hash, hmac(hash, handshake, derived_message(hash)));
  const HmacKeyText master =
      hmac_key(hash, hmac(hash, derived, constant_text(Bytes(hash.digest_bytes))));
  builder.add_output("kin_ms", OutputKind::kOpenAll, bits_of(master.inner));
  builder.add_output("kout_ms", OutputKind::kKeep, bits_of(master.outer));
  return builder.finish();
}

const GcmSuite& aes128_gcm() {
  static const GcmSuite kSuite = {"AES-128", sha256_hash(), 16};
  return kSuite;
}

const GcmSuite& aes256_gcm() {
  static const GcmSuite kSuite = {"AES-256", sha384_hash(), 32};
  return kSuite;
}

TrafficKeys traffic_keys(const HmacKeyText& secret, const GcmSuite& suite) {
  const Text key =
      hkdf_expand_label(suite.hash, secret, "key", static_cast<uint16_t>(suite.key_bytes));
  return {aes_expand_key(key), hkdf_expand_label(suite.hash, secret, "iv", 12)};
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
  return aes_encrypt(keys.round_keys, block_of(in));
}

void RecordWriter::add_tag_mask(uint64_t seq) {
  FLEXROOM_ASSERT(std::find(used_.begin(), used_.end(), seq) == used_.end());
  used_.push_back(seq);
  builder_.add_output("j0_" + std::to_string(seq), OutputKind::kKeep,
                      bits_of(text_of(keystream_block(keys_, seq, 1))));
}

void RecordWriter::add(uint64_t seq, const Text& content, size_t padding) {
  FLEXROOM_ASSERT(!content.empty() && content.size() + padding <= kMaxRecordContent);
  constexpr uint8_t kApplicationData = 23;
  Text plaintext = content;
  plaintext.push_back(constant_byte(kApplicationData));
  plaintext.resize(plaintext.size() + padding, constant_byte(0));
  add_message(seq, std::move(plaintext));
}

void RecordWriter::add_message(uint64_t seq, Text plaintext) {
  add_tag_mask(seq);
  for (size_t offset = 0; offset < plaintext.size(); offset += 16) {
    const auto counter = static_cast<uint32_t>(2 + offset / 16);  // 1 is J0
    const AesBlock keystream = keystream_block(keys_, seq, counter);
    for (size_t k = 0; k < std::min<size_t>(16, plaintext.size() - offset); ++k) {
      for (size_t b = 0; b < 8; ++b) plaintext[offset + k][b] ^= keystream[k][b];
    }
  }
  if (plaintext.empty()) return;
  builder_.add_output("c_" + std::to_string(seq), OutputKind::kOpenAll, bits_of(plaintext));
}

void add_server_secret(Builder& builder, const HashCircuit& hash, const Text& s_ap,
                       ServerSecret server_secret) {
  if (server_secret == ServerSecret::kKept) {
    builder.add_output("s_ap", OutputKind::kKeep, bits_of(s_ap));
    return;
  }
  const HmacKeyText states = hmac_key(hash, s_ap);
  builder.add_output("kin_s_ap", OutputKind::kOpenAll, bits_of(states.inner));
  builder.add_output("kout_s_ap", OutputKind::kKeep, bits_of(states.outer));
}

ApplicationSecrets application_secrets(Builder& builder, const HashCircuit& hash) {
  const Text kout_ms = add_state(builder, "kout_ms", hash);
  const Bits kw_c_ap = add_round_words(builder, "kw_c_ap", hash);
  const Bits kw_s_ap = add_round_words(builder, "kw_s_ap", hash);
  ApplicationSecrets out;
  out.c_ap = hmac_outer_pub(hash, kout_ms, kw_c_ap);
  out.s_ap = hmac_outer_pub(hash, kout_ms, kw_s_ap);
  return out;
}

GcB::GcB(bool keep_write_keys, ServerSecret server_secret, const GcmSuite& suite) {
  const ApplicationSecrets secrets = application_secrets(builder_, suite.hash);
  const Bits r_c = builder_.add_input("r_c", InputKind::kZero, 128);
  TrafficKeys keys = traffic_keys(hmac_key(suite.hash, secrets.c_ap), suite);

  Bits d_c = bits_of(text_of(aes_encrypt(keys.round_keys, constant_block({}))));
  for (size_t i = 0; i < d_c.size(); ++i) d_c[i] ^= r_c[i];
  builder_.add_output("d_c", OutputKind::kOpenAll, d_c);
  add_server_secret(builder_, suite.hash, secrets.s_ap, server_secret);
  if (keep_write_keys) {
    builder_.add_output("iv_c", OutputKind::kKeep, bits_of(keys.iv));
    builder_.add_output("round_keys_c", OutputKind::kKeep, bits_of(keys.round_keys));
  }
  records_ = std::make_unique<RecordWriter>(builder_, std::move(keys));
}

LaterRequest::LaterRequest(const GcmSuite& suite) {
  Text iv = text_of(builder_.add_input("iv_c", InputKind::kDyn, 96));
  const Bits keys = builder_.add_input("round_keys_c", InputKind::kDyn, suite.round_key_bits());
  records_ =
      std::make_unique<RecordWriter>(builder_, TrafficKeys{round_keys_of(keys), std::move(iv)});
}

}  // namespace flexroom::circuits
