#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>

#include "cli/commands.h"
#include "cli/trace_file.h"
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
  Digest approve(const agreement::Proposal& proposal, bool yes);
  /// Runs a command's part with the others. What fails once something was proposed is logged here,
  /// told to the others and thrown on.
  void run(const std::string& what, const std::function<void()>& body);

  /// With all members' signatures. Throws.
  void log_together(store::LogOutcome outcome, const std::string& text);
  /// The same when the outcome is known whatever the others do now: alone, if they do not sign.
  /// Never throws.
  void log_outcome(store::LogOutcome outcome, const std::string& text) noexcept;
  /// Of a run that failed; nothing if nothing was proposed. Never throws: the failure is what
  /// counts.
  void log_failure(store::LogOutcome outcome, const std::string& text) noexcept;

 private:
  store::LogEntry entry(store::LogOutcome outcome, const std::string& text) const;
  void log_alone(store::LogOutcome outcome, const std::string& text);

  Output& out_;
  session::MemberState state_;
  std::optional<TraceFile> trace_;
  std::unique_ptr<session::MemberSession> session_;
  std::optional<Digest> proposed_;  // and no outcome logged yet
};

/// Set by SIGINT and SIGTERM.
const std::atomic<bool>& cancel_flag();
/// Throws kCancelled once it is set.
void throw_if_cancelled();

}  // namespace flexroom::cli
