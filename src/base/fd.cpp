#include "base/fd.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace flexroom {

void Fd::reset(int fd) {
  const int error = errno;
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
  errno = error;
}

bool write_all(int fd, ByteView bytes) {
  constexpr int kPatienceMs = 10'000;
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n > 0) {
      bytes = bytes.subspan(static_cast<size_t>(n));
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    pollfd output{fd, POLLOUT, 0};
    if (n < 0 && errno == EAGAIN && ::poll(&output, 1, kPatienceMs) > 0) continue;
    if (n == 0) errno = ENOSPC;
    return false;
  }
  return true;
}

}  // namespace flexroom
