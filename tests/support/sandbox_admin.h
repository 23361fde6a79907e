#pragma once

#include <openssl/ssl.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "support/tcp_members.h"

namespace flexroom::support {

/// Steers a sandbox that runs as a process of its own (docs/sandbox.md, admin.flexroom.example).
class SandboxAdmin {
 public:
  /// Its state folder.
  explicit SandboxAdmin(std::filesystem::path dir) : dir_(std::move(dir)) {}

  void settings(const nlohmann::json& changes) const { post("/settings", changes); }
  /// In place of those there were.
  void faults(const std::vector<std::string>& rules) const { post("/faults", rules); }
  void post(const std::string& path, const nlohmann::json& body) const {
    const std::string text = body.dump();
    const std::string answer =
        exchange("POST " + path + " HTTP/1.1\r\nHost: " + kHost + "\r\nAuthorization: Bearer " +
                 read("admin-token") + "\r\nContent-Type: application/json\r\nConnection: close" +
                 "\r\nContent-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text);
    if (!answer.starts_with("HTTP/1.1 204 ")) {
      throw std::runtime_error("the sandbox refused " + path + " " + text + ": " + answer);
    }
  }

 private:
  static constexpr const char* kHost = "admin.flexroom.example";
  std::string read(const std::string& name) const {
    std::ifstream in(dir_ / name);
    std::string word;
    in >> word;
    return word;
  }
  std::string exchange(const std::string& bytes) const {
    struct Free {
      void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
      void operator()(SSL* ssl) const { SSL_free(ssl); }
    };
    const auto endpoints = nlohmann::json::parse(std::ifstream(dir_ / "endpoints.json"));
    const int fd = connect_to_loopback(endpoints["port"].get<uint16_t>());
    const std::unique_ptr<SSL_CTX, Free> context(SSL_CTX_new(TLS_client_method()));
    FLEXROOM_ASSERT(SSL_CTX_load_verify_file(context.get(), (dir_ / "ca.pem").c_str()) == 1);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    const std::unique_ptr<SSL, Free> ssl(SSL_new(context.get()));
    SSL_set1_host(ssl.get(), kHost);
    SSL_set_tlsext_host_name(ssl.get(), kHost);
    std::string out;
    if (fd >= 0 && SSL_set_fd(ssl.get(), fd) == 1 && SSL_connect(ssl.get()) == 1 &&
        SSL_write(ssl.get(), bytes.data(), static_cast<int>(bytes.size())) > 0) {
      char buffer[4096];
      for (int n; (n = SSL_read(ssl.get(), buffer, sizeof buffer)) > 0;) {
        out.append(buffer, static_cast<size_t>(n));
      }
    }
    if (fd >= 0) ::close(fd);
    return out;
  }

  const std::filesystem::path dir_;
};

}  // namespace flexroom::support
