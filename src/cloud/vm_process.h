#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

namespace flexroom::cloud {

/// Everything a VM's processes are started with. Built before the fork: the child may only make
/// system calls, since the sandbox has other threads.
struct VmPlan {
  bool isolate = false;  // root: own uid and mount, pid, uts and ipc namespaces
  uid_t uid = 0;         // and gid, with isolate
  std::string hostname;
  std::vector<std::string> groups;                         // files to join control groups by
  std::vector<std::pair<std::string, std::string>> binds;  // source -> target, in this order
  std::vector<std::string> covers;  // folders hidden under an empty tmpfs, after the binds
  std::string home;                 // as seen inside; with isolate alone writable, with the covers
  std::string script;               // as seen inside
  bool has_shebang = true;          // false: /bin/bash runs the script
  std::vector<std::string> environment;
  unsigned long cpu_seconds = 3600;
  unsigned long memory_bytes = 4ul << 30;
  unsigned long file_bytes = 1ul << 30;
  unsigned long num_processes = 256;  // only with a uid of its own
  // Each limit above is one process's; these are the whole VM's, with isolate.
  unsigned long total_memory_bytes = 4ul << 30;  // where control groups can be made
  unsigned long home_bytes = 1ul << 30;
};

/// Starts the VM: an init process, which reaps, and the script as its child, both with `console_fd`
/// as output and no other descriptor. Returns the pid of init; with isolate, killing it ends every
/// process of the VM. The calling thread must outlive the VM (parent death signal). Returns -1 if
/// the system refuses.
pid_t start_vm(const VmPlan& plan, int console_fd);

/// SIGKILL to the init process and all that descends from it.
void kill_vm(pid_t init, bool isolated);

}  // namespace flexroom::cloud
