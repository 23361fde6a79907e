#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <set>
#include <thread>

#include "agent/phases.h"
#include "base/codec.h"
#include "base/display.h"
#include "base/private_file.h"
#include "config/toml.h"
#include "flow/run.h"
#include "room/access.h"
#include "room/agreed_call.h"
#include "room/failure.h"
#include "room/flow_engine.h"
#include "room/flow_inputs.h"
#include "room/flow_person.h"
#include "room/flow_proposal.h"
#include "room/flow_request.h"
#include "room/flow_task.h"
#include "room/named_secrets.h"
#include "session/signing_keys.h"

namespace flexroom {
namespace room {
namespace {

constexpr size_t kMaxNoteChars = 3000;  // of a line of the log

/// This machine's clock; while it waits it notices Ctrl-C and the end of another member.
class WallClock final : public flow::Clock {
 public:
  WallClock(Joined& joined, const Hooks* hooks)
      : joined_(joined), now_(hooks != nullptr ? hooks->clock : nullptr) {}
  int64_t now() override { return now_ ? now_() : std::time(nullptr); }
  void wait_until(int64_t seconds) override {
    const int64_t first = now();
    for (int64_t time = first; time < seconds; time = now()) {
      joined_.throw_if_cancelled();
      joined_.session().party().transport().check();
      joined_.progress("wait", static_cast<uint64_t>(time - first),
                       static_cast<uint64_t>(seconds - first));
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }

 private:
  Joined& joined_;
  const std::function<int64_t()> now_;
};

/// The file once, so that what is shown is what runs.
struct ReadFlow {
  std::string text;
  flow::Flow file;
  std::map<std::string, std::string> arguments;
  std::optional<GivenKey> key;
  std::map<std::string, SecretBytes> inputs;  // this member's, until the run has them
};

/// What the file says of itself that each member's person must know (operations.md (f)): asked for
/// here, whoever the Decider is, so that no way to start the flow leaves it out.
void require_consent(const flow::Flow& flow, Decider& decider) {
  if (flow.consent.empty()) return;
  Question question;
  question.kind = Question::Kind::kConsent;
  question.text = fmt::format("{}: {}. Go on?", display(flow.name), display(flow.consent));
  if (decider.human_input(question) == "yes") return;
  throw InputError("flow " + flow.name, flow.consent,
                   "do what it needs (docs/flows.md), then say that you know it: --i-know");
}

/// Those that the task gives too, as they are now.
void take_arguments(const RoomConfig& room, ReadFlow& read, const FlowTask* task) {
  if (task != nullptr) {
    for (const auto& [name, value] : task->arguments()) read.arguments[name] = value;
  }
  read.arguments = flow::check_arguments(read.file, read.arguments);
  require_bound(room, read.file, read.arguments, task != nullptr ? task->script() : nullptr);
}

/// Everything that can be wrong, before anybody is joined. `asks`: for inputs that no file gives.
ReadFlow read_flow(session::MemberState& state, const FlowRequest& request, Decider& decider,
                   FlowTask* task, bool asks = true) {
  const RoomConfig& room = state.room();
  if (!request.go_on.empty() && !request.abandon.empty()) {
    throw InputError("--continue and --abandon", "are two different things", "give one of them");
  }
  flow::RoomView view;
  view.providers = room.providers;
  ReadFlow out;
  out.text = read_own_file(request.file, TomlTable::kMaxBytes, "check the path");
  out.file = flow::parse_flow(out.text, request.file, view);
  if (!request.abandon.empty()) return out;
  require_consent(out.file, decider);
  out.arguments = request.arguments;
  if (task != nullptr) task->read(out.file);
  take_arguments(room, out, task);
  if (!request.key.secret.empty()) {
    out.key.emplace(out.file, request.key, state.secret(request.key.secret));
  }
  // Last: nobody is asked for what is of no use.
  if (!asks && request.inputs.empty()) return out;
  out.inputs = flow_inputs(out.file, out.arguments, state.member().name, request.inputs, decider);
  return out;
}

/// AND gates of the circuits that were garbled in the phases from `first` on.
uint64_t ands_garbled(const std::vector<agent::Timeline::Phase>& phases, size_t first) {
  static const std::set<std::string_view> garbled = {
      agent::phase::kSigningKey, agent::phase::kSlots,         kEncryptPhase,
      agent::phase::kGarble,     agent::phase::kGarbleRequest, agent::phase::kGarbleAnswer};
  uint64_t out = 0;
  for (size_t k = first; k < phases.size(); ++k) {
    if (garbled.contains(phases[k].name)) out += phases[k].ands;
  }
  return out;
}

std::string command_of(const FlowRequest& request) {
  if (!request.abandon.empty()) return "flow --abandon";
  return request.go_on.empty() ? "flow" : "flow --continue";
}

/// A flow with all members, from the approval to its end or to where it stops.
class Running {
 public:
  Running(Session& session, Joined& joined, const FlowRequest& request, ReadFlow& read,
          FlowTask* task)
      : joined_(joined),
        request_(request),
        read_(read),
        task_(task),
        timeline_(joined.session().party(),
                  [&joined](std::string_view phase) { joined.progress(phase, 0, 0); }),
        engine_(joined, timeline_, std::move(read.inputs)),
        clock_(joined, Access::hooks(session)),
        decider_(Access::decider(session)),
        person_(decider_, [this] { return joined_.state().member().state_dir / "flows" / id_; }),
        fault_(Access::hooks(session) != nullptr ? Access::hooks(session)->fault : nullptr) {}

  FlowEnd run() {
    try {
      joined_.session().guard([&] { with_all(); });
    } catch (const std::exception& error) {
      end_failed(error);
    } catch (...) {
      end_failed(std::runtime_error(words_of_caught()));
    }
    joined_.tell_timeline(steps_);
    if (stop_) end_stopped(*stop_);
    if (task_ != nullptr) task_->ended(id_, "", "", engine_.opened());
    joined_.log_outcome(store::LogOutcome::kDone, what() + ": " + ended_as());
    return {read_.file.name, id_, engine_.opened(), left_};
  }

 private:
  std::string what() const {
    return fmt::format("flow {}{}", read_.file.name, id_.empty() ? "" : " run " + id_);
  }
  std::string ended_as() const {
    if (request_.abandon.empty()) return "done";
    std::string out = "abandoned; made, or possibly made:";
    for (const std::string& one : left_) out += " " + one + ";";
    return left_.empty() ? "abandoned; nothing was made" : out;
  }

  /// What is told of the run once it is gone.
  void take(const flow::FlowRun& run) {
    if (!run.id().empty()) id_ = run.id();
    doubt_ = run.in_doubt();
    released_ = run.released();
  }
  /// Of what did not end well: `nothing happened` only if nothing was released, and nothing of a
  /// session before is without a committed answer.
  store::LogOutcome outcome(bool at_step) const {
    if (!doubt_.empty() || ends_) return store::LogOutcome::kEffectMayHaveHappened;
    return at_step || released_ ? store::LogOutcome::kFailed : store::LogOutcome::kNothingHappened;
  }
  void with_all();
  void meet_for_task();
  void drive(flow::FlowRun& run);
  void drive_abandon(flow::FlowRun& run);
  static std::string step_of(const flow::LogLine& line);
  store::LogEntry entry_of(const flow::LogLine& line);
  store::LogEntry note_entry(const std::string& text, int64_t time) const;
  void record_step(const flow::LogLine& line, const std::function<void()>& commit);
  void note_step(const flow::LogLine& line);
  uint64_t measure(const flow::LogLine& line);
  void note_ending(const flow::Ending& ending);
  void log_note(const std::string& text, int64_t time);
  void note_wait(const flow::Waiting& waiting);
  [[noreturn]] void end_failed(const std::exception& error);
  [[noreturn]] void end_stopped(const flow::FlowStop& stop);

  Joined& joined_;
  const FlowRequest& request_;
  ReadFlow& read_;
  FlowTask* const task_;
  agent::Timeline timeline_;
  FlowEngine engine_;
  WallClock clock_;
  GuardedDecider decider_;
  FlowPerson person_;
  std::function<void(std::string_view)> fault_;
  bool approved_ = false;
  flow::RunId id_;
  std::string doubt_;  // FlowRun::in_doubt()
  bool released_ = false;
  bool ends_ = false;  // --abandon began to erase
  std::vector<std::string> left_;
  std::vector<Phase> steps_;  // what each of them took
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now(),
                                        measured_ = began_;
  net::Traffic traffic_;     // up to there
  uint64_t step_bytes_ = 0;  // of the last step
  size_t phases_ = 0;        // of the timeline
  std::optional<flow::FlowStop> stop_;
};

void Running::with_all() {
  session::MemberSession& session = joined_.session();
  session::MemberState& state = joined_.state();
  timeline_.begin("agree and approve");
  joined_.start();
  // Rows of runs are of one session at a time.
  session.require_alone();
  if (read_.key) {
    state.secrets().agree(session.party(), std::vector<store::RecordMeta>{read_.key->secret()});
    engine_.set_key(&*read_.key);
  }
  try {
    if (task_ != nullptr) meet_for_task();
  } catch (const flow::FlowStop& stop) {
    stop_ = stop;
    return timeline_.end();
  }
  flow::Members::Self self{session.party(), state.identity(), state.signing_keys(),
                           joined_.members(), state.rid()};
  flow::FlowRun run(
      {std::move(self), state.db(), state.once(), clock_, engine_, person_,
       [this](const flow::LogLine& line) { note_step(line); }, fault_,
       [this](const flow::Waiting& waiting) { note_wait(waiting); },
       [this](std::string_view name) { return read_.key ? read_.key->value(name) : std::nullopt; },
       [&state](std::string_view name) { return secret_for_flow(state, std::string(name)); },
       [this](const flow::LogLine& line, const std::function<void()>& commit) {
         record_step(line, commit);
       }},
      read_.file, read_.arguments);
  try {
    request_.abandon.empty() ? drive(run) : drive_abandon(run);
  } catch (const flow::FlowStop& stop) {
    // Known to all members alike: the session goes on to what is logged together.
    stop_ = stop;
  } catch (...) {
    take(run);
    throw;
  }
  take(run);
  timeline_.end();
}

/// What the members give to the task, before they look at the run together.
void Running::meet_for_task() {
  session::MemberState& state = joined_.state();
  flow::RunId open;
  for (const flow::RunState& run : flow_store(state).runs()) {
    const flow::RunHead& head = run.head;
    const bool is_ours = head.flow == read_.file.name && head.prefix == read_.file.prefix;
    if (is_ours && !run.done) open = run.id;
  }
  task_->meet(joined_, open);
  take_arguments(state.room(), read_, task_);
  if (task_->script() != nullptr) engine_.set_script(task_->script(), task_->own_private());
}

void Running::drive(flow::FlowRun& run) {
  const RoomConfig& room = joined_.state().room();
  flow::Outlook outlook;
  std::optional<flow::GoingOn> going_on;
  if (request_.go_on.empty()) {
    outlook = run.contact();
  } else {
    going_on = run.prepare_go_on(request_.go_on);
    outlook = going_on->outlook;
  }
  agreement::Proposal shown = flow_proposal(
      room, read_.file, read_.text, read_.arguments, outlook, going_on ? &*going_on : nullptr,
      read_.key ? read_.key->text() : "", task_ != nullptr ? task_->script() : nullptr);
  if (task_ != nullptr) task_->show(shown);
  const Digest proposal = joined_.approve(shown);
  approved_ = true;
  engine_.set_approved(proposal);
  if (task_ != nullptr) task_->approved(proposal, outlook);
  if (going_on) run.go_on();
  run.run();
}

void Running::drive_abandon(flow::FlowRun& run) {
  const flow::Ending ending = run.prepare_abandon(request_.abandon);
  (void)joined_.approve(abandon_proposal(joined_.state().room(), read_.file, ending));
  approved_ = true;
  run.abandon([this](const flow::Ending& begun) { note_ending(begun); });
  id_ = request_.abandon;
}

/// What this member spent since the commit before, a person's time and what was waited for
/// included. Returns the bytes between members both ways.
uint64_t Running::measure(const flow::LogLine& line) {
  const auto now = std::chrono::steady_clock::now();
  const net::Traffic traffic = joined_.session().party().traffic();
  const net::Traffic since = traffic.since(traffic_);
  Phase spent;
  spent.name = line.step.empty() ? line.event : line.step + ": " + line.event;
  spent.start_seconds = std::chrono::duration<double>(measured_ - began_).count();
  spent.seconds = std::chrono::duration<double>(now - measured_).count();
  spent.bytes_sent = since.bytes_sent;
  spent.half_rounds = since.half_rounds;
  spent.ands = ands_garbled(timeline_.phases(), phases_);
  steps_.push_back(std::move(spent));
  measured_ = now;
  traffic_ = traffic;
  phases_ = timeline_.phases().size();
  return since.bytes_sent + since.bytes_received;
}

std::string Running::step_of(const flow::LogLine& line) {
  return line.step.empty() ? line.event : fmt::format("{}: {}", line.step, line.event);
}

store::LogEntry Running::entry_of(const flow::LogLine& line) {
  id_ = line.run;
  std::string text = step_of(line);
  if (!line.committed) text += "; stays without a committed answer";
  for (const std::string& kept : line.kept) text += "; kept " + kept;
  for (const auto& [name, digest] : line.opened) {
    text += fmt::format("; opened {} ({})", name, to_hex(digest));
  }
  for (const std::string& name : line.voided) text += "; erased " + name;
  step_bytes_ = measure(line);
  return note_entry(fmt::format("{}; {} bytes between members", text, step_bytes_), line.time);
}

/// operations.md (c) "Logged": by this member, in the transaction in which it commits the step.
void Running::record_step(const flow::LogLine& line, const std::function<void()>& commit) {
  joined_.state().log().append_with(entry_of(line), commit);
}

/// Behind the commit; or the step stops the run, and no commit tells of it.
void Running::note_step(const flow::LogLine& line) {
  if (!line.committed) joined_.state().log().append_alone(entry_of(line));
  joined_.note(fmt::format("{} ({:.1f} s, {:.1f} MB)", step_of(line), steps_.back().seconds,
                           1e-6 * static_cast<double>(step_bytes_)));
  if (task_ != nullptr) task_->told(line, engine_.opened());
  // Signing keys of the day go with the version that they were derived from.
  if (line.committed) session::erase_orphaned_keys(joined_.state());
}

store::LogEntry Running::note_entry(const std::string& text, int64_t time) const {
  store::LogEntry entry;
  entry.unix_seconds = static_cast<uint64_t>(time);
  entry.outcome = store::LogOutcome::kNote;
  entry.run = joined_.session().party().scope().sid;
  entry.text = fmt::format("{}: {}", what(), text.substr(0, kMaxNoteChars));
  return entry;
}

void Running::log_note(const std::string& text, int64_t time) {
  joined_.state().log().append_alone(note_entry(text, time));
}

/// Before the first thing is erased: a member that is killed has what is left in its log, and no
/// later line says that nothing was stored.
void Running::note_ending(const flow::Ending& ending) {
  left_ = ending.left;
  ends_ = true;
  const int64_t now = clock_.now();
  for (const flow::RunId& run : ending.runs) log_note("abandoned: run " + run, now);
  for (const std::string& one : ending.left) {
    log_note("abandoned; made, or possibly made: " + one, now);
  }
  for (const std::string& name : ending.erased) log_note("abandoned; erased " + name, now);
  joined_.state().once().run_released(joined_.session().party().scope().sid);
}

void Running::note_wait(const flow::Waiting& waiting) {
  const std::string of = waiting.step.empty() ? what() : waiting.step;
  joined_.note(fmt::format("{} waits up to {} s: {}", of, waiting.seconds, waiting.what));
}

void Running::end_failed(const std::exception& error) {
  const auto* const abort = dynamic_cast<const ProtocolAbort*>(&error);
  std::string logged =
      fmt::format("{}: {}", what(), abort != nullptr ? to_string(abort->code()) : "failed here");
  if (!doubt_.empty()) logged += fmt::format("; {} has no committed answer", doubt_);
  if (!engine_.learnt().empty()) logged += ", what came of one is in answers/";
  joined_.log_failure(outcome(false), logged);
  Error::Fields fields = describe(error, false, joined_.members());
  fields.partial_file = engine_.learnt();
  if (task_ != nullptr) task_->ended(id_, fields.text, doubt_, engine_.opened());
  if (!doubt_.empty()) {
    fields.exit = Exit::kUnknown;
    fields.text += fmt::format(
        "\n  The request of {} had been released: it may have been carried out. Start the same "
        "command at all members: the run waits until it can no longer arrive, and follows the "
        "file's rule for that.",
        doubt_);
  } else if (ends_) {
    fields.text +=
        "\n  What is left at the providers stands in the log. Start the same command at all "
        "members: what is not done yet is done then.";
  } else if (!id_.empty()) {
    fields.text += fmt::format(
        "\n  Run {} is where its last step left it, and no request is under way. Start the same "
        "command at all members: it goes on from there.",
        id_);
  }
  throw Error(std::move(fields));
}

void Running::end_stopped(const flow::FlowStop& stop) {
  using Kind = flow::FlowStop::Kind;
  const bool in_doubt = !doubt_.empty();
  if (approved_) {
    joined_.log_outcome(outcome(stop.kind() == Kind::kStep),
                        fmt::format("{}: stopped, {}", what(), stop.what()));
  }
  Error::Fields fields;
  fields.kind = stop.kind() == Kind::kStep ? "error" : "refuse";
  fields.exit = in_doubt                     ? Exit::kUnknown
                : stop.kind() == Kind::kStep ? Exit::kServiceRefused
                                             : Exit::kRefused;
  fields.text = fmt::format("flow {} stopped: {}", read_.file.name, stop.what());
  if (task_ != nullptr) task_->ended(id_, fields.text, doubt_, engine_.opened());
  if (!id_.empty() && request_.abandon.empty()) {
    fields.text += fmt::format(
        "\n  Nothing of run {0} is lost. The same command goes on from there; `--continue {0}` "
        "with an edited file; `--abandon {0}` ends it.",
        id_);
  }
  throw Error(std::move(fields));
}

}  // namespace

FlowEnd run_flow(Session& session, const FlowRequest& request, FlowTask* task) {
  GuardedDecider decider(Access::decider(session));
  ReadFlow read = read_flow(Access::state(session), request, decider, task);
  const std::string command = task != nullptr ? task->command() : command_of(request);
  Joined& joined = Access::join(session, Access::kAsks, command);
  return Running(session, joined, request, read, task).run();
}

void check_flow(Room& room, const FlowRequest& request, Decider& program) {
  translated(Access::members(room), [&] {
    GuardedDecider decider(program);
    (void)read_flow(Access::state(room), request, decider, nullptr, false);
  });
}

bool any_says(Session& session, const std::string& command, bool own) {
  return translated(Access::members(session), [&] {
    Joined& joined = Access::join(session, Access::kAsksNothing, command);
    bool out = false;
    joined.session().guard([&] {
      joined.start();
      constexpr std::string_view kLabel = "flow/any";
      net::Party& party = joined.session().party();
      const std::vector<Bytes> said = party.exchange(kLabel, Writer().u8(own ? 1 : 0).bytes());
      party.echo(kLabel, AbortCode::kDisagreement);
      for (PartyId j = 0; j < said.size(); ++j) {
        Reader in(said[j], kLabel, j);
        out |= in.u8() != 0;
        in.finish();
      }
    });
    return out;
  });
}

bool has_open_run(Room& room, const flow::Flow& file) {
  return translated(Access::members(room), [&] {
    const std::vector<flow::RunState> runs = flow_store(Access::state(room)).runs();
    return std::any_of(runs.begin(), runs.end(), [&](const flow::RunState& run) {
      return run.head.flow == file.name && run.head.prefix == file.prefix && !run.done;
    });
  });
}

}  // namespace room

FlowEnd Session::flow(const FlowRequest& request) {
  return room::translated(room::Access::members(*this),
                          [&] { return room::run_flow(*this, request); });
}

}  // namespace flexroom
