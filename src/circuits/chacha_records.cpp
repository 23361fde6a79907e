#include "circuits/chacha_records.h"

#include <algorithm>
#include <string>

#include "base/error.h"

namespace flexroom::circuits {
namespace {

constexpr size_t kBlockBytes = 64;
constexpr size_t kMaxContent = 16384;  // of one record (RFC 8446 §5.1)

}  // namespace

Text text_of_key(const ChaChaKey& key) {
  Text out(4 * key.size());
  for (size_t k = 0; k < out.size(); ++k) {
    for (size_t b = 0; b < 8; ++b) out[k][b] = key[k / 4][8 * (k % 4) + b];
  }
  return out;
}

ChaChaTrafficKeys chacha_traffic_keys(const HmacKeyText& secret) {
  return {chacha20_key(hkdf_expand_label(sha256_hash(), secret, "key", 32)),
          hkdf_expand_label(sha256_hash(), secret, "iv", 12)};
}

ChaChaBlock chacha_keystream(const ChaChaTrafficKeys& keys, uint64_t seq, uint32_t counter) {
  Text nonce = keys.iv;
  for (size_t k = 0; k < 8; ++k) {
    const ByteBits mask = constant_byte(static_cast<uint8_t>(seq >> (56 - 8 * k)));
    for (size_t b = 0; b < 8; ++b) nonce[4 + k][b] ^= mask[b];
  }
  return chacha20_block(keys.key, Word(counter), chacha20_nonce(nonce));
}

void ChaChaRecordWriter::add_tag_key(uint64_t seq) {
  FLEXROOM_ASSERT(std::find(used_.begin(), used_.end(), seq) == used_.end());
  used_.push_back(seq);
  const std::string name = std::to_string(seq);
  std::vector<Bits> masks;
  for (size_t i = 0; i < num_parties_; ++i) {
    masks.push_back(builder_.add_input("rho_" + name + "_" + std::to_string(i),
                                       mpc::InputKind::kZero, kPoly1305Bits));
  }
  const Text key = text_of(chacha_keystream(keys_, seq, 0));
  const Text r(key.begin(), key.begin() + 16);
  const Text s(key.begin() + 16, key.begin() + 32);
  builder_.add_output("r_" + name, mpc::OutputKind::kOpenAll,
                      poly1305_masked_r(poly1305_r(r), masks));
  builder_.add_output("s_" + name, mpc::OutputKind::kKeep, bits_of(s));
}

void ChaChaRecordWriter::add(uint64_t seq, const Text& content, size_t padding) {
  FLEXROOM_ASSERT(!content.empty() && content.size() + padding <= kMaxContent);
  constexpr uint8_t kApplicationData = 23;
  Text plaintext = content;
  plaintext.push_back(constant_byte(kApplicationData));
  plaintext.resize(plaintext.size() + padding, constant_byte(0));
  add_message(seq, std::move(plaintext));
}

void ChaChaRecordWriter::add_message(uint64_t seq, Text plaintext) {
  add_tag_key(seq);
  for (size_t offset = 0; offset < plaintext.size(); offset += kBlockBytes) {
    const auto counter = static_cast<uint32_t>(1 + offset / kBlockBytes);  // 0 is the tag's key
    const Text keystream = text_of(chacha_keystream(keys_, seq, counter));
    for (size_t k = 0; k < std::min(kBlockBytes, plaintext.size() - offset); ++k) {
      for (size_t b = 0; b < 8; ++b) plaintext[offset + k][b] ^= keystream[k][b];
    }
  }
  if (plaintext.empty()) return;
  builder_.add_output("c_" + std::to_string(seq), mpc::OutputKind::kOpenAll, bits_of(plaintext));
}

ChaChaGcB::ChaChaGcB(size_t num_parties, bool keep_write_keys, ServerSecret server_secret) {
  const ApplicationSecrets secrets = application_secrets(builder_, sha256_hash());
  add_server_secret(builder_, sha256_hash(), secrets.s_ap, server_secret);
  ChaChaTrafficKeys keys = chacha_traffic_keys(hmac_key(sha256_hash(), secrets.c_ap));
  if (keep_write_keys) {
    builder_.add_output("iv_c", mpc::OutputKind::kKeep, bits_of(keys.iv));
    builder_.add_output("key_c", mpc::OutputKind::kKeep, bits_of(text_of_key(keys.key)));
  }
  records_ = std::make_unique<ChaChaRecordWriter>(builder_, std::move(keys), num_parties);
}

mpc::Circuit chacha_gc_c(size_t records, size_t num_parties) {
  FLEXROOM_ASSERT(records > 0);
  mpc::Builder builder;
  const Text kout = add_state(builder, "kout_s_ap", sha256_hash());
  const auto secret_of = [&](std::string_view name) {
    return hmac_outer_pub(sha256_hash(), kout, add_round_words(builder, name, sha256_hash()));
  };
  const Text key = secret_of("kw_key");
  Text iv = secret_of("kw_iv");
  iv.resize(12);
  const ChaChaTrafficKeys keys{chacha20_key(key), std::move(iv)};
  builder.add_output("iv_s", mpc::OutputKind::kKeep, bits_of(keys.iv));
  builder.add_output("key_s", mpc::OutputKind::kKeep, bits_of(key));
  ChaChaRecordWriter writer(builder, keys, num_parties);
  Bits first;
  for (size_t seq = 0; seq < records; ++seq) {
    writer.add_tag_key(seq);
    const Bits block = bits_of(text_of(chacha_keystream(keys, seq, 1)));
    first.insert(first.end(), block.begin(), block.end());
  }
  builder.add_output("first_blocks", mpc::OutputKind::kKeep, first);
  return builder.finish();
}

mpc::Circuit chacha_keystream_circuit(size_t blocks) {
  mpc::Builder builder;
  const Text iv = text_of(builder.add_input("iv_s", mpc::InputKind::kDyn, 96));
  const ChaChaKey key =
      chacha20_key(text_of(builder.add_input("key_s", mpc::InputKind::kDyn, 256)));
  const Bits places =
      builder.add_input("place", mpc::InputKind::kPub, static_cast<uint32_t>(kPlaceBits * blocks));
  Bits keystream;
  for (size_t k = 0; k < blocks; ++k) {
    const auto place = std::span<const Bit>(places).subspan(kPlaceBits * k, kPlaceBits);
    Text nonce = iv;
    for (size_t b = 0; b < 8; ++b) {
      nonce[11][b] ^= place[b];
      nonce[10][b] ^= place[8 + b];
    }
    Word counter(0);
    for (size_t b = 0; b + kSequenceBits < kPlaceBits; ++b) counter[b] = place[kSequenceBits + b];
    const Bits block = bits_of(text_of(chacha20_block(key, counter, chacha20_nonce(nonce))));
    keystream.insert(keystream.end(), block.begin(), block.end());
  }
  builder.add_output("keystream", mpc::OutputKind::kKeep, keystream);
  return builder.finish();
}

ChaChaLaterRequest::ChaChaLaterRequest(size_t num_parties) {
  Text iv = text_of(builder_.add_input("iv_c", mpc::InputKind::kDyn, 96));
  const Text key = text_of(builder_.add_input("key_c", mpc::InputKind::kDyn, 256));
  records_ = std::make_unique<ChaChaRecordWriter>(
      builder_, ChaChaTrafficKeys{chacha20_key(key), std::move(iv)}, num_parties);
}

}  // namespace flexroom::circuits
