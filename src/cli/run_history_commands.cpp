#include <fmt/chrono.h>
#include <fmt/core.h>

#include <cerrno>
#include <cstring>

#include "base/display.h"
#include "base/private_file.h"
#include "call/loader.h"
#include "cli/run_history.h"
#include "cli/screen.h"
#include "room/access.h"
#include "room/script_end.h"
#include "runs/follow.h"
#include "runs/history.h"

namespace flexroom::cli {
namespace {

runs::RunHistory history_of(const session::MemberState& state) {
  return {state.member().state_dir, state.rid()};
}

std::string utc(int64_t seconds) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

nlohmann::json to_json(const runs::Run& run) {
  return {{"id", run.id},
          {"job", run.job},
          {"state", runs::to_string(run.state)},
          {"detail", run.detail},
          {"started", run.started},
          {"deadline_minutes", run.deadline_minutes},
          {"instance_id", run.instance_id},
          {"proposal", run.proposal},
          {"result", run.result}};
}

/// A result that is here.
int show_result(Output& out, const runs::Run& run, const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (run.state == runs::RunState::kFailed) {
    out.line("The machine reports that the run failed:\n" + text);
    out.event("failed", {{"run", run.id}, {"error", run.detail}, {"log", text}});
    return kServiceRefused;
  }
  const auto result = nlohmann::json::parse(text, nullptr, false);
  out.line(fmt::format("\nThe result of {} (saved as {}):", run.job, file.string()));
  if (result.is_object()) {
    for (const auto& [key, value] : result.items()) {
      if (value.is_object()) continue;
      out.line(fmt::format("  {:<20} {}", display_short(key), display_short(value.dump())));
    }
  } else {
    out.line(fmt::format("  {} bytes", text.size()));
  }
  out.event("result", {{"run", run.id},
                       {"file", file.string()},
                       {"result", result.is_discarded() ? nlohmann::json(nullptr) : result}});
  return kOk;
}

std::string tell_state(const runs::Run& run) {
  return run.detail.empty()
             ? std::string(runs::to_string(run.state))
             : fmt::format("{}: {}", runs::to_string(run.state), display_short(run.detail));
}

/// What came of it stands in the run's folder and in the log; once, however often it is looked for.
void enter_end(Output& out, session::MemberState& state, runs::RunHistory& history, runs::Run& run,
               const runs::Followed& got, bool waited) {
  using How = runs::Followed::How;
  const std::pair before(run.state, run.detail);
  switch (got.how) {
    case How::kResult:
    case How::kFailed:
      run.state = got.how == How::kResult ? runs::RunState::kSucceeded : runs::RunState::kFailed;
      run.detail = got.words;
      run.result = history.keep(
          run, got.how == How::kResult ? run.result_name : std::string("failure.txt"), got.body);
      break;
    case How::kTooLarge:
      run.state = runs::RunState::kElsewhere;
      run.detail = fmt::format("over {} MiB", kMaxResultBytes >> 20);
      break;
    case How::kDeadLink:  // the machine goes on
      run.detail = fmt::format("result_get_url of {}: {}", state.member().name, got.words);
      break;
    case How::kNothing:
      if (!waited) return;
      run.state = runs::RunState::kNoResult;
      run.detail = got.words;
      break;
  }
  if (std::pair(run.state, run.detail) != before) {
    try {
      room::log_script_end(state, run);
    } catch (const InputError& error) {  // what came is here all the same
      out.note(fmt::format("the log could not be written: {}", error.what()));
    }
  }
  history.update(run);
  if (!run.result.empty()) history.forget_link(run);
}

}  // namespace

int collect_result(Output& out, session::MemberState& state, const std::string& id, bool wait) {
  runs::RunHistory history = history_of(state);
  runs::Run run = history.find(id);
  if (!run.result.empty()) return show_result(out, run, history.folder(run) / run.result);
  const std::optional<SecretBytes> link = history.link(run);
  if (!link) {
    out.line(
        "links.toml named no result_get_url: fetch the result yourself when the machine is done.");
    return kOk;
  }
  const auto started = std::chrono::system_clock::from_time_t(run.started);
  const auto deadline = std::chrono::minutes(run.deadline_minutes);
  // From approval to the start of the machine some minutes may pass.
  const auto until = wait ? std::chrono::system_clock::now() + deadline : started;
  const runs::Followed got = runs::follow_result(
      state.room(), to_text(link->reveal()), run.before, until,
      [&](std::string_view words) {
        out.progress({fmt::format("the script runs, waiting for the result ({})", words),
                      std::nullopt, std::nullopt});
      },
      &cancel_flag());
  out.end_progress();
  enter_end(out, state, history, run, got, wait);
  using How = runs::Followed::How;
  switch (got.how) {
    case How::kResult:
    case How::kFailed:
      return show_result(out, run, history.folder(run) / run.result);
    case How::kTooLarge:
      out.line(
          fmt::format("The script ended. The result of {} is over {} MiB and is not fetched; it "
                      "lies where result_get_url says.",
                      state.member().name, kMaxResultBytes >> 20));
      out.event("result", {{"run", run.id}, {"too_large", true}});
      return kResultElsewhere;
    case How::kDeadLink:
      throw ProtocolAbort(
          AbortCode::kServer, "result",
          fmt::format("result_get_url of {} is of no use any more ({}); the machine goes on, and "
                      "the result will lie where result_url puts it",
                      state.member().name, got.words));
    case How::kNothing:
      break;
  }
  throw ProtocolAbort(
      AbortCode::kTimeout, "result",
      fmt::format(
          "no result {} (last answer of result_get_url: {}); `flexroom result {}` looks again",
          wait ? "came before the deadline" : "is there", got.words, run.short_id()));
}

int list_runs(Output& out, const Common& common) {
  OpenRoom room(common);
  nlohmann::json rows = nlohmann::json::array();
  const std::vector<runs::Run> all = history_of(room::Access::state(*room)).all();
  for (const runs::Run& run : all) {
    out.line(fmt::format("{}  {}  {:<12} {:<12} {}", run.short_id(), utc(run.started), run.job,
                         runs::to_string(run.state), display_short(run.detail)));
    rows.push_back(to_json(run));
  }
  if (all.empty()) out.line("No run yet.");
  out.result({{"ok", true}, {"runs", rows}});
  return kOk;
}

int show_run(Output& out, const Common& common, const std::string& id) {
  OpenRoom room(common);
  const runs::RunHistory history = history_of(room::Access::state(*room));
  const runs::Run run = history.find(id);
  out.line(fmt::format("run          {}", run.id));
  out.line(fmt::format("job          {}, deadline {} minutes", run.job, run.deadline_minutes));
  out.line(fmt::format("started      {} UTC", utc(run.started)));
  out.line(fmt::format("state        {}", tell_state(run)));
  out.line(fmt::format("instance     {}", run.instance_id.empty() ? "none" : run.instance_id));
  out.line(fmt::format("proposal     {}", run.proposal));
  out.line(fmt::format("result       {}", run.result.empty()
                                              ? "not here"
                                              : (history.folder(run) / run.result).string()));
  nlohmann::json fields = to_json(run);
  fields["ok"] = true;
  out.result(fields);
  return kOk;
}

int fetch_result(Output& out, const Common& common, const std::string& id) {
  OpenRoom room(common);
  session::MemberState& state = room::Access::state(*room);
  const runs::Run run = history_of(state).find(id);
  if (run.state == runs::RunState::kRefused || run.state == runs::RunState::kNotStarted) {
    throw InputError("run " + run.short_id(), "has no result: " + tell_state(run));
  }
  const int code = collect_result(out, state, run.id, false);
  out.result({{"ok", code == kOk}, {"run", run.id}});
  return code;
}

int stop_run(Output& out, const Common& common, const std::string& id) {
  Joint joint(out, common);
  session::MemberState& state = room::Access::state(joint.room());
  runs::RunHistory history = history_of(state);
  runs::Run run = history.find(id);
  if (run.instance_id.empty()) {
    throw InputError("run " + run.short_id(), "has no machine: " + tell_state(run));
  }
  // The same text at every member, from what all of them approved: it is compared and shown.
  const std::filesystem::path recipe = history.folder(run) / "stop.toml";
  const std::string text = fmt::format(
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
  std::filesystem::remove(recipe);
  if (!write_new_file(recipe, as_bytes(text))) {
    throw InputError(recipe.string(), std::string("cannot be written: ") + std::strerror(errno));
  }
  const ServiceAnswer answer = joint->call({recipe, {}, {}});
  const bool ok = answer.status == 200;
  if (ok) {
    run.state = runs::RunState::kStopped;
    run.detail = "terminated by agreement";
    history.update(run);
    out.line(fmt::format("Instance {} of run {} ends.", run.instance_id, run.short_id()));
  } else {
    out.line(fmt::format("The service refused: {} {}", answer.status,
                         display_short(answer.body.substr(0, 300))));
  }
  out.result({{"ok", ok}, {"run", run.id}, {"status", answer.status}});
  return ok ? kOk : kServiceRefused;
}

}  // namespace flexroom::cli
