#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "cli/commands.h"
#include "session/member_session.h"

namespace flexroom::cli {

/// This member's own state, for commands that need no peer. Returned by value through the heap: it
/// holds open databases.
session::MemberState open_state(const Common& common);

/// A command that runs with all members: state, session, approval, log.
class Joined {
 public:
  /// `check` sees this member's own state before anybody is connected to, and may throw.
  Joined(Output& out, const Common& common,
         const std::function<void(session::MemberState&)>& check = nullptr);
  session::MemberState& state() { return state_; }
  session::MemberSession& session() { return *session_; }

  /// Shows the summary, asks, and signs with all members. Differing proposals are reported field by
  /// field before anybody is asked. Throws kRefusedByRule when the operator says no.
  Digest approve(const store::Proposal& proposal, bool yes);
  void log_together(const Digest& proposal, store::LogOutcome outcome, const std::string& text);
  void log_alone(const Digest& proposal, store::LogOutcome outcome, const std::string& text);

 private:
  Output& out_;
  session::MemberState state_;
  std::unique_ptr<session::MemberSession> session_;
};

/// Set by SIGINT and SIGTERM.
const std::atomic<bool>& cancel_flag();
/// Throws kCancelled once it is set.
void throw_if_cancelled();

}  // namespace flexroom::cli
