#include "bench/bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace flexroom::bench {
namespace {

using ::testing::HasSubstr;

TEST(Bench, QuickRunGivesEveryFigure) {
  std::vector<std::string> phases;
  double last = 0;
  BenchOptions options;
  options.quick = true;
  options.progress = [&](std::string_view phase, double fraction) {
    if (phases.empty() || phases.back() != phase) phases.emplace_back(phase);
    EXPECT_GE(fraction, last);
    EXPECT_LE(fraction, 1);
    last = fraction;
  };
  const BenchReport report = run_bench(options);
  EXPECT_EQ(phases, (std::vector<std::string>{"run-script", "preprocessing", "SigV4 signatures",
                                              "TLS connections", "done"}));
  EXPECT_EQ(report.figures.size(), bench_figure_names().size());
  const auto json = nlohmann::json::parse(bench_json(report));
  const std::string table = bench_table(report);
  for (const std::string& name : bench_figure_names()) {
    ASSERT_TRUE(report.figures.contains(name)) << name;
    const Figure& figure = report.figures.at(name);
    EXPECT_TRUE(std::isfinite(figure.value) && figure.value > 0) << name;
    EXPECT_FALSE(figure.condition.empty()) << name;
    EXPECT_EQ(json["figures"][name].get<double>(), figure.value) << name;
    EXPECT_THAT(table, HasSubstr(name));
  }
  EXPECT_EQ(json["published"]["handshake_online_ms"], 1380);
  EXPECT_EQ(json["published"]["run_script_lean_cold_s"], 439);
  EXPECT_EQ(json["published"]["peak_rss_mib"], 65536);
  EXPECT_LE(report.figures.at("run_script_lean_warm_s").value,
            report.figures.at("run_script_lean_cold_s").value);
  for (const char* name : {"cpu", "cores", "link", "rtt_ms", "parameters", "members"}) {
    EXPECT_TRUE(report.environment.contains(name)) << name;
  }
  std::puts(table.c_str());
}

}  // namespace
}  // namespace flexroom::bench
