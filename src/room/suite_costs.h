#pragma once

#include <vector>

#include "call/recipe_call.h"
#include "config/config.h"
#include "flexroom/session.h"

namespace flexroom::room {

/// Bytes that so many gates take to each other member before they are used, in this room.
double gate_bytes_to_each_peer(const RoomConfig& room, uint64_t ands);

/// What a plan shows of a call: under each suite, that of `shape` first.
std::vector<SuiteCost> suite_costs(const RoomConfig& room, const OpenCall& call,
                                   const CallLayout& layout, const ConnectionShape& shape);

/// What `pad` makes of that request, and of others to the same host.
PaddingPlan padding_plan(const agent::RequestPlan& request, const ConnectionShape& shape);

}  // namespace flexroom::room
