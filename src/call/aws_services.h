#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace flexroom {

/// How a service of AWS is told what to do.
enum class AwsProtocol {
  kQuery,  // Action=... in the query or a form body
  kJson,   // X-Amz-Target, JSON body
  kS3,     // method, path and sub-resource
};

/// A row of the one table of services that a key of ours may sign for: which hosts belong to which
/// service, and how it reads its requests. A service that is not there cannot be called signed.
struct AwsService {
  std::string_view name;           // as in a SigV4 scope
  AwsProtocol protocol;            //
  std::string_view target_prefix;  // kJson: what stands in front of the action in X-Amz-Target
  bool global = false;             // one host without a region; signed for us-east-1
};

/// Requests to services with one host are signed for this region.
inline constexpr std::string_view kAwsGlobalRegion = "us-east-1";

/// Nothing for a service that the table does not have.
const AwsService* aws_service(std::string_view name);
/// "ec2, sts, ...", for messages.
std::string aws_service_names();
/// The service whose requests a host takes, in whatever region; nothing for a host of no service of
/// the table. `is_aws` of a host says whether it is one of AWS at all.
const AwsService* aws_service_of(std::string_view host);
bool is_aws(std::string_view host);

/// "ec2.us-east-1.amazonaws.com": where the service of a region is called. In us-east-1 sts and s3
/// have a second host without the region.
std::string aws_host(const AwsService& service, std::string_view region);

/// Whether requests signed for the service and region belong to the host: aws_host(), and buckets
/// of S3 by name ("bucket.s3.us-east-1.amazonaws.com").
bool is_aws_host(const AwsService& service, std::string_view region, std::string_view host);

/// "us-east-1": letters of a region, digits and hyphens.
bool is_aws_region(std::string_view text);

/// "AKIAIOSFODNN7EXAMPLE": 1 to 128 letters, digits and underscores. What goes into an
/// Authorization line as one is one, wherever it came from.
bool is_access_key_id(std::string_view text);

}  // namespace flexroom
