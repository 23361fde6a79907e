#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace flexroom::bench {

struct BenchOptions {
  bool json = false;   // what the caller will print; the measurements are the same
  bool quick = false;  // one batch and one repetition of everything: a smoke test, noisy figures
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

struct BenchReport {
  std::map<std::string, Figure> figures;           // all of bench_figure_names()
  std::map<std::string, std::string> environment;  // CPU, cores, link, parameters
};

/// In the order of the table.
const std::vector<std::string>& bench_figure_names();

/// Measures two members on this machine: real protocols at default parameters, over the mesh's TLS
/// on loopback, against the sandbox cloud. About one minute.
///
/// Setting   member i and all its threads are pinned to the i-th core the process may use, if
///           there are two. First the run-script figures with each member as a process of its own
///           (forked, for its memory), then everything else with the members as threads
/// Checks    every result is verified: signatures, the service's answers, the instance started
/// Throws    ProtocolAbort; std::runtime_error when a child fails. Call it before the process has
///           threads: it forks
BenchReport run_bench(const BenchOptions& options);

/// For people, one line a figure and the conditions below.
std::string bench_table(const BenchReport& report);
/// {"figures": {name: number}, "units": {}, "published": {}, "conditions": {}, "environment": {}}
std::string bench_json(const BenchReport& report);

}  // namespace flexroom::bench
