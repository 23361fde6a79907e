#pragma once

#include <string>
#include <vector>

#include "session/member_session.h"

namespace flexroom::session {

/// What a refresh would move: equal at all members.
struct RefreshPlan {
  Digest epoch{};                          // the one to leave
  std::vector<store::RecordMeta> records;  // all of it: every version, and cached signing keys
  uint32_t dirty = 0;                      // unfinished batches, the largest count of any member
};

/// After start(). Keeps other sessions of this member away from now on (require_alone). Refuses
/// when single-use state was lost and the operator has not said that the epoch was not burned;
/// start() refuses a burned one. A full dirty counter does not matter (boolean-engine.md §10.3).
RefreshPlan plan_refresh(MemberSession& session);

/// What the members approve: they all must hold the same records.
agreement::Proposal refresh_proposal(const RoomConfig& room, const RefreshPlan& plan);

/// Makes a new epoch, moves all records to it (prep/refresh.h) and erases the old ones once all
/// members have the new ones on disk. Cached signing keys move like secrets: 256 bits each, where
/// deriving one again takes 281,134 ANDs. Returns the new epoch's id. The session is over then.
/// Killed anywhere: store/epoch_change.h.
Digest refresh_secrets(MemberSession& session, const RefreshPlan& plan);

/// Why the secrets should move to a new epoch (boolean-engine.md §10.3): half of the tolerated
/// unfinished batches, or an epoch older than 30 days. Times in Unix seconds, `made` 0 if not
/// known. Empty if nothing asks for it.
std::string reason_to_refresh(uint32_t dirty, uint32_t dirty_max, uint64_t made, uint64_t now);

}  // namespace flexroom::session
