#pragma once

#include <ctime>
#include <optional>
#include <string>

#include "cloud/accounts.h"
#include "cloud/message.h"
#include "cloud/sigv4.h"

namespace flexroom::cloud {

/// The outcome of the signature check, and what a signed chunked body is verified with.
struct Caller {
  Principal principal;
  bool presigned = false;
  std::string payload_hash;  // as signed: hex, UNSIGNED-PAYLOAD or STREAMING-...
  // For STREAMING-AWS4-HMAC-SHA256-PAYLOAD*: the chain of chunk signatures starts here.
  Digest key{};
  std::string seed_signature;
  std::string date_time;
  std::string scope;
};

struct AuthRules {
  std::string region = "us-east-1";
  std::chrono::seconds skew{300};
  std::chrono::seconds skew_s3{900};
};

/// The scope a request's signature claims, if it bears one. Nothing of it is verified.
std::optional<CredentialScope> claimed_scope(const Request& request);

/// The service a request's signature is scoped to, if it bears one (for hosts that do not say).
std::optional<Service> service_of_signature(const Request& request);

/// Verifies the SigV4 signature of a request (Authorization header, or presigned query) to
/// `service` at time `now`, and the body's hash. Without any authentication: anonymous at S3,
/// MissingAuthenticationToken elsewhere. Throws ApiError with the service's own code.
Caller authenticate(const Request& request, Service service, const Directory& directory,
                    const AuthRules& rules, std::time_t now);

}  // namespace flexroom::cloud
