#pragma once

#include "arith/auth_value.h"
#include "math/fp.h"
#include "net/party.h"

namespace flexroom::arith {

/// Opening of F_p values to all parties (tls-in-mpc.md §1.5): each party sends its shares and one
/// digest of the MACs; the receiver recomputes the MACs from the shares and its keys. Verified in
/// the flow in which it is sent; nothing is left to check later, no echo is needed.
///
/// In pieces, so that other content can share the flow: message_to() and accept() are one
/// element a value and the digest of 32 bytes.
///
/// Throws   ProtocolAbort: kFpMac when a share does not fit its MAC.
/// Secure   a wrong share passes with probability 1/p.
template <typename F>
class Opening {
 public:
  /// `values` must outlive the object. `label` is part of the digest.
  Opening(net::Party& party, const F& gamma, std::span<const AuthValue<F>> values,
          std::string_view label);

  size_t message_bytes() const { return values_.size() * F::kBytes + 32; }
  Bytes message_to(PartyId peer) const;
  void accept(PartyId peer, ByteView message);
  /// The values; asserts that every peer's message was accepted.
  std::vector<F> result() const;

 private:
  net::Party& party_;
  const F& gamma_;
  std::span<const AuthValue<F>> values_;
  std::string label_;
  uint64_t counter_;
  std::vector<F> sum_;
  std::vector<bool> accepted_;
};

/// The whole flow, to all.
template <typename F>
std::vector<F> open_values(net::Party& party, const F& gamma, std::span<const AuthValue<F>> values,
                           std::string_view label);

/// Checks that the private values [l] of `owner` are the public `claims`: the owner sends the
/// digest of their MACs alone. Throws ProtocolAbort with `failure`.
template <typename F>
void check_private_values(net::Party& party, const F& gamma, PartyId owner,
                          std::span<const AuthValue<F>> values, std::span<const F> claims,
                          std::string_view label, AbortCode failure);

}  // namespace flexroom::arith
