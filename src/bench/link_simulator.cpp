#include "bench/link_simulator.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <list>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <vector>

#include "base/bytes.h"
#include "bench/bench_members.h"
#include "net/tcp_link.h"

namespace flexroom::bench {
namespace {

using Clock = BenchClock;
using Seconds = std::chrono::duration<double>;

constexpr size_t kReadBytes = size_t{16} << 10;  // what arrives together
constexpr double kQueueBytes = 1 << 20;

void non_blocking(int fd) {
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  const int one = 1;
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

int connect_to(uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd >= 0 && ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    return fd;
  }
  if (fd >= 0) ::close(fd);
  return -1;
}

/// One direction of one connection.
struct Line {
  int from = -1, to = -1;
  struct Piece {
    Clock::time_point arrives;
    Bytes bytes;
    size_t done = 0;
  };
  std::deque<Piece> pieces;
  size_t queued = 0;
  Clock::time_point free;  // when the last byte has left the sender's end
  bool ended = false;      // nothing more will be read
  bool closed = false;     // and the end was passed on

  void read(const LinkShape& shape) {
    Bytes bytes(kReadBytes);
    const ssize_t n = ::recv(from, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
      ended = true;
      return;
    }
    bytes.resize(static_cast<size_t>(n));
    queued += bytes.size();
    const double transmission =
        shape.mbit_s > 0 ? static_cast<double>(8 * n) / (1e6 * shape.mbit_s) : 0;
    free = std::max(free, Clock::now()) +
           std::chrono::duration_cast<Clock::duration>(Seconds(transmission));
    const auto delay = std::chrono::duration_cast<Clock::duration>(Seconds(shape.rtt_ms / 2000));
    pieces.push_back({free + delay, std::move(bytes), 0});
  }

  /// Passes on what has arrived. True while the receiver takes no more.
  bool write() {
    const auto now = Clock::now();
    while (!pieces.empty() && pieces.front().arrives <= now) {
      Piece& piece = pieces.front();
      const ssize_t n = ::send(to, piece.bytes.data() + piece.done, piece.bytes.size() - piece.done,
                               MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
      if (n < 0) {
        ended = true;
        pieces.clear();
        break;
      }
      piece.done += static_cast<size_t>(n);
      if (piece.done < piece.bytes.size()) return true;
      queued -= piece.bytes.size();
      pieces.pop_front();
    }
    if (ended && pieces.empty() && !closed) {
      closed = true;
      ::shutdown(to, SHUT_WR);
    }
    return false;
  }

  bool may_read(const LinkShape& shape) const {
    const double on_the_way = shape.rtt_ms / 2000 * shape.mbit_s * 1e6 / 8;
    return !ended && static_cast<double>(queued) < on_the_way + kQueueBytes;
  }
};

struct Connection {
  net::Socket client, server;
  Line up, down;
  bool over() const { return up.closed && down.closed; }
};

struct Listener {
  net::Socket socket;
  uint16_t target = 0;
};

}  // namespace

struct LinkSimulator::Impl {
  net::Socket wake{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  std::atomic<bool> stop{false};
  std::mutex mutex;  // of what follows
  LinkShape shape;
  std::list<Listener> listeners;

  std::list<Connection> connections;  // of the thread alone
  std::thread thread;

  void nudge() const {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t n = ::write(wake.get(), &one, sizeof one);
  }

  void take(const Listener& listener) {
    net::Socket client(::accept4(listener.socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client.valid()) return;
    net::Socket server(connect_to(listener.target));
    if (!server.valid()) return;
    non_blocking(client.get());
    non_blocking(server.get());
    Connection& made = connections.emplace_back();
    made.up.from = made.down.to = client.get();
    made.up.to = made.down.from = server.get();
    made.client = std::move(client);
    made.server = std::move(server);
  }

  void run() {
    // Delays of 50 microseconds are no use with the usual slack of as much.
    ::prctl(PR_SET_TIMERSLACK, 1000);
    std::vector<pollfd> fds;
    std::vector<Line*> lines;
    while (!stop) {
      LinkShape now;
      fds.assign(1, {wake.get(), POLLIN, 0});
      {
        const std::lock_guard lock(mutex);
        now = shape;
        for (const Listener& listener : listeners) {
          fds.push_back({listener.socket.get(), POLLIN, 0});
        }
      }
      const size_t first_line = fds.size();
      lines.clear();
      std::optional<Clock::time_point> next;
      for (Connection& connection : connections) {
        for (Line* line : {&connection.up, &connection.down}) {
          const bool blocked = line->write();
          if (blocked) {
            fds.push_back({line->to, POLLOUT, 0});
            lines.push_back(nullptr);
          } else if (!line->pieces.empty()) {
            next =
                std::min(next.value_or(line->pieces.front().arrives), line->pieces.front().arrives);
          }
          if (!line->may_read(now)) continue;
          fds.push_back({line->from, POLLIN, 0});
          lines.push_back(line);
        }
      }
      connections.remove_if([](const Connection& connection) { return connection.over(); });
      timespec timeout{1, 0};
      if (next) {
        const auto left = std::max<Clock::duration>(*next - Clock::now(), Clock::duration(0));
        const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
        timeout = {ns / 1'000'000'000, ns % 1'000'000'000};
      }
      if (::ppoll(fds.data(), fds.size(), &timeout, nullptr) <= 0) continue;
      uint64_t ignored = 0;
      [[maybe_unused]] const ssize_t n = ::read(wake.get(), &ignored, sizeof ignored);
      for (size_t k = first_line; k < fds.size(); ++k) {
        Line* const line = lines[k - first_line];
        if (line != nullptr && fds[k].revents != 0) line->read(now);
      }
      const std::lock_guard lock(mutex);
      size_t k = 1;
      for (const Listener& listener : listeners) {
        if (k >= first_line) break;  // came meanwhile
        if (fds[k++].revents != 0) take(listener);
      }
    }
  }
};

LinkSimulator::LinkSimulator() : impl_(std::make_unique<Impl>()) {
  impl_->thread = std::thread([this] { impl_->run(); });
}

LinkSimulator::~LinkSimulator() {
  impl_->stop = true;
  impl_->nudge();
  impl_->thread.join();
}

uint16_t LinkSimulator::forward_to(uint16_t port) {
  const auto [fd, own] = listen_on_loopback();
  non_blocking(fd);
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->listeners.push_back({net::Socket(fd), port});
  }
  impl_->nudge();
  return own;
}

void LinkSimulator::set_shape(const LinkShape& shape) {
  const std::lock_guard lock(impl_->mutex);
  impl_->shape = shape;
}

}  // namespace flexroom::bench
