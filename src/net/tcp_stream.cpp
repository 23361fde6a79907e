#include "net/tcp_stream.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/fd.h"
#include "net/address.h"

namespace flexroom::net {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kNone{0}, kSlice{100};

/// True when `events` are there, false at the end of the timeout. Without a timeout it looks once.
bool wait_for(int fd, short events, std::chrono::milliseconds timeout,
              const std::function<void()>& check) {
  const Clock::time_point end = Clock::now() + timeout;
  while (true) {
    if (check) check();
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    const auto slice = std::clamp<std::chrono::milliseconds>(left, kNone, kSlice);
    pollfd p{fd, events, 0};
    if (::poll(&p, 1, static_cast<int>(slice.count())) > 0) return true;
    if (left <= kNone) return false;
  }
}

class TcpStream final : public ByteStream {
 public:
  TcpStream(Fd fd, std::string name, std::chrono::milliseconds timeout, std::function<void()> check)
      : fd_(std::move(fd)), name_(std::move(name)), timeout_(timeout), check_(std::move(check)) {}

  void write(ByteView bytes) override {
    while (!bytes.empty()) {
      wait(POLLOUT);
      const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n < 0) {
        if (errno == EINTR || errno == EAGAIN) continue;
        fail("sending", errno);
      }
      bytes = bytes.subspan(static_cast<size_t>(n));
    }
  }

  Bytes read_some(size_t max) override {
    std::optional<Bytes> out = read_some_within(max, timeout_);
    if (!out) fail_timeout();
    return *std::move(out);
  }

  std::optional<Bytes> read_some_within(size_t max, std::chrono::milliseconds quiet) override {
    Bytes out(max);
    while (true) {
      require_open();
      if (!wait_for(fd_.get(), POLLIN, std::min(quiet, timeout_), check_)) {
        if (quiet > timeout_) fail_timeout();
        return std::nullopt;
      }
      const ssize_t n = ::recv(fd_.get(), out.data(), out.size(), 0);
      if (n < 0) {
        if (errno == EINTR || errno == EAGAIN) continue;
        if (errno == ECONNRESET) {
          // Stock servers reset instead of closing when they leave early: an end without
          // close_notify, which the layers above treat as such.
          return Bytes();
        }
        fail("receiving", errno);
      }
      out.resize(static_cast<size_t>(n));
      return out;
    }
  }

  void close() override { fd_.reset(-1); }

 private:
  void require_open() const {
    if (!fd_.valid()) throw ProtocolAbort(AbortCode::kServer, name_, "connection is closed");
  }
  void wait(short events) {
    require_open();
    if (!wait_for(fd_.get(), events, timeout_, check_)) fail_timeout();
  }
  [[noreturn]] void fail_timeout() const {
    throw ProtocolAbort(AbortCode::kTimeout, name_,
                        fmt::format("the service did not answer within {} ms", timeout_.count()));
  }
  [[noreturn]] void fail(std::string_view what, int error) {
    throw ProtocolAbort(AbortCode::kServer, name_,
                        fmt::format("{} failed: {}", what, std::strerror(error)));
  }

  Fd fd_;
  std::string name_;
  std::chrono::milliseconds timeout_;
  std::function<void()> check_;
};

/// A connected, non-blocking socket, or none with errno set.
Fd connect_one(const SocketAddress& address, std::chrono::milliseconds timeout,
               const std::function<void()>& check) {
  Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return fd;
  int error = 0;
  if (::connect(fd.get(), address.get(), address.size) != 0) {
    error = errno;
    if (error == EINPROGRESS) {
      socklen_t size = sizeof error;
      if (!wait_for(fd.get(), POLLOUT, timeout, check)) {
        error = ETIMEDOUT;
      } else if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        error = errno;
      }
    }
  }
  if (error != 0) {
    errno = error;
    return Fd();
  }
  const int one = 1;
  (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

}  // namespace

std::unique_ptr<ByteStream> connect_tcp(const std::string& host, uint16_t port,
                                        std::chrono::milliseconds timeout,
                                        std::function<void()> check) {
  const std::string name = fmt::format("{}:{}", host, port);
  const Resolved resolved = resolve(host, port);
  if (!resolved.problem.empty()) {
    throw ProtocolAbort(AbortCode::kServer, name,
                        fmt::format("the name does not resolve ({}); check the host, or add a "
                                    "connect_to rule to the provider",
                                    resolved.problem));
  }
  int error = 0;
  for (const SocketAddress& address : resolved.addresses) {
    Fd fd = connect_one(address, timeout, check);
    if (fd.valid()) return std::make_unique<TcpStream>(std::move(fd), name, timeout, check);
    error = errno;
  }
  throw ProtocolAbort(
      AbortCode::kServer, name,
      fmt::format("cannot connect: {}; is the service running there?", std::strerror(error)));
}

}  // namespace flexroom::net
