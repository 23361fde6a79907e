#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/party.h"

namespace flexroom::net {

/// Party::coin in steps, for a caller that lets the commitments leave with messages of before: a
/// flow less. Only the commitments are early: whatever the coin is about is fixed, and covered by
/// the echo of toss(), before the first contribution of an honest party leaves.
///
/// Protocol   boolean-engine.md §3.2. n = 2: party 0 commits, party 1 says its seed, party 0 opens.
///            n > 2: all commit, echo, open
/// Guarantee  128 random bits that no coalition of n-1 can bias except by aborting, and that nobody
///            knows before the first honest contribution: party 1's seed or the own opening
/// Aborts     kCoin, kEcho
/// Single use each step once, in this order; a step out of turn stops the process
class Coin {
 public:
  /// Draws this party's part. Parties make their coins in the same order.
  Coin(Party& party, std::string_view label);
  ~Coin();
  Coin(const Coin&) = delete;
  Coin& operator=(const Coin&) = delete;

  void commit();
  /// Where the peers' commitments are next on every link. n = 2: only party 0 makes one.
  void receive_commitments();
  /// This party's contribution, and what comes of all.
  Digest toss();

 private:
  enum class State : uint8_t { kNew, kCommitted, kReceived, kTossed };
  void go(State from, State to);
  bool two() const { return party_.num_parties() == 2; }
  Digest commitment(PartyId of, ByteView opening) const;
  void exchange_of_two();
  void exchange_of_many();

  Party& party_;
  const uint64_t counter_;
  const std::string label_, commit_label_, open_label_;
  State state_ = State::kNew;
  std::vector<Bytes> commitments_, openings_;  // by party; an opening is seed, nonce
};

}  // namespace flexroom::net
