#pragma once

#include <array>
#include <chrono>
#include <exception>
#include <string_view>
#include <thread>
#include <vector>

#include "net/identity.h"
#include "net/party.h"
#include "net/tcp_mesh.h"
#include "prep/epoch.h"

/// Two members on one machine, for measurements.
namespace flexroom::bench {

inline constexpr size_t kBenchMembers = 2;
inline constexpr PartyId kBenchCourier = 1;

using BenchClock = std::chrono::steady_clock;
inline double seconds_since(BenchClock::time_point start) {
  return std::chrono::duration<double>(BenchClock::now() - start).count();
}
/// Time of the calling thread on a core: what a wall time would be with the core to itself and
/// nothing to wait for.
double thread_cpu_seconds();
/// The middle one; of an even number the upper.
double median(std::vector<double> values);

/// Identities and listening sockets of both members on loopback. A socket that no join() took over
/// is closed.
class LoopbackMembers {
 public:
  LoopbackMembers();
  ~LoopbackMembers();
  LoopbackMembers(const LoopbackMembers&) = delete;
  LoopbackMembers& operator=(const LoopbackMembers&) = delete;
  /// Once a member and object.
  std::unique_ptr<net::Party> join(PartyId self);
  prep::EpochParameters epoch_parameters() const;

 private:
  std::vector<net::Identity> identities_;
  std::vector<net::MeshConfig> configs_;
};

/// Moves the calling thread, and every thread it starts from now on, to the index-th core that the
/// process may use. False, and nothing happens, if there are not kBenchMembers of them.
bool pin_to_core(size_t index);

/// Waits until the other member is here too.
void meet(net::Party& party);

/// Runs work(party) for both members, a pinned thread each. The first exception is rethrown once
/// both ended.
template <typename Work>
auto run_members(LoopbackMembers& members, Work work) {
  using T = std::invoke_result_t<Work, net::Party&>;
  std::array<T, kBenchMembers> results;
  std::array<std::exception_ptr, kBenchMembers> errors;
  std::vector<std::thread> threads;
  for (PartyId i = 0; i < kBenchMembers; ++i) {
    threads.emplace_back([&, i] {
      std::unique_ptr<net::Party> party;
      try {
        pin_to_core(i);
        party = members.join(i);
        results[i] = work(*party);
      } catch (...) {
        errors[i] = std::current_exception();
        if (party) party->abort();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  return results;
}

}  // namespace flexroom::bench
