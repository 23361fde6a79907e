#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "flow/flow.h"

namespace flexroom::flow {

/// What a step takes under one cipher suite, at most: AND gates by what they are for, and the bytes
/// that their preprocessing and what tags take sends to each other member.
struct StepCost {
  std::string suite;  // as room.toml has it
  uint64_t handshake = 0, request = 0, answer = 0;
  /// Of the handshake, what `client_auth = "none"` takes.
  uint64_t client_flight = 0;
  /// More gates where it needs a connection of its own in place of the one that it shares.
  uint64_t renewed = 0;
  std::string pad;       // of the host's entry, where its requests are padded
  uint64_t padding = 0;  // gates of the request that this takes
  double bytes = 0;
  uint64_t total() const { return handshake + request + answer; }
};
/// Of a step under each suite, the one that is offered to its host first; empty: it is not counted
/// (room/flow_cost.h).
using CostsOf = std::function<std::vector<StepCost>(const Step& step)>;

/// What all members are shown of a flow before anything runs: of every step what leaves, is kept
/// and opened, which lengths are seen, what it costs under each suite, if `costs` says so; then
/// which suite each host is offered, which of them gets no client certificate where it asks for
/// one, what is left at the provider and what is leaked, of names that `room` does not tell both
/// ways (operations.md (a)). `spent`: bits that the ledger has booked, by name; `arguments` show
/// what each member could tell a support desk.
std::string plan_text(const Flow& flow, const std::map<std::string, std::string>& arguments = {},
                      const KnownValues& room = {},
                      const std::map<std::string, unsigned>& spent = {},
                      const CostsOf& costs = nullptr);

}  // namespace flexroom::flow
