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

Bytes hkdf_expand_label(const HashKind& kind, ByteView secret, std::string_view label,
                        ByteView context, size_t length) {
  FLEXROOM_ASSERT(length <= kind.digest_bytes);
  const HashValue block = hmac(kind, secret, expand_message(label, context, length));
  return {block.begin(), block.begin() + length};
}

HashValue derive_secret(const HashKind& kind, ByteView secret, std::string_view label,
                        const HashValue& transcript) {
  FLEXROOM_ASSERT(transcript.size() == kind.digest_bytes);
  return hmac(kind, secret, expand_message(label, transcript, kind.digest_bytes));
}

TrafficKeys traffic_keys(const HashValue& traffic_secret, const CipherSuite& suite) {
  TrafficKeys out;
  out.suite = &suite;
  out.key = hkdf_expand_label(suite.hash(), traffic_secret, "key", {}, suite.key_bytes);
  Bytes iv = hkdf_expand_label(suite.hash(), traffic_secret, "iv", {}, out.iv.size());
  std::copy(iv.begin(), iv.end(), out.iv.begin());
  wipe(iv);
  return out;
}

HashValue next_traffic_secret(const HashKind& kind, const HashValue& traffic_secret) {
  return hmac(kind, traffic_secret, expand_message("traffic upd", {}, kind.digest_bytes));
}

HashValue finished_mac(const HashKind& kind, const HashValue& traffic_secret,
                       const HashValue& transcript) {
  const HashValue key =
      hmac(kind, traffic_secret, expand_message("finished", {}, kind.digest_bytes));
  return hmac(kind, key, transcript);
}

HashValue derived_early_secret(const HashKind& kind) {
  const Bytes zero(kind.digest_bytes);
  return derive_secret(kind, hmac(kind, zero, zero), "derived", hash_of(kind, {}));
}

RoundWords inner_words(const HashKind& kind, std::string_view label, ByteView context,
                       size_t length) {
  return kind.round_words(
      last_block(kind, expand_message(label, context, length), kind.block_bytes));
}

HashValue inner_digest(const HashKind& kind, const HashValue& kin, std::string_view label,
                       ByteView context, size_t length) {
  return inner_hash(kind, kin, expand_message(label, context, length));
}

RoundWords outer_words(const HashKind& kind, const HashValue& inner) {
  FLEXROOM_ASSERT(inner.size() == kind.digest_bytes);
  return kind.round_words(last_block(kind, inner, kind.block_bytes));
}

HandshakeWords handshake_words(const HashKind& kind, const HashValue& h1) {
  return {inner_words(kind, kClientHandshake, h1, kind.digest_bytes),
          inner_words(kind, kServerHandshake, h1, kind.digest_bytes)};
}

ApplicationWords application_words(const HashKind& kind, const HashValue& kin_ms,
                                   const HashValue& h2) {
  const auto words = [&](std::string_view label) {
    return outer_words(kind, inner_digest(kind, kin_ms, label, h2, kind.digest_bytes));
  };
  return {words(kClientApplication), words(kServerApplication)};
}

}  // namespace flexroom::tls
