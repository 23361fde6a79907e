#include "node/http_server.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "base/display.h"
#include "base/wipe_text.h"
#include "flexroom/error.h"
#include "people/voice_refused.h"

namespace flexroom::node {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kPatience{10};

std::string_view reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Internal Server Error";
  }
}

/// False: the other side is gone, or does not read.
bool send_all(int fd, std::string_view bytes) {
  const auto end = Clock::now() + kPatience;
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n > 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
      continue;
    }
    if (n < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (Clock::now() >= end) return false;
    pollfd p{fd, POLLOUT, 0};
    (void)::poll(&p, 1, 200);
  }
  return true;
}

std::string head_of(const HttpAnswer& answer, bool with_length) {
  std::string out = fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nCache-Control: {}\r\nX-Content-Type-Options: "
      "nosniff\r\nContent-Security-Policy: {}\r\nReferrer-Policy: no-referrer\r\n"
      "Cross-Origin-Opener-Policy: same-origin\r\nCross-Origin-Resource-Policy: same-origin\r\n"
      "Connection: close\r\n",
      answer.status, reason(answer.status), answer.type, answer.cache, answer.policy);
  if (!answer.tag.empty()) out += fmt::format("ETag: {}\r\n", answer.tag);
  if (!answer.location.empty()) out += fmt::format("Location: {}\r\n", answer.location);
  if (with_length) out += fmt::format("Content-Length: {}\r\n", answer.body.size());
  return out + "\r\n";
}

HttpAnswer failure(int status, const std::string& kind, const std::string& text,
                   const std::string& remedy = "") {
  nlohmann::json out = {{"ok", false}, {"class", kind}, {"error", text}};
  if (!remedy.empty()) out["remedy"] = remedy;
  return HttpAnswer::json(out, status);
}

HttpAnswer answered(const HttpServer::Handler& handler, const HttpRequest& request,
                    const Caller& caller) {
  try {
    return handler(request, caller);
  } catch (const HttpError& error) {
    return failure(error.status(), "request", error.what(), error.remedy());
  } catch (const people::VoiceRefused& error) {
    HttpAnswer out = failure(403, "voice", error.what(), error.remedy());
    nlohmann::json body = nlohmann::json::parse(out.body);
    body["check"] = people::to_string(error.check());
    return HttpAnswer::json(body, 403);
  } catch (const InputError& error) {
    return failure(400, "error", error.what(), error.remedy());
  } catch (const Error& error) {
    return failure(error.exit() == Exit::kBadInput ? 400 : 409, error.fields().kind, error.what(),
                   error.fields().remedy);
  } catch (const ProtocolAbort& error) {
    return failure(409, std::string(to_string(error.abort_class())), error.what());
  } catch (const std::exception& error) {
    return failure(500, "internal", error.what());
  }
}

/// The sockets that systemd gave, from descriptor 3 on.
int num_given() {
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  if (pid == nullptr || count == nullptr || std::to_string(getpid()) != pid) return 0;
  int out = 0;
  const char* end = count + std::strlen(count);
  const auto [stop, problem] = std::from_chars(count, end, out);
  return problem == std::errc() && stop == end && out >= 0 && out <= 2 ? out : 0;
}

int family_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return -1;
  return address.ss_family;
}

Fd given(bool is_unix) {
  for (int fd = 3; fd < 3 + num_given(); ++fd) {
    const int family = family_of(fd);
    if (family < 0 || (family == AF_UNIX) != is_unix) continue;
    return Fd(fcntl(fd, F_DUPFD_CLOEXEC, 10));
  }
  return {};
}

}  // namespace

HttpAnswer HttpAnswer::json(const nlohmann::json& object, int status) {
  HttpAnswer out;
  out.status = status;
  out.body = object.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + "\n";
  return out;
}

HttpServer::HttpServer(Fd socket, Handler handler)
    : socket_(std::move(socket)),
      stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      handler_(std::move(handler)) {
  (void)fcntl(socket_.get(), F_SETFL, fcntl(socket_.get(), F_GETFL) | O_NONBLOCK);
  thread_ = std::thread([this] { run(); });
}

HttpServer::~HttpServer() {
  stopping_ = true;
  const uint64_t one = 1;
  (void)!::write(stop_.get(), &one, sizeof one);
  thread_.join();
  reap(true);
}

void HttpServer::run() {
  while (!stopping_) {
    pollfd fds[2] = {{stop_.get(), POLLIN, 0}, {socket_.get(), POLLIN, 0}};
    (void)::poll(fds, 2, connections_.empty() ? -1 : 1000);
    reap(false);
    if (stopping_ || fds[1].revents == 0) continue;
    Fd fd(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.valid()) {
      if (errno == EMFILE || errno == ENFILE) ::poll(nullptr, 0, 200);
      continue;
    }
    if (connections_.size() >= kMost) {
      const HttpAnswer full =
          failure(503, "busy", "the node answers as many requests as it may", "ask again");
      (void)!::send(fd.get(), (head_of(full, true) + full.body).data(),
                    (head_of(full, true) + full.body).size(), MSG_NOSIGNAL);
      continue;
    }
    auto connection = std::make_unique<Connection>();
    Connection& mine = *connection;
    connections_.push_back(std::move(connection));
    mine.thread = std::thread([this, &mine, held = fd.release()] {
      try {
        serve(Fd(held));
      } catch (const std::exception&) {  // no memory for an answer: the connection ends
      }
      mine.done = true;
    });
  }
}

void HttpServer::reap(bool all) {
  for (auto it = connections_.begin(); it != connections_.end();) {
    if (!all && !(*it)->done) {
      ++it;
      continue;
    }
    (*it)->thread.join();
    it = connections_.erase(it);
  }
}

void HttpServer::serve(Fd fd) {
  Caller caller;
  if (family_of(fd.get()) == AF_UNIX) {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return;
    caller = {credentials.uid, credentials.gid, credentials.pid};
  }
  HttpRequestParser parser(kMaxBody);
  std::optional<HttpRequest> request;
  HttpAnswer answer;
  const auto deadline = Clock::now() + kPatience;
  std::string buffer(16 << 10, '\0');
  try {
    while (!request) {
      pollfd p{fd.get(), POLLIN, 0};
      (void)::poll(&p, 1, 200);
      if (stopping_) return;
      const ssize_t n = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
      if (n == 0) return;
      if (n < 0 && errno != EAGAIN && errno != EINTR) return;
      if (n > 0) request = parser.take(std::string_view(buffer).substr(0, static_cast<size_t>(n)));
      if (!request && Clock::now() >= deadline) {
        throw HttpError(408, "the request did not come within ten seconds");
      }
    }
    answer = answered(handler_, *request, caller);
    wipe_text(request->body);  // it may hold a member's private input
    wipe_text(buffer);
  } catch (const HttpError& error) {
    answer = failure(error.status(), "request", error.what(), error.remedy());
  }
  if (!answer.events) {
    (void)send_all(fd.get(), head_of(answer, true) + answer.body);
    return;
  }
  if (!send_all(fd.get(), head_of(answer, false) + answer.body)) return;
  auto last = Clock::now();
  while (!stopping_) {
    std::optional<std::string> text = answer.events();
    if (!text) return;
    // A comment now and then shows whether somebody still listens.
    if (text->empty() && Clock::now() - last < std::chrono::seconds(15)) {
      pollfd p{fd.get(), POLLRDHUP, 0};
      if (::poll(&p, 1, 0) > 0) return;
      continue;
    }
    if (!send_all(fd.get(), text->empty() ? ":\n\n" : *text)) return;
    last = Clock::now();
  }
}

Fd control_socket(const std::filesystem::path& path) {
  if (Fd there = given(true); there.valid()) return there;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.string().size() >= sizeof address.sun_path) {
    throw InputError(path.string(), "is too long for a socket's name",
                     "name a shorter one as [node] socket in member.toml");
  }
  std::memcpy(address.sun_path, path.c_str(), path.string().size());
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto* const name = reinterpret_cast<const sockaddr*>(&address);
  if (!fd.valid()) throw InputError(path.string(), std::strerror(errno));
  if (::connect(fd.get(), name, sizeof address) == 0) {
    throw InputError(path.string(), "a node answers there already", "stop it first");
  }
  fd.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  struct stat there {};
  if (::lstat(path.c_str(), &there) == 0) {
    if (!S_ISSOCK(there.st_mode)) throw InputError(path.string(), "is no socket");
    (void)::unlink(path.c_str());
  }
  // Never open to more than it will be: made with the final mode.
  const mode_t before = ::umask(0117);
  const bool bound = ::bind(fd.get(), name, sizeof address) == 0;
  const int problem = errno;
  (void)::umask(before);
  if (!bound || ::listen(fd.get(), 64) != 0) {
    throw InputError(path.string(), std::strerror(bound ? errno : problem));
  }
  return fd;
}

Fd given_member_socket() { return given(false); }

}  // namespace flexroom::node
