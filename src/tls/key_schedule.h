#pragma once

#include <array>
#include <string_view>

#include "base/bytes.h"
#include "tls/cipher_suite.h"
#include "tls/hash_kind.h"

/// The parts of the TLS 1.3 key schedule (RFC 8446 §7.1) that are computed in the clear, and the
/// public inputs of the parts that run in MPC (tls-in-mpc.md §3.4), under the hash of the suite.
/// Input secrets are values that the protocol has opened: c_hs, s_hs, a Kin, and s_ap of a frozen
/// open connection.
namespace flexroom::tls {

/// HkdfLabel of RFC 8446 §7.1: uint16 length, "tls13 " || label, context.
Bytes hkdf_label(std::string_view label, ByteView context, size_t length);

/// HKDF-Expand-Label for at most a digest, one HMAC.
Bytes hkdf_expand_label(const HashKind& kind, ByteView secret, std::string_view label,
                        ByteView context, size_t length);

/// Derive-Secret with the transcript hash already taken.
HashValue derive_secret(const HashKind& kind, ByteView secret, std::string_view label,
                        const HashValue& transcript);

/// The keys of one direction and generation, for one suite.
struct TrafficKeys {
  const CipherSuite* suite = &aes128_gcm_sha256();
  Bytes key = Bytes(aes128_gcm_sha256().key_bytes);
  std::array<uint8_t, 12> iv{};
};
TrafficKeys traffic_keys(const HashValue& traffic_secret,
                         const CipherSuite& suite = aes128_gcm_sha256());

/// application_traffic_secret_{N+1} (RFC 8446 §7.2).
HashValue next_traffic_secret(const HashKind& kind, const HashValue& traffic_secret);

/// verify_data of a Finished sent under `traffic_secret` (RFC 8446 §4.4.4).
HashValue finished_mac(const HashKind& kind, const HashValue& traffic_secret,
                       const HashValue& transcript);

/// A constant outside MPC: dES = Derive-Secret(Extract(0, 0), "derived", ""), from which
/// HS = HMAC(dES, x) starts.
HashValue derived_early_secret(const HashKind& kind);

/// What HMAC hashes after its key block in HKDF-Expand-Label: hkdf_label || 01. With its padding
/// one block for every label of the schedule.
Bytes expand_message(std::string_view label, ByteView context, size_t length);

/// `pub` words of the inner compression under a secret Kin: the padded block of expand_message.
RoundWords inner_words(const HashKind& kind, std::string_view label, ByteView context,
                       size_t length);

/// With Kin(X) opened: the hash from Kin of expand_message, in the clear.
HashValue inner_digest(const HashKind& kind, const HashValue& kin, std::string_view label,
                       ByteView context, size_t length);

/// `pub` words of the outer compression under a secret Kout, for an inner digest known in the
/// clear.
RoundWords outer_words(const HashKind& kind, const HashValue& inner);

inline constexpr std::string_view kClientHandshake = "c hs traffic";
inline constexpr std::string_view kServerHandshake = "s hs traffic";
inline constexpr std::string_view kClientApplication = "c ap traffic";
inline constexpr std::string_view kServerApplication = "s ap traffic";

/// Public inputs of GC-A (§3.7) that depend on H1.
struct HandshakeWords {
  RoundWords client;  // inner block of c_hs
  RoundWords server;
};
HandshakeWords handshake_words(const HashKind& kind, const HashValue& h1);

/// Public inputs of GC-B: outer blocks of c_ap and s_ap, from the opened Kin(MS) and H2.
struct ApplicationWords {
  RoundWords client;
  RoundWords server;
};
ApplicationWords application_words(const HashKind& kind, const HashValue& kin_ms,
                                   const HashValue& h2);

}  // namespace flexroom::tls
