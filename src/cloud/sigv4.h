#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "cloud/message.h"

/// Signature Version 4 as a server computes it, written from "AWS API request signing" in the IAM
/// User Guide and "Authenticating Requests" in the S3 API reference, apart from any client code.
namespace flexroom::cloud {

/// Credential=KEY/DATE/REGION/SERVICE/aws4_request
struct CredentialScope {
  std::string access_key;
  std::string date;  // YYYYMMDD
  std::string region;
  std::string service;
  std::string terminator;
  /// DATE/REGION/SERVICE/aws4_request
  std::string scope() const;
  /// Nothing unless there are exactly five parts. Key ids hold no '/'.
  static std::optional<CredentialScope> parse(std::string_view text);
};

/// How a service canonicalises the path.
struct PathRules {
  bool normalize = true;      // dot segments and doubled slashes removed (all but S3)
  bool double_encode = true;  // the path as sent is encoded once more (all but S3)
};
PathRules path_rules(Service service);

std::string canonical_path(std::string_view raw_path, PathRules rules);
/// Names and values decoded and encoded again, sorted; X-Amz-Signature left out.
std::string canonical_query(std::string_view raw_query);
/// Method, path, query, the signed headers (lower case, in the order given), payload hash.
/// Throws ApiError(400) if a signed header is not in the request.
std::string canonical_request(const Request& request,
                              const std::vector<std::string>& signed_headers,
                              std::string_view payload_hash, PathRules rules);

std::string string_to_sign(std::string_view date_time, const CredentialScope& scope,
                           std::string_view canonical);
/// HMAC chain over date, region, service and terminator.
Digest signing_key(std::string_view secret, const CredentialScope& scope);
/// Lower-case hex, 64 characters.
std::string signature(const Digest& key, std::string_view text);

}  // namespace flexroom::cloud
