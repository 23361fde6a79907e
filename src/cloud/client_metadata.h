#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace flexroom::cloud {

/// The field `metadata1` of the sign-in: base64 of an XXTEA-encrypted JSON object, under a key that
/// is the sandbox's alone and no secret. It says {"client": TEXT, "nonce": 32 hex digits}; a nonce
/// counts once. Not thread-safe.
class ClientMetadata {
 public:
  static constexpr std::string_view kKey = "flexroom sandbox";
  /// Throws ApiError(400, BadMetadata) for anything else, and for a nonce that was there before.
  void check(const std::string& field);

 private:
  std::set<std::string> nonces_;
};

/// XXTEA (Needham, Wheeler, "Correction to xtea", 1998) over little-endian words: the text filled
/// up with zeros to whole words, then its length as one more word. Nothing if that is not what
/// comes out.
std::optional<std::string> xxtea_open(Bytes sealed, std::string_view key);

}  // namespace flexroom::cloud
