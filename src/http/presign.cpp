#include "http/presign.h"

#include <algorithm>

#include "http/text.h"

namespace flexroom::http {

Digest signing_key(const AwsCredential& credential, const SigV4Scope& scope) {
  constexpr std::string_view kPrefix = "AWS4";
  const ByteView secret = credential.secret_access_key.reveal();
  SecretBytes start(kPrefix.size() + secret.size());
  const auto behind = std::copy(kPrefix.begin(), kPrefix.end(), start.writable().begin());
  std::copy(secret.begin(), secret.end(), behind);
  Digest key = hmac_sha256(start.reveal(), as_bytes(scope.date()));
  for (const std::string_view part :
       {std::string_view(scope.region), std::string_view(scope.service),
        std::string_view("aws4_request")}) {
    const Digest next = hmac_sha256(key, as_bytes(part));
    wipe(key.data(), key.size());
    key = next;
  }
  return key;
}

std::string sign_string(const AwsCredential& credential, const SigV4Scope& scope,
                        std::string_view string_to_sign) {
  Digest key = signing_key(credential, scope);
  std::string out = to_hex(hmac_sha256(key, as_bytes(string_to_sign)));
  wipe(key.data(), key.size());
  return out;
}

std::string presign(std::string_view method, const Url& url, const AwsCredential& credential,
                    const SigV4Scope& scope, std::chrono::seconds expires) {
  std::string query = url.query;
  const auto add = [&query](std::string_view name, std::string_view value) {
    query.append(query.empty() ? "" : "&").append(name).append("=").append(percent_encode(value));
  };
  add("X-Amz-Algorithm", "AWS4-HMAC-SHA256");
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
