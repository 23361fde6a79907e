#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace flexroom::bench {

/// A TLS 1.3 service on loopback, OpenSSL's, in a thread of its own: whatever it is asked, it
/// answers with 4,096 bytes that set a cookie, and closes. Its certificate, which the members trust
/// for itself, is that of make_certificate() in the folder.
class CookieService {
 public:
  static constexpr size_t kAnswerBytes = 4096;
  static constexpr const char* kCookie = "session";

  /// `group`: the one that it takes, as OpenSSL writes it.
  explicit CookieService(const std::filesystem::path& folder, const std::string& group = "X25519");
  ~CookieService();
  CookieService(const CookieService&) = delete;
  CookieService& operator=(const CookieService&) = delete;

  uint16_t port() const;
  /// The value that the cookie has.
  static std::string value();
  /// The whole answer: a header of kAnswerBytes.
  static std::string answer();
  /// Makes key and self-signed certificate in a folder without any; the certificate's file.
  static std::filesystem::path make_certificate(const std::filesystem::path& folder);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace flexroom::bench
