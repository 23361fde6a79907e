#pragma once

#include <openssl/x509.h>

#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace flexroom::tls {

/// The CRLs that a member looks a service's certificates up in (`provider.NAME.crl_file`,
/// tls-complete.md §5). Each member has its own file, or none.
class RevocationLists {
 public:
  /// Of the file: a large authority's list takes some ten megabytes.
  static constexpr size_t kMaxFileBytes = size_t{64} << 20;
  /// None: check() lets everything pass.
  RevocationLists() = default;
  /// A file of CRLs in PEM, or of one in DER, with the rules of read_own_file(). `provider` is
  /// named in messages. Throws InputError when it cannot be read or holds no CRL.
  static RevocationLists from_file(const std::string& path, std::string_view provider);

  bool empty() const { return lists_.empty(); }
  /// Judges the certificates of `chain` (verified, leaf first) at `now`: the leaf must have a list
  /// of its issuer, signed by it, in its time and for certificates like it, that does not name it;
  /// so must every authority whose issuer has a list in the file. Of the others nothing is known.
  /// Throws ProtocolAbort(kServer).
  void check(STACK_OF(X509) * chain, time_t now) const;

 private:
  void add(X509_CRL* list);
  /// Those that `issuer` may have signed, by name.
  std::vector<X509_CRL*> of(X509* issuer) const;

  std::vector<std::shared_ptr<X509_CRL>> lists_;
  std::string description_;
};

}  // namespace flexroom::tls
