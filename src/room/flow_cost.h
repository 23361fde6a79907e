#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/config.h"
#include "flow/plan.h"
#include "room/flow_request.h"

namespace flexroom::room {

/// AND gates of a JWE under a key of 4096 bits, which the service may choose: of each 16 bytes of
/// its secret, and of each member above two.
inline constexpr uint64_t kJweAnds = 540'500, kJweBlockAnds = 7'600, kJweMemberAnds = 12'289;

/// What a step takes under each suite, that of its host first: gates of the circuits that a run
/// makes of it, which tell how many they are (call_costs(), agent/circuit_counts.h), at most. Empty
/// for a step that asks, and for one that no run can make yet (require_bound()).
///
/// Bounds  what the file does not tell of a request counts as 64 bytes a value; a signed step as if
///         the day's key were not there; of an answer everything is counted that is prepared for it
std::vector<flow::StepCost> step_costs(const RoomConfig& room, const flow::Flow& flow,
                                       const flow::Step& step,
                                       const std::map<std::string, std::string>& arguments,
                                       const BootScript* script = nullptr);
/// The same for plan_text(); what is given outlives it.
flow::CostsOf costs_of(const RoomConfig& room, const flow::Flow& flow,
                       const std::map<std::string, std::string>& arguments,
                       const BootScript* script = nullptr);

/// For a file that is read where there is no room: a new one of two members, whose provider serves
/// every host.
RoomConfig nobodys_room(const flow::Flow& flow);

/// Of what is kept of an answer, made before the release (operations.md (a) `decode`).
uint64_t decode_ands(const flow::Step& step);

}  // namespace flexroom::room
