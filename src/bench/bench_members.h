#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "net/identity.h"
#include "net/pair_key.h"
#include "net/party.h"
#include "net/tcp_mesh.h"
#include "prep/epoch.h"

/// n members on one machine, for measurements.
namespace flexroom::bench {

using BenchClock = std::chrono::steady_clock;
inline double seconds_since(BenchClock::time_point start) {
  return std::chrono::duration<double>(BenchClock::now() - start).count();
}
/// Time of the calling thread, or of the whole process, on a core: what a wall time would be with
/// the core to itself and nothing to wait for.
double thread_cpu_seconds();
double process_cpu_seconds();
/// The middle one; of an even number the upper.
double median(std::vector<double> values);
/// A listening socket on a free port of 127.0.0.1.
std::pair<int, uint16_t> listen_on_loopback();

/// Identities and listening sockets of n members on loopback.
class LoopbackMembers {
 public:
  explicit LoopbackMembers(size_t n);
  ~LoopbackMembers();
  LoopbackMembers(const LoopbackMembers&) = delete;
  LoopbackMembers& operator=(const LoopbackMembers&) = delete;
  size_t size() const { return identities_.size(); }
  uint16_t port(PartyId member) const { return members_[member].port; }
  /// May be called again after the links of the last time are gone. `ports`: where `self` connects
  /// to reach each member.
  /// `keys`: what the member's meetings of before left; null: nothing.
  std::unique_ptr<net::Party> join(PartyId self, const std::vector<uint16_t>& ports,
                                   net::PairKeys* keys = nullptr) const;
  prep::EpochParameters epoch_parameters() const;

 private:
  std::vector<net::Identity> identities_;
  std::vector<net::MeshMember> members_;
  std::vector<int> listeners_;
};

/// Moves the calling thread, and every thread it starts from now on, to the index-th core that the
/// process may use. Nothing happens where there are fewer than `members` of them.
void pin_to_core(size_t index, size_t members);

/// Waits until all members are here.
void meet(net::Party& party);

/// What one member does with an order; lives in the member's process.
class BenchMember {
 public:
  virtual ~BenchMember() = default;
  virtual nlohmann::json run(const nlohmann::json& order) = 0;
};
using MakeBenchMember =
    std::function<std::unique_ptr<BenchMember>(const LoopbackMembers& members, PartyId self)>;

/// n members, each a process of its own on a core of its own where there are as many: what members
/// share in one process (allocator, caches, locks) is not what they share in the product. Forked by
/// the constructor, before the caller starts threads; the destructor ends those that are still
/// there.
class MemberProcesses {
 public:
  MemberProcesses(size_t n, const MakeBenchMember& make);
  ~MemberProcesses();
  MemberProcesses(const MemberProcesses&) = delete;
  MemberProcesses& operator=(const MemberProcesses&) = delete;

  size_t size() const { return children_.size(); }
  const LoopbackMembers& members() const { return members_; }
  /// Gives every member the same order and waits for all answers. Throws std::runtime_error when a
  /// member failed.
  std::vector<nlohmann::json> run(const nlohmann::json& order);

 private:
  struct Child {
    int pid = -1;
    int socket = -1;
  };
  static void release(Child& child);
  LoopbackMembers members_;
  std::vector<Child> children_;
};

}  // namespace flexroom::bench
