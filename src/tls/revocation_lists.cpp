#include "tls/revocation_lists.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/error.h"
#include "base/openssl_ptr.h"
#include "base/private_file.h"
#include "tls/wire.h"

namespace flexroom::tls {
namespace {

/// What OpenSSL says of `certificate` under these lists of its issuer alone.
int verdict(X509* certificate, X509* issuer, const std::vector<X509_CRL*>& lists, time_t now) {
  const OpensslPtr<X509_STORE> store(X509_STORE_new());
  const OpensslPtr<X509_STORE_CTX> context(X509_STORE_CTX_new());
  FLEXROOM_ASSERT(store != nullptr && context != nullptr &&
                  X509_STORE_add_cert(store.get(), issuer) == 1);
  for (X509_CRL* list : lists) FLEXROOM_ASSERT(X509_STORE_add_crl(store.get(), list) == 1);
  X509_VERIFY_PARAM* param = X509_STORE_get0_param(store.get());
  X509_VERIFY_PARAM_set_time(param, now);
  X509_VERIFY_PARAM_set_auth_level(param, 2);
  X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_CRL_CHECK);
  FLEXROOM_ASSERT(X509_STORE_CTX_init(context.get(), store.get(), certificate, nullptr) == 1);
  const bool good = X509_verify_cert(context.get()) == 1;
  const int error = X509_STORE_CTX_get_error(context.get());
  ERR_clear_error();
  return good ? X509_V_OK : error;
}

}  // namespace

RevocationLists RevocationLists::from_file(const std::string& path, std::string_view provider) {
  const std::string content = read_own_file(path, kMaxFileBytes, "check `crl_file` in room.toml");
  RevocationLists out;
  out.description_ = "`crl_file` (" + path + ") of provider " + std::string(provider);
  const OpensslPtr<BIO> bio(BIO_new_mem_buf(content.data(), static_cast<int>(content.size())));
  while (X509_CRL* list = PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr)) {
    out.add(list);
  }
  bool whole = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (out.empty() && whole) {
    const auto* at = reinterpret_cast<const uint8_t*>(content.data());
    const uint8_t* const end = at + content.size();
    if (X509_CRL* list = d2i_X509_CRL(nullptr, &at, static_cast<long>(content.size()))) {
      out.add(list);
      whole = at == end;
    }
  }
  ERR_clear_error();
  if (out.empty() || !whole) {
    throw InputError("`crl_file` " + path, out.empty() ? "holds no CRL" : "holds a damaged CRL",
                     "name a file of CRLs in PEM, or of one in DER");
  }
  return out;
}

void RevocationLists::add(X509_CRL* list) { lists_.emplace_back(list, X509_CRL_free); }

std::vector<X509_CRL*> RevocationLists::of(X509* issuer) const {
  std::vector<X509_CRL*> out;
  for (const auto& list : lists_) {
    if (X509_NAME_cmp(X509_CRL_get_issuer(list.get()), X509_get_subject_name(issuer)) == 0) {
      out.push_back(list.get());
    }
  }
  return out;
}

void RevocationLists::check(STACK_OF(X509) * chain, time_t now) const {
  if (empty()) return;
  for (int k = 0; k < sk_X509_num(chain); ++k) {
    const bool leaf = k == 0;
    const std::string what =
        leaf ? "the server's certificate" : "the certificate of an authority above the server's";
    // The last of a chain is trusted for itself.
    if (k + 1 == sk_X509_num(chain)) {
      if (leaf) server_fault("certificate", what + " has no issuer that a CRL could be of");
      return;
    }
    X509* issuer = sk_X509_value(chain, k + 1);
    const std::vector<X509_CRL*> lists = of(issuer);
    if (lists.empty() && !leaf) continue;
    const int error = verdict(sk_X509_value(chain, k), issuer, lists, now);
    if (error == X509_V_OK) continue;
    if (error == X509_V_ERR_CERT_REVOKED) {
      server_fault("certificate", what + " is revoked, as " + description_ + " says",
                   Alert::kCertificateRevoked);
    }
    server_fault("certificate",
                 what + " cannot be looked up in " + description_ + ": " +
                     X509_verify_cert_error_string(error) + "; put a fresh CRL of its issuer there",
                 Alert::kBadCertificate);
  }
}

}  // namespace flexroom::tls
