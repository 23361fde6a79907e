#pragma once

#include <optional>
#include <vector>

#include "base/hash.h"
#include "base/openssl_ptr.h"
#include "net/identity.h"

namespace flexroom::net {

/// What one handshake accepts and what it saw; must outlive the SSL object's handshake.
struct PinCheck {
  std::vector<Digest> accepted;  // certificate SHA-256
  std::optional<Digest> seen;
};

/// TLS 1.3 only, mutually authenticated, self-signed certificates accepted by pinned SHA-256 and in
/// no other way. No session tickets, no resumption: every connection proves both keys again.
class TlsContext {
 public:
  explicit TlsContext(const Identity& identity);
  /// A non-blocking TLS endpoint over `socket` (which it does not own).
  OpensslPtr<SSL> endpoint(int socket, bool server, PinCheck* pins) const;

 private:
  OpensslPtr<SSL_CTX> context_;
};

}  // namespace flexroom::net
