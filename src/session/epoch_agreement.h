#pragma once

#include <optional>
#include <vector>

#include "net/party.h"
#include "session/member_state.h"

namespace flexroom::session {

/// A room's id for life, and its members', by party.
struct Founding {
  store::RoomId rid{};
  std::vector<store::MemberId> mids;
};

/// Which room this is, and who is in it: what all have, or a new room's ids. A member that has lost
/// its state takes the room's over; nothing is stored before there is an epoch. Throws
/// kDisagreement naming who has another room of this name, or claims another id than it had here.
Founding agree_on_room(net::Party& party, MemberState& state);

/// Either all members ask for a new epoch, or all are in the one that is `epoch` here (nothing:
/// none has any). Throws kDisagreement naming who is not; kRefusedByRule where a new epoch would
/// lose secrets that are still bound to a whole one. What each member asks for is compared too.
void agree_on_epoch(net::Party& party, MemberState& state, const std::optional<Digest>& epoch,
                    bool new_epoch);

}  // namespace flexroom::session
