#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/sha256_block.h"
#include "boolean/engine.h"
#include "prep/prep.h"

namespace flexroom::agent {

/// kSigning of SigV4 for one day, region and service, as its two HMAC states: the inner one public,
/// the outer one shared (tls-in-mpc.md §6.1).
struct SigningKey {
  Sha256State kin{};
  prep::AuthBits kout;  // 256
};

struct SigningScope {
  std::string date;  // YYYYMMDD
  std::string region;
  std::string service;
};

/// The circuits of the derivation; made once a process for each length of the secret.
struct SigningKeyPrograms {
  std::shared_ptr<const mpc::Program> pads, level;
  uint64_t num_ands() const;
};
SigningKeyPrograms signing_key_programs(size_t secret_bytes = 40);

/// Derives it from the stored secret access key: "AWS4" || secret through date, region, service and
/// "aws4_request". 14 compressions, 281,134 ANDs for 40 bytes; no connection is involved.
///
/// In     secret [8 * bytes] authenticated bits, byte 0 first; unchanged
/// Gives  Kin of every level is opened to all: allowed because the secret has at least 128 bits of
///        min-entropy (§3.4(i))
class SigningKeyDerivation {
 public:
  SigningKeyDerivation(boolean::Engine& engine, const prep::AuthBits& secret);
  ~SigningKeyDerivation();
  SigningKeyDerivation(const SigningKeyDerivation&) = delete;
  SigningKeyDerivation& operator=(const SigningKeyDerivation&) = delete;
  uint64_t num_ands() const;
  SigningKey run(net::Party& party, const SigningScope& scope);

 private:
  boolean::Engine& engine_;
  SigningKeyPrograms programs_;
  std::vector<std::unique_ptr<boolean::Instance>> instances_;
};

/// SHA_{Kin}(string to sign): the public half of the signature.
Digest signature_inner_digest(const SigningKey& key, std::string_view string_to_sign);

}  // namespace flexroom::agent
