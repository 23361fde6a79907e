#include "tls/certificate.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "base/ct.h"
#include "base/display.h"
#include "base/error.h"
#include "base/host_name.h"
#include "base/openssl_ptr.h"
#include "tls/wire.h"

namespace flexroom::tls {
namespace {

using ChainPtr = OpensslPtr<STACK_OF(X509)>;

constexpr std::string_view kStep = "certificate";

OpensslPtr<X509> parse_der(ByteView der) {
  const uint8_t* p = der.data();
  OpensslPtr<X509> cert(d2i_X509(nullptr, &p, static_cast<long>(der.size())));
  ERR_clear_error();
  if (cert == nullptr || p != der.data() + der.size()) {
    server_fault(kStep, "the server sent a certificate that cannot be parsed",
                 Alert::kBadCertificate);
  }
  return cert;
}

std::string subject(X509* cert) {
  char text[256];
  X509_NAME_oneline(X509_get_subject_name(cert), text, sizeof text);
  return display(text);
}

// Curves are named, not measured: a 256-bit curve other than P-256 is as unknown to the verifier as
// a weak one.
bool key_is_strong(EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "RSA") == 1 || EVP_PKEY_is_a(key, "RSA-PSS") == 1) {
    return EVP_PKEY_get_bits(key) >= 2048;
  }
  if (EVP_PKEY_is_a(key, "ED25519") == 1) return true;
  if (EVP_PKEY_is_a(key, "EC") != 1) return false;
  char group[64] = {};
  size_t size = 0;
  if (EVP_PKEY_get_group_name(key, group, sizeof group, &size) != 1) return false;
  const int nid = OBJ_sn2nid(std::string(group, size).c_str());
  return nid == NID_X9_62_prime256v1 || nid == NID_secp384r1 || nid == NID_secp521r1;
}

bool signature_is_strong(X509* cert) {
  int digest = NID_undef, key = NID_undef;
  return X509_get_signature_info(cert, &digest, &key, nullptr, nullptr) == 1 &&
         (key == NID_ED25519 || digest == NID_sha256 || digest == NID_sha384 ||
          digest == NID_sha512);
}

std::string who(int depth, X509* cert) {
  std::string out = depth == 0 ? "the server's certificate" : "an issuer's certificate";
  if (cert != nullptr) out += " (" + subject(cert) + ")";
  return out;
}

[[noreturn]] void refuse(std::string_view detail, Alert alert = Alert::kBadCertificate) {
  server_fault(kStep, detail, alert);
}

[[noreturn]] void chain_fault(int error, int depth, X509* cert, const ChainPolicy& policy) {
  const std::string name = who(depth, cert);
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      refuse(name + " has expired; if the service is fine, check this machine's clock",
             Alert::kCertificateExpired);
    case X509_V_ERR_CERT_NOT_YET_VALID:
      refuse(name + " is not valid yet; check this machine's clock", Alert::kCertificateExpired);
    case X509_V_ERR_HOSTNAME_MISMATCH:
      refuse(name + " is for another name than " + policy.host +
             "; check the host of the provider, and who answers at its address");
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      refuse(name + " is self-signed and not among the trusted roots; check " +
                 policy.trust.description(),
             Alert::kUnknownCa);
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:  // another authority of the same name
      refuse(name +
                 " does not lead to a trusted root (unknown root or missing intermediate); check " +
                 policy.trust.description() +
                 (policy.partial_chains ? ""
                                        : "; an intermediate is trusted for itself only with "
                                          "`trust = \"exact\"`"),
             Alert::kUnknownCa);
    case X509_V_ERR_INVALID_PURPOSE:
      refuse(name + " is not meant for TLS servers (extended key usage)",
             Alert::kUnsupportedCertificate);
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
      refuse(name + " has a key below RSA 2048 or P-256");
    case X509_V_ERR_CA_MD_TOO_WEAK:
      refuse(name + " is signed with a weak hash such as SHA-1");
    default:
      refuse(name + " is refused: " + X509_verify_cert_error_string(error));
  }
}

// OpenSSL takes a certificate without extended key usage for any purpose; this client does not.
void check_leaf_usage(X509* leaf) {
  const uint32_t extended = X509_get_extended_key_usage(leaf);
  if (extended == UINT32_MAX || (extended & XKU_SSL_SERVER) == 0) {
    refuse("the server's certificate lacks the extended key usage serverAuth",
           Alert::kUnsupportedCertificate);
  }
  const uint32_t usage = X509_get_key_usage(leaf);
  if (usage != UINT32_MAX && (usage & KU_DIGITAL_SIGNATURE) == 0) {
    refuse("the server's certificate has a key usage without digitalSignature",
           Alert::kUnsupportedCertificate);
  }
  // Each sign alone: OpenSSL calls a certificate that of an authority only where they agree.
  if ((X509_get_extension_flags(leaf) & EXFLAG_CA) != 0 ||
      (usage != UINT32_MAX && (usage & KU_KEY_CERT_SIGN) != 0) ||
      X509_get_ext_by_NID(leaf, NID_name_constraints, -1) >= 0) {
    refuse("the server's certificate is that of an authority");
  }
  if (X509_get_ext_by_NID(leaf, NID_subject_alt_name, -1) < 0) {
    refuse("the server's certificate has no subjectAltName; a common name does not count");
  }
}

std::string lower_text(const ASN1_STRING* text) {
  std::string out(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                  static_cast<size_t>(ASN1_STRING_length(text)));
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  });
  return out;
}

// RFC 5280 §4.2.1.10: names that can be made by adding labels to the left; with a leading dot,
// which the RFC does not have for DNS names but certificates do, at least one.
bool in_subtree(std::string_view name, std::string_view base) {
  if (base.empty()) return true;
  if (base.front() == '.') return name.size() > base.size() && name.ends_with(base);
  return name == base || (name.size() > base.size() && name.ends_with(base) &&
                          name[name.size() - base.size() - 1] == '.');
}

// Throws on a dNSName with an empty label in front or within, which is no name of anything.
std::vector<std::string> wildcard_bases(X509* leaf) {
  std::vector<std::string> out;
  const OpensslPtr<GENERAL_NAMES> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(leaf, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_DNS) continue;
    const std::string text = lower_text(name->d.dNSName);
    if (text.starts_with('.') || text.find("..") != std::string::npos) {
      refuse("the server's certificate has a malformed name (" + display(text) + ")");
    }
    if (text.starts_with("*.")) out.push_back(text.substr(2));
  }
  return out;
}

// A wildcard is measured by the names that it can match: "*.example" against the excluded subtree
// "bad.example" is a match that OpenSSL does not see.
void check_excluded(const ASN1_STRING* subtree, const std::string& host,
                    const std::vector<std::string>& wildcards) {
  const std::string base = lower_text(subtree);
  bool hit = in_subtree(host, base);
  for (const std::string& wildcard : wildcards) {
    const size_t dot = base.find('.');
    hit = hit || in_subtree(wildcard, base) || base == "." + wildcard ||
          (dot != std::string::npos && dot != 0 && base.substr(dot + 1) == wildcard);
  }
  if (hit) {
    refuse(
        "the server's certificate is for a name that its issuer may not certify (excluded name "
        "constraint)");
  }
}

void check_name_constraints(X509* authority, const std::string& host,
                            const std::vector<std::string>& wildcards) {
  const OpensslPtr<NAME_CONSTRAINTS> constraints(static_cast<NAME_CONSTRAINTS*>(
      X509_get_ext_d2i(authority, NID_name_constraints, nullptr, nullptr)));
  if (constraints == nullptr) return;
  const auto* const permitted_list = constraints->permittedSubtrees;
  const auto* const excluded_list = constraints->excludedSubtrees;
  // RFC 5280 §4.2.1.10: never empty. Whoever wrote it meant a bound and gave none.
  if ((permitted_list == nullptr && excluded_list == nullptr) ||
      sk_GENERAL_SUBTREE_num(permitted_list) == 0 || sk_GENERAL_SUBTREE_num(excluded_list) == 0) {
    refuse("an issuer's certificate (" + subject(authority) + ") has empty name constraints");
  }
  for (int i = 0; i < sk_GENERAL_SUBTREE_num(excluded_list); ++i) {
    const GENERAL_NAME* base = sk_GENERAL_SUBTREE_value(excluded_list, i)->base;
    if (base->type == GEN_DNS) check_excluded(base->d.dNSName, host, wildcards);
  }
  bool constrained = false, permitted = false;
  for (int i = 0; i < sk_GENERAL_SUBTREE_num(permitted_list); ++i) {
    const GENERAL_NAME* base = sk_GENERAL_SUBTREE_value(permitted_list, i)->base;
    if (base->type != GEN_DNS) continue;
    constrained = true;
    permitted = permitted || in_subtree(host, lower_text(base->d.dNSName));
  }
  if (constrained && !permitted) {
    refuse(
        "the server's certificate is for a name that its issuer may not certify (permitted name "
        "constraint)");
  }
}

// Whole bytes: what the authorities of the web must ask for (CA/Browser Forum 6.1.5).
bool rsa_is_sound(EVP_PKEY* key) {
  BIGNUM *n = nullptr, *e = nullptr;
  const bool good = EVP_PKEY_get_bn_param(key, "n", &n) == 1 &&
                    EVP_PKEY_get_bn_param(key, "e", &e) == 1 && BN_is_odd(n) == 1 &&
                    BN_is_odd(e) == 1 && BN_is_one(e) == 0 && BN_num_bits(n) % 8 == 0;
  BN_free(n);
  BN_free(e);
  return good;
}

void check_certificate(X509* cert, int depth, bool is_last) {
  EVP_PKEY* key = X509_get0_pubkey(cert);
  if (key == nullptr || !key_is_strong(key)) {
    refuse(who(depth, cert) + " has a key other than RSA >= 2048, P-256, P-384, P-521 or Ed25519");
  }
  const bool is_rsa = EVP_PKEY_is_a(key, "RSA") == 1 || EVP_PKEY_is_a(key, "RSA-PSS") == 1;
  if (is_rsa && !rsa_is_sound(key)) {
    refuse(who(depth, cert) + " has an RSA key with a bad modulus or exponent");
  }
  const int constraints = X509_get_ext_by_NID(cert, NID_basic_constraints, -1);
  if (depth > 0 && constraints < 0 && X509_get_version(cert) == X509_VERSION_3) {
    refuse(who(depth, cert) + " does not say that it is an authority");
  }
  // What a root says of itself proves nothing: neither its signature nor its form is checked. Roots
  // of the system's store say without `critical` that they are authorities.
  if (is_last) return;
  if (!signature_is_strong(cert)) {
    refuse(who(depth, cert) + " is signed with a weak hash such as SHA-1");
  }
  if (X509_get_version(cert) != X509_VERSION_3) {
    refuse(who(depth, cert) + " is not of version 3");
  }
  const ASN1_INTEGER* serial = X509_get0_serialNumber(cert);
  const int size = ASN1_STRING_length(serial);
  if (ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER || size > 20 ||
      (size == 1 && ASN1_STRING_get0_data(serial)[0] == 0) || size == 0) {
    refuse(who(depth, cert) + " has a serial number of zero or below, or over 20 bytes");
  }
  if (depth > 0 &&
      (constraints < 0 || X509_EXTENSION_get_critical(X509_get_ext(cert, constraints)) != 1)) {
    refuse(who(depth, cert) + " does not say as critical that it is an authority");
  }
}

void check_verified_chain(STACK_OF(X509) * chain, const ChainPolicy& policy) {
  const int count = sk_X509_num(chain);
  if (count > static_cast<int>(kMaxChain)) {
    refuse("the server's chain has " + std::to_string(count) + " certificates, at most " +
           std::to_string(kMaxChain));
  }
  const std::vector<std::string> wildcards = wildcard_bases(sk_X509_value(chain, 0));
  for (int i = 0; i < count; ++i) {
    X509* cert = sk_X509_value(chain, i);
    check_certificate(cert, i, i + 1 == count);
    if (i > 0) check_name_constraints(cert, policy.host, wildcards);
  }
}

// RFC 5280 §4.1.2.5: valid through notAfter, the second itself included; OpenSSL ends one earlier.
int accept_last_second(int ok, X509_STORE_CTX* ctx) {
  if (ok == 1 || X509_STORE_CTX_get_error(ctx) != X509_V_ERR_CERT_HAS_EXPIRED) return ok;
  const time_t now = X509_VERIFY_PARAM_get_time(X509_STORE_CTX_get0_param(ctx));
  const X509* cert = X509_STORE_CTX_get_current_cert(ctx);
  if (ASN1_TIME_cmp_time_t(X509_get0_notAfter(cert), now) != 0) return ok;
  X509_STORE_CTX_set_error(ctx, X509_V_OK);
  return 1;
}

OpensslPtr<X509_STORE_CTX> new_context(const ChainPolicy& policy, X509* leaf,
                                       STACK_OF(X509) * untrusted) {
  OpensslPtr<X509_STORE_CTX> ctx(X509_STORE_CTX_new());
  FLEXROOM_ASSERT(ctx != nullptr &&
                  X509_STORE_CTX_init(ctx.get(), policy.trust.get(), leaf, untrusted) == 1);
  X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(ctx.get());
  FLEXROOM_ASSERT(X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER) == 1);
  FLEXROOM_ASSERT(X509_VERIFY_PARAM_set1_host(param, policy.host.data(), policy.host.size()) == 1);
  X509_VERIFY_PARAM_set_hostflags(
      param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  X509_VERIFY_PARAM_set_auth_level(param, 2);  // 112 bits
  X509_VERIFY_PARAM_set_depth(param, static_cast<int>(kMaxChain));
  X509_VERIFY_PARAM_set_time(param, std::chrono::system_clock::to_time_t(policy.clock()));
  if (policy.partial_chains) X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
  X509_STORE_CTX_set_verify_cb(ctx.get(), accept_last_second);
  return ctx;
}

// The judge of one path: OpenSSL, then the rules that it does not have. Gives the verified chain.
ChainPtr judge(X509_STORE_CTX* ctx, const ChainPolicy& policy) {
  const int verdict = X509_verify_cert(ctx);
  ERR_clear_error();
  if (verdict != 1) {
    chain_fault(X509_STORE_CTX_get_error(ctx), X509_STORE_CTX_get_error_depth(ctx),
                X509_STORE_CTX_get_current_cert(ctx), policy);
  }
  ChainPtr chain(X509_STORE_CTX_get1_chain(ctx));
  check_verified_chain(chain.get(), policy);
  return chain;
}

// OpenSSL follows one issuer a step and does not come back. A server may send two certificates of
// an intermediate, one of them expired or under a root that this party does not have; then every
// path is tried, each alone. Bounded, since the server chooses the certificates.
class Paths {
 public:
  Paths(const ChainPolicy& policy, X509* leaf, STACK_OF(X509) * sent)
      : policy_(policy), leaf_(leaf), sent_(sent), lookup_(new_context(policy, leaf, sent)) {}

  /// The verified chain of the first path that holds; null if none does.
  ChainPtr find() {
    walk(leaf_);
    return std::move(found_);
  }

 private:
  static constexpr int kMaxTries = 64, kMaxSteps = 512;

  bool on_path(const X509* cert) const {
    return X509_cmp(cert, leaf_) == 0 ||
           std::any_of(path_.begin(), path_.end(),
                       [&](const X509* other) { return X509_cmp(cert, other) == 0; });
  }

  void walk(X509* cert) {
    if (found_ != nullptr || ++steps_ > kMaxSteps || path_.size() + 1 >= kMaxChain) return;
    const ChainPtr trusted(X509_STORE_CTX_get1_certs(lookup_.get(), X509_get_issuer_name(cert)));
    ERR_clear_error();
    for (int i = 0; trusted != nullptr && i < sk_X509_num(trusted.get()); ++i) {
      X509* anchor = sk_X509_value(trusted.get(), i);
      if (X509_check_issued(anchor, cert) != X509_V_OK) continue;
      const bool is_root = X509_check_issued(anchor, anchor) == X509_V_OK;
      if (is_root || policy_.partial_chains) attempt(anchor);
      if (!is_root) extend(anchor);
    }
    for (int i = 0; i < sk_X509_num(sent_); ++i) {
      X509* issuer = sk_X509_value(sent_, i);
      if (X509_check_issued(issuer, cert) == X509_V_OK) extend(issuer);
    }
  }

  void extend(X509* issuer) {
    if (found_ != nullptr || on_path(issuer)) return;
    path_.push_back(issuer);
    walk(issuer);
    path_.pop_back();
  }

  void attempt(X509* anchor) {
    if (found_ != nullptr || ++tries_ > kMaxTries) return;
    const ChainPtr untrusted(sk_X509_new_null()), roots(sk_X509_new_null());
    const auto put = [](STACK_OF(X509) * stack, X509 * cert) {
      FLEXROOM_ASSERT(X509_up_ref(cert) == 1 && sk_X509_push(stack, cert) > 0);
    };
    for (X509* cert : path_) put(untrusted.get(), cert);
    put(roots.get(), anchor);
    const OpensslPtr<X509_STORE_CTX> ctx = new_context(policy_, leaf_, untrusted.get());
    X509_STORE_CTX_set0_trusted_stack(ctx.get(), roots.get());
    try {
      found_ = judge(ctx.get(), policy_);
    } catch (const ServerFault&) {  // the first verdict is the one to tell
    }
  }

  const ChainPolicy& policy_;
  X509* leaf_;
  STACK_OF(X509) * sent_;
  OpensslPtr<X509_STORE_CTX> lookup_;
  std::vector<X509*> path_;
  int steps_ = 0, tries_ = 0;
  ChainPtr found_;
};

void check_pin(X509* leaf, const Digest& pin) {
  uint8_t* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);
  FLEXROOM_ASSERT(size > 0);
  const Digest found = sha256(ByteView(der, static_cast<size_t>(size)));
  OPENSSL_free(der);
  if (!ct_equal(found, pin)) {
    refuse("the server's key is not the pinned one (it has SPKI SHA-256 " + to_hex(found) +
           "); check `spki_pin` of the provider");
  }
}

/// RFC 8446 §4.2.3: in TLS 1.3 an ECDSA scheme names the curve, an RSA-PSS one the kind of the key.
struct SchemeRule {
  uint16_t scheme;
  const char* key_type;
  int curve;                  // NID of an EC key's
  const EVP_MD* (*digest)();  // null: the scheme's own
};
constexpr SchemeRule kSchemes[] = {
    {0x0403, "EC", NID_X9_62_prime256v1, EVP_sha256}, {0x0503, "EC", NID_secp384r1, EVP_sha384},
    {0x0603, "EC", NID_secp521r1, EVP_sha512},        {0x0804, "RSA", NID_undef, EVP_sha256},
    {0x0805, "RSA", NID_undef, EVP_sha384},           {0x0806, "RSA", NID_undef, EVP_sha512},
    {0x0807, "ED25519", NID_undef, nullptr},          {0x0809, "RSA-PSS", NID_undef, EVP_sha256},
    {0x080a, "RSA-PSS", NID_undef, EVP_sha384},       {0x080b, "RSA-PSS", NID_undef, EVP_sha512}};

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
  const OpensslPtr<EVP_MD_CTX> ctx(EVP_MD_CTX_new());
  EVP_PKEY_CTX* key_ctx = nullptr;
  const EVP_MD* const digest = rule.digest != nullptr ? rule.digest() : nullptr;
  // Parameters of an RSA-PSS key that say otherwise are an error here.
  if (EVP_DigestVerifyInit(ctx.get(), &key_ctx, digest, nullptr, key) != 1) return false;
  if (std::string_view(rule.key_type).starts_with("RSA") &&
      (EVP_PKEY_CTX_set_rsa_padding(key_ctx, RSA_PKCS1_PSS_PADDING) != 1 ||
       EVP_PKEY_CTX_set_rsa_pss_saltlen(key_ctx, RSA_PSS_SALTLEN_DIGEST) != 1)) {
    return false;
  }
  return EVP_DigestVerify(ctx.get(), signature.data(), signature.size(), content.data(),
                          content.size()) == 1;
}

}  // namespace

void check_chain(const std::vector<Bytes>& chain, const ChainPolicy& policy,
                 const std::optional<Bytes>& ocsp_staple) {
  FLEXROOM_ASSERT(!chain.empty());
  // A SAN dNSName of digits would match; an address names nobody.
  if (!is_host_name(policy.host)) refuse("'" + display(policy.host) + "' is not a DNS name");
  const OpensslPtr<X509> leaf = parse_der(chain.front());
  const ChainPtr others(sk_X509_new_null());
  for (size_t i = 1; i < chain.size(); ++i) {
    FLEXROOM_ASSERT(sk_X509_push(others.get(), parse_der(chain[i]).release()) > 0);
  }
  ChainPtr verified;
  try {
    verified = judge(new_context(policy, leaf.get(), others.get()).get(), policy);
  } catch (const ServerFault&) {
    verified = Paths(policy, leaf.get(), others.get()).find();
    if (verified == nullptr) throw;
  }
  check_leaf_usage(leaf.get());
  if (policy.spki_pin) check_pin(leaf.get(), *policy.spki_pin);
  const time_t now = std::chrono::system_clock::to_time_t(policy.clock());
  check_revocation(policy.revocation, ocsp_staple, verified.get(), now);
  policy.revocation_lists.check(verified.get(), now);
}

Bytes certificate_verify_content(ByteView transcript) {
  Bytes content(64, 0x20);
  append(content, "TLS 1.3, server CertificateVerify");
  content.push_back(0);
  append(content, transcript);
  return content;
}

void check_certificate_verify(ByteView leaf_der, const CertificateVerify& verify,
                              ByteView transcript) {
  const OpensslPtr<X509> leaf = parse_der(leaf_der);
  EVP_PKEY* key = X509_get0_pubkey(leaf.get());
  for (const SchemeRule& rule : kSchemes) {
    if (rule.scheme != verify.scheme) continue;
    if (key == nullptr || !key_fits(key, rule)) break;
    const bool good =
        signature_verifies(key, rule, verify.signature, certificate_verify_content(transcript));
    ERR_clear_error();
    if (good) return;
    server_fault("certificate verify", "the server's signature over the handshake is wrong",
                 Alert::kDecryptError);
  }
  server_fault("certificate verify",
               "the server's signature scheme does not fit its certificate's key",
               Alert::kIllegalParameter);
}

}  // namespace flexroom::tls
