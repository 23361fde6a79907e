#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "base/secret.h"
#include "http/sigv4.h"
#include "http/url.h"

/// AWS Signature Version 4 with a key that one member holds in the clear: its own. What is signed
/// is written by http/sigv4.h, as for the requests that all members sign together.
namespace flexroom::http {

struct AwsCredential {
  std::string access_key_id;
  SecretBytes secret_access_key;
  std::string session_token;  // empty: long-term key. It stands in every link, so it is no secret
};

/// kSigning of the scope: a secret, which the caller wipes.
Digest signing_key(const AwsCredential& credential, const SigV4Scope& scope);

/// 64 hex digits. The keys that are derived on the way are wiped.
std::string sign_string(const AwsCredential& credential, const SigV4Scope& scope,
                        std::string_view string_to_sign);

/// A pre-signed URL (query form, UNSIGNED-PAYLOAD for S3, `host` the only signed header), its
/// signature last. Who has it may make that one request until `expires` after the scope's time:
/// the caller keeps and wipes it as a secret.
std::string presign(std::string_view method, const Url& url, const AwsCredential& credential,
                    const SigV4Scope& scope, std::chrono::seconds expires);

}  // namespace flexroom::http
