#include "tls/messages.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/codec.h"
#include "base/host_name.h"
#include "tls/wire.h"

namespace flexroom::tls {
namespace {

// RFC 8446 §4.2 and the registry.
constexpr uint16_t kServerName = 0;
constexpr uint16_t kStatusRequest = 5;
constexpr uint16_t kSupportedGroups = 10;
constexpr uint16_t kSignatureAlgorithms = 13;
constexpr uint16_t kAlpn = 16;
constexpr uint16_t kRecordSizeLimit = 28;
constexpr uint16_t kPreSharedKey = 41;
constexpr uint16_t kEarlyData = 42;
constexpr uint16_t kSupportedVersions = 43;
constexpr uint16_t kCookie = 44;
constexpr uint16_t kKeyShare = 51;

constexpr size_t kMaxCookie = 2048;

// ML-KEM-768 (FIPS 203 §8) in a share of X25519MLKEM768, in front of the X25519 key.
constexpr size_t kKemKey = 1184, kKemCiphertext = 1088;

constexpr std::string_view kHttp11 = "http/1.1";

// §3.2. The PKCS#1 v1.5 ones (x01), at the end, are for signatures inside certificates only.
constexpr std::array<uint16_t, 13> kSignatureSchemes = {0x0403, 0x0503, 0x0603, 0x0804, 0x0805,
                                                        0x0806, 0x0807, 0x0809, 0x080a, 0x080b,
                                                        0x0401, 0x0501, 0x0601};
constexpr std::span kHandshakeSchemes = std::span(kSignatureSchemes).first<10>();

// SHA-256("HelloRetryRequest"), RFC 8446 §4.1.3.
constexpr std::array<uint8_t, 32> kHelloRetryRandom = {
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};

struct Extension {
  uint16_t type;
  ByteView body;
};

// Every extension block of a server: unique types, nothing left over.
std::vector<Extension> read_extensions(ByteView block, std::string_view step) {
  WireReader in(block, step);
  std::vector<Extension> out;
  while (!in.empty()) {
    const uint16_t type = in.u16();
    const ByteView body = in.vector16();
    for (const Extension& earlier : out) {
      if (earlier.type == type) {
        in.fail("the server sent extension " + std::to_string(type) + " twice",
                Alert::kIllegalParameter);
      }
    }
    out.push_back({type, body});
  }
  return out;
}

const Extension* find(const std::vector<Extension>& extensions, uint16_t type) {
  const auto it = std::find_if(extensions.begin(), extensions.end(),
                               [&](const Extension& e) { return e.type == type; });
  return it == extensions.end() ? nullptr : &*it;
}

void put_extension(Writer& out, uint16_t type, ByteView body) {
  out.u16(type).u16(static_cast<uint16_t>(body.size())).raw(body);
}

bool is_sent(const ClientHelloInput& input, NamedGroup group) {
  return std::find(input.held_back.begin(), input.held_back.end(), group) == input.held_back.end();
}

/// The two extensions about groups.
struct GroupExtensions {
  Bytes supported, shares;
};
GroupExtensions group_extensions(const ClientHelloInput& input) {
  Writer groups, shares;
  for (const KeyShare& share : input.key_shares) {
    groups.u16(code_point(share.group));
    if (!is_sent(input, share.group)) continue;
    shares.u16(code_point(share.group));
    shares.u16(static_cast<uint16_t>(share.key.size())).raw(share.key);
  }
  const auto vector16 = [](const Writer& of) {
    return Writer().u16(static_cast<uint16_t>(of.bytes().size())).raw(of.bytes()).take();
  };
  return {vector16(groups), vector16(shares)};
}

Bytes client_extensions(const ClientHelloInput& input) {
  const auto host_size = static_cast<uint16_t>(input.host.size());
  const GroupExtensions groups = group_extensions(input);
  Writer schemes;
  schemes.u16(2 * kSignatureSchemes.size());
  for (const uint16_t scheme : kSignatureSchemes) schemes.u16(scheme);

  Writer out;
  put_extension(out, kServerName,
                Writer()
                    .u16(static_cast<uint16_t>(host_size + 3))
                    .u8(0)
                    .u16(host_size)
                    .raw(as_bytes(input.host))
                    .bytes());
  put_extension(out, kSupportedGroups, groups.supported);
  put_extension(out, kSignatureAlgorithms, schemes.bytes());
  put_extension(out, kAlpn,
                Writer().u16(kHttp11.size() + 1).u8(kHttp11.size()).raw(as_bytes(kHttp11)).bytes());
  put_extension(out, kSupportedVersions, Writer().u8(2).u16(0x0304).bytes());
  put_extension(out, kKeyShare, groups.shares);
  if (!input.cookie.empty()) {
    put_extension(
        out, kCookie,
        Writer().u16(static_cast<uint16_t>(input.cookie.size())).raw(input.cookie).bytes());
  }
  if (input.record_size_limit) {
    put_extension(out, kRecordSizeLimit, Writer().u16(*input.record_size_limit).bytes());
  }
  if (input.status_request) {  // ocsp, no responder ids, no extensions
    put_extension(out, kStatusRequest, Writer().u8(1).u16(0).u16(0).bytes());
  }
  return out.take();
}

// Of a ServerHello and of a HelloRetryRequest: supported_versions = 0304, nothing but that and
// key_share, or cookie in a HelloRetryRequest.
void check_server_extensions(const std::vector<Extension>& extensions, bool retry,
                             const WireReader& in) {
  const Extension* version = find(extensions, kSupportedVersions);
  if (version == nullptr) {
    in.fail("the server chose TLS 1.2 or older; Flexroom speaks TLS 1.3 only",
            Alert::kProtocolVersion);
  }
  if (version->body.size() != 2 || version->body[0] != 3 || version->body[1] != 4) {
    in.fail("the server chose a protocol version other than TLS 1.3");
  }
  if (find(extensions, kPreSharedKey) != nullptr) {
    in.fail("the server chose a pre-shared key, which was not offered",
            Alert::kUnsupportedExtension);
  }
  if (find(extensions, kEarlyData) != nullptr) {
    in.fail("the server accepted early_data, which was not offered", Alert::kUnsupportedExtension);
  }
  for (const Extension& extension : extensions) {
    if (extension.type != kSupportedVersions && extension.type != kKeyShare &&
        !(retry && extension.type == kCookie)) {
      in.fail("the server put extension " + std::to_string(extension.type) + " into its " +
                  (retry ? "HelloRetryRequest" : "ServerHello") + ", where it must not be",
              Alert::kUnsupportedExtension);
    }
  }
}

Groups offered_groups(const ClientHelloInput& input) {
  Groups out;
  for (const KeyShare& share : input.key_shares) out.push_back(share.group);
  return out;
}
/// Those whose key the hello holds.
Groups sent_groups(const ClientHelloInput& input) {
  Groups out;
  for (const KeyShare& share : input.key_shares) {
    if (is_sent(input, share.group)) out.push_back(share.group);
  }
  return out;
}

std::optional<NamedGroup> find_group(const Groups& groups, uint16_t code) {
  for (const NamedGroup group : groups) {
    if (code_point(group) == code) return group;
  }
  return std::nullopt;
}

KeyShare read_key_share(const std::vector<Extension>& extensions, const ClientHelloInput& hello,
                        const WireReader& outer) {
  const Extension* share = find(extensions, kKeyShare);
  if (share == nullptr) outer.fail("the server sent no key share", Alert::kMissingExtension);
  WireReader in(share->body, "server hello");
  const Groups sent = sent_groups(hello);
  const auto group = find_group(sent, in.u16());
  if (!group) {
    in.fail("the server's key share is of another group than the offered " + to_string(sent));
  }
  const ByteView key = in.vector16();
  in.finish();
  if (key.size() != server_share_size(*group)) {
    in.fail("the server's key share has " + std::to_string(key.size()) + " bytes, expected " +
            std::to_string(server_share_size(*group)));
  }
  return {*group, Bytes(key.begin(), key.end())};
}

ByteView read_cookie(ByteView body) {
  WireReader in(body, "hello retry request");
  const ByteView cookie = in.vector16();
  in.finish();
  if (cookie.empty()) in.fail("the server's cookie is empty", Alert::kDecodeError);
  if (cookie.size() > kMaxCookie) {
    in.fail("the server's cookie has " + std::to_string(cookie.size()) + " bytes, at most " +
            std::to_string(kMaxCookie) + " are taken");
  }
  return cookie;
}

NamedGroup read_wanted_group(ByteView body, const ClientHelloInput& hello) {
  WireReader in(body, "hello retry request");
  const uint16_t code = in.u16();
  in.finish();
  const auto group = find_group(offered_groups(hello), code);
  if (!group) {
    in.fail("the server asked for a key of a group that was not offered; offered were " +
            to_string(offered_groups(hello)));
  }
  if (is_sent(hello, *group)) {
    in.fail("the server asked for a key of " + std::string(to_string(*group)) +
            ", which it was sent already");
  }
  return *group;
}

// What is left of tls-complete.md §1.2 behind the checks that it has in common with a ServerHello.
HelloRetryRequest read_retry(const std::vector<Extension>& extensions, const ClientHello& hello,
                             const WireReader& in) {
  HelloRetryRequest out;
  if (const Extension* share = find(extensions, kKeyShare)) {
    out.group = read_wanted_group(share->body, hello.input);
  }
  if (const Extension* extension = find(extensions, kCookie)) {
    const ByteView cookie = read_cookie(extension->body);
    out.cookie.assign(cookie.begin(), cookie.end());
  }
  if (!out.group && out.cookie.empty()) {
    in.fail("the server asked for another ClientHello (HelloRetryRequest) without any change");
  }
  return out;
}

std::string hex16(uint16_t value) {
  const uint8_t bytes[2] = {static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)};
  return "0x" + to_hex(bytes);
}

void check_alpn(ByteView body, const WireReader& outer) {
  WireReader in(body, "encrypted extensions");
  WireReader list(in.vector16(), "encrypted extensions");
  in.finish();
  const ByteView name = list.vector8();
  list.finish();
  if (as_text(name) != kHttp11) outer.fail("the server chose an application protocol not offered");
}

}  // namespace

uint16_t code_point(NamedGroup group) {
  switch (group) {
    case NamedGroup::kX25519:
      return 0x001d;
    case NamedGroup::kP256:
      return 0x0017;
    case NamedGroup::kX25519MlKem768:
      break;
  }
  return 0x11ec;
}

size_t client_share_size(NamedGroup group) {
  if (group == NamedGroup::kX25519MlKem768) return kKemKey + 32;
  return server_share_size(group);
}

size_t server_share_size(NamedGroup group) {
  switch (group) {
    case NamedGroup::kX25519:
      return 32;
    case NamedGroup::kP256:
      return 65;
    case NamedGroup::kX25519MlKem768:
      break;
  }
  return kKemCiphertext + 32;
}

ByteView curve_share(NamedGroup group, ByteView server_share) {
  FLEXROOM_ASSERT(server_share.size() == server_share_size(group));
  return server_share.last(server_share_size(curve_of(group)));
}

ByteView kem_share(NamedGroup group, ByteView server_share) {
  FLEXROOM_ASSERT(server_share.size() == server_share_size(group));
  return server_share.first(server_share.size() - server_share_size(curve_of(group)));
}

Bytes handshake_message(HandshakeType type, ByteView body) {
  FLEXROOM_ASSERT(body.size() < (size_t{1} << 24));
  return Writer()
      .u8(static_cast<uint8_t>(type))
      .u8(static_cast<uint8_t>(body.size() >> 16))
      .u16(static_cast<uint16_t>(body.size()))
      .raw(body)
      .take();
}

Groups held_back_of(const Groups& groups, std::optional<NamedGroup> likely) {
  if (!has_kem(groups)) return {};
  const bool has_p256 = std::find(groups.begin(), groups.end(), NamedGroup::kP256) != groups.end();
  const bool p256_first = has_p256 && likely == NamedGroup::kP256;
  const NamedGroup held = p256_first ? NamedGroup::kX25519 : NamedGroup::kP256;
  const bool offered = std::find(groups.begin(), groups.end(), held) != groups.end();
  return offered ? Groups{held} : Groups{};
}

size_t client_hello_bytes(const Groups& groups, const std::string& host, bool status_request) {
  constexpr size_t kRecordHeader = 5;
  ClientHelloInput input;
  input.host = host;
  for (const NamedGroup group : groups) {
    input.key_shares.push_back({group, Bytes(client_share_size(group))});
  }
  input.held_back = held_back_of(groups);
  input.status_request = status_request;
  return kRecordHeader + build_client_hello(input).message.size();
}

ClientHello build_client_hello(const ClientHelloInput& input) {
  if (!is_host_name(input.host)) {
    throw InputError(
        "host '" + input.host + "'", "is not a DNS name",
        "use the service's lower-case host name; IP addresses cannot be authenticated");
  }
  FLEXROOM_ASSERT(!input.key_shares.empty() && !sent_groups(input).empty());
  for (const KeyShare& share : input.key_shares) {
    FLEXROOM_ASSERT(share.key.size() == client_share_size(share.group));
  }
  FLEXROOM_ASSERT(input.session_id.size() == 32 && input.cookie.size() <= kMaxCookie);
  FLEXROOM_ASSERT(!input.record_size_limit ||
                  (*input.record_size_limit >= 64 && *input.record_size_limit <= 16385));
  const Bytes extensions = client_extensions(input);
  Writer body;
  body.u16(0x0303).raw(input.random).u8(32).raw(input.session_id);
  body.u16(2).u16(input.suite->code).u8(1).u8(0);
  body.u16(static_cast<uint16_t>(extensions.size())).raw(extensions);

  ClientHello out;
  out.message = handshake_message(HandshakeType::kClientHello, body.bytes());
  out.input = input;
  return out;
}

ClientHello second_client_hello(const ClientHello& first, const HelloRetryRequest& retry) {
  FLEXROOM_ASSERT(!first.second);
  ClientHelloInput input = first.input;
  if (retry.group) {
    input.held_back = offered_groups(input);
    std::erase(input.held_back, *retry.group);
  }
  input.cookie = retry.cookie;
  ClientHello out = build_client_hello(input);
  out.second = true;
  return out;
}

std::variant<ServerHello, HelloRetryRequest> parse_server_hello(ByteView body,
                                                                const ClientHello& hello) {
  WireReader in(body, "server hello");
  const uint16_t version = in.u16();
  if (version < 0x0303) {
    in.fail("the server chose TLS 1.1 or older; Flexroom speaks TLS 1.3 only",
            Alert::kProtocolVersion);
  }
  if (version != 0x0303) in.fail("the server sent legacy_version " + hex16(version));
  const ByteView random = in.raw(32);
  const bool retry = std::equal(random.begin(), random.end(), kHelloRetryRandom.begin());
  if (retry && hello.second) {
    in.fail("the server asked for another ClientHello (HelloRetryRequest) twice",
            Alert::kUnexpectedMessage);
  }
  const ByteView session_id = in.vector8();
  const uint16_t suite = in.u16();
  const uint8_t compression = in.u8();
  // A TLS 1.2 ServerHello may end here, and is recognised before anything else is held against it.
  const auto extensions =
      in.empty() ? std::vector<Extension>() : read_extensions(in.vector16(), "server hello");
  in.finish();
  check_server_extensions(extensions, retry, in);
  const Bytes& sent_id = hello.input.session_id;
  if (!std::equal(session_id.begin(), session_id.end(), sent_id.begin(), sent_id.end())) {
    in.fail("the server did not echo the session id");
  }
  if (suite != hello.input.suite->code) {
    in.fail("the server chose cipher suite " + hex16(suite) + ", offered was only " +
            hex16(hello.input.suite->code));
  }
  if (compression != 0) in.fail("the server chose compression");
  if (retry) return read_retry(extensions, hello, in);
  return ServerHello{read_key_share(extensions, hello.input, in)};
}

void check_encrypted_extensions(ByteView body, const ClientHello& hello) {
  WireReader in(body, "encrypted extensions");
  const auto extensions = read_extensions(in.vector16(), "encrypted extensions");
  in.finish();
  for (const auto& [type, content] : extensions) {
    if (type == kServerName) {
      if (!content.empty()) {
        in.fail("the server's server_name answer is not empty", Alert::kDecodeError);
      }
    } else if (type == kSupportedGroups) {
      // Advice for later connections (RFC 8446 §4.2.7); only its form matters.
      WireReader list(content, "encrypted extensions");
      if (list.vector16().size() % 2 != 0) {
        in.fail("the server sent a malformed supported_groups", Alert::kDecodeError);
      }
      list.finish();
    } else if (type == kAlpn) {
      check_alpn(content, in);
    } else if (type == kRecordSizeLimit && hello.input.record_size_limit) {
      WireReader value(content, "encrypted extensions");
      const uint16_t limit = value.u16();
      value.finish();
      if (limit < 64) in.fail("the server's record size limit is below 64");
    } else if (type == kEarlyData) {
      in.fail("the server accepted early_data, which was not offered",
              Alert::kUnsupportedExtension);
    } else {
      in.fail("the server sent extension " + std::to_string(type) +
                  " in EncryptedExtensions, where it must not be or was not offered",
              Alert::kUnsupportedExtension);
    }
  }
}

namespace {

// RFC 8446 §4.4.2.1: a CertificateStatus of type ocsp, with the response of that certificate.
Bytes read_ocsp_staple(ByteView body) {
  WireReader in(body, "certificate");
  if (in.u8() != 1) in.fail("the server stapled a certificate status of unknown type");
  const ByteView response = in.vector24();
  in.finish();
  if (response.empty()) in.fail("the server stapled an empty certificate status");
  return Bytes(response.begin(), response.end());
}

}  // namespace

CertificateList parse_certificate(ByteView body, const ClientHello& hello) {
  WireReader in(body, "certificate");
  if (body.size() > kMaxCertificateBytes) {
    in.fail("the server's certificates exceed 64 KB", Alert::kBadCertificate);
  }
  if (!in.vector8().empty()) in.fail("the server's Certificate has a request context");
  WireReader list(in.vector24(), "certificate");
  in.finish();
  CertificateList out;
  while (!list.empty()) {
    const ByteView der = list.vector24();
    const auto extensions = read_extensions(list.vector16(), "certificate");
    if (der.empty()) in.fail("the server sent an empty certificate", Alert::kDecodeError);
    for (const auto& [type, content] : extensions) {
      if (type != kStatusRequest || !hello.input.status_request) {
        in.fail("the server sent a certificate extension that was not offered",
                Alert::kUnsupportedExtension);
      }
      Bytes staple = read_ocsp_staple(content);
      if (out.chain.empty()) out.ocsp_staple = std::move(staple);  // the leaf's
    }
    if (out.chain.size() == kMaxCertificates) {
      in.fail("the server sent more than " + std::to_string(kMaxCertificates) + " certificates");
    }
    out.chain.emplace_back(der.begin(), der.end());
  }
  if (out.chain.empty()) in.fail("the server sent no certificate", Alert::kDecodeError);
  return out;
}

void check_new_session_ticket(ByteView body) {
  constexpr uint64_t kWeek = 604800;  // RFC 8446 §4.6.1
  WireReader in(body, "session ticket");
  const uint64_t lifetime = uint64_t{in.u16()} << 16 | in.u16();
  (void)in.raw(4);  // ticket_age_add
  (void)in.vector8();
  const ByteView ticket = in.vector16();
  (void)read_extensions(in.vector16(), "session ticket");
  in.finish();
  if (lifetime > kWeek) in.fail("the server sent a ticket that lives longer than seven days");
  if (ticket.empty()) in.fail("the server sent an empty ticket", Alert::kDecodeError);
}

void check_certificate_request(ByteView body) {
  WireReader in(body, "certificate request");
  if (!in.vector8().empty()) in.fail("the server's CertificateRequest has a context");
  const auto extensions = read_extensions(in.vector16(), "certificate request");
  in.finish();
  const Extension* const schemes = find(extensions, kSignatureAlgorithms);
  if (schemes == nullptr) {
    in.fail("the server's CertificateRequest has no signature_algorithms",
            Alert::kMissingExtension);
  }
  WireReader list(schemes->body, "certificate request");
  const size_t bytes = list.vector16().size();
  list.finish();
  if (bytes == 0 || bytes % 2 != 0) {
    in.fail("the server's CertificateRequest has malformed signature_algorithms",
            Alert::kDecodeError);
  }
}

Bytes empty_certificate() { return handshake_message(HandshakeType::kCertificate, Bytes(4)); }

CertificateVerify parse_certificate_verify(ByteView body) {
  WireReader in(body, "certificate verify");
  CertificateVerify out;
  out.scheme = in.u16();
  const ByteView signature = in.vector16();
  in.finish();
  if (std::find(kHandshakeSchemes.begin(), kHandshakeSchemes.end(), out.scheme) ==
      kHandshakeSchemes.end()) {
    in.fail("the server signed with scheme " + hex16(out.scheme) +
            ", which is not allowed for handshake signatures");
  }
  out.signature.assign(signature.begin(), signature.end());
  return out;
}

}  // namespace flexroom::tls
