#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cloud/vm_process.h"

namespace flexroom::cloud {

/// Where a VM finds the sandbox.
struct VmNetwork {
  std::string cloud_address;  // 127.83.k.1: what the host names resolve to; with port 443
  uint16_t cloud_port = 0;    // the sandbox's main port on 127.0.0.1
  bool has_443 = false;       // false: curl is told to connect to the main port
  unsigned index = 0;         // k: tells sandboxes of one machine apart
};

/// Why a VM is no longer running.
enum class VmEnd { kTerminated, kPoweroff, kDeadline, kFailed };

/// Runs user data as supervised process trees ("VMs"). As root each has a uid, home, /tmp, hosts
/// file and process namespace of its own, can write nowhere else and cannot read the state folder;
/// otherwise it is a plain child with resource limits, and the console says so.
class VmHost {
 public:
  struct Options {
    std::filesystem::path dir;  // vms/<instance id>/ are made below
    std::filesystem::path state_dir;
    std::filesystem::path ca_file;
    std::string region;
    std::chrono::seconds lifetime{7200};
    VmNetwork network;
    std::vector<std::string> covers;  // more folders no VM may see
  };
  using OnEnd = std::function<void(VmEnd)>;
  static constexpr unsigned kMaxVms = 32;
  static constexpr size_t kConsoleBytes = 65536;

  explicit VmHost(Options options);
  ~VmHost();

  bool isolates() const { return isolates_; }
  /// A free place, 0 .. kMaxVms-1, or nothing. Freed when the VM has ended.
  std::optional<unsigned> acquire_slot();
  void release_slot(unsigned slot);
  /// The uid of the VM in that place (the sandbox's own without isolation).
  uid_t uid(unsigned slot) const;

  /// A loopback address of the VM's own, for its metadata service.
  std::string metadata_address(unsigned slot) const;

  /// Boots. `metadata_endpoint` is http://address:port; empty (nothing could be bound): the VM
  /// fails and its console says why. `on_end` is called from the VM's thread, once, when its last
  /// process is gone.
  void launch(const std::string& id, unsigned slot, const std::string& user_data,
              const std::string& metadata_endpoint, OnEnd on_end);
  void terminate(const std::string& id);
  /// The last 64 KiB of output; empty for an unknown VM.
  std::string console(const std::string& id) const;
  /// Drops the console of a VM that has ended.
  void forget(const std::string& id);
  /// A new host name (a bucket's) for all VMs, also those that run.
  void add_host(const std::string& name);
  /// Terminates all and waits.
  void stop();

 private:
  struct Vm;
  VmPlan prepare(const Vm& vm, const std::string& user_data, const std::string& metadata_endpoint);
  void fill_home(const Vm& vm, const std::string& user_data,
                 const std::string& metadata_endpoint) const;
  void plan_view(const Vm& vm, VmPlan& plan) const;
  void remove_home(const std::filesystem::path& vm_dir) const;
  void run(const std::shared_ptr<Vm>& vm, const std::string& user_data,
           const std::string& metadata_endpoint, const OnEnd& on_end);
  VmEnd watch(Vm& vm, pid_t init, int console_fd, int control_fd);

  Options options_;
  bool isolates_;
  mutable std::mutex mutex_;
  std::set<unsigned> free_slots_;
  std::set<std::string> hosts_;
  std::map<std::string, std::shared_ptr<Vm>> vms_;
};

}  // namespace flexroom::cloud
