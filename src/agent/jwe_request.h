#pragma once

#include <string>
#include <string_view>

#include "arith/rsa_key.h"
#include "circuits/jwe.h"

namespace flexroom::agent {

/// How a secret is encrypted for a service (RFC 7518 §4.3, §5.3). Both hashes of OAEP are the one
/// that the name says: SHA-1 for RSA-OAEP, SHA-256 for RSA-OAEP-256.
struct JweMethod {
  enum class Algorithm : uint8_t { kRsaOaep, kRsaOaep256 };
  enum class Encryption : uint8_t { kA128Gcm, kA256Gcm };
  Algorithm algorithm = Algorithm::kRsaOaep256;
  Encryption encryption = Encryption::kA256Gcm;

  /// Of the names in a purpose, as "RSA-OAEP-256", "A256GCM". Throws InputError for others: direct
  /// RSA of a secret too, whose ciphertext would be public (tls-in-mpc.md §5.9).
  static JweMethod named(std::string_view algorithm, std::string_view encryption);
  std::string_view algorithm_name() const;
  std::string_view encryption_name() const;
  circuits::OaepHash hash() const;
  size_t cek_bytes() const;
};

/// The key of a page, as a flow opened its members `n`, `e` and `kid`.
struct JweKey {
  arith::RsaPublicKey rsa;
  std::string kid;
  /// n and e: base64url of integers without leading zeros (RFC 7518 §6.3.1). kid: 1 to 128
  /// printable ASCII characters. Throws ProtocolAbort(kServer), also for what
  /// arith::RsaPublicKey refuses.
  static JweKey checked(std::string_view n, std::string_view e, std::string_view kid);
};

/// {"alg":..,"enc":..,"kid":..} without blanks, in this order.
std::string jwe_header(const JweMethod& method, std::string_view kid);

/// One JWE to be made. All of it is public and agreed.
struct JweRequest {
  static constexpr size_t kMaxHeaderBytes = 1024;
  static constexpr size_t kMaxSecretBytes = 1024;

  JweMethod method;
  arith::RsaPublicKey key;
  /// The protected header: its bytes are used as they are.
  std::string header;
  /// Of the secret, fixed at its birth: the length of the JWE shows it.
  size_t secret_bytes = 0;
  /// Of the one request that carries it; made of everything agreed about it, key.digest() too, and
  /// of the session's id: marks last as long as their session. Zero is none.
  Digest request_id{};

  circuits::JweShape shape(size_t num_parties) const;
  /// Bytes of the compact form. Depends on nothing else than the lengths above.
  size_t text_bytes() const;
  /// Throws InputError: header or secret empty or longer than above, no request id.
  void require_bounds() const;
};

}  // namespace flexroom::agent
