#include "bench/cookie_service.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <stdexcept>
#include <thread>

#include "base/error.h"
#include "base/http11_alpn.h"
#include "base/openssl_ptr.h"
#include "base/private_file.h"
#include "bench/bench_session.h"

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

std::filesystem::path certificate_file(const std::filesystem::path& folder) {
  return folder / "service.pem";
}
std::filesystem::path key_file(const std::filesystem::path& folder) {
  return folder / "service.key";
}

/// Of a P-256 key, for kBenchHost, good for an hour around now.
OpensslPtr<X509> self_signed(EVP_PKEY* key) {
  constexpr long kHour = 3600;
  OpensslPtr<X509> out(X509_new());
  X509_set_version(out.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(out.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(out.get()), -kHour);
  X509_gmtime_adj(X509_getm_notAfter(out.get()), kHour);
  X509_set_pubkey(out.get(), key);
  X509_NAME* const name = X509_get_subject_name(out.get());
  require(X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC,
                                     reinterpret_cast<const uint8_t*>("Flexroom bench"), -1, -1,
                                     0) == 1 &&
              X509_set_issuer_name(out.get(), name) == 1,
          "no name");
  const std::string alternative = "DNS:" + std::string(kBenchHost);
  for (const auto& [nid, value] : {std::pair<int, std::string>{NID_subject_alt_name, alternative},
                                   {NID_basic_constraints, "critical,CA:FALSE"},
                                   {NID_key_usage, "critical,digitalSignature"},
                                   {NID_ext_key_usage, "serverAuth"}}) {
    const OpensslPtr<X509_EXTENSION> extension(
        X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str()));
    require(extension && X509_add_ext(out.get(), extension.get(), -1) == 1, "no extension");
  }
  require(X509_sign(out.get(), key, EVP_sha256()) != 0, "no signature");
  return out;
}

/// What `write` writes as PEM, into a new file of mode 0600.
template <typename Write>
void write_pem(const std::filesystem::path& file, Write write) {
  const OpensslPtr<BIO> memory(BIO_new(BIO_s_mem()));
  require(write(memory.get()) == 1, "no PEM");
  const uint8_t* bytes = nullptr;
  const size_t size = static_cast<size_t>(BIO_get_mem_data(memory.get(), &bytes));
  require(write_new_file(file, ByteView(bytes, size)), "a file cannot be written");
}

OpensslPtr<SSL_CTX> server_context(const std::filesystem::path& folder, const std::string& group) {
  OpensslPtr<SSL_CTX> out(SSL_CTX_new(TLS_server_method()));
  require(
      out && SSL_CTX_set_min_proto_version(out.get(), TLS1_3_VERSION) == 1 &&
          SSL_CTX_set1_groups_list(out.get(), group.c_str()) == 1 &&
          SSL_CTX_use_certificate_file(out.get(), certificate_file(folder).c_str(),
                                       SSL_FILETYPE_PEM) == 1 &&
          SSL_CTX_use_PrivateKey_file(out.get(), key_file(folder).c_str(), SSL_FILETYPE_PEM) == 1,
      "no TLS");
  SSL_CTX_set_alpn_select_cb(out.get(), select_http11, nullptr);
  return out;
}

}  // namespace

struct CookieService::State {
  State(const std::filesystem::path& folder, const std::string& group)
      : context(server_context(folder, group)) {
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
      const OpensslPtr<SSL> ssl(SSL_new(context.get()));
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

  OpensslPtr<SSL_CTX> context;
  int listener = -1;
  uint16_t port = 0;
  std::atomic<bool> stop = false;
  std::thread thread;
};

CookieService::CookieService(const std::filesystem::path& folder, const std::string& group)
    : state_(std::make_unique<State>(folder, group)) {}
CookieService::~CookieService() = default;
uint16_t CookieService::port() const { return state_->port; }

std::string CookieService::value() { return std::string(40, 'k'); }

std::string CookieService::answer() {
  const std::string head = "HTTP/1.1 200 OK\r\nSet-Cookie: " + std::string(kCookie) + "=" +
                           value() + "; Path=/; Secure; HttpOnly\r\nX-Filler: ";
  const std::string tail = "\r\nContent-Length: 0\r\n\r\n";
  return head + std::string(kAnswerBytes - head.size() - tail.size(), 'f') + tail;
}

std::filesystem::path CookieService::make_certificate(const std::filesystem::path& folder) {
  const OpensslPtr<EVP_PKEY> key(EVP_EC_gen("P-256"));
  require(key != nullptr, "no key");
  const OpensslPtr<X509> certificate = self_signed(key.get());
  write_pem(key_file(folder), [&](BIO* bio) {
    return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  write_pem(certificate_file(folder),
            [&](BIO* bio) { return PEM_write_bio_X509(bio, certificate.get()); });
  return certificate_file(folder);
}

}  // namespace flexroom::bench
