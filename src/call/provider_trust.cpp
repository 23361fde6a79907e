#include "call/provider_trust.h"

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "call/provider_connection.h"

namespace flexroom {
namespace {

std::vector<Bytes> chain_of(X509_STORE_CTX* ctx) {
  std::vector<Bytes> chain;
  STACK_OF(X509)* sent = X509_STORE_CTX_get0_untrusted(ctx);  // with the leaf, which is first
  for (int i = 0; i < sk_X509_num(sent); ++i) {
    uint8_t* der = nullptr;
    const int size = i2d_X509(sk_X509_value(sent, i), &der);
    FLEXROOM_ASSERT(size > 0);
    chain.emplace_back(der, der + size);
    OPENSSL_free(der);
  }
  return chain;
}

SSL* connection_of(X509_STORE_CTX* ctx) {
  return static_cast<SSL*>(X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx()));
}

}  // namespace

std::optional<Bytes> staple_of(SSL* ssl) {
  const uint8_t* staple = nullptr;
  const long size = ssl == nullptr ? -1 : SSL_get_tlsext_status_ocsp_resp(ssl, &staple);
  if (size <= 0) return std::nullopt;
  return Bytes(staple, staple + size);
}

struct ProviderTrust::Callbacks {
  static int verify(X509_STORE_CTX* ctx, void* user) {
    auto* const trust = static_cast<ProviderTrust*>(user);
    try {
      const std::vector<Bytes> chain = chain_of(ctx);
      FLEXROOM_ASSERT(!chain.empty());
      tls::check_chain(chain, trust->policy_, staple_of(connection_of(ctx)));
      X509_STORE_CTX_set_error(ctx, X509_V_OK);
      return 1;
    } catch (const ProtocolAbort& abort) {
      trust->refusal_ = abort.detail();
    } catch (const std::exception& error) {
      trust->refusal_ = error.what();
    }
    X509_STORE_CTX_set_error(ctx, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
  }

  static CURLcode prepare(CURL*, void* context, void* user) {
    auto* const ctx = static_cast<SSL_CTX*>(context);
    SSL_CTX_set_cert_verify_callback(ctx, &verify, user);
    if (static_cast<ProviderTrust*>(user)->policy_.revocation != tls::Revocation::kOff) {
      SSL_CTX_set_tlsext_status_type(ctx, TLSEXT_STATUSTYPE_ocsp);
    }
    return CURLE_OK;
  }
};

ProviderTrust::ProviderTrust(void* curl, const Provider& provider, const std::string& host)
    : policy_(chain_policy(provider, host)) {
  // A libcurl over another TLS library would leave the callback out and judge by itself.
  const CURLcode taken = curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, &Callbacks::prepare);
  FLEXROOM_ASSERT(taken == CURLE_OK);
  curl_easy_setopt(curl, CURLOPT_SSL_CTX_DATA, this);
}

}  // namespace flexroom
