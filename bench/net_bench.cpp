#include <benchmark/benchmark.h>

#include <ctime>
#include <future>

#include "support/tcp_members.h"

// The member mesh on loopback: TLS 1.3 both ways, two I/O threads a direction on the same machine.
// cpu_ns_per_byte is the time of all threads of both ends on a core: what one byte costs its sender
// and its receiver together.

namespace flexroom {
namespace {

constexpr PartyId kFirst = 0;
constexpr PartyId kSecond = 1;

double cpu_ns() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return 1e9 * static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec);
}

void count(benchmark::State& state, double cpu_start, size_t bytes_of_iteration) {
  const auto bytes = static_cast<int64_t>(bytes_of_iteration) * state.iterations();
  state.SetBytesProcessed(bytes);
  state.counters["cpu_ns_per_byte"] = (cpu_ns() - cpu_start) / static_cast<double>(bytes);
}

/// n members that meet, pair keys and links: cpu_ms_per_pair of both ends together.
void join(benchmark::State& state) {
  const auto n = static_cast<size_t>(state.range(0));
  double cpu = 0;
  for (auto _ : state) {
    state.PauseTiming();
    support::TcpMembers members(n);
    const double start = cpu_ns();
    state.ResumeTiming();
    const auto mesh = members.join_all();
    state.PauseTiming();
    cpu += cpu_ns() - start;
    state.ResumeTiming();
  }
  const double pairs =
      static_cast<double>(n * (n - 1) / 2) * static_cast<double>(state.iterations());
  state.counters["cpu_ms_per_pair"] = cpu / 1e6 / pairs;
}
BENCHMARK(join)->Arg(2)->Arg(3)->Arg(5)->UseRealTime();

void one_way(benchmark::State& state) {
  support::TcpMembers members(2);
  const auto mesh = members.join_all();
  const auto bytes = static_cast<size_t>(state.range(0));
  const size_t frames = std::max<size_t>(1, (size_t{64} << 20) / bytes);
  const double start = cpu_ns();
  for (auto _ : state) {
    auto receiver = std::async(std::launch::async, [&] {
      for (size_t k = 0; k < frames; ++k) mesh[kSecond]->recycle(mesh[kSecond]->receive(kFirst));
    });
    for (size_t k = 0; k < frames; ++k) mesh[kFirst]->send(kSecond, mesh[kFirst]->buffer(bytes));
    receiver.get();
  }
  count(state, start, frames * bytes);
}
BENCHMARK(one_way)->Arg(1 << 10)->Arg(1 << 16)->Arg(1 << 20)->Arg(16 << 20)->UseRealTime();

void both_ways(benchmark::State& state) {
  support::TcpMembers members(2);
  const auto mesh = members.join_all();
  constexpr size_t kFrames = 64;
  const auto run = [&](PartyId self) {
    for (size_t k = 0; k < kFrames; ++k) mesh[self]->send(1 - self, mesh[self]->buffer(1 << 20));
    for (size_t k = 0; k < kFrames; ++k) mesh[self]->recycle(mesh[self]->receive(1 - self));
  };
  const double start = cpu_ns();
  for (auto _ : state) {
    auto other = std::async(std::launch::async, run, kSecond);
    run(kFirst);
    other.get();
  }
  count(state, start, 2 * kFrames << 20);
}
BENCHMARK(both_ways)->UseRealTime();

void round_trip(benchmark::State& state) {
  support::TcpMembers members(2);
  const auto mesh = members.join_all();
  std::thread echo([&] {
    try {
      while (true) mesh[kSecond]->send(kFirst, mesh[kSecond]->receive(kFirst));
    } catch (const ProtocolAbort&) {  // the other end is done
    }
  });
  for (auto _ : state) {
    mesh[kFirst]->send(kSecond, Bytes(32));
    benchmark::DoNotOptimize(mesh[kFirst]->receive(kSecond));
  }
  mesh[kFirst]->close();
  echo.join();
}
BENCHMARK(round_trip)->UseRealTime();

}  // namespace
}  // namespace flexroom
