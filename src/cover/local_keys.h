#pragma once

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <memory>
#include <optional>

#include "math/ml_kem.h"
#include "tls/key_schedule.h"
#include "tls/messages.h"

// What the members' engines do for the client, done by one process in the clear: ECDHE and the key
// schedule (RFC 8446 §7.1), for connections that carry nothing of the members.
namespace flexroom::cover {

/// A key of one group, and the secret with a server's share. One process has it in the clear.
class LocalKey {
 public:
  explicit LocalKey(NamedGroup group)
      : group_(group),
        key_(group == NamedGroup::kP256 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")
                                        : EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"),
             EVP_PKEY_free) {
    FLEXROOM_ASSERT(key_ != nullptr);
    if (group != NamedGroup::kX25519MlKem768) return;
    SecretBytes seed(math::MlKem768::kSeed);
    FLEXROOM_ASSERT(RAND_bytes(seed.writable().data(), static_cast<int>(seed.size())) == 1);
    kem_ = std::make_unique<math::MlKemKey>(seed);
  }
  tls::KeyShare share() const {
    uint8_t* data = nullptr;
    const size_t size = EVP_PKEY_get1_encoded_public_key(key_.get(), &data);
    tls::KeyShare out{group_, kem_ != nullptr ? kem_->public_key() : Bytes()};
    append(out.key, ByteView(data, size));
    OPENSSL_free(data);
    return out;
  }
  /// The shared secret, or nothing for a share that is no point (tls-in-mpc.md §2.4).
  std::optional<Bytes> secret(const Bytes& share) const {
    const ByteView theirs = tls::curve_share(group_, share);
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> peer(EVP_PKEY_new(), EVP_PKEY_free);
    EVP_PKEY_copy_parameters(peer.get(), key_.get());
    if (curve_of(group_) == NamedGroup::kX25519) EVP_PKEY_set_type(peer.get(), EVP_PKEY_X25519);
    if (EVP_PKEY_set1_encoded_public_key(peer.get(), theirs.data(), theirs.size()) != 1) {
      return std::nullopt;
    }
    const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(
        EVP_PKEY_CTX_new(key_.get(), nullptr), EVP_PKEY_CTX_free);
    Bytes out(32);
    size_t size = out.size();
    if (EVP_PKEY_derive_init(context.get()) != 1 ||
        EVP_PKEY_derive_set_peer(context.get(), peer.get()) != 1 ||
        EVP_PKEY_derive(context.get(), out.data(), &size) != 1) {
      return std::nullopt;
    }
    if (kem_ == nullptr) return out;
    const SecretBytes secret = kem_->decapsulate(tls::kem_share(group_, share));
    Bytes both(secret.reveal().begin(), secret.reveal().end());
    append(both, out);
    return both;
  }
  NamedGroup group() const { return group_; }

 private:
  NamedGroup group_;
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
  std::unique_ptr<math::MlKemKey> kem_;
};

/// RFC 8446 §7.1 from the secret of the key exchange on.
class LocalSchedule {
 public:
  using HashValue = tls::HashValue;

  LocalSchedule(const Bytes& x, const HashValue& h1, const tls::HashKind& hash = tls::sha256_kind())
      : hash_(hash), handshake_(tls::hmac(hash_, tls::derived_early_secret(hash_), x)), h1_(h1) {}
  HashValue c_hs() const {
    return tls::derive_secret(hash_, handshake_, tls::kClientHandshake, h1_);
  }
  HashValue s_hs() const {
    return tls::derive_secret(hash_, handshake_, tls::kServerHandshake, h1_);
  }
  HashValue c_ap(const HashValue& h2) const { return application(tls::kClientApplication, h2); }
  HashValue s_ap(const HashValue& h2) const { return application(tls::kServerApplication, h2); }

 private:
  HashValue application(std::string_view label, const HashValue& h2) const {
    const HashValue derived =
        tls::derive_secret(hash_, handshake_, "derived", tls::hash_of(hash_, {}));
    return tls::derive_secret(hash_, tls::hmac(hash_, derived, Bytes(hash_.digest_bytes)), label,
                              h2);
  }
  const tls::HashKind& hash_;
  HashValue handshake_, h1_;
};

}  // namespace flexroom::cover
