#include "circuits/hmac_hkdf.h"

#include "base/codec.h"
#include "base/error.h"

namespace flexroom::circuits {
namespace {

Text padded_key_state(const HashCircuit& hash, const Text& key, uint8_t pad) {
  Text block = key;
  block.resize(hash.block_bytes);
  const ByteBits mask = constant_byte(pad);
  for (ByteBits& byte : block) {
    for (size_t b = 0; b < 8; ++b) byte[b] ^= mask[b];
  }
  return hash.compress(hash.initial(), block);
}

}  // namespace

HmacKeyText hmac_key(const HashCircuit& hash, const Text& key) {
  FLEXROOM_ASSERT(key.size() <= hash.block_bytes);
  return {padded_key_state(hash, key, 0x36), padded_key_state(hash, key, 0x5c)};
}

Text hmac_inner(const HashCircuit& hash, const Text& inner, const Text& message) {
  return digest_of(hash, hash_finish(hash, inner, hash.block_bytes, message));
}

Text hmac_outer(const HashCircuit& hash, const Text& outer, const Text& inner_digest) {
  FLEXROOM_ASSERT(inner_digest.size() == hash.digest_bytes);
  return digest_of(hash, hash_finish(hash, outer, hash.block_bytes, inner_digest));
}

Text hmac_outer_pub(const HashCircuit& hash, const Text& outer, const Bits& round_words) {
  return digest_of(hash, hash.compress_pub(outer, round_words));
}

Text hmac(const HashCircuit& hash, const HmacKeyText& key, const Text& message) {
  return hmac_outer(hash, key.outer, hmac_inner(hash, key.inner, message));
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

Text hkdf_expand_label(const HashCircuit& hash, const HmacKeyText& secret, std::string_view label,
                       uint16_t length) {
  FLEXROOM_ASSERT(length <= hash.digest_bytes);
  Text out = hmac(hash, secret, constant_text(hkdf_label_message(label, {}, length)));
  out.resize(length);
  return out;
}

}  // namespace flexroom::circuits
