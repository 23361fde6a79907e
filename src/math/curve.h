#pragma once

#include <optional>

#include "math/fp.h"

namespace flexroom::math {

/// Point of y^2 = x^3 + a2 x^2 + a4 x + a6 in affine coordinates, or the neutral element.
template <typename F>
struct AffinePoint {
  F x, y;
  bool infinity = false;
  static AffinePoint neutral() { return {F(), F(), true}; }
  friend bool operator==(const AffinePoint& a, const AffinePoint& b) {
    return a.infinity == b.infinity && (a.infinity || (a.x == b.x && a.y == b.y));
  }
};

/// Curve25519 in Montgomery form; prime subgroup of order q, cofactor 8 (RFC 7748).
struct X25519Group {
  using Field = F25519;
  using Scalar = Q25519;
  using Point = AffinePoint<Field>;
  static constexpr Field kA2 = Field::from_u64(486662);
  static constexpr Field kA4 = Field::from_u64(1);
  static constexpr Field kA6 = Field();
  static constexpr U256 kGeneratorX = {9, 0, 0, 0};
  static constexpr U256 kGeneratorY = {0x29e9c5a27eced3d9u, 0x923d4d7e6d7c61b2u,
                                       0xe01edd2c7748d14cu, 0x20ae19a1b8a086b4u};
  static constexpr size_t kShareBytes = 32;
};

/// NIST P-256; prime order, cofactor 1 (FIPS 186-4).
struct P256Group {
  using Field = FP256;
  using Scalar = QP256;
  using Point = AffinePoint<Field>;
  static constexpr Field kA2 = Field();
  static constexpr Field kA4 = Field() - Field::from_u64(3);
  static constexpr Field kA6 = Field::from_reduced(
      {0x3bce3c3e27d2604bu, 0x651d06b0cc53b0f6u, 0xb3ebbd55769886bcu, 0x5ac635d8aa3a93e7u});
  static constexpr U256 kGeneratorX = {0xf4a13945d898c296u, 0x77037d812deb33a0u,
                                       0xf8bce6e563a440f2u, 0x6b17d1f2e12c4247u};
  static constexpr U256 kGeneratorY = {0xcbb6406837bf51f5u, 0x2bce33576b315eceu,
                                       0x8ee7eb4a7c0f9e16u, 0x4fe342e2fe1a7f9bu};
  static constexpr size_t kShareBytes = 65;
};

template <typename G>
typename G::Point generator() {
  return {G::Field::from_reduced(G::kGeneratorX), G::Field::from_reduced(G::kGeneratorY), false};
}

/// True for affine solutions of the curve equation and for the neutral element.
template <typename G>
bool on_curve(const typename G::Point& p);

template <typename G>
typename G::Point negate(const typename G::Point& p);

/// k * p in constant time. `p` must lie in the subgroup of prime order q: there the complete
/// formulas of Renes, Costello and Batina (2015/1060, algorithm 1) have no exceptional case. The
/// scalar is secret; only whether the result is neutral (k = 0) may show.
template <typename G>
typename G::Point multiply(const typename G::Scalar& k, const typename G::Point& p);

/// a + b, any points of the curve, all exceptional cases handled. The points may be secret only as
/// far as their being equal, opposite or neutral may be known; both are so for independent random
/// points.
template <typename G>
typename G::Point add_points(const typename G::Point& a, const typename G::Point& b);

/// k * p for any point and integer; variable time, public arguments only.
template <typename G>
typename G::Point multiply_vartime(const U256& k, const typename G::Point& p);

/// q * p = O, for a public point of the curve.
template <typename G>
bool in_prime_subgroup_vartime(const typename G::Point& p);

/// sum of a public multiexponentiation: is z * G = t + c * k? (Schnorr; public values.)
template <typename G>
bool schnorr_equation_vartime(const typename G::Scalar& z, const typename G::Point& t,
                              const typename G::Scalar& c, const typename G::Point& k);

/// The point over u with even v, or nullopt if u belongs to the twist. Variable time.
std::optional<X25519Group::Point> lift_even_vartime(const F25519& u);

/// Key share as it stands in the TLS key_share extension: u (32 bytes little-endian) resp. the
/// uncompressed point (65 bytes).
template <typename G>
Bytes encode_share(const typename G::Point& p);

/// Public checks of tls-in-mpc.md §2.4: on the curve (not the twist), in the prime subgroup, not
/// neutral; P-256 in canonical encoding, X25519 with the top bit masked and u reduced. nullopt if
/// one fails. X25519 shares are lifted with even v.
template <typename G>
std::optional<typename G::Point> decode_share(ByteView share);

/// x | y, 32 bytes each, big-endian: points between members.
template <typename G>
void append_point(Bytes& out, const typename G::Point& p);
/// nullopt unless both are canonical and the point is on the curve.
template <typename G>
std::optional<typename G::Point> parse_point(std::span<const uint8_t, 64> in);

}  // namespace flexroom::math
