#include "circuits/answer.h"

#include "base/error.h"
#include "circuits/aes256.h"
#include "circuits/marks.h"

namespace flexroom::circuits {
namespace {

using mpc::Builder;
using mpc::InputKind;
using mpc::OutputKind;

Bits bits_of_block(const AesBlock& block) { return bits_of(text_of(block)); }

void append_bits(Bits& out, const Bits& more) { out.insert(out.end(), more.begin(), more.end()); }

/// The block whose sequence number and counter are wires.
AesBlock placed_block(const TrafficKeys& keys, std::span<const Bit> place) {
  Text in = keys.iv;
  in.resize(16);
  for (size_t b = 0; b < 8; ++b) {
    in[11][b] ^= place[b];
    in[10][b] ^= place[8 + b];
    in[15][b] = place[kSequenceBits + b];
  }
  for (size_t b = 0; b < 4; ++b) in[14][b] = place[kSequenceBits + 8 + b];
  return aes_encrypt(keys.round_keys, block_of(in));
}

Bit and_of_all(Bits ok) {
  while (ok.size() > 1) {
    Bits next;
    for (size_t i = 0; i + 1 < ok.size(); i += 2) next.push_back(ok[i] & ok[i + 1]);
    if (ok.size() % 2 == 1) next.push_back(ok.back());
    ok = std::move(next);
  }
  return ok.empty() ? Bit(true) : ok[0];
}

}  // namespace

mpc::Circuit gc_c(size_t records, const GcmSuite& suite) {
  FLEXROOM_ASSERT(records > 0);
  Builder builder;
  const Text kout = add_state(builder, "kout_s_ap", suite.hash);
  const Bits kw_key = add_round_words(builder, "kw_key", suite.hash);
  const Bits kw_iv = add_round_words(builder, "kw_iv", suite.hash);
  const Bits r_s = builder.add_input("r_s", InputKind::kZero, 128);

  Text key = hmac_outer_pub(suite.hash, kout, kw_key);
  Text iv = hmac_outer_pub(suite.hash, kout, kw_iv);
  key.resize(suite.key_bytes);
  iv.resize(12);
  const TrafficKeys keys{aes_expand_key(key), std::move(iv)};

  Bits d_s = bits_of_block(aes_encrypt(keys.round_keys, constant_block({})));
  for (size_t i = 0; i < d_s.size(); ++i) d_s[i] ^= r_s[i];
  builder.add_output("d_s", OutputKind::kOpenAll, d_s);
  builder.add_output("iv_s", OutputKind::kKeep, bits_of(keys.iv));
  builder.add_output("round_keys_s", OutputKind::kKeep, bits_of(keys.round_keys));
  Bits masks, first;
  for (size_t seq = 0; seq < records; ++seq) {
    append_bits(masks, bits_of_block(keystream_block(keys, seq, 1)));
    append_bits(first, bits_of_block(keystream_block(keys, seq, 2)));
  }
  builder.add_output("tag_masks", OutputKind::kKeep, masks);
  builder.add_output("first_blocks", OutputKind::kKeep, first);
  return builder.finish();
}

mpc::Circuit key_update_circuit(const HashCircuit& hash) {
  Builder builder;
  const Text kout = add_state(builder, "kout", hash);
  const Bits kw_next = add_round_words(builder, "kw_next", hash);
  const HmacKeyText next = hmac_key(hash, hmac_outer_pub(hash, kout, kw_next));
  builder.add_output("kin_next", OutputKind::kOpenAll, bits_of(next.inner));
  builder.add_output("kout_next", OutputKind::kKeep, bits_of(next.outer));
  return builder.finish();
}

mpc::Circuit keystream_circuit(size_t blocks, const GcmSuite& suite) {
  Builder builder;
  Text iv = text_of(builder.add_input("iv_s", InputKind::kDyn, 96));
  const Bits round_keys =
      builder.add_input("round_keys_s", InputKind::kDyn, suite.round_key_bits());
  const TrafficKeys keys{round_keys_of(round_keys), std::move(iv)};
  const Bits places =
      builder.add_input("place", InputKind::kPub, static_cast<uint32_t>(kPlaceBits * blocks));
  Bits keystream;
  for (size_t k = 0; k < blocks; ++k) {
    const auto place = std::span<const Bit>(places).subspan(kPlaceBits * k, kPlaceBits);
    append_bits(keystream, bits_of_block(placed_block(keys, place)));
  }
  builder.add_output("keystream", OutputKind::kKeep, keystream);
  return builder.finish();
}

mpc::Circuit gate_circuit(size_t bytes, const ByteSet& set) {
  Builder builder;
  const Text text = add_secret_text(builder, bytes);
  const Bit ok = all_members(text, set);
  Bits gated;
  for (const ByteBits& byte : text) {
    for (const Bit bit : byte) gated.push_back(ok & bit);
  }
  builder.add_output("ok", OutputKind::kOpenAll, {ok});
  builder.add_output("bytes", OutputKind::kOpenAll, gated);
  return builder.finish();
}

mpc::Circuit class_circuit(const std::vector<ByteSet>& sets) {
  Builder builder;
  const Text text = add_secret_text(builder, sets.size());
  Bits ok;
  for (size_t k = 0; k < sets.size(); ++k) {
    if (!sets[k].all()) ok.push_back(is_member(text[k], sets[k]));
  }
  builder.add_output("ok", OutputKind::kOpenAll, {and_of_all(std::move(ok))});
  return builder.finish();
}

}  // namespace flexroom::circuits
