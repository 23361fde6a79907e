#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/hash.h"
#include "net/interposer.h"

namespace flexroom::net {

/// One message as one of its two ends saw it: what a sender sent and what its receiver got have
/// equal message and digest.
struct TraceEntry {
  MessageId message;
  uint64_t half_round = 0;  // of the party that traces
  Digest digest{};          // SHA-256 of the payload
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
  void add(const Traffic& more);
};

}  // namespace flexroom::net
