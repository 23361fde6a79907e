#include "node/listener.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "net/address.h"

namespace flexroom::node {
namespace {

constexpr std::string_view kStatements = "FRX1";
constexpr size_t kPreambleBytes = 4 + 16;
constexpr uint8_t kTlsHandshake = 0x16;
constexpr std::chrono::milliseconds kSilence{3000}, kNoDescriptorPause{200};

Fd new_event(unsigned first) { return Fd(eventfd(first, EFD_CLOEXEC | EFD_NONBLOCK)); }

void set(int event) {
  const uint64_t one = 1;
  (void)!::write(event, &one, sizeof one);
}

void set_low_water(int fd, size_t bytes) {
  const int value = static_cast<int>(bytes);
  (void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof value);
}

bool has_ended(int socket) {
  pollfd fd{socket, POLLRDHUP, 0};
  return ::poll(&fd, 1, 0) > 0 && (fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

}  // namespace

WaitingConnections::WaitingConnections() : event_(new_event(0)) {}

Fd WaitingConnections::take() {
  const std::lock_guard lock(mutex_);
  if (waiting_.empty()) {
    uint64_t count = 0;
    (void)!::read(event_.get(), &count, sizeof count);
    return {};
  }
  Fd out = std::move(waiting_.front().fd);
  waiting_.pop_front();
  return out;
}

void WaitingConnections::put(Fd connection) {
  const std::lock_guard lock(mutex_);
  if (waiting_.size() >= kMost) waiting_.pop_front();
  waiting_.push_back({std::move(connection), Clock::now()});
  set(event_.get());
}

bool WaitingConnections::tidy() {
  const std::lock_guard lock(mutex_);
  std::erase_if(waiting_, [](const Waiting& one) {
    return has_ended(one.fd.get()) || Clock::now() - one.since > kLongest;
  });
  return !waiting_.empty();
}

void WaitingConnections::clear() {
  const std::lock_guard lock(mutex_);
  waiting_.clear();
}

Bytes Listener::preamble(const agreement::MemberId& author) {
  Bytes out(kStatements.begin(), kStatements.end());
  append(out, ByteView(author));
  return out;
}

Listener::Listener(Fd socket, const std::vector<agreement::MemberId>& peers)
    : socket_(std::move(socket)), stop_(new_event(0)) {
  (void)fcntl(socket_.get(), F_SETFL, fcntl(socket_.get(), F_GETFL) | O_NONBLOCK);
  for (const auto& peer : peers) peers_[peer] = std::make_unique<WaitingConnections>();
  thread_ = std::thread([this] { run(); });
}

Listener::~Listener() {
  set(stop_.get());
  thread_.join();
}

void Listener::run() {
  while (true) {
    std::vector<pollfd> fds{{stop_.get(), POLLIN, 0}};
    const bool accepts = Clock::now() >= next_accept_;
    fds.push_back({accepts ? socket_.get() : -1, POLLIN, 0});
    for (const Unsorted& one : unsorted_) fds.push_back({one.fd.get(), POLLIN, 0});
    // Nothing to wait for but a connection: no clock ticks.
    const int wait = !accepts ? 200 : unsorted_.empty() ? -1 : 1000;
    (void)::poll(fds.data(), fds.size(), wait);
    if (fds[0].revents != 0) return;
    std::erase_if(unsorted_, [&](Unsorted& one) { return sort(one); });
    if (accepts && fds[1].revents != 0) accept_all();
  }
}

void Listener::accept_all() {
  for (int burst = 0; burst < 64; ++burst) {
    net::SocketAddress address;
    Fd fd(accept4(socket_.get(), address.get(), &address.size, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.valid()) {
      if (errno == ECONNABORTED) continue;
      if (errno != EAGAIN && errno != EINTR) next_accept_ = Clock::now() + kNoDescriptorPause;
      return;
    }
    // Its first bytes come together: poll() tells of no fewer, so that nobody makes this spin.
    set_low_water(fd.get(), kPreambleBytes);
    const std::string key = address.key();
    const auto same = [&](const Unsorted& one) { return one.address == key; };
    const auto of_address = std::count_if(unsorted_.begin(), unsorted_.end(), same);
    if (static_cast<size_t>(of_address) >= kMostUnsortedOfAddress) {
      unsorted_.erase(std::find_if(unsorted_.begin(), unsorted_.end(), same));
    } else if (unsorted_.size() >= kMostUnsorted) {
      unsorted_.pop_front();
    }
    unsorted_.push_back({std::move(fd), key, Clock::now() + kSilence});
    if (sort(unsorted_.back())) unsorted_.pop_back();
  }
}

bool Listener::sort(Unsorted& one) {
  std::array<uint8_t, kPreambleBytes> first;
  const ssize_t n = ::recv(one.fd.get(), first.data(), first.size(), MSG_PEEK);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return Clock::now() >= one.deadline;
  if (n <= 0) return true;
  if (first[0] == kTlsHandshake) {
    set_low_water(one.fd.get(), 1);
    sessions_.put(std::move(one.fd));
    return true;
  }
  const size_t magic = std::min<size_t>(static_cast<size_t>(n), kStatements.size());
  if (std::memcmp(first.data(), kStatements.data(), magic) != 0) return true;
  if (static_cast<size_t>(n) < kPreambleBytes) {
    return has_ended(one.fd.get()) || Clock::now() >= one.deadline;
  }
  agreement::MemberId author{};
  std::copy_n(first.begin() + 4, author.size(), author.begin());
  const auto found = peers_.find(author);
  if (found == peers_.end()) return true;
  (void)!::recv(one.fd.get(), first.data(), first.size(), 0);
  set_low_water(one.fd.get(), 1);
  found->second->put(std::move(one.fd));
  return true;
}

Fd listen_on(const std::string& host, uint16_t port) {
  const std::string place = fmt::format("listen address {}:{}", host, port);
  const net::Resolved resolved = net::resolve(host, port, true);
  if (!resolved.problem.empty()) throw InputError(place, resolved.problem);
  const net::SocketAddress& address = resolved.addresses.front();
  Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  if (fd.valid()) (void)setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!fd.valid() || bind(fd.get(), address.get(), address.size) != 0 ||
      ::listen(fd.get(), 256) != 0) {
    const int problem = errno;
    throw InputError(place, std::strerror(problem),
                     problem == EADDRINUSE ? "is a node or another flexroom of this member running?"
                     : problem == EADDRNOTAVAIL
                         ? "say in member.toml where to listen, as listen = \"0.0.0.0:PORT\""
                         : "");
  }
  return fd;
}

}  // namespace flexroom::node
