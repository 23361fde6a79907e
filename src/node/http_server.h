#pragma once

#include <sys/types.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "base/fd.h"
#include "node/http_request.h"

namespace flexroom::node {

/// Who asks: what the kernel says of the process at the other end (SO_PEERCRED).
struct Caller {
  uid_t uid = static_cast<uid_t>(-1);
  gid_t gid = static_cast<gid_t>(-1);
  pid_t pid = 0;
};

/// What is answered: an object, or bytes of another type, or events that go on.
struct HttpAnswer {
  int status = 200;
  std::string type = "application/json";
  std::string body;
  /// What a browser may keep, and what a document may load and who may frame it.
  std::string cache = "no-store";
  std::string policy = "default-src 'none'; frame-ancestors 'none'";
  std::string tag = "";       // ETag, with its quotes; empty: none
  std::string location = "";  // of a redirect; empty: none
  /// Of server-sent events: gives the next text, waiting at most a second; empty text: nothing
  /// came, go on; nothing: the end.
  std::function<std::optional<std::string>()> events = nullptr;

  static HttpAnswer json(const nlohmann::json& object, int status = 200);
};

/// A small HTTP/1.1 server on a Unix socket, or on a TCP socket, whose callers are nobody known:
/// one request a connection, one thread a connection.
///
/// Bounds   at most kMost connections, more are answered 503; ten seconds for a request to come,
///          ten for an answer to be taken; 4 MiB a body
/// Errors   what the handler throws becomes an answer: HttpError as it says, InputError and
///          flexroom::Error 400 to 409, anything else 500
class HttpServer {
 public:
  static constexpr size_t kMost = 32, kMaxBody = 4 << 20;
  using Handler = std::function<HttpAnswer(const HttpRequest&, const Caller&)>;

  /// `socket` listens and is taken over.
  HttpServer(Fd socket, Handler handler);
  /// Takes no more, lets answers that are being made leave, and ends events.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

 private:
  struct Connection {
    std::thread thread;
    std::atomic<bool> done{false};
  };
  void run();
  void reap(bool all);
  void serve(Fd fd);

  Fd socket_, stop_;
  Handler handler_;
  std::atomic<bool> stopping_{false};
  std::list<std::unique_ptr<Connection>> connections_;
  std::thread thread_;
};

/// The control socket: the one that systemd gave (LISTEN_FDS), or made at `path` with mode 0660 and
/// this process's group. One that nobody listens on any more is replaced; InputError if somebody
/// does.
Fd control_socket(const std::filesystem::path& path);
/// The same of systemd's second socket: the member's address. Not valid: there is none.
Fd given_member_socket();

}  // namespace flexroom::node
