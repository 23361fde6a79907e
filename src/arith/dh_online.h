#pragma once

#include "arith/auth_value.h"
#include "arith/ecdh.h"
#include "math/curve.h"

namespace flexroom::arith {

/// The seven preprocessed products of a token that delta and eps are linear in (tls-in-mpc.md
/// §2.3): r, r x, r x^2, r y, r rho, r rho x, r rho x^2 for the coordinates x, y of R = sum R_i.
inline constexpr size_t kMonomials = 7;

/// Type-erased owner of a token's secrets.
class TokenSecrets {
 public:
  virtual ~TokenSecrets() = default;
};

template <typename G>
class GroupTokenSecrets : public TokenSecrets {
 public:
  using F = typename G::Field;
  ~GroupTokenSecrets() override {
    wipe(&scalar, sizeof(scalar));
    wipe(&mask, sizeof(mask));
    wipe(&gamma, sizeof(gamma));
  }
  typename G::Scalar scalar;  // k_i
  typename G::Point mask;     // R_i
  F gamma;                    // this party's key for openings
  Values<F> monomials;        // [kMonomials]
};

/// Coefficients of delta = r (X-x)^2 and eps = delta * (x(Z+R) + rho) in the monomials, for Z =
/// (X, Y): tls-in-mpc.md §2.4.
template <typename G>
struct ConversionCoefficients {
  std::array<typename G::Field, kMonomials> delta, eps;
  explicit ConversionCoefficients(const typename G::Point& z);
};

template <typename G>
std::vector<uint8_t> convert_online(net::Party& party, GroupTokenSecrets<G>& secrets,
                                    const typename G::Point& server, const Digest& view,
                                    const std::function<void()>& agreed);

/// LSB first, one byte a bit.
template <typename F>
std::vector<uint8_t> canonical_bits(const F& v) {
  const math::U256 integer = v.canonical();
  std::vector<uint8_t> bits(F::kBits);
  for (unsigned t = 0; t < F::kBits; ++t) bits[t] = math::bit_of(integer, t) ? 1 : 0;
  return bits;
}

}  // namespace flexroom::arith
