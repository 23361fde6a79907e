#include "bench/bench.h"

#include <fmt/core.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "bench/bench_figures.h"
#include "prep/triple_parameters.h"

namespace flexroom::bench {
namespace {

// The paper: two Azure E8bs_v5 machines, 6.6 ms round trip (§7.2), median of Tables 5 and 6; a
// 224-byte block is its column "Sending requests" over its number of blocks.
constexpr double kPublishedHandshakeMs = 1380;
constexpr double kPublishedRequestMs = 680;
constexpr double kPublishedSigv4Ms = 2700;
constexpr double kPublishedRunScriptSeconds = 439;
constexpr double kPublishedMemoryMib = 64 * 1024;

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "flexroom-bench-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
      throw std::runtime_error("bench: cannot make a folder in " +
                               std::filesystem::temp_directory_path().string());
    }
    path_ = pattern;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

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

std::string load_average() {
  double load[1];
  return getloadavg(load, 1) == 1 ? fmt::format("{:.1f}", load[0]) : "unknown";
}

using BothFigures = std::array<MemberFigures, kBenchMembers>;

/// From when the first member began to when the last was done.
double step_ms(const std::array<OnlineStep, kBenchMembers>& step) {
  const auto start = std::min(step[0].start, step[1].start);
  const auto end = std::max(step[0].end, step[1].end);
  return 1e3 * std::chrono::duration<double>(end - start).count();
}

/// Median over all repetitions of one online step.
template <typename Select>
Figure online_figure(size_t repetitions, Select select, double published,
                     std::string_view condition) {
  std::vector<double> times;
  std::array<OnlineStep, kBenchMembers> step;
  for (size_t k = 0; k < repetitions; ++k) {
    step = {select(0, k), select(1, k)};
    times.push_back(step_ms(step));
  }
  return {
      median(times), "ms", published,
      fmt::format("{}; {} ANDs, {} waits for the other member; median of {}", condition,
                  step[0].ands, std::max(step[0].half_rounds, step[1].half_rounds), repetitions)};
}

void add_preprocessing(BenchReport& report, const BothFigures& both, const BenchSizes& sizes) {
  const double seconds = std::max(both[0].preprocess_seconds, both[1].preprocess_seconds);
  const auto triples = static_cast<double>(sizes.triples);
  const double cpu = std::max(both[0].preprocess_cpu_seconds, both[1].preprocess_cpu_seconds);
  report.figures["preprocess_ands_per_s"] = {
      triples / seconds, "AND/s", std::nullopt,
      fmt::format("{} authenticated AND triples, wall time of the slower member, sending and TLS "
                  "included ({:.2f} s, {:.2f} s of them on the core in the protocol's thread)",
                  sizes.triples, seconds, cpu)};
  report.figures["preprocess_bytes_per_and"] = {
      static_cast<double>(std::max(both[0].preprocess_bytes, both[1].preprocess_bytes)) / triples,
      "B each way", std::nullopt,
      "frames that left the member that sends more; TLS and TCP add about 0.5 % more"};
}

void add_garbling(BenchReport& report, const BothFigures& both) {
  std::vector<double> garble, garble_cpu, evaluate;
  uint64_t ands = 0;
  for (size_t k = 0; k < both[0].connections.size(); ++k) {
    const ConnectionTimes& a = both[0].connections[k];
    const ConnectionTimes& b = both[1].connections[k];
    ands = a.garbled_ands;
    garble.push_back(static_cast<double>(ands) / std::max(a.garble_seconds, b.garble_seconds));
    garble_cpu.push_back(1e3 * std::max(a.garble_cpu_seconds, b.garble_cpu_seconds));
    evaluate.push_back(static_cast<double>(ands) / a.evaluate_seconds);
  }
  report.figures["garble_ands_per_s"] = {
      median(garble), "AND/s", std::nullopt,
      fmt::format("preparing the handshake circuit ({} ANDs) without making its authenticated bits "
                  "and triples: products, garbling, rows sent and received; wall time of the "
                  "slower member ({:.0f} ms of the thread on its core); median of {}",
                  ands, median(garble_cpu), garble.size())};
  report.figures["evaluate_ands_per_s"] = {
      median(evaluate), "AND/s", std::nullopt,
      fmt::format("the evaluator's local work on the handshake circuit ({} ANDs); median of {}",
                  ands, evaluate.size())};
}

void add_online(BenchReport& report, const BothFigures& both) {
  report.figures["handshake_online_ms"] = online_figure(
      both[0].connections.size(),
      [&](size_t i, size_t k) { return both[i].connections[k].handshake; }, kPublishedHandshakeMs,
      "from the server's hello to shares of the request keys: ECDHE (X25519), handshake keys, the "
      "server's flight and its certificate checked, application keys with AES key schedule, hash "
      "key; no request");
  report.figures["request_224B_online_ms"] = online_figure(
      both[0].connections.size(),
      [&](size_t i, size_t k) { return both[i].connections[k].request; }, kPublishedRequestMs,
      "a record of 224 bytes under keys that exist: 15 keystream blocks (the content type starts "
      "the last) and the tag's, ciphertext opened, tag complete at the courier");
  report.figures["sigv4_online_ms"] = online_figure(
      both[0].signatures.size(), [&](size_t i, size_t k) { return both[i].signatures[k]; },
      kPublishedSigv4Ms, "HMAC of the string to sign under a shared signing key, in hex, opened");
}

void add_run_script(BenchReport& report, const RunScriptFigures& run) {
  std::string phases;
  for (const auto& [name, seconds] : run.phases) {
    phases += fmt::format("{}{} {:.2f} s", phases.empty() ? "" : ", ", name, seconds);
  }
  report.figures["run_script_lean_cold_s"] = {
      run.cold_seconds, "s", kPublishedRunScriptSeconds,
      fmt::format(
          "epoch set up, nothing else: session, preprocessing, signing key, garbling, "
          "token, RunInstances of {} bytes with both members' private pre-signed links, "
          "answer verified (published: ten calls); {} ANDs; {:.2f} s of a member's core. {}",
          run.request_bytes, run.ands, run.cpu_seconds, phases)};
  report.figures["run_script_lean_warm_s"] = {
      run.warm_seconds, "s", std::nullopt,
      "the same run from where everything is prepared: private links in, one TLS connection, "
      "answer verified"};
  report.figures["peak_rss_mib"] = {run.peak_rss_mib, "MiB", kPublishedMemoryMib,
                                    "largest resident set of a member's process in that run "
                                    "(published: of its ten calls, up to)"};
}

}  // namespace

BenchReport run_bench(const BenchOptions& options) {
  const auto progress = [&](std::string_view phase, double fraction) {
    if (options.progress) options.progress(phase, fraction);
  };
  const BenchSizes sizes = options.quick ? BenchSizes::quick() : BenchSizes{};
  BenchReport report;
  report.environment["load"] = load_average();
  progress("run-script", 0);
  RunScriptMembers processes;  // before the sandbox starts threads

  TemporaryDirectory directory;
  cloud::SandboxOptions sandbox_options;
  sandbox_options.state_dir = directory.path();
  sandbox_options.quiet = true;
  cloud::Sandbox sandbox(sandbox_options);
  sandbox.start();
  const RunScriptFigures run = processes.run(sandbox, sandbox.create_account("bench"));

  // Shares of the whole as on one idle core a member.
  LoopbackMembers members;
  const prep::EpochParameters parameters = members.epoch_parameters();
  const auto share = [&](std::string_view phase, double fraction) {
    const double begin = phase == "preprocessing" ? 0.4 : phase == "SigV4 signatures" ? 0.6 : 0.7;
    const double end = phase == "preprocessing" ? 0.6 : phase == "SigV4 signatures" ? 0.7 : 1.0;
    progress(phase, begin + (end - begin) * fraction);
  };
  const BothFigures both = run_members(members, [&](net::Party& party) {
    return measure_member(party, parameters, sandbox, sizes, share);
  });
  sandbox.stop();
  progress("done", 1);

  add_preprocessing(report, both, sizes);
  add_garbling(report, both);
  add_online(report, both);
  add_run_script(report, run);
  report.environment["cpu"] = cpu_model();
  report.environment["cores"] =
      fmt::format("{}, one a member and the sandbox beside them", sysconf(_SC_NPROCESSORS_ONLN));
  report.environment["link"] = "TCP on loopback, TLS 1.3 between members";
  report.environment["rtt_ms"] = fmt::format("{:.3f}", std::max(both[0].rtt_ms, both[1].rtt_ms));
  report.environment["members"] = std::to_string(kBenchMembers);
  const prep::TripleParameters triples;
  report.environment["parameters"] =
      fmt::format("malicious security; subfield bits {}, buckets of {}, batches of {}",
                  parameters.subfield_bits, triples.bucket_size, triples.batch);
  report.environment["published"] =
      "secure agents paper, Tables 5 and 6: two 8-core cloud machines, 6.6 ms round trip";
  return report;
}

}  // namespace flexroom::bench
