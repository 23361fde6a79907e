#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "session/member_session.h"

namespace flexroom::session {

/// A key whose code is made.
struct TotpKey {
  /// What it is known by, the same at all members: a number is used once for each of them.
  std::vector<Bytes> ids;
  std::string name;
  bool next = false;  // the number behind the agreed one is used too
};

/// Of a secret of the room: by its record; of what a flow made also by its sharing, which stays
/// where the record is another one, from the run's to the room's when it is proved.
TotpKey totp_key(const store::RecordMeta& secret, bool next = false);

/// The 30-second number for the codes of these keys (operations.md (a), `decode`): public, agreed
/// by all, within one of every member's clock, and once per key in once.db, for ever: a second code
/// of the same number would be a replay, and what a service says to it is no answer to the first.
///
/// Where a key's number of now was used before at any member, all wait for the next one (at most 30
/// seconds of this member's clock; `check` throws to end that). Throws kRefusedByRule where clocks
/// differ by more than one step, or the next number was used too.
uint64_t agree_on_totp_step(MemberSession& session, std::span<const TotpKey> keys,
                            const std::function<void()>& check);

}  // namespace flexroom::session
