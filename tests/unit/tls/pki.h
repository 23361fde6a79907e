#pragma once

#include <openssl/dsa.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

// Certificates for tests, made with OpenSSL: good ones, and ones with exactly one fault.
namespace flexroom::tls::testing {

using Key = std::shared_ptr<EVP_PKEY>;
using Cert = std::shared_ptr<X509>;

inline Key make_key(std::string_view kind) {
  EVP_PKEY* key = nullptr;
  if (kind.starts_with("rsa-pss")) {  // "rsa-pss", or "rsa-pss sha256": for that digest alone
    EVP_PKEY_CTX* ctx = EVP_PKEY_CTX_new_from_name(nullptr, "RSA-PSS", nullptr);
    FLEXROOM_ASSERT(EVP_PKEY_keygen_init(ctx) == 1 &&
                    EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2048) == 1);
    if (kind == "rsa-pss sha256") {
      FLEXROOM_ASSERT(EVP_PKEY_CTX_set_rsa_pss_keygen_md(ctx, EVP_sha256()) == 1 &&
                      EVP_PKEY_CTX_set_rsa_pss_keygen_mgf1_md(ctx, EVP_sha256()) == 1 &&
                      EVP_PKEY_CTX_set_rsa_pss_keygen_saltlen(ctx, 32) == 1);
    }
    FLEXROOM_ASSERT(EVP_PKEY_generate(ctx, &key) == 1);
    EVP_PKEY_CTX_free(ctx);
  } else if (kind == "dsa") {
    EVP_PKEY* parameters = nullptr;
    EVP_PKEY_CTX* ctx = EVP_PKEY_CTX_new_from_name(nullptr, "DSA", nullptr);
    FLEXROOM_ASSERT(EVP_PKEY_paramgen_init(ctx) == 1 &&
                    EVP_PKEY_CTX_set_dsa_paramgen_bits(ctx, 1024) == 1 &&
                    EVP_PKEY_generate(ctx, &parameters) == 1);
    EVP_PKEY_CTX_free(ctx);
    ctx = EVP_PKEY_CTX_new_from_pkey(nullptr, parameters, nullptr);
    FLEXROOM_ASSERT(EVP_PKEY_keygen_init(ctx) == 1 && EVP_PKEY_generate(ctx, &key) == 1);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(parameters);
  } else if (kind.starts_with("rsa")) {
    key = EVP_RSA_gen(static_cast<unsigned>(std::stoi(std::string(kind.substr(3)))));
  } else if (kind.starts_with("ed")) {
    key = EVP_PKEY_Q_keygen(nullptr, nullptr, std::string(kind).c_str());
  } else {
    key = EVP_EC_gen(std::string(kind).c_str());
  }
  FLEXROOM_ASSERT(key != nullptr);
  return Key(key, EVP_PKEY_free);
}

struct CertOptions {
  std::string common_name = "server";
  std::string names = "DNS:api.example";  // subjectAltName, or empty
  std::string usage = "serverAuth";       // extendedKeyUsage, or empty
  bool is_ca = false;
  long not_before = -3600;  // seconds from kNow
  long not_after = 3600 * 24;
  const EVP_MD* digest = EVP_sha256();
  std::string constraints;  // basicConstraints, "none", or empty: those of is_ca
  std::vector<std::pair<int, std::string>> more;  // further extensions: NID and value
  long serial = 0;                                // else the next one
  std::function<void(X509*)> alter;               // last, before it is signed
};

inline constexpr time_t kNow = 1800000000;  // 2027

inline void add_extension(X509* cert, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX ctx;
  X509V3_set_ctx(&ctx, issuer, cert, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &ctx, nid, value.c_str());
  FLEXROOM_ASSERT(extension != nullptr && X509_add_ext(cert, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

/// `issuer` null: self-signed.
inline Cert make_cert(const CertOptions& options, const Key& key, const Cert& issuer,
                      const Key& issuer_key) {
  static long serial = 1;
  Cert cert(X509_new(), X509_free);
  X509_set_version(cert.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(cert.get()),
                   options.serial != 0 ? options.serial : serial++);
  time_t now = kNow;
  X509_time_adj(X509_getm_notBefore(cert.get()), options.not_before, &now);
  X509_time_adj(X509_getm_notAfter(cert.get()), options.not_after, &now);
  X509_NAME* name = X509_get_subject_name(cert.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const uint8_t*>(options.common_name.c_str()), -1, -1,
                             0);
  X509* signer = issuer ? issuer.get() : cert.get();
  X509_set_issuer_name(cert.get(), X509_get_subject_name(signer));
  X509_set_pubkey(cert.get(), key.get());
  if (options.constraints != "none") {
    add_extension(cert.get(), signer, NID_basic_constraints,
                  !options.constraints.empty() ? options.constraints
                  : options.is_ca              ? "critical,CA:TRUE"
                                               : "critical,CA:FALSE");
  }
  for (const auto& [nid, value] : options.more) add_extension(cert.get(), signer, nid, value);
  if (!options.names.empty())
    add_extension(cert.get(), signer, NID_subject_alt_name, options.names);
  if (!options.usage.empty()) add_extension(cert.get(), signer, NID_ext_key_usage, options.usage);
  if (options.alter) options.alter(cert.get());
  FLEXROOM_ASSERT(X509_sign(cert.get(), issuer_key.get(), options.digest) > 0);
  return cert;
}

inline Bytes to_der(const Cert& cert) {
  uint8_t* data = nullptr;
  const int size = i2d_X509(cert.get(), &data);
  Bytes out(data, data + size);
  OPENSSL_free(data);
  return out;
}

inline std::string to_pem(const Cert& cert) {
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, cert.get());
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string out(data, static_cast<size_t>(size));
  BIO_free(bio);
  return out;
}

/// A root, an intermediate, and a leaf below it.
struct Pki {
  Key root_key = make_key("P-256");
  Cert root = make_cert(ca("Test Root"), root_key, nullptr, root_key);
  Key middle_key = make_key("P-256");
  Cert middle = make_cert(ca("Test Middle"), middle_key, root, root_key);
  Key leaf_key = make_key("P-256");
  Cert leaf = make_cert(CertOptions{}, leaf_key, middle, middle_key);

  static CertOptions ca(const std::string& name) {
    CertOptions options;
    options.common_name = name;
    options.names = "";
    options.usage = "";
    options.is_ca = true;
    return options;
  }
  static const Pki& shared() {
    static const Pki pki;
    return pki;
  }
};

}  // namespace flexroom::tls::testing
