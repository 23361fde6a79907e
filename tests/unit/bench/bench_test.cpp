#include "bench/bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"

namespace flexroom::bench {
namespace {

using ::testing::HasSubstr;

TEST(Bench, QuickRunGivesEveryFigure) {
  std::vector<std::string> phases;
  double last = 0;
  BenchOptions options;
  options.quick = true;
  options.plot = std::filesystem::path(::testing::TempDir()) / "flexroom-bench-test.svg";
  options.progress = [&](std::string_view phase, double fraction) {
    if (phases.empty() || phases.back() != phase) phases.emplace_back(phase);
    EXPECT_GE(fraction, last);
    EXPECT_LE(fraction, 1);
    last = fraction;
  };
  const BenchReport report = run_bench(options);
  EXPECT_EQ(phases, (std::vector<std::string>{"two members", "preprocessing", "TLS connections",
                                              "three members", "simulated links", "done"}));
  const auto json = nlohmann::json::parse(bench_json(report));
  const std::string table = bench_table(report);
  for (const std::string& name : bench_figure_names()) {
    ASSERT_EQ(report.figures.contains(name), !is_flow_figure(name)) << name;
    if (is_flow_figure(name)) continue;
    const Figure& figure = report.figures.at(name);
    EXPECT_TRUE(std::isfinite(figure.value)) << name;
    // The difference of two connections, once each here: whatever else the machine does shows.
    if (name != "sigv4_online_ms") {
      EXPECT_GT(figure.value, 0) << name;
    }
    EXPECT_FALSE(figure.condition.empty()) << name;
    EXPECT_EQ(json["figures"][name].get<double>(), figure.value) << name;
    EXPECT_THAT(table, HasSubstr(name));
  }
  EXPECT_EQ(json["published"]["handshake_online_ms"], 1380);
  EXPECT_EQ(json["published"]["run_script_lean_cold_s"], 439);
  EXPECT_EQ(json["published"]["peak_rss_mib"], 65536);
  EXPECT_LE(report.figures.at("run_script_lean_warm_s").value,
            report.figures.at("run_script_lean_cold_s").value);
  ASSERT_EQ(report.links.size(), 2u);
  EXPECT_EQ(report.links[0].shape.rtt_ms, 20);
  EXPECT_EQ(report.links[1].shape.mbit_s, 100);
  EXPECT_EQ(report.links[1].cold_s, report.figures.at("run_script_lean_cold_100mbit_s").value);
  EXPECT_GE(report.links[0].measured_rtt_ms, 20);
  EXPECT_EQ(json["links"][0]["warm_s"], json["figures"]["run_script_lean_warm_rtt20_s"]);
  // Four waits for the other member at the least.
  EXPECT_GE(report.links[0].warm_s, 0.04);
  // Four times that and more where the system grants no huge pages.
  if (report.environment.at("huge_pages").starts_with("madvise") ||
      report.environment.at("huge_pages").starts_with("always")) {
    EXPECT_LE(json["figures"]["cold_minor_faults"], 60'000);
  }
  EXPECT_GT(json["figures"]["run_script_lean_n3_ands"], json["figures"]["run_script_lean_ands"]);
  EXPECT_EQ(json["figures"]["request_byte_ands"], 320);
  EXPECT_THAT(report.figures.at("sigv4_online_ms").condition, HasSubstr("; 16504 ANDs more"));
  EXPECT_NEAR(json["figures"]["request_byte_ands_chacha20"].get<double>(), 162.5, 1);
  EXPECT_LE(json["figures"]["handshake_ands"], 501'162);
  EXPECT_GE(json["figures"]["handshake_ands"], 450'000);
  EXPECT_EQ(json["figures"]["handshake_hrr_extra_rtt"], 1);
  EXPECT_NEAR(json["figures"]["client_flight_ands"].get<double>(), 264'165, 0.5);
  // tls-complete.md §2.2a; what else runs here adds to it.
  EXPECT_LE(json["figures"]["mesh_kem_n3_cpu_ms"], 20);
  // tls-complete.md §3, §1.3: every group is offered.
  EXPECT_LE(json["figures"]["handshake_sha384_ands"], 1'229'326);
  EXPECT_GE(json["figures"]["handshake_sha384_ands"], 1'220'000);
  EXPECT_NEAR(json["figures"]["record_sha384_per_128"].get<double>(), 1.4, 0.01);
  std::ifstream plot(options.plot);
  std::ostringstream svg;
  svg << plot.rdbuf();
  for (const char* text :
       {"garble handshake and request circuits", "member 3", "RTT 20 ms, 1000 Mbit/s"}) {
    EXPECT_THAT(svg.str(), HasSubstr(text));
  }
  std::filesystem::remove(options.plot);
  for (const char* name :
       {"cpu", "cores", "huge_pages", "link", "rtt_ms", "parameters", "members"}) {
    EXPECT_TRUE(report.environment.contains(name)) << name;
  }
  std::puts(table.c_str());
}

// A flow through the product, alone: a session in a fresh account.
TEST(Bench, OneFigureOfAFlow) {
  BenchOptions options;
  options.only = {"create_account_cold_s", "create_account_peak_rss_mib"};
  std::vector<std::string> phases;
  options.progress = [&](std::string_view phase, double) { phases.emplace_back(phase); };
  const BenchReport report = run_bench(options);
  ASSERT_EQ(report.figures.size(), 2u);
  const Figure& figure = report.figures.at("create_account_cold_s");
  EXPECT_GT(figure.value, 0);
  EXPECT_NEAR(*figure.published, 2725.4, 0.1);
  // Of the processes of that flow.
  const Figure& memory = report.figures.at("create_account_peak_rss_mib");
  EXPECT_GT(memory.value, 50);
  EXPECT_LT(memory.value, 4096);
  EXPECT_THAT(memory.condition, HasSubstr("create_account_cold_s"));
  EXPECT_THAT(figure.condition, HasSubstr("nothing in stock: 25 commits"));
  EXPECT_EQ(phases, (std::vector<std::string>{"create-account", "done"}));
  EXPECT_THAT(bench_table(report), HasSubstr("create_account_cold_s"));
}

// --only measures what its figures take, and no more.
TEST(Bench, OneFigureOfALayer) {
  BenchOptions options;
  options.quick = true;
  options.only = {"session_start_ms"};
  const BenchReport report = run_bench(options);
  ASSERT_EQ(report.figures.size(), 1u);
  const Figure& figure = report.figures.at("session_start_ms");
  EXPECT_GT(figure.value, 0);
  EXPECT_THAT(figure.condition, HasSubstr("(16384), usable"));
  EXPECT_TRUE(report.links.empty());
}

// members.md 12: the limit for a hundred secrets and a new member is 20 s.
TEST(Bench, AHundredSecretsAreHandedOverInTime) {
  BenchOptions options;
  options.quick = true;
  options.only = {"hand_over_100_secrets_s"};
  const BenchReport report = run_bench(options);
  ASSERT_EQ(report.figures.size(), 1u);
  const Figure& figure = report.figures.at("hand_over_100_secrets_s");
  EXPECT_GT(figure.value, 0);
  EXPECT_LT(figure.value, 20);
  EXPECT_THAT(figure.condition, HasSubstr("100 secrets of 40 bytes from 3 members to 4"));
}

TEST(Bench, WhatIsNoFigureIsRefusedBeforeAnythingIsMeasured) {
  BenchOptions options;
  options.only = {"create_accounts"};
  options.progress = [](std::string_view, double) { ADD_FAILURE(); };
  try {
    (void)run_bench(options);
    ADD_FAILURE() << "accepted";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("--only create_accounts: is no figure"));
    EXPECT_THAT(error.what(), HasSubstr("create_account_cold_s"));
  }
}

std::vector<std::string> keys(const nlohmann::json& object) {
  std::vector<std::string> out;
  for (const auto& [key, value] : object.items()) out.push_back(key);
  return out;
}

// What is published stays: a figure that is added or renamed has to be in docs/json-schema.json.
TEST(Bench, TheSchemaNamesEveryFigure) {
  std::ifstream in(std::string(FLEXROOM_SOURCE_DIR) + "/docs/json-schema.json");
  const auto schema = nlohmann::json::parse(in)["$defs"]["bench"];
  BenchReport report;
  for (const std::string& name : bench_figure_names()) {
    report.figures[name].value = 1;
    report.figures[name].published = 2;
  }
  report.links.emplace_back();
  report.links[0].cold_s = 1;
  const auto json = nlohmann::json::parse(bench_json(report));
  const auto& properties = schema["properties"];
  EXPECT_EQ(keys(json), keys(properties));
  EXPECT_EQ(keys(json), schema["required"].get<std::vector<std::string>>());
  EXPECT_EQ(keys(json["figures"]), keys(properties["figures"]["properties"]));
  EXPECT_FALSE(properties["figures"].contains("required")) << "--only leaves others out";
  EXPECT_EQ(keys(json["links"][0]), keys(properties["links"]["items"]["properties"]));
}

// The help says it from the constant itself.
TEST(Bench, ReadmeSaysHowLongItTakes) {
  std::ifstream in(std::string(FLEXROOM_SOURCE_DIR) + "/README.md");
  std::ostringstream text;
  text << in.rdbuf();
  EXPECT_THAT(text.str(),
              HasSubstr("`flexroom bench` prints these (" + std::string(kBenchDuration) + ")"));
}

TEST(Bench, APlotThatCannotBeWrittenIsRefusedBeforeAnythingIsMeasured) {
  BenchOptions options;
  options.plot = "/nowhere/at/all.svg";
  options.progress = [](std::string_view, double) { FAIL() << "began to measure"; };
  EXPECT_THROW(run_bench(options), InputError);
}

}  // namespace
}  // namespace flexroom::bench
