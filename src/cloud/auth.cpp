#include "cloud/auth.h"

#include <algorithm>

#include "base/ct.h"

namespace flexroom::cloud {

namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::string_view kUnsigned = "UNSIGNED-PAYLOAD";
constexpr int64_t kMaxExpires = 604800;

/// A parsed claim, before anything of it is believed.
struct Claim {
  CredentialScope scope;
  std::vector<std::string> signed_headers;
  std::string signature;
  std::string date_time;
  std::string token;
  std::optional<int64_t> expires;  // presigned
  bool presigned = false;
};

// As base/split.h, which the client's SigV4 uses, and apart from it: what is checked here must not
// be read by the code that wrote it.
std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> out;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(separator, at), text.size());
    out.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

[[noreturn]] void incomplete(Service service, const std::string& message) {
  if (is_json_rpc(service)) throw ApiError(400, "IncompleteSignatureException", message);
  switch (service) {
    case Service::kS3:
      throw ApiError(400, "AuthorizationHeaderMalformed",
                     "The authorization header is malformed; " + message);
    case Service::kEc2:
      throw ApiError(401, "AuthFailure", message);
    default:
      throw ApiError(400, "IncompleteSignature", message);
  }
}

[[noreturn]] void mismatch(Service service, const std::string& message, Pairs fields = {}) {
  if (is_json_rpc(service)) throw ApiError(400, "InvalidSignatureException", message);
  throw ApiError(403, "SignatureDoesNotMatch", message, std::move(fields));
}

[[noreturn]] void unknown_key(Service service, const std::string& key) {
  if (is_json_rpc(service)) {
    throw ApiError(400, "UnrecognizedClientException",
                   "The security token included in the request is invalid.");
  }
  switch (service) {
    case Service::kS3:
      throw ApiError(403, "InvalidAccessKeyId",
                     "The AWS Access Key Id you provided does not exist in our records.",
                     {{"AWSAccessKeyId", key}});
    case Service::kEc2:
      throw ApiError(401, "AuthFailure",
                     "AWS was not able to validate the provided access credentials");
    default:
      throw ApiError(403, "InvalidClientTokenId",
                     "The security token included in the request is invalid.");
  }
}

[[noreturn]] void expired_token(Service service) {
  if (is_json_rpc(service)) {
    throw ApiError(400, "ExpiredTokenException",
                   "The security token included in the request is expired");
  }
  switch (service) {
    case Service::kS3:
      throw ApiError(400, "ExpiredToken", "The provided token has expired.");
    case Service::kEc2:
      throw ApiError(400, "RequestExpired", "Request has expired.");
    default:
      throw ApiError(403, "ExpiredToken", "The security token included in the request is expired");
  }
}

Claim parse_header_claim(const Request& request, Service service, std::string_view authorization) {
  Claim claim;
  std::optional<std::string> credential, names, signature;
  for (const auto& item : split(authorization.substr(kAlgorithm.size()), ',')) {
    const std::string_view part = trim(item);
    const size_t equals = part.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = part.substr(0, equals);
    const std::string value(part.substr(equals + 1));
    if (name == "Credential") credential = value;
    if (name == "SignedHeaders") names = value;
    if (name == "Signature") signature = value;
  }
  for (const auto& [name, value] :
       {std::pair{"Credential", &credential}, std::pair{"SignedHeaders", &names},
        std::pair{"Signature", &signature}}) {
    if (!*value || (*value)->empty()) {
      incomplete(service, std::string("Authorization header requires '") + name + "' parameter.");
    }
  }
  const auto scope = CredentialScope::parse(*credential);
  if (!scope)
    incomplete(service,
               "the Credential is mal-formed; expecting "
               "\"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".");
  claim.scope = *scope;
  claim.signed_headers = split(*names, ';');
  claim.signature = *signature;
  claim.date_time = request.header("x-amz-date").value_or("");
  claim.token = request.header("x-amz-security-token").value_or("");
  return claim;
}

Claim parse_query_claim(Service service, const Pairs& query) {
  Claim claim;
  claim.presigned = true;
  const auto required = [&](const char* name) {
    auto value = lookup(query, name);
    if (!value || value->empty()) {
      if (service == Service::kS3) {
        throw ApiError(400, "AuthorizationQueryParametersError",
                       "Query-string authentication version 4 requires the X-Amz-Algorithm, "
                       "X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and "
                       "X-Amz-Expires parameters.");
      }
      incomplete(service, std::string("AWS query-string parameters must include '") + name + "'.");
    }
    return *value;
  };
  if (required("X-Amz-Algorithm") != kAlgorithm) {
    incomplete(service, "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"");
  }
  const auto scope = CredentialScope::parse(required("X-Amz-Credential"));
  if (!scope) incomplete(service, "X-Amz-Credential is mal-formed");
  claim.scope = *scope;
  claim.signed_headers = split(required("X-Amz-SignedHeaders"), ';');
  claim.signature = required("X-Amz-Signature");
  claim.date_time = required("X-Amz-Date");
  claim.token = lookup(query, "X-Amz-Security-Token").value_or("");
  auto expires = lookup(query, "X-Amz-Expires");
  if (service == Service::kS3) expires = required("X-Amz-Expires");
  if (expires) {
    const bool digits = !expires->empty() && expires->size() < 8 &&
                        expires->find_first_not_of("0123456789") == std::string::npos;
    claim.expires = digits ? std::stoll(*expires) : -1;
    if (*claim.expires < 0 || *claim.expires > kMaxExpires) {
      throw ApiError(400, "AuthorizationQueryParametersError",
                     digits ? "X-Amz-Expires must be less than a week (in seconds); that is, the "
                              "given X-Amz-Expires must be less than 604800 seconds"
                            : "X-Amz-Expires should be a number");
    }
  }
  return claim;
}

/// What every claim must have, whoever made it: scope, signed headers.
void check_form(const Request& request, Service service, const Claim& claim,
                const AuthRules& rules) {
  const CredentialScope& scope = claim.scope;
  if (!parse_amz_date(claim.date_time)) {
    if (service == Service::kS3) {
      throw ApiError(403, "AccessDenied",
                     "AWS authentication requires a valid Date or x-amz-date header");
    }
    incomplete(service, "Date must be in ISO-8601 'basic format'. Got '" + claim.date_time + "'.");
  }
  const auto refuse_scope = [&](const std::string& message, Pairs fields = {}) {
    if (service == Service::kS3) {
      throw ApiError(400, "AuthorizationHeaderMalformed",
                     "The authorization header is malformed; " + message, std::move(fields));
    }
    mismatch(service, message);
  };
  if (scope.terminator != "aws4_request") {
    refuse_scope("Credential should be scoped with a valid terminator: 'aws4_request', not '" +
                 scope.terminator + "'.");
  }
  if (scope.service != to_string(service)) {
    refuse_scope("Credential should be scoped to correct service: '" +
                 std::string(to_string(service)) + "'.");
  }
  if (scope.region != rules.region) {
    refuse_scope("the region '" + scope.region + "' is wrong; expecting '" + rules.region + "'",
                 {{"Region", rules.region}});
  }
  if (scope.date != claim.date_time.substr(0, 8)) {
    refuse_scope(
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
        "from HTTP: '" +
        scope.date + "' != '" + claim.date_time.substr(0, 8) + "'.");
  }
  const auto is_signed = [&](std::string_view name) {
    return std::find(claim.signed_headers.begin(), claim.signed_headers.end(), name) !=
           claim.signed_headers.end();
  };
  if (!std::is_sorted(claim.signed_headers.begin(), claim.signed_headers.end())) {
    mismatch(service, "SignedHeaders must be sorted.");
  }
  if (!is_signed("host")) mismatch(service, "'Host' or ':authority' must be a 'SignedHeader'.");
  // An attacker in the middle must not be able to add a meaning: every x-amz-* header is signed.
  for (const auto& [field, value] : request.headers) {
    const std::string name = lower(field);
    if (!name.starts_with("x-amz-") || is_signed(name)) continue;
    if (service == Service::kS3) {
      // UNSIGNED-PAYLOAD beside a presigned query says what the query's rules say already.
      if (claim.presigned && name == "x-amz-content-sha256" && value == kUnsigned) continue;
      throw ApiError(403, "AccessDenied",
                     "There were headers present in the request which were not signed",
                     {{"HeadersNotSigned", name}});
    }
    if (name == "x-amz-date" || name == "x-amz-security-token" || name == "x-amz-target") {
      mismatch(service, "'" + name + "' must be a 'SignedHeader'.");
    }
  }
}

void check_time(Service service, const Claim& claim, const AuthRules& rules, std::time_t now) {
  const std::time_t signed_at = *parse_amz_date(claim.date_time);
  const auto skew = service == Service::kS3 ? rules.skew_s3 : rules.skew;
  const std::time_t earliest = now - skew.count();
  const std::time_t latest = now + skew.count();
  if (claim.expires) {
    if (signed_at > latest) {
      throw ApiError(403, "AccessDenied", "Request is not yet valid",
                     {{"X-Amz-Date", claim.date_time}, {"ServerTime", iso_date(now)}});
    }
    if (signed_at + *claim.expires < now) {
      throw ApiError(403, "AccessDenied", "Request has expired",
                     {{"X-Amz-Expires", std::to_string(*claim.expires)},
                      {"Expires", iso_date(signed_at + *claim.expires)},
                      {"ServerTime", iso_date(now)}});
    }
    return;
  }
  if (signed_at >= earliest && signed_at <= latest) return;
  if (service == Service::kS3) {
    throw ApiError(403, "RequestTimeTooSkewed",
                   "The difference between the request time and the current time is too large.",
                   {{"RequestTime", claim.date_time},
                    {"ServerTime", iso_date(now)},
                    {"MaxAllowedSkewMilliseconds", std::to_string(skew.count() * 1000)}});
  }
  if (service == Service::kEc2) throw ApiError(400, "RequestExpired", "Request has expired.");
  const std::string window = std::to_string(skew.count() / 60) + " min.)";
  if (signed_at < earliest) {
    mismatch(service, "Signature expired: " + claim.date_time + " is now earlier than " +
                          amz_date(earliest) + " (" + amz_date(now) + " - " + window);
  }
  mismatch(service, "Signature not yet current: " + claim.date_time + " is still later than " +
                        amz_date(latest) + " (" + amz_date(now) + " + " + window);
}

/// The payload hash that was signed; compares it with the body where it is a digest.
std::string signed_payload_hash(const Request& request, Service service, const Claim& claim) {
  const std::string actual = to_hex(sha256(as_bytes(request.body)));
  // Elsewhere than at S3 the body is always covered.
  if (service != Service::kS3) return actual;
  auto named = request.header("x-amz-content-sha256");
  if (!named && claim.presigned) {
    named =
        lookup(parse_form(request.query), "X-Amz-Content-Sha256").value_or(std::string(kUnsigned));
  }
  if (!named) {
    throw ApiError(400, "InvalidRequest",
                   "Missing required header for this request: x-amz-content-sha256");
  }
  if (*named == kUnsigned || *named == "STREAMING-UNSIGNED-PAYLOAD-TRAILER" ||
      *named == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" ||
      *named == "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER") {
    return *named;
  }
  const bool is_digest =
      named->size() == 64 && named->find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!is_digest) {
    throw ApiError(400, "InvalidArgument",
                   "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-"
                   "TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-"
                   "PAYLOAD-TRAILER or a valid sha256 value.",
                   {{"ArgumentName", "x-amz-content-sha256"}, {"ArgumentValue", *named}});
  }
  if (*named != actual) {
    throw ApiError(400, "XAmzContentSHA256Mismatch",
                   "The provided 'x-amz-content-sha256' header does not match what was computed.",
                   {{"ClientComputedContentSHA256", *named}, {"S3ComputedContentSHA256", actual}});
  }
  return *named;
}

std::string hex_dump(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    out += (out.empty() ? "" : " ") + to_hex(ByteView(&byte, 1));
  }
  return out;
}

[[noreturn]] void refuse_signature(Service service, const Claim& claim, const std::string& text,
                                   const std::string& canonical) {
  if (service == Service::kS3) {
    mismatch(service,
             "The request signature we calculated does not match the signature you provided. "
             "Check your key and signing method.",
             {{"AWSAccessKeyId", claim.scope.access_key},
              {"StringToSign", text},
              {"SignatureProvided", claim.signature},
              {"StringToSignBytes", hex_dump(text)},
              {"CanonicalRequest", canonical},
              {"CanonicalRequestBytes", hex_dump(canonical)}});
  }
  if (service == Service::kEc2) {
    throw ApiError(401, "AuthFailure",
                   "AWS was not able to validate the provided access credentials");
  }
  mismatch(service,
           "The request signature we calculated does not match the signature you provided. Check "
           "your AWS Secret Access Key and signing method. Consult the service documentation for "
           "details.\n\nThe Canonical String for this request should have been\n'" +
               canonical + "'\n\nThe String-to-Sign should have been\n'" + text + "'\n");
}

std::optional<Claim> parse_claim(const Request& request, Service service) {
  const auto authorization = request.header("authorization");
  const Pairs query = parse_form(request.query);
  const bool in_query = lookup(query, "X-Amz-Algorithm") || lookup(query, "X-Amz-Signature");
  const bool version2 = lookup(query, "AWSAccessKeyId") && lookup(query, "Signature");
  if (authorization && in_query) {
    throw ApiError(400, "InvalidArgument",
                   "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "
                   "Signature query string parameter or the Authorization header should be "
                   "specified");
  }
  if (authorization && authorization->starts_with(kAlgorithm) &&
      authorization->size() > kAlgorithm.size() && (*authorization)[kAlgorithm.size()] == ' ') {
    return parse_header_claim(request, service, *authorization);
  }
  if (in_query) return parse_query_claim(service, query);
  if (authorization || version2) {
    if (service == Service::kS3) {
      throw ApiError(400, "InvalidRequest",
                     "The authorization mechanism you have provided is not supported. Please use "
                     "AWS4-HMAC-SHA256.");
    }
    incomplete(service, "Unsupported algorithm; expecting AWS4-HMAC-SHA256.");
  }
  return std::nullopt;
}

}  // namespace

std::optional<CredentialScope> claimed_scope(const Request& request) {
  std::string credential = lookup(parse_form(request.query), "X-Amz-Credential").value_or("");
  if (const auto header = request.header("authorization")) {
    const size_t at = header->find("Credential=");
    if (at != std::string::npos)
      credential = header->substr(at + 11, header->find(',', at) - at - 11);
  }
  return CredentialScope::parse(trim(credential));
}

std::optional<Service> service_of_signature(const Request& request) {
  const auto scope = claimed_scope(request);
  return scope ? service_by_name(scope->service) : std::nullopt;
}

Caller authenticate(const Request& request, Service service, const Directory& directory,
                    const AuthRules& rules, std::time_t now) {
  Caller caller;
  const std::optional<Claim> claim = parse_claim(request, service);
  if (!claim) {
    if (service == Service::kS3) {
      caller.payload_hash = request.header("x-amz-content-sha256").value_or(std::string(kUnsigned));
      return caller;
    }
    const bool json = is_json_rpc(service);
    throw ApiError(json ? 400 : 403,
                   json ? "MissingAuthenticationTokenException" : "MissingAuthenticationToken",
                   "Missing Authentication Token");
  }
  check_form(request, service, *claim, rules);
  const auto credential = directory.find_key(claim->scope.access_key);
  if (!credential || !credential->active) unknown_key(service, claim->scope.access_key);
  if (!ct_equal(as_bytes(credential->session_token), as_bytes(claim->token))) {
    if (service == Service::kS3) {
      throw ApiError(400, "InvalidToken", "The provided token is malformed or otherwise invalid.");
    }
    unknown_key(service, claim->scope.access_key);
  }
  check_time(service, *claim, rules, now);

  caller.payload_hash = signed_payload_hash(request, service, *claim);
  const std::string canonical =
      canonical_request(request, claim->signed_headers, caller.payload_hash, path_rules(service));
  const std::string text = string_to_sign(claim->date_time, claim->scope, canonical);
  caller.key = signing_key(credential->secret, claim->scope);
  if (!ct_equal(as_bytes(signature(caller.key, text)), as_bytes(claim->signature))) {
    refuse_signature(service, *claim, text, canonical);
  }
  // Only who holds the secret learns that the session has ended.
  if (!credential->session_token.empty() && credential->expires < now) expired_token(service);
  caller.principal = credential->principal;
  caller.presigned = claim->presigned;
  caller.seed_signature = claim->signature;
  caller.date_time = claim->date_time;
  caller.scope = claim->scope.scope();
  return caller;
}

}  // namespace flexroom::cloud
