#include "room/runs.h"

#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <vector>

#include "base/codec.h"
#include "base/display.h"
#include "base/private_file.h"
#include "call/boot_loader.h"
#include "call/loader.h"
#include "flexroom/session.h"
#include "room/failure.h"
#include "room/named_secrets.h"
#include "room/script_end.h"
#include "room/state.h"
#include "runs/follow.h"

namespace flexroom {

Exit RunResult::exit() const {
  switch (how) {
    case How::kResult:
    case How::kNoLink:
      return not_written.empty() ? Exit::kOk : Exit::kOutputLost;
    case How::kFailed:
      return Exit::kServiceRefused;
    case How::kTooLarge:
      return Exit::kResultElsewhere;
    case How::kDeadLink:
    case How::kNotYet:
    case How::kInterrupted:
      break;
  }
  return Exit::kGoesOn;
}

namespace room {

runs::RunHistory history_of(const session::MemberState& state) {
  return {state.member().state_dir, state.rid()};
}

namespace {

/// What this member can say of a run of which its record does not know how it began.
struct Known {
  bool asked = false;  // its request left, or may have
  bool ended = false;  // --classic: the flow is done, or was abandoned
};

Known known_of(session::MemberState& state, const runs::Run& run) {
  Known out;
  if (!run.flow_run.empty()) {
    flow::RunStore store = flow_store(state);
    const auto flow = store.run(run.flow_run);
    out.asked = store.armed(run.flow_run, kMachineStep).has_value();
    out.ended = store.is_closed(run.flow_run) || (flow && flow->done);
    return out;
  }
  for (const store::OnceDb::OpenRun& open : state.once().open_runs(state.rid())) {
    if (to_hex(open.session) == run.session) out.asked = open.released;
    if (to_hex(open.session) == run.session) return out;
  }
  out.asked = true;  // it was cut; whether before the release is in the log alone
  return out;
}

runs::RunState state_of(const runs::Run& run, const Known& known) {
  using State = runs::RunState;
  if (run.state != State::kStarting) return run.state;
  if (known.asked) return State::kUnknown;
  return known.ended ? State::kNotStarted : State::kStarting;
}

/// What a state that is no end means, and the way on.
std::string means(const runs::Run& run, runs::RunState state, const Known& known) {
  const bool classic = !run.flow_run.empty();
  switch (state) {
    case runs::RunState::kStarting:
      return classic ? "no machine was asked for: its command is under way, or was cut at a step "
                       "before; the same command goes on"
                     : "its request has not left: its command is under way, or was cut, and then "
                       "nothing runs";
    case runs::RunState::kUnknown:
      if (classic && known.ended) {
        return "its machine was asked for and may run, though its flow was ended: `stop` looks for "
               "one and ends it";
      }
      return classic ? "its machine was asked for and may run: the same command finds it and goes "
                       "on, `stop` ends it"
                     : "its request left, or may have: `stop` looks for a machine with its client "
                       "token and ends it; `flexroom log` says whether it was released";
    case runs::RunState::kGone:
      return "its machine was started, and the service lists it no more; `result` looks for what "
             "it "
             "put";
    default:
      return "";
  }
}

}  // namespace

RunInfo info_of(session::MemberState& state, const runs::Run& run) {
  const bool open = run.state == runs::RunState::kStarting ||
                    run.state == runs::RunState::kUnknown || run.state == runs::RunState::kGone;
  const Known known = open ? known_of(state, run) : Known();
  const runs::RunState now = state_of(run, known);
  RunInfo out;
  out.id = run.id;
  out.job = run.job;
  out.state = std::string(runs::to_string(now));
  out.detail = run.detail;
  out.means = means(run, now, known);
  out.started = run.started;
  out.deadline_minutes = run.deadline_minutes;
  out.instance_id = run.instance_id;
  out.client_token = run.client_token;
  out.proposal = run.proposal;
  out.result = run.result;
  out.folder = history_of(state).folder(run);
  return out;
}

void require_use(const Room& room) {
  if (!Access::only_looks(room)) return;
  throw InputError("room", "was opened to look at", "open it to use it");
}

std::string tell_state(const runs::Run& run) {
  return run.detail.empty()
             ? std::string(runs::to_string(run.state))
             : fmt::format("{}: {}", runs::to_string(run.state), display_short(run.detail));
}

std::string remember(runs::RunHistory& history, const runs::Run& run) noexcept {
  try {
    history.update(run);
    return {};
  } catch (...) {
    try {
      return fmt::format("run {} could not be written down: {}", run.short_id(), words_of_caught());
    } catch (...) {
      return "?";  // no memory for the words
    }
  }
}

namespace {

using How = RunResult::How;

/// One look for a result, or a wait for it.
class Collector {
 public:
  Collector(Room& room, runs::Run run, bool wait, bool is_over = false)
      : room_(room),
        state_(Access::state(room)),
        history_(history_of(state_)),
        run_(std::move(run)),
        wait_(wait),
        is_over_(is_over) {}

  RunResult collect(Decider& decider) {
    if (!run_.result.empty()) {
      take_what_is_here();
    } else if (const std::optional<SecretBytes> link = history_.link(run_)) {
      look(*link, decider);
    } else {
      out_.how = How::kNoLink;
    }
    return finished();
  }
  /// Of a run that could not be looked for.
  RunResult failed(std::string why) {
    failed_ = true;
    out_.words = std::move(why);
    return finished();
  }

 private:
  void take_what_is_here() {
    out_.how = run_.state == runs::RunState::kFailed ? How::kFailed : How::kResult;
    out_.words = out_.how == How::kFailed ? run_.detail : "";
    out_.file = history_.folder(run_) / run_.result;
    out_.body = read_own_file(out_.file, kMaxResultBytes, "it was in the run's folder once");
  }
  void look(const SecretBytes& link, Decider& decider);
  void enter_end();
  RunResult finished();
  std::string text() const;
  std::string goes_on() const;
  /// Why a link may still hold what run-script wrote there; empty where it does not.
  std::string why_nothing() const;
  std::string not_kept() const;

  Room& room_;
  session::MemberState& state_;
  runs::RunHistory history_;
  runs::Run run_;
  const bool wait_;     // for as long as the machine may live
  const bool is_over_;  // it may not any more: this look is the last one
  bool failed_ = false;
  bool not_begun_ = false;
  RunResult out_;
};

/// Of each of this member's links: what it answered when it was tried, and when it ends.
std::string told_of_links(const runs::Run& run, int64_t now) {
  std::string out;
  for (const std::string name :
       {"data_url", "result_url", "result_get_url", "loader_url", "loader_put_url"}) {
    std::vector<std::string> said;
    const auto answer = run.link_answers.find(name);
    if (answer != run.link_answers.end()) {
      said.push_back(fmt::format("answered {} {} min ago", display_short(answer->second),
                                 std::max<int64_t>(now - run.links_tried, 0) / 60));
    } else if (run.links_tried != 0 && name == "data_url") {
      said.emplace_back("is the machine's to ask");
    }
    const auto end = run.link_ends.find(name);
    if (end != run.link_ends.end()) {
      said.push_back(end->second <= now ? "has ended"
                                        : fmt::format("ends in {} min", (end->second - now) / 60));
    }
    if (said.empty()) continue;
    out += fmt::format("{}{} {}", out.empty() ? "; " : ", ", name,
                       fmt::join(said.begin(), said.end(), " and "));
  }
  return out;
}

/// From the answer to RunInstances to the machine's first step. Most take a tenth of it.
constexpr int64_t kMachineStart = 10 * 60;

/// What is known of the machine, `words` being the last answer of result_get_url.
std::string told_of_machine(const runs::Run& run, std::string_view words, int64_t now) {
  if (words == runs::kBegun) return "the script runs";
  const bool late = run.machine_since != 0 && now >= run.machine_since + kMachineStart;
  if (words != runs::kNothingYet || run.carrier.empty() || !late) {
    return "the machine was started";
  }
  return fmt::format(
      "the machine has said nothing for {} min: it may not get the loader behind {}'s link",
      (now - run.machine_since) / 60, run.carrier);
}

How how_of(runs::Followed::How how) {
  switch (how) {
    case runs::Followed::How::kResult:
      return How::kResult;
    case runs::Followed::How::kFailed:
      return How::kFailed;
    case runs::Followed::How::kTooLarge:
      return How::kTooLarge;
    case runs::Followed::How::kDeadLink:
      return How::kDeadLink;
    case runs::Followed::How::kNothing:
    case runs::Followed::How::kNotBegun:
      break;
  }
  return How::kNotYet;
}

void Collector::look(const SecretBytes& link, Decider& decider) {
  // From approval to the start of the machine some minutes may pass.
  runs::Patience patience{std::chrono::system_clock::now() +
                          std::chrono::minutes(wait_ ? run_.deadline_minutes : 0)};
  // A flow that was continued has written its own mark over the machine's.
  if (wait_ && run_.flow_run.empty() && run_.machine_since != 0) {
    patience.begun_by = std::chrono::system_clock::from_time_t(
        static_cast<time_t>(run_.machine_since + kMachineStart + kLoaderWindow.count()));
  }
  const auto tell = [&](std::string_view words) {
    const int64_t now = std::time(nullptr);
    decider.progress(
        {fmt::format("{}, waiting for the result ({}{})", told_of_machine(run_, words, now), words,
                     told_of_links(run_, now)),
         {},
         {}});
  };
  try {
    const runs::Followed got = runs::follow_result(
        state_.room(), to_text(link.reveal()), run_.before, patience, tell, Access::cancel(room_));
    out_.how = how_of(got.how);
    not_begun_ = got.how == runs::Followed::How::kNotBegun;
    out_.words = got.words;
    out_.body = to_text(got.body);
  } catch (const ProtocolAbort& abort) {
    if (abort.code() != AbortCode::kCancelled) throw;
    out_.how = How::kInterrupted;
  }
  enter_end();
}

void Collector::enter_end() {
  const std::pair before(run_.state, run_.detail);
  switch (out_.how) {
    case How::kResult:
    case How::kFailed:
      run_.state = out_.how == How::kResult ? runs::RunState::kSucceeded : runs::RunState::kFailed;
      run_.detail = out_.words;
      break;
    case How::kTooLarge:
      run_.state = runs::RunState::kElsewhere;
      run_.detail = fmt::format("over {} MiB", kMaxResultBytes >> 20);
      break;
    case How::kDeadLink:  // the machine goes on
      run_.detail = fmt::format("result_get_url of {}: {}", state_.member().name, out_.words);
      break;
    case How::kNotYet:
      if (!wait_ && !is_over_) return;
      run_.state = runs::RunState::kNoResult;
      run_.detail = out_.words + why_nothing();
      break;
    case How::kNoLink:
    case How::kInterrupted:
      return;
  }
  try {
    if (out_.how == How::kResult || out_.how == How::kFailed) {
      run_.result = history_.keep(run_, out_.how == How::kResult ? run_.result_name : "failure.txt",
                                  as_bytes(out_.body));
      out_.file = history_.folder(run_) / run_.result;
    }
    if (std::pair(run_.state, run_.detail) != before) log_script_end(state_, run_);
    history_.update(run_);
    if (!run_.result.empty()) history_.forget_link(run_);
  } catch (...) {
    // What came is here all the same. The link stays: all of it is written at the next look.
    out_.not_written = words_of_caught();
  }
}

std::string Collector::goes_on() const {
  const std::string id = run_.short_id();
  std::string out;
  if (run_.state == runs::RunState::kStopped) {
    out = run_.instance_id.empty()
              ? fmt::format("Run {} was stopped by agreement: {}.", id, display_short(run_.detail))
              : fmt::format("Run {}, instance {}, was stopped by agreement.", id, run_.instance_id);
  } else if (run_.state == runs::RunState::kGone) {
    out = fmt::format("The machine of run {} was started, and the service lists it no more.", id);
  } else if (run_.instance_id.empty()) {
    out = fmt::format("Whether run {} has a machine is not known; its client token is {}.", id,
                      run_.client_token);
  } else {
    out = fmt::format("Run {} goes on, as instance {}, until it ends or its deadline comes.", id,
                      run_.instance_id);
  }
  return out + fmt::format(
                   "\n  -> `flexroom show {0}` says what is known of it, `flexroom result {0}` "
                   "looks again for the result, `flexroom stop {0}` at all members ends the "
                   "machine",
                   id);
}

// Of the machine's first step no member is told by the machine: the links for that are in what it
// fetches there. What the loader does first is to write there.
std::string Collector::why_nothing() const {
  if ((!wait_ && !is_over_) || run_.carrier.empty() || out_.words != runs::kNothingYet) return "";
  return fmt::format(
      "; the machine did not get the loader behind {}'s link, ended or was ended before that, or "
      "could not write to result_url of {}",
      run_.carrier, state_.member().name);
}

std::string Collector::not_kept() const {
  const std::string where =
      out_.file.empty() ? "it is saved nowhere" : "it is saved as " + out_.file.string();
  return fmt::format(
      "the result of run {0} is here, but not all could be written down ({1}): {2}\n  -> "
      "`flexroom result {0}` fetches it again",
      run_.short_id(), where, out_.not_written);
}

std::string Collector::text() const {
  if (failed_) {
    return fmt::format("the result could not be looked for: {}. {}", out_.words, goes_on());
  }
  switch (out_.how) {
    case How::kResult:
      return out_.not_written.empty() ? "" : not_kept();
    case How::kFailed:
      return "the machine reports that the run failed: " + out_.words;
    case How::kTooLarge:
      return fmt::format(
          "The script ended. The result of {} is over {} MiB and is not fetched; it lies where "
          "result_get_url says.",
          state_.member().name, kMaxResultBytes >> 20);
    case How::kNoLink:
      return "links.toml named no result_get_url: fetch the result yourself when the machine is "
             "done.";
    case How::kDeadLink:
      return fmt::format(
          "result_get_url of {} is of no use any more ({}); the result will lie where result_url "
          "puts it. {}",
          state_.member().name, display_short(out_.words), goes_on());
    case How::kNotYet:
      return fmt::format("no result {} (last answer of result_get_url: {}{}). {}",
                         not_begun_          ? "will come, the machine asks for its loader no more"
                         : wait_ || is_over_ ? "came before the deadline"
                                             : "is there",
                         display_short(out_.words), display_lines(why_nothing()), goes_on());
    case How::kInterrupted:
      break;
  }
  return "stopped by the operator, here alone. " + goes_on();
}

RunResult Collector::finished() {
  out_.run = info_of(state_, run_);
  out_.text = display_lines(text());
  return std::move(out_);
}

RunResult collect(Room& room, const std::string& id, Decider& program) {
  GuardedDecider decider(program);
  require_use(room);
  const runs::Run run = history_of(Access::state(room)).find(id);
  if (run.state == runs::RunState::kRefused || run.state == runs::RunState::kNotStarted) {
    throw InputError("run " + run.short_id(), "has no result: " + tell_state(run));
  }
  return Collector(room, run, false).collect(decider);
}

RunResult look_once(Room& room, const runs::Run& run, bool is_over, Decider& program) {
  GuardedDecider decider(program);
  return Collector(room, run, false, is_over).collect(decider);
}

/// As run_script() left it, also where the last word of its record could not be written.
void take_start(runs::Run& run, const RunStarted& started) {
  run.id = started.run;
  run.instance_id = started.instance_id;
  run.client_token = started.client_token;
  if (run.state == runs::RunState::kStarting) run.state = runs::RunState::kRunning;
}

RunResult follow(Room& room, const RunStarted& started, Decider& program) {
  GuardedDecider decider(program);
  runs::Run run;
  take_start(run, started);
  try {
    require_use(room);
    run = history_of(Access::state(room)).find(started.run);
    take_start(run, started);
    return Collector(room, run, true).collect(decider);
  } catch (...) {  // the machine was started: no failure undoes that
    return Collector(room, run, true).failed(words_of_caught());
  }
}

}  // namespace

RunResult look_for_result(Room& room, const std::string& id, bool is_over, Decider& program) {
  return translated(Access::members(room), [&] {
    require_use(room);
    return look_once(room, history_of(Access::state(room)).find(id), is_over, program);
  });
}

}  // namespace room

std::vector<RunInfo> Room::runs() {
  return room::translated(room::Access::members(*this), [&] {
    std::vector<RunInfo> out;
    for (const runs::Run& run : room::history_of(*state_->member).all()) {
      out.push_back(room::info_of(*state_->member, run));
    }
    return out;
  });
}

std::vector<std::string> Room::damaged_runs() {
  return room::translated(room::Access::members(*this), [&] {
    std::vector<std::string> out;
    for (const auto& one : room::history_of(*state_->member).damaged()) {
      out.push_back(display_lines(one.text));
    }
    return out;
  });
}

RunInfo Room::run(const std::string& id) {
  return room::translated(room::Access::members(*this), [&] {
    session::MemberState& member = *state_->member;
    return room::info_of(member, room::history_of(member).find(id));
  });
}

RunResult Room::collect_result(const std::string& id, Decider& decider) {
  return room::translated(room::Access::members(*this),
                          [&] { return room::collect(*this, id, decider); });
}

RunResult Room::follow(const RunStarted& started, Decider& decider) {
  return room::follow(*this, started, decider);
}

}  // namespace flexroom
