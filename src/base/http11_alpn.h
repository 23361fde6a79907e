#pragma once

#include <openssl/ssl.h>

#include <cstdint>

namespace flexroom {

/// For SSL_CTX_set_alpn_select_cb() of a server that speaks HTTP/1.1 alone: a client that offers
/// other protocols only gets an alert.
inline int select_http11(SSL*, const uint8_t** out, uint8_t* out_length, const uint8_t* in,
                         unsigned in_length, void*) {
  static constexpr uint8_t kHttp11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  uint8_t* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_length, kHttp11, sizeof kHttp11, in, in_length) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace flexroom
