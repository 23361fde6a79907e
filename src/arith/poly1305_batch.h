#pragma once

#include "arith/cope.h"
#include "arith/edabits.h"
#include "arith/input.h"
#include "arith/poly1305.h"
#include "arith/triples.h"

namespace flexroom::arith {

/// Of one tag, over F_p with p = 2^130 - 5.
class Poly1305Secrets {
 public:
  using F = math::FPoly1305;
  ~Poly1305Secrets() { wipe(&gamma, sizeof(gamma)); }

  F gamma;               // this party's key for openings
  Values<F> rho_powers;  // rho^1 .. rho^baby, rho = sum rho_i
  Values<F> g_powers;    // g^1 .. g^giant_powers of the random mask g of r^baby
  AuthValue<F> sigma;    // sum sigma_i
  std::optional<TripleStock<F>> products;
};

/// What one party chooses for one tag; separate from what it authenticates, so that tests can play
/// a party that lies.
struct Poly1305Witness {
  using F = math::FPoly1305;
  MaskWitness<F> rho, sigma;
  F g;  // share of the mask of r^baby

  static Poly1305Witness random(Prg& prg);
  ~Poly1305Witness() { wipe(&g, sizeof(g)); }
};

/// Masks of a batch of tags, in the stages of tls-in-mpc.md §1.11 and with their order of coins and
/// messages: what a party sends after a coin is no coefficient and no claim of a check whose
/// randomness comes from that coin.
class Poly1305Batch {
 public:
  using F = math::FPoly1305;

  /// `ids`: one RO digest a tag; `plans` and `witnesses` likewise.
  Poly1305Batch(net::Party& party, prep::Source& source, Cope<F>& cope, std::vector<Digest> ids,
                std::vector<Poly1305Plan> plans, std::vector<Poly1305Witness> witnesses);

  /// All stages.
  std::vector<Poly1305Masks> run();

 private:
  // Elements of one tag in the first input, per owner.
  enum Slot : size_t {
    kRho,
    kSigma = kRho + PrivateEdaBits<F>::kElementsPerMask,
    kG = kSigma + PrivateEdaBits<F>::kElementsPerMask,
    kSlots
  };
  AuthValue<F> shared(size_t tag, size_t slot) const;
  void authenticate_choices();
  void second_stage(const Digest& coin1);
  void check_all(const Digest& coin2);
  void raise_powers();
  std::vector<Poly1305Masks> finish();

  net::Party& party_;
  prep::Source& source_;
  Cope<F>& cope_;
  std::vector<Digest> ids_;
  std::vector<Poly1305Plan> plans_;
  std::vector<Poly1305Witness> witnesses_;
  std::vector<MaskWitness<F>> eda_witnesses_;  // rho and sigma of every tag

  std::optional<PrivateEdaBits<F>> edabits_;
  std::optional<PrivateInput<F>> first_, second_;
  std::optional<TripleBatch<F>> triple_batch_;
  std::optional<TripleStock<F>> stock_;
  std::vector<Values<F>> powers_;  // [2 * tag]: of rho, [2 * tag + 1]: of g
};

}  // namespace flexroom::arith
