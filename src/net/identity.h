#pragma once

#include <array>
#include <ctime>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "base/secret.h"

namespace flexroom::net {

using SigningKey = std::array<uint8_t, 32>;  // Ed25519 public key
using Signature = std::array<uint8_t, 64>;

/// Who a member is: an Ed25519 key for signatures and a self-signed P-256 certificate for TLS. The
/// certificate carries the Ed25519 public key and that key's signature over the TLS public key, so
/// one pinned SHA-256 (the fingerprint that operators exchange) fixes both.
class Identity {
 public:
  /// Fresh keys; `name` is the common name, at most 64 bytes of printable ASCII. Valid 10 years:
  /// members are pinned, nobody checks the date; `flexroom status` shows it.
  static Identity make(std::string_view name);
  /// Writes member.key, tls.key (both 0600) and tls.crt into `directory` (made 0700 if missing).
  /// Throws InputError when one of them exists: an identity is never overwritten.
  void save(const std::filesystem::path& directory) const;
  /// Throws InputError when a file is missing, malformed, or readable by others.
  static Identity load(const std::filesystem::path& directory);

  const std::string& name() const { return name_; }
  const Digest& fingerprint() const { return fingerprint_; }
  const SigningKey& signing_key() const { return signing_key_; }
  ByteView certificate_der() const { return certificate_; }
  ByteView tls_key_der() const { return tls_key_.reveal(); }
  std::time_t not_after() const;

  /// Ed25519 over length-prefixed (domain, message): a signature made for one purpose is never one
  /// for another.
  Signature sign(std::string_view domain, ByteView message) const;

 private:
  Identity() = default;
  std::string name_;
  SecretBytes seed_;     // 32 bytes
  SecretBytes tls_key_;  // PKCS#8 DER
  Bytes certificate_;    // DER
  SigningKey signing_key_{};
  Digest fingerprint_{};
};

bool verify(const SigningKey& key, std::string_view domain, ByteView message,
            const Signature& signature);

/// The Ed25519 key inside a member's certificate, after its binding to the TLS key was verified.
/// Throws InputError(place) when the certificate was not made by Identity::make.
SigningKey signing_key_of(ByteView certificate_der, std::string_view place);

/// "AB:CD:..." as operators read it to each other; parse_fingerprint takes colons or none, either
/// case, and throws InputError(place).
std::string fingerprint_text(const Digest& fingerprint);
Digest parse_fingerprint(std::string_view text, std::string_view place);

}  // namespace flexroom::net
