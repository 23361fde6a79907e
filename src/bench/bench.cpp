#include "bench/bench.h"

#include <fmt/core.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "base/error.h"
#include "bench/bench_flows.h"
#include "bench/bench_requests.h"
#include "bench/bench_session.h"
#include "prep/epoch.h"
#include "prep/triple_parameters.h"

namespace flexroom::bench {
namespace {

std::string cpu_model() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) {
      return line.substr(colon + 2);
    }
  }
  return "unknown";
}

/// What the system grants: the word in brackets. The program asks for them (madvise).
std::string huge_pages() {
  std::ifstream in("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string line;
  std::getline(in, line);
  const size_t begin = line.find('['), end = line.find(']', begin);
  if (begin == std::string::npos || end == std::string::npos) return "none";
  return line.substr(begin + 1, end - begin - 1) + ", and asked for by the program";
}

/// The file that --plot names, open from the beginning: minutes of measuring are not lost to a
/// folder that is not there.
std::ofstream open_plot(const std::filesystem::path& path) {
  std::ofstream file;
  if (path.empty()) return file;
  file.open(path);
  if (!file) throw InputError(path.string(), "cannot be written", "name another file for --plot");
  return file;
}

void add_environment(BenchReport& report, std::optional<double> rtt_ms) {
  report.environment["cpu"] = cpu_model();
  report.environment["cores"] =
      fmt::format("{}; one a member where there are enough, the sandbox beside them",
                  sysconf(_SC_NPROCESSORS_ONLN));
  report.environment["huge_pages"] = huge_pages();
  report.environment["link"] = "TCP on loopback, TLS 1.3 between members";
  if (rtt_ms) report.environment["rtt_ms"] = fmt::format("{:.3f}", *rtt_ms);
  report.environment["members"] = "2, where nothing else is said";
  const prep::TripleParameters masked = bench_triples(kNewRooms), buckets = bench_triples("bucket");
  report.environment["parameters"] = fmt::format(
      "malicious security; subfield bits {}, behind links of less than 500 Mbit/s {}; where "
      "nothing else is said triples are masked, in batches of {}; buckets of {} in batches of {}",
      prep::EpochParameters{}.subfield_bits, prep::kSlowLinkSubfieldBits, masked.batch,
      buckets.bucket_size, buckets.batch);
  report.environment["published"] =
      "secure agents paper, Tables 5 and 6: two 8-core cloud machines, 6.6 ms round trip";
}

}  // namespace

BenchReport run_bench(const BenchOptions& options) {
  require_bench_figures(options.only);
  const auto wants = [&](std::string_view name) {
    if (options.only.empty()) return !options.quick || !is_flow_figure(name);
    return options.only.contains(std::string(name));
  };
  const auto wants_any = [&](bool of_flows) {
    const std::vector<std::string>& all = bench_figure_names();
    return std::any_of(all.begin(), all.end(), [&](const std::string& name) {
      return is_flow_figure(name) == of_flows && wants(name);
    });
  };
  // What the flows' part takes of the whole.
  const double flows = !wants_any(true) ? 0 : wants_any(false) ? 0.65 : 1;
  const auto progress = [&](std::string_view phase, double fraction) {
    if (options.progress) options.progress(phase, fraction);
  };
  std::ofstream plot_file = open_plot(options.plot);
  BenchReport report;
  double load = 0;
  report.environment["load"] = getloadavg(&load, 1) == 1 ? fmt::format("{:.1f}", load) : "unknown";
  const TemporaryDirectory directory;
  if (flows > 0) {
    measure_flows(report, directory.path(), wants, [&](std::string_view phase, double fraction) {
      progress(phase, flows * fraction);
    });
  }
  std::optional<double> rtt_ms;
  if (flows < 1) {
    rtt_ms = measure_requests(report, options, plot_file, wants,
                              [&](std::string_view phase, double fraction) {
                                progress(phase, flows + (1 - flows) * fraction);
                              });
  }
  add_environment(report, rtt_ms);
  std::erase_if(report.figures, [&](const auto& figure) { return !wants(figure.first); });
  progress("done", 1);
  return report;
}

}  // namespace flexroom::bench