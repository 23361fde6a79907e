#pragma once

#include "base/bytes.h"
#include "base/hash.h"

namespace flexroom::tls {

/// Running SHA-256 over the handshake messages, headers included (RFC 8446 §4.4.1). All public.
class Transcript {
 public:
  void add(ByteView message) { hash_.update(message); }
  /// Behind the first ClientHello, in front of a HelloRetryRequest: its hash takes its place, as a
  /// message of type message_hash (RFC 8446 §4.4.1).
  void retry() {
    constexpr uint8_t kMessageHash = 254;
    const Digest first = digest();
    const uint8_t header[] = {kMessageHash, 0, 0, first.size()};
    hash_ = Sha256();
    hash_.update(header);
    hash_.update(first);
  }
  Digest digest() const { return hash_.digest(); }

 private:
  Sha256 hash_;
};

}  // namespace flexroom::tls
