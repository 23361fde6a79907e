#include "cloud/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "cloud/certificates.h"

namespace flexroom::cloud {

namespace {

/// A peer that goes away must not end the process: SIGPIPE stays pending in this thread only.
void block_sigpipe() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

const char* reason(int status) {
  static const std::map<int, const char*> kReasons = {{200, "OK"},
                                                      {204, "No Content"},
                                                      {206, "Partial Content"},
                                                      {304, "Not Modified"},
                                                      {400, "Bad Request"},
                                                      {401, "Unauthorized"},
                                                      {403, "Forbidden"},
                                                      {404, "Not Found"},
                                                      {405, "Method Not Allowed"},
                                                      {409, "Conflict"},
                                                      {411, "Length Required"},
                                                      {412, "Precondition Failed"},
                                                      {413, "Payload Too Large"},
                                                      {414, "URI Too Long"},
                                                      {416, "Range Not Satisfiable"},
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

/// Either a TLS or a plain connection, blocking, with the socket's timeouts.
struct Server::Stream {
  int fd;
  Handle<SSL> ssl;

  ssize_t read(char* data, size_t size) const {
    if (!ssl) return ::recv(fd, data, size, 0);
    const int n = SSL_read(ssl.get(), data, static_cast<int>(size));
    return n > 0 ? n : -1;
  }
  bool write(std::string_view text) const {
    while (!text.empty()) {
      const size_t piece = std::min<size_t>(text.size(), 1 << 20);
      const ssize_t n = ssl ? SSL_write(ssl.get(), text.data(), static_cast<int>(piece))
                            : ::send(fd, text.data(), piece, MSG_NOSIGNAL);
      if (n <= 0) return false;
      text.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
};

Server::Server(ServerOptions options, Handler handler)
    : options_(std::move(options)), handler_(std::move(handler)) {}

Server::~Server() { stop(); }

uint16_t Server::listen(const std::string& address, uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return 0;
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  socklen_t length = sizeof name;
  if (::inet_pton(AF_INET, address.c_str(), &name.sin_addr) != 1 ||
      ::bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0 || ::listen(fd, 128) != 0 ||
      ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length) != 0) {
    ::close(fd);
    return 0;
  }
  const std::lock_guard lock(mutex_);
  listeners_.push_back(fd);
  acceptors_.emplace_back([this, fd] { accept_loop(fd); });
  return ntohs(name.sin_port);
}

void Server::stop() {
  stopping_ = true;
  for (auto& thread : acceptors_) thread.join();
  acceptors_.clear();
  std::unique_lock lock(mutex_);
  for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  all_done_.wait(lock, [&] { return num_running_ == 0; });
  for (const int fd : listeners_) ::close(fd);
  listeners_.clear();
}

void Server::accept_loop(int listener) {
  block_sigpipe();
  while (!stopping_) {
    pollfd waiting{listener, POLLIN, 0};
    if (::poll(&waiting, 1, 100) <= 0) continue;
    const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    const std::lock_guard lock(mutex_);
    if (num_running_ >= options_.max_connections) {
      ::close(fd);
      continue;
    }
    ++num_running_;
    open_.insert(fd);
    // Detached, but counted: stop() waits until the count is zero again.
    std::thread([this, fd] {
      connection(fd);
      const std::lock_guard done_lock(mutex_);
      open_.erase(fd);
      ::close(fd);
      --num_running_;
      all_done_.notify_all();
    }).detach();
  }
}

void Server::connection(int fd) {
  block_sigpipe();
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const timeval timeout{options_.idle_timeout.count(), 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  Stream stream{fd, nullptr};
  if (options_.tls != nullptr) {
    stream.ssl.reset(SSL_new(options_.tls));
    if (!stream.ssl || SSL_set_fd(stream.ssl.get(), fd) != 1 || SSL_accept(stream.ssl.get()) != 1) {
      return;
    }
  }
  try {
    serve(stream, fd);
  } catch (const ApiError& error) {
    // The framing is broken: what follows cannot be told apart, so the connection ends.
    Response response;
    response.status = error.status();
    response.headers.emplace_back("Content-Type", "text/plain");
    response.body = error.code() + ": " + error.what() + "\n";
    stream.write(serialise(response, true));
  }
  // close_notify: the client can tell the end from a cut.
  if (stream.ssl) SSL_shutdown(stream.ssl.get());
  ::shutdown(fd, SHUT_WR);
}

bool Server::read_request(Stream& stream, HttpReader& reader) {
  std::vector<char> buffer(16384);
  auto deadline = std::chrono::steady_clock::time_point::max();
  HttpReader::State state = reader.resume();
  while (state != HttpReader::State::kRequest) {
    if (state == HttpReader::State::kExpectContinue) {
      if (!stream.write("HTTP/1.1 100 Continue\r\n\r\n")) return false;
      state = reader.resume();
      continue;
    }
    const ssize_t n = stream.read(buffer.data(), buffer.size());
    if (n <= 0 || stopping_) return false;
    const auto now = std::chrono::steady_clock::now();
    if (reader.idle()) deadline = now + options_.request_timeout;
    // A client that trickles bytes would hold the thread for ever.
    if (now > deadline) return false;
    state = reader.feed({buffer.data(), static_cast<size_t>(n)});
  }
  return true;
}

void Server::serve(Stream& stream, int fd) {
  HttpReader reader(options_.limits);
  if (options_.body_limit) reader.on_headers(options_.body_limit);
  while (!stopping_) {
    if (!read_request(stream, reader)) return;
    const bool keep_alive = reader.keep_alive();
    const Request request = reader.take();
    const std::optional<Response> response = handler_(request, fd);
    if (!response) {
      stream.ssl.reset();  // no close_notify: the client sees a cut
      return;
    }
    const bool close = !keep_alive || response->close;
    if (!stream.write(serialise(*response, close)) || close) return;
  }
}

}  // namespace flexroom::cloud
