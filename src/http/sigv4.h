#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/secret.h"
#include "base/sha256_block.h"
#include "http/template.h"
#include "http/url.h"

/// AWS Signature Version 4 (tls-in-mpc.md §6): what is signed, computed by every party from the
/// public template.
namespace flexroom::http {

using SystemTime = std::chrono::system_clock::time_point;
using Headers = std::vector<std::pair<std::string, std::string>>;

/// "20250902T100000Z"
std::string amz_date(SystemTime time);
/// Inverse of amz_date. Throws InputError.
SystemTime parse_amz_date(std::string_view text, std::string_view place);

struct SigV4Scope {
  std::string date_time;  // amz_date
  std::string region;
  std::string service;

  std::string date() const { return date_time.substr(0, 8); }
  /// "20250902/us-east-1/ec2/aws4_request"
  std::string text() const;
};

/// How a service reads paths: S3 takes them as they are, the others normalised and encoded once
/// more.
struct PathRules {
  bool normalise = true;
  bool double_encode = true;
  static PathRules of(std::string_view service) {
    return service == "s3" ? PathRules{false, false} : PathRules{};
  }
};
std::string canonical_path(std::string_view path, const PathRules& rules);
/// Parameters decoded, encoded as SigV4 wants, and sorted.
std::string canonical_query(std::string_view query);
/// A header value without outer blanks, inner runs of blanks made one.
std::string canonical_value(std::string_view value);

struct CanonicalHeaders {
  std::string lines;         // "name:value\n" ...
  std::string signed_names;  // "host;x-amz-date"
};
/// Lower-case names, sorted; equal names joined by ','.
CanonicalHeaders canonical_headers(const Headers& headers);

/// Everything of the canonical request before the payload hash.
std::string canonical_request_head(std::string_view method, std::string_view path,
                                   std::string_view query, const Headers& headers,
                                   const PathRules& rules);
/// "AWS4-HMAC-SHA256\n<date>\n<scope>\n": the hash of the canonical request follows in hex.
std::string string_to_sign_head(const SigV4Scope& scope);

// ------------------------------------------------------------------ a template signed inside MPC

/// The hash of a body without slots; with slots it is computed in MPC.
struct BodyHash {
  bool is_public = true;
  Digest digest{};
};

/// The signature of a template, split into what is known in the clear and what is not.
struct SigV4Plan {
  SigV4Scope scope;
  std::string access_key_id;
  BodyHash body;
  /// "UNSIGNED-PAYLOAD" when the request says so; then the body's hash is not signed.
  bool unsigned_payload = false;
  /// The canonical request before its payload hash; public text alone unless a signed header holds
  /// a slot (x-amz-security-token).
  std::vector<Part> canonical_head;
  std::string sts_head;

  bool canonical_head_is_public() const;
  /// What stands at the end of the canonical request if the body is public or unsigned.
  std::string payload_hash_text() const;
  /// The string to sign when the canonical head is public, for a payload hash that is public or was
  /// opened (§6.2; ignored with UNSIGNED-PAYLOAD).
  std::string string_to_sign(const Digest& payload_hash) const;
};

/// Reads the Authorization line (the fixed builder's grammar) and X-Amz-Date of a validated
/// template. Throws InputError: a scope that does not fit X-Amz-Date, a header that is named but
/// absent, a Content-Type or X-Amz-* header (or Host) that is not signed, a wrong
/// X-Amz-Content-SHA256, a slot in a signed part of the request line.
SigV4Plan plan_sigv4(const Template& request);

/// Every party's own check (§6.1): region, service, and X-Amz-Date within 5 minutes of its clock.
/// Throws ProtocolAbort(kRefusedByRule).
void check_scope(const SigV4Plan& plan, std::string_view region, std::string_view service,
                 SystemTime now);

}  // namespace flexroom::http
