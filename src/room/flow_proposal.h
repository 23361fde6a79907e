#pragma once

#include "agreement/proposal.h"
#include "config/config.h"
#include "flexroom/session.h"
#include "flow/flow.h"

namespace flexroom::room {

/// What all members approve of one confirmed run of a flow (operations.md (c)): which run, the
/// arguments, the plan with what it leaves, keeps, opens and leaks, how every value is drawn, and
/// the file itself, byte for byte. `file_text` is what `flow` was read from; `known`: what the room
/// has below the prefix.
agreement::Proposal flow_proposal(const RoomConfig& room, const FlowRequest& request,
                                  const flow::Flow& flow, std::string_view file_text,
                                  const std::map<std::string, std::string>& arguments,
                                  const flow::KnownValues& known);

}  // namespace flexroom::room
