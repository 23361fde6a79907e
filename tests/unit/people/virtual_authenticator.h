#pragma once

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <sodium.h>

#include <string>

#include "base/base64.h"
#include "base/codec.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/openssl_ptr.h"
#include "people/webauthn.h"

namespace flexroom::people {

/// CBOR as an authenticator writes it: pieces, put together by hand so that a test can write any.
inline Bytes cbor_head(unsigned major, uint64_t n) {
  const auto type = static_cast<uint8_t>(major << 5);
  if (n < 24) return {static_cast<uint8_t>(type | n)};
  if (n < 256) return {static_cast<uint8_t>(type | 24), static_cast<uint8_t>(n)};
  return {static_cast<uint8_t>(type | 25), static_cast<uint8_t>(n >> 8), static_cast<uint8_t>(n)};
}
inline Bytes operator+(Bytes a, const Bytes& b) {
  append(a, b);
  return a;
}
inline Bytes cbor_number(int64_t n) {
  return n >= 0 ? cbor_head(0, static_cast<uint64_t>(n))
                : cbor_head(1, static_cast<uint64_t>(-1 - n));
}
inline Bytes cbor_bytes(ByteView bytes) {
  return cbor_head(2, bytes.size()) + Bytes(bytes.begin(), bytes.end());
}
inline Bytes cbor_text(std::string_view text) { return cbor_head(3, text.size()) + to_bytes(text); }

/// An authenticator in software: makes keys and assertions as WebAuthn says, honestly, for whoever
/// asks; with Ask a test has it say or be asked something else.
class VirtualAuthenticator {
 public:
  struct Ask {
    std::string origin = "http://localhost:7180";
    std::string type = {};  // empty: the right one
    std::string rp = {};    // empty: its own
    std::string more = {};  // of clientDataJSON: ",\"topOrigin\":\"x\""
    bool present = true, verified = true;
    uint8_t flags = 0;      // further ones
    Bytes extensions = {};  // behind authenticatorData
  };

  explicit VirtualAuthenticator(const std::string& name, KeyKind kind = KeyKind::kEs256,
                                bool synced = false)
      : kind_(kind), synced_(synced) {
    FLEXROOM_ASSERT(sodium_init() >= 0);
    const Digest id = sha256(as_bytes(name));
    credential_.assign(id.begin(), id.begin() + 16);
    if (kind == KeyKind::kEdDsa) {
      public_.resize(32);
      secret_.resize(64);
      crypto_sign_keypair(public_.data(), secret_.data());
      return;
    }
    ec_.reset(EVP_EC_gen("P-256"));
    size_t length = 65;
    public_.resize(length);
    FLEXROOM_ASSERT(EVP_PKEY_get_octet_string_param(ec_.get(), OSSL_PKEY_PARAM_PUB_KEY,
                                                    public_.data(), length, &length) == 1);
  }

  Key key() const { return {kind_, rp_, credential_, public_, synced_}; }
  const Bytes& public_key() const { return public_; }
  /// The counter of a copy made now goes on from here.
  uint32_t counter = 0;

  Assertion get(const Digest& challenge, const Ask& ask) {
    Assertion out;
    counter += synced_ ? 0 : 1;
    out.authenticator_data = data(ask) + ask.extensions;
    out.client_data = client(challenge, ask, "webauthn.get");
    Bytes message = out.authenticator_data;
    append(message, sha256(out.client_data));
    out.signature = sign(message);
    return out;
  }
  Assertion get(const Digest& challenge) { return get(challenge, Ask{}); }

  Registration create(const Digest& challenge, Ask ask) {
    ask.flags |= AuthenticatorData::kAttested;
    return create_with(challenge, ask, attested(cose()));
  }
  Registration create(const Digest& challenge) { return create(challenge, Ask{}); }
  /// With other bytes behind the counter.
  Registration create_with(const Digest& challenge, const Ask& ask, const Bytes& behind) {
    Registration out;
    out.client_data = client(challenge, ask, "webauthn.create");
    out.attestation_object = cbor_head(5, 3) + cbor_text("fmt") + cbor_text("none") +
                             cbor_text("attStmt") + cbor_head(5, 0) + cbor_text("authData") +
                             cbor_bytes(data(ask) + behind);
    return out;
  }
  Bytes attested(const Bytes& cose_key) const {
    return Writer().raw(Bytes(16)).u16(16).raw(credential_).raw(cose_key).take();
  }
  Bytes cose() const {
    if (kind_ == KeyKind::kEdDsa) {
      return cbor_head(5, 4) + cbor_number(1) + cbor_number(1) + cbor_number(3) + cbor_number(-8) +
             cbor_number(-1) + cbor_number(6) + cbor_number(-2) + cbor_bytes(public_);
    }
    return cbor_head(5, 5) + cbor_number(1) + cbor_number(2) + cbor_number(3) + cbor_number(-7) +
           cbor_number(-1) + cbor_number(1) + cbor_number(-2) +
           cbor_bytes(ByteView(public_).subspan(1, 32)) + cbor_number(-3) +
           cbor_bytes(ByteView(public_).subspan(33, 32));
  }
  Bytes sign(ByteView message) const {
    if (kind_ == KeyKind::kEdDsa) {
      Bytes out(64);
      crypto_sign_detached(out.data(), nullptr, message.data(), message.size(), secret_.data());
      return out;
    }
    const OpensslPtr<EVP_MD_CTX> context(EVP_MD_CTX_new());
    size_t length = 80;
    Bytes out(length);
    FLEXROOM_ASSERT(
        EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, ec_.get()) == 1 &&
        EVP_DigestSign(context.get(), out.data(), &length, message.data(), message.size()) == 1);
    out.resize(length);
    return out;
  }

 private:
  Bytes data(const Ask& ask) const {
    uint8_t flags = ask.flags;
    if (ask.present) flags |= AuthenticatorData::kUserPresent;
    if (ask.verified) flags |= AuthenticatorData::kUserVerified;
    if (synced_) flags |= AuthenticatorData::kBackupEligible | AuthenticatorData::kBackedUp;
    return Writer()
        .raw(sha256(as_bytes(ask.rp.empty() ? rp_ : ask.rp)))
        .u8(flags)
        .u32(synced_ ? 0 : counter)
        .take();
  }
  static Bytes client(const Digest& challenge, const Ask& ask, const std::string& type) {
    return to_bytes("{\"type\":\"" + (ask.type.empty() ? type : ask.type) + "\",\"challenge\":\"" +
                    base64url_encode(challenge) + "\",\"origin\":\"" + ask.origin +
                    "\",\"crossOrigin\":false" + ask.more + "}");
  }

  KeyKind kind_;
  bool synced_;
  std::string rp_ = "localhost";
  Bytes credential_, public_, secret_;
  OpensslPtr<EVP_PKEY> ec_;
};

}  // namespace flexroom::people
