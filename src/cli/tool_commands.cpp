#include <fmt/core.h>

#include <unistd.h>

#include <filesystem>

#include "base/display.h"
#include "bench/bench.h"
#include "cli/commands.h"
#include "cli/screen.h"
#include "flexroom/doctor.h"
#include "room/progress.h"

namespace flexroom::cli {

int stock(Output& out, const Common& common, uint64_t fill) {
  const Stock now =
      fill == 0 ? OpenRoom(common, true)->stock() : Joint(out, common)->fill_stock(fill);
  out.line(fmt::format("{} AND triples in stock ({:.1f} MB), {} bits", now.triples,
                       static_cast<double>(now.bytes) / 1e6, now.bits));
  out.result({{"ok", true}, {"triples", now.triples}, {"bits", now.bits}, {"bytes", now.bytes}});
  return kOk;
}

int doctor(Output& out, const Common& common, const std::filesystem::path& job_or_recipe,
           const std::filesystem::path& links, bool with_members) {
  size_t problems = 0, warnings = 0;
  nlohmann::json rows = nlohmann::json::array();
  ExamineOptions options;
  options.member_file = common.member_file;
  options.job_or_recipe = job_or_recipe;
  options.links = links;
  options.with_members = with_members;
  options.cancel = &cancel_flag();
  options.note = [&out](const std::string& text) { out.note(text); };
  for (const Check& check : examine(options)) {
    const bool problem = check.state == Check::State::kProblem;
    const bool warning = check.state == Check::State::kWarning;
    problems += problem;
    warnings += warning;
    const std::string state = problem ? "problem" : warning ? "warning" : "ok";
    out.line(fmt::format("{:<8} {}: {}", state, display(check.name), check.detail));
    if (!check.remedy.empty()) out.line(fmt::format("{:<8}   -> {}", "", check.remedy));
    rows.push_back({{"name", check.name},
                    {"state", state},
                    {"detail", check.detail},
                    {"remedy", check.remedy}});
    for (const auto& [name, value] : {std::pair("member", &check.member),
                                      {"field", &check.field},
                                      {"here", &check.here},
                                      {"there", &check.there}}) {
      if (!value->empty()) rows.back()[name] = *value;
    }
  }
  if (problems + warnings == 0) {
    out.line("Nothing is wrong here.");
  } else {
    out.line(fmt::format("{} wrong, {} to look at", problems, warnings));
  }
  out.result({{"ok", problems == 0}, {"checks", rows}});
  return problems == 0 ? kOk : kBadInput;
}

int sandbox(const std::vector<std::string>& arguments, bool json) {
  std::error_code failed;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", failed);
  const std::string program = (self.parent_path() / "flexroom-sandbox").string();
  std::vector<std::string> all = {program};
  all.insert(all.end(), arguments.begin(), arguments.end());
  if (json) all.emplace_back("--json");
  std::vector<char*> argv;
  for (std::string& argument : all) argv.push_back(argument.data());
  argv.push_back(nullptr);
  ::execv(program.c_str(), argv.data());
  throw InputError(program, "cannot be started",
                   "it belongs beside flexroom: build or install both");
}

int bench(Output& out, bool quick, const std::string& plot, const std::vector<std::string>& only) {
  bench::BenchOptions options;
  options.quick = quick;
  options.plot = plot;
  options.only.insert(only.begin(), only.end());
  room::ProgressMeter meter;
  options.progress = [&](std::string_view phase, double fraction) {
    if (const auto now = meter.update(phase, static_cast<uint64_t>(1000 * fraction), 1000)) {
      out.progress(*now);
    }
  };
  const bench::BenchReport report = bench::run_bench(options);
  if (out.json()) {
    out.result(nlohmann::json::parse(bench::bench_json(report)));
  } else {
    out.line(bench::bench_table(report));
  }
  return kOk;
}

}  // namespace flexroom::cli
