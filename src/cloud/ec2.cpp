#include "cloud/ec2.h"

#include <algorithm>
#include <functional>
#include <map>

namespace flexroom::cloud {

namespace {

const char* state_name(int code) {
  switch (code) {
    case 0:
      return "pending";
    case 16:
      return "running";
    case 32:
      return "shutting-down";
    case 48:
      return "terminated";
    case 64:
      return "stopping";
    default:
      return "stopped";
  }
}

/// By the names of DescribeInstances' filters.
Pairs facts_of(const Instance& instance) {
  return {{"client-token", instance.client_token},
          {"instance-id", instance.id},
          {"instance-state-name", state_name(instance.state)},
          {"instance-type", instance.type},
          {"key-name", instance.key_name},
          {"reservation-id", instance.reservation_id}};
}

}  // namespace

Ec2::Ec2(Directory& directory, VmHost& vms, std::string region, unsigned throttled_runs)
    : directory_(directory),
      vms_(vms),
      region_(std::move(region)),
      throttled_runs_(throttled_runs) {}

void Ec2::stop() {
  const std::lock_guard lock(mutex_);
  for (auto& [id, instance] : instances_) instance.metadata.reset();
}

Response Ec2::handle(const Request& request, const Caller& caller, const std::string& request_id) {
  const Parameters in(request, Service::kEc2);
  const std::string& action = in.action();
  Xml out(4, true);
  out.open(action + "Response", "xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"")
      .leaf("requestId", request_id);
  const std::map<std::string, std::function<void()>> operations = {
      {"RunInstances", [&] { run_instances(in, caller, out); }},
      {"DescribeInstances", [&] { describe_instances(in, caller, out); }},
      {"TerminateInstances", [&] { change_instances(in, caller, out); }},
      {"StopInstances", [&] { change_instances(in, caller, out); }},
      {"GetConsoleOutput", [&] { console_output(in, caller, out); }},
      {"DescribeImages", [&] { describe_images(in, out); }},
      {"DescribeKeyPairs", [&] { describe_key_pairs(in, caller, out); }},
      {"CreateKeyPair", [&] { create_key_pair(in, caller, out); }},
      {"DeleteKeyPair", [&] { delete_key_pair(in, caller, out); }},
      {"CreateSecurityGroup", [&] { create_group(in, caller, out); }},
      {"DescribeSecurityGroups", [&] { describe_groups(in, caller, out); }},
      {"DeleteSecurityGroup", [&] { delete_group(in, caller, out); }},
  };
  const auto found = operations.find(action);
  if (found == operations.end()) {
    throw ApiError(400, "InvalidAction",
                   "The action " + action + " is not valid for this web service.");
  }
  require_allowed(directory_, caller, Service::kEc2, "ec2:" + action, "*");
  {
    const std::lock_guard lock(mutex_);
    found->second();
  }
  Response response;
  response.headers.emplace_back("Content-Type", "text/xml;charset=UTF-8");
  response.body = out.finish();
  // As the provider: long answers come chunked.
  response.chunked = response.body.size() > 640;
  return response;
}

void Ec2::describe_images(const Parameters& in, Xml& out) {
  for (const auto& id : in.list("ImageId")) {
    if (!id.starts_with("ami-")) {
      throw ApiError(400, "InvalidAMIID.Malformed", "Invalid id: \"" + id + "\"");
    }
    if (id != kImageId) {
      throw ApiError(400, "InvalidAMIID.NotFound", "The image id '[" + id + "]' does not exist");
    }
  }
  out.open("imagesSet").open("item");
  out.leaf("imageId", kImageId)
      .leaf("imageLocation", std::string("amazon/") + kImageName)
      .leaf("imageState", "available")
      .leaf("imageOwnerId", "137112412989")
      .leaf("creationDate", "2025-08-18T00:00:00.000Z")
      .leaf("isPublic", "true")
      .leaf("architecture", "x86_64")
      .leaf("imageType", "machine")
      .leaf("name", kImageName)
      .leaf("rootDeviceType", "ebs")
      .leaf("rootDeviceName", "/dev/xvda")
      .leaf("virtualizationType", "hvm")
      .leaf("hypervisor", "xen");
  out.close().close();
}

Instance& Ec2::find(const std::string& id, const std::string& account_id) {
  if (!id.starts_with("i-") || id.size() < 10 ||
      id.find_first_not_of("0123456789abcdef", 2) != std::string::npos) {
    throw ApiError(400, "InvalidInstanceID.Malformed", "Invalid id: \"" + id + "\"");
  }
  const auto found = instances_.find(id);
  // Another account's instance does not exist for this one.
  if (found == instances_.end() || found->second.account_id != account_id) {
    throw ApiError(400, "InvalidInstanceID.NotFound",
                   "The instance ID '" + id + "' does not exist");
  }
  return found->second;
}

bool Ec2::any_passes(const std::string& reservation_id, const Ec2Filters& filters) const {
  return std::any_of(instances_.begin(), instances_.end(), [&](const auto& item) {
    return item.second.reservation_id == reservation_id && filters.pass(facts_of(item.second));
  });
}

void Ec2::describe_instances(const Parameters& in, const Caller& caller, Xml& out) {
  const std::string& account = caller.principal.account_id;
  std::map<std::string, bool> wanted;  // reservations
  const auto ids = in.list("InstanceId");
  for (const auto& id : ids) wanted[find(id, account).reservation_id] = true;
  const Ec2Filters filters(in, {"client-token", "instance-id", "instance-state-name",
                                "instance-type", "key-name", "reservation-id"});
  std::erase_if(wanted, [&](const auto& one) { return !any_passes(one.first, filters); });
  if (ids.empty() && !directory_.lags().no_instances) {
    for (const auto& [id, instance] : instances_) {
      if (instance.account_id == account && filters.pass(facts_of(instance))) {
        wanted[instance.reservation_id] = true;
      }
    }
  }
  out.open("reservationSet");
  for (const auto& [reservation, unused] : wanted) {
    out.open("item");
    reservation_xml(reservation, out);
    out.close();
  }
  out.close();
}

void Ec2::change_instances(const Parameters& in, const Caller& caller, Xml& out) {
  const auto ids = in.list("InstanceId");
  if (ids.empty()) in.require("InstanceId");
  // All or none, as at the provider.
  for (const auto& id : ids) find(id, caller.principal.account_id);
  const bool terminate = in.action() == "TerminateInstances";
  out.open("instancesSet");
  for (const auto& id : ids) {
    Instance& instance = find(id, caller.principal.account_id);
    const int before = instance.state;
    if (before == 0 || before == 16) {
      instance.state = terminate ? 32 : 64;
      instance.state_reason = "Client.UserInitiatedShutdown";
      vms_.terminate(id);
    } else if (terminate && before == 80) {
      instance.state = 48;
    } else if (terminate && before == 64) {
      instance.state = 32;
    }
    out.open("item").leaf("instanceId", id);
    out.open("currentState")
        .leaf("code", std::to_string(instance.state))
        .leaf("name", state_name(instance.state))
        .close();
    out.open("previousState")
        .leaf("code", std::to_string(before))
        .leaf("name", state_name(before))
        .close()
        .close();
  }
  out.close();
}

void Ec2::ended(const std::string& id, VmEnd end) {
  // Its threads end outside the lock; the address must be free before the slot is.
  std::shared_ptr<MetadataService> metadata;
  const std::lock_guard lock(mutex_);
  Instance& instance = instances_.at(id);
  metadata.swap(instance.metadata);
  const bool stays =
      (end == VmEnd::kPoweroff && !instance.terminate_on_shutdown) || instance.state == 64;
  instance.state = stays ? 80 : 48;
  if (end == VmEnd::kPoweroff) instance.state_reason = "Client.InstanceInitiatedShutdown";
  if (end == VmEnd::kDeadline || end == VmEnd::kFailed) {
    instance.state_reason = "Server.InternalError";
  }
}

void Ec2::console_output(const Parameters& in, const Caller& caller, Xml& out) {
  const std::string id = in.require("InstanceId");
  find(id, caller.principal.account_id);
  const std::string text = vms_.console(id);
  out.leaf("instanceId", id).leaf("timestamp", iso_date_ms(std::time(nullptr)));
  if (!text.empty()) out.leaf("output", base64(as_bytes(text)));
}

void Ec2::reservation_xml(const std::string& reservation_id, Xml& out) const {
  bool first = true;
  for (const auto& [id, instance] : instances_) {
    if (instance.reservation_id != reservation_id) continue;
    if (first) {
      out.leaf("reservationId", reservation_id)
          .leaf("ownerId", instance.account_id)
          .empty("groupSet")
          .open("instancesSet");
    }
    first = false;
    instance_xml(instance, out);
  }
  if (!first) out.close();
}

namespace {

void tags_xml(const Pairs& tags, Xml& out) {
  if (tags.empty()) return;
  out.open("tagSet");
  for (const auto& [key, value] : tags) {
    out.open("item").leaf("key", key).leaf("value", value).close();
  }
  out.close();
}

void group_xml(const std::string& id, const std::string& name, Xml& out) {
  out.open("groupSet").open("item").leaf("groupId", id).leaf("groupName", name).close().close();
}

}  // namespace

void Ec2::instance_xml(const Instance& instance, Xml& out) const {
  const std::string address = "172.31.0." + std::to_string(10 + instance.slot);
  out.open("item").leaf("instanceId", instance.id).leaf("imageId", kImageId);
  out.open("instanceState")
      .leaf("code", std::to_string(instance.state))
      .leaf("name", state_name(instance.state))
      .close();
  out.leaf("privateDnsName", "ip-172-31-0-" + std::to_string(10 + instance.slot) + ".ec2.internal")
      .empty("dnsName")
      .empty("reason");
  if (!instance.key_name.empty()) out.leaf("keyName", instance.key_name);
  out.leaf("amiLaunchIndex", std::to_string(instance.launch_index))
      .empty("productCodes")
      .leaf("instanceType", instance.type)
      .leaf("launchTime", iso_date_ms(instance.launched));
  out.open("placement")
      .leaf("availabilityZone", region_ + "a")
      .empty("groupName")
      .leaf("tenancy", "default")
      .close();
  out.open("monitoring").leaf("state", "disabled").close();
  out.leaf("subnetId", "subnet-0123456789abcdef0")
      .leaf("vpcId", "vpc-0123456789abcdef0")
      .leaf("privateIpAddress", address)
      .leaf("sourceDestCheck", "true");
  group_xml(instance.group_id, instance.group_name, out);
  if (!instance.state_reason.empty()) {
    out.open("stateReason")
        .leaf("code", instance.state_reason)
        .leaf("message", instance.state_reason)
        .close();
  }
  out.leaf("architecture", "x86_64")
      .leaf("rootDeviceType", "ebs")
      .leaf("rootDeviceName", "/dev/xvda")
      .empty("blockDeviceMapping")
      .leaf("virtualizationType", "hvm");
  if (!instance.client_token.empty()) out.leaf("clientToken", instance.client_token);
  tags_xml(instance.tags, out);
  out.leaf("hypervisor", "xen").empty("networkInterfaceSet");
  if (!instance.profile_arn.empty()) {
    out.open("iamInstanceProfile")
        .leaf("arn", instance.profile_arn)
        .leaf("id", instance.profile_id)
        .close();
  }
  out.leaf("ebsOptimized", "false");
  out.open("cpuOptions").leaf("coreCount", "1").leaf("threadsPerCore", "2").close();
  out.open("metadataOptions")
      .leaf("state", instance.state == 0 ? "pending" : "applied")
      .leaf("httpTokens", "required")
      .leaf("httpPutResponseHopLimit", "2")
      .leaf("httpEndpoint", "enabled")
      .leaf("instanceMetadataTags", "disabled")
      .close();
  out.close();
}

}  // namespace flexroom::cloud
