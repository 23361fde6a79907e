#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <map>

#include "tls/handshake.h"
#include "tls/open_response.h"
#include "unit/tls/fake_server.h"

// The machine against OpenSSL's server. The test plays the MPC: it does the Diffie-Hellman and the
// key schedule in the clear, and OpenSSL's key log says what the secrets should have been.

namespace flexroom::tls {
namespace {

using ::testing::HasSubstr;
using testing::Key;
using testing::Pki;

class OpenSslServer {
 public:
  explicit OpenSslServer(const char* groups = "X25519:P-256",
                         const Key& key = Pki::shared().leaf_key,
                         const testing::Cert& leaf = Pki::shared().leaf) {
    ctx_ = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_min_proto_version(ctx_, TLS1_2_VERSION);
    SSL_CTX_set1_groups_list(ctx_, groups);
    SSL_CTX_use_certificate(ctx_, leaf.get());
    SSL_CTX_add1_chain_cert(ctx_, Pki::shared().middle.get());
    SSL_CTX_use_PrivateKey(ctx_, key.get());
    SSL_CTX_set_keylog_callback(ctx_, [](const SSL* ssl, const char* line) {
      const std::string text(line);
      const size_t first = text.find(' '), last = text.rfind(' ');
      static_cast<OpenSslServer*>(SSL_get_app_data(ssl))->secrets[text.substr(0, first)] =
          from_hex(text.substr(last + 1));
    });
    SSL_CTX_set_alpn_select_cb(
        ctx_,
        [](SSL*, const uint8_t** out, uint8_t* size, const uint8_t* in, unsigned, void*) {
          *out = in + 1;
          *size = in[0];
          return SSL_TLSEXT_ERR_OK;
        },
        nullptr);
  }
  ~OpenSslServer() {
    SSL_free(ssl_);
    SSL_CTX_free(ctx_);
  }
  SSL_CTX* ctx() { return ctx_; }
  SSL* ssl() { return ssl_; }

  Bytes exchange(const Bytes& in) {
    if (ssl_ == nullptr) {
      ssl_ = SSL_new(ctx_);
      SSL_set_app_data(ssl_, this);
      SSL_set_bio(ssl_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
      SSL_set_accept_state(ssl_);
    }
    if (!in.empty()) BIO_write(SSL_get_rbio(ssl_), in.data(), static_cast<int>(in.size()));
    SSL_do_handshake(ssl_);
    ERR_clear_error();
    return output();
  }
  Bytes output() {
    Bytes out(BIO_ctrl_pending(SSL_get_wbio(ssl_)));
    if (!out.empty()) BIO_read(SSL_get_wbio(ssl_), out.data(), static_cast<int>(out.size()));
    return out;
  }
  void write(std::string_view text) { SSL_write(ssl_, text.data(), static_cast<int>(text.size())); }
  std::string read() {
    char buffer[20000];
    const int n = SSL_read(ssl_, buffer, sizeof buffer);
    return n > 0 ? std::string(buffer, static_cast<size_t>(n)) : "";
  }
  std::map<std::string, Bytes> secrets;

 private:
  SSL_CTX* ctx_;
  SSL* ssl_ = nullptr;
};

Bytes public_key(const Key& key) {
  uint8_t* data = nullptr;
  const size_t size = EVP_PKEY_get1_encoded_public_key(key.get(), &data);
  Bytes out(data, data + size);
  OPENSSL_free(data);
  return out;
}

Bytes shared_secret(const Key& own, const Bytes& other) {
  EVP_PKEY* peer = EVP_PKEY_new();
  EVP_PKEY_copy_parameters(peer, own.get());
  if (EVP_PKEY_is_a(own.get(), "X25519")) EVP_PKEY_set_type(peer, EVP_PKEY_X25519);
  FLEXROOM_ASSERT(EVP_PKEY_set1_encoded_public_key(peer, other.data(), other.size()) == 1);
  EVP_PKEY_CTX* ctx = EVP_PKEY_CTX_new(own.get(), nullptr);
  FLEXROOM_ASSERT(EVP_PKEY_derive_init(ctx) == 1 && EVP_PKEY_derive_set_peer(ctx, peer) == 1);
  Bytes out(32);
  size_t size = out.size();
  FLEXROOM_ASSERT(EVP_PKEY_derive(ctx, out.data(), &size) == 1);
  EVP_PKEY_CTX_free(ctx);
  EVP_PKEY_free(peer);
  return out;
}

// The schedule of §3.4 with F+'s split: what is revealed is used as revealed.
struct Oracle {
  Oracle(const HashKind& hash, const Bytes& x) : kind(hash) {
    handshake = hmac(kind, derived_early_secret(kind), x);
    const HashValue derived = derive_secret(kind, handshake, "derived", hash_of(kind, {}));
    master = hmac(kind, derived, Bytes(kind.digest_bytes));
  }
  const HashKind& kind;
  HashValue handshake, master;
};

/// What the server sends up to its Finished, in the clear.
Bytes messages_of(const Bytes& answer, const HashValue& s_hs, const CipherSuite& suite) {
  Bytes out;
  uint64_t seq = 0;
  for (const RawRecord& record : RecordReader().feed(answer)) {
    if (record.type() == static_cast<uint8_t>(ContentType::kHandshake)) append(out, record.payload);
    if (record.type() != static_cast<uint8_t>(ContentType::kApplicationData)) continue;
    auto inner = aead_open(traffic_keys(s_hs, suite), seq++, record);
    append(out, split_inner(inner.value(), "test").content);
  }
  return out;
}

struct Connection {
  OpenSslServer& server;
  NamedGroup group;
  const CipherSuite& suite;
  ClientHandshake client;
  Key key;
  TrafficKeys client_keys;
  Bytes client_secret;
  HashValue c_hs, s_ap;
  Bytes hashed;  // up to the server's Finished

  Connection(OpenSslServer& s, NamedGroup g, Key k, ChainPolicy policy = testing::chain_policy(),
             ClientAuth auth = ClientAuth::kRefuse, const CipherSuite& c = aes128_gcm_sha256())
      : server(s),
        group(g),
        suite(c),
        client(config(std::move(policy), auth), input(g, k, c)),
        key(std::move(k)) {}

  static HandshakeConfig config(ChainPolicy policy, ClientAuth auth) {
    HandshakeConfig out = handshake_config(std::move(policy));
    out.client_auth = auth;
    return out;
  }

  static ClientHelloInput input(NamedGroup group, const Key& key, const CipherSuite& suite) {
    auto in = testing::hello_input();
    in.key_shares = {{group, public_key(key)}};
    in.suite = &suite;
    return in;
  }

  void handshake() {
    const Bytes answer = server.exchange(client.client_hello_record());
    const auto events = client.feed(answer);
    ASSERT_EQ(events.size(), 1u);
    const HashKind& kind = suite.hash();
    const Oracle oracle(kind, shared_secret(key, events[0].key_share.key));
    c_hs = derive_secret(kind, oracle.handshake, kClientHandshake, events[0].digest);
    const HashValue s_hs =
        derive_secret(kind, oracle.handshake, kServerHandshake, events[0].digest);
    EXPECT_EQ(Bytes(s_hs.begin(), s_hs.end()), server.secrets["SERVER_HANDSHAKE_TRAFFIC_SECRET"]);
    hashed = testing::join({testing::hello_of(client).message, messages_of(answer, s_hs, suite)});
    const auto finished = client.set_server_secret(s_hs);
    ASSERT_EQ(finished.size(), 1u);
    const HashValue h2 = finished[0].digest;
    const HashValue c_ap = derive_secret(kind, oracle.master, kClientApplication, h2);
    s_ap = derive_secret(kind, oracle.master, kServerApplication, h2);
    EXPECT_EQ(Bytes(s_ap.begin(), s_ap.end()), server.secrets["SERVER_TRAFFIC_SECRET_0"]);
    client_secret.assign(c_ap.begin(), c_ap.end());
    client_keys = traffic_keys(c_ap, suite);
  }
};

Key ecdh_key(NamedGroup group) {
  if (group == NamedGroup::kP256) return testing::make_key("P-256");
  return Key(EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"), EVP_PKEY_free);
}

class Interop : public ::testing::TestWithParam<std::tuple<NamedGroup, const CipherSuite*>> {};

TEST_P(Interop, RequestAndOpenResponseWithOpenSsl) {
  const auto& [group, suite] = GetParam();
  OpenSslServer server;
  ASSERT_EQ(SSL_CTX_set_ciphersuites(server.ctx(), std::string(suite->name).c_str()), 1);
  Connection c(server, group, ecdh_key(group), testing::chain_policy(), ClientAuth::kRefuse,
               *suite);
  c.handshake();
  if (::testing::Test::HasFatalFailure()) return;
  Bytes out = c.client.client_finished_record(c.c_hs);
  const std::string request = "GET / HTTP/1.1\r\nHost: api.example\r\n\r\n";
  append(out, aead_seal(c.client_keys, 0, ContentType::kApplicationData, as_bytes(request)));
  c.client.feed(server.exchange(out));
  EXPECT_EQ(server.read(), request);
  EXPECT_EQ(c.client_secret, server.secrets["CLIENT_TRAFFIC_SECRET_0"]);
  EXPECT_STREQ(SSL_get_servername(server.ssl(), TLSEXT_NAMETYPE_host_name), "api.example");

  const uint64_t released = c.client.bytes_received();
  server.write("first ");
  SSL_key_update(server.ssl(), SSL_KEY_UPDATE_REQUESTED);
  server.write("second");
  SSL_shutdown(server.ssl());
  c.client.feed(server.output());
  FrozenResponse frozen{c.client.take_application_records(), released,
                        c.client.has_partial_record(), suite};
  EXPECT_EQ(quiet_before_freeze(frozen.records, released, frozen.trailing_partial, true),
            kQuietAfterClose);
  const OpenedResponse opened = open_response(frozen, c.s_ap);
  EXPECT_EQ(as_text(opened.application_data), "first second");
  EXPECT_TRUE(opened.close_notify);
  EXPECT_EQ(opened.key_updates, 1u);
  // OpenSSL sends its two tickets though psk_key_exchange_modes was not offered.
  EXPECT_LE(opened.tickets, 2u);
  EXPECT_FALSE(opened.unknown_outcome.has_value());
}

INSTANTIATE_TEST_SUITE_P(
    Groups, Interop,
    ::testing::Combine(::testing::Values(NamedGroup::kX25519, NamedGroup::kP256),
                       ::testing::Values(&aes128_gcm_sha256(), &chacha20_poly1305_sha256(),
                                         &aes256_gcm_sha384())));

TEST(InteropServers, RsaAndP384CertificatesAreAccepted) {
  for (const char* kind : {"rsa2048", "rsa3072", "P-384"}) {
    const Key key = testing::make_key(kind);
    const auto leaf = testing::make_cert({}, key, Pki::shared().middle, Pki::shared().middle_key);
    OpenSslServer server("X25519", key, leaf);
    Connection c(server, NamedGroup::kX25519, ecdh_key(NamedGroup::kX25519));
    c.handshake();
    EXPECT_EQ(c.client.phase(), Phase::kApplication) << kind;
  }
}

std::string refusal(OpenSslServer& server, NamedGroup group = NamedGroup::kX25519) {
  Connection c(server, group, ecdh_key(group));
  return testing::abort_of([&] { c.handshake(); });
}

TEST(InteropServers, WhatTheyMustNotDoIsNamed) {
  OpenSslServer other("P-256");
  EXPECT_THAT(refusal(other), HasSubstr("handshake_failure"));
  OpenSslServer old;
  SSL_CTX_set_max_proto_version(old.ctx(), TLS1_2_VERSION);
  EXPECT_THAT(refusal(old), HasSubstr("protocol_version"));
  OpenSslServer suite;
  SSL_CTX_set_ciphersuites(suite.ctx(), "TLS_AES_256_GCM_SHA384");
  EXPECT_THAT(refusal(suite), HasSubstr("handshake_failure"));
  OpenSslServer mutual;
  SSL_CTX_set_verify(mutual.ctx(), SSL_VERIFY_PEER, nullptr);
  EXPECT_THAT(refusal(mutual), HasSubstr("CertificateRequest"));
}

/// A server that asks for a client certificate and takes any, and the members' connection to it.
struct Asked {
  Asked() {
    SSL_CTX_set_verify(server.ctx(), SSL_VERIFY_PEER, [](int, X509_STORE_CTX*) { return 1; });
    connection.handshake();
  }
  /// Whether the request behind that flight is served, and under whose certificate.
  std::string served(Bytes flight) {
    append(flight, aead_seal(connection.client_keys, 0, ContentType::kApplicationData,
                             as_bytes("GET / HTTP/1.1\r\n\r\n")));
    server.exchange(flight);
    const std::string request = server.read();
    ERR_clear_error();
    if (request.empty()) return "refused";
    X509* const peer = SSL_get1_peer_certificate(server.ssl());
    const bool own = peer != nullptr && X509_cmp(peer, Pki::shared().leaf.get()) == 0;
    X509_free(peer);
    return own ? "as the courier" : "as nobody";
  }
  /// The record that the members' flight is, as GC-CF and its tag make it.
  Bytes members_flight() const {
    Bytes content = empty_certificate();
    append(content, handshake_message(HandshakeType::kFinished,
                                      finished_mac(sha256_kind(), connection.c_hs,
                                                   connection.client.client_flight_transcript())));
    EXPECT_EQ(connection.client.client_flight_transcript(),
              HashValue(sha256(testing::join({connection.hashed, empty_certificate()}))));
    return aead_seal(traffic_keys(connection.c_hs), 0, ContentType::kHandshake, content);
  }

  OpenSslServer server;
  Connection connection{server, NamedGroup::kX25519, ecdh_key(NamedGroup::kX25519),
                        testing::chain_policy(), ClientAuth::kNone};
};

// 67, tls-complete.md §4.1: whoever knows c_hs has the members' request served under a certificate
// of its own. That is why it stays inside where the server asks for one.
TEST(InteropServers, WhoKnowsTheClientSecretAnswersWithItsOwnCertificate) {
  Asked asked;
  const Connection& c = asked.connection;
  const Bytes certificate = testing::certificate_message({testing::to_der(Pki::shared().leaf)});
  Bytes hashed = testing::join({c.hashed, certificate});
  Bytes content(64, ' ');
  append(content, "TLS 1.3, client CertificateVerify");
  content.push_back(0);
  append(content, sha256(hashed));
  const Bytes verify = testing::certificate_verify_message(
      0x0403, testing::sign(Pki::shared().leaf_key, 0x0403, content));
  append(hashed, verify);
  const Bytes finished = handshake_message(HandshakeType::kFinished,
                                           finished_mac(sha256_kind(), c.c_hs, sha256(hashed)));
  EXPECT_EQ(asked.served(aead_seal(traffic_keys(c.c_hs), 0, ContentType::kHandshake,
                                   testing::join({certificate, verify, finished}))),
            "as the courier");
}

// 67: with c_hs inside the courier has the record and its plaintext, so its keystream, and one tag:
// no other record of that length or shorter is taken, and so none with a certificate.
TEST(InteropServers, TheMembersFlightIsTakenAsItIsOrNotAtAll) {
  EXPECT_EQ(Asked().served(Asked().members_flight()), "refused");  // of another connection
  Asked asked;
  EXPECT_EQ(asked.served(asked.members_flight()), "as nobody");
  for (const size_t at : {size_t{5}, size_t{8}, size_t{16}, size_t{49}, size_t{50}, size_t{65}}) {
    Asked other;
    Bytes record = other.members_flight();
    record.at(at) ^= 1;
    EXPECT_EQ(other.served(record), "refused") << at;
  }
  Asked shorter;
  Bytes record = shorter.members_flight();
  record.erase(record.begin() + 5 + 44, record.begin() + 5 + 45);
  record[4] -= 1;
  EXPECT_EQ(shorter.served(record), "refused");
  Asked none;
  EXPECT_EQ(none.served({}), "refused");
}

TEST(InteropServers, FragmentedAndPaddedFlightsAreAccepted) {
  OpenSslServer server;
  SSL_CTX_set_max_send_fragment(server.ctx(), 512);
  SSL_CTX_set_block_padding(server.ctx(), 256);
  Connection c(server, NamedGroup::kX25519, ecdh_key(NamedGroup::kX25519));
  c.handshake();
  EXPECT_EQ(c.client.phase(), Phase::kApplication);
}

}  // namespace
}  // namespace flexroom::tls
