#pragma once

#include <cstddef>
#include <optional>

#include "base/hash.h"
#include "config/toml.h"
#include "tls/certificate.h"
#include "tls/cipher_suite.h"
#include "tls/client_auth.h"
#include "tls/receive_mode.h"

namespace flexroom {

/// How the service of a [provider.NAME] is spoken to. Suite, client_auth, receive, max_answer and
/// await_close are among the terms that all members must have alike; trust, pin and revocation are
/// each member's own.
struct TlsTerms {
  static constexpr int64_t kMinAnswerLimit = 1024, kMaxAnswerLimit = int64_t{256} << 20;

  /// `suite` of the entry: a connection asks Provider::suite_for().
  const tls::CipherSuite* suite = &tls::aes128_gcm_sha256();
  /// `client_auth` of the entry: a connection asks Provider::client_auth_for().
  tls::ClientAuth client_auth = tls::ClientAuth::kRefuse;
  tls::ReceiveMode receive = tls::ReceiveMode::kOpen;  // `receive`
  size_t max_answer = size_t{16} << 20;                // `max_answer`, bytes of a body
  bool await_close = false;                            // `await_close` (R2-5)
  bool trust_exact = false;                            // `trust = "exact"`
  tls::Revocation revocation = tls::Revocation::kOff;  // `revocation`
  std::optional<Digest> spki_pin;                      // `spki_pin`

  /// Takes its keys from the provider's table, and refuses `receive = "sealed"`, which is not
  /// built. Throws InputError with line and remedy.
  static TlsTerms load(const TomlTable& table);
};

/// `suite` of a provider's table or of one of its hosts, or `fallback` where it says nothing.
/// Throws InputError with line and remedy for one that is not built.
const tls::CipherSuite& load_suite(const TomlTable& table, const tls::CipherSuite& fallback);

/// `client_auth` likewise. Throws InputError with line and remedy for a value that is none.
tls::ClientAuth load_client_auth(const TomlTable& table, tls::ClientAuth fallback);

}  // namespace flexroom
