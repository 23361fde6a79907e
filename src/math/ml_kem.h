#pragma once

#include <array>
#include <optional>

#include "base/hash.h"
#include "base/secret.h"
#include "math/secret_vector.h"

namespace flexroom::math {

/// Sizes of ML-KEM-768 (FIPS 203 §8, table 3).
struct MlKem768 {
  static constexpr size_t kSeed = 64;     // d || z
  static constexpr size_t kMessage = 32;  // m, the randomness of an encapsulation
  static constexpr size_t kPublicKey = 1184;
  static constexpr size_t kCiphertext = 1088;
  static constexpr size_t kShared = 32;
};

/// 256 coefficients in [0, 3329), of a polynomial or of its number-theoretic transform.
using MlKemPolynomial = std::array<int16_t, 256>;
/// k = 3 of them.
using MlKemVector = std::array<MlKemPolynomial, 3>;

/// A key pair of ML-KEM-768: KeyGen_internal and Decaps_internal of FIPS 203 §6.
///
/// Security   IND-CCA2 under Module-LWE (FIPS 203 §3.2): a ciphertext that no encapsulation made
///            gives a secret that depends on z and the ciphertext alone (implicit rejection)
/// Secrets    the seed, what is derived from it but the public key, shared secrets. Time and
///            addresses do not depend on them; they are wiped
class MlKemKey {
 public:
  /// From d || z, MlKem768::kSeed uniform bytes (asserted): equal keys from equal seeds.
  explicit MlKemKey(const SecretBytes& seed);
  MlKemKey(const MlKemKey&) = delete;
  MlKemKey& operator=(const MlKemKey&) = delete;

  /// ek, MlKem768::kPublicKey bytes.
  const Bytes& public_key() const { return public_key_; }
  /// The shared secret, MlKem768::kShared bytes; of a false ciphertext as above. The length,
  /// MlKem768::kCiphertext, is the caller's to check (asserted).
  SecretBytes decapsulate(ByteView ciphertext) const;

 private:
  Wiped<MlKemVector> s_;  // transformed, like t_ and the matrix
  MlKemVector t_;
  std::array<MlKemVector, 3> matrix_;
  SecretBytes z_;
  Bytes public_key_;
  Digest hash_{};  // H(ek)
};

struct MlKemCapsule {
  Bytes ciphertext;    // MlKem768::kCiphertext bytes
  SecretBytes shared;  // MlKem768::kShared bytes
};

/// Encaps_internal of FIPS 203 §6.2 with `m`, MlKem768::kMessage uniform bytes that are used once.
/// Nothing where the key fails the modulus check of §7.2. The lengths are the caller's to check
/// (asserted). Constant time in m.
std::optional<MlKemCapsule> ml_kem_encapsulate(ByteView public_key, const SecretBytes& m);

}  // namespace flexroom::math
