#include "agreement/time.h"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "base/codec.h"

namespace flexroom {

int64_t time_of_first(const net::Party& party, uint64_t said, int64_t own) {
  if (party.id() == 0) return own;
  // Bounded first: the difference of any two 64-bit numbers may overflow.
  constexpr uint64_t kYear9999 = 253'402'300'799;
  const auto agreed = static_cast<int64_t>(std::min(said, kYear9999));
  if (agreed >= own - kMaxSkewSeconds && agreed <= own + kMaxSkewSeconds) return agreed;
  throw ProtocolAbort(
      AbortCode::kRefusedByRule, "clock",
      fmt::format("its clock is {} s away from ours ({:%Y-%m-%d %H:%M:%S}Z "
                  "there, {:%Y-%m-%d %H:%M:%S}Z here); at most {} s are "
                  "allowed. Set the clocks (ntp) and run again",
                  std::llabs(agreed - own), fmt::gmtime(static_cast<std::time_t>(agreed)),
                  fmt::gmtime(static_cast<std::time_t>(own)), kMaxSkewSeconds),
      0);
}

int64_t agree_on_time(net::Party& party) {
  // Broadcasts before this one are none of this checkpoint's business: a difference there is
  // cheating, not a disagreement about the time.
  party.echo("run/before time");
  const int64_t own = std::time(nullptr);
  int64_t agreed = own;
  if (party.id() == 0) {
    Writer message;
    message.u64(static_cast<uint64_t>(own));
    party.broadcast("run/time", message.bytes());
  } else {
    const Bytes message = party.receive_broadcast(0, "run/time", 8);
    agreed = time_of_first(party, Reader(message, "run/time", 0).u64(), own);
  }
  party.echo("run/time", AbortCode::kDisagreement);
  return agreed;
}

std::string amz_date(int64_t unix_seconds) {
  return fmt::format("{:%Y%m%dT%H%M%SZ}", fmt::gmtime(static_cast<std::time_t>(unix_seconds)));
}

}  // namespace flexroom
