#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace flexroom::cloud {

/// A control group of one VM: bounds the memory (files of its tmpfs folders included) and the
/// number of all its processes together, which resource limits cannot. Version 2 at /sys/fs/cgroup,
/// or the memory and pids hierarchies of version 1. The group goes with the object.
class VmGroup {
 public:
  VmGroup(const std::string& name, unsigned long memory_bytes, unsigned long num_processes);
  ~VmGroup();
  VmGroup(const VmGroup&) = delete;
  VmGroup& operator=(const VmGroup&) = delete;

  /// Files into which a process writes "0" to join. Empty: this machine lets us make no group.
  const std::vector<std::string>& joins() const { return joins_; }

 private:
  bool make(const std::filesystem::path& folder,
            const std::vector<std::pair<std::string, std::string>>& limits);
  std::vector<std::filesystem::path> folders_;
  std::vector<std::string> joins_;
};

}  // namespace flexroom::cloud
