#pragma once

#include "base/bytes.h"
#include "base/hash.h"

namespace flexroom::tls {

/// Running SHA-256 over the handshake messages, headers included (RFC 8446 §4.4.1). All public.
class Transcript {
 public:
  void add(ByteView message) { hash_.update(message); }
  Digest digest() const { return hash_.digest(); }

 private:
  Sha256 hash_;
};

}  // namespace flexroom::tls
