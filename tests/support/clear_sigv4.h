#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "base/secret.h"
#include "http/sigv4.h"

/// AWS Signature Version 4 for a key held in the clear: what the agent's plan, made without the
/// key, is held against.
namespace flexroom::http {

inline constexpr std::string_view kSigV4Algorithm = "AWS4-HMAC-SHA256";

struct AwsCredential {
  std::string access_key_id;
  SecretBytes secret_access_key;
  std::string session_token;  // empty: long-term key
};

inline Digest signing_key(const AwsCredential& credential, const SigV4Scope& scope) {
  SecretBytes start(4 + credential.secret_access_key.size());
  const std::string_view prefix = "AWS4";
  std::copy(prefix.begin(), prefix.end(), start.writable().begin());
  const ByteView secret = credential.secret_access_key.reveal();
  std::copy(secret.begin(), secret.end(), start.writable().begin() + 4);
  Digest key = hmac_sha256(start.reveal(), as_bytes(scope.date()));
  for (const std::string_view part :
       {std::string_view(scope.region), std::string_view(scope.service),
        std::string_view("aws4_request")}) {
    key = hmac_sha256(key, as_bytes(part));
  }
  return key;
}

/// 64 hex digits.
inline std::string sign_string(const AwsCredential& credential, const SigV4Scope& scope,
                               std::string_view string_to_sign) {
  Digest key = signing_key(credential, scope);
  const std::string out = to_hex(hmac_sha256(key, as_bytes(string_to_sign)));
  wipe(key.data(), key.size());
  return out;
}

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

/// A pre-signed URL (query form, UNSIGNED-PAYLOAD for S3).
inline std::string presign(std::string_view method, const Url& url, const AwsCredential& credential,
                           const SigV4Scope& scope, std::chrono::seconds expires) {
  std::string query = url.query;
  const auto add = [&query](std::string_view name, std::string_view value) {
    query.append(query.empty() ? "" : "&").append(name).append("=").append(percent_encode(value));
  };
  add("X-Amz-Algorithm", kSigV4Algorithm);
  add("X-Amz-Credential", credential.access_key_id + "/" + scope.text());
  add("X-Amz-Date", scope.date_time);
  add("X-Amz-Expires", std::to_string(expires.count()));
  add("X-Amz-SignedHeaders", "host");
  if (!credential.session_token.empty()) add("X-Amz-Security-Token", credential.session_token);
  std::string canonical = canonical_request_head(
      method, url.path, query, {{"host", url.authority()}}, PathRules::of(scope.service));
  canonical += scope.service == "s3" ? std::string("UNSIGNED-PAYLOAD") : to_hex(sha256({}));
  const std::string to_sign = string_to_sign_head(scope) + to_hex(sha256(as_bytes(canonical)));
  add("X-Amz-Signature", sign_string(credential, scope, to_sign));
  return "https://" + url.authority() + url.path + "?" + query;
}

}  // namespace flexroom::http
