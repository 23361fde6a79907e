#pragma once

#include <openssl/x509.h>

#include <cstdint>
#include <ctime>
#include <optional>

#include "base/bytes.h"

namespace flexroom::tls {

/// `provider.NAME.revocation` (tls-in-mpc.md §3.5). Off by default: the large public authorities
/// are ending OCSP.
enum class Revocation : uint8_t {
  kOff,     // not asked for, not looked at
  kStaple,  // a stapled response is checked; without one the certificate passes
  kMust,    // no certificate without a good response
};

/// Whether `staple`, the OCSP response that came with `chain` (verified, leaf first), lets the leaf
/// pass at `now`: signed by the leaf's issuer or by a certificate of it for that purpose, for this
/// leaf, in its time, and good; none is needed unless the setting or the leaf itself (RFC 7633)
/// demands one. Throws ProtocolAbort(kServer).
///
/// Source  tls-in-mpc.md §3.5, RFC 6960
void check_revocation(Revocation setting, const std::optional<Bytes>& staple,
                      STACK_OF(X509) * chain, time_t now);

}  // namespace flexroom::tls
