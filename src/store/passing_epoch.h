#pragma once

#include <optional>
#include <vector>

#include "base/error.h"
#include "prep/prep.h"
#include "store/once_db.h"
#include "store/open_mark.h"

namespace flexroom::store {

/// Counters of an epoch beside the room's, of a hand-over: it is stored nowhere, or not yet
/// (members.md 3.2). `burned` and `dirty` are its own and end with this object. LIFE is in once.db,
/// towards the members that are in it, whether they are in the room or not. The room's own epoch
/// with its counters and pools is not touched, whatever fails here.
class PassingEpoch : public prep::Safety {
 public:
  /// `peers`: of the epoch, by party, without this member. `mark`: of the session, armed around
  /// verdicts; it names no epoch of the room, so that what it leaves counts for LIFE alone; may be
  /// null. All must outlive this.
  PassingEpoch(OnceDb& once, std::vector<MemberId> peers, OpenMark* mark = nullptr);

  /// Also before a set-up. Throws ProtocolAbort kEpochBurned, kTooManyUnfinished.
  void require_preprocessing_allowed() override;
  void begin_batches(size_t count) override;
  void finish_batches(size_t count) override;
  void before_verdict() override;
  void after_verdict() override;
  /// A boolean cheat: LIFE as prep/cheat_effect.h says, towards `peer` (an index into `peers`)
  /// where the check names one; durable on return. Anything else changes nothing.
  void failed(const ProtocolAbort& abort, std::optional<size_t> peer);

 private:
  OnceDb& once_;
  const std::vector<MemberId> peers_;
  OpenMark* const mark_;
  bool burned_ = false;
  size_t dirty_ = 0;
};

}  // namespace flexroom::store
