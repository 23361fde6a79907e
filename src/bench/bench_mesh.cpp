#include <fmt/core.h>

#include <array>
#include <future>

#include "bench/bench_layers.h"
#include "bench/bench_members.h"
#include "net/pair_key.h"

namespace flexroom::bench {
namespace {

constexpr size_t kThree = 3;
using Keys = std::array<net::PairKeys, kThree>;

/// Time on a core, of all members together, until every link is up.
double cpu_of_meeting(const LoopbackMembers& members, Keys& keys) {
  std::vector<uint16_t> ports;
  for (PartyId i = 0; i < kThree; ++i) ports.push_back(members.port(i));
  const double start = process_cpu_seconds();
  std::vector<std::future<std::unique_ptr<net::Party>>> joining;
  for (PartyId i = 0; i < kThree; ++i) {
    joining.push_back(std::async(std::launch::async, [&members, &ports, &keys, i] {
      auto party = members.join(i, ports, &keys[i]);
      meet(*party);
      return party;
    }));
  }
  std::vector<std::unique_ptr<net::Party>> parties;
  for (auto& one : joining) parties.push_back(one.get());
  return process_cpu_seconds() - start;
}

}  // namespace

void add_mesh_kem(BenchReport& report, size_t times) {
  const LoopbackMembers members(kThree);
  std::vector<double> first, again;
  for (size_t k = 0; k < times; ++k) {
    Keys keys;
    first.push_back(cpu_of_meeting(members, keys));
    again.push_back(cpu_of_meeting(members, keys));
  }
  constexpr double kPairs = kThree * (kThree - 1) / 2.0;
  report.figures["mesh_kem_n3_cpu_ms"] = {
      1e3 * (median(first) - median(again)) / kPairs, "ms", std::nullopt,
      fmt::format("what ML-KEM-768 adds to a link between two of three members, both sides' time "
                  "on a core: a mesh whose pairs make their keys first (a connection by "
                  "certificates more, ML-KEM both ways: {:.1f} ms in all) less one of members that "
                  "have them ({:.1f} ms); median of {}",
                  1e3 * median(first), 1e3 * median(again), times)};
}

}  // namespace flexroom::bench
