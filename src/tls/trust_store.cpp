#include "tls/trust_store.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/error.h"
#include "base/openssl_ptr.h"
#include "base/private_file.h"

namespace flexroom::tls {

TrustStore::TrustStore() : store_(X509_STORE_new(), X509_STORE_free) {
  FLEXROOM_ASSERT(store_ != nullptr);
}

void TrustStore::add_pem(std::string_view pem, std::string_view place) {
  const OpensslPtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  size_t count = 0;
  while (true) {
    const OpensslPtr<X509> cert(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
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
    out.add_pem(read_own_file(path, kMaxFileBytes, "check `ca_file` in room.toml"),
                "`ca_file` " + path);
    names += (names.empty() ? "" : ", ") + path;
  }
  out.description_ = "`ca_file` (" + names + ") of provider " + std::string(provider);
  return out;
}

TrustStore TrustStore::system() {
  TrustStore out;
  FLEXROOM_ASSERT(X509_STORE_set_default_paths(out.store_.get()) == 1);
  out.description_ = "the system's root certificates, or set `ca_file` for the provider";
  return out;
}

}  // namespace flexroom::tls
