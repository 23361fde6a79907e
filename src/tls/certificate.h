#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "tls/messages.h"
#include "tls/revocation.h"
#include "tls/revocation_lists.h"
#include "tls/trust_store.h"

namespace flexroom::tls {

using Clock = std::function<std::chrono::system_clock::time_point()>;

struct ChainPolicy {
  std::string host;
  TrustStore trust;
  Clock clock = [] { return std::chrono::system_clock::now(); };
  std::optional<Digest> spki_pin;  // SHA-256 of the leaf's SubjectPublicKeyInfo
  Revocation revocation = Revocation::kOff;
  RevocationLists revocation_lists = {};
  /// `trust = "exact"`: every certificate of the trust store is trusted for itself, also an
  /// intermediate or a leaf, not only a root.
  bool partial_chains = false;
};

/// C2 of tls-in-mpc.md §3.5 and tls-complete.md §5. Some path from the leaf, over certificates that
/// the server or the trust store has, of at most ten certificates, leads to this party's roots at
/// this party's time, and on it: the leaf has a SAN dNSName that matches `host` (the CN is not
/// looked at), EKU serverAuth, key usage digitalSignature where it has one at all, and by no sign
/// an authority (CA, keyCertSign, name constraints); no authority's name constraints are empty or
/// exclude the host or a name that a wildcard SAN could match; every certificate below the root is
/// of version 3 with a serial from 1 to 20 bytes; every key is RSA >= 2048 of whole bytes, P-256,
/// P-384, P-521 or Ed25519; no signature but the root's own is SHA-1; the leaf's key is the pinned
/// one if there is a pin; a staple says good and no CRL names a certificate, where the policy
/// looks. `host` is a DNS name. Where this differs from what x509-limbo expects:
/// tests/limbo/exceptions.tsv.
///
/// Throws ProtocolAbort(kServer) with the reason and the remedy.
void check_chain(const std::vector<Bytes>& chain, const ChainPolicy& policy,
                 const std::optional<Bytes>& ocsp_staple = std::nullopt);
inline void check_chain(const CertificateList& certificates, const ChainPolicy& policy) {
  check_chain(certificates.chain, policy, certificates.ocsp_staple);
}

/// C3: the signature over 64*0x20 || context || 00 || H(CH .. Certificate) under the leaf's key,
/// whose type must fit the scheme (RFC 8446 §4.4.3).
void check_certificate_verify(ByteView leaf_der, const CertificateVerify& verify,
                              ByteView transcript);

/// What is signed in a server's CertificateVerify.
Bytes certificate_verify_content(ByteView transcript);

}  // namespace flexroom::tls
