#pragma once

#include <optional>
#include <vector>

#include "base/hash.h"
#include "base/openssl_ptr.h"
#include "net/identity.h"
#include "net/pair_key.h"

namespace flexroom::net {

/// What one handshake accepts and what it saw; must outlive the SSL object's handshake.
struct PeerCheck {
  std::vector<Digest> accepted;  // certificate SHA-256
  std::optional<Digest> seen;
  /// Who connects may prove itself by one of these keys (tls-complete.md §2.2a); null: not so.
  const PairKeys* keys = nullptr;
  const MeshScope* scope = nullptr;
  /// A client's: offered beside the certificate. A server's: what the peer named; it has that key
  /// only if the handshake ends well.
  std::optional<PairKeys::Use> key;
};

/// By what the peer of a handshake that ended well proved who it is.
enum class PeerProof { kCertificate, kPairKey };

/// TLS 1.3 only, X25519 only, mutually authenticated: by self-signed certificates that are accepted
/// by pinned SHA-256, or by a pair key (psk_dhe_ke), in no other way. No session tickets, no
/// resumption, no early data: every connection proves its keys again.
class TlsContext {
 public:
  explicit TlsContext(const Identity& identity);
  /// A non-blocking TLS endpoint over `socket` (which it does not own).
  OpensslPtr<SSL> endpoint(int socket, bool server, PeerCheck* check) const;
  /// After the handshake; takes the pair key out of OpenSSL's memory. Nothing where there was no
  /// fresh X25519, or a pair key without one that `check` knows: the connection is to be dropped.
  static std::optional<PeerProof> proof(SSL* ssl, const PeerCheck& check);

 private:
  OpensslPtr<SSL_CTX> context_;
};

}  // namespace flexroom::net
