#pragma once

#include <span>

#include "base/error.h"
#include "math/secret_vector.h"

namespace flexroom::arith {

/// This party's view of one authenticated element [x] of F_p (tls-in-mpc.md §0.2): its share x_i,
/// for every peer j its MAC M_ij = K_ji + x_i * Gamma_j, and its key K_ij for the share of j.
/// Sums and public multiples act on all components alike. A *private* value of P_i has x_j = 0
/// elsewhere. Wiped on destruction.
template <typename F>
class AuthValue {
 public:
  AuthValue() = default;
  explicit AuthValue(size_t num_parties) : v_(1 + 2 * num_parties) {}

  F& share() { return v_[0]; }
  const F& share() const { return v_[0]; }
  /// M_ij, towards the verifier j.
  F& mac(PartyId j) { return v_[1 + j]; }
  const F& mac(PartyId j) const { return v_[1 + j]; }
  /// K_ij, for the share of j.
  F& key(PartyId j) { return v_[1 + num_parties() + j]; }
  const F& key(PartyId j) const { return v_[1 + num_parties() + j]; }
  size_t num_parties() const { return (v_.size() - 1) / 2; }

  AuthValue& operator+=(const AuthValue& o) {
    FLEXROOM_ASSERT(v_.size() == o.v_.size());
    for (size_t t = 0; t < v_.size(); ++t) v_[t] += o.v_[t];
    return *this;
  }
  AuthValue& operator-=(const AuthValue& o) {
    FLEXROOM_ASSERT(v_.size() == o.v_.size());
    for (size_t t = 0; t < v_.size(); ++t) v_[t] -= o.v_[t];
    return *this;
  }
  AuthValue& operator*=(const F& c) {
    for (F& t : v_) t *= c;
    return *this;
  }
  friend AuthValue operator+(AuthValue a, const AuthValue& b) {
    a += b;
    return a;
  }
  friend AuthValue operator-(AuthValue a, const AuthValue& b) {
    a -= b;
    return a;
  }
  friend AuthValue operator*(AuthValue a, const F& c) {
    a *= c;
    return a;
  }

  /// [x] + c for public c: `holder` adds it to its share, everybody else shifts the key it has for
  /// the holder (tls-in-mpc.md §0.3(3)). `gamma` is the caller's global key.
  void add_constant(const F& c, PartyId self, const F& gamma, PartyId holder = 0) {
    if (self == holder) {
      share() += c;
    } else {
      key(holder) -= c * gamma;
    }
  }

 private:
  math::SecretVector<F> v_;
};

template <typename F>
using Values = std::vector<AuthValue<F>>;

}  // namespace flexroom::arith
