#pragma once

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/codec.h"
#include "tls/handshake.h"
#include "tls/wire.h"
#include "unit/tls/pki.h"

// A TLS 1.3 server whose every message a test can bend. It needs no Diffie-Hellman: in the product
// c_hs and s_hs come out of MPC, here the test picks them.
namespace flexroom::tls::testing {

inline Digest filled(uint8_t value) {
  Digest out;
  out.fill(value);
  return out;
}

inline Bytes extension(uint16_t type, ByteView body) {
  return Writer().u16(type).u16(static_cast<uint16_t>(body.size())).raw(body).take();
}
inline Bytes join(const std::vector<Bytes>& parts) {
  Bytes out;
  for (const Bytes& part : parts) append(out, part);
  return out;
}

struct ServerHelloFields {
  uint16_t version = 0x0303;
  Bytes random = Bytes(32, 7);
  Bytes session_id = Bytes(32, 2);
  uint16_t suite = 0x1301;
  uint8_t compression = 0;
  Bytes versions = extension(43, Bytes{3, 4});
  Bytes key_share = extension(51, Writer().u16(0x001d).u16(32).raw(Bytes(32, 9)).take());
  Bytes more;
  bool with_extensions = true;

  Bytes message() const {
    Writer out;
    out.u16(version).raw(random).u8(static_cast<uint8_t>(session_id.size())).raw(session_id);
    out.u16(suite).u8(compression);
    if (with_extensions) {
      const Bytes all = join({versions, key_share, more});
      out.u16(static_cast<uint16_t>(all.size())).raw(all);
    }
    return handshake_message(HandshakeType::kServerHello, out.bytes());
  }
};

inline Bytes encrypted_extensions(const Bytes& extensions) {
  return handshake_message(
      HandshakeType::kEncryptedExtensions,
      Writer().u16(static_cast<uint16_t>(extensions.size())).raw(extensions).bytes());
}

/// With a context, where one is given, and signature_algorithms.
inline Bytes certificate_request(const Bytes& context = {}) {
  const Bytes schemes = extension(13, Bytes{0, 2, 4, 3});
  Writer body;
  body.u8(static_cast<uint8_t>(context.size())).raw(context);
  body.u16(static_cast<uint16_t>(schemes.size())).raw(schemes);
  return handshake_message(HandshakeType::kCertificateRequest, body.bytes());
}

inline Bytes u24(size_t n) {
  return {static_cast<uint8_t>(n >> 16), static_cast<uint8_t>(n >> 8), static_cast<uint8_t>(n)};
}

inline Bytes certificate_message(const std::vector<Bytes>& chain, const Bytes& context = {},
                                 const Bytes& extensions = {}) {
  Bytes list;
  for (const Bytes& der : chain) {
    append(list, u24(der.size()));
    append(list, der);
    append(list, Writer().u16(static_cast<uint16_t>(extensions.size())).raw(extensions).bytes());
  }
  Bytes body{static_cast<uint8_t>(context.size())};
  append(body, context);
  append(body, u24(list.size()));
  append(body, list);
  return handshake_message(HandshakeType::kCertificate, body);
}

inline const EVP_MD* digest_of_scheme(uint16_t scheme) {
  switch (scheme) {
    case 0x0503:
    case 0x0805:
    case 0x080a:
      return EVP_sha384();
    case 0x0603:
    case 0x0806:
    case 0x080b:
      return EVP_sha512();
    case 0x0807:
      return nullptr;
    default:
      return EVP_sha256();
  }
}

inline Bytes sign(const Key& key, uint16_t scheme, const Bytes& content,
                  int salt = RSA_PSS_SALTLEN_DIGEST) {
  EVP_MD_CTX* ctx = EVP_MD_CTX_new();
  EVP_PKEY_CTX* key_ctx = nullptr;
  const EVP_MD* md = digest_of_scheme(scheme);
  FLEXROOM_ASSERT(EVP_DigestSignInit(ctx, &key_ctx, md, nullptr, key.get()) == 1);
  if (scheme >> 8 == 8 && md != nullptr) {
    EVP_PKEY_CTX_set_rsa_padding(key_ctx, RSA_PKCS1_PSS_PADDING);
    EVP_PKEY_CTX_set_rsa_pss_saltlen(key_ctx, salt);
  }
  size_t size = 0;
  FLEXROOM_ASSERT(EVP_DigestSign(ctx, nullptr, &size, content.data(), content.size()) == 1);
  Bytes out(size);
  FLEXROOM_ASSERT(EVP_DigestSign(ctx, out.data(), &size, content.data(), content.size()) == 1);
  out.resize(size);
  EVP_MD_CTX_free(ctx);
  return out;
}

inline Bytes certificate_verify_message(uint16_t scheme, const Bytes& signature) {
  return handshake_message(
      HandshakeType::kCertificateVerify,
      Writer().u16(scheme).u16(static_cast<uint16_t>(signature.size())).raw(signature).bytes());
}

struct FakeServer {
  HashValue c_hs = filled(0xc1);  // of SHA-384, where the suite has it: 48 of them
  HashValue s_hs = filled(0x51);
  HashValue s_ap = filled(0x5a);
  ServerHelloFields hello;
  const CipherSuite* suite = &aes128_gcm_sha256();  // of its keys; hello.suite is what it says
  Bytes ee =
      encrypted_extensions(extension(16, Bytes{0, 9, 8, 'h', 't', 't', 'p', '/', '1', '.', '1'}));
  std::vector<Bytes> chain = {to_der(Pki::shared().leaf), to_der(Pki::shared().middle)};
  Key key = Pki::shared().leaf_key;
  uint16_t scheme = 0x0403;
  bool bad_finished = false;
  bool asks_for_certificate = false;
  std::vector<Bytes> requests;  // CertificateRequests of any kind, in front of that message
  size_t requests_at = 1;

  Bytes server_hello_record() const {
    return plain_record(ContentType::kHandshake, 0x0303, hello.message());
  }

  /// The four messages, or five, signed and MACed for this client hello.
  std::vector<Bytes> flight(const ClientHello& client) const {
    return flight(join({client.message, hello.message()}));
  }
  /// The same behind any hellos: what was hashed up to the ServerHello.
  std::vector<Bytes> flight(const Bytes& hashed) const {
    Transcript transcript(suite->hash());
    transcript.add(hashed);
    std::vector<Bytes> out = {ee, certificate_message(chain)};
    if (asks_for_certificate) out.insert(out.begin() + 1, certificate_request());
    const auto at = static_cast<std::ptrdiff_t>(requests_at);
    if (requests_at < 3) out.insert(out.begin() + at, requests.begin(), requests.end());
    for (const Bytes& message : out) transcript.add(message);
    out.push_back(certificate_verify_message(
        scheme, sign(key, scheme, certificate_verify_content(transcript.digest()))));
    if (requests_at == 3) out.insert(out.end(), requests.begin(), requests.end());
    transcript.add(out.back());
    HashValue mac = finished_mac(suite->hash(), s_hs, transcript.digest());
    if (bad_finished) mac[mac.size() - 1] ^= 1;
    out.push_back(handshake_message(HandshakeType::kFinished, mac));
    return out;
  }

  Bytes seal_handshake(ByteView content, uint64_t seq,
                       ContentType type = ContentType::kHandshake) const {
    return aead_seal(traffic_keys(s_hs, *suite), seq, type, content);
  }
};

/// The body of an extension of a ClientHello, or nothing.
inline std::optional<Bytes> extension_of(ByteView hello, uint16_t wanted) {
  WireReader in(hello.subspan(4 + 2 + 32), "client hello");
  (void)in.vector8();
  (void)in.vector16();
  (void)in.vector8();
  WireReader list(in.vector16(), "client hello");
  while (!list.empty()) {
    const uint16_t type = list.u16();
    const ByteView body = list.vector16();
    if (type == wanted) return Bytes(body.begin(), body.end());
  }
  return std::nullopt;
}
/// The keys of a ClientHello, by the code point of their groups, in their order.
inline std::vector<std::pair<uint16_t, Bytes>> key_shares_of(ByteView hello) {
  const Bytes body = extension_of(hello, 51).value();
  WireReader in(body, "client hello");
  WireReader list(in.vector16(), "client hello");
  std::vector<std::pair<uint16_t, Bytes>> out;
  while (!list.empty()) {
    const uint16_t group = list.u16();
    const ByteView key = list.vector16();
    out.emplace_back(group, Bytes(key.begin(), key.end()));
  }
  return out;
}

/// What stands for the first hello in front of a HelloRetryRequest.
inline Bytes message_hash(ByteView first, const HashKind& kind = sha256_kind()) {
  Bytes out{254, 0, 0, static_cast<uint8_t>(kind.digest_bytes)};
  append(out, hash_of(kind, first));
  return out;
}

/// A HelloRetryRequest, which is a ServerHello with a random of its own.
inline ServerHelloFields hello_retry(std::optional<uint16_t> group, const Bytes& cookie = {}) {
  ServerHelloFields out;
  out.random = from_hex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c");
  out.key_share = group ? extension(51, Writer().u16(*group).take()) : Bytes();
  if (!cookie.empty()) {
    out.more = extension(44, Writer().u16(static_cast<uint16_t>(cookie.size())).raw(cookie).take());
  }
  return out;
}

inline ClientHelloInput hello_input(const std::string& host = "api.example") {
  ClientHelloInput input;
  input.host = host;
  input.key_shares = {{NamedGroup::kX25519, Bytes(32, 9)}};
  input.random.fill(1);
  input.session_id = Bytes(32, 2);
  return input;
}

/// As a provider's `ca_file` with those certificates.
inline TrustStore trust_of(const std::string& pem) {
  std::string name = (std::filesystem::temp_directory_path() / "flexroom-pem-XXXXXX").string();
  const int fd = ::mkstemp(name.data());
  FLEXROOM_ASSERT(fd >= 0 &&
                  ::write(fd, pem.data(), pem.size()) == static_cast<ssize_t>(pem.size()));
  ::close(fd);
  TrustStore out = TrustStore::from_files({name}, "test");
  std::filesystem::remove(name);
  return out;
}
inline TrustStore trust_of(const Cert& root) { return trust_of(to_pem(root)); }

inline ChainPolicy chain_policy(const std::string& host = "api.example") {
  ChainPolicy policy{host, trust_of(Pki::shared().root),
                     [] { return std::chrono::system_clock::from_time_t(kNow); }, std::nullopt};
  return policy;
}

inline ClientHandshake new_client() {
  return ClientHandshake(handshake_config(chain_policy()), hello_input());
}

/// The ClientHello in the record that the client sends first.
inline ClientHello hello_of(const ClientHandshake& client) {
  const Bytes record = client.client_hello_record();
  ClientHello out;
  out.message.assign(record.begin() + 5, record.end());
  return out;
}

/// The message of the abort, or "" when none was thrown.
template <typename F>
std::string abort_of(F&& f) {
  try {
    f();
  } catch (const ProtocolAbort& abort) {
    EXPECT_EQ(abort.code(), AbortCode::kServer);
    EXPECT_EQ(abort.abort_class(), AbortClass::kNetwork);
    return abort.detail();
  }
  return "";
}

}  // namespace flexroom::tls::testing
