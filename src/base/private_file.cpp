#include "base/private_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "base/error.h"

namespace flexroom {
namespace {

// Not to wait for a writer should it be a pipe.
class RegularFile {
 public:
  RegularFile(const std::filesystem::path& file, size_t max_bytes, std::string_view cannot,
              std::string_view missing_remedy)
      : place_(file.string()),
        fd_(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {
    if (!fd_.valid()) {
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
  Fd take() { return std::move(fd_); }
  void require_private() const {
    if ((info_.st_mode & 077) == 0) return;
    throw InputError(place_, "is readable by other users", "chmod 600 " + place_);
  }
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
  Fd fd_;
  struct stat info_ {};
};

}  // namespace

SecretBytes read_private_file(const std::filesystem::path& file, size_t max_bytes,
                              std::string_view missing_remedy) {
  const RegularFile from(file, max_bytes, "cannot be opened", missing_remedy);
  from.require_private();
  SecretBytes content(from.size());
  from.read(content.writable());
  return content;
}

Fd open_private_file(const std::filesystem::path& file, std::string_view missing_remedy) {
  RegularFile from(file, SIZE_MAX, "cannot be read", missing_remedy);
  from.require_private();
  return from.take();
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

bool write_new_file(const std::filesystem::path& file, ByteView content, unsigned mode) {
  const Fd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd.valid()) return false;
  if (::fchmod(fd.get(), mode) == 0 && write_all(fd.get(), content) && ::fsync(fd.get()) == 0) {
    sync_directory(file.parent_path());
    return true;
  }
  const int error = errno;
  (void)::unlink(file.c_str());
  errno = error;
  return false;
}

void wipe_file(const std::filesystem::path& file) {
  const auto fail = [&] {
    throw InputError(file.string(), std::string("cannot be wiped: ") + std::strerror(errno),
                     "let this user write there");
  };
  const Fd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) {
    if (errno == ENOENT) return;
    fail();
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) fail();
  const Bytes zeros(static_cast<size_t>(info.st_size));
  if (!write_all(fd.get(), zeros) || ::fsync(fd.get()) != 0) fail();
  if (::unlink(file.c_str()) != 0) fail();
  sync_directory(file.parent_path());
}

void make_private_folder(const std::filesystem::path& folder) {
  if (::mkdir(folder.c_str(), 0700) == 0) {
    // The umask can only have taken rights from the owner.
    if (::chmod(folder.c_str(), 0700) == 0) return;
  } else if (errno == EEXIST) {
    return;
  }
  throw InputError(folder.string(), std::string("cannot be made: ") + std::strerror(errno),
                   "let this user write there");
}

void sync_directory(const std::filesystem::path& directory) {
  const Fd fd(
      ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // EINVAL: it has no such thing.
  if (fd.valid() && (::fsync(fd.get()) == 0 || errno == EINVAL)) return;
  throw InputError(directory.string(),
                   std::string("cannot be written to disk: ") + std::strerror(errno),
                   "check the disk");
}

}  // namespace flexroom
