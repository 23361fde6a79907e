#include "cloud/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>

#include "base/error.h"
#include "cloud/certificates.h"

namespace flexroom::cloud {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kBackOff{100};
constexpr std::chrono::seconds kLinger{2};

/// A peer that goes away must not end the process: SIGPIPE stays pending in this thread only.
void block_sigpipe() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

const char* reason(int status) {
  static const std::map<int, const char*> kReasons = {{200, "OK"},
                                                      {201, "Created"},
                                                      {204, "No Content"},
                                                      {206, "Partial Content"},
                                                      {302, "Found"},
                                                      {304, "Not Modified"},
                                                      {400, "Bad Request"},
                                                      {401, "Unauthorized"},
                                                      {402, "Payment Required"},
                                                      {403, "Forbidden"},
                                                      {404, "Not Found"},
                                                      {405, "Method Not Allowed"},
                                                      {408, "Request Timeout"},
                                                      {409, "Conflict"},
                                                      {411, "Length Required"},
                                                      {412, "Precondition Failed"},
                                                      {413, "Payload Too Large"},
                                                      {414, "URI Too Long"},
                                                      {415, "Unsupported Media Type"},
                                                      {416, "Range Not Satisfiable"},
                                                      {422, "Unprocessable Content"},
                                                      {429, "Too Many Requests"},
                                                      {431, "Request Header Fields Too Large"},
                                                      {500, "Internal Server Error"},
                                                      {501, "Not Implemented"},
                                                      {503, "Service Unavailable"}};
  const auto found = kReasons.find(status);
  return found == kReasons.end() ? "Unknown" : found->second;
}

std::string serialise(const Response& response, bool close) {
  std::string out = "HTTP/1.1 " + std::to_string(response.status) + " " + reason(response.status) +
                    "\r\nDate: " + http_date(std::time(nullptr)) + "\r\n";
  bool has_length = false;
  for (const auto& [name, value] : response.headers) {
    out += name + ": ";
    // Some values echo a request: no line may end where we do not end it.
    std::copy_if(value.begin(), value.end(), std::back_inserter(out),
                 [](char c) { return c != '\r' && c != '\n'; });
    out += "\r\n";
    has_length = has_length || iequals(name, "content-length");
  }
  if (close) out += "Connection: close\r\n";
  const bool bodiless = response.status == 204 || response.status == 304;
  if (response.chunked && !bodiless && !response.head_only) {
    char size[32];
    std::snprintf(size, sizeof size, "%zx\r\n", response.body.size());
    out += "Transfer-Encoding: chunked\r\n\r\n";
    if (!response.body.empty()) out += size + response.body + "\r\n";
    return out + "0\r\n\r\n";
  }
  if (!has_length && !bodiless) {
    out += "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
  }
  out += "\r\n";
  return bodiless || response.head_only ? out : out + response.body;
}

}  // namespace

/// Either a TLS or a plain connection, non-blocking underneath: every operation has a deadline, so
/// that a peer that trickles bytes holds no thread for longer.
struct Server::Stream {
  int fd;
  Handle<SSL> ssl;

  bool wait(short events, Clock::time_point deadline) const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd waiting{fd, events, 0};
    return ::poll(&waiting, 1, static_cast<int>(std::min<int64_t>(left, 1 << 30))) > 0;
  }
  /// After a TLS call that did not succeed: true if it is to be repeated.
  bool wait_tls(int result, Clock::time_point deadline) const {
    const int error = SSL_get_error(ssl.get(), result);
    if (error == SSL_ERROR_WANT_READ) return wait(POLLIN, deadline);
    return error == SSL_ERROR_WANT_WRITE && wait(POLLOUT, deadline);
  }
  bool wait_plain(short events, Clock::time_point deadline) const {
    return (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) && wait(events, deadline);
  }
  bool handshake(Clock::time_point deadline) const {
    for (;;) {
      ERR_clear_error();
      const int result = SSL_accept(ssl.get());
      if (result == 1) return true;
      if (!wait_tls(result, deadline)) return false;
    }
  }
  /// 0 or less at the end, at a fault or at the deadline.
  ssize_t read(char* data, size_t size, Clock::time_point deadline) const {
    for (;;) {
      if (ssl) {
        ERR_clear_error();
        const int n = SSL_read(ssl.get(), data, static_cast<int>(size));
        if (n > 0) return n;
        if (!wait_tls(n, deadline)) return -1;
      } else {
        const ssize_t n = ::recv(fd, data, size, 0);
        if (n >= 0) return n;
        if (!wait_plain(POLLIN, deadline)) return -1;
      }
    }
  }
  bool write(std::string_view text, Clock::time_point deadline) const {
    while (!text.empty()) {
      const size_t piece = std::min<size_t>(text.size(), 1 << 20);
      if (ssl) ERR_clear_error();
      const ssize_t n = ssl ? SSL_write(ssl.get(), text.data(), static_cast<int>(piece))
                            : ::send(fd, text.data(), piece, MSG_NOSIGNAL);
      if (n > 0) {
        text.remove_prefix(static_cast<size_t>(n));
      } else if (ssl ? !wait_tls(static_cast<int>(n), deadline) : !wait_plain(POLLOUT, deadline)) {
        return false;
      }
    }
    return true;
  }
  /// Takes what the peer still sends: closing over unread bytes would reset the connection, and the
  /// peer lose the answer.
  void discard(Clock::time_point deadline) const {
    std::array<char, 16384> buffer{};
    ssize_t n = 1;
    while (n != 0 && Clock::now() < deadline) {
      n = ::recv(fd, buffer.data(), buffer.size(), 0);
      if (n < 0 && !wait_plain(POLLIN, deadline)) return;
    }
  }
};

/// What one connection holds of the bytes all may hold together.
class Server::BodyBytes {
 public:
  explicit BodyBytes(Server& server) : server_(server) {}
  ~BodyBytes() { set(0); }
  BodyBytes(const BodyBytes&) = delete;
  BodyBytes& operator=(const BodyBytes&) = delete;
  /// Throws ApiError(503) if that is too much.
  void set(size_t bytes) {
    server_.body_bytes_ += bytes - held_;  // unsigned: also downwards
    held_ = bytes;
    if (bytes != 0 && server_.body_bytes_ > server_.options_.max_body_bytes) {
      throw ApiError(503, "SlowDown", "Please reduce your request rate.");
    }
  }

 private:
  Server& server_;
  size_t held_ = 0;
};

Server::Server(ServerOptions options, Handler handler)
    : options_(std::move(options)), handler_(std::move(handler)) {}

Server::~Server() { stop(); }

uint16_t Server::listen(const std::string& address, uint16_t port) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return 0;
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  socklen_t length = sizeof name;
  if (::inet_pton(AF_INET, address.c_str(), &name.sin_addr) != 1 ||
      ::bind(fd.get(), reinterpret_cast<sockaddr*>(&name), sizeof name) != 0 ||
      ::listen(fd.get(), 128) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&name), &length) != 0) {
    return 0;
  }
  return adopt(std::move(fd)) ? ntohs(name.sin_port) : 0;
}

bool Server::adopt(Fd listener) {
  const int name = listener.get();
  ::fcntl(name, F_SETFL, O_NONBLOCK);
  const std::lock_guard lock(mutex_);
  const auto [place, fresh] = acceptors_.emplace(name, std::make_unique<Acceptor>());
  FLEXROOM_ASSERT(fresh);
  Acceptor& acceptor = *place->second;
  acceptor.listener = std::move(listener);
  try {
    acceptor.thread = std::thread([this, name, &acceptor] { accept_loop(name, acceptor.ended); });
  } catch (const std::exception&) {  // no thread
    acceptors_.erase(place);
    return false;
  }
  return true;
}

void Server::release(int listener) {
  std::unique_ptr<Acceptor> acceptor;
  {
    const std::lock_guard lock(mutex_);
    const auto found = acceptors_.find(listener);
    if (found == acceptors_.end()) return;  // stopped meanwhile
    acceptor = std::move(found->second);
    acceptors_.erase(found);
  }
  acceptor->ended = true;
  acceptor->thread.join();
}

void Server::stop() {
  stopping_ = true;
  std::map<int, std::unique_ptr<Acceptor>> acceptors;
  {
    const std::lock_guard lock(mutex_);
    acceptors.swap(acceptors_);
  }
  for (auto& [listener, acceptor] : acceptors) acceptor->thread.join();
  acceptors.clear();
  std::unique_lock lock(mutex_);
  for (const auto& [name, socket] : open_) ::shutdown(name, SHUT_RDWR);
  all_done_.wait(lock, [&] { return num_running_ == 0; });
}

void Server::accept_loop(int listener, const std::atomic<bool>& ended) {
  block_sigpipe();
  while (!stopping_ && !ended) {
    pollfd waiting{listener, POLLIN, 0};
    if (::poll(&waiting, 1, 100) <= 0) continue;
    Fd socket(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket.valid()) {
      start_connection(std::move(socket));
    } else if (errno != ECONNABORTED && errno != EINTR && errno != EAGAIN) {
      // No descriptors or no memory: the connection stays in the queue, and poll() would return at
      // once again.
      std::this_thread::sleep_for(kBackOff);
    }
  }
}

void Server::start_connection(Fd socket) {
  const std::lock_guard lock(mutex_);
  if (num_running_ >= options_.max_connections) return;
  const int fd = socket.get();
  try {
    open_.emplace(fd, std::move(socket));
    // Detached, but counted: stop() waits until the count is zero again.
    std::thread([this, fd] {
      try {
        connection(fd);
      } catch (const std::exception&) {  // no memory for as little as an error
      }
      end_connection(fd);
    }).detach();
    ++num_running_;
  } catch (const std::exception&) {  // no thread, no memory
    open_.erase(fd);
  }
}

void Server::end_connection(int fd) {
  const std::lock_guard lock(mutex_);
  open_.erase(fd);  // closes it
  --num_running_;
  all_done_.notify_all();
}

void Server::connection(int fd) {
  block_sigpipe();
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  Stream stream{fd, nullptr};
  if (options_.tls != nullptr) {
    stream.ssl.reset(SSL_new(options_.tls));
    if (!stream.ssl || SSL_set_fd(stream.ssl.get(), fd) != 1 ||
        !stream.handshake(Clock::now() + options_.handshake_timeout)) {
      return;
    }
  }
  // After a failure what follows cannot be told apart, so the connection ends.
  const auto fail = [&](int status, const std::string& text) {
    Response response;
    response.status = status;
    response.headers.emplace_back("Content-Type", "text/plain");
    response.body = text + "\n";
    stream.write(serialise(response, true), Clock::now() + options_.idle_timeout);
    if (stream.ssl) SSL_shutdown(stream.ssl.get());
    ::shutdown(fd, SHUT_WR);
    stream.discard(Clock::now() + kLinger);
  };
  try {
    serve(stream, fd);
  } catch (const ApiError& error) {
    fail(error.status(), error.code() + ": " + error.what());
  } catch (const std::exception&) {
    fail(500, "InternalError: We encountered an internal error. Please try again.");
  }
  // close_notify: the client can tell the end from a cut.
  if (stream.ssl) SSL_shutdown(stream.ssl.get());
  ::shutdown(fd, SHUT_WR);
}

bool Server::read_request(Stream& stream, HttpReader& reader, BodyBytes& held) {
  std::vector<char> buffer(16384);
  auto deadline = Clock::time_point::max();
  HttpReader::State state = reader.resume();
  while (state != HttpReader::State::kRequest) {
    const auto now = Clock::now();
    // Pipelined bytes may have begun the request already.
    if (deadline == Clock::time_point::max() && !reader.idle()) {
      deadline = now + options_.request_timeout;
    }
    if (state == HttpReader::State::kExpectContinue) {
      if (!stream.write("HTTP/1.1 100 Continue\r\n\r\n", now + options_.idle_timeout)) return false;
      state = reader.resume();
      continue;
    }
    const ssize_t n =
        stream.read(buffer.data(), buffer.size(), std::min(deadline, now + options_.idle_timeout));
    if (n <= 0 || stopping_) return false;
    state = reader.feed({buffer.data(), static_cast<size_t>(n)});
    held.set(reader.body_bytes());
  }
  return true;
}

void Server::serve(Stream& stream, int fd) {
  HttpReader reader(options_.limits);
  if (options_.body_limit) reader.on_headers(options_.body_limit);
  while (!stopping_) {
    BodyBytes held(*this);
    if (!read_request(stream, reader, held)) return;
    const bool keep_alive = reader.keep_alive();
    const Request request = reader.take();
    const std::optional<Response> response = handler_(request, fd);
    if (!response) {
      stream.ssl.reset();  // no close_notify: the client sees a cut
      return;
    }
    held.set(request.body.size() + response->body.size());
    const bool close = !keep_alive || response->close;
    if (!stream.write(serialise(*response, close), Clock::now() + options_.request_timeout) ||
        close) {
      return;
    }
  }
}

}  // namespace flexroom::cloud
