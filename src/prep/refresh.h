#pragma once

#include <memory>

#include "net/party.h"
#include "prep/epoch.h"
#include "prep/prep.h"

namespace flexroom::prep {

/// Carries authenticated bits from one epoch to another between the same parties: the same values
/// under new global keys, in new shares.
///
/// Protocol   boolean-engine.md §8.4. COTs of the same random bits r under the old and the new
///            Delta (§4.2, chosen bits), consistency of both instances (§4.3, also for n = 2),
///            Open e = v + r under the old keys, <v>_new = <r>_new + e. Sacrificed columns are
///            fresh for every instance, peer and batch
/// Guarantee  the new sharing has the value of the old one and every party's share of it is random:
///            r is aBit(all), so that e may be opened whoever owned v (§3.5 re-mask). To whoever is
///            no member a share of the old epoch says nothing beside one of the new
/// Not given  that among members: the opening shows every party's old share + new share. For n >= 3
///            the old share of one and the new share of another, with the rest corrupted, are the
///            value
/// Cost       a bit and direction: 8 bytes and one opened bit; a call takes about 8 flows
/// Aborts     kRowCheck, kBitConsistency, kMac, kCoin, kEcho; afterwards kCancelled. No opening
///            here is a verdict that a party could see first and hide, so nothing counts as
///            unfinished (§10.3)
/// Threads    one; parties make the same calls with bits of equal size
class BitRefresh {
 public:
  /// Runs refresh_hello(). `party`, `from` and `to` must outlive it; `safety` too, if not null: it
  /// is told around the verdicts.
  BitRefresh(net::Party& party, const EpochState& from, const EpochState& to, Safety* safety,
             uint16_t protocol);
  ~BitRefresh();
  BitRefresh(const BitRefresh&) = delete;
  BitRefresh& operator=(const BitRefresh&) = delete;

  /// `bits` are of `from`; the result is of `to`. 64 bytes of memory a bit and peer meanwhile.
  AuthBits refresh(const AuthBits& bits);

 private:
  struct Instance;
  AuthBits run(const AuthBits& bits);

  net::Party& party_;
  Safety* const safety_;
  std::unique_ptr<Instance> old_, new_;
  bool live_ = true;
};

}  // namespace flexroom::prep
