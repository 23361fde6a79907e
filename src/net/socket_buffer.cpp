#include "net/socket_buffer.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace flexroom::net {

SocketBuffer::SocketBuffer(int fd) : fd_(fd), in_(kBytes) {
  out_.reserve(kBytes + (size_t{32} << 10));  // a record may begin just below the limit
}

BIO* SocketBuffer::make_bio() {
  BIO* bio = BIO_new(method());
  FLEXROOM_ASSERT(bio != nullptr);
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  return bio;
}

const BIO_METHOD* SocketBuffer::method() {
  static const BIO_METHOD* const made = [] {
    BIO_METHOD* method =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "flexroom socket buffer");
    FLEXROOM_ASSERT(method != nullptr && BIO_meth_set_read(method, read) == 1 &&
                    BIO_meth_set_write(method, write) == 1 &&
                    BIO_meth_set_ctrl(method, control) == 1);
    return method;
  }();
  return made;
}

int SocketBuffer::read(BIO* bio, char* to, int size) {
  auto& self = *static_cast<SocketBuffer*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (size <= 0) return 0;
  if (self.in_begin_ == self.in_end_) {
    ssize_t n = 0;
    do {
      n = ::recv(self.fd_, self.in_.data(), self.in_.size(), 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK) BIO_set_retry_read(bio);
      return -1;
    }
    if (n == 0) {
      self.eof_ = true;
      return 0;
    }
    self.in_begin_ = 0;
    self.in_end_ = static_cast<size_t>(n);
  }
  const size_t take = std::min(static_cast<size_t>(size), self.in_end_ - self.in_begin_);
  std::memcpy(to, self.in_.data() + self.in_begin_, take);
  self.in_begin_ += take;
  return static_cast<int>(take);
}

int SocketBuffer::write(BIO* bio, const char* from, int size) {
  auto& self = *static_cast<SocketBuffer*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (self.full()) {
    BIO_set_retry_write(bio);
    return -1;
  }
  append(self.out_, ByteView(reinterpret_cast<const uint8_t*>(from), static_cast<size_t>(size)));
  return size;
}

long SocketBuffer::control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;  // the owner flushes
  if (command == BIO_CTRL_EOF) return static_cast<SocketBuffer*>(BIO_get_data(bio))->eof_ ? 1 : 0;
  return 0;
}

ssize_t SocketBuffer::flush() {
  if (!has_output()) return 0;
  ssize_t n = 0;
  do {
    n = ::send(fd_, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
  sent_ += static_cast<size_t>(n);
  if (sent_ == out_.size()) {
    out_.clear();
    sent_ = 0;
  } else if (sent_ >= kBytes / 2) {
    out_.erase(out_.begin(), out_.begin() + static_cast<ptrdiff_t>(sent_));
    sent_ = 0;
  }
  return n;
}

}  // namespace flexroom::net
