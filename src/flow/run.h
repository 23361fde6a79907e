#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "flow/executor.h"
#include "flow/members.h"
#include "flow/page_keys.h"
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
  std::vector<std::string> voided;                     // names that not all had: erased
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
  std::function<void(const LogLine&)> log;      // behind the commit
  std::function<void(std::string_view)> fault;  // tests
  std::function<void(const Waiting&)> waits;
  /// What stands in the place of the room's value of that name: the key that the operators name
  /// with the run, the same at all members. May be empty.
  std::function<std::optional<StoredValue>(std::string_view name)> given = {};
  /// A secret of `secret import` or `secret draw`, by its name; nothing: there is none. May be
  /// empty.
  std::function<std::optional<StoredValue>(std::string_view name)> secret = {};
  /// Writes the line of a commit down for good and calls `commit`, in one transaction of state.db:
  /// no crash separates the two. Empty: the commit alone.
  std::function<void(const LogLine&, const std::function<void()>& commit)> record = {};
};

/// What a confirmed run meets, equal at all members: shown before they approve it.
struct Outlook {
  KnownValues room;                       // what it has below the prefix
  std::map<std::string, unsigned> spent;  // bits of the ledger: the most of all members
  std::map<std::string, std::set<std::string>> unknown;  // steps in doubt, and who says so
  std::map<std::string, PageKey> page_keys;              // by host, of those that earlier runs had
  RunId id;          // the open run, or the one that the contact ended; empty: a new one begins
  std::string step;  // where it stands; empty: at its end
};

/// What --abandon will do, equal at all members: shown before they approve it.
struct Ending {
  std::vector<RunId> runs;
  std::vector<std::string> left;    // in words: made, or possibly made, at the providers
  std::vector<std::string> erased;  // names of the room that not all have
  int64_t seconds = 0;              // until nothing that was released can arrive any more
};

/// What --continue will do, equal at all members: shown before they approve it.
struct GoingOn {
  RunId id;
  Outlook outlook;
  std::string step;                        // it goes on there; empty: at its end
  std::vector<std::string> voided;         // names of the room that not all have
  std::vector<std::string> voided_of_run;  // of the run
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
  /// rest is void. Returns what the plan shows, of all members. run() may follow. Throws
  /// FlowStop(kRestored) where only --continue or --abandon helps.
  Outlook contact();
  /// Goes on with the open run of this prefix and flow, or begins one; returns when it is done.
  /// Confirmed by all members before (their approval of file, lists and arguments).
  void run();
  /// --continue, with an edited file, or after a member was restored: what it will do; changes
  /// nothing. Refused if `expected` is another run than the open one.
  GoingOn prepare_go_on(const std::optional<RunId>& expected = std::nullopt);
  /// That, approved by all. Then run().
  void go_on();
  /// --abandon: what it will do; changes nothing. Refused if `expected` is no open run of this
  /// prefix and flow.
  Ending prepare_abandon(const std::optional<RunId>& expected = std::nullopt);
  /// That, approved by all: waits, tells `before` what it is about to do, erases the names and what
  /// the runs kept, and closes the runs. Killed anywhere, --abandon finds what is not done yet.
  ///
  /// `before`  durable when it returns: from then on nothing but it may know what is left
  void abandon(const std::function<void(const Ending&)>& before = nullptr);
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
