#include "call/aws_services.h"

#include <algorithm>
#include <array>

#include "base/host_name.h"

namespace flexroom {
namespace {

constexpr std::array<AwsService, 9> kServices = {{
    {"ec2", AwsProtocol::kQuery, "", false},
    {"sts", AwsProtocol::kQuery, "", false},
    {"iam", AwsProtocol::kQuery, "", true},
    {"s3", AwsProtocol::kS3, "", false},
    {"ssm", AwsProtocol::kJson, "AmazonSSM.", false},
    {"sagemaker", AwsProtocol::kJson, "SageMaker.", false},
    {"cloudformation", AwsProtocol::kQuery, "", false},
    {"servicequotas", AwsProtocol::kJson, "ServiceQuotasV20190624.", false},
    {"support", AwsProtocol::kJson, "AWSSupport_20130415.", false},
}};
constexpr std::string_view kDomain = ".amazonaws.com";

/// "host" is `own`, or stands below it where the service has a host for each bucket.
bool is_host_of(const AwsService& service, std::string_view own, std::string_view host) {
  if (host == own) return true;
  return service.protocol == AwsProtocol::kS3 && host.size() > own.size() + 1 &&
         host.ends_with(own) && host[host.size() - own.size() - 1] == '.';
}

}  // namespace

const AwsService* aws_service(std::string_view name) {
  const auto found = std::find_if(kServices.begin(), kServices.end(),
                                  [&](const AwsService& s) { return s.name == name; });
  return found == kServices.end() ? nullptr : &*found;
}

std::string aws_host(const AwsService& service, std::string_view region) {
  std::string out(service.name == "sagemaker" ? "api.sagemaker" : service.name);
  if (!service.global) out.append(".").append(region);
  return out.append(kDomain);
}

std::string aws_service_names() {
  std::string out;
  for (const AwsService& service : kServices) {
    out.append(out.empty() ? "" : ", ").append(service.name);
  }
  return out;
}

bool is_aws_host(const AwsService& service, std::string_view region, std::string_view host) {
  if (!is_aws_region(region) || !is_host_name(host)) return false;
  if (service.global && region != kAwsGlobalRegion) return false;
  if (is_host_of(service, aws_host(service, region), host)) return true;
  const bool has_second = service.name == "sts" || service.name == "s3";
  return has_second && region == kAwsGlobalRegion &&
         is_host_of(service, std::string(service.name).append(kDomain), host);
}

const AwsService* aws_service_of(std::string_view host) {
  if (!is_aws(host)) return nullptr;
  const std::string_view front = host.substr(0, host.size() - kDomain.size());
  const std::string_view region = front.substr(front.rfind('.') + 1);
  for (const AwsService& service : kServices) {
    if (is_aws_host(service, region, host) || is_aws_host(service, kAwsGlobalRegion, host)) {
      return &service;
    }
  }
  return nullptr;
}

bool is_aws(std::string_view host) {
  return host.size() > kDomain.size() && host.ends_with(kDomain);
}

bool is_aws_region(std::string_view text) {
  return !text.empty() && text.size() <= 32 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

bool is_access_key_id(std::string_view text) {
  constexpr size_t kMost = 128;
  return !text.empty() && text.size() <= kMost && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace flexroom
