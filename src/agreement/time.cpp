#include "agreement/time.h"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "base/codec.h"

namespace flexroom {

int64_t time_of_first(std::span<const uint64_t> said, PartyId self) {
  // Bounded first: the difference of any two 64-bit numbers may overflow.
  constexpr uint64_t kYear9999 = 253'402'300'799;
  const auto time_of = [&](PartyId j) {
    return static_cast<int64_t>(std::min(said[j], kYear9999));
  };
  const int64_t agreed = time_of(0);
  const auto is_off = [&](PartyId j) { return std::llabs(time_of(j) - agreed) > kMaxSkewSeconds; };
  for (PartyId k = 1; k < said.size(); ++k) {
    const PartyId j = is_off(self) ? self : k;  // one's own clock first
    const int64_t other = time_of(j);
    if (!is_off(j)) continue;
    const bool mine = j == self;
    const int64_t there = mine ? agreed : other, here = mine ? other : agreed;
    const bool about_us = mine || self == 0;
    throw ProtocolAbort(
        AbortCode::kRefusedByRule, "clock",
        fmt::format("its clock is {} s away from {} ({:%Y-%m-%d %H:%M:%S}Z there, "
                    "{:%Y-%m-%d %H:%M:%S}Z {}); at most {} s are allowed. Set the clocks (ntp) and "
                    "run again",
                    std::llabs(other - agreed), about_us ? "ours" : "the first member's",
                    fmt::gmtime(static_cast<std::time_t>(there)),
                    fmt::gmtime(static_cast<std::time_t>(here)),
                    about_us ? "here" : "at the first member", kMaxSkewSeconds),
        mine ? 0 : j);
  }
  return agreed;
}

int64_t agree_on_time(net::Party& party, int64_t clock) {
  // Broadcasts before this one are none of this checkpoint's business: a difference there is
  // cheating, not a disagreement about the time.
  party.echo("run/before time");
  const auto own = static_cast<uint64_t>(clock);
  const std::vector<Bytes> messages = party.exchange("run/time", Writer().u64(own).bytes());
  party.echo("run/time", AbortCode::kDisagreement);  // all judge the same
  std::vector<uint64_t> said;
  for (PartyId j = 0; j < messages.size(); ++j) {
    said.push_back(Reader(messages[j], "run/time", j).u64());
  }
  return time_of_first(said, party.id());
}

std::string amz_date(int64_t unix_seconds) {
  return fmt::format("{:%Y%m%dT%H%M%SZ}", fmt::gmtime(static_cast<std::time_t>(unix_seconds)));
}

}  // namespace flexroom
