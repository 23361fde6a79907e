#pragma once

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace flexroom::support {

/// Gives this process, which has one thread, a user and a mount namespace of its own: it may mount
/// there, whoever runs it, and nobody else sees what. Empty, or why that cannot be had here.
inline std::string enter_mount_space() {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
    return std::string("no user and mount namespace can be made (unshare: ") +
           std::strerror(errno) + "; kernel.unprivileged_userns_clone, user.max_user_namespaces)";
  }
  const auto write = [](const char* file, const std::string& text) {
    const int fd = ::open(file, O_WRONLY | O_CLOEXEC);
    const bool good =
        fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    if (fd >= 0) ::close(fd);
    return good;
  };
  (void)write("/proc/self/setgroups", "deny");
  if (!write("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1") ||
      !write("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1")) {
    return std::string("the user namespace takes no user (uid_map: ") + std::strerror(errno) + ")";
  }
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return std::string("nothing can be mounted in the namespace (mount: ") + std::strerror(errno) +
           ")";
  }
  return "";
}

}  // namespace flexroom::support
