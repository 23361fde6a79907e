#include "tls/key_schedule.h"

#include <algorithm>

#include "base/codec.h"
#include "base/error.h"
#include "base/secret.h"

namespace flexroom::tls {

Bytes hkdf_label(std::string_view label, ByteView context, size_t length) {
  FLEXROOM_ASSERT(label.size() + 6 <= 255 && context.size() <= 255 && length <= 0xffff);
  return Writer()
      .u16(static_cast<uint16_t>(length))
      .u8(static_cast<uint8_t>(label.size() + 6))
      .raw(as_bytes("tls13 "))
      .raw(as_bytes(label))
      .u8(static_cast<uint8_t>(context.size()))
      .raw(context)
      .take();
}

Bytes expand_message(std::string_view label, ByteView context, size_t length) {
  Bytes out = hkdf_label(label, context, length);
  out.push_back(1);
  return out;
}

Bytes hkdf_expand_label(ByteView secret, std::string_view label, ByteView context, size_t length) {
  FLEXROOM_ASSERT(length <= 32);
  Digest block = hmac_sha256(secret, expand_message(label, context, length));
  Bytes out(block.begin(), block.begin() + static_cast<std::ptrdiff_t>(length));
  wipe(block.data(), block.size());
  return out;
}

Digest derive_secret(ByteView secret, std::string_view label, const Digest& transcript) {
  return hmac_sha256(secret, expand_message(label, transcript, 32));
}

TrafficKeys traffic_keys(const Digest& traffic_secret, const CipherSuite& suite) {
  TrafficKeys out;
  out.suite = &suite;
  out.key = hkdf_expand_label(traffic_secret, "key", {}, suite.key_bytes);
  Bytes iv = hkdf_expand_label(traffic_secret, "iv", {}, out.iv.size());
  std::copy(iv.begin(), iv.end(), out.iv.begin());
  wipe(iv);
  return out;
}

Digest next_traffic_secret(const Digest& traffic_secret) {
  return hmac_sha256(traffic_secret, expand_message("traffic upd", {}, 32));
}

Digest finished_mac(const Digest& traffic_secret, const Digest& transcript) {
  return hmac_sha256(hmac_sha256(traffic_secret, expand_message("finished", {}, 32)), transcript);
}

const Digest& derived_early_secret() {
  static const Digest secret = [] {
    const Digest zero{};
    const Digest early = hmac_sha256(zero, zero);
    return derive_secret(early, "derived", sha256({}));
  }();
  return secret;
}

Sha256BlockBytes inner_block(std::string_view label, ByteView context, size_t length) {
  return sha256_last_block(expand_message(label, context, length), 64);
}

Sha256RoundWords inner_words(std::string_view label, ByteView context, size_t length) {
  return sha256_schedule_plus_k(inner_block(label, context, length));
}

Digest inner_digest(const Sha256State& kin, std::string_view label, ByteView context,
                    size_t length) {
  return hmac_inner_digest(kin, expand_message(label, context, length));
}

Sha256BlockBytes outer_block(const Digest& inner) { return sha256_last_block(inner, 64); }

Sha256RoundWords outer_words(const Digest& inner) {
  return sha256_schedule_plus_k(outer_block(inner));
}

HandshakeWords handshake_words(const Digest& h1) {
  return {inner_words(kClientHandshake, h1, 32), inner_words(kServerHandshake, h1, 32)};
}

ApplicationWords application_words(const Sha256State& kin_ms, const Digest& h2) {
  return {outer_words(inner_digest(kin_ms, kClientApplication, h2, 32)),
          outer_words(inner_digest(kin_ms, kServerApplication, h2, 32))};
}

}  // namespace flexroom::tls
