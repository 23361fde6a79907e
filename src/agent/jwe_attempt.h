#pragma once

#include <memory>
#include <vector>

#include "agent/connection.h"
#include "agent/jwe_request.h"

namespace flexroom::agent {

/// The compact form of a JWE. Header, encrypted key and initialisation vector are public text; the
/// ciphertext and the tag are shares (see JweAttempt).
struct JweText {
  Bytes public_text;                  // all bytes, constant bits in place, secret bits 0
  std::vector<uint32_t> secret_bits;  // positions (8 * byte + bit), ascending
  prep::AuthBits bits;                // one share a position
};

/// One JWE of a shared secret, for one request (operations.md §(e), tls-in-mpc.md §5.9): content
/// encryption key, OAEP seed, initialisation vector and blinding factors are born in it, and there
/// is no way to encrypt with them again.
///
/// Use        construct, encrypt(): all before the connection that carries it. text() for the
///            request of the same id. retire() or destruction at A3, and at every abort
/// Guarantee  the JWE opens to the secret under `key`, or the members abort, or a corrupted member
///            gave away its own blinding factor: then the service cannot decrypt it, whatever the
///            secret is (attacks 35, 61)
/// Opened     the masked block c, w, H behind R, masked blocks of GHASH. Never ciphertext, tag,
///            content encryption key or encoded block: encrypted_key is public, and a service that
///            tells decoding errors apart decrypts it for whoever asks often enough; the secrecy of
///            the ciphertext is what keeps the secret then
/// Aborts     kDisagreement (another key, header, length or request id), kRefusedByRule (request
///            id that had a JWE in this session), those of arith::RsaBlinding, boolean::Engine and
///            SecretGcmTag. An abort voids the object; a fresh attempt needs a fresh request id
/// Cost       n = 2, 2048 bits, RSA-OAEP-256, A256GCM, 24 bytes: see num_ands(); 14.6 MB of
///            arithmetic a direction
class JweAttempt {
 public:
  /// Everything that does not depend on a published power. `secret` [8 * secret_bytes], byte 0
  /// first, is unchanged. Throws InputError for a request out of bounds.
  JweAttempt(const Context& context, JweRequest request, const prep::AuthBits& secret);
  ~JweAttempt();
  JweAttempt(JweAttempt&&) noexcept;
  JweAttempt& operator=(JweAttempt&&) noexcept;

  /// Of both circuits.
  uint64_t num_ands() const;
  /// Once. The request id is marked as used before anything that depends on a blinding factor
  /// leaves.
  void encrypt();
  /// Throws ProtocolAbort(kRefusedByRule): another request, not encrypted, aborted or retired.
  const JweText& text(const Digest& request_id) const;
  /// Nothing is left of it.
  void retire() noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// ANDs of a JWE of this shape, both circuits; for plans.
uint64_t jwe_num_ands(const circuits::JweShape& shape);

}  // namespace flexroom::agent
