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
  bool has_443 = false;       // of the machine's network; false: the main port in its place
  unsigned index = 0;         // k: tells sandboxes of one machine apart
  /// Serves what connects to a VM's own network: a listening socket, taken over until release.
  std::function<bool(Fd listener)> serve;
  std::function<void(int listener)> release;
};

/// How a VM reaches its metadata service.
struct VmMetadata {
  std::string endpoint;                    // http://address:port on the machine's network
  std::function<bool(Fd listener)> serve;  // the same inside the VM's own network
};

/// Why a VM is no longer running.
enum class VmEnd { kTerminated, kPoweroff, kDeadline, kFailed };

/// Runs user data as supervised process trees ("VMs"), as far apart from the machine as this
/// process may take them. With namespaces each has a uid, home, /tmp, hosts file, processes and
/// network of its own, can write nowhere else, cannot read the state folder and reaches the sandbox
/// alone; otherwise it is a child with resource limits (as root: with a uid of its own), and the
/// console says so.
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

  VmIsolation isolation() const { return isolation_; }
  /// A free place, 0 .. kMaxVms-1, or nothing. Freed when the VM has ended.
  std::optional<unsigned> acquire_slot();
  void release_slot(unsigned slot);
  /// The uid of the VM in that place (the sandbox's own without isolation).
  uid_t uid(unsigned slot) const;

  /// A loopback address of the VM's own, for its metadata service.
  std::string metadata_address(unsigned slot) const;

  /// Boots and returns when the user data runs, or throws InputError with the reason why it does
  /// not (on its console as well); the slot is free again then. `on_end` is called from the VM's
  /// thread, once, when its last process is gone; not if this throws.
  void launch(const std::string& id, unsigned slot, const std::string& user_data,
              VmMetadata metadata, OnEnd on_end);
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
  bool names_resolve() const;
  std::filesystem::path home_of(const std::filesystem::path& vm_dir) const;
  void plan_view(const Vm& vm, VmPlan& plan) const;
  void remove_home(const std::filesystem::path& vm_dir) const;
  struct Machine;
  void run(const std::shared_ptr<Vm>& vm, const std::string& user_data, const VmMetadata& metadata,
           const OnEnd& on_end);
  void start(Vm& vm, const std::string& user_data, const VmMetadata& metadata, Machine& machine);
  VmEnd watch(Vm& vm, pid_t init, int console_fd, int control_fd);

  Options options_;
  VmIsolation isolation_;
  mutable std::mutex mutex_;
  std::set<unsigned> free_slots_;
  std::set<std::string> hosts_;
  std::map<std::string, std::shared_ptr<Vm>> vms_;
};

}  // namespace flexroom::cloud
