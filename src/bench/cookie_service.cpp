#include "bench/cookie_service.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <stdexcept>
#include <thread>

#include "cloud/certificates.h"

namespace flexroom::bench {
namespace {

void require(bool good, const char* what) {
  if (!good) throw std::runtime_error(std::string("bench: the cookie service: ") + what);
}

int listening_socket(uint16_t& port) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  require(listener >= 0, "no socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const raw = reinterpret_cast<sockaddr*>(&address);
  require(::bind(listener, raw, size) == 0 && ::listen(listener, 8) == 0 &&
              ::getsockname(listener, raw, &size) == 0,
          "no port");
  port = ntohs(address.sin_port);
  return listener;
}

}  // namespace

struct CookieService::State {
  explicit State(const std::filesystem::path& folder)
      : certificates(folder, "ec"),
        context(certificates.server_context("X25519", [](const std::string&) { return true; })) {
    listener = listening_socket(port);
    thread = std::thread([this] { serve(); });
  }
  ~State() {
    stop = true;
    ::shutdown(listener, SHUT_RDWR);
    thread.join();
    ::close(listener);
  }

  void serve() {
    while (!stop) {
      const int socket = ::accept(listener, nullptr, nullptr);
      if (socket < 0) continue;
      const cloud::Handle<SSL> ssl(SSL_new(context.get()));
      std::array<char, 4096> request{};
      SSL_set_fd(ssl.get(), socket);
      const std::string text = answer();
      if (SSL_accept(ssl.get()) == 1 &&
          SSL_read(ssl.get(), request.data(), static_cast<int>(request.size())) > 0) {
        SSL_write(ssl.get(), text.data(), static_cast<int>(text.size()));
        SSL_shutdown(ssl.get());
      }
      ::close(socket);
    }
  }

  cloud::Certificates certificates;
  cloud::Handle<SSL_CTX> context;
  int listener = -1;
  uint16_t port = 0;
  std::atomic<bool> stop = false;
  std::thread thread;
};

CookieService::CookieService(const std::filesystem::path& folder)
    : state_(std::make_unique<State>(folder)) {}
CookieService::~CookieService() = default;
uint16_t CookieService::port() const { return state_->port; }

std::string CookieService::value() { return std::string(40, 'k'); }

std::string CookieService::answer() {
  const std::string head = "HTTP/1.1 200 OK\r\nSet-Cookie: " + std::string(kCookie) + "=" +
                           value() + "; Path=/; Secure; HttpOnly\r\nX-Filler: ";
  const std::string tail = "\r\nContent-Length: 0\r\n\r\n";
  return head + std::string(kAnswerBytes - head.size() - tail.size(), 'f') + tail;
}

std::filesystem::path CookieService::make_authority(const std::filesystem::path& folder) {
  return cloud::Certificates(folder, "ec").ca_file();
}

}  // namespace flexroom::bench
