#include "room/local_checks.h"

#include <fmt/core.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace flexroom::room {
namespace {

constexpr uint64_t kLeastBytes = uint64_t{1} << 20;

}  // namespace

std::filesystem::path existing(std::filesystem::path path) {
  std::error_code ignored;
  path = std::filesystem::absolute(path, ignored);
  while (!std::filesystem::exists(path, ignored) && path.parent_path() != path) {
    path = path.parent_path();
  }
  return path;
}

uint64_t free_bytes(const std::filesystem::path& folder) {
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0) {
    throw InputError(folder.string(), std::string("cannot be read: ") + std::strerror(errno));
  }
  return uint64_t{info.f_bavail} * info.f_frsize;
}

void require_disk(const MemberConfig& member) {
  const std::filesystem::path folder = existing(member.state_dir);
  if (::access(folder.c_str(), W_OK) != 0) {
    throw InputError(folder.string(), std::string("cannot be written: ") + std::strerror(errno),
                     "give this user the folder, or name another state_dir in member.toml");
  }
  const uint64_t left = free_bytes(folder);
  if (left < kLeastBytes) {
    throw InputError(folder.string(),
                     fmt::format("the disk is full: {} KiB are free, {} are needed", left >> 10,
                                 kLeastBytes >> 10),
                     "free some space there, or name another state_dir in member.toml");
  }
}

}  // namespace flexroom::room
