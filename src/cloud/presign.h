#pragma once

#include <ctime>
#include <string>

#include "cloud/accounts.h"

namespace flexroom::cloud {

/// An object of S3, by bucket and key.
struct S3Place {
  std::string bucket, key;
};

/// s3://BUCKET/KEY; the key may be empty. Nothing for another form or a bucket that cannot be.
std::optional<S3Place> parse_s3_uri(const std::string& uri);

/// The pre-signed URL by which whoever holds it may call `method` on the object for `expires`
/// seconds from `now`, as that session.
std::string presigned_url(const SessionKey& session, const std::string& method,
                          const S3Place& place, const std::string& region, unsigned expires,
                          std::time_t now);

}  // namespace flexroom::cloud
