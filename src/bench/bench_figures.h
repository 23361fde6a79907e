#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bench/bench_members.h"
#include "cloud/sandbox.h"

/// The measurements behind run_bench().
namespace flexroom::bench {

inline constexpr const char* kBenchHost = "ec2.us-east-1.amazonaws.com";

struct BenchSizes {
  size_t triples = size_t{1} << 20;
  size_t connections = 5;
  size_t signatures = 9;
  static BenchSizes quick() { return {size_t{1} << 16, 1, 1}; }
};

/// Where the time of one online step went, as one member saw it.
struct OnlineStep {
  BenchClock::time_point start, end;
  uint64_t half_rounds = 0;
  uint64_t ands = 0;
};

struct ConnectionTimes {
  OnlineStep handshake, request;
  double garble_seconds = 0;  // Engine::prepare of GC-A without its calls of the Source
  double garble_cpu_seconds = 0;
  double evaluate_seconds = 0;  // Engine::evaluate of GC-A; nothing at garblers
  uint64_t garbled_ands = 0;
};

/// What one member measured.
struct MemberFigures {
  double rtt_ms = 0;
  double preprocess_seconds = 0;
  double preprocess_cpu_seconds = 0;
  uint64_t preprocess_bytes = 0;
  std::vector<ConnectionTimes> connections;
  std::vector<OnlineStep> signatures;
};

using BenchProgress = std::function<void(std::string_view phase, double fraction)>;

/// Everything that is measured with members as threads; called at both. `progress` is called at
/// member 0 only.
MemberFigures measure_member(net::Party& party, const prep::EpochParameters& parameters,
                             const cloud::Sandbox& sandbox, const BenchSizes& sizes,
                             const BenchProgress& progress);

/// The run-script figures of two members that are processes of their own.
struct RunScriptFigures {
  double cold_seconds = 0;
  double warm_seconds = 0;
  double cpu_seconds = 0;   // of the whole process, cold run; the larger member's
  double peak_rss_mib = 0;  // the larger member's
  uint64_t ands = 0;
  uint64_t request_bytes = 0;
  std::vector<std::pair<std::string, double>> phases;  // of member 0, seconds
};

/// Two child processes, forked by the constructor (before the caller starts threads), that wait for
/// run(). The destructor ends those that are still there.
class RunScriptMembers {
 public:
  RunScriptMembers();
  ~RunScriptMembers();
  RunScriptMembers(const RunScriptMembers&) = delete;
  RunScriptMembers& operator=(const RunScriptMembers&) = delete;
  RunScriptFigures run(const cloud::Sandbox& sandbox, const cloud::AccountKey& account);

 private:
  struct Child {
    int pid = -1;
    int socket = -1;
  };
  void release(Child& child);
  std::vector<Child> children_;
};

}  // namespace flexroom::bench
