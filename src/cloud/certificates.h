#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/openssl_ptr.h"

namespace flexroom::cloud {

template <typename T>
using Handle = OpensslPtr<T>;

/// The sandbox's private CA and the certificates it issues, one per host name, when first asked
/// for by SNI. The CA (ca.pem, ca.key mode 0600) is kept in the state folder and reused.
class Certificates {
 public:
  /// `key_type`: "ec" (P-256) or "rsa" (2048 bits), for CA and hosts alike.
  Certificates(const std::filesystem::path& state_dir, const std::string& key_type);

  /// A server context: TLS 1.2 and 1.3, ALPN http/1.1, `groups` as SSL_CTX_set1_groups_list takes
  /// them. Names for which `serves(name)` is false are refused (unrecognized_name); without SNI the
  /// answer is the certificate of localhost and 127.0.0.1. The context refers to this object.
  Handle<SSL_CTX> server_context(const std::string& groups,
                                 std::function<bool(const std::string&)> serves);

  const std::filesystem::path& ca_file() const { return ca_file_; }

 private:
  static int select_certificate(SSL* ssl, void* self);
  static int check_name(SSL* ssl, int* alert, void* self);
  Handle<EVP_PKEY> new_key() const;
  void load_or_make_ca(const std::filesystem::path& state_dir);
  bool use_certificate(SSL* ssl);
  Handle<X509> issue(const std::string& host) const;

  std::string key_type_;
  std::filesystem::path ca_file_;
  Handle<EVP_PKEY> ca_key_;
  Handle<X509> ca_;
  Handle<EVP_PKEY> host_key_;
  std::function<bool(const std::string&)> serves_;
  std::mutex mutex_;
  std::map<std::string, Handle<X509>> issued_;  // at most kMaxIssued
};

}  // namespace flexroom::cloud
