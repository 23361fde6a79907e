#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "base/fd.h"
#include "cloud/http_reader.h"

namespace flexroom::cloud {

struct ServerOptions {
  SSL_CTX* tls = nullptr;  // nullptr: plain HTTP (metadata service). Must outlive the server.
  HttpLimits limits;
  std::function<size_t(const Request&)> body_limit;  // may be empty
  std::chrono::seconds handshake_timeout{20};        // TLS, all of it
  std::chrono::seconds idle_timeout{60};             // between two requests, and for each read
  std::chrono::seconds request_timeout{300};  // from a request's first byte to its last; an answer
  size_t max_connections = 256;
  size_t max_body_bytes = 1u << 30;  // of requests and answers of all connections together
};

/// HTTP/1.1 over TCP on loopback, one thread a connection, with keep-alive.
class Server {
 public:
  /// The answer to a request on connection `fd`; nothing: the connection is cut without one. What
  /// it throws becomes a 500 and ends the connection. Called from many threads at once.
  using Handler = std::function<std::optional<Response>(const Request&, int fd)>;

  Server(ServerOptions options, Handler handler);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Listens on address:port (0: any free one) and serves from then on. Returns the port, or 0 if
  /// the address or port cannot be had. May be called for several addresses.
  uint16_t listen(const std::string& address, uint16_t port);
  /// Serves a socket that listens already (of another network namespace); takes it over. False if
  /// no thread can be had.
  bool adopt(Fd listener);
  /// Ends listening on an adopted socket; its connections end with their peers.
  void release(int listener);
  /// Ends all connections and threads.
  void stop();

 private:
  struct Stream;
  class BodyBytes;
  void accept_loop(int listener, const std::atomic<bool>& ended);
  void start_connection(Fd socket);
  void end_connection(int fd);
  void connection(int fd);
  void serve(Stream& stream, int fd);
  bool read_request(Stream& stream, HttpReader& reader, BodyBytes& held);

  ServerOptions options_;
  Handler handler_;
  std::atomic<bool> stopping_{false};
  std::atomic<size_t> body_bytes_{0};
  std::mutex mutex_;
  std::condition_variable all_done_;
  std::map<int, Fd> open_;  // connections, by their number
  size_t num_running_ = 0;
  struct Acceptor {
    Fd listener;
    std::thread thread;
    std::atomic<bool> ended{false};
  };
  std::map<int, std::unique_ptr<Acceptor>> acceptors_;  // by listening socket
};

}  // namespace flexroom::cloud
