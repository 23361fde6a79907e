#pragma once

#include <set>

#include "flow/run.h"

// FlowRun's parts: run.cpp has its main line, run_step.cpp a step, run_page_keys.cpp the keys of
// pages, run_operators.cpp what operators decide. Not for others.

namespace flexroom::flow {

struct FlowRun::State {
  RunTerms terms;
  const Flow& flow;
  std::map<std::string, std::string> arguments;
  RunStore store;
  Members members;
  RunState run;  // as committed
  Fired fired;
  KnownValues room;                          // what other flows made
  std::map<std::string, unsigned> approved;  // leaks of one run
  std::map<std::string, unsigned> used;      // of this confirmed run
  std::optional<RunId> ended;                // the contact was all that this run still needed
  std::string doubt;                         // FlowRun::in_doubt()
  bool released = false;                     // in this session
  // Of pages, by host: what the members approved the run with, and what they remember together.
  std::map<std::string, std::string> shown_keys;
  std::map<std::string, PinnedKey> pinned_keys;

  State(RunTerms given, const Flow& of, std::map<std::string, std::string> with);

  // run.cpp
  Members::OpenRuns meet();
  KnownValues room_now();
  std::map<std::string, unsigned> spent();
  Outlook look_out();
  void begin_or_resume();
  void start_new();
  void require_new_may_start();
  void check_room();
  void check_met(const Members::OpenRuns& before, const Members::OpenRuns& now);
  std::string source_of(const Input& input) const;
  std::string problem_of_input(const std::string& name, const Input& input);
  std::string problem_of_uses(const std::string& name, const std::string& source,
                              const ValueMeta& meta) const;
  void reload();
  /// Doubt that a session before left: of the run as it is on this disk.
  void find_doubt();
  /// What a commit tells of the doubt, and the log.
  void committed(const Change& change);
  void commit(Change change, const ValueBytes& bytes);
  Change next_change(const Position& at) const;
  const Step* current() const;

  // run_step.cpp
  struct Ready;
  void step(const Step& step);
  void ask(const Step& step);
  /// What the member's person says, by that member to all: nothing if it was not in time.
  std::optional<std::string> hear_answer(const Step& step, PartyId who);
  Ready ready(const Step& step);
  void check_ready(const Step& step, const Ready& ready);
  std::string problem_of_room(const Step& step) const;
  std::vector<std::string> names_of(const Step& step) const;
  std::vector<std::string> names_to_compare(const Step& step) const;
  std::optional<StoredValue> value(std::string_view name);
  std::optional<StoredValue> value_of_input(const std::string& name, const Input& input);
  std::string account_of(const std::string& name);
  void wait_until(int64_t seconds, const std::string& step, const std::string& what);
  void settle(const Step& step, int64_t remaining);
  StepAnswer release(const Step& step, const Ready& ready, bool& armed);
  /// The event, its rule, and the commit of both with what was kept and opened.
  void follow(const Step& step, const std::string& event, StepAnswer answer, uint32_t attempt,
              int64_t time);
  void log_no_answer(const Step& step, const StepAnswer& answer, int64_t time);
  std::string event_of(const Step& step, const StepAnswer& answer) const;
  void add_values(const Step& step, StepAnswer& answer, Change& change, ValueBytes& bytes);
  ValueMeta meta_of(const std::string& name, bool is_public, const Digest& tag);
  int64_t agreed_time();
  int64_t settle_of(const Step& step);
  std::string ledger_problem(const Step& step);
  /// What one member says to READY, into what all follow from it.
  void hear_ready(const Step& step, const std::vector<std::string>& names, ByteView said, PartyId i,
                  Ready& out);
  void log(const Change& change, bool is_committed);
  LogLine line_of(const Change& change, bool is_committed) const;

  // run_page_keys.cpp
  /// The key of a page as the open run has it, and as the room remembers it; empty: it does not.
  std::string page_key(const std::string& prefix_of_key);
  PinnedKey page_key_before(const std::string& host);
  std::map<std::string, std::string> page_keys();
  void check_page_keys(const Step& step);
  void add_page_keys(const Step& step, Change& change, ValueBytes& bytes);
  void tell_page_keys(Writer& out);
  void hear_page_keys(Reader& in, PartyId from, Outlook& told);
  /// Behind what all said: forgets what no earlier run had, and remembers what is shown.
  void show_page_keys(Outlook& told);

  // run_operators.cpp
  std::optional<Ending> ending;    // prepared
  int64_t ends_at = 0;             // of it, by our clock
  std::optional<Change> going_on;  // prepared
  std::set<RunId> runs_to_abandon();
  std::string words_of(const RunId& id, const std::string& text, const std::set<PartyId>& by) const;
  struct Told;
  Change merge(const RunId& id);
  Bytes tell(const RunId& id, const std::optional<RunState>& mine);
  Told told_of(const RunId& id, ByteView said, PartyId i);
  struct Heard;
  Heard heard_of(const RunId& id, const std::vector<Bytes>& said);
  void check_armed(const std::vector<Told>& all, const std::map<std::string, uint32_t>& committed);
};

}  // namespace flexroom::flow
