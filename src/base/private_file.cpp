#include "base/private_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
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

SecretBytes read_private_file(const std::filesystem::path& file, size_t max_bytes,
                              std::string_view missing_remedy) {
  const std::string place = file.string();
  // Not to wait for a writer should it be a pipe.
  const Descriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (fd.get() < 0) {
    throw InputError(place, std::string("cannot be opened: ") + std::strerror(errno),
                     missing_remedy);
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    throw InputError(place, "is not a file");
  }
  if ((info.st_mode & 077) != 0) {
    throw InputError(place, "is readable by other users", "chmod 600 " + place);
  }
  if (info.st_size < 0 || static_cast<size_t>(info.st_size) > max_bytes) {
    throw InputError(place, "is larger than " + std::to_string(max_bytes) + " bytes");
  }
  SecretBytes content(static_cast<size_t>(info.st_size));
  size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = ::read(fd.get(), content.writable().data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw InputError(place, "cannot be read to its end");
    done += static_cast<size_t>(n);
  }
  return content;
}

}  // namespace flexroom
