#include "cloud/presign.h"

#include "cloud/object_store.h"
#include "cloud/sigv4.h"

namespace flexroom::cloud {

std::optional<S3Place> parse_s3_uri(const std::string& uri) {
  static constexpr std::string_view kScheme = "s3://";
  if (!uri.starts_with(kScheme)) return std::nullopt;
  const std::string rest = uri.substr(kScheme.size());
  const size_t slash = std::min(rest.find('/'), rest.size());
  S3Place place{rest.substr(0, slash), slash == rest.size() ? "" : rest.substr(slash + 1)};
  if (!ObjectStore::valid_name(place.bucket)) return std::nullopt;
  return place;
}

std::string presigned_url(const SessionKey& session, const std::string& method,
                          const S3Place& place, const std::string& region, unsigned expires,
                          std::time_t now) {
  const std::string host = place.bucket + ".s3." + region + ".amazonaws.com";
  const std::string date = amz_date(now);
  const CredentialScope scope{session.id, date.substr(0, 8), region, "s3", "aws4_request"};
  Request request{method, "/" + percent_encode(place.key, true), "", {{"host", host}}, ""};
  request.query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" +
                  percent_encode(session.id + "/" + scope.scope(), false) + "&X-Amz-Date=" + date +
                  "&X-Amz-Expires=" + std::to_string(expires) +
                  "&X-Amz-Security-Token=" + percent_encode(session.token, false) +
                  "&X-Amz-SignedHeaders=host";
  const std::string canonical =
      canonical_request(request, {"host"}, "UNSIGNED-PAYLOAD", path_rules(Service::kS3));
  return "https://" + host + request.path + "?" + request.query + "&X-Amz-Signature=" +
         signature(signing_key(session.secret, scope), string_to_sign(date, scope, canonical));
}

}  // namespace flexroom::cloud
