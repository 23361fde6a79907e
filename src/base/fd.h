#pragma once

#include "base/bytes.h"

namespace flexroom {

/// Owns a file descriptor: a file, a socket, a pipe. -1: none.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~Fd() { reset(-1); }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  /// Closes what it has; errno stays.
  void reset(int fd);

 private:
  int fd_ = -1;
};

/// All of it, also to a descriptor that somebody made non-blocking. False: errno says why, and some
/// of it may be written.
bool write_all(int fd, ByteView bytes);

}  // namespace flexroom
