#pragma once

#include "agreement/proposal.h"
#include "config/config.h"
#include "flow/run.h"
#include "room/flow_request.h"

namespace flexroom::room {

/// What all members approve of one confirmed run of a flow (operations.md (c)): which run, the
/// arguments, the plan with what it leaves, keeps, opens and leaks, how every value is drawn, and
/// the file itself, byte for byte. `file_text` is what `flow` was read from; `outlook`: what
/// all members told; `going_on`: of --continue, what it erases and where it goes on; `key`:
/// GivenKey::text(), where there is one; `script`: of a job, for what its step costs.
agreement::Proposal flow_proposal(const RoomConfig& room, const flow::Flow& flow,
                                  std::string_view file_text,
                                  const std::map<std::string, std::string>& arguments,
                                  const flow::Outlook& outlook, const flow::GoingOn* going_on,
                                  const std::string& key = "", const BootScript* script = nullptr);

/// Of --abandon: which runs end, what is erased by name, what is left at the providers.
agreement::Proposal abandon_proposal(const RoomConfig& room, const flow::Flow& flow,
                                     const flow::Ending& ending);

}  // namespace flexroom::room
