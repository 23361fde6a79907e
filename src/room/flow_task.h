#pragma once

#include <map>
#include <string>

#include "agreement/proposal.h"
#include "flexroom/session.h"
#include "flow/run.h"
#include "room/flow_request.h"
#include "room/joined.h"

namespace flexroom::room {

/// What a shipped flow is run for, where that is more than the flow itself: it gives some of the
/// arguments, adds to what is approved, and remembers what came of the run. Called in the order
/// below, by every member alike.
///
/// Errors  what read() to approved() throw ends the command before anything is released. The others
///         run beside steps that are committed already: they throw nothing but what they were
///         handed
class FlowTask {
 public:
  virtual ~FlowTask() = default;
  /// As all members call the command.
  virtual std::string command() const = 0;
  /// The file is read, nobody is joined: what it must say for this task. Throws InputError.
  virtual void read(const flow::Flow& file) = 0;
  /// The arguments that the task gives; before meet() something of their form, of this member
  /// alone.
  virtual std::map<std::string, std::string> arguments() const = 0;
  /// What stands in the place of one of them, and this member's private bytes of it; nullptr: none.
  virtual const BootScript* script() const { return nullptr; }
  virtual SecretBytes own_private() const { return {}; }
  /// The session has started, nothing is contacted. `open`: the run that this member has open, or
  /// empty. Throws FlowStop, the same at all members, where nothing may be approved.
  virtual void meet(Joined& joined, const flow::RunId& open) = 0;
  /// Adds to what the members approve.
  virtual void show(agreement::Proposal& proposal) const = 0;
  /// All have approved it; no request was made in this session. `outlook`: the run that goes on.
  virtual void approved(const Digest& proposal, const flow::Outlook& outlook) = 0;
  /// A line of the log, durable; `opened`: what was opened to all in this session.
  virtual void told(const flow::LogLine& line,
                    const std::map<std::string, std::string>& opened) noexcept = 0;
  /// How the flow ended here: done, or `why` not and which step's outcome is not known. `opened`
  /// may hold what no commit tells.
  virtual void ended(const flow::RunId& run, const std::string& why, const std::string& in_doubt,
                     const std::map<std::string, std::string>& opened) noexcept = 0;
};

/// A flow with all members; of a shipped one that is run for something else, `task`.
FlowEnd run_flow(Session& session, const FlowRequest& request, FlowTask* task = nullptr);
/// All that run_flow() refuses before it joins anybody, inputs of a file included; nobody is asked
/// for one. Throws Error.
void check_flow(Room& room, const FlowRequest& request, Decider& program);
/// Whether this member, or any other one, says so, the same at all: a session of its own, which
/// releases nothing. Throws Error.
bool any_says(Session& session, const std::string& command, bool own);
/// A run of this flow that began here and is not at its end. Throws Error.
bool has_open_run(Room& room, const flow::Flow& file);

}  // namespace flexroom::room
