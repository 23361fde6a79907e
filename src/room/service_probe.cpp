#include "room/service_probe.h"

#include <openssl/err.h>

#include <algorithm>

#include "base/codec.h"
#include "base/display.h"
#include "base/openssl_ptr.h"
#include "call/provider_connection.h"
#include "call/provider_trust.h"
#include "room/agreed_call.h"
#include "tls/certificate.h"

namespace flexroom::room {
namespace {

constexpr size_t kMaxHandshakeBytes = size_t{1} << 17;
constexpr size_t kMaxMessage = size_t{1} << 18;
constexpr size_t kMaxCertificates = 32;
constexpr size_t kMaxText = 2000;

[[noreturn]] void fail(const std::string& what) {
  throw ProtocolAbort(AbortCode::kServer, "look at the service", what);
}

/// What `received`, all that came, says about a handshake that failed; else the words of OpenSSL.
[[noreturn]] void explain(ByteView received, const std::string& words) {
  // RFC 8446 §4.1.3: this random makes a ServerHello a HelloRetryRequest.
  static const Bytes kRetry =
      from_hex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c");
  if (as_text(received.first(std::min<size_t>(received.size(), 5))) == "HTTP/") {
    fail("it does not speak TLS: it answered in plain HTTP");
  }
  if (!received.empty() && (received[0] < 20 || received[0] > 23)) {
    fail("it does not speak TLS: its first record has the unknown type " +
         std::to_string(received[0]));
  }
  if (std::search(received.begin(), received.end(), kRetry.begin(), kRetry.end()) !=
      received.end()) {
    fail(
        "it asked by HelloRetryRequest for a group that was not offered; without `groups` the "
        "provider's entry in room.toml offers " +
        to_string(all_groups()));
  }
  fail("the TLS 1.3 handshake failed: " + words);
}

/// What OpenSSL has to say goes out.
void flush(BIO* from, ByteStream& to) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(from, &data);
  if (size <= 0) return;
  to.write({reinterpret_cast<const uint8_t*>(data), static_cast<size_t>(size)});
  (void)BIO_reset(from);
}

std::vector<Bytes> certificates_of(const SSL* ssl) {
  const STACK_OF(X509)* chain = SSL_get_peer_cert_chain(ssl);
  std::vector<Bytes> out;
  for (int i = 0; chain != nullptr && i < sk_X509_num(chain); ++i) {
    X509* const certificate = sk_X509_value(chain, i);
    const int size = i2d_X509(certificate, nullptr);
    if (size <= 0 || out.size() == kMaxCertificates) fail("its certificates cannot be read");
    Bytes& der = out.emplace_back(static_cast<size_t>(size));
    uint8_t* end = der.data();
    (void)i2d_X509(certificate, &end);
  }
  if (out.empty()) fail("it showed no certificate");
  return out;
}

Bytes encode(const tls::CertificateList& look) {
  Writer out;
  out.u32(static_cast<uint32_t>(look.chain.size()));
  for (const Bytes& certificate : look.chain) out.field(certificate);
  if (look.ocsp_staple) out.field(*look.ocsp_staple);
  return out.take();
}

tls::CertificateList decode(ByteView bytes, PartyId from) {
  Reader in(bytes, "service/certificates", from);
  const uint32_t count = in.u32();
  if (count == 0 || count > kMaxCertificates) {
    throw ProtocolAbort(AbortCode::kUnexpectedMessage, "service/certificates",
                        std::to_string(count) + " certificates", from);
  }
  tls::CertificateList out;
  for (uint32_t k = 0; k < count; ++k) {
    const ByteView one = in.field(kMaxMessage);
    out.chain.emplace_back(one.begin(), one.end());
  }
  if (in.remaining() > 0) {
    const ByteView staple = in.field(kMaxMessage);
    out.ocsp_staple.emplace(staple.begin(), staple.end());
  }
  in.finish();
  return out;
}

/// In the place of a verdict of somebody that found nothing wrong: it remembers that the host chose
/// P-256 (tls-complete.md §1.1).
constexpr std::string_view kLikelyP256 = "\x01p256";

/// Everybody says what it found; whoever found something wrong is named at all. Gives whether
/// everybody remembers P-256, of which `remembers` is this member's word.
bool compare_verdicts(net::Party& party, const RoomConfig& room, const std::string& own,
                      bool remembers) {
  const std::string_view said = own.empty() && remembers ? kLikelyP256 : std::string_view(own);
  for (const PartyId j : party.peers()) party.send(j, "service/verdict", as_bytes(said));
  bool all = remembers;
  for (const PartyId j : party.peers()) {
    const std::string theirs = to_text(party.receive_up_to(j, "service/verdict", kMaxText));
    if (!own.empty()) continue;
    all = all && theirs == kLikelyP256;
    if (theirs.empty() || theirs == kLikelyP256) continue;
    throw ProtocolAbort(AbortCode::kServer, "look at the service",
                        room.members[j].name + " says: " + display_lines(theirs), j);
  }
  return all;
}

/// The groups of a hello as OpenSSL names them, without what it does not know.
std::string openssl_groups(const Groups& groups) {
  static const bool knows_kem = [] {
    const OpensslPtr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()));
    const bool knows = SSL_CTX_set1_groups_list(context.get(), "X25519MLKEM768") == 1;
    ERR_clear_error();
    return knows;
  }();
  std::string names;
  for (const NamedGroup group : groups) {
    const bool kem = group == NamedGroup::kX25519MlKem768;
    if (kem && !knows_kem) continue;
    if (!names.empty()) names += ':';
    names += kem ? "X25519MLKEM768" : group == NamedGroup::kP256 ? "P-256" : "X25519";
  }
  return names;
}

/// OpenSSL's callback where a server asks for a client certificate: there is none.
int note_certificate_request(SSL* ssl, X509**, EVP_PKEY**) {
  *static_cast<bool*>(SSL_get_app_data(ssl)) = true;
  return 0;
}

/// The certificates of a look, unless there came a request that the entry refuses.
tls::CertificateList certificates_of_service(ByteStream& stream, const Provider& provider,
                                             const std::string& host) {
  SeenService seen = look_at_service(stream, provider, host);
  const std::string refused = refused_request(seen, provider, host);
  if (!refused.empty()) fail(refused + "; " + kClientAuthRemedy);
  return std::move(seen.certificates);
}

/// In the place of the certificates: the courier could not look.
const Bytes kNotLookedAt = {0};

std::string where_of(const Provider& provider, const std::string& host, uint16_t port) {
  const Endpoint target = provider.resolve(host, port);
  std::string out = host + ":" + std::to_string(port);
  if (target.host == host && target.port == port) return out;
  return out + " (connect_to " + target.host + ":" + std::to_string(target.port) + ")";
}

}  // namespace

bool can_look_at_service(const Groups& groups) { return !openssl_groups(groups).empty(); }

SeenService look_at_service(ByteStream& stream, const Provider& provider, const std::string& host) {
  const OpensslPtr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()));
  FLEXROOM_ASSERT(context != nullptr);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  SSL_CTX_set_ciphersuites(context.get(), std::string(provider.suite_for(host).name).c_str());
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);  // by each member, with its roots
  const std::string names = openssl_groups(provider.groups_for(host));
  FLEXROOM_ASSERT(!names.empty());
  SSL_CTX_set1_groups_list(context.get(), names.c_str());
  SSL_CTX_set_client_cert_cb(context.get(), note_certificate_request);
  const OpensslPtr<SSL> ssl(SSL_new(context.get()));
  FLEXROOM_ASSERT(ssl != nullptr);
  SeenService look;
  SSL_set_app_data(ssl.get(), &look.asks_for_certificate);
  BIO* const in = BIO_new(BIO_s_mem());
  BIO* const out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), in, out);  // theirs now
  SSL_set_connect_state(ssl.get());
  SSL_set_tlsext_host_name(ssl.get(), host.c_str());
  SSL_set_tlsext_status_type(ssl.get(), TLSEXT_STATUSTYPE_ocsp);
  Bytes received;
  while (true) {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl.get());
    const int problem = SSL_get_error(ssl.get(), result);
    flush(out, stream);
    if (result == 1) break;
    if (problem != SSL_ERROR_WANT_READ) explain(received, take_openssl_error());
    const Bytes more = stream.read_some(16'384);
    if (more.empty()) explain(received, "it closed the connection");
    append(received, more);
    if (received.size() > kMaxHandshakeBytes) fail("it sends more than a handshake");
    FLEXROOM_ASSERT(BIO_write(in, more.data(), static_cast<int>(more.size())) ==
                    static_cast<int>(more.size()));
  }
  look.certificates = {certificates_of(ssl.get()), staple_of(ssl.get())};
  SSL_shutdown(ssl.get());
  flush(out, stream);
  return look;
}

std::string refused_request(const SeenService& look, const Provider& provider,
                            const std::string& host) {
  if (!look.asks_for_certificate || provider.client_auth_for(host) != tls::ClientAuth::kRefuse) {
    return "";
  }
  return "it asks for a client certificate, which ends a connection of the members";
}

void probe_service(Joined& joined, const Provider& provider, const std::string& host,
                   uint16_t port) {
  net::Party& party = joined.session().party();
  const RoomConfig& room = joined.state().room();
  const PartyId courier = room.courier_id();
  const Groups& groups = provider.groups_for(host);
  tls::CertificateList look;
  const std::string where = where_of(provider, host, port);
  std::optional<AbortCode> problem;
  std::string text;
  const auto guarded = [&](const std::function<void()>& step) {
    if (problem) return;
    try {
      step();
    } catch (const ProtocolAbort& abort) {
      if (abort.code() != AbortCode::kServer && abort.code() != AbortCode::kTimeout) throw;
      problem = abort.code();
      text = where + ": " + abort.detail();
    } catch (const InputError& error) {  // its roots cannot be read
      problem = AbortCode::kServer;
      text = error.what();
    }
  };
  bool looked = true;
  // A look is a connection of another form: where they are timetabled none is made outside of it
  // (tls-complete.md §8.3), and the connection itself will tell.
  const bool may_look = !provider.traffic_for(host).period;
  if (party.id() == courier) {
    looked = may_look && can_look_at_service(groups);
    guarded([&] {
      if (!may_look) return;
      const auto stream = connector(joined, provider, host, port)();
      if (!looked) return stream->close();
      look = certificates_of_service(*stream, provider, host);
      stream->close();
    });
    const Bytes message = problem ? Bytes() : looked ? encode(look) : kNotLookedAt;
    for (const PartyId j : party.peers()) party.send(j, "service/certificates", message);
  } else {
    const Bytes message = party.receive_up_to(courier, "service/certificates", kMaxMessage);
    // Where ML-KEM is required: the connection itself will tell.
    const bool expected = !may_look || groups == Groups{NamedGroup::kX25519MlKem768};
    looked = message != kNotLookedAt || !expected;
    if (looked && !message.empty()) look = decode(message, courier);
  }
  guarded([&] {
    if (look.chain.empty()) return;  // the courier will say why
    tls::check_chain(look, chain_policy(provider, host));
  });
  const auto curve = joined.connections().remembered(host);
  const bool all_remember =
      compare_verdicts(party, room, text.substr(0, kMaxText), curve == NamedGroup::kP256);
  if (problem) throw ProtocolAbort(*problem, "look at the service", text);
  if (looked && look.chain.empty()) {
    throw ProtocolAbort(AbortCode::kUnexpectedMessage, "service/certificates",
                        "none came, and no reason", courier);
  }
  joined.connections().agree(host, all_remember ? curve : std::nullopt);
}

}  // namespace flexroom::room
