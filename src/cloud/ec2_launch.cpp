// RunInstances, key pairs and security groups.
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "cloud/certificates.h"
#include "cloud/ec2.h"

namespace flexroom::cloud {

namespace {

constexpr size_t kMaxUserData = 16384;
constexpr size_t kMaxInstancesKept = 1000;
constexpr const char* kVpc = "vpc-0123456789abcdef0";

[[noreturn]] void invalid(const std::string& message) {
  throw ApiError(400, "InvalidParameterValue", message);
}

long count_parameter(const Parameters& in, const std::string& name) {
  const std::string text = in.require(name);
  const bool digits = text.size() < 6 && text.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || std::stol(text) < 1) {
    invalid("Value (" + text + ") for parameter " + name +
            " is invalid. It must be a positive "
            "integer.");
  }
  return std::stol(text);
}

/// Same token, same meaning: every parameter but the token itself, in any order.
std::string parameters_hash(const Parameters& in) {
  Pairs pairs = in.all();
  std::erase_if(pairs, [](const auto& item) { return item.first == "ClientToken"; });
  std::sort(pairs.begin(), pairs.end());
  std::string text;
  for (const auto& [name, value] : pairs) {
    text += percent_encode(name, false) + "=" + percent_encode(value, false) + "&";
  }
  return to_hex(sha256(as_bytes(text)));
}

std::string pem_of(EVP_PKEY* key) {
  BIO* bio = BIO_new(BIO_s_mem());
  FLEXROOM_ASSERT(
      PEM_write_bio_PrivateKey_traditional(bio, key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(size));
  BIO_free(bio);
  return text;
}

/// The provider's fingerprint of a key it made: SHA-1 of the PKCS#8 DER form, with colons.
std::string fingerprint_of(EVP_PKEY* key) {
  BIO* bio = BIO_new(BIO_s_mem());
  FLEXROOM_ASSERT(i2d_PKCS8PrivateKey_bio(bio, key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  const std::string hex = to_hex(sha1(as_bytes({data, static_cast<size_t>(size)})));
  BIO_free(bio);
  std::string out;
  for (size_t i = 0; i < hex.size(); i += 2) out += (i == 0 ? "" : ":") + hex.substr(i, 2);
  return out;
}

void check_image(const std::string& image) {
  if (!image.starts_with("ami-")) {
    throw ApiError(400, "InvalidAMIID.Malformed", "Invalid id: \"" + image + "\"");
  }
  if (image != kImageId) {
    throw ApiError(400, "InvalidAMIID.NotFound", "The image id '[" + image + "]' does not exist");
  }
}

std::string instance_type(const Parameters& in) {
  std::string type = in.get("InstanceType", "m1.small");
  const size_t dot = type.find('.');
  if (dot == 0 || dot == std::string::npos || dot + 1 == type.size() ||
      type.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.") != std::string::npos) {
    invalid("Invalid value '" + type + "' for InstanceType.");
  }
  return type;
}

std::string user_data(const Parameters& in) {
  const auto data = in.get("UserData");
  if (!data) return "";
  const auto decoded = base64_decode(*data);
  if (!decoded) invalid("Invalid BASE64 encoding of user data.");
  if (decoded->size() > kMaxUserData) invalid("User data is limited to 16384 bytes");
  return to_text(*decoded);
}

bool terminates_on_shutdown(const Parameters& in) {
  const std::string behaviour = in.get("InstanceInitiatedShutdownBehavior", "stop");
  if (behaviour != "stop" && behaviour != "terminate") {
    invalid("Value (" + behaviour +
            ") for parameter InstanceInitiatedShutdownBehavior is "
            "invalid.");
  }
  return behaviour == "terminate";
}

Pairs instance_tags(const Parameters& in) {
  Pairs out;
  for (size_t i = 1;; ++i) {
    const std::string prefix = "TagSpecification." + std::to_string(i) + ".";
    const auto kind = in.get(prefix + "ResourceType");
    if (!kind) break;
    for (size_t j = 1; *kind == "instance"; ++j) {
      const auto key = in.get(prefix + "Tag." + std::to_string(j) + ".Key");
      if (!key) break;
      out.emplace_back(*key, in.get(prefix + "Tag." + std::to_string(j) + ".Value", ""));
    }
  }
  return out;
}

}  // namespace

struct Ec2::Launch {
  long count = 1;
  std::string type, key_name, user_data, client_token;
  Group group;
  InstanceProfile profile;
  std::string profile_arn;
  bool terminate_on_shutdown = false;
  Pairs tags;
};

long Ec2::within_quota(const std::string& account_id, long least, long most) const {
  static constexpr long kVcpusEach = 2;  // of every type here
  const auto runs = std::count_if(instances_.begin(), instances_.end(), [&](const auto& item) {
    const int state = item.second.state;
    return item.second.account_id == account_id && (state == 0 || state == 16);
  });
  const long vcpus = directory_.snapshot(account_id).vcpus;
  const long room = vcpus / kVcpusEach - runs;
  if (room < least) {
    throw ApiError(400, "VcpuLimitExceeded",
                   "You have requested more vCPU capacity than your current vCPU limit of " +
                       std::to_string(vcpus) +
                       " allows for the instance bucket that the specified instance type belongs "
                       "to.");
  }
  return std::min(room, most);
}

void Ec2::check_group(Launch& launch, const Parameters& in, const Estate& estate) {
  launch.group = {"sg-0d000000000000000", "default", "default VPC security group", 0};
  for (const auto& id : in.list("SecurityGroupId")) {
    const auto group = estate.groups.find(id);
    if (group == estate.groups.end()) {
      throw ApiError(400, "InvalidGroup.NotFound",
                     "The security group '" + id + "' does not exist");
    }
    launch.group = group->second;
  }
  for (const auto& name : in.list("SecurityGroup")) {
    const auto group = std::find_if(estate.groups.begin(), estate.groups.end(),
                                    [&](const auto& item) { return item.second.name == name; });
    if (group == estate.groups.end() && name != "default") {
      throw ApiError(400, "InvalidGroup.NotFound",
                     "The security group '" + name + "' does not exist in default VPC");
    }
    if (group != estate.groups.end()) launch.group = group->second;
  }
}

void Ec2::check_access(Launch& launch, const Parameters& in, const Caller& caller) {
  const auto name = in.get("IamInstanceProfile.Name");
  const auto arn = in.get("IamInstanceProfile.Arn");
  if (!name && !arn) return;
  const Account account = directory_.snapshot(caller.principal.account_id);
  const std::string prefix = "arn:aws:iam::" + account.id + ":instance-profile/";
  const std::string wanted =
      name ? *name : (arn->starts_with(prefix) ? arn->substr(prefix.size()) : "");
  const auto profile = account.profiles.find(wanted);
  if (profile == account.profiles.end()) {
    invalid("Value (" + name.value_or(arn.value_or("")) +
            ") for parameter iamInstanceProfile.name "
            "is invalid. Invalid IAM Instance Profile name");
  }
  launch.profile = profile->second;
  launch.profile_arn = prefix + wanted;
  // Otherwise a user could reach a role's rights that are not its own.
  if (!launch.profile.role.empty() &&
      !directory_.allowed(caller.principal, "iam:PassRole",
                          "arn:aws:iam::" + account.id + ":role/" + launch.profile.role)) {
    throw ApiError(403, "UnauthorizedOperation",
                   "You are not authorized to perform this operation. User: " +
                       caller.principal.arn() + " is not authorized to perform: iam:PassRole");
  }
}

Ec2::Launch Ec2::check_launch(const Parameters& in, const Caller& caller, Estate& estate) {
  Launch launch;
  const long least = count_parameter(in, "MinCount");
  launch.count = count_parameter(in, "MaxCount");
  if (least > launch.count) {
    throw ApiError(400, "InvalidParameterCombination",
                   "The value for MinCount may not be greater than the value for MaxCount");
  }
  launch.count = within_quota(caller.principal.account_id, least, launch.count);
  check_image(in.require("ImageId"));
  launch.type = instance_type(in);
  launch.key_name = in.get("KeyName", "");
  if (!launch.key_name.empty() && !estate.keys.contains(launch.key_name)) {
    throw ApiError(400, "InvalidKeyPair.NotFound",
                   "The key pair '" + launch.key_name + "' does not exist");
  }
  check_group(launch, in, estate);
  check_access(launch, in, caller);
  launch.user_data = user_data(in);
  launch.terminate_on_shutdown = terminates_on_shutdown(in);
  launch.client_token = in.get("ClientToken", "");
  if (launch.client_token.size() > 64) invalid("The client token may have at most 64 characters");
  launch.tags = instance_tags(in);
  return launch;
}

// A repeated request is answered as the first one was (ClientToken).
bool Ec2::answer_again(const Estate& estate, const std::string& token, const std::string& hash,
                       Xml& out) const {
  const auto known = estate.tokens.find(token);
  if (token.empty() || known == estate.tokens.end()) return false;
  if (known->second.parameters_hash != hash) {
    throw ApiError(400, "IdempotentParameterMismatch",
                   "Arguments on this idempotent request are inconsistent with arguments used in "
                   "previous request(s).");
  }
  const std::string& reservation = known->second.reservation_id;
  if (std::none_of(instances_.begin(), instances_.end(), [&](const auto& one) {
        return one.second.reservation_id == reservation && one.second.state != 48;
      })) {
    throw ApiError(400, "IdempotentInstanceTerminated",
                   "The client token of this request is that of an instance that has been "
                   "terminated.");
  }
  reservation_xml(reservation, out);
  return true;
}

// Between `least` and `most`; all or nothing.
std::vector<unsigned> Ec2::acquire_slots(size_t least, size_t most) {
  std::vector<unsigned> slots;
  while (slots.size() < most) {
    const auto slot =
        instances_.size() + slots.size() < kMaxInstancesKept ? vms_.acquire_slot() : std::nullopt;
    if (!slot) break;
    slots.push_back(*slot);
  }
  if (slots.size() >= least) return slots;
  for (const unsigned slot : slots) vms_.release_slot(slot);
  throw ApiError(400, "VcpuLimitExceeded",
                 "You have requested more vCPU capacity than your current vCPU limit of " +
                     std::to_string(2 * VmHost::kMaxVms) +
                     " allows for the instance bucket that the specified instance type belongs "
                     "to.");
}

// All of them, or none.
void Ec2::start(const Launch& launch, const Caller& caller, const std::string& reservation,
                std::span<const unsigned> slots) {
  for (unsigned i = 0; i < slots.size(); ++i) {
    Instance instance;
    instance.id = "i-0" + random_hex(16);
    instance.reservation_id = reservation;
    instance.account_id = caller.principal.account_id;
    instance.type = launch.type;
    instance.key_name = launch.key_name;
    instance.client_token = launch.client_token;
    instance.group_id = launch.group.id;
    instance.group_name = launch.group.name;
    instance.profile_name = launch.profile.name;
    instance.profile_arn = launch.profile_arn;
    instance.profile_id = launch.profile.id;
    instance.terminate_on_shutdown = launch.terminate_on_shutdown;
    instance.launch_index = i;
    instance.slot = slots[i];
    instance.launched = std::time(nullptr);
    instance.tags = launch.tags;
    Instance& kept = instances_[instance.id] = instance;
    try {
      boot(kept, launch);
    } catch (const std::exception& error) {
      // What started already goes again; nothing of this launch is answered as pending.
      vms_.forget(kept.id);
      instances_.erase(instance.id);
      for (auto& [id, other] : instances_) {
        if (other.reservation_id == reservation) vms_.terminate(id);
      }
      for (const unsigned rest : slots.subspan(i + 1)) vms_.release_slot(rest);
      throw ApiError(500, "InternalError",
                     std::string("An internal error has occurred: ") + error.what());
    }
  }
}

void Ec2::run_instances(const Parameters& in, const Caller& caller, Xml& out) {
  if (throttled_runs_ > 0) {
    --throttled_runs_;
    throw ApiError(503, "RequestLimitExceeded", "Request limit exceeded.");
  }
  Estate& estate = estates_[caller.principal.account_id];
  const std::string hash = parameters_hash(in);
  const std::string token = in.get("ClientToken", "");
  if (answer_again(estate, token, hash, out)) return;
  const Launch launch = check_launch(in, caller, estate);
  if (in.get("DryRun", "") == "true") {
    throw ApiError(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.");
  }
  forget_old();
  const std::vector<unsigned> slots = acquire_slots(
      static_cast<size_t>(count_parameter(in, "MinCount")), static_cast<size_t>(launch.count));
  const std::string reservation = "r-0" + random_hex(16);
  start(launch, caller, reservation, slots);
  if (!token.empty()) estate.tokens[token] = {hash, reservation};
  reservation_xml(reservation, out);
  // Answered as pending; from now on they run.
  for (auto& [id, instance] : instances_) {
    if (instance.reservation_id == reservation && instance.state == 0) instance.state = 16;
  }
}

void Ec2::forget_old() {
  while (instances_.size() >= kMaxInstancesKept) {
    auto oldest = instances_.end();
    for (auto it = instances_.begin(); it != instances_.end(); ++it) {
      if (it->second.state != 48) continue;
      if (oldest == instances_.end() || it->second.launched < oldest->second.launched) oldest = it;
    }
    if (oldest == instances_.end()) return;
    vms_.forget(oldest->first);
    instances_.erase(oldest);
  }
}

void Ec2::boot(Instance& instance, const Launch& launch) {
  MetadataFacts facts;
  facts.instance_id = instance.id;
  facts.image_id = kImageId;
  facts.instance_type = instance.type;
  facts.account_id = instance.account_id;
  facts.region = region_;
  facts.private_ip = "172.31.0." + std::to_string(10 + instance.slot);
  facts.hostname = "ip-172-31-0-" + std::to_string(10 + instance.slot) + ".ec2.internal";
  facts.user_data = launch.user_data;
  facts.profile_arn = launch.profile_arn;
  facts.profile_id = launch.profile.id;
  facts.role = launch.profile.role;
  facts.launched = instance.launched;

  Principal principal{Principal::Kind::kRoleSession, instance.account_id, launch.profile.role,
                      instance.id, ""};
  const Account account = directory_.snapshot(instance.account_id);
  if (const auto role = account.roles.find(launch.profile.role); role != account.roles.end()) {
    principal.unique_id = role->second.id;
  }
  instance.metadata = std::make_shared<MetadataService>(
      std::move(facts), vms_.uid(instance.slot),
      [this, principal] { return directory_.create_session(principal, std::chrono::hours(6)); });
  VmMetadata metadata;
  metadata.serve = [service = instance.metadata](Fd listener) {
    return service->adopt(std::move(listener));
  };
  if (vms_.isolation() != VmIsolation::kNamespaces) {
    metadata.endpoint = instance.metadata->listen(vms_.metadata_address(instance.slot));
  }
  vms_.launch(instance.id, instance.slot, launch.user_data, std::move(metadata),
              [this, id = instance.id](VmEnd end) { ended(id, end); });
}

void Ec2::describe_key_pairs(const Parameters& in, const Caller& caller, Xml& out) {
  const Estate& estate = estates_[caller.principal.account_id];
  const auto names = in.list("KeyName");
  for (const auto& name : names) {
    if (!estate.keys.contains(name)) {
      throw ApiError(400, "InvalidKeyPair.NotFound", "The key pair '" + name + "' does not exist");
    }
  }
  const Ec2Filters filters(in, {"fingerprint", "key-name", "key-pair-id", "key-type"});
  out.open("keySet");
  for (const auto& [name, key] : estate.keys) {
    if (!names.empty() && std::find(names.begin(), names.end(), name) == names.end()) continue;
    if (!filters.pass({{"fingerprint", key.fingerprint},
                       {"key-name", key.name},
                       {"key-pair-id", key.id},
                       {"key-type", key.type}})) {
      continue;
    }
    out.open("item")
        .leaf("keyPairId", key.id)
        .leaf("keyName", key.name)
        .leaf("keyFingerprint", key.fingerprint)
        .leaf("keyType", key.type)
        .leaf("createTime", iso_date_ms(key.created))
        .empty("tagSet")
        .close();
  }
  out.close();
}

void Ec2::create_key_pair(const Parameters& in, const Caller& caller, Xml& out) {
  const std::string name = in.require("KeyName");
  Estate& estate = estates_[caller.principal.account_id];
  if (name.size() > 255) invalid("The key name may have at most 255 characters");
  if (in.get("KeyType", "rsa") != "rsa") {
    invalid("Value (" + in.get("KeyType", "") + ") for parameter KeyType is not offered here");
  }
  if (estate.keys.contains(name)) {
    throw ApiError(400, "InvalidKeyPair.Duplicate", "The keypair already exists");
  }
  const Handle<EVP_PKEY> key(EVP_RSA_gen(2048));
  FLEXROOM_ASSERT(key != nullptr);
  const KeyPair pair{"key-0" + random_hex(16), name, fingerprint_of(key.get()), "rsa",
                     std::time(nullptr)};
  estate.keys[name] = pair;
  // The private half is answered once and not kept.
  out.leaf("keyName", name)
      .leaf("keyFingerprint", pair.fingerprint)
      .leaf("keyMaterial", trim(pem_of(key.get())))
      .leaf("keyPairId", pair.id);
}

void Ec2::delete_key_pair(const Parameters& in, const Caller& caller, Xml& out) {
  const auto name = in.get("KeyName");
  std::erase_if(estates_[caller.principal.account_id].keys, [&](const auto& item) {
    return name ? item.first == *name : item.second.id == in.require("KeyPairId");
  });
  out.leaf("return", "true");
}

void Ec2::create_group(const Parameters& in, const Caller& caller, Xml& out) {
  const std::string name = in.require("GroupName");
  const std::string description = in.require("GroupDescription");
  Estate& estate = estates_[caller.principal.account_id];
  for (const auto& [id, group] : estate.groups) {
    if (group.name == name) {
      throw ApiError(400, "InvalidGroup.Duplicate",
                     "The security group '" + name +
                         "' already exists for VPC "
                         "'vpc-0123456789abcdef0'");
    }
  }
  const Group group{"sg-0" + random_hex(16), name, description, std::time(nullptr)};
  estate.groups[group.id] = group;
  out.leaf("return", "true")
      .leaf("groupId", group.id)
      .leaf("securityGroupArn", "arn:aws:ec2:" + region_ + ":" + caller.principal.account_id +
                                    ":security-group/" + group.id);
}

void Ec2::describe_groups(const Parameters& in, const Caller& caller, Xml& out) {
  const auto ids = in.list("GroupId");
  const auto names = in.list("GroupName");
  const Ec2Filters filters(in, {"description", "group-id", "group-name", "vpc-id"});
  // A new one is not in the list at once.
  const std::time_t seen = std::time(nullptr) - std::time_t{directory_.lags().group_s};
  std::vector<Group> known;
  for (const auto& [id, group] : estates_[caller.principal.account_id].groups) {
    if (group.created <= seen) known.push_back(group);
  }
  const auto require = [&](const std::string& wanted, std::string Group::*part) {
    if (std::any_of(known.begin(), known.end(),
                    [&](const Group& group) { return group.*part == wanted; })) {
      return;
    }
    throw ApiError(400, "InvalidGroup.NotFound",
                   "The security group '" + wanted + "' does not exist");
  };
  for (const auto& id : ids) require(id, &Group::id);
  for (const auto& name : names) require(name, &Group::name);
  const auto has = [](const auto& list, const std::string& item) {
    return std::find(list.begin(), list.end(), item) != list.end();
  };
  out.open("securityGroupInfo");
  for (const Group& group : known) {
    if (!(ids.empty() && names.empty()) && !has(ids, group.id) && !has(names, group.name)) continue;
    if (!filters.pass({{"description", group.description},
                       {"group-id", group.id},
                       {"group-name", group.name},
                       {"vpc-id", kVpc}})) {
      continue;
    }
    out.open("item")
        .leaf("ownerId", caller.principal.account_id)
        .leaf("groupId", group.id)
        .leaf("groupName", group.name)
        .leaf("groupDescription", group.description)
        .leaf("vpcId", kVpc)
        .close();
  }
  out.close();
}

void Ec2::delete_group(const Parameters& in, const Caller& caller, Xml& out) {
  const std::string id = in.require("GroupId");
  if (estates_[caller.principal.account_id].groups.erase(id) == 0) {
    throw ApiError(400, "InvalidGroup.NotFound", "The security group '" + id + "' does not exist");
  }
  out.leaf("return", "true");
}

}  // namespace flexroom::cloud
