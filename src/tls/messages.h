#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/named_group.h"
#include "tls/cipher_suite.h"

/// TLS 1.3 handshake messages <-> bytes, with exactly the rules of tls-in-mpc.md §3.2, §3.3, §3.5
/// and RFC 8446 §4. Everything here is public. Parsers throw ProtocolAbort(kServer) with a sentence
/// that says what the server did.
namespace flexroom::tls {

/// secp256r1 is 0x0017, x25519 0x001d (RFC 8446 §4.2.7), X25519MLKEM768 0x11ec (RFC 10024).
uint16_t code_point(NamedGroup group);
/// 65 (uncompressed point), 32, or 1,216: an ML-KEM encapsulation key and the X25519 key.
size_t client_share_size(NamedGroup group);
/// 65, 32, or 1,120: an ML-KEM ciphertext and the X25519 key.
size_t server_share_size(NamedGroup group);
/// Of it, the key on the curve.
ByteView curve_share(NamedGroup group, ByteView server_share);
/// The ML-KEM ciphertext in front of it; empty where the group has none.
ByteView kem_share(NamedGroup group, ByteView server_share);

enum class HandshakeType : uint8_t {
  kClientHello = 1,
  kServerHello = 2,
  kNewSessionTicket = 4,
  kEndOfEarlyData = 5,
  kEncryptedExtensions = 8,
  kCertificate = 11,
  kCertificateRequest = 13,
  kCertificateVerify = 15,
  kFinished = 20,
  kKeyUpdate = 24,
};
/// "Certificate (11)"
std::string describe_handshake(uint8_t type);
/// "handshake_failure (40): no common cipher suite, group or signature algorithm"
std::string describe_alert(uint8_t description);

inline constexpr size_t kMaxCertificates = 32;
/// Of those, in a chain from leaf to root.
inline constexpr size_t kMaxChain = 10;
inline constexpr size_t kMaxCertificateBytes = 64 * 1024;

struct KeyShare {
  NamedGroup group = NamedGroup::kX25519;
  Bytes key;  // client_share_size(group) bytes; of a server server_share_size(group)
};

struct ClientHelloInput {
  std::string host;
  /// One of each group that is offered, in the order of preference.
  std::vector<KeyShare> key_shares;
  /// Those of them that are offered without their key: a server that wants one asks for it by
  /// HelloRetryRequest (tls-complete.md §1.1).
  Groups held_back;
  const CipherSuite* suite = &aes128_gcm_sha256();
  std::array<uint8_t, 32> random{};
  Bytes session_id = Bytes(32);               // 32 bytes; 0 in published traces
  std::optional<uint16_t> record_size_limit;  // 64 .. 16,385 (RFC 8449)
  bool status_request = false;                // asks for a stapled OCSP response (RFC 6066 §8)
  Bytes cookie;                               // of the server, in a second hello
};

/// Those of the groups that a hello offers without their key (tls-complete.md §1.1): beside the
/// 1,216 bytes of ML-KEM one curve's key alone, so that most hellos fit one segment: X25519's, or
/// P-256's where that is likely. Who wants another asks for it. ML-KEM is never held back.
Groups held_back_of(const Groups& groups, std::optional<NamedGroup> likely = std::nullopt);
/// Bytes of the record of a first hello that offers these groups to that host.
size_t client_hello_bytes(const Groups& groups, const std::string& host, bool status_request);

/// A ClientHello and what the answers to it are checked against.
struct ClientHello {
  Bytes message;  // handshake header included
  ClientHelloInput input;
  bool second = false;  // behind a HelloRetryRequest
};

/// The ClientHello of §3.2, equal at all parties for equal input. Throws InputError when `host` is
/// not a DNS name.
ClientHello build_client_hello(const ClientHelloInput& input);

/// The server's key share is raw: whether it is a point is checked where it is used (§2.4).
struct ServerHello {
  KeyShare key_share;
};
struct HelloRetryRequest {
  std::optional<NamedGroup> group;  // whose key the server wants
  Bytes cookie;
};
/// Body of a ServerHello (after the 4-byte handshake header), which may be a HelloRetryRequest;
/// that by the checks of tls-complete.md §1.2.
std::variant<ServerHello, HelloRetryRequest> parse_server_hello(ByteView body,
                                                                const ClientHello& hello);
/// The first hello byte for byte, but for the one key that was asked for in the place of its
/// keys, and the cookie behind them.
ClientHello second_client_hello(const ClientHello& first, const HelloRetryRequest& retry);

/// C1 of §3.5. Nothing that may stand there changes what the client does.
void check_encrypted_extensions(ByteView body, const ClientHello& hello);

/// The framing half of C2 of §3.5.
struct CertificateList {
  std::vector<Bytes> chain;          // DER, leaf first
  std::optional<Bytes> ocsp_staple;  // DER of the leaf's OCSPResponse, if it was asked for
};
CertificateList parse_certificate(ByteView body, const ClientHello& hello);

/// The body of a NewSessionTicket, whose content is checked and thrown away: no PSK is ever used.
void check_new_session_ticket(ByteView body);

/// The body of a CertificateRequest in the handshake (RFC 8446 §4.3.2): an empty context,
/// signature_algorithms, other extensions at will, none twice. What it asks for changes nothing:
/// the answer is a Certificate without certificates.
void check_certificate_request(ByteView body);
/// That answer, header included: 8 bytes.
Bytes empty_certificate();

/// The framing half of C3. The scheme is one of those offered for handshake signatures.
struct CertificateVerify {
  uint16_t scheme = 0;
  Bytes signature;
};
CertificateVerify parse_certificate_verify(ByteView body);

Bytes handshake_message(HandshakeType type, ByteView body);

}  // namespace flexroom::tls
