#pragma once

#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string_view>

#include "bench/bench.h"

namespace flexroom::bench {

/// All figures but the flows': the engines, one request, run-script. Only what `wants` asks for is
/// measured; a plot (`plot` is open) takes the runs of two and three members and the links.
///
/// Returns  the round trip between two members, if it was measured
/// Throws   as run_bench()
std::optional<double> measure_requests(
    BenchReport& report, const BenchOptions& options, std::ofstream& plot,
    const std::function<bool(std::string_view)>& wants,
    const std::function<void(std::string_view phase, double fraction)>& progress);

/// A folder of its own under the system's temporary one, removed with all that is in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace flexroom::bench
