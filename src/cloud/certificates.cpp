#include "cloud/certificates.h"

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <cstring>

#include "base/error.h"
#include "base/http11_alpn.h"
#include "cloud/accounts.h"

namespace flexroom::cloud {

namespace {

constexpr size_t kMaxIssued = 1024;
constexpr long kDay = 24 * 3600;

struct FileClose {
  void operator()(FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<FILE, FileClose>;

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  FLEXROOM_ASSERT(extension != nullptr);
  FLEXROOM_ASSERT(X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

void set_name(X509_NAME* name, const std::string& common_name) {
  const auto put = [&](const char* field, const std::string& value) {
    FLEXROOM_ASSERT(X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                               reinterpret_cast<const uint8_t*>(value.c_str()), -1,
                                               -1, 0) == 1);
  };
  put("O", "Flexroom sandbox");
  if (common_name.size() <= 64) put("CN", common_name);  // X.520: ub-common-name
}

Handle<X509> blank_certificate(EVP_PKEY* key, long days) {
  Handle<X509> certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  uint8_t serial[16];
  FLEXROOM_ASSERT(RAND_bytes(serial, sizeof serial) == 1);
  serial[0] = static_cast<uint8_t>((serial[0] & 0x7f) | 0x40);
  BIGNUM* number = BN_bin2bn(serial, sizeof serial, nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate.get()));
  BN_free(number);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -kDay);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), days * kDay);
  X509_set_pubkey(certificate.get(), key);
  return certificate;
}

std::string server_name(SSL* ssl) {
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  return name == nullptr ? "localhost" : lower(name);
}

}  // namespace

Certificates::Certificates(const std::filesystem::path& state_dir, const std::string& key_type)
    : key_type_(key_type), ca_file_(state_dir / "ca.pem") {
  if (key_type != "ec" && key_type != "rsa") {
    throw InputError("key type '" + key_type + "'", "is not known", "say ec or rsa");
  }
  load_or_make_ca(state_dir);
  host_key_ = new_key();
}

Handle<EVP_PKEY> Certificates::new_key() const {
  Handle<EVP_PKEY> key(key_type_ == "rsa" ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"));
  FLEXROOM_ASSERT(key != nullptr);
  return key;
}

void Certificates::load_or_make_ca(const std::filesystem::path& state_dir) {
  const auto key_file = state_dir / "ca.key";
  const File ca_in(std::fopen(ca_file_.c_str(), "re"));
  const File key_in(std::fopen(key_file.c_str(), "re"));
  if (ca_in && key_in) {
    ca_.reset(PEM_read_X509(ca_in.get(), nullptr, nullptr, nullptr));
    ca_key_.reset(PEM_read_PrivateKey(key_in.get(), nullptr, nullptr, nullptr));
    if (!ca_ || !ca_key_ || X509_check_private_key(ca_.get(), ca_key_.get()) != 1) {
      throw InputError(ca_file_.string(), "does not hold a CA that fits ca.key",
                       "remove both files; a new CA is then made");
    }
    return;
  }
  ca_key_ = new_key();
  ca_ = blank_certificate(ca_key_.get(), 3650);
  set_name(X509_get_subject_name(ca_.get()), "Flexroom sandbox CA");
  X509_set_issuer_name(ca_.get(), X509_get_subject_name(ca_.get()));
  add_extension(ca_.get(), ca_.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  add_extension(ca_.get(), ca_.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  add_extension(ca_.get(), ca_.get(), NID_subject_key_identifier, "hash");
  FLEXROOM_ASSERT(X509_sign(ca_.get(), ca_key_.get(), EVP_sha256()) != 0);

  const auto pem = [](auto write) {
    BIO* bio = BIO_new(BIO_s_mem());
    FLEXROOM_ASSERT(write(bio) == 1);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string text(data, static_cast<size_t>(size));
    BIO_free(bio);
    return text;
  };
  write_private_file(key_file, pem([&](BIO* bio) {
                       return PEM_write_bio_PrivateKey(bio, ca_key_.get(), nullptr, nullptr, 0,
                                                       nullptr, nullptr);
                     }));
  write_private_file(ca_file_, pem([&](BIO* bio) { return PEM_write_bio_X509(bio, ca_.get()); }));
  std::filesystem::permissions(ca_file_, std::filesystem::perms(0644));
}

Handle<X509> Certificates::issue(const std::string& host) const {
  Handle<X509> certificate = blank_certificate(host_key_.get(), 365);
  X509* raw = certificate.get();
  set_name(X509_get_subject_name(raw), host);
  X509_set_issuer_name(raw, X509_get_subject_name(ca_.get()));
  add_extension(raw, ca_.get(), NID_basic_constraints, "critical,CA:FALSE");
  add_extension(raw, ca_.get(), NID_key_usage, "critical,digitalSignature");
  add_extension(raw, ca_.get(), NID_ext_key_usage, "serverAuth");
  add_extension(raw, ca_.get(), NID_authority_key_identifier, "keyid");
  add_extension(raw, ca_.get(), NID_subject_alt_name,
                host == "localhost" ? "DNS:localhost,IP:127.0.0.1,IP:::1" : "DNS:" + host);
  FLEXROOM_ASSERT(X509_sign(raw, ca_key_.get(), EVP_sha256()) != 0);
  return certificate;
}

int Certificates::check_name(SSL* ssl, int* alert, void* self) {
  try {
    if (static_cast<Certificates*>(self)->serves_(server_name(ssl))) return SSL_TLSEXT_ERR_OK;
  } catch (const std::exception&) {  // no memory; nothing may be thrown through OpenSSL
  }
  *alert = SSL_AD_UNRECOGNIZED_NAME;
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

int Certificates::select_certificate(SSL* ssl, void* self) {
  try {
    return static_cast<Certificates*>(self)->use_certificate(ssl) ? 1 : 0;
  } catch (const std::exception&) {
    return 0;
  }
}

bool Certificates::use_certificate(SSL* ssl) {
  const std::string host = server_name(ssl);
  const std::lock_guard lock(mutex_);
  if (issued_.size() >= kMaxIssued) issued_.clear();
  Handle<X509>& certificate = issued_[host];
  if (!certificate) certificate = issue(host);
  // Both calls take references of their own.
  return SSL_use_certificate(ssl, certificate.get()) == 1 &&
         SSL_use_PrivateKey(ssl, host_key_.get()) == 1;
}

Handle<SSL_CTX> Certificates::server_context(const std::string& groups,
                                             std::function<bool(const std::string&)> serves) {
  serves_ = std::move(serves);
  Handle<SSL_CTX> context(SSL_CTX_new(TLS_server_method()));
  FLEXROOM_ASSERT(context != nullptr);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  if (SSL_CTX_set1_groups_list(context.get(), groups.c_str()) != 1) {
    throw InputError("groups '" + groups + "'", "are not known to OpenSSL",
                     "say for instance X25519:P-256");
  }
  SSL_CTX_set_tlsext_servername_callback(context.get(), check_name);
  SSL_CTX_set_tlsext_servername_arg(context.get(), this);
  SSL_CTX_set_cert_cb(context.get(), select_certificate, this);
  SSL_CTX_set_alpn_select_cb(context.get(), select_http11, nullptr);
  SSL_CTX_set_options(context.get(), SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION);
  // Without a session id context OpenSSL refuses tickets of its own making for some clients.
  SSL_CTX_set_session_id_context(context.get(), reinterpret_cast<const uint8_t*>("flexroom"), 8);
  return context;
}

}  // namespace flexroom::cloud
