#include "tls/revocation.h"

#include <openssl/err.h>

#include "base/error.h"
#include "base/openssl_ptr.h"
#include "tls/wire.h"

namespace flexroom::tls {
namespace {

[[noreturn]] void refuse(std::string_view detail, Alert alert = Alert::kBadCertificate) {
  server_fault("certificate", detail, alert);
}

// id-pe-tlsfeature with status_request (RFC 7633): the authority says that a staple must be there.
bool must_staple(X509* leaf) { return X509_get_ext_by_NID(leaf, NID_tlsfeature, -1) >= 0; }

[[noreturn]] void staple_fault(std::string_view what) {
  refuse("the certificate status that the server stapled " + std::string(what),
         Alert::kBadCertificateStatusResponse);
}

/// The response for `leaf` among those of the staple; null if there is none.
OCSP_SINGLERESP* response_for(OCSP_BASICRESP* basic, X509* leaf, X509* issuer) {
  for (int i = 0; i < OCSP_resp_count(basic); ++i) {
    OCSP_SINGLERESP* single = OCSP_resp_get0(basic, i);
    auto* const id = const_cast<OCSP_CERTID*>(OCSP_SINGLERESP_get0_id(single));
    ASN1_OBJECT* hash = nullptr;
    if (OCSP_id_get0_info(nullptr, &hash, nullptr, nullptr, id) != 1) continue;
    const EVP_MD* digest = EVP_get_digestbyobj(hash);
    if (digest == nullptr) continue;
    const OpensslPtr<OCSP_CERTID> expected(OCSP_cert_to_id(digest, leaf, issuer));
    if (expected != nullptr && OCSP_id_cmp(expected.get(), id) == 0) return single;
  }
  return nullptr;
}

/// Signed by the leaf's issuer, or by a certificate of it for that purpose.
bool staple_is_signed(OCSP_BASICRESP* basic, X509* issuer, time_t now) {
  const OpensslPtr<X509_STORE> store(X509_STORE_new());
  const OpensslPtr<STACK_OF(X509)> certs(sk_X509_new_null());
  FLEXROOM_ASSERT(store != nullptr && X509_STORE_add_cert(store.get(), issuer) == 1 &&
                  X509_up_ref(issuer) == 1 && sk_X509_push(certs.get(), issuer) > 0);
  X509_VERIFY_PARAM* param = X509_STORE_get0_param(store.get());
  X509_VERIFY_PARAM_set_time(param, now);
  X509_VERIFY_PARAM_set_auth_level(param, 2);
  X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
  const bool good = OCSP_basic_verify(basic, certs.get(), store.get(), 0) == 1;
  ERR_clear_error();
  return good;
}

void check_staple(ByteView staple, STACK_OF(X509) * chain, time_t now) {
  constexpr time_t kSkew = 300;
  if (sk_X509_num(chain) < 2) staple_fault("cannot be checked: the issuer is not known");
  X509* leaf = sk_X509_value(chain, 0);
  X509* issuer = sk_X509_value(chain, 1);
  const uint8_t* at = staple.data();
  const OpensslPtr<OCSP_RESPONSE> response(
      d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(staple.size())));
  ERR_clear_error();
  if (response == nullptr || at != staple.data() + staple.size() ||
      OCSP_response_status(response.get()) != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
    staple_fault("cannot be parsed or says that there is no answer");
  }
  const OpensslPtr<OCSP_BASICRESP> basic(OCSP_response_get1_basic(response.get()));
  ERR_clear_error();
  if (basic == nullptr || !staple_is_signed(basic.get(), issuer, now)) {
    staple_fault("is not signed by the issuer of the certificate");
  }
  OCSP_SINGLERESP* single = response_for(basic.get(), leaf, issuer);
  if (single == nullptr) staple_fault("is for another certificate");
  int reason = 0;
  ASN1_GENERALIZEDTIME *revoked = nullptr, *from = nullptr, *until = nullptr;
  const int status = OCSP_single_get0_status(single, &reason, &revoked, &from, &until);
  if (from == nullptr || until == nullptr || ASN1_TIME_cmp_time_t(from, now + kSkew) > 0 ||
      ASN1_TIME_cmp_time_t(until, now) < 0) {
    staple_fault("is out of date, or this machine's clock is wrong");
  }
  if (status == V_OCSP_CERTSTATUS_REVOKED) {
    refuse("the server's certificate is revoked", Alert::kCertificateRevoked);
  }
  if (status != V_OCSP_CERTSTATUS_GOOD) staple_fault("does not say that the certificate is good");
}

}  // namespace

void check_revocation(Revocation setting, const std::optional<Bytes>& staple,
                      STACK_OF(X509) * chain, time_t now) {
  if (setting == Revocation::kOff) return;
  if (staple) return check_staple(*staple, chain, now);
  if (setting == Revocation::kMust || must_staple(sk_X509_value(chain, 0))) {
    refuse(
        "the server stapled no certificate status, which `revocation` of the provider or the "
        "certificate demands",
        Alert::kBadCertificateStatusResponse);
  }
}

}  // namespace flexroom::tls
