#pragma once

#include <memory>
#include <vector>

#include "flexroom/room.h"
#include "session/member_state.h"
#include "store/log_verifier.h"

namespace flexroom::node {

/// This member's log for people who turn its pages: verified once from its first entry on, and from
/// then on what was entered since.
///
/// Guarantee  what is shown was verified, in this process, with all that came before it; its end is
///            the one that state.db and once.db name now
/// Errors     as Room::log(); the next call begins anew
/// Threads    one at a time
class LogPages {
 public:
  const std::vector<LogEntry>& entries(session::MemberState& state);

 private:
  void follow(session::MemberState& state, store::AuditLog& log);

  std::unique_ptr<store::LogVerifier> verifier_;
  std::vector<LogEntry> entries_;
};

}  // namespace flexroom::node
