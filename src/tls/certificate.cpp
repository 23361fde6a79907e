#include "tls/certificate.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <fstream>
#include <sstream>

#include "base/ct.h"
#include "base/error.h"
#include "tls/wire.h"

namespace flexroom::tls {
namespace {

constexpr std::string_view kStep = "certificate";

template <typename T, void (*kFree)(T*)>
struct Freed {
  void operator()(T* p) const { kFree(p); }
};
void free_chain(STACK_OF(X509) * chain) { sk_X509_pop_free(chain, X509_free); }
void free_bio(BIO* bio) { BIO_free(bio); }

using X509Ptr = std::unique_ptr<X509, Freed<X509, X509_free>>;
using ChainPtr = std::unique_ptr<STACK_OF(X509), Freed<STACK_OF(X509), free_chain>>;
using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, Freed<X509_STORE_CTX, X509_STORE_CTX_free>>;
using MdContextPtr = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX, EVP_MD_CTX_free>>;
using BioPtr = std::unique_ptr<BIO, Freed<BIO, free_bio>>;

X509Ptr parse_der(ByteView der) {
  const uint8_t* p = der.data();
  X509Ptr cert(d2i_X509(nullptr, &p, static_cast<long>(der.size())));
  ERR_clear_error();
  if (cert == nullptr || p != der.data() + der.size()) {
    server_fault(kStep, "the server sent a certificate that cannot be parsed");
  }
  return cert;
}

std::string subject(X509* cert) {
  char text[256];
  X509_NAME_oneline(X509_get_subject_name(cert), text, sizeof text);
  std::string out;
  for (const char* c = text; *c != 0; ++c) out.push_back(*c < 0x20 || *c > 0x7e ? '?' : *c);
  return out;
}

// Curves are named, not measured: a 256-bit curve other than P-256 is as unknown to the verifier as
// a weak one.
bool key_is_strong(EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "RSA") == 1 || EVP_PKEY_is_a(key, "RSA-PSS") == 1) {
    return EVP_PKEY_get_bits(key) >= 2048;
  }
  if (EVP_PKEY_is_a(key, "EC") != 1) return false;
  char group[64] = {};
  size_t size = 0;
  if (EVP_PKEY_get_group_name(key, group, sizeof group, &size) != 1) return false;
  const int nid = OBJ_sn2nid(std::string(group, size).c_str());
  return nid == NID_X9_62_prime256v1 || nid == NID_secp384r1 || nid == NID_secp521r1;
}

bool signature_is_strong(X509* cert) {
  int digest = NID_undef;
  return X509_get_signature_info(cert, &digest, nullptr, nullptr, nullptr) == 1 &&
         (digest == NID_sha256 || digest == NID_sha384 || digest == NID_sha512);
}

std::string who(int depth, X509* cert) {
  std::string out = depth == 0 ? "the server's certificate" : "an issuer's certificate";
  if (cert != nullptr) out += " (" + subject(cert) + ")";
  return out;
}

[[noreturn]] void chain_fault(int error, int depth, X509* cert, const ChainPolicy& policy) {
  const std::string name = who(depth, cert);
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      server_fault(kStep,
                   name + " has expired; if the service is fine, check this machine's clock");
    case X509_V_ERR_CERT_NOT_YET_VALID:
      server_fault(kStep, name + " is not valid yet; check this machine's clock");
    case X509_V_ERR_HOSTNAME_MISMATCH:
      server_fault(kStep, name + " is for another name than " + policy.host +
                              "; check the host of the provider, and who answers at its address");
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      server_fault(kStep, name + " is self-signed and not among the trusted roots; check " +
                              policy.trust.description());
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:  // another authority of the same name
      server_fault(kStep, name + " does not lead to a trusted root (unknown root or missing " +
                              "intermediate); check " + policy.trust.description());
    case X509_V_ERR_INVALID_PURPOSE:
      server_fault(kStep, name + " is not meant for TLS servers (extended key usage)");
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
      server_fault(kStep, name + " has a key below RSA 2048 or P-256");
    case X509_V_ERR_CA_MD_TOO_WEAK:
      server_fault(kStep, name + " is signed with a weak hash such as SHA-1");
    default:
      server_fault(kStep, name + " is refused: " + X509_verify_cert_error_string(error));
  }
}

// OpenSSL takes a certificate without extended key usage for any purpose; this client does not.
void check_leaf_usage(X509* leaf) {
  const uint32_t usage = X509_get_extended_key_usage(leaf);
  if (usage == UINT32_MAX || (usage & XKU_SSL_SERVER) == 0) {
    server_fault(kStep, "the server's certificate lacks the extended key usage serverAuth");
  }
  if (X509_get_ext_by_NID(leaf, NID_subject_alt_name, -1) < 0) {
    server_fault(kStep,
                 "the server's certificate has no subjectAltName; a common name does not count");
  }
}

void check_verified_chain(X509_STORE_CTX* ctx) {
  const ChainPtr chain(X509_STORE_CTX_get1_chain(ctx));
  const int count = sk_X509_num(chain.get());
  for (int i = 0; i < count; ++i) {
    X509* cert = sk_X509_value(chain.get(), i);
    EVP_PKEY* key = X509_get0_pubkey(cert);
    if (key == nullptr || !key_is_strong(key)) {
      server_fault(kStep,
                   who(i, cert) + " has a key other than RSA >= 2048, P-256, P-384 or P-521");
    }
    // A root's signature on itself proves nothing and is not checked.
    if (i + 1 < count && !signature_is_strong(cert)) {
      server_fault(kStep, who(i, cert) + " is signed with a weak hash such as SHA-1");
    }
  }
}

void check_pin(X509* leaf, const Digest& pin) {
  uint8_t* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);
  FLEXROOM_ASSERT(size > 0);
  const Digest found = sha256(ByteView(der, static_cast<size_t>(size)));
  OPENSSL_free(der);
  if (!ct_equal(found, pin)) {
    server_fault(kStep, "the server's key is not the pinned one (it has SPKI SHA-256 " +
                            to_hex(found) + "); check `spki_pin` of the provider");
  }
}

struct SchemeRule {
  uint16_t scheme;
  const char* key_type;
  int curve;  // NID, or NID_undef for RSA-PSS with salt length = digest length
  const EVP_MD* (*digest)();
};
constexpr SchemeRule kSchemes[] = {{0x0403, "EC", NID_X9_62_prime256v1, EVP_sha256},
                                   {0x0503, "EC", NID_secp384r1, EVP_sha384},
                                   {0x0804, "RSA", NID_undef, EVP_sha256},
                                   {0x0805, "RSA", NID_undef, EVP_sha384},
                                   {0x0806, "RSA", NID_undef, EVP_sha512}};

bool key_fits(EVP_PKEY* key, const SchemeRule& rule) {
  if (EVP_PKEY_is_a(key, rule.key_type) != 1) return false;
  if (rule.curve == NID_undef) return true;
  char group[64] = {};
  size_t size = 0;
  return EVP_PKEY_get_group_name(key, group, sizeof group, &size) == 1 &&
         OBJ_sn2nid(std::string(group, size).c_str()) == rule.curve;
}

bool signature_verifies(EVP_PKEY* key, const SchemeRule& rule, ByteView signature,
                        ByteView content) {
  const MdContextPtr ctx(EVP_MD_CTX_new());
  EVP_PKEY_CTX* key_ctx = nullptr;
  if (EVP_DigestVerifyInit(ctx.get(), &key_ctx, rule.digest(), nullptr, key) != 1) return false;
  if (rule.curve == NID_undef &&
      (EVP_PKEY_CTX_set_rsa_padding(key_ctx, RSA_PKCS1_PSS_PADDING) != 1 ||
       EVP_PKEY_CTX_set_rsa_pss_saltlen(key_ctx, RSA_PSS_SALTLEN_DIGEST) != 1)) {
    return false;
  }
  return EVP_DigestVerify(ctx.get(), signature.data(), signature.size(), content.data(),
                          content.size()) == 1;
}

}  // namespace

TrustStore::TrustStore() : store_(X509_STORE_new(), X509_STORE_free) {
  FLEXROOM_ASSERT(store_ != nullptr);
}

void TrustStore::add_pem(std::string_view pem, std::string_view place) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  size_t count = 0;
  while (true) {
    const X509Ptr cert(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (cert == nullptr) break;
    FLEXROOM_ASSERT(X509_STORE_add_cert(store_.get(), cert.get()) == 1);
    ++count;
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (count == 0 || !at_end) {
    throw InputError(place, count == 0 ? "holds no certificate" : "holds a damaged certificate",
                     "name a PEM file with the root certificates of the provider");
  }
}

TrustStore TrustStore::from_files(const std::vector<std::string>& paths,
                                  std::string_view provider) {
  TrustStore out;
  std::string names;
  for (const std::string& path : paths) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw InputError("`ca_file` " + path, "cannot be read", "check the path in room.toml");
    std::stringstream text;
    text << in.rdbuf();
    out.add_pem(text.str(), "`ca_file` " + path);
    names += (names.empty() ? "" : ", ") + path;
  }
  out.description_ = "`ca_file` (" + names + ") of provider " + std::string(provider);
  return out;
}

TrustStore TrustStore::from_pem(std::string_view pem, std::string_view description) {
  TrustStore out;
  out.add_pem(pem, description);
  out.description_ = description;
  return out;
}

TrustStore TrustStore::system() {
  TrustStore out;
  FLEXROOM_ASSERT(X509_STORE_set_default_paths(out.store_.get()) == 1);
  out.description_ = "the system's root certificates, or set `ca_file` for the provider";
  return out;
}

void check_chain(const std::vector<Bytes>& chain, const ChainPolicy& policy) {
  FLEXROOM_ASSERT(!chain.empty());
  const X509Ptr leaf = parse_der(chain.front());
  const ChainPtr others(sk_X509_new_null());
  for (size_t i = 1; i < chain.size(); ++i) {
    FLEXROOM_ASSERT(sk_X509_push(others.get(), parse_der(chain[i]).release()) > 0);
  }
  const StoreContextPtr ctx(X509_STORE_CTX_new());
  FLEXROOM_ASSERT(ctx != nullptr && X509_STORE_CTX_init(ctx.get(), policy.trust.get(), leaf.get(),
                                                        others.get()) == 1);
  X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(ctx.get());
  FLEXROOM_ASSERT(X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER) == 1);
  FLEXROOM_ASSERT(X509_VERIFY_PARAM_set1_host(param, policy.host.data(), policy.host.size()) == 1);
  X509_VERIFY_PARAM_set_hostflags(
      param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  X509_VERIFY_PARAM_set_auth_level(param, 2);  // 112 bits
  X509_VERIFY_PARAM_set_depth(param, kMaxCertificates);
  X509_VERIFY_PARAM_set_time(param, std::chrono::system_clock::to_time_t(policy.clock()));
  const int verdict = X509_verify_cert(ctx.get());
  ERR_clear_error();
  if (verdict != 1) {
    chain_fault(X509_STORE_CTX_get_error(ctx.get()), X509_STORE_CTX_get_error_depth(ctx.get()),
                X509_STORE_CTX_get_current_cert(ctx.get()), policy);
  }
  check_leaf_usage(leaf.get());
  check_verified_chain(ctx.get());
  if (policy.spki_pin) check_pin(leaf.get(), *policy.spki_pin);
}

Bytes certificate_verify_content(const Digest& transcript) {
  Bytes content(64, 0x20);
  append(content, "TLS 1.3, server CertificateVerify");
  content.push_back(0);
  append(content, transcript);
  return content;
}

void check_certificate_verify(ByteView leaf_der, const CertificateVerify& verify,
                              const Digest& transcript) {
  const X509Ptr leaf = parse_der(leaf_der);
  EVP_PKEY* key = X509_get0_pubkey(leaf.get());
  for (const SchemeRule& rule : kSchemes) {
    if (rule.scheme != verify.scheme) continue;
    if (key == nullptr || !key_fits(key, rule)) break;
    const bool good =
        signature_verifies(key, rule, verify.signature, certificate_verify_content(transcript));
    ERR_clear_error();
    if (good) return;
    server_fault("certificate verify", "the server's signature over the handshake is wrong");
  }
  server_fault("certificate verify",
               "the server's signature scheme does not fit its certificate's key");
}

}  // namespace flexroom::tls
