#include "circuits/answer.h"

#include "base/error.h"
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
  return aes128_encrypt(keys.round_keys, block_of(in));
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

mpc::Circuit gc_c(size_t records) {
  FLEXROOM_ASSERT(records > 0);
  Builder builder;
  const StateWords kout = state_of(builder.add_input("kout_s_ap", InputKind::kDyn, 256));
  const Bits kw_key = builder.add_input("kw_key", InputKind::kPub, 2048);
  const Bits kw_iv = builder.add_input("kw_iv", InputKind::kPub, 2048);
  const Bits r_s = builder.add_input("r_s", InputKind::kZero, 128);

  Text key = text_of(hmac_outer_pub(kout, round_words_of(kw_key)));
  Text iv = text_of(hmac_outer_pub(kout, round_words_of(kw_iv)));
  key.resize(16);
  iv.resize(12);
  const TrafficKeys keys{aes128_expand_key(block_of(key)), std::move(iv)};

  Bits d_s = bits_of_block(aes128_encrypt(keys.round_keys, constant_block({})));
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

mpc::Circuit key_update_circuit() {
  Builder builder;
  const StateWords kout = state_of(builder.add_input("kout", InputKind::kDyn, 256));
  const Bits kw_next = builder.add_input("kw_next", InputKind::kPub, 2048);
  const HmacKeyWords next = hmac_key(text_of(hmac_outer_pub(kout, round_words_of(kw_next))));
  builder.add_output("kin_next", OutputKind::kOpenAll, bits_of(next.inner));
  builder.add_output("kout_next", OutputKind::kKeep, bits_of(next.outer));
  return builder.finish();
}

mpc::Circuit keystream_circuit(size_t blocks) {
  Builder builder;
  Text iv = text_of(builder.add_input("iv_s", InputKind::kDyn, 96));
  const Bits round_keys = builder.add_input("round_keys_s", InputKind::kDyn, 1408);
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
