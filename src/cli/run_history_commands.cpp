#include "cli/run_history.h"

#include <fmt/chrono.h>
#include <fmt/core.h>

#include "base/codec.h"
#include "base/display.h"
#include "cli/screen.h"

namespace flexroom::cli {
namespace {

using How = RunResult::How;

std::string utc(int64_t seconds) {
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

nlohmann::json to_json(const RunInfo& run) {
  return {{"id", run.id},
          {"job", run.job},
          {"state", run.state},
          {"detail", run.detail},
          {"means", run.means},
          {"started", run.started},
          {"deadline_minutes", run.deadline_minutes},
          {"instance_id", run.instance_id},
          {"client_token", run.client_token},
          {"proposal", run.proposal},
          {"result", run.result}};
}

void show_body(Output& out, const RunResult& got) {
  const auto result = nlohmann::json::parse(got.body, nullptr, false);
  nlohmann::json fields = {{"run", got.run.id},
                           {"file", got.file.string()},
                           {"result", result.is_discarded() ? nlohmann::json(nullptr) : result}};
  // What is saved nowhere is all here.
  if (got.file.empty()) fields["body_hex"] = to_hex(to_bytes(got.body));
  out.event("result", std::move(fields));
  if (out.json()) return;
  if (got.file.empty()) return out.body(to_bytes(got.body));
  out.line(fmt::format("\nThe result of {} (saved as {}):", got.run.job, got.file.string()));
  if (!result.is_object()) return out.line(fmt::format("  {} bytes", got.body.size()));
  for (const auto& [key, value] : result.items()) {
    if (value.is_object()) continue;
    out.line(fmt::format("  {:<20} {}", display_short(key), display_short(value.dump())));
  }
}

}  // namespace

int show_result(Output& out, const RunResult& got) {
  const int code = static_cast<int>(got.exit());
  out.end_progress();
  switch (got.how) {
    case How::kResult:
      show_body(out, got);
      if (!got.text.empty() && !out.json()) out.problem(got.text);
      return code;
    case How::kFailed:
      out.line("The machine reports that the run failed:\n" + got.body);
      out.event("failed", {{"run", got.run.id}, {"error", got.words}, {"log", got.body}});
      break;
    case How::kTooLarge:
      out.line(got.text);
      out.event("result", {{"run", got.run.id}, {"too_large", true}});
      break;
    case How::kNoLink:
      out.line(got.text);
      break;
    case How::kDeadLink:
    case How::kNotYet:
    case How::kInterrupted:
      if (!out.json()) out.problem(got.text);
      break;
  }
  if (!got.not_written.empty()) out.note(got.not_written);
  return code;
}

void end_of_run(Output& out, int code, const std::string& error, nlohmann::json fields) {
  fields["ok"] = code == kOk;
  if (code != kOk) fields.update({{"exit", code}, {"error", error}});
  out.result(std::move(fields));
}

int list_runs(Output& out, const Common& common) {
  OpenRoom room(common, true);
  nlohmann::json rows = nlohmann::json::array();
  const std::vector<RunInfo> all = room->runs();
  for (const RunInfo& run : all) {
    out.line(fmt::format("{}  {}  {:<12} {:<12} {}", run.short_id(), utc(run.started), run.job,
                         run.state, display_short(run.detail)));
    if (!run.means.empty()) out.line(fmt::format("{:14}{}", "", run.means));
    rows.push_back(to_json(run));
  }
  const std::vector<std::string> damaged = room->damaged_runs();
  for (const std::string& one : damaged) out.note(one);
  if (all.empty() && damaged.empty()) out.line("No run yet.");
  out.result({{"ok", true}, {"runs", rows}});
  return kOk;
}

int show_run(Output& out, const Common& common, const std::string& id) {
  const RunInfo run = OpenRoom(common, true)->run(id);
  out.line(fmt::format("run          {}", run.id));
  out.line(fmt::format("job          {}, deadline {} minutes", run.job, run.deadline_minutes));
  out.line(fmt::format("started      {} UTC", utc(run.started)));
  out.line(fmt::format("state        {}{}", run.state,
                       run.detail.empty() ? "" : ": " + display_short(run.detail)));
  if (!run.means.empty()) out.line(fmt::format("             {}", run.means));
  out.line(fmt::format("instance     {}", run.instance_id.empty() ? "none" : run.instance_id));
  out.line(fmt::format("client token {}", run.client_token));
  out.line(fmt::format("proposal     {}", run.proposal));
  out.line(fmt::format("result       {}",
                       run.result.empty() ? "not here" : (run.folder / run.result).string()));
  nlohmann::json fields = to_json(run);
  fields["ok"] = true;
  out.result(fields);
  return kOk;
}

int fetch_result(Output& out, const Common& common, const std::string& id) {
  OpenRoom room(common);
  Screen screen(out, common.yes);
  const RunResult got = room->collect_result(id, screen);
  const int code = show_result(out, got);
  end_of_run(out, code, got.text, {{"run", got.run.id}});
  return code;
}

int stop_run(Output& out, const Common& common, const std::string& id) {
  watch_signals();
  OpenRoom room(common);
  Screen screen(out, common.yes, common.diff, common.knows);
  const RunStopped got = room->stop_run(id, screen);
  const int code = static_cast<int>(got.exit());
  std::string error;
  if (code == kOk || code == kOutputLost) {
    out.line(got.text);
    error = got.not_written;
  } else {
    error = got.text;
  }
  if (code != kOk && !out.json()) out.problem(error);
  end_of_run(out, code, error,
             {{"run", got.run.id},
              {"status", got.status},
              {"found", got.found},
              {"instance_id", got.run.instance_id},
              {"job_status", got.job_status}});
  return code;
}

}  // namespace flexroom::cli
