#pragma once

#include "arith/cope.h"

namespace flexroom::arith {

/// Pi_Auth (tls-in-mpc.md §1.4): every party authenticates private elements of its own towards all
/// others, and a random combination, masked by one extra random element, shows that it used the
/// same elements for every bit of Gamma and towards every verifier.
///
/// Split, because the coefficients must come from a coin that follows the corrections of all.
///
/// Throws   ProtocolAbort: kFpAuth when the combination of a peer does not verify.
/// Secure   a wrong element survives with probability 1/p; t bits of Gamma are learned with
///          probability 2^-t (MASCOT); the combination shows nothing (mask).
/// Source   MASCOT 2016/505, Pi_[[.]]; tls-in-mpc.md §1.4
template <typename F>
class PrivateInput {
 public:
  /// Sends and receives the corrections for `own` and the mask. `label` names the step.
  PrivateInput(net::Party& party, Cope<F>& cope, std::span<const F> own, std::string_view label);

  /// `coin` was tossed after the constructor returned at all parties. n > 2: the caller echoes
  /// before anything that depends on the values is opened.
  void check(const Digest& coin);

  /// [owner][l]; only after check().
  const std::vector<Values<F>>& values() const;

 private:
  net::Party& party_;
  Cope<F>& cope_;
  std::string label_;
  std::vector<Values<F>> values_;  // [owner], the mask last until check()
  bool checked_ = false;
};

}  // namespace flexroom::arith
