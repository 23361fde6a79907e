#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flexroom/decider.h"
#include "room/guarded_decider.h"
#include "room/hooks.h"
#include "room/progress.h"
#include "room/service_connections.h"
#include "room/trace_file.h"
#include "session/approval.h"
#include "session/member_session.h"

namespace flexroom::room {

/// An operation that runs with all members: session, approval, log.
///
/// Guarantee  approve(): what the decider saw is what is signed, and all signatures are on disk
///            when it returns. Whatever comes of an approved proposal stands in the log
class Joined {
 public:
  struct Options {
    std::string command;  // "secret import": the same at every member
    const std::atomic<bool>* cancel = nullptr;
    std::filesystem::path trace_file;  // empty: none
    const Hooks* hooks = nullptr;
  };
  /// Connects to all members. State and decider outlive it.
  Joined(session::MemberState& state, Decider& decider, const Options& options);
  session::MemberState& state() { return state_; }
  session::MemberSession& session() { return *session_; }
  ServiceConnections& connections() { return *connections_; }
  /// MemberSession::start(), and what interrupted commands left for a contact; once.
  void start();
  /// Names by party id.
  std::vector<std::string> members() const;

  /// Shows the summary, asks, and signs with all members. Differing proposals are reported field by
  /// field before anybody is asked. Throws kRefusedByRule when this or another member says no,
  /// naming it.
  /// Where the members agreed before (Hooks::Begun), it is held against that, and nobody is asked.
  Digest approve(const agreement::Proposal& proposal);
  /// Runs an operation's part with the others. What fails once something was proposed is logged
  /// here, told to the others and thrown on: as something that may have happened if what is stored
  /// here, or staged, is not what it was.
  void run(const std::string& what, const std::function<void()>& body);

  /// The same when the outcome is known whatever the others do now: alone, if they do not sign.
  /// Never throws; returns whether it is in the log. `status`: of a service's answer.
  bool log_outcome(store::LogOutcome outcome, const std::string& text, int status = 0) noexcept;
  /// Of a run that failed; nothing if nothing was proposed. Never throws: the failure is what
  /// counts.
  bool log_failure(store::LogOutcome outcome, const std::string& text, int status = 0) noexcept;

  /// From here on progress is of all these steps.
  void expect(std::vector<ProgressMeter::Step> steps) { meter_.expect(std::move(steps)); }
  void progress(std::string_view phase, uint64_t done, uint64_t total) noexcept;
  void note(const std::string& text) noexcept;
  /// A value of an answer that no other member has: told to the decider, written nowhere.
  void opened_to_us(std::string_view name, std::string_view value) noexcept {
    decider_.opened_to_us(name, value);
  }
  void tell_timeline(const std::vector<Phase>& phases) noexcept { decider_.timeline(phases); }
  /// A step that just became durable or was heard (tests).
  void reached(std::string_view step) const;
  /// Throws kCancelled once somebody stopped this.
  void throw_if_cancelled() const;

 private:
  Digest begin_approved(const agreement::Proposal& proposal, const Hooks::Begun& begun);
  store::LogEntry entry(store::LogOutcome outcome, const std::string& text, int status = 0) const;
  /// With all members' signatures. Throws.
  void log_together(store::LogEntry joint);
  void log_alone(store::LogEntry own);
  Decider::Answer approve_by_people(const session::Shown& shown, const Summary& summary);
  /// Of the secrets that are stored here, and of what is staged, removals too.
  Digest stored();
  bool is_as_proposed() noexcept;

  session::MemberState& state_;
  GuardedDecider decider_;
  Options options_;
  ProgressMeter meter_;
  std::optional<TraceFile> trace_;
  std::unique_ptr<session::MemberSession> session_;
  std::unique_ptr<ServiceConnections> connections_;
  bool started_ = false;
  std::optional<Digest> proposed_;  // and no outcome logged yet
  Digest stored_before_{};          // when it was proposed
  Digest run_{};                    // the session it was approved in
};

/// What the decider is shown of a proposal.
Summary summary_of(const session::Shown& shown);

/// This member's own state, without any peer.
std::unique_ptr<session::MemberState> open_state(
    const std::filesystem::path& member_file, const Hooks* hooks,
    store::SealedDb::Access access = store::SealedDb::Access::kUse);

}  // namespace flexroom::room
