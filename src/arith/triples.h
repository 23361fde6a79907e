#pragma once

#include "arith/auth_value.h"
#include "math/fp.h"
#include "net/party.h"
#include "prep/prep.h"

namespace flexroom::arith {

/// [a], [b], [c = a b].
template <typename F>
struct Triple {
  AuthValue<F> a, b, c;
};

/// Multiplication triples after MASCOT with pairwise MACs (tls-in-mpc.md §1.6).
///
/// Use, in the order of §1.11: construct (oblivious products); coin 1; append_elements() and
/// Pi_Auth; coin 2; sacrifice().
///
/// Throws   ProtocolAbort(kFpSacrifice) when a pair does not satisfy the relation, kFpMac.
/// Secure   a wrong triple passes with probability 2/p. A sender that adds an error to one product
///          learns one bit of a by whether the run aborts; a stays uniform to 2^-80 for up to 95
///          such bits, because it is a random combination of kTau vectors of bits.
/// Bytes    kTau * F::kBits * F::kBytes a triple and ordered pair, besides 5 authenticated
/// elements.
template <typename F>
class TripleBatch {
 public:
  static constexpr size_t kTau = 3;
  static constexpr size_t kElementsPerTriple = 5;  // a, b, c and the sacrificed a^, c^

  TripleBatch(net::Party& party, prep::Source& source, size_t count);

  /// This party's shares of (a, b, c, a^, c^) of every triple.
  void append_elements(const Digest& coin1, math::SecretVector<F>& out) const;

  /// `shared` [count * kElementsPerTriple]: the authenticated sums over all parties.
  std::vector<Triple<F>> sacrifice(const F& gamma, const Digest& coin2, const Values<F>& shared);

 private:
  void multiply_with_peers(prep::Source& source);

  net::Party& party_;
  size_t count_;
  math::SecretVector<uint8_t> a_bits_;  // [count][kTau][kBits]
  math::SecretVector<F> a_, c_;         // [count][kTau]
  math::SecretVector<F> b_;             // [count]
};

/// Triples of one batch, each handed out once.
template <typename F>
class TripleStock {
 public:
  explicit TripleStock(std::vector<Triple<F>> triples) : triples_(std::move(triples)) {}
  Triple<F> take() {
    FLEXROOM_ASSERT(!triples_.empty());
    Triple<F> t = std::move(triples_.back());
    triples_.pop_back();
    return t;
  }
  bool empty() const { return triples_.empty(); }

 private:
  std::vector<Triple<F>> triples_;
};

template <typename F>
struct Factors {
  const AuthValue<F>& x;
  const AuthValue<F>& y;
};

/// [x y] for every pair: Beaver multiplication, one opening for all (§1.6).
template <typename F>
Values<F> multiply(net::Party& party, const F& gamma, std::span<const Factors<F>> factors,
                   TripleStock<F>& stock, std::string_view label);

}  // namespace flexroom::arith
