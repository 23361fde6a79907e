#pragma once

#include <string>
#include <vector>

#include "base/hash.h"
#include "net/identity.h"
#include "net/party.h"

namespace flexroom::store {

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

struct Approval {
  Digest digest{};                         // of the proposal
  std::vector<net::Signature> signatures;  // [n], over (session, digest)
};

/// Every member's Ed25519 signature on the same digest, bound to this session (party.scope().sid).
/// Throws kDisagreement naming the first field that differs, with both values unless secret, and
/// kRefusedByRule when a signature is wrong. Then nothing was approved here.
Approval approve(net::Party& party, const net::Identity& identity,
                 const std::vector<net::SigningKey>& keys, const Proposal& proposal);

bool verify_approval(const Approval& approval, const Digest& session,
                     const std::vector<net::SigningKey>& keys);

}  // namespace flexroom::store
