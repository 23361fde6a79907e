#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>

#include "base/base64.h"

namespace flexroom::support {

/// tests/vectors/jwe-encryption.json: {"keys": {id: {n, private_pem}}, "cases": [..]}.
inline nlohmann::json jwe_vectors(const std::string& source_dir) {
  std::ifstream in(source_dir + "/tests/vectors/jwe-encryption.json");
  return nlohmann::json::parse(in);
}

/// A service's end of a JWE, by OpenSSL alone; nothing of the client.
class JweService {
 public:
  explicit JweService(const std::string& pem) {
    BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
    key_.reset(PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr));
    BIO_free(bio);
    if (!key_) throw std::logic_error("no key");
  }

  /// RSA-OAEP with that hash for both purposes; nullopt where padding is wrong.
  std::optional<Bytes> open_key(ByteView encrypted, bool sha256) const {
    const EVP_MD* md = sha256 ? EVP_sha256() : EVP_sha1();
    const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> c(
        EVP_PKEY_CTX_new(key_.get(), nullptr), EVP_PKEY_CTX_free);
    Bytes out(encrypted.size());
    size_t size = out.size();
    if (EVP_PKEY_decrypt_init(c.get()) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(c.get(), RSA_PKCS1_OAEP_PADDING) != 1 ||
        EVP_PKEY_CTX_set_rsa_oaep_md(c.get(), md) != 1 ||
        EVP_PKEY_CTX_set_rsa_mgf1_md(c.get(), md) != 1 ||
        EVP_PKEY_decrypt(c.get(), out.data(), &size, encrypted.data(), encrypted.size()) != 1) {
      return std::nullopt;
    }
    out.resize(size);
    return out;
  }

  /// The plaintext of a compact JWE whose header names these algorithms.
  std::optional<std::string> open(const std::string& jwe) const {
    std::vector<std::string> parts(1);
    for (const char c : jwe) {
      if (c == '.') {
        parts.emplace_back();
      } else {
        parts.back().push_back(c);
      }
    }
    if (parts.size() != 5) return std::nullopt;
    std::vector<Bytes> p;
    for (const std::string& part : parts) {
      const auto bytes = base64url_decode(part);
      if (!bytes) return std::nullopt;
      p.push_back(*bytes);
    }
    const auto header = nlohmann::json::parse(to_text(p[0]));
    const auto cek = open_key(p[1], header.at("alg") == "RSA-OAEP-256");
    if (!cek || cek->size() != (header.at("enc") == "A256GCM" ? 32u : 16u)) return std::nullopt;
    return open_content(*cek, p[2], parts[0], p[3], p[4]);
  }

 private:
  static std::optional<std::string> open_content(const Bytes& cek, const Bytes& iv,
                                                 const std::string& aad, const Bytes& text,
                                                 Bytes tag) {
    const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> c(EVP_CIPHER_CTX_new(),
                                                                            EVP_CIPHER_CTX_free);
    const EVP_CIPHER* cipher = cek.size() == 32 ? EVP_aes_256_gcm() : EVP_aes_128_gcm();
    std::string out(text.size(), 0);
    int n = 0;
    if (EVP_DecryptInit_ex(c.get(), cipher, nullptr, cek.data(), iv.data()) != 1 ||
        EVP_DecryptUpdate(c.get(), nullptr, &n, as_bytes(aad).data(),
                          static_cast<int>(aad.size())) != 1 ||
        EVP_DecryptUpdate(c.get(), reinterpret_cast<uint8_t*>(out.data()), &n, text.data(),
                          static_cast<int>(text.size())) != 1 ||
        EVP_CIPHER_CTX_ctrl(c.get(), EVP_CTRL_GCM_SET_TAG, static_cast<int>(tag.size()),
                            tag.data()) != 1 ||
        EVP_DecryptFinal_ex(c.get(), reinterpret_cast<uint8_t*>(out.data()), &n) != 1) {
      return std::nullopt;
    }
    return out;
  }

  struct Free {
    void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  };
  std::unique_ptr<EVP_PKEY, Free> key_;
};

/// v^e mod n for 65537, as OpenSSL computes it.
inline Bytes rsa_power(ByteView v, ByteView n) {
  const auto number = [](ByteView b) {
    return std::unique_ptr<BIGNUM, decltype(&BN_free)>(
        BN_bin2bn(b.data(), static_cast<int>(b.size()), nullptr), BN_free);
  };
  const std::unique_ptr<BN_CTX, decltype(&BN_CTX_free)> context(BN_CTX_new(), BN_CTX_free);
  const auto base = number(v), modulus = number(n), out = number({});
  const auto exponent = number(Bytes{1, 0, 1});
  if (BN_mod_exp(out.get(), base.get(), exponent.get(), modulus.get(), context.get()) != 1) {
    throw std::logic_error("no power");
  }
  Bytes bytes(n.size());
  BN_bn2binpad(out.get(), bytes.data(), static_cast<int>(bytes.size()));
  return bytes;
}

}  // namespace flexroom::support
