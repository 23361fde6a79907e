#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "tls/messages.h"

struct x509_store_st;

namespace flexroom::tls {

using Clock = std::function<std::chrono::system_clock::time_point()>;

/// The roots that this party trusts for one provider. Each party has its own; they need not be
/// equal.
class TrustStore {
 public:
  /// PEM files. `provider` is named in messages. Throws InputError when a file cannot be read or
  /// holds no certificate.
  static TrustStore from_files(const std::vector<std::string>& paths, std::string_view provider);
  static TrustStore from_pem(std::string_view pem, std::string_view description);
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

/// C2 of tls-in-mpc.md §3.5: the chain leads to this party's roots at this party's time, the leaf
/// has a SAN dNSName that matches `host` (the CN is not looked at) and EKU serverAuth, every key is
/// RSA >= 2048 or EC >= P-256, no signature is SHA-1, and the leaf's key is the pinned one if there
/// is a pin.
///
/// Throws ProtocolAbort(kServer) with the reason and the remedy.
struct ChainPolicy {
  std::string host;
  TrustStore trust;
  Clock clock = [] { return std::chrono::system_clock::now(); };
  std::optional<Digest> spki_pin;  // SHA-256 of the leaf's SubjectPublicKeyInfo
};
void check_chain(const std::vector<Bytes>& chain, const ChainPolicy& policy);

/// C3: the signature over 64*0x20 || context || 00 || H(CH .. Certificate) under the leaf's key,
/// whose type must fit the scheme (RFC 8446 §4.4.3).
void check_certificate_verify(ByteView leaf_der, const CertificateVerify& verify,
                              const Digest& transcript);

/// What is signed in a server's CertificateVerify.
Bytes certificate_verify_content(const Digest& transcript);

}  // namespace flexroom::tls
