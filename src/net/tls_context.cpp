#include "net/tls_context.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <algorithm>

#include "base/error.h"

namespace flexroom::net {
namespace {

// Replaces chain building: the leaf's digest is the whole policy.
int check_pin(X509_STORE_CTX* store, void*) {
  const X509* leaf = X509_STORE_CTX_get0_cert(store);
  SSL* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* pins = ssl == nullptr ? nullptr : static_cast<PeerCheck*>(SSL_get_app_data(ssl));
  Digest digest{};
  unsigned size = 0;
  if (leaf == nullptr || pins == nullptr ||
      X509_digest(leaf, EVP_sha256(), digest.data(), &size) != 1 || size != digest.size()) {
    X509_STORE_CTX_set_error(store, X509_V_ERR_UNSPECIFIED);
    return 0;
  }
  pins->seen = digest;
  if (std::find(pins->accepted.begin(), pins->accepted.end(), digest) == pins->accepted.end()) {
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_UNTRUSTED);
    return 0;
  }
  X509_STORE_CTX_set_error(store, X509_V_OK);
  return 1;
}

/// A pair key as OpenSSL takes it: a session of TLS 1.3 with SHA-256, without early data.
OpensslPtr<SSL_SESSION> session_of(SSL* ssl, const PairKeys::Use& key) {
  static constexpr uint8_t kAes128GcmSha256[2] = {0x13, 0x01};
  const ByteView secret = key.secret.reveal();
  const SSL_CIPHER* cipher = SSL_CIPHER_find(ssl, kAes128GcmSha256);
  OpensslPtr<SSL_SESSION> session(SSL_SESSION_new());
  FLEXROOM_ASSERT(session && cipher != nullptr &&
                  SSL_SESSION_set1_master_key(session.get(), secret.data(), secret.size()) == 1 &&
                  SSL_SESSION_set_cipher(session.get(), cipher) == 1 &&
                  SSL_SESSION_set_protocol_version(session.get(), TLS1_3_VERSION) == 1);
  return session;
}

int use_pair_key(SSL* ssl, const EVP_MD*, const uint8_t** id, size_t* id_size,
                 SSL_SESSION** session) {
  const auto* check = static_cast<const PeerCheck*>(SSL_get_app_data(ssl));
  *session = nullptr;
  if (check == nullptr || !check->key) return 1;
  *id = check->key->identity.data();
  *id_size = check->key->identity.size();
  *session = session_of(ssl, *check->key).release();
  return 1;
}

// One that is not known is no error: the certificates decide.
int find_pair_key(SSL* ssl, const uint8_t* id, size_t id_size, SSL_SESSION** session) {
  auto* check = static_cast<PeerCheck*>(SSL_get_app_data(ssl));
  *session = nullptr;
  if (check == nullptr || check->keys == nullptr) return 1;
  check->key = check->keys->find(*check->scope, {id, id_size});
  if (check->key) *session = session_of(ssl, *check->key).release();
  return 1;
}

}  // namespace

TlsContext::TlsContext(const Identity& identity) : context_(SSL_CTX_new(TLS_method())) {
  SSL_CTX* context = context_.get();
  FLEXROOM_ASSERT(context != nullptr);
  FLEXROOM_ASSERT(SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1);
  FLEXROOM_ASSERT(SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1);
  // AES-GCM runs at several GB/s on the CPUs the product supports.
  FLEXROOM_ASSERT(SSL_CTX_set_ciphersuites(
                      context, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256") == 1);
  FLEXROOM_ASSERT(SSL_CTX_set1_groups_list(context, "X25519") == 1);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_cert_verify_callback(context, check_pin, nullptr);
  // Without SSL_OP_ALLOW_NO_DHE_KEX: psk_ke is neither offered nor taken.
  SSL_CTX_set_psk_use_session_callback(context, use_pair_key);
  SSL_CTX_set_psk_find_session_callback(context, find_pair_key);

  const ByteView key = identity.tls_key_der();
  const uint8_t* p = key.data();
  const OpensslPtr<EVP_PKEY> parsed(d2i_AutoPrivateKey(nullptr, &p, static_cast<long>(key.size())));
  FLEXROOM_ASSERT(parsed != nullptr);
  const ByteView certificate = identity.certificate_der();
  FLEXROOM_ASSERT(SSL_CTX_use_certificate_ASN1(context, static_cast<int>(certificate.size()),
                                               certificate.data()) == 1);
  FLEXROOM_ASSERT(SSL_CTX_use_PrivateKey(context, parsed.get()) == 1);
  FLEXROOM_ASSERT(SSL_CTX_check_private_key(context) == 1);
}

OpensslPtr<SSL> TlsContext::endpoint(int socket, bool server, PeerCheck* check) const {
  OpensslPtr<SSL> ssl(SSL_new(context_.get()));
  FLEXROOM_ASSERT(ssl != nullptr && SSL_set_fd(ssl.get(), socket) == 1);
  SSL_set_app_data(ssl.get(), check);
  if (server) {
    // OpenSSL takes no session of a server that names no use for it.
    static constexpr uint8_t kUse[] = {'m', 'e', 's', 'h'};
    FLEXROOM_ASSERT(SSL_set_session_id_context(ssl.get(), kUse, sizeof kUse) == 1);
    SSL_set_accept_state(ssl.get());
  } else {
    SSL_set_connect_state(ssl.get());
  }
  return ssl;
}

std::optional<PeerProof> TlsContext::proof(SSL* ssl, const PeerCheck& check) {
  EVP_PKEY* found = nullptr;
  const bool exchanged = SSL_get_peer_tmp_key(ssl, &found) == 1;
  const OpensslPtr<EVP_PKEY> fresh(found);
  if (!exchanged || EVP_PKEY_get_id(fresh.get()) != EVP_PKEY_X25519) return std::nullopt;
  if (SSL_session_reused(ssl) == 0) {
    return check.seen ? std::optional(PeerProof::kCertificate) : std::nullopt;
  }
  static constexpr uint8_t kNothing[32] = {};
  SSL_SESSION* session = SSL_get_session(ssl);
  FLEXROOM_ASSERT(SSL_SESSION_set1_master_key(session, kNothing, sizeof kNothing) == 1);
  return check.key ? std::optional(PeerProof::kPairKey) : std::nullopt;
}

}  // namespace flexroom::net
