#pragma once

#include <string>

#include "agreement/proposal.h"
#include "room/joined.h"
#include "room/named_secrets.h"

namespace flexroom::room {

/// `secret remove`: a secret, or a value that a flow made, leaves the room at all members or at
/// none. A member that lacks it, or has another version of it, takes part like the others: that is
/// what it is for after a backup was put back (operations.md (c) "Resumption").
///
/// Guarantee  staged at each, ok's exchanged and echoed, erased. Killed anywhere, the next contact
///            (settle_removals()) erases it at all members, or keeps it at all: nothing is kept
///            that a peer says it has erased
/// Errors     InputError: in no member's store, or several values could be meant; the flow's run is
///            open; another session of this member runs. ProtocolAbort(kDisagreement) naming who
///            was told otherwise
class SecretRemoval {
 public:
  explicit SecretRemoval(Joined& joined) : joined_(joined) {}
  /// What all members approve; finds out with them what `name` is. Keeps other sessions of this
  /// member away from now on (require_alone).
  agreement::Proposal propose(const std::string& name);
  /// Once all have approved `proposal`.
  void run(const Digest& proposal);
  /// This member's log has the outcome. Until then the next contact finds that it was erased, and
  /// logs it.
  void logged() noexcept;
  const std::string& name() const { return target_.name; }

 private:
  Joined& joined_;
  NamedSecret target_;
  Bytes id_;  // of what run() staged
};

/// Part of every contact, once the session has started: finishes or drops what a `secret remove`
/// left that was interrupted, at all members alike; the log and this command's user hear of one
/// that is complete, unless they did before.
void settle_removals(Joined& joined);

/// Removals of this room that are staged here.
uint64_t num_staged_removals(session::MemberState& state);

}  // namespace flexroom::room
