#pragma once

#include <string>
#include <vector>

#include "base/hash.h"
#include "net/identity.h"
#include "net/party.h"

namespace flexroom::agreement {

/// What all members must want alike before anything is contacted: named fields in a fixed order.
/// A private value enters as its commitment, marked so that it is never shown.
struct Proposal {
  struct Field {
    std::string name;
    Bytes value;
    bool secret = false;
  };
  std::vector<Field> fields;

  Bytes canonical() const;
  Digest digest() const;
};

/// What shows to anybody who has the members' keys that all of them approved a proposal.
struct Approval {
  Digest digest{};                         // of the proposal
  Digest session{};                        // sid: one approval is for one run
  Bytes proposal;                          // its canonical form
  std::vector<net::Signature> signatures;  // [n], over (session, digest)

  Bytes encode() const;
  /// Throws InputError at `place`.
  static Approval decode(ByteView bytes, const std::string& place);
};

/// Every member's Ed25519 signature on the same digest, bound to this session (party.scope().sid).
/// Throws kDisagreement naming the first field that differs, with both values unless secret, and
/// kRefusedByRule when a signature is wrong. Then nothing was approved here.
Approval approve(net::Party& party, const net::Identity& identity,
                 const std::vector<net::SigningKey>& keys, const Proposal& proposal);

/// All members' signatures are right, and the digest is that of the proposal.
bool verify_approval(const Approval& approval, const std::vector<net::SigningKey>& keys);

}  // namespace flexroom::agreement
