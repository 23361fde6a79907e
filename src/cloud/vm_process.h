#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"

namespace flexroom::cloud {

/// How far a VM is apart from the machine and from other VMs.
enum class VmIsolation {
  kNone,        // limits of each process only
  kUser,        // a user id of its own as well
  kNamespaces,  // mounts, processes, host name, ipc and network of its own as well
};

/// What this process may give a VM with that user id, found out by doing it in a child.
VmIsolation possible_isolation(uid_t uid);

/// Everything a VM's processes are started with. Built before the fork: the child may only make
/// system calls, since the sandbox has other threads.
struct VmPlan {
  VmIsolation isolation = VmIsolation::kNone;
  uid_t uid = 0;  // and gid, unless kNone
  /// IPv4 addresses, host order, inside its own network (kNamespaces): of the cloud (port 443) and
  /// of the metadata service (port 80).
  uint32_t cloud_address = 0;
  uint32_t metadata_address = 0xa9fea9fe;  // 169.254.169.254
  std::string hostname;
  std::vector<std::string> groups;                         // files to join control groups by
  std::vector<std::pair<std::string, std::string>> binds;  // source -> target, in this order
  std::vector<std::string> covers;  // folders hidden under an empty tmpfs, after the binds
  std::string home;         // as seen inside; with namespaces alone writable, with the covers
  std::string script;       // as seen inside
  bool has_shebang = true;  // false: /bin/bash runs the script
  std::vector<std::string> environment;
  unsigned long cpu_seconds = 3600;
  unsigned long memory_bytes = 4ul << 30;
  unsigned long file_bytes = 1ul << 30;
  unsigned long num_processes = 256;  // only with a uid of its own
  // Each limit above is one process's; these are the whole VM's, with namespaces.
  unsigned long total_memory_bytes = 4ul << 30;  // where control groups can be made
  unsigned long home_bytes = 1ul << 30;
};

/// Starts the VM: an init process, which reaps, and the script as its child, both with `console_fd`
/// as output and no other descriptor. The calling thread must outlive the VM (parent
/// death signal).
struct StartedVm {
  pid_t init = -1;      // killing it ends every process of the VM, with namespaces; -1: refused
  std::string failure;  // why the script did not start; empty: it runs
  /// Sockets that listen inside the VM's own network, or none: on the cloud's address, port 443,
  /// and on the metadata address, port 80.
  Fd cloud_listener, metadata_listener;
};
StartedVm start_vm(const VmPlan& plan, int console_fd);

/// SIGKILL to the init process and all that descends from it.
void kill_vm(pid_t init, VmIsolation isolation);

}  // namespace flexroom::cloud
