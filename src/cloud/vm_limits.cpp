#include "cloud/vm_limits.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "base/fd.h"

namespace flexroom::cloud {

namespace {

bool write_value(const std::filesystem::path& file, const std::string& value) {
  // Not created where it is missing: then this is no control group.
  const Fd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  return fd.valid() && write_all(fd.get(), as_bytes(value));
}

}  // namespace

VmGroup::VmGroup(const std::string& name, unsigned long memory_bytes, unsigned long num_processes) {
  const std::filesystem::path root = "/sys/fs/cgroup";
  const std::string memory = std::to_string(memory_bytes);
  const std::string processes = std::to_string(num_processes);
  // Only the root group may both hold processes and hand controllers down; on most systems it
  // does so already.
  write_value(root / "cgroup.subtree_control", "+memory +pids");
  if (make(root / name, {{"memory.max", memory}, {"pids.max", processes}})) {
    write_value(root / name / "memory.swap.max", "0");  // no such file without swap accounting
    return;
  }
  if (!make(root / "memory" / name, {{"memory.limit_in_bytes", memory}}) ||
      !make(root / "pids" / name, {{"pids.max", processes}})) {
    joins_.clear();
  }
}

VmGroup::~VmGroup() {
  for (const auto& folder : folders_) {
    // Killed processes leave the group a little after they are gone for their parent.
    for (int i = 0; i < 100 && ::rmdir(folder.c_str()) != 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
}

bool VmGroup::make(const std::filesystem::path& folder,
                   const std::vector<std::pair<std::string, std::string>>& limits) {
  // One that is there already is of a sandbox that was killed; it is empty, or the limits hold for
  // both together.
  if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) return false;
  for (const auto& [file, value] : limits) {
    if (write_value(folder / file, value)) continue;
    ::rmdir(folder.c_str());
    return false;
  }
  folders_.push_back(folder);
  joins_.push_back(folder / "cgroup.procs");
  return true;
}

}  // namespace flexroom::cloud
