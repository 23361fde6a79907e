#include "bench/bench.h"

#include <fmt/core.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "agent/phases.h"
#include "base/error.h"
#include "bench/bench_figures.h"
#include "bench/bench_flows.h"
#include "bench/bench_plot.h"
#include "bench/bench_session.h"
#include "bench/cookie_service.h"
#include "bench/sandbox_process.h"
#include "prep/epoch.h"
#include "prep/triple_parameters.h"

namespace flexroom::bench {
namespace {

// The paper: two Azure E8bs_v5 machines, 6.6 ms round trip (§7.2), median of Tables 5 and 6; a
// 224-byte block is its column "Sending requests" over its number of blocks.
constexpr double kPublishedHandshakeMs = 1380;
constexpr double kPublishedRequestMs = 680;
constexpr double kPublishedSigv4Ms = 2700;
constexpr double kPublishedRunScriptSeconds = 439;
constexpr double kPublishedCookieSeconds = 200;
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

/// What the system grants: the word in brackets. The program asks for them (madvise).
std::string huge_pages() {
  std::ifstream in("/sys/kernel/mm/transparent_hugepage/enabled");
  std::string line;
  std::getline(in, line);
  const size_t begin = line.find('['), end = line.find(']', begin);
  if (begin == std::string::npos || end == std::string::npos) return "none";
  return line.substr(begin + 1, end - begin - 1) + ", and asked for by the program";
}

using Answers = std::vector<nlohmann::json>;

constexpr LinkShape kTwentyMs{20, 1000};

struct Sizes {
  size_t triples = size_t{1} << 20;
  size_t triples_of_three = size_t{1} << 18;
  size_t preprocessings = 5;
  size_t connections = 5;
  size_t signatures = 9;
  std::vector<LinkShape> links = {{0.1, 1000}, {6.6, 1000}, kTwentyMs, {50, 1000},
                                  {0.1, 100},  {6.6, 100},  {20, 100}, {50, 100}};
  /// The whole run from cold: on every link that takes seconds for it, not tens of them.
  double cold_from_mbit_s = 100;

  static Sizes quick() { return {size_t{1} << 16, size_t{1} << 16, 3, 1, 1, {kTwentyMs}, 1e9}; }
};

double largest(const Answers& answers, const char* key) {
  double out = 0;
  for (const nlohmann::json& answer : answers) out = std::max(out, answer.at(key).get<double>());
  return out;
}

void join(MemberProcesses& members, std::vector<uint16_t> ports = {}) {
  for (PartyId i = 0; ports.size() < members.size(); ++i)
    ports.push_back(members.members().port(i));
  members.run({{"do", "join"}, {"ports", ports}});
}

/// Of a Timeline, by the names the product gives its phases.
double seconds_of(const nlohmann::json& phases, std::initializer_list<std::string_view> names,
                  uint64_t* ands = nullptr, uint64_t* rounds = nullptr) {
  double sum = 0;
  for (const std::string_view name : names) {
    bool found = false;
    for (const BenchPhase& phase : phases.get<std::vector<BenchPhase>>()) {
      if (phase.name != name) continue;
      found = true;
      sum += phase.seconds;
      if (ands != nullptr) *ands += phase.ands;
      if (rounds != nullptr) *rounds += phase.half_rounds;
    }
    if (!found) throw std::logic_error(fmt::format("bench: no phase '{}' in the timeline", name));
  }
  return sum;
}

struct RunScriptFigures {
  double cold = 0, warm = 0;
  Answers calls;  // of all members
};

/// `between` runs when everything is prepared.
RunScriptFigures run_script(MemberProcesses& members, const nlohmann::json& service,
                            std::string_view protocol,
                            const std::function<void()>& between = nullptr) {
  static uint64_t run = 0;  // the service must not take two for one
  const double prepare = largest(members.run({{"do", "prepare"},
                                              {"service", service},
                                              {"run", ++run},
                                              {"protocol", std::string(protocol)}}),
                                 "seconds");
  if (between) between();
  RunScriptFigures out;
  out.calls = members.run({{"do", "call"}});
  out.warm = largest(out.calls, "seconds");
  out.cold = prepare + out.warm;
  return out;
}

PlotGroup plot_of(std::string title, const RunScriptFigures& run) {
  PlotGroup out{std::move(title), {}};
  for (size_t i = 0; i < run.calls.size(); ++i) {
    out.rows.push_back({fmt::format("member {}", i + 1),
                        run.calls[i].at("phases").get<std::vector<BenchPhase>>()});
  }
  return out;
}

/// The last phases of a run, from where everything was prepared, with time from there.
PlotRow warm_row(std::string label, const RunScriptFigures& run) {
  PlotRow out{std::move(label), {}};
  for (BenchPhase phase : run.calls.front().at("phases").get<std::vector<BenchPhase>>()) {
    if (out.phases.empty() && phase.name != agent::phase::kAgree) continue;
    out.phases.push_back(std::move(phase));
  }
  if (out.phases.empty()) throw std::logic_error("bench: a run without its connection's phases");
  const double start = out.phases.front().start_seconds;
  for (BenchPhase& phase : out.phases) phase.start_seconds -= start;
  return out;
}

/// What the counts hang on (bench_run_script.cpp, tls-in-mpc.md §5.11).
constexpr std::string_view kCarrier =
    "the loader at a public loader_url (behind a pre-signed result link: 0.15 M ANDs more)";

/// The same run by a room of before, in one go with that of a new one.
void add_run_script_of_buckets(BenchReport& report, const RunScriptFigures& buckets) {
  report.figures["run_script_lean_bucket_cold_s"] = {
      buckets.cold, "s", std::nullopt,
      fmt::format("run_script_lean_cold_s without `triples = \"masked\"`; peak {:.0f} MiB",
                  largest(buckets.calls, "rss_mib"))};
  report.figures["run_script_lean_bucket_bytes"] = {largest(buckets.calls, "bytes"), "B each way",
                                                    std::nullopt,
                                                    "run_script_lean_bytes of that run"};
}

void add_run_script(BenchReport& report, const RunScriptFigures& two,
                    const RunScriptFigures& three) {
  const nlohmann::json& call = two.calls.front();
  std::string phases;
  for (const BenchPhase& phase : call.at("phases").get<std::vector<BenchPhase>>()) {
    phases += fmt::format("{}{} {:.2f} s", phases.empty() ? "" : ", ", phase.name, phase.seconds);
  }
  report.figures["run_script_lean_cold_s"] = {
      two.cold, "s", kPublishedRunScriptSeconds,
      fmt::format(
          "`triples = \"masked\"`, as new rooms have; members met and epoch set up, nothing else; "
          "no approval, no check of service and links: "
          "session, circuits, preprocessing, signing key, garbling, token, RunInstances of {} "
          "bytes "
          "with both members' private pre-signed links, {}, answer verified (published: ten "
          "calls); "
          "{:.2f} s of a member's core. {}",
          call.at("request_bytes").get<uint64_t>(), kCarrier, largest(two.calls, "cpu"), phases)};
  report.figures["run_script_lean_bytes"] = {
      largest(two.calls, "bytes"), "B each way", std::nullopt,
      "what the member that sends more sent to the other in that run, before TLS and TCP"};
  report.figures["run_script_lean_warm_s"] = {
      two.warm, "s", std::nullopt,
      "the same run from where everything is prepared, private links are in: one TLS connection, "
      "answer verified"};
  report.figures["peak_rss_mib"] = {
      largest(two.calls, "rss_mib"), "MiB", kPublishedMemoryMib,
      "largest resident set of a member's process in that run (published: of its ten calls, up "
      "to)"};
  report.figures["cold_minor_faults"] = {largest(two.calls, "faults"), "faults", std::nullopt,
                                         "minor page faults of a member's process from its start "
                                         "to the end of run_script_lean_cold_s"};
  report.figures["run_script_lean_ands"] = {call.at("ands"), "AND", std::nullopt,
                                            fmt::format("AND gates of that run, {}", kCarrier)};
  report.figures["run_script_lean_n3_ands"] = {three.calls.front().at("ands"), "AND", std::nullopt,
                                               "AND gates of the same run of three members"};
  report.figures["run_script_lean_n3_cold_s"] = {
      three.cold, "s", std::nullopt,
      fmt::format("run_script_lean_cold_s of three members; peak {:.0f} MiB",
                  largest(three.calls, "rss_mib"))};
}

/// The slowest member's time, each time.
std::vector<double> slowest(const Answers& answers, const std::string& key) {
  std::vector<double> out;
  for (size_t k = 0; k < answers.front().at(key).size(); ++k) {
    double seconds = 0;
    for (const nlohmann::json& answer : answers) {
      seconds = std::max(seconds, answer.at(key)[k].get<double>());
    }
    out.push_back(seconds);
  }
  return out;
}

/// `unusual`: what is so about it. Returns what the members answered.
Answers add_preprocessing(BenchReport& report, std::string_view name, MemberProcesses& members,
                          size_t triples, size_t times, std::string_view protocol,
                          std::string_view unusual = "") {
  Answers answers = members.run({{"do", "preprocess"},
                                 {"triples", triples},
                                 {"times", times},
                                 {"protocol", std::string(protocol)}});
  const std::vector<double> seconds = slowest(answers, "seconds");
  const auto rate = [&](double each) { return static_cast<double>(triples) / each; };
  report.figures[std::string(name)] = {
      rate(median(seconds)), "AND/s", std::nullopt,
      fmt::format("{} authenticated AND triples of {} members{}, wall time of the slowest, sending "
                  "and TLS included; median of {}. The first time, in memory that the processes "
                  "never touched before, {:.2f} million a second; in the protocol's thread {:.2f} "
                  "s on a core of {:.2f} s (medians)",
                  triples, answers.size(), unusual, times, rate(seconds.front()) / 1e6,
                  median(slowest(answers, "cpu")), median(seconds))};
  return answers;
}

/// What a byte of a request costs, from the circuits of two connections of the product.
void add_request_bytes(BenchReport& report, const nlohmann::json& member) {
  const auto garbled = [](const nlohmann::json& phases) {
    uint64_t ands = 0;
    (void)seconds_of(phases, {agent::phase::kGarbleRequest}, &ands);
    return static_cast<double>(ands);
  };
  const auto add = [&](const char* name, const char* suite, const nlohmann::json& shorter,
                       const nlohmann::json& longer) {
    uint64_t rounds = 0;
    const double seconds = seconds_of(longer, {agent::phase::kTagAndSend}, nullptr, &rounds);
    report.figures[name] = {
        (garbled(longer) - garbled(shorter)) / static_cast<double>(kMoreBytes), "AND/B",
        std::nullopt,
        fmt::format("{}: what {} bytes more add to the request circuit of a connection of the "
                    "product, keystream whole blocks. Tag and record of the longer request: {:.1f} "
                    "ms, {} waits for the other member",
                    suite, kMoreBytes, 1e3 * seconds, rounds)};
  };
  add("request_byte_ands", "TLS_AES_128_GCM_SHA256", member.at("short")[0], member.at("long")[0]);
  add("request_byte_ands_chacha20", "TLS_CHACHA20_POLY1305_SHA256", member.at("chacha20")[0],
      member.at("chacha20")[1]);
}

/// The boolean engine alone, on the handshake circuit.
void add_engine(BenchReport& report, const Answers& both) {
  const size_t repetitions = both[0].at("engine").size();
  std::vector<double> garble, garble_cpu, evaluate;
  for (size_t k = 0; k < repetitions; ++k) {
    const Answers engines = {both[0].at("engine")[k], both[1].at("engine")[k]};
    const auto ands = engines[0].at("ands").get<double>();
    garble.push_back(ands / largest(engines, "garble"));
    garble_cpu.push_back(1e3 * largest(engines, "garble_cpu"));
    evaluate.push_back(ands / engines[0].at("evaluate").get<double>());
  }
  const uint64_t circuit_ands = both[0].at("engine")[0].at("ands");
  report.figures["garble_ands_per_s"] = {
      median(garble), "AND/s", std::nullopt,
      fmt::format("preparing the handshake circuit ({} ANDs) without making its authenticated bits "
                  "and triples: products, garbling, rows sent and received; wall time of the "
                  "slower member ({:.0f} ms of the thread on its core); median of {}",
                  circuit_ands, median(garble_cpu), repetitions)};
  report.figures["evaluate_ands_per_s"] = {
      median(evaluate), "AND/s", std::nullopt,
      fmt::format("the evaluator's local work on the handshake circuit ({} ANDs); median of {}",
                  circuit_ands, repetitions)};
}

/// Connections of a short and of a longer request: the handshake up to the sealed request, and what
/// more bytes cost.
void add_connections(BenchReport& report, const Answers& both) {
  const std::initializer_list<std::string_view> handshake = {
      agent::phase::kEcdhe, agent::phase::kHandshakeKeys, agent::phase::kServerFlight,
      agent::phase::kRequest};
  const std::initializer_list<std::string_view> request = {agent::phase::kRequest,
                                                           agent::phase::kTagAndSend};
  const size_t repetitions = both[0].at("short").size();
  uint64_t ands = 0, rounds = 0;
  (void)seconds_of(both[0].at("short")[0], handshake, &ands, &rounds);
  std::vector<double> handshakes;
  // The least of several: what disturbs a run only adds to it, and this is a difference.
  double shorter = 1e9, longer = 1e9;
  for (size_t k = 0; k < repetitions; ++k) {
    double slower = 0, of_short = 0, of_long = 0;
    for (const nlohmann::json& member : both) {
      slower = std::max(slower, seconds_of(member.at("short")[k], handshake));
      of_short = std::max(of_short, seconds_of(member.at("short")[k], request));
      of_long = std::max(of_long, seconds_of(member.at("long")[k], request));
    }
    handshakes.push_back(1e3 * slower);
    shorter = std::min(shorter, of_short);
    longer = std::min(longer, of_long);
  }
  report.figures["handshake_online_ms"] = {
      median(handshakes), "ms", kPublishedHandshakeMs,
      fmt::format("one connection of the product, from the server's hello to the ciphertext of the "
                  "shortest request: ECDHE (X25519), handshake keys, the server's flight and its "
                  "certificate checked, application keys, AES key schedule, hash key and seven "
                  "blocks of keystream; {} ANDs, {} waits for the other member; median of {}",
                  ands, rounds, repetitions)};
  report.figures["request_224B_online_ms"] = {
      1e3 * (longer - shorter) * 224 / static_cast<double>(kMoreBytes), "ms", kPublishedRequestMs,
      fmt::format("224 bytes more in a request: a quarter of what {} bytes more add to key "
                  "schedule, ciphertext and tag of a connection; the least of {} each",
                  kMoreBytes, repetitions)};
  add_request_bytes(report, both[0]);
}

void add_signatures(BenchReport& report, const Answers& both) {
  const size_t count = both[0].at("signatures").size();
  std::vector<double> milliseconds;
  for (size_t k = 0; k < count; ++k) {
    const auto of = [&](size_t i) {
      return both[i].at("signatures")[k].at("seconds").get<double>();
    };
    milliseconds.push_back(1e3 * std::max(of(0), of(1)));
  }
  const nlohmann::json& first = both[0].at("signatures")[0];
  report.figures["sigv4_online_ms"] = {
      median(milliseconds), "ms", kPublishedSigv4Ms,
      fmt::format("HMAC of the string to sign under a shared signing key, in hex, opened; {} ANDs, "
                  "{} waits for the other member; median of {}",
                  first.at("ands").get<uint64_t>(), first.at("rounds").get<uint64_t>(), count)};
}

/// One JWE of a password, all of it before the connection that carries it.
void add_jwe(BenchReport& report, const Answers& both) {
  const nlohmann::json& one = both[0];
  report.figures["jwe_2048_offline_s"] = {
      largest(both, "prepare") + largest(both, "encrypt"), "s", std::nullopt,
      fmt::format(
          "RSA-OAEP-256 with A256GCM of 24 secret bytes under a key of 2048 bits that has "
          "just become known, nothing in stock: {} ANDs, {:.1f} MB each way; {:.2f} s until "
          "the powers of the factors are published, {:.2f} s from there to the text; "
          "in the protocol's thread {:.2f} s on a core. OpenSSL reads it. The connection itself "
          "waits for none of this; once",
          one.at("ands").get<uint64_t>(), 1e-6 * largest(both, "bytes"), largest(both, "prepare"),
          largest(both, "encrypt"), largest(both, "cpu"))};
}

/// A cookie out of a sealed answer, by members that did it once before: their memory is not new.
void add_keep_cookie(BenchReport& report, MemberProcesses& members,
                     const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  const nlohmann::json order = {{"do", "keep_cookie"},
                                {"folder", folder.string()},
                                {"ca_file", CookieService::make_certificate(folder).string()}};
  (void)members.run(order);
  const Answers both = members.run(order);
  const uint64_t ands = both[0].at("ands");
  report.figures["keep_cookie_4k_total_s"] = {
      largest(both, "total"), "s", kPublishedCookieSeconds,
      fmt::format(
          "a cookie kept out of a sealed answer of {} bytes, all of it header, so that every "
          "byte is decrypted and outlined inside: session, preprocessing, garbling ({} "
          "ANDs), TLS 1.3 connection to OpenSSL's server, request, answer; the cookie ends "
          "as authenticated bits of both members (published: the answers of sign-ins, from)",
          CookieService::kAnswerBytes, ands)};
  report.figures["keep_cookie_4k_online_s"] = {
      largest(both, "online"), "s", std::nullopt,
      fmt::format(
          "the same from where everything is prepared: connect, handshake, request, answer; "
          "{:.3f} s of it behind the release of the request, {:.3f} s of a member's core",
          largest(both, "answer"), largest(both, "online_cpu"))};
}

/// Everything over simulated links; the plot's row of each.
PlotGroup measure_links(BenchReport& report, MemberProcesses& members, const Sizes& sizes,
                        const nlohmann::json& service,
                        const std::function<void(double fraction)>& progress) {
  PlotGroup plot{"Two members behind a link: member 1 from where everything is prepared", {}};
  LinkSimulator simulator;
  std::vector<uint16_t> ports;
  for (PartyId i = 0; i < members.size(); ++i) {
    ports.push_back(simulator.forward_to(members.members().port(i)));
  }
  join(members, ports);
  for (size_t k = 0; k < sizes.links.size(); ++k) {
    progress(static_cast<double>(k) / static_cast<double>(sizes.links.size()));
    LinkFigures out;
    out.shape = sizes.links[k];
    const bool cold = out.shape.mbit_s >= sizes.cold_from_mbit_s;
    simulator.set_shape(cold ? out.shape : LinkShape{});
    const RunScriptFigures run = run_script(members, service, kNewRooms, [&] {
      simulator.set_shape(out.shape);
      out.measured_rtt_ms = largest(members.run({{"do", "ping"}}), "rtt_ms");
    });
    if (cold) out.cold_s = run.cold;
    out.warm_s = run.warm;
    if (out.shape.rtt_ms == kTwentyMs.rtt_ms && out.shape.mbit_s == kTwentyMs.mbit_s) {
      report.figures["run_script_lean_warm_rtt20_s"] = {
          run.warm, "s", std::nullopt,
          fmt::format("run_script_lean_warm_s with a simulated link of {:g} ms round trip ({:.1f} "
                      "measured) and {:g} Mbit/s between the members",
                      out.shape.rtt_ms, out.measured_rtt_ms, out.shape.mbit_s)};
    }
    plot.rows.push_back(
        warm_row(fmt::format("RTT {:g} ms, {:g} Mbit/s", out.shape.rtt_ms, out.shape.mbit_s), run));
    report.links.push_back(std::move(out));
  }
  return plot;
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
      "malicious security; subfield bits {}; where nothing else is said triples are masked, in "
      "batches of {}; buckets of {} in batches of {}",
      prep::EpochParameters{}.subfield_bits, masked.batch, buckets.bucket_size, buckets.batch);
  report.environment["published"] =
      "secure agents paper, Tables 5 and 6: two 8-core cloud machines, 6.6 ms round trip";
}

/// What two members do who share an epoch and no stock. `folder`: for what they keep.
void measure_two(BenchReport& report, MemberProcesses& two, const Sizes& sizes,
                 const nlohmann::json& service, const std::filesystem::path& folder,
                 const std::function<void(std::string_view, double)>& progress) {
  const Answers triples = add_preprocessing(report, "preprocess_ands_per_s", two, sizes.triples,
                                            sizes.preprocessings, "bucket");
  report.figures["preprocess_bytes_per_and"] = {
      largest(triples, "bytes") / static_cast<double>(sizes.triples), "B each way", std::nullopt,
      "frames that left the member that sends more; TLS and TCP add about 0.5 % more"};
  const Answers masked =
      add_preprocessing(report, "preprocess_masked_ands_per_s", two, sizes.triples,
                        sizes.preprocessings, "masked", ", `triples = \"masked\"`");
  report.figures["preprocess_masked_bytes_per_and"] = {
      largest(masked, "bytes") / static_cast<double>(sizes.triples), "B each way", std::nullopt,
      "the same with `triples = \"masked\"`"};
  progress("TLS connections", 0.12);
  const Answers measured = two.run({{"do", "measure"},
                                    {"service", service},
                                    {"signatures", sizes.signatures},
                                    {"connections", sizes.connections}});
  add_engine(report, measured);
  add_connections(report, measured);
  add_signatures(report, measured);
  add_jwe(report, two.run({{"do", "jwe"}}));
  add_keep_cookie(report, two, folder / "cookie");
}

/// The same preprocessing in processes that get no huge pages.
void measure_small_pages(BenchReport& report, MemberProcesses& members, const Sizes& sizes) {
  members.run({{"do", "small_pages"}});
  join(members);
  (void)add_preprocessing(report, "preprocess_small_pages_ands_per_s", members, sizes.triples,
                          sizes.preprocessings, "bucket",
                          " without huge pages (PR_SET_THP_DISABLE)");
}

/// The engines, one request, run-script: all figures but the flows'.
void measure_requests(BenchReport& report, const BenchOptions& options, std::ofstream& plot_file,
                      const std::function<void(std::string_view, double)>& progress) {
  const Sizes sizes = options.quick ? Sizes::quick() : Sizes{};
  progress("two members", 0);
  MemberProcesses fresh(2, make_bench_member), fresh_of_before(2, make_bench_member),
      small(2, make_bench_member), two(2, make_bench_member), three(3, make_bench_member),
      linked(2, make_bench_member);

  TemporaryDirectory directory;
  const SandboxProcess sandbox(directory.path());
  const SandboxKey key = sandbox.key("joint");
  const nlohmann::json service = {{"port", sandbox.port()},
                                  {"ca_file", sandbox.ca_file().string()},
                                  {"access_key", key.access_key_id},
                                  {"secret_key", key.secret_access_key}};

  join(fresh);
  const RunScriptFigures run_of_two = run_script(fresh, service, kNewRooms);
  join(fresh_of_before);
  add_run_script_of_buckets(report, run_script(fresh_of_before, service, "bucket"));
  progress("preprocessing", 0.08);
  join(two);
  const double rtt_ms = largest(two.run({{"do", "ping"}}), "rtt_ms");
  measure_small_pages(report, small, sizes);
  measure_two(report, two, sizes, service, directory.path(), progress);
  progress("three members", 0.25);
  join(three);
  const RunScriptFigures run_of_three = run_script(three, service, kNewRooms);
  (void)add_preprocessing(report, "preprocess_n3_ands_per_s", three, sizes.triples_of_three,
                          sizes.preprocessings, "bucket");
  (void)add_preprocessing(report, "preprocess_masked_n3_ands_per_s", three, sizes.triples_of_three,
                          sizes.preprocessings, "masked", ", `triples = \"masked\"`");
  add_run_script(report, run_of_two, run_of_three);
  const PlotGroup links = measure_links(report, linked, sizes, service, [&](double fraction) {
    progress("simulated links", 0.4 + 0.6 * fraction);
  });

  if (!options.plot.empty()) {
    plot_file << timeline_svg({plot_of("run-script of two members, cold", run_of_two),
                               plot_of("run-script of three members, cold", run_of_three), links});
    if (!plot_file.flush()) throw InputError(options.plot.string(), "could not be written");
  }
  add_environment(report, rtt_ms);
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
  add_environment(report, std::nullopt);
  if (flows < 1) {
    measure_requests(report, options, plot_file, [&](std::string_view phase, double fraction) {
      progress(phase, flows + (1 - flows) * fraction);
    });
  }
  std::erase_if(report.figures, [&](const auto& figure) { return !wants(figure.first); });
  progress("done", 1);
  return report;
}

}  // namespace flexroom::bench
