#pragma once

#include <functional>
#include <optional>
#include <string>

#include "agreement/approval.h"
#include "agreement/proposal.h"
#include "session/member_session.h"

namespace flexroom::session {

/// What a member is asked about: made of the bytes that are signed, and of nothing else.
struct Shown {
  Digest digest{};
  std::string text;                  // agreement::render()
  agreement::Proposal proposal;      // the same as fields
  std::optional<std::string> since;  // what changed since the last approved one of its kind and
                                     // title; empty text: nothing. Nothing: there was none
  std::vector<std::string> new_each_run;  // ChangedSince::new_each_run
};

/// How a member decides. It may throw: then nothing is signed.
struct Approving {
  /// A no may have a reason, for the others and the log.
  std::function<agreement::Answer(const Shown&, std::string& reason)> decide;
  /// This member said yes; the others are waited for. May be empty.
  std::function<void()> waiting;
};

/// Agrees with all members on `proposal`, to which room and terms are added, and returns its
/// digest. What was shown is what is signed; the approval of all is in the log before it returns,
/// and whoever says no stands there by name, at every member (agreement/approval.h says what it
/// throws).
Digest approve(MemberSession& session, agreement::Proposal proposal, const Approving& approving);

/// What is shown of a proposal of this room, for approve() and for a plan.
Shown shown(MemberState& state, const agreement::Proposal& proposal);

/// `proposal` as approve() makes it: of this room, under these terms.
agreement::Proposal of_this_room(MemberState& state, agreement::Proposal proposal);

}  // namespace flexroom::session
