#pragma once

#include <memory>
#include <mutex>

#include "prep/prep.h"

namespace flexroom::support {

/// A trusted dealer for tests of the layers above prep/: hands out correct correlated randomness
/// without any message. One Dealer is shared by all party threads; party i asks source(i). Parties
/// must make the same calls in the same order, as with the real thing.
class Dealer {
 public:
  struct State;  // defined in dealer.cpp
  explicit Dealer(size_t num_parties, uint64_t seed = 7);
  ~Dealer();
  /// Owned by the dealer, lives as long as it; use from one thread at a time.
  prep::Source& source(PartyId party);
  /// Global key of any party, for assertions.
  Block delta(PartyId party) const;
  /// Authenticated sharing of given bits (random shares): what a secret store would hold.
  prep::AuthBits share_bits(PartyId party, uint64_t id, const std::vector<uint8_t>& bits);

 private:
  std::unique_ptr<State> state_;
};

}  // namespace flexroom::support
