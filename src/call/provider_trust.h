#pragma once

#include <openssl/ossl_typ.h>

#include <optional>
#include <string>

#include "config/config.h"
#include "tls/certificate.h"

namespace flexroom {

/// The OCSP response that the server of a connection stapled; nothing if it did not, or there is no
/// connection.
std::optional<Bytes> staple_of(SSL* connection);

/// Makes one libcurl transfer judge the server's certificate by tls::check_chain, the rule of the
/// members' own TLS client, in place of OpenSSL's default. Outlives the transfer.
class ProviderTrust {
 public:
  /// `curl`: a CURL easy handle of a transfer with `host`.
  ProviderTrust(void* curl, const Provider& provider, const std::string& host);
  ProviderTrust(const ProviderTrust&) = delete;
  ProviderTrust& operator=(const ProviderTrust&) = delete;
  /// Why the certificate was refused; empty if it was not.
  const std::string& refusal() const { return refusal_; }

 private:
  struct Callbacks;
  tls::ChainPolicy policy_;
  std::string refusal_;
};

}  // namespace flexroom
