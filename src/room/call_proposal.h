#pragma once

#include "agreement/proposal.h"
#include "call/open_call.h"

namespace flexroom::room {

/// What all members approve of a call of a recipe: everything that is sent and shown of it
/// (product.md §3). Dates and signature are slots: the same call has the same proposal tomorrow.
/// `key`: where that of a recipe which names none comes from.
agreement::Proposal call_proposal(const RoomConfig& room, const Recipe& recipe,
                                  const OpenCall& call, const CallSecrets& secrets,
                                  const std::string& key);

/// Of an agreed GET.
agreement::Proposal get_proposal(const RoomConfig& room, const std::string& url,
                                 const OpenCall& call);

}  // namespace flexroom::room
