#include <benchmark/benchmark.h>

#include <chrono>
#include <ctime>

#include "prep/memory_safety.h"
#include "prep/session_prep.h"
#include "support/deal_epoch.h"
#include "support/parties.h"

// Two (or n) members as threads of one process over the memory mesh: one core a member when the
// machine has that many.

namespace flexroom {
namespace {

// Time of the calling thread on a core: what counts when members do not share a machine.
double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Cost {
  double seconds = 0;
  double cpu_seconds = 0;
  uint64_t bytes = 0;
};

/// Party 0's time and traffic for work(prep), set-up and session start not counted.
template <typename Work>
Cost measure(size_t num_parties, const prep::TripleParameters& parameters, Work work) {
  const auto epochs = support::deal_epoch(num_parties);
  const auto run = support::run_parties(num_parties, [&](net::Party& party) {
    prep::MemorySafety safety;
    prep::SessionPrep session(party, epochs[party.id()], safety, parameters);
    session.random_bits(1);
    const net::Traffic before = party.traffic();
    const auto start = std::chrono::steady_clock::now();
    const double cpu_start = thread_seconds();
    work(session);
    const double cpu = thread_seconds() - cpu_start;
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    return Cost{time.count(), cpu, party.traffic().bytes_sent - before.bytes_sent};
  });
  return run.outcomes[0].value.value();
}

void AndTriples(benchmark::State& state) {
  const auto n = static_cast<size_t>(state.range(0));
  const char* const profiles[] = {"default", "bandwidth", "high"};
  const auto protocol =
      state.range(2) == 0 ? prep::TripleProtocol::kBucket : prep::TripleProtocol::kMasked;
  const auto parameters = prep::profile(profiles[state.range(1)], protocol).triples;
  const size_t count = std::max(parameters.batch, size_t{1} << 20) / (n > 2 ? 4 : 1);
  Cost total;
  size_t made = 0;
  for (auto _ : state) {
    const Cost cost = measure(n, parameters, [&](prep::SessionPrep& session) {
      for (size_t done = 0; done < count; done += parameters.batch) {
        benchmark::DoNotOptimize(session.and_triples(parameters.batch));
      }
    });
    state.SetIterationTime(cost.seconds);
    total.seconds += cost.seconds;
    total.cpu_seconds += cost.cpu_seconds;
    total.bytes += cost.bytes;
    made += (count + parameters.batch - 1) / parameters.batch * parameters.batch;
  }
  state.SetLabel(std::string(profiles[state.range(1)]) +
                 (state.range(2) == 0 ? ", bucket" : ", masked"));
  state.counters["ands_per_s"] = static_cast<double>(made) / total.seconds;
  state.counters["ands_per_cpu_s"] = static_cast<double>(made) / total.cpu_seconds;
  state.counters["bytes_per_and"] =
      static_cast<double>(total.bytes) / static_cast<double>(made * (n - 1));
}
BENCHMARK(AndTriples)
    ->Args({2, 0, 0})
    ->Args({2, 0, 1})
    ->Args({2, 1, 0})
    ->Args({2, 2, 0})
    ->Args({2, 2, 1})
    ->Args({3, 0, 0})
    ->Args({3, 0, 1})
    ->UseManualTime()
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

void Powers(benchmark::State& state) {
  const auto max_power = static_cast<size_t>(state.range(0));
  Cost total;
  for (auto _ : state) {
    const Cost cost = measure(2, {}, [&](prep::SessionPrep& session) {
      benchmark::DoNotOptimize(session.powers(max_power));
    });
    state.SetIterationTime(cost.seconds);
    total.bytes += cost.bytes;
  }
  state.counters["bytes"] =
      static_cast<double>(total.bytes) / static_cast<double>(state.iterations());
}
BENCHMARK(Powers)->Arg(64)->Arg(256)->Arg(1024)->UseManualTime()->Iterations(3)->Unit(
    benchmark::kMillisecond);

void VecTriple(benchmark::State& state) {
  const auto count = static_cast<size_t>(state.range(0));
  for (auto _ : state) {
    const Cost cost = measure(2, {}, [&](prep::SessionPrep& session) {
      benchmark::DoNotOptimize(session.vec_triple(count));
    });
    state.SetIterationTime(cost.seconds);
  }
}
BENCHMARK(VecTriple)->Arg(512)->UseManualTime()->Iterations(3)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace flexroom
