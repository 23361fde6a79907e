#pragma once

#include <cstdint>
#include <string>

#include "net/party.h"

namespace flexroom {

/// How far two members' clocks may be apart.
inline constexpr int64_t kMaxSkewSeconds = 300;

/// Party 0's clock in seconds since 1970, if it is within five minutes of this member's; throws
/// kRefusedByRule otherwise (SigV4 scopes are checked by every member against its own clock).
int64_t agree_on_time(net::Party& party);
/// The same of a time that party 0 has said beside something else; the caller has it compared by
/// all (echo). At party 0 itself `own` is what it said.
int64_t time_of_first(const net::Party& party, uint64_t said, int64_t own);
/// "20260102T030405Z"
std::string amz_date(int64_t unix_seconds);

}  // namespace flexroom
