#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "flow/executor.h"
#include "flow/members.h"
#include "flow/rules.h"
#include "flow/run_store.h"

namespace flexroom::flow {

/// One line of the log: names, versions, events, digests of what was opened; never a kept byte, a
/// share, or a person's answer or its digest (operations.md (c) "Logged").
struct LogLine {
  RunId run;
  std::string step, event;
  int64_t time = 0;
  std::vector<std::string> kept;                       // "NAME v2"
  std::vector<std::pair<std::string, Digest>> opened;  // but of a person's answer
  bool committed = true;  // false: a stop behind an outcome that stays unknown changes nothing
};

/// What all members wait for, each shown it before it does: nobody looks at a screen that stands
/// still.
struct Waiting {
  std::string step;  // or nothing: the run itself
  std::string what;
  int64_t seconds = 0;  // at most
};

struct RunTerms {
  Members::Self self;
  store::SealedDb& state;
  store::OnceDb& once;
  Clock& clock;
  StepExecutor& executor;
  Person& person;
  std::function<void(const LogLine&)> log;
  std::function<void(std::string_view)> fault;  // tests
  std::function<void(const Waiting&)> waits;
};

/// One flow at one member, run by all members together: the deterministic machine of
/// operations.md (c), which knows nothing of MPC.
///
/// Births and every step are committed by all before the next one begins; a step is armed in
/// once.db before its release; what is armed and not committed is its rule's `unknown`, after its
/// time. A member that is killed anywhere, and run() again at all members, goes on from there.
///
/// Guarantee  equal histories at all honest members; a step is released once an attempt; bits of
/// the
///            ledger are booked before the release and never taken back
/// Errors     FlowStop: the run waits, nothing is lost; ProtocolAbort, InputError
class FlowRun {
 public:
  FlowRun(RunTerms terms, const Flow& flow, std::map<std::string, std::string> arguments);
  ~FlowRun();

  /// Meets the other members before anything is approved: what all have staged is committed, the
  /// rest is void. Returns what the room has below the prefix, for the plan that is shown. run()
  /// may follow. Throws FlowStop(kRestored) where only --continue or --abandon helps.
  KnownValues contact();
  /// Goes on with the open run of this prefix and flow, or begins one; returns when it is done.
  /// Confirmed by all members before (their approval of file, lists and arguments).
  void run();
  /// --continue, approved by all: with an edited file, or after a member was restored. Then run().
  /// Refused if `expected` is another run than the open one.
  void go_on(const std::optional<RunId>& expected = std::nullopt);
  /// --abandon, approved by all: waits, closes every run of this prefix and flow, erases what it
  /// kept, and returns in words what was made, or possibly made, at the providers. Refused, with
  /// nothing closed, if `expected` is none of them.
  std::vector<std::string> abandon(const std::optional<RunId>& expected = std::nullopt);
  /// `secret remove NAME` below the prefix, approved by all.
  void remove_value(const std::string& name);
  /// Bits booked on the accounts of the flow's short secrets, for the plan.
  std::map<std::string, unsigned> spent();
  const RunId& id() const;
  /// The step whose request was released, by this session or by one before, and of which no
  /// committed answer tells whether it was carried out; empty: none. Also behind `unknown =
  /// "stop"`, which commits that nobody knows.
  const std::string& in_doubt() const;
  /// This session released a request, whatever became of it.
  bool released() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace flexroom::flow
