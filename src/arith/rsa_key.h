#pragma once

#include <optional>

#include "base/bytes.h"
#include "base/hash.h"

namespace flexroom::arith {

/// The RSA public key of a service, after every check of tls-in-mpc.md §5.9(1).
///
/// The modulus came from the service: that it is the product of two large primes cannot be checked.
/// Whoever made another one knows what is encrypted under it anyway; what the checks keep out are
/// keys that would let others read, and moduli for which the arithmetic engine says nothing.
class RsaPublicKey {
 public:
  static constexpr uint32_t kExponent = 65537;

  /// In       modulus and exponent as integers, most significant byte first, no leading zero byte
  /// Throws   ProtocolAbort(kServer): e is not 65537; n is even, or not of exactly 2048, 3072 or
  ///          4096 bits, or has a factor below 2^20
  static RsaPublicKey checked(ByteView modulus, ByteView exponent);

  unsigned bits() const { return static_cast<unsigned>(8 * modulus_.size()); }
  /// bits() / 8 bytes, most significant first.
  const Bytes& modulus() const { return modulus_; }
  /// SHA-256 of both, length-prefixed: part of the request id, and what a person compares.
  Digest digest() const;

  /// v^-1 mod n, bits() / 8 bytes; nullopt if v has a factor in common with n, as 0 has. For public
  /// values: the time depends on v.
  std::optional<Bytes> inverse_vartime(ByteView v) const;

 private:
  explicit RsaPublicKey(Bytes modulus) : modulus_(std::move(modulus)) {}
  Bytes modulus_;
};

}  // namespace flexroom::arith
