#pragma once

#include <vector>

#include "math/curve.h"
#include "net/party.h"

namespace flexroom::arith {

/// Contribution of one party to the client's ECDHE key of one token (tls-in-mpc.md §2.2):
/// K_i = k_i G with a Schnorr proof that it knows k_i, bound to token, party and epoch.
template <typename G>
struct KeyContribution {
  static constexpr size_t kBytes = 64 + 64 + 32;
  typename G::Point key, commitment;
  typename G::Scalar response;

  static KeyContribution prove(net::Party& party, const Digest& token_id,
                               const typename G::Scalar& k);
  /// Everything §2.2 asks for: canonical, on the curve, prime subgroup, not neutral, the proof.
  bool verify(const RoScope& scope, const Digest& token_id, PartyId owner) const;
  void append_to(Bytes& out) const;
  static std::optional<KeyContribution> parse(std::span<const uint8_t, kBytes> in);
};

/// Commit to all contributions, then open them, then verify each: nobody chooses its key after
/// seeing another, so the sum is uniform, and nobody's key is a function of the others'.
/// Out      the sums K, one a token.
/// Throws   ProtocolAbort(kFpKeyShare), kEcho.
template <typename G>
std::vector<typename G::Point> exchange_key_shares(net::Party& party,
                                                   std::span<const Digest> token_ids,
                                                   std::span<const KeyContribution<G>> own);

}  // namespace flexroom::arith
