#include "base/private_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <string>

#include "base/error.h"

namespace flexroom {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

namespace {

// Not to wait for a writer should it be a pipe.
class RegularFile {
 public:
  RegularFile(const std::filesystem::path& file, size_t max_bytes, std::string_view cannot,
              std::string_view missing_remedy)
      : place_(file.string()),
        fd_(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {
    if (fd_.get() < 0) {
      throw InputError(place_, std::string(cannot) + ": " + std::strerror(errno), missing_remedy);
    }
    if (::fstat(fd_.get(), &info_) != 0 || !S_ISREG(info_.st_mode)) {
      throw InputError(place_, "is not a file");
    }
    if (info_.st_size < 0 || static_cast<size_t>(info_.st_size) > max_bytes) {
      throw InputError(place_, "is larger than " + std::to_string(max_bytes) + " bytes");
    }
  }
  const struct stat& info() const { return info_; }
  size_t size() const { return static_cast<size_t>(info_.st_size); }
  void read(std::span<uint8_t> out) const {
    while (!out.empty()) {
      const ssize_t n = ::read(fd_.get(), out.data(), out.size());
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) throw InputError(place_, "cannot be read to its end");
      out = out.subspan(static_cast<size_t>(n));
    }
  }

 private:
  std::string place_;
  Descriptor fd_;
  struct stat info_ {};
};

}  // namespace

SecretBytes read_private_file(const std::filesystem::path& file, size_t max_bytes,
                              std::string_view missing_remedy) {
  const RegularFile from(file, max_bytes, "cannot be opened", missing_remedy);
  if ((from.info().st_mode & 077) != 0) {
    throw InputError(file.string(), "is readable by other users", "chmod 600 " + file.string());
  }
  SecretBytes content(from.size());
  from.read(content.writable());
  return content;
}

std::string read_own_file(const std::filesystem::path& file, size_t max_bytes,
                          std::string_view missing_remedy) {
  const RegularFile from(file, max_bytes, "cannot be read", missing_remedy);
  const mode_t mode = from.info().st_mode;
  // A user's own group (a common default) has nobody else in it.
  if ((mode & S_IWOTH) != 0 || ((mode & S_IWGRP) != 0 && from.info().st_gid != ::getegid())) {
    throw InputError(file.string(), "can be changed by other users",
                     "chmod go-w " + file.string() + ", then read it through again");
  }
  std::string content(from.size(), 0);
  from.read({reinterpret_cast<uint8_t*>(content.data()), content.size()});
  return content;
}

}  // namespace flexroom
