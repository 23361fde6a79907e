#pragma once

#include <vector>

#include "arith/auth_value.h"
#include "base/aes.h"
#include "math/fp.h"
#include "net/party.h"
#include "prep/prep.h"

namespace flexroom::arith {

/// Correlated oblivious product evaluation (MASCOT, tls-in-mpc.md §1.2, §1.3), all ordered pairs.
///
/// Each party draws its global key Gamma for this prime once, and receives one seed of every pair
/// by oblivious transfer with the bits of Gamma as choices. The owner of x then turns each seed
/// pair into a correction; holder and verifier end with M = K + x * Gamma. Nothing is checked here:
/// a corrupted owner may use a different x for every bit of Gamma. input.h checks.
template <typename F>
class Cope {
 public:
  /// Runs the oblivious transfers with every peer (F::kBits each direction).
  Cope(net::Party& party, prep::Source& source);
  ~Cope();
  Cope(const Cope&) = delete;
  Cope& operator=(const Cope&) = delete;

  const F& gamma() const { return gamma_; }

  /// Every party inputs own.size() private elements (the same number everywhere).
  /// Out  [owner][l], unchecked. Bytes F::kBytes * F::kBits a peer and element.
  std::vector<Values<F>> extend(std::span<const F> own, std::string_view label);

 private:
  struct Peer {
    std::vector<Aes128> seed0, seed1;  // [kBits] this party is the owner of x
    std::vector<Aes128> chosen;        // [kBits] this party is the verifier
    uint64_t sent = 0, received = 0;   // elements so far: PRG counters, never reused
  };

  void send_corrections(PartyId to, std::span<const F> own, std::string_view label,
                        Values<F>& values);
  void receive_corrections(PartyId from, std::string_view label, Values<F>& values);

  net::Party& party_;
  F gamma_;
  math::SecretVector<uint8_t> choices_;  // bits of the integer Gamma, LSB first
  std::vector<Peer> peers_;
};

}  // namespace flexroom::arith
