#include "bench/bench_requests.h"

#include <fmt/core.h>
#include <stdlib.h>

#include <memory>

#include "agent/phases.h"
#include "base/error.h"
#include "bench/bench_answers.h"
#include "bench/bench_layers.h"
#include "bench/bench_plot.h"
#include "bench/bench_session.h"
#include "bench/cookie_service.h"
#include "bench/sandbox_process.h"

namespace flexroom::bench {
namespace {

// The paper (§7.2): median of Tables 5 and 6, and its largest machine.
constexpr double kPublishedRunScriptSeconds = 439;
constexpr double kPublishedMemoryMib = 64 * 1024;

constexpr LinkShape kTwentyMs{20, 1000}, kSlow{20, 100};

struct Sizes {
  size_t triples = size_t{1} << 20;
  size_t triples_of_three = size_t{1} << 18;
  size_t preprocessings = 5;
  size_t starts = 9;
  size_t connections = 5;
  size_t signatures = 15;
  std::vector<LinkShape> links = {{0.1, 1000}, {6.6, 1000}, kTwentyMs, {50, 1000},
                                  {0.1, 100},  {6.6, 100},  kSlow,     {50, 100}};
  /// Over these the whole run from cold too.
  std::function<bool(const LinkShape&)> cold = [](const LinkShape&) { return true; };

  static Sizes quick() {
    return {size_t{1} << 16,
            size_t{1} << 16,
            3,
            3,
            1,
            1,
            {kTwentyMs, kSlow},
            [](const LinkShape& link) { return link.mbit_s == kSlow.mbit_s; }};
  }
};

/// Where docs/files.md advises `room.link = "slow"`.
bool is_slow(const LinkShape& link) { return link.mbit_s < 500; }

bool same(const LinkShape& a, const LinkShape& b) {
  return a.rtt_ms == b.rtt_ms && a.mbit_s == b.mbit_s;
}

/// `link`: as `room.link`, of which the epoch is made. `folder`: of these members alone.
void join(MemberProcesses& members, const std::filesystem::path& folder,
          std::vector<uint16_t> ports = {}, const char* link = "fast") {
  for (PartyId i = 0; ports.size() < members.size(); ++i)
    ports.push_back(members.members().port(i));
  std::filesystem::create_directory(folder);
  members.run({{"do", "join"}, {"ports", ports}, {"link", link}, {"folder", folder.string()}});
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

/// The protocols that send most, in words.
std::string most_of(const nlohmann::json& bytes_of) {
  constexpr size_t kMost = 6;
  std::vector<std::pair<double, std::string>> all;
  for (const auto& [protocol, bytes] : bytes_of.items()) all.emplace_back(bytes, protocol);
  std::sort(all.rbegin(), all.rend());
  std::string out;
  for (size_t k = 0; k < std::min(kMost, all.size()); ++k) {
    out += fmt::format("{}{} {:.2f} MB", k == 0 ? "" : ", ", all[k].second, all[k].first / 1e6);
  }
  return out;
}

void add_run_script(BenchReport& report, const RunScriptFigures& two) {
  const nlohmann::json& call = two.calls.front();
  std::string phases;
  for (const BenchPhase& phase : call.at("phases").get<std::vector<BenchPhase>>()) {
    phases += fmt::format("{}{} {:.2f} s", phases.empty() ? "" : ", ", phase.name, phase.seconds);
  }
  report.figures["run_script_lean_cold_s"] = {
      two.cold, "s", kPublishedRunScriptSeconds,
      fmt::format(
          "`triples = \"masked\"`, as new rooms have; members met and epoch set up, nothing else; "
          "counters and marks durable in once.db; no approval, no check of service and links: "
          "session, circuits, preprocessing, signing key, garbling, token, RunInstances of {} "
          "bytes "
          "with both members' private pre-signed links, {}, answer verified (published: ten "
          "calls); "
          "{:.2f} s of a member's core. {}",
          call.at("request_bytes").get<uint64_t>(), kCarrier, largest(two.calls, "cpu"), phases)};
  report.figures["run_script_lean_bytes"] = {
      largest(two.calls, "bytes"), "B each way", std::nullopt,
      fmt::format(
          "what the member that sends more sent to the other in that run, before TLS and TCP "
          "(members 0 and 1: {:.1f} and {:.1f} MB): {}",
          1e-6 * two.calls.front().at("bytes").get<double>(),
          1e-6 * two.calls.back().at("bytes").get<double>(),
          most_of(two.calls.back().at("bytes_of")))};
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
}

void add_run_script_of_three(BenchReport& report, const RunScriptFigures& three) {
  report.figures["run_script_lean_n3_ands"] = {three.calls.front().at("ands"), "AND", std::nullopt,
                                               "AND gates of the same run of three members"};
  report.figures["run_script_lean_n3_cold_s"] = {three.cold, "s", std::nullopt,
                                                 "run_script_lean_cold_s of three members"};
  report.figures["peak_rss_n3_mib"] = {largest(three.calls, "rss_mib"), "MiB", std::nullopt,
                                       "peak_rss_mib of a member of three, in that run"};
}

/// One run over a simulated link.
LinkFigures measure_link(LinkSimulator& simulator, MemberProcesses& members, const LinkShape& shape,
                         bool cold, const nlohmann::json& service, PlotGroup& plot) {
  LinkFigures out;
  out.shape = shape;
  simulator.set_shape(cold ? shape : LinkShape{});
  const RunScriptFigures run = run_script(members, service, kNewRooms, [&] {
    simulator.set_shape(shape);
    out.measured_rtt_ms = largest(members.run({{"do", "ping"}}), "rtt_ms");
  });
  if (cold) out.cold_s = run.cold;
  out.warm_s = run.warm;
  out.bytes = largest(run.calls, "bytes");
  plot.rows.push_back(
      warm_row(fmt::format("RTT {:g} ms, {:g} Mbit/s", shape.rtt_ms, shape.mbit_s), run));
  return out;
}

void add_link(BenchReport& report, const LinkFigures& link) {
  const std::string condition = fmt::format(
      "with a simulated link of {:g} ms round trip ({:.1f} measured) and {:g} Mbit/s "
      "between the members{}",
      link.shape.rtt_ms, link.measured_rtt_ms, link.shape.mbit_s,
      is_slow(link.shape) ? ", `link = \"slow\"`" : "");
  if (same(link.shape, kTwentyMs)) {
    report.figures["run_script_lean_warm_rtt20_s"] = {link.warm_s, "s", std::nullopt,
                                                      "run_script_lean_warm_s " + condition};
  }
  if (same(link.shape, kSlow) && link.cold_s) {
    report.figures["run_script_lean_cold_100mbit_s"] = {
        *link.cold_s, "s", std::nullopt,
        fmt::format("run_script_lean_cold_s {}; {:.1f} MB sent by the member that sends more",
                    condition, link.bytes / 1e6)};
  }
  report.links.push_back(link);
}

/// The parts of the measurement, each of which gives a few figures and is left out where none of
/// them is wanted. Members are forked when the object is made; threads start later.
class Requests {
 public:
  Requests(BenchReport& report, const Sizes& sizes, bool plotted, bool all,
           const std::function<bool(std::string_view)>& wants)
      : report_(report), sizes_(sizes), wants_(wants), plotted_(plotted), all_(all) {
    const auto make = [](bool needed, size_t n) {
      return needed ? std::make_unique<MemberProcesses>(n, make_bench_member) : nullptr;
    };
    fresh_ = make(
        plotted || any({"run_script_lean_cold_s", "run_script_lean_bytes", "run_script_lean_warm_s",
                        "peak_rss_mib", "cold_minor_faults", "run_script_lean_ands"}),
        2);
    of_before_ = make(any({"run_script_lean_bucket_cold_s", "run_script_lean_bucket_bytes"}), 2);
    small_ = make(any(kSmallPages), 2);
    two_ = make(any(kBuckets) || any(kMasked) || any(kConnections) || any(kCookie) ||
                    any({"jwe_2048_offline_s", "session_start_ms"}),
                2);
    run_of_three_ =
        plotted || any({"run_script_lean_n3_ands", "run_script_lean_n3_cold_s", "peak_rss_n3_mib"});
    three_ = make(
        run_of_three_ || any({"preprocess_n3_ands_per_s", "preprocess_masked_n3_ands_per_s"}), 3);
    four_ = make(any({"hand_over_100_secrets_s"}), 4);
    linked_ = make(plotted || any({kLinks[0]}), 2);
    slow_ = make(plotted || any({kLinks[1]}), 2);
  }

  bool calls_the_service() const {
    return fresh_ || (small_ && any({kSmallPages[0]})) || of_before_ || run_of_three_ || linked_ ||
           slow_ || (two_ && any(kConnections));
  }

  /// Two members that did nothing before, new and of a room of before.
  void cold(const nlohmann::json& service, const std::filesystem::path& folder) {
    if (fresh_) {
      join(*fresh_, folder / "fresh");
      run_of_two_ = run_script(*fresh_, service, kNewRooms);
      add_run_script(report_, run_of_two_);
    }
    if (small_) {
      small_->run({{"do", "small_pages"}});
      join(*small_, folder / "small");
    }
    if (small_ && any({kSmallPages[0]})) {
      report_.figures[kSmallPages[0]] = {
          largest(run_script(*small_, service, kNewRooms).calls, "faults"), "faults", std::nullopt,
          "cold_minor_faults without huge pages (PR_SET_THP_DISABLE)"};
    }
    if (!of_before_) return;
    join(*of_before_, folder / "of-before");
    add_run_script_of_buckets(report_, run_script(*of_before_, service, "bucket"));
  }

  /// Two members who share an epoch and no stock. `folder`: for what they keep. Returns their round
  /// trip.
  std::optional<double> two(const nlohmann::json& service, const std::filesystem::path& folder,
                            const std::function<void(std::string_view, double)>& progress) {
    if (small_) small_pages();
    if (!two_) return std::nullopt;
    join(*two_, folder / "two");
    const double rtt_ms = largest(two_->run({{"do", "ping"}}), "rtt_ms");
    if (any({"session_start_ms"})) add_session_start(report_, *two_, sizes_.starts);
    if (any(kBuckets)) preprocess_two(kBuckets, "bucket", "");
    if (any(kMasked)) preprocess_two(kMasked, "masked", ", `triples = \"masked\"`");
    if (any(kConnections)) {
      progress("TLS connections", 0.12);
      const std::filesystem::path own = folder / "retry";
      std::filesystem::create_directories(own);
      const Answers measured =
          two_->run({{"do", "measure"},
                     {"service", service},
                     {"signatures", sizes_.signatures},
                     {"connections", sizes_.connections},
                     {"folder", own.string()},
                     {"ca_file", CookieService::make_certificate(own).string()}});
      add_engine(report_, measured);
      add_connections(report_, measured);
      add_signatures(report_, measured);
    }
    if (any({"jwe_2048_offline_s"})) add_jwe(report_, two_->run({{"do", "jwe"}}));
    if (any(kCookie)) add_keep_cookie(report_, *two_, folder / "cookie");
    return rtt_ms;
  }

  void three(const nlohmann::json& service, const std::filesystem::path& folder) {
    if (!three_) return;
    join(*three_, folder / "three");
    if (run_of_three_) {
      run_of_three_members_ = run_script(*three_, service, kNewRooms);
      add_run_script_of_three(report_, run_of_three_members_);
    }
    const auto preprocess = [&](const char* name, std::string_view protocol,
                                std::string_view unusual) {
      if (!any({name})) return;
      (void)add_preprocessing(report_, name, *three_,
                              {sizes_.triples_of_three, sizes_.preprocessings, protocol, unusual});
    };
    preprocess("preprocess_n3_ands_per_s", "bucket", "");
    preprocess("preprocess_masked_n3_ands_per_s", "masked", ", `triples = \"masked\"`");
  }

  /// Four members, of whom three hold secrets.
  void four(const std::filesystem::path& folder) {
    if (!four_) return;
    join(*four_, folder / "four");
    add_hand_over(report_, *four_, sizes_.connections);
  }

  /// Two members behind simulated links.
  void links(const nlohmann::json& service, const std::filesystem::path& folder,
             const std::function<void(double)>& progress) {
    if (!linked_ && !slow_) return;
    LinkSimulator simulator;
    const std::pair<MemberProcesses*, const char*> both[] = {{linked_.get(), "fast"},
                                                             {slow_.get(), "slow"}};
    for (const auto& [members, link] : both) {
      std::vector<uint16_t> ports;
      for (PartyId i = 0; members != nullptr && i < members->size(); ++i) {
        ports.push_back(simulator.forward_to(members->members().port(i)));
      }
      if (members != nullptr) join(*members, folder / link, ports, link);
    }
    for (size_t k = 0; k < sizes_.links.size(); ++k) {
      const LinkShape& shape = sizes_.links[k];
      progress(static_cast<double>(k) / static_cast<double>(sizes_.links.size()));
      if (!all_ && !plotted_ && !gives_a_figure(shape)) continue;
      add_link(report_, measure_link(simulator, is_slow(shape) ? *slow_ : *linked_, shape,
                                     sizes_.cold(shape), service, plot_of_links_));
    }
  }

  std::string plot() const {
    return timeline_svg({plot_of("run-script of two members, cold", run_of_two_),
                         plot_of("run-script of three members, cold", run_of_three_members_),
                         plot_of_links_});
  }

 private:
  using Names = std::vector<const char*>;
  inline static const Names kBuckets = {"preprocess_ands_per_s", "preprocess_bytes_per_and"},
                            kMasked = {"preprocess_masked_ands_per_s",
                                       "preprocess_masked_bytes_per_and"},
                            kConnections = {"garble_ands_per_s",
                                            "evaluate_ands_per_s",
                                            "handshake_online_ms",
                                            "handshake_one_group_online_ms",
                                            "handshake_ands",
                                            "handshake_hrr_extra_rtt",
                                            "client_flight_ands",
                                            "request_224B_online_ms",
                                            "sigv4_online_ms",
                                            "request_byte_ands",
                                            "request_byte_ands_chacha20",
                                            "handshake_sha384_ands",
                                            "record_sha384_per_128"},
                            kSmallPages = {"cold_minor_faults_small_pages",
                                           "preprocess_small_pages_ands_per_s",
                                           "preprocess_masked_small_pages_ands_per_s"},
                            kCookie = {"keep_cookie_4k_total_s", "keep_cookie_4k_online_s"},
                            kLinks = {"run_script_lean_warm_rtt20_s",
                                      "run_script_lean_cold_100mbit_s"};

  bool any(const Names& names) const {
    return std::any_of(names.begin(), names.end(), [&](const char* name) { return wants_(name); });
  }
  bool gives_a_figure(const LinkShape& shape) const {
    return (same(shape, kTwentyMs) && any({kLinks[0]})) || (same(shape, kSlow) && any({kLinks[1]}));
  }

  /// Rate and bytes, under the names of `names`.
  void preprocess_two(const Names& names, std::string_view protocol, std::string_view unusual) {
    const Answers made = add_preprocessing(
        report_, names[0], *two_, {sizes_.triples, sizes_.preprocessings, protocol, unusual});
    report_.figures[names[1]] = {
        largest(made, "bytes") / static_cast<double>(sizes_.triples), "B each way", std::nullopt,
        fmt::format("frames that left the member that sends more{}; TLS and TCP add about 0.5 % "
                    "more",
                    unusual)};
  }

  /// The same preprocessing in processes that get no huge pages.
  void small_pages() {
    const auto preprocess = [&](const char* name, std::string_view protocol,
                                std::string_view unusual) {
      if (!any({name})) return;
      (void)add_preprocessing(report_, name, *small_,
                              {sizes_.triples, sizes_.preprocessings, protocol, unusual});
    };
    preprocess(kSmallPages[1], "bucket", " without huge pages (PR_SET_THP_DISABLE)");
    preprocess(kSmallPages[2], "masked",
               ", `triples = \"masked\"`, without huge pages (PR_SET_THP_DISABLE)");
  }

  BenchReport& report_;
  const Sizes sizes_;
  const std::function<bool(std::string_view)>& wants_;
  const bool plotted_, all_;
  bool run_of_three_ = false;
  std::unique_ptr<MemberProcesses> fresh_, of_before_, small_, two_, three_, four_, linked_, slow_;
  RunScriptFigures run_of_two_, run_of_three_members_;
  PlotGroup plot_of_links_{"Two members behind a link: member 1 from where everything is prepared",
                           {}};
};

}  // namespace

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "flexroom-bench-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    throw std::runtime_error("bench: cannot make a folder in " +
                             std::filesystem::temp_directory_path().string());
  }
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::optional<double> measure_requests(
    BenchReport& report, const BenchOptions& options, std::ofstream& plot,
    const std::function<bool(std::string_view)>& wants,
    const std::function<void(std::string_view phase, double fraction)>& progress) {
  progress("two members", 0);
  Requests requests(report, options.quick ? Sizes::quick() : Sizes{}, plot.is_open(),
                    options.only.empty(), wants);
  const TemporaryDirectory directory;
  std::optional<SandboxProcess> sandbox;
  nlohmann::json service;
  if (requests.calls_the_service()) {
    sandbox.emplace(directory.path());
    const SandboxKey key = sandbox->key("joint");
    service = {{"port", sandbox->port()},
               {"ca_file", sandbox->ca_file().string()},
               {"access_key", key.access_key_id},
               {"secret_key", key.secret_access_key}};
  }
  requests.cold(service, directory.path());
  progress("preprocessing", 0.08);
  const std::optional<double> rtt_ms = requests.two(service, directory.path(), progress);
  progress("three members", 0.25);
  requests.three(service, directory.path());
  requests.four(directory.path());
  progress("simulated links", 0.4);
  requests.links(service, directory.path(),
                 [&](double fraction) { progress("simulated links", 0.4 + 0.6 * fraction); });
  // Threads: behind the last that is forked.
  if (wants("mesh_kem_n3_cpu_ms")) add_mesh_kem(report, options.quick ? 3 : 9);
  if (plot.is_open()) {
    plot << requests.plot();
    if (!plot.flush()) throw InputError(options.plot.string(), "could not be written");
  }
  return rtt_ms;
}

}  // namespace flexroom::bench
