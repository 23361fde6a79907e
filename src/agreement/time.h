#pragma once

#include <cstdint>
#include <ctime>
#include <span>
#include <string>

#include "net/party.h"

namespace flexroom {

/// How far two members' clocks may be apart.
inline constexpr int64_t kMaxSkewSeconds = 300;

/// Party 0's clock in seconds since 1970. Every member says its own and judges all of them: one
/// that is more than five minutes from party 0's is refused (kRefusedByRule, with both values) by
/// each member in its own words. `clock`: this member's. SigV4 scopes are checked by every member
/// against its own clock.
int64_t agree_on_time(net::Party& party, int64_t clock = std::time(nullptr));
/// The same of times, by member, that were said beside something else; the caller has them compared
/// by all (echo).
int64_t time_of_first(std::span<const uint64_t> said, PartyId self);
/// "20260102T030405Z"
std::string amz_date(int64_t unix_seconds);

}  // namespace flexroom
