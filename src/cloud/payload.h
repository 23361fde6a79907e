#pragma once

#include "cloud/auth.h"

namespace flexroom::cloud {

/// The object's bytes of an upload: the body as it is, or freed of the aws-chunked coding, whose
/// chunk signatures and trailing checksums are verified. Checks Content-MD5 and x-amz-checksum-*
/// too. Throws ApiError (SignatureDoesNotMatch, BadDigest, IncompleteBody, InvalidRequest).
std::string object_bytes(const Request& request, const Caller& caller);

}  // namespace flexroom::cloud
