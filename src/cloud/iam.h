#pragma once

#include "cloud/accounts.h"
#include "cloud/auth.h"

namespace flexroom::cloud {

/// Parameters of a query-API call (EC2, IAM, STS), authentication parameters removed.
class Parameters {
 public:
  /// From the query of a GET or the form body of a POST. Throws ApiError on a missing Action.
  Parameters(const Request& request, Service service);
  const std::string& action() const { return action_; }
  std::optional<std::string> get(const std::string& name) const { return lookup(pairs_, name); }
  std::string get(const std::string& name, const std::string& otherwise) const {
    return get(name).value_or(otherwise);
  }
  /// Throws MissingParameter (EC2) or ValidationError.
  std::string require(const std::string& name) const;
  /// name.1, name.2, ... in order.
  std::vector<std::string> list(const std::string& name) const;
  const Pairs& all() const { return pairs_; }

 private:
  Service service_;
  std::string action_;
  Pairs pairs_;
};

/// AccessDenied in the words of the service, unless the caller's policies allow the action.
void require_allowed(const Directory& directory, const Caller& caller, Service service,
                     const std::string& action, const std::string& resource);

/// IAM query API 2010-05-08: users, access keys, roles, policies, instance profiles.
Response handle_iam(const Request& request, const Caller& caller, Directory& directory,
                    const std::string& request_id);
/// STS query API 2011-06-15: GetCallerIdentity, GetSessionToken, AssumeRole.
Response handle_sts(const Request& request, const Caller& caller, Directory& directory,
                    const std::string& request_id);
/// SSM JSON 1.1: GetParameter(s) of the public AMI parameters.
Response handle_ssm(const Request& request, const Caller& caller, const Directory& directory);

/// The one machine image of the sandbox.
inline constexpr const char* kImageId = "ami-0123456789abcdef0";
inline constexpr const char* kImageName = "al2023-ami-2023.8.20250818.0-kernel-6.1-x86_64";

}  // namespace flexroom::cloud
