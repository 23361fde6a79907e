#include "net/identity.h"

#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>

#include "base/codec.h"
#include "base/error.h"
#include "base/hex_digest.h"
#include "base/openssl_ptr.h"
#include "base/private_file.h"

namespace flexroom::net {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBindingDomain = "flexroom/identity/1";
// UUID arc (X.667): no registration needed, no collision to fear.
constexpr const char* kSigningKeyOid = "2.25.211377437286173482039146530948127364911";
constexpr size_t kBindingBytes = 32 + 64;
constexpr size_t kMaxFileBytes = 64 * 1024;
constexpr long kValiditySeconds = 3650L * 24 * 3600;

Bytes signed_bytes(std::string_view domain, ByteView message) {
  Writer out;
  out.field("flexroom").field(domain).field(message);
  return out.take();
}

Signature sign_with_seed(ByteView seed, std::string_view domain, ByteView message) {
  FLEXROOM_ASSERT(sodium_init() >= 0);
  SecretBytes secret(crypto_sign_SECRETKEYBYTES);
  SigningKey key{};
  crypto_sign_seed_keypair(key.data(), secret.writable().data(), seed.data());
  const Bytes input = signed_bytes(domain, message);
  Signature signature{};
  crypto_sign_detached(signature.data(), nullptr, input.data(), input.size(),
                       secret.reveal().data());
  return signature;
}

SigningKey public_key_of(ByteView seed) {
  SecretBytes secret(crypto_sign_SECRETKEYBYTES);
  SigningKey key{};
  crypto_sign_seed_keypair(key.data(), secret.writable().data(), seed.data());
  return key;
}

template <typename T, typename Encode>
Bytes der_of(T* object, Encode encode) {
  uint8_t* out = nullptr;
  const int size = encode(object, &out);
  FLEXROOM_ASSERT(size > 0);
  Bytes der(out, out + size);
  OPENSSL_clear_free(out, static_cast<size_t>(size));
  return der;
}

Bytes public_key_der(EVP_PKEY* key) {
  return der_of(key, [](EVP_PKEY* k, uint8_t** out) { return i2d_PUBKEY(k, out); });
}

int signing_key_nid() {
  static const int nid = OBJ_create(kSigningKeyOid, "flexroomSigningKey", "flexroom signing key");
  return nid;
}

void add_binding(X509* certificate, ByteView seed, ByteView tls_public_key) {
  Bytes binding;
  append(binding, ByteView(public_key_of(seed)));
  append(binding, ByteView(sign_with_seed(seed, kBindingDomain, tls_public_key)));
  const OpensslPtr<ASN1_OCTET_STRING> value(ASN1_OCTET_STRING_new());
  FLEXROOM_ASSERT(
      ASN1_OCTET_STRING_set(value.get(), binding.data(), static_cast<int>(binding.size())) == 1);
  const OpensslPtr<X509_EXTENSION> extension(
      X509_EXTENSION_create_by_NID(nullptr, signing_key_nid(), 0, value.get()));
  FLEXROOM_ASSERT(extension && X509_add_ext(certificate, extension.get(), -1) == 1);
}

Bytes make_certificate(std::string_view name, EVP_PKEY* tls_key, ByteView seed) {
  const OpensslPtr<X509> certificate(X509_new());
  X509* x = certificate.get();
  FLEXROOM_ASSERT(x != nullptr && X509_set_version(x, X509_VERSION_3) == 1);
  uint64_t serial = 0;
  randombytes_buf(&serial, sizeof serial);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), serial >> 1);
  X509_gmtime_adj(X509_getm_notBefore(x), -3600);  // members' clocks differ a little
  X509_gmtime_adj(X509_getm_notAfter(x), kValiditySeconds);
  X509_NAME* subject = X509_get_subject_name(x);
  FLEXROOM_ASSERT(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                             reinterpret_cast<const uint8_t*>(name.data()),
                                             static_cast<int>(name.size()), -1, 0) == 1);
  FLEXROOM_ASSERT(X509_set_issuer_name(x, subject) == 1 && X509_set_pubkey(x, tls_key) == 1);
  add_binding(x, seed, public_key_der(tls_key));
  FLEXROOM_ASSERT(X509_sign(x, tls_key, EVP_sha256()) > 0);
  return der_of(x, [](X509* c, uint8_t** out) { return i2d_X509(c, out); });
}

OpensslPtr<X509> parse_certificate(ByteView der, std::string_view place) {
  const uint8_t* p = der.data();
  OpensslPtr<X509> x(d2i_X509(nullptr, &p, static_cast<long>(der.size())));
  if (!x || p != der.data() + der.size()) {
    take_openssl_error();
    throw InputError(place, "not an X.509 certificate");
  }
  return x;
}

void write_new(const fs::path& path, ByteView content, mode_t mode) {
  if (write_new_file(path, content, mode)) return;
  throw InputError(path.string(), std::string("cannot be made: ") + std::strerror(errno),
                   errno == EEXIST ? "keep this identity, or move it away first" : "");
}

constexpr std::string_view kNoIdentity = "make an identity with: flexroom init --identity";

template <typename WritePem>
Bytes to_pem(WritePem write_pem) {
  const OpensslPtr<BIO> memory(BIO_new(BIO_s_secmem()));
  FLEXROOM_ASSERT(memory && write_pem(memory.get()) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &data);
  return Bytes(data, data + size);
}

OpensslPtr<EVP_PKEY> parse_key_der(ByteView der) {
  const uint8_t* p = der.data();
  return OpensslPtr<EVP_PKEY>(d2i_AutoPrivateKey(nullptr, &p, static_cast<long>(der.size())));
}

void require_name(std::string_view name) {
  const bool printable =
      std::all_of(name.begin(), name.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (name.empty() || name.size() > 64 || !printable) {
    throw InputError("member name", "must be 1 to 64 characters of printable ASCII");
  }
}

}  // namespace

Identity Identity::make(std::string_view name) {
  require_name(name);
  FLEXROOM_ASSERT(sodium_init() >= 0);
  Identity out;
  out.name_ = name;
  out.seed_ = SecretBytes(crypto_sign_SEEDBYTES);
  randombytes_buf(out.seed_.writable().data(), out.seed_.size());
  out.signing_key_ = public_key_of(out.seed_.reveal());
  const OpensslPtr<EVP_PKEY> key(EVP_EC_gen("P-256"));
  FLEXROOM_ASSERT(key != nullptr);
  out.tls_key_ =
      SecretBytes(der_of(key.get(), [](EVP_PKEY* k, uint8_t** p) { return i2d_PrivateKey(k, p); }));
  out.certificate_ = make_certificate(name, key.get(), out.seed_.reveal());
  out.fingerprint_ = sha256(out.certificate_);
  return out;
}

void Identity::save(const fs::path& directory) const {
  fs::create_directories(directory.parent_path().empty() ? "." : directory.parent_path());
  make_private_folder(directory);
  for (const char* file : {"member.key", "tls.key", "tls.crt"}) {
    if (fs::exists(directory / file)) {
      throw InputError((directory / file).string(), "exists already",
                       "keep this identity, or move it away first");
    }
  }
  Bytes seed = to_bytes(to_hex(seed_.reveal()) + "\n");
  write_new(directory / "member.key", seed, 0600);
  wipe(seed);
  const OpensslPtr<EVP_PKEY> key = parse_key_der(tls_key_.reveal());
  Bytes pem = to_pem([&](BIO* out) {
    return PEM_write_bio_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  write_new(directory / "tls.key", pem, 0600);
  wipe(pem);
  const OpensslPtr<X509> certificate = parse_certificate(certificate_, "own certificate");
  write_new(directory / "tls.crt",
            to_pem([&](BIO* out) { return PEM_write_bio_X509(out, certificate.get()); }), 0644);
}

Identity Identity::load(const fs::path& directory) {
  FLEXROOM_ASSERT(sodium_init() >= 0);
  Identity out;
  const fs::path seed_path = directory / "member.key";
  const SecretBytes text = read_private_file(seed_path, kMaxFileBytes, kNoIdentity);
  std::string_view hex = as_text(text.reveal());
  while (!hex.empty() && std::isspace(static_cast<unsigned char>(hex.back())) != 0) {
    hex.remove_suffix(1);
  }
  if (hex.size() != 2 * crypto_sign_SEEDBYTES) {
    throw InputError(seed_path.string(), "is not a member key: 64 hex digits expected");
  }
  out.seed_ = SecretBytes(from_hex(hex));
  out.signing_key_ = public_key_of(out.seed_.reveal());

  const SecretBytes key_pem = read_private_file(directory / "tls.key", kMaxFileBytes, kNoIdentity);
  const OpensslPtr<BIO> key_bio(
      BIO_new_mem_buf(key_pem.reveal().data(), static_cast<int>(key_pem.size())));
  const OpensslPtr<EVP_PKEY> key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr));
  const std::string certificate_pem =
      read_own_file(directory / "tls.crt", kMaxFileBytes, kNoIdentity);
  const OpensslPtr<BIO> certificate_bio(
      BIO_new_mem_buf(certificate_pem.data(), static_cast<int>(certificate_pem.size())));
  const OpensslPtr<X509> certificate(
      PEM_read_bio_X509(certificate_bio.get(), nullptr, nullptr, nullptr));
  const std::string place = (directory / "tls.crt").string();
  if (!key || !certificate) {
    take_openssl_error();
    throw InputError(key ? place : (directory / "tls.key").string(), "is not a PEM file we wrote");
  }
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    take_openssl_error();
    throw InputError(place, "does not belong to tls.key beside it");
  }
  out.tls_key_ =
      SecretBytes(der_of(key.get(), [](EVP_PKEY* k, uint8_t** p) { return i2d_PrivateKey(k, p); }));
  out.certificate_ = der_of(certificate.get(), [](X509* c, uint8_t** p) { return i2d_X509(c, p); });
  out.fingerprint_ = sha256(out.certificate_);
  if (signing_key_of(out.certificate_, place) != out.signing_key_) {
    throw InputError(place, "does not belong to member.key beside it");
  }
  char name[65] = {};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, name,
                            sizeof name);
  out.name_ = name;
  return out;
}

std::time_t Identity::not_after() const {
  const OpensslPtr<X509> certificate = parse_certificate(certificate_, "own certificate");
  std::tm when{};
  FLEXROOM_ASSERT(ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &when) == 1);
  return timegm(&when);
}

Signature Identity::sign(std::string_view domain, ByteView message) const {
  return sign_with_seed(seed_.reveal(), domain, message);
}

bool verify(const SigningKey& key, std::string_view domain, ByteView message,
            const Signature& signature) {
  FLEXROOM_ASSERT(sodium_init() >= 0);
  const Bytes input = signed_bytes(domain, message);
  return crypto_sign_verify_detached(signature.data(), input.data(), input.size(), key.data()) == 0;
}

SigningKey signing_key_of(ByteView certificate_der, std::string_view place) {
  const OpensslPtr<X509> certificate = parse_certificate(certificate_der, place);
  const int index = X509_get_ext_by_NID(certificate.get(), signing_key_nid(), -1);
  X509_EXTENSION* extension = index < 0 ? nullptr : X509_get_ext(certificate.get(), index);
  const ASN1_OCTET_STRING* value =
      extension == nullptr ? nullptr : X509_EXTENSION_get_data(extension);
  if (value == nullptr || ASN1_STRING_length(value) != static_cast<int>(kBindingBytes)) {
    throw InputError(place, "certificate carries no member signing key",
                     "use the certificate that flexroom init --identity made");
  }
  const uint8_t* p = ASN1_STRING_get0_data(value);
  SigningKey key{};
  Signature signature{};
  std::copy_n(p, key.size(), key.begin());
  std::copy_n(p + key.size(), signature.size(), signature.begin());
  EVP_PKEY* tls_key = X509_get0_pubkey(certificate.get());
  if (tls_key == nullptr || !verify(key, kBindingDomain, public_key_der(tls_key), signature)) {
    throw InputError(place, "the member signing key is not bound to this certificate");
  }
  return key;
}

std::string fingerprint_text(const Digest& fingerprint) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string text;
  for (const uint8_t byte : fingerprint) {
    if (!text.empty()) text.push_back(':');
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

Digest parse_fingerprint(std::string_view text, std::string_view place) {
  std::string hex;
  std::copy_if(text.begin(), text.end(), std::back_inserter(hex), [](char c) { return c != ':'; });
  const auto digest = digest_of_hex(hex);
  if (!digest) {
    throw InputError(place, "is not a certificate SHA-256",
                     "64 hex digits, as flexroom init --identity prints them");
  }
  return *digest;
}

}  // namespace flexroom::net
