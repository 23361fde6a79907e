#include "room/runs.h"

#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <vector>

#include "base/display.h"
#include "base/private_file.h"
#include "call/boot_loader.h"
#include "call/loader.h"
#include "flexroom/session.h"
#include "room/call.h"
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

RunInfo info_of(const runs::Run& run, const runs::RunHistory& history) {
  RunInfo out;
  out.id = run.id;
  out.job = run.job;
  out.state = std::string(runs::to_string(run.state));
  out.detail = run.detail;
  out.started = run.started;
  out.deadline_minutes = run.deadline_minutes;
  out.instance_id = run.instance_id;
  out.client_token = run.client_token;
  out.proposal = run.proposal;
  out.result = run.result;
  out.folder = history.folder(run);
  return out;
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
  Collector(Room& room, runs::Run run, bool wait)
      : room_(room),
        state_(Access::state(room)),
        history_(history_of(state_)),
        run_(std::move(run)),
        wait_(wait) {}

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
  bool wait_;
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
      if (!wait_) return;
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
    out = fmt::format("Run {}, instance {}, was stopped by agreement.", id, run_.instance_id);
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
  if (!wait_ || run_.carrier.empty() || out_.words != runs::kNothingYet) return "";
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
                         not_begun_ ? "will come, the machine asks for its loader no more"
                         : wait_    ? "came before the deadline"
                                    : "is there",
                         display_short(out_.words), display_lines(why_nothing()), goes_on());
    case How::kInterrupted:
      break;
  }
  return "stopped by the operator, here alone. " + goes_on();
}

RunResult Collector::finished() {
  out_.run = info_of(run_, history_);
  out_.text = display_lines(text());
  return std::move(out_);
}

void require_use(const Room& room) {
  if (!Access::only_looks(room)) return;
  throw InputError("room", "was opened to look at", "open it to use it");
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

/// The same text at every member, from what all of them approved: it is compared and shown.
std::string stop_recipe(const runs::Run& run) {
  return fmt::format(
      "[recipe]\nname = \"stop-run\"\nprovider = \"{0}\"\nhost = \"ec2.{1}.amazonaws.com\"\n"
      "open = \"everything to all\"\nrequest = \"\"\"\nPOST / HTTP/1.1\nHost: "
      "ec2.{1}.amazonaws.com\n"
      "Content-Type: application/x-www-form-urlencoded; charset=utf-8\nX-Amz-Date: "
      "{{{{amz-date}}}}\n"
      "Authorization: AWS4-HMAC-SHA256 Credential={2}/{{{{amz-day}}}}/{1}/ec2/aws4_request, "
      "SignedHeaders=content-type;host;x-amz-date, Signature={{{{signature}}}}\nConnection: close\n"
      "Content-Length: {{{{content-length}}}}\n\n"
      "Action=TerminateInstances&Version=2016-11-15&InstanceId.1={3}\"\"\"\n\n"
      "[sign]\nsecret = \"{4}\"\nregion = \"{1}\"\nservice = \"ec2\"\n",
      run.provider, run.region, run.access_key_id, run.instance_id, run.secret);
}

RunStopped stop_run(Session& session, const std::string& id) {
  session::MemberState& state = Access::state(session);
  runs::RunHistory history = history_of(state);
  runs::Run run = history.find(id);
  if (run.instance_id.empty()) {
    // By its client token, which is the flow's run, the same command finds what may run.
    throw InputError("run " + run.short_id(), "has no machine: " + tell_state(run),
                     run.flow_run.empty() || run.flow_done
                         ? ""
                         : "if one may run: `run-script --classic` with the job of before finds it "
                           "by its client token, or look for that in the account");
  }
  const std::filesystem::path recipe = history.folder(run) / "stop.toml";
  std::filesystem::remove(recipe);
  // A flow may have replaced its key since: the machine is the account's, whichever key started it.
  runs::Run as_now = run;
  as_now.access_key_id = id_of_key(state, run.secret).value_or(run.access_key_id);
  if (!write_new_file(recipe, as_bytes(stop_recipe(as_now)))) {
    throw InputError(recipe.string(), std::string("cannot be written: ") + std::strerror(errno),
                     "free some space, or let this user write there");
  }
  // Compared before anything else, named with both ids where they differ: "last" is resolved here.
  const ServiceAnswer answer = call_recipe(session, {recipe, {}, {}}, "stop run " + run.id);
  RunStopped out;
  out.status = answer.status;
  out.body = answer.body;
  if (answer.status == 200) {
    run.state = runs::RunState::kStopped;
    run.detail = "terminated by agreement";
    out.not_written = remember(history, run);
  }
  out.run = info_of(run, history);
  return out;
}

}  // namespace
}  // namespace room

Exit RunStopped::exit() const {
  if (status != 200) return Exit::kServiceRefused;
  return not_written.empty() ? Exit::kOk : Exit::kOutputLost;
}

std::vector<RunInfo> Room::runs() {
  return room::translated(room::Access::members(*this), [&] {
    const runs::RunHistory history = room::history_of(*state_->member);
    std::vector<RunInfo> out;
    for (const runs::Run& run : history.all()) out.push_back(room::info_of(run, history));
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
    const runs::RunHistory history = room::history_of(*state_->member);
    return room::info_of(history.find(id), history);
  });
}

RunResult Room::collect_result(const std::string& id, Decider& decider) {
  return room::translated(room::Access::members(*this),
                          [&] { return room::collect(*this, id, decider); });
}

RunResult Room::follow(const RunStarted& started, Decider& decider) {
  return room::follow(*this, started, decider);
}

RunStopped Session::stop_run(const std::string& run) {
  return room::translated(room::Access::members(*this), [&] { return room::stop_run(*this, run); });
}

}  // namespace flexroom
