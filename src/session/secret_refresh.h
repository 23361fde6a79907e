#pragma once

#include <string>
#include <vector>

#include "session/member_session.h"

namespace flexroom::session {

/// What a refresh would do: equal at all members.
struct RefreshPlan {
  Digest epoch{};                          // the present one
  std::vector<store::RecordMeta> records;  // every version of every secret
  /// Not empty where secrets still lie in the form of before there were rows, and this epoch may
  /// make no products to turn them: all that is bound to it, and goes to another one instead.
  std::vector<store::RecordMeta> of_before;
  uint32_t dirty = 0;  // unfinished batches, the largest count of any member
};

/// After start(). Keeps other sessions of this member away from now on (require_alone). Refuses
/// when single-use state was lost and the operator has not said that the epoch was not burned;
/// start() refuses a burned one.
RefreshPlan plan_refresh(MemberSession& session);

/// What the members approve: they all must hold the same records.
agreement::Proposal refresh_proposal(const RoomConfig& room, const RefreshPlan& plan);

/// Loads all secrets and stores them as rows of a new set, committed like a kept value: copies of
/// the old rows are of no use beside the new ones (members.md §3, 12). The epoch stays. Returns the
/// id of the epoch that the room is in then: another one, and the session is over, where records of
/// before were moved. Killed anywhere: store/secret_store.h, store/epoch_change.h.
Digest refresh_secrets(MemberSession& session, const RefreshPlan& plan);

/// Why a new epoch should be made (boolean-engine.md §10.3): half of the tolerated
/// unfinished batches, or an epoch older than 30 days. Times in Unix seconds, `made` 0 if not
/// known. Empty if nothing asks for it.
std::string reason_to_refresh(uint32_t dirty, uint32_t dirty_max, uint64_t made, uint64_t now);

}  // namespace flexroom::session
