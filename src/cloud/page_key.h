#pragma once

#include <openssl/evp.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

#include "base/bytes.h"
#include "cloud/certificates.h"

namespace flexroom::cloud {

/// The RSA key of a page, for passwords sent as JWE (RFC 7516, compact form): RSA-OAEP or
/// RSA-OAEP-256 (MGF1 with the same hash) with A128GCM or A256GCM. All of the cryptography is
/// OpenSSL's, none of it the client's. Not thread-safe.
class PageKey {
 public:
  /// Kept in `file` (0600); made if missing, of `bits` bits. Throws InputError for a file without a
  /// key and for other sizes than 2048, 3072 and 4096.
  PageKey(const std::filesystem::path& file, unsigned bits);

  static void check_size(unsigned bits);

  /// {"kty", "use", "n", "e", "kid"}
  nlohmann::json public_part() const;
  /// What was encrypted. Nothing, without a reason: not five parts of base64url, another key,
  /// another algorithm, further header members, altered, or seen before.
  std::optional<std::string> open(const std::string& jwe);

 private:
  Handle<EVP_PKEY> key_;
  std::string kid_;
  std::set<std::string> seen_;  // SHA-256
};

/// What stands in the JWE for that key; nothing as PageKey::open, but for one seen before.
std::optional<std::string> open_jwe(EVP_PKEY* key, const std::string& kid, const std::string& jwe);

/// Without padding. Decoding is strict: only the one text that encoding gives.
std::string base64url(ByteView bytes);
std::optional<Bytes> base64url_decode(std::string_view text);

}  // namespace flexroom::cloud
