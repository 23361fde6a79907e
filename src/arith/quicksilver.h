#pragma once

#include <functional>

#include "arith/auth_value.h"
#include "math/fp.h"
#include "net/party.h"
#include "prep/prep.h"

namespace flexroom::arith {

/// QuickSilver proofs (tls-in-mpc.md §1.7): an owner shows that its private authenticated values
/// satisfy public relations of degree 2.
///
/// `coin` must be tossed after the last public value that occurs as a coefficient of a relation was
/// received (coin 2 of §1.11). The owner has an independent mask for every verifier: with one mask,
/// two colluding verifiers get an equation in the witness.
///
/// Secure   a false relation passes with probability 3/p resp. 2^-125; the proof shows nothing.
/// Source   Yang, Sarkar, Weng, Wang 2021/076; tls-in-mpc.md §1.7

/// sum c x y + sum c x + constant = 0 over indices into the owner's values.
template <typename F>
struct Relation {
  struct Quadratic {
    F c;
    size_t x, y;
  };
  struct Linear {
    F c;
    size_t x;
  };
  std::vector<Quadratic> quadratic;
  std::vector<Linear> linear;
  F constant;
};

/// Which of an owner's n-1 masks serves `verifier`.
inline size_t mask_index(PartyId owner, PartyId verifier) {
  return verifier < owner ? verifier : verifier - 1;
}

/// Proof by `owner` over its private `values`; masks [n-1] are random private values of it, used
/// up. Throws ProtocolAbort(kFpProof).
template <typename F>
void prove_relations(net::Party& party, const F& gamma, PartyId owner, const Values<F>& values,
                     const Values<F>& masks, std::span<const Relation<F>> relations,
                     const Digest& coin, std::string_view label);

/// The owner's two elements (U0, U1) for one verifier, exposed for the test of §8 attack 5c.
template <typename F>
std::array<F, 2> relation_proof(PartyId verifier, const Values<F>& values, const AuthValue<F>& mask,
                                std::span<const Relation<F>> relations, std::span<const F> chi);

/// Receives relations x * y + w = 0 over GF(2), each operand as a block: the MAC (owner) or the key
/// (verifier) of a linear combination of bits.
using BitSink = std::function<void(const Block& x, const Block& y, const Block& w)>;

/// Writes the same relations at both sides. `bits` are the MACs resp. keys of the owner's bits,
/// `one` is what the public constant 1 adds to them.
using BitRelations =
    std::function<void(std::span<const Block> bits, const Block& one, const BitSink& sink)>;

/// Proof by `owner` over its private bits; masks [128 (n-1)] are random private bits of it, used
/// up. The owner takes the constant holder's role (§0.3(3)). Throws ProtocolAbort(kBitProof).
void prove_bit_relations(net::Party& party, const Block& delta, PartyId owner,
                         const prep::AuthBits& bits, const prep::AuthBits& masks,
                         const BitRelations& relations, const Digest& coin, std::string_view label);

}  // namespace flexroom::arith
