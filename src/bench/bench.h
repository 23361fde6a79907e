#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bench/link_simulator.h"

namespace flexroom::bench {

struct BenchOptions {
  bool quick = false;          // one batch, few repetitions, one link: a smoke test, noisy figures
  std::set<std::string> only;  // of bench_figure_names(); empty: all, with `quick` but the flows'
  std::filesystem::path plot;  // an SVG of the timelines is written there, unless empty
  /// What is being measured, and how much of the whole is done (0 .. 1). Called from one thread at
  /// a time, not always the same.
  std::function<void(std::string_view phase, double fraction)> progress;
};

struct Figure {
  double value = 0;
  std::string unit;
  std::optional<double> published;  // the paper's nearest figure, same unit
  std::string condition;            // what was measured, exactly
};

/// Two members behind one simulated link (link_simulator.h).
struct LinkFigures {
  LinkShape shape;
  double measured_rtt_ms = 0;    // of a one-byte message through the mesh
  std::optional<double> cold_s;  // run-script, as run_script_lean_cold_s; not for every link
  double warm_s = 0;             // as run_script_lean_warm_s
  double bytes = 0;              // as run_script_lean_bytes
};

struct BenchReport {
  std::map<std::string, Figure> figures;  // of bench_figure_names(), those that were wanted
  std::vector<LinkFigures> links;
  std::map<std::string, std::string> environment;  // CPU, cores, link, parameters
};

/// In the order of the table.
const std::vector<std::string>& bench_figure_names();
/// Throws InputError for a name that is no figure's.
void require_bench_figures(const std::set<std::string>& names);
/// Of a whole flow through the product: a minute and more each.
bool is_flow_figure(std::string_view name);

/// How long a run takes, said once: in the help, in README and here.
inline constexpr std::string_view kBenchDuration = "about four minutes; --quick about one";

/// Measures the product on this machine: its run-script and its TLS connections at default
/// parameters, over the mesh's TLS on loopback, against the sandbox cloud; two members, three
/// members, and two members behind simulated links. Times are those of the product's own timeline.
///
/// Setting   each member is a process of its own, pinned to a core of its own if there are as many.
///           The run-script figures are those of processes that did nothing before (their memory)
/// Checks    every result is verified: signatures, the service's answers, the instance started
/// Throws    ProtocolAbort; std::runtime_error when a member's process fails; InputError when the
///           plot cannot be written or `only` names no figure (before anything is measured). Call
///           it before the process has threads: it forks
BenchReport run_bench(const BenchOptions& options);

/// For people, one line a figure and the conditions below.
std::string bench_table(const BenchReport& report);
/// {"figures": {name: number}, "units": {}, "published": {}, "conditions": {}, "links": [{"rtt_ms",
/// "mbit_s", "measured_rtt_ms", "cold_s", "warm_s"}], "environment": {}}
std::string bench_json(const BenchReport& report);

}  // namespace flexroom::bench
