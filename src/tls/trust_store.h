#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct x509_store_st;

namespace flexroom::tls {

/// The roots that this party trusts for one provider. Each party has its own; they need not be
/// equal.
class TrustStore {
 public:
  /// Of one PEM file: several times what all public authorities take.
  static constexpr size_t kMaxFileBytes = size_t{4} << 20;
  /// PEM files, with the rules of read_own_file(): who can change one chooses whom we trust.
  /// `provider` is named in messages. Throws InputError when a file cannot be read or holds no
  /// certificate.
  static TrustStore from_files(const std::vector<std::string>& paths, std::string_view provider);
  /// The system's roots.
  static TrustStore system();

  x509_store_st* get() const { return store_.get(); }
  /// "`ca_file` roots.pem of provider aws", for messages.
  const std::string& description() const { return description_; }

 private:
  TrustStore();
  void add_pem(std::string_view pem, std::string_view place);

  std::shared_ptr<x509_store_st> store_;
  std::string description_;
};

}  // namespace flexroom::tls
