#pragma once

#include <string>
#include <string_view>

#include "base/hash.h"
#include "http/presign.h"
#include "http/sigv4.h"

/// AWS Signature Version 4 of headers for a key held in the clear: what the agent's plan, made
/// without the key, is held against.
namespace flexroom::http {

inline constexpr std::string_view kSigV4Algorithm = "AWS4-HMAC-SHA256";

/// The headers with X-Amz-Date, X-Amz-Security-Token and Authorization added; `headers` holds Host.
/// `payload_hash` is hex or UNSIGNED-PAYLOAD.
inline Headers sign_headers(std::string_view method, std::string_view target, Headers headers,
                            std::string_view payload_hash, const AwsCredential& credential,
                            const SigV4Scope& scope, const PathRules& rules) {
  headers.emplace_back("X-Amz-Date", scope.date_time);
  if (!credential.session_token.empty()) {
    headers.emplace_back("X-Amz-Security-Token", credential.session_token);
  }
  const size_t mark = target.find('?');
  const std::string_view query = mark == std::string_view::npos ? "" : target.substr(mark + 1);
  std::string canonical =
      canonical_request_head(method, target.substr(0, mark), query, headers, rules);
  canonical += payload_hash;
  const std::string to_sign = string_to_sign_head(scope) + to_hex(sha256(as_bytes(canonical)));
  std::string line(kSigV4Algorithm);
  line.append(" Credential=").append(credential.access_key_id).append("/").append(scope.text());
  line.append(", SignedHeaders=").append(canonical_headers(headers).signed_names);
  line.append(", Signature=").append(sign_string(credential, scope, to_sign));
  headers.emplace_back("Authorization", line);
  return headers;
}

}  // namespace flexroom::http
