#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "bench/bench.h"

namespace flexroom::bench {
namespace {

/// Four significant digits, thousands and millions written out in words nobody misreads.
std::string number(double value) {
  if (value >= 1e6) return fmt::format("{:.2f} M", value / 1e6);
  if (value >= 1e4) return fmt::format("{:.0f} k", value / 1e3);
  if (value >= 100) return fmt::format("{:.0f}", value);
  return fmt::format("{:.2f}", value);
}

}  // namespace

const std::vector<std::string>& bench_figure_names() {
  static const std::vector<std::string> names = {"preprocess_ands_per_s",
                                                 "preprocess_small_pages_ands_per_s",
                                                 "preprocess_masked_small_pages_ands_per_s",
                                                 "preprocess_bytes_per_and",
                                                 "preprocess_masked_ands_per_s",
                                                 "preprocess_masked_bytes_per_and",
                                                 "session_start_ms",
                                                 "garble_ands_per_s",
                                                 "evaluate_ands_per_s",
                                                 "handshake_online_ms",
                                                 "handshake_one_group_online_ms",
                                                 "handshake_ands",
                                                 "handshake_hrr_extra_rtt",
                                                 "client_flight_ands",
                                                 "mesh_kem_n3_cpu_ms",
                                                 "request_224B_online_ms",
                                                 "sigv4_online_ms",
                                                 "run_script_lean_cold_s",
                                                 "run_script_lean_bytes",
                                                 "run_script_lean_bucket_cold_s",
                                                 "run_script_lean_bucket_bytes",
                                                 "run_script_lean_warm_s",
                                                 "peak_rss_mib",
                                                 "cold_minor_faults",
                                                 "cold_minor_faults_small_pages",
                                                 "run_script_lean_ands",
                                                 "run_script_lean_n3_ands",
                                                 "run_script_lean_n3_cold_s",
                                                 "peak_rss_n3_mib",
                                                 "run_script_lean_warm_rtt20_s",
                                                 "run_script_lean_cold_100mbit_s",
                                                 "preprocess_n3_ands_per_s",
                                                 "preprocess_masked_n3_ands_per_s",
                                                 "request_byte_ands",
                                                 "request_byte_ands_chacha20",
                                                 "handshake_sha384_ands",
                                                 "record_sha384_per_128",
                                                 "jwe_2048_offline_s",
                                                 "keep_cookie_4k_total_s",
                                                 "keep_cookie_4k_online_s",
                                                 "hand_over_100_secrets_s",
                                                 "create_account_cold_s",
                                                 "create_account_warm_s",
                                                 "create_account_peak_rss_mib",
                                                 "create_session_sandbox_cold_s",
                                                 "create_session_published_cold_s",
                                                 "create_session_published_warm_s",
                                                 "create_session_published_bytes",
                                                 "create_session_published_peak_rss_mib",
                                                 "run_script_classic_published_cold_s",
                                                 "run_script_classic_published_warm_s"};
  return names;
}

void require_bench_figures(const std::set<std::string>& names) {
  const std::vector<std::string>& all = bench_figure_names();
  for (const std::string& name : names) {
    if (std::find(all.begin(), all.end(), name) != all.end()) continue;
    std::string list;
    for (const std::string& one : all) list += (list.empty() ? "" : ", ") + one;
    throw InputError("--only " + name, "is no figure", "the figures are " + list);
  }
}

bool is_flow_figure(std::string_view name) {
  return name.starts_with("create_") || name.starts_with("run_script_classic_");
}

std::string bench_table(const BenchReport& report) {
  std::string out = fmt::format("{:<37} {:>12} {:<11} {:>10} {:>9}\n", "figure", "here", "",
                                "published", "ratio");
  std::string conditions;
  for (const std::string& name : bench_figure_names()) {
    const auto measured = report.figures.find(name);
    if (measured == report.figures.end()) continue;
    const Figure& figure = measured->second;
    out += fmt::format(
        "{:<37} {:>12} {:<11} {:>10} {:>9}\n", name, number(figure.value), figure.unit,
        figure.published ? number(*figure.published) : "",
        figure.published ? fmt::format("{:.1f} x", *figure.published / figure.value) : "");
    conditions += fmt::format("  {}: {}\n", name, figure.condition);
  }
  if (!report.links.empty()) {
    out += fmt::format("\n{:<33} {:>14} {:>10} {:>10}\n", "two members behind a link",
                       "measured RTT", "cold", "warm");
  }
  for (const LinkFigures& link : report.links) {
    out +=
        fmt::format("{:<33} {:>14} {:>10} {:>10}\n",
                    fmt::format("RTT {:g} ms, {:g} Mbit/s", link.shape.rtt_ms, link.shape.mbit_s),
                    fmt::format("{:.2f} ms", link.measured_rtt_ms),
                    link.cold_s ? fmt::format("{:.2f} s", *link.cold_s) : "",
                    fmt::format("{:.2f} s", link.warm_s));
  }
  out += "\nwhat was measured\n" + conditions + "\nwhere\n";
  for (const auto& [name, value] : report.environment) {
    out += fmt::format("  {}: {}\n", name, value);
  }
  return out;
}

std::string bench_json(const BenchReport& report) {
  nlohmann::json out = {
      {"figures", nlohmann::json::object()},   {"units", nlohmann::json::object()},
      {"published", nlohmann::json::object()}, {"conditions", nlohmann::json::object()},
      {"links", nlohmann::json::array()},      {"environment", report.environment}};
  for (const auto& [name, figure] : report.figures) {
    out["figures"][name] = figure.value;
    out["units"][name] = figure.unit;
    out["conditions"][name] = figure.condition;
    if (figure.published) out["published"][name] = *figure.published;
  }
  for (const LinkFigures& link : report.links) {
    nlohmann::json row = {{"rtt_ms", link.shape.rtt_ms},
                          {"mbit_s", link.shape.mbit_s},
                          {"measured_rtt_ms", link.measured_rtt_ms},
                          {"warm_s", link.warm_s}};
    if (link.cold_s) row["cold_s"] = *link.cold_s;
    out["links"].push_back(std::move(row));
  }
  return out.dump(2) + "\n";
}

}  // namespace flexroom::bench
