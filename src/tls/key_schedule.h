#pragma once

#include <array>
#include <string_view>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/sha256_block.h"
#include "tls/cipher_suite.h"

/// The parts of the TLS 1.3 key schedule (RFC 8446 §7.1, SHA-256) that are computed in the clear,
/// and the public inputs of the parts that run in MPC (tls-in-mpc.md §3.4). Input secrets are
/// values that the protocol has opened: c_hs, s_hs, a Kin, and s_ap of a frozen open connection.
namespace flexroom::tls {

/// HkdfLabel of RFC 8446 §7.1: uint16 length, "tls13 " || label, context.
Bytes hkdf_label(std::string_view label, ByteView context, size_t length);

/// HKDF-Expand-Label for length <= 32, one HMAC.
Bytes hkdf_expand_label(ByteView secret, std::string_view label, ByteView context, size_t length);

/// Derive-Secret with the transcript hash already taken.
Digest derive_secret(ByteView secret, std::string_view label, const Digest& transcript);

/// The keys of one direction and generation, for one suite.
struct TrafficKeys {
  const CipherSuite* suite = &aes128_gcm_sha256();
  Bytes key = Bytes(aes128_gcm_sha256().key_bytes);
  std::array<uint8_t, 12> iv{};
};
TrafficKeys traffic_keys(const Digest& traffic_secret,
                         const CipherSuite& suite = aes128_gcm_sha256());

/// application_traffic_secret_{N+1} (RFC 8446 §7.2).
Digest next_traffic_secret(const Digest& traffic_secret);

/// verify_data of a Finished sent under `traffic_secret` (RFC 8446 §4.4.4).
Digest finished_mac(const Digest& traffic_secret, const Digest& transcript);

/// A constant outside MPC: dES = Derive-Secret(Extract(0, 0), "derived", ""), from which
/// HS = HMAC(dES, x) starts.
const Digest& derived_early_secret();

/// What HMAC hashes after its key block in HKDF-Expand-Label: hkdf_label || 01. At most 55 bytes
/// for every label of the schedule, hence one block.
Bytes expand_message(std::string_view label, ByteView context, size_t length);

/// `pub` words of the inner compression under a secret Kin: the padded block of expand_message.
Sha256RoundWords inner_words(std::string_view label, ByteView context, size_t length);
Sha256BlockBytes inner_block(std::string_view label, ByteView context, size_t length);

/// With Kin(X) opened: SHA_{Kin}(expand_message), in the clear.
Digest inner_digest(const Sha256State& kin, std::string_view label, ByteView context,
                    size_t length);

/// `pub` words of the outer compression under a secret Kout, for an inner digest known in the
/// clear.
Sha256RoundWords outer_words(const Digest& inner);
Sha256BlockBytes outer_block(const Digest& inner);

inline constexpr std::string_view kClientHandshake = "c hs traffic";
inline constexpr std::string_view kServerHandshake = "s hs traffic";
inline constexpr std::string_view kClientApplication = "c ap traffic";
inline constexpr std::string_view kServerApplication = "s ap traffic";

/// Public inputs of GC-A (§3.7) that depend on H1.
struct HandshakeWords {
  Sha256RoundWords client;  // inner block of c_hs
  Sha256RoundWords server;
};
HandshakeWords handshake_words(const Digest& h1);

/// Public inputs of GC-B: outer blocks of c_ap and s_ap, from the opened Kin(MS) and H2.
struct ApplicationWords {
  Sha256RoundWords client;
  Sha256RoundWords server;
};
ApplicationWords application_words(const Sha256State& kin_ms, const Digest& h2);

}  // namespace flexroom::tls
