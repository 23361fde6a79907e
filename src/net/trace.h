#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/hash.h"
#include "net/interposer.h"

namespace flexroom::net {

struct TraceEntry {
  MessageId message;
  Digest digest{};  // of the payload; zero unless digests were asked for
};

/// What one party sent and received. Rounds are counted as flow changes: a receive that follows a
/// send begins a new half round.
struct Traffic {
  uint64_t bytes_sent = 0;
  uint64_t bytes_received = 0;
  uint64_t messages_sent = 0;
  uint64_t half_rounds = 0;
  std::map<std::string, uint64_t> bytes_sent_by_label;

  Traffic since(const Traffic& earlier) const;
};

}  // namespace flexroom::net
