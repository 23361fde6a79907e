#include "circuits/hmac_hkdf.h"

#include <algorithm>

#include "base/codec.h"
#include "base/error.h"

namespace flexroom::circuits {
namespace {

constexpr size_t kBlockBytes = 64;

StateWords padded_key_state(const Text& key, uint8_t pad) {
  Text block = key;
  block.resize(kBlockBytes);
  const ByteBits mask = constant_byte(pad);
  for (ByteBits& byte : block) {
    for (size_t b = 0; b < 8; ++b) byte[b] ^= mask[b];
  }
  const std::vector<Word> words = words_of(block);
  BlockWords block_words;
  std::copy(words.begin(), words.end(), block_words.begin());
  return sha256_compress(sha256_initial(), block_words);
}

}  // namespace

HmacKeyWords hmac_key(const Text& key) {
  FLEXROOM_ASSERT(key.size() <= kBlockBytes);
  return {padded_key_state(key, 0x36), padded_key_state(key, 0x5c)};
}

StateWords hmac_inner(const StateWords& inner, const Text& message) {
  return sha256_finish(inner, kBlockBytes, message);
}

StateWords hmac_outer(const StateWords& outer, const StateWords& inner_digest) {
  return sha256_finish(outer, kBlockBytes, text_of(inner_digest));
}

StateWords hmac_outer_pub(const StateWords& outer, const RoundWords& round_words) {
  return sha256_compress_pub(outer, round_words);
}

StateWords hmac(const HmacKeyWords& key, const Text& message) {
  return hmac_outer(key.outer, hmac_inner(key.inner, message));
}

Bytes hkdf_label_message(std::string_view label, ByteView context, uint16_t length) {
  const std::string full = "tls13 " + std::string(label);
  FLEXROOM_ASSERT(full.size() <= 255 && context.size() <= 255);
  return Writer()
      .u16(length)
      .u8(static_cast<uint8_t>(full.size()))
      .raw(as_bytes(full))
      .u8(static_cast<uint8_t>(context.size()))
      .raw(context)
      .u8(1)
      .take();
}

}  // namespace flexroom::circuits
