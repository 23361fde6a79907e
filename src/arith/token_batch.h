#pragma once

#include "arith/cope.h"
#include "arith/dh_online.h"
#include "arith/edabits.h"
#include "arith/input.h"
#include "arith/key_share.h"
#include "arith/quicksilver.h"
#include "arith/triples.h"

namespace flexroom::arith {

/// What one party chooses for one token. random() is what an honest party does; the elements are
/// separate from what they should be, so that tests can play a party that lies.
template <typename G>
struct TokenWitness {
  using F = typename G::Field;
  typename G::Scalar k;          // key share
  KeyContribution<G> key_proof;  // K_i and the proof for it
  typename G::Point mask;        // R_i = rho' G
  F x, y, w;                     // claimed coordinates of R_i and x^2
  F r;                           // share of the random factor
  std::vector<F> shields;        // [n-1] shares of m: hide the denominators of the point additions
  MaskWitness<F> eda;            // rho_i

  static TokenWitness random(net::Party& party, const Digest& token_id);
  TokenWitness() = default;
  TokenWitness(TokenWitness&&) = default;
  TokenWitness& operator=(TokenWitness&&) = default;
  ~TokenWitness() {
    wipe(&k, sizeof(k));
    wipe(&mask, sizeof(mask));
    for (F* element : {&x, &y, &w, &r}) wipe(element, sizeof(F));
    wipe(shields.data(), shields.size() * sizeof(F));
  }
};

/// A batch of tokens in the stages of tls-in-mpc.md §1.11. The order of coins and messages is what
/// the checks rest on: no value that a party sends after a coin is a coefficient or a claim of a
/// check whose randomness comes from that coin.
template <typename G>
class TokenBatch {
 public:
  using F = typename G::Field;

  /// `ids`: one RO digest a token. `witnesses`: this party's choices.
  TokenBatch(net::Party& party, prep::Source& source, Cope<F>& cope, std::vector<Digest> ids,
             std::vector<TokenWitness<G>> witnesses);

  /// All stages.
  std::vector<Token> run();

 private:
  // Elements of one token in the first input, per owner.
  enum Slot : size_t {
    kX,
    kY,
    kW,
    kR,
    kEda,
    kShields = kEda + PrivateEdaBits<F>::kElementsPerMask
  };
  size_t slots() const { return kShields + party_.num_parties() - 1; }
  size_t triples_per_token() const { return 4 * (party_.num_parties() - 1) + 6; }
  const AuthValue<F>& element(PartyId owner, size_t token, size_t slot) const {
    return first_->values()[owner][token * slots() + slot];
  }
  AuthValue<F> shared(size_t token, size_t slot) const;

  void authenticate_choices();
  void second_stage(const Digest& coin1);
  void check_all(const Digest& coin2);
  void prove_points(const Digest& coin2);
  void add_points();
  void make_monomials();
  std::vector<Token> finish();

  net::Party& party_;
  prep::Source& source_;
  Cope<F>& cope_;
  std::vector<Digest> ids_;
  std::vector<TokenWitness<G>> witnesses_;
  std::vector<MaskWitness<F>> eda_witnesses_;
  std::vector<typename G::Point> keys_;

  std::optional<PrivateEdaBits<F>> edabits_;
  std::optional<PrivateInput<F>> first_, second_;
  std::optional<TripleBatch<F>> triple_batch_;
  std::optional<TripleStock<F>> stock_;
  Values<F> x_, y_;                   // [R] of every token
  std::vector<Values<F>> monomials_;  // [token][kMonomials]
};

}  // namespace flexroom::arith
