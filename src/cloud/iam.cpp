#include "cloud/iam.h"

#include <functional>

#include "cloud/policy.h"
#include "cloud/totp.h"

namespace flexroom::cloud {

namespace {

/// One IAM call in progress: its parameters, the account, and the answer so far.
struct Call {
  const Parameters& in;
  Account& account;
  const Caller& caller;
  Xml& out;
  std::time_t role_lag_s;
};

[[noreturn]] void no_such(const std::string& kind, const std::string& name) {
  throw ApiError(404, "NoSuchEntity", "The " + kind + " with name " + name + " cannot be found.");
}
[[noreturn]] void exists(const std::string& kind, const std::string& name) {
  throw ApiError(409, "EntityAlreadyExists", kind + " with name " + name + " already exists.");
}
template <typename T>
void check_quota(const std::map<std::string, T>& things, const std::string& kind) {
  static constexpr size_t kMost = 1000;
  if (things.size() < kMost) return;
  throw ApiError(409, "LimitExceeded",
                 "Cannot exceed quota for " + kind + "PerAccount: " + std::to_string(kMost));
}
[[noreturn]] void in_use(const std::string& what) {
  throw ApiError(409, "DeleteConflict", "Cannot delete entity, must " + what + " first.");
}

std::string checked_name(const Parameters& in, const std::string& parameter, size_t longest) {
  const std::string name = in.require(parameter);
  const bool fits =
      name.size() <= longest && name.find_first_not_of(
                                    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                    "0123456789+=,.@_-") == std::string::npos;
  if (!fits) {
    throw ApiError(400, "ValidationError",
                   "The specified value for " + parameter +
                       " is invalid. It must contain only alphanumeric characters and/or the "
                       "following: +=,.@_-");
  }
  return name;
}

std::string policy_parameter(const Parameters& in, const std::string& parameter, PolicyKind kind) {
  const std::string document = in.require(parameter);
  if (document.size() > 10240 || !is_policy_document(document, kind)) {
    throw ApiError(
        400, "MalformedPolicyDocument",
        "Syntax errors in policy, or elements that do not belong in this kind of policy");
  }
  return document;
}

template <typename T>
T& find(std::map<std::string, T>& things, const std::string& kind, const std::string& name) {
  const auto found = things.find(name);
  if (found == things.end()) no_such(kind, name);
  return found->second;
}

bool is_known(const Call& call, const Role& role) {
  return std::time(nullptr) - role.created >= call.role_lag_s;
}
Role& role_of(Call& call) {
  Role& role = find(call.account.roles, "role", call.in.require("RoleName"));
  if (!is_known(call, role)) no_such("role", role.name);
  return role;
}
/// The named user, or the caller itself where the name may be left out.
User& user_of(Call& call, bool optional = false) {
  const auto name = call.in.get("UserName");
  const bool self = !name && optional && call.caller.principal.kind == Principal::Kind::kUser;
  return find(call.account.users, "user",
              self ? call.caller.principal.name : call.in.require("UserName"));
}
InstanceProfile& profile_of(Call& call) {
  return find(call.account.profiles, "instance profile", call.in.require("InstanceProfileName"));
}

std::string arn(const Call& call, const std::string& rest) {
  return "arn:aws:iam::" + call.account.id + ":" + rest;
}

void role_xml(Call& call, const Role& role, const char* element = "Role") {
  call.out.open(element)
      .leaf("Path", "/")
      .leaf("AssumeRolePolicyDocument", percent_encode(role.trust, false))
      .leaf("RoleId", role.id)
      .leaf("RoleName", role.name)
      .leaf("Arn", arn(call, "role/" + role.name))
      .leaf("CreateDate", iso_date(role.created))
      .close();
}

void user_xml(Call& call, const User& user) {
  call.out.open("User")
      .leaf("Path", "/")
      .leaf("UserName", user.name)
      .leaf("UserId", user.id)
      .leaf("Arn", arn(call, "user/" + user.name))
      .leaf("CreateDate", iso_date(user.created))
      .close();
}

void profile_xml(Call& call, const InstanceProfile& profile) {
  call.out.open("InstanceProfile")
      .leaf("Path", "/")
      .leaf("InstanceProfileName", profile.name)
      .leaf("InstanceProfileId", profile.id)
      .leaf("Arn", arn(call, "instance-profile/" + profile.name))
      .leaf("CreateDate", iso_date(profile.created))
      .open("Roles");
  if (const auto role = call.account.roles.find(profile.role); role != call.account.roles.end()) {
    call.out.open("member")
        .leaf("Path", "/")
        .leaf("RoleName", role->second.name)
        .leaf("RoleId", role->second.id)
        .leaf("Arn", arn(call, "role/" + role->second.name))
        .leaf("AssumeRolePolicyDocument", percent_encode(role->second.trust, false))
        .leaf("CreateDate", iso_date(role->second.created))
        .close();
  }
  call.out.close().close();
}

void create_user(Call& call) {
  const std::string name = checked_name(call.in, "UserName", 64);
  if (call.account.users.contains(name)) exists("User", name);
  check_quota(call.account.users, "Users");
  const User& user = call.account.users[name] =
      User{name, new_unique_id("AIDA"), std::time(nullptr), {}, {}};
  user_xml(call, user);
}

void delete_user(Call& call) {
  const User& user = user_of(call);
  for (const auto& [id, key] : call.account.keys) {
    if (key.user == user.name) in_use("delete access keys");
  }
  if (!user.inline_policies.empty()) in_use("delete policies");
  if (!user.attached.empty()) in_use("detach all policies");
  call.account.users.erase(std::string(user.name));
}

void create_access_key(Call& call) {
  const User& user = user_of(call, true);
  if (count_keys(call.account, user.name) >= kMaxUserKeys) {
    throw ApiError(409, "LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2");
  }
  const AccessKey key = new_access_key(user.name);
  call.account.keys[key.id] = key;
  call.out.open("AccessKey")
      .leaf("UserName", key.user)
      .leaf("AccessKeyId", key.id)
      .leaf("Status", "Active")
      .leaf("SecretAccessKey", key.secret)
      .leaf("CreateDate", iso_date(key.created))
      .close();
}

AccessKey& key_of(Call& call) {
  const User& user = user_of(call, true);
  AccessKey& key = find(call.account.keys, "Access Key", call.in.require("AccessKeyId"));
  if (key.user != user.name) no_such("Access Key", key.id);
  return key;
}

void update_access_key(Call& call) {
  AccessKey& key = key_of(call);
  const std::string status = call.in.require("Status");
  if (status != "Active" && status != "Inactive") {
    throw ApiError(400, "ValidationError", "Status must be Active or Inactive");
  }
  key.active = status == "Active";
}

void list_access_keys(Call& call) {
  const User& user = user_of(call, true);
  call.out.leaf("IsTruncated", "false").open("AccessKeyMetadata");
  for (const auto& [id, key] : call.account.keys) {
    if (key.user != user.name) continue;
    call.out.open("member")
        .leaf("UserName", key.user)
        .leaf("AccessKeyId", id)
        .leaf("Status", key.active ? "Active" : "Inactive")
        .leaf("CreateDate", iso_date(key.created))
        .close();
  }
  call.out.close();
}

void create_role(Call& call) {
  const std::string name = checked_name(call.in, "RoleName", 64);
  if (call.account.roles.contains(name)) exists("Role", name);
  check_quota(call.account.roles, "Roles");
  const std::string trust =
      policy_parameter(call.in, "AssumeRolePolicyDocument", PolicyKind::kTrust);
  const Role& role = call.account.roles[name] = Role{
      name, new_unique_id("AROA"), trust, call.in.get("Description", ""), std::time(nullptr), {},
      {}};
  role_xml(call, role);
}

void list_roles(Call& call) {
  call.out.leaf("IsTruncated", "false").open("Roles");
  for (const auto& [name, role] : call.account.roles) {
    if (is_known(call, role)) role_xml(call, role, "member");
  }
  call.out.close();
}

void delete_role(Call& call) {
  const Role& role = role_of(call);
  if (!role.attached.empty()) in_use("detach all policies");
  if (!role.inline_policies.empty()) in_use("delete policies");
  for (const auto& [name, profile] : call.account.profiles) {
    if (profile.role == role.name) in_use("remove roles from instance profile");
  }
  call.account.roles.erase(std::string(role.name));
}

/// Attach*, Detach*, Put*, Delete*Policy of a user or role.
template <typename Holder>
void attach(const Call& call, Holder& holder) {
  const std::string policy = call.in.require("PolicyArn");
  if (!managed_policy(policy)) {
    throw ApiError(404, "NoSuchEntity",
                   "Policy " + policy + " does not exist or is not attachable.");
  }
  holder.attached.insert(policy);
}
template <typename Holder>
void detach(const Call& call, Holder& holder) {
  if (holder.attached.erase(call.in.require("PolicyArn")) == 0) {
    no_such("policy", call.in.require("PolicyArn"));
  }
}
template <typename Holder>
void put_policy(const Call& call, Holder& holder) {
  const std::string name = checked_name(call.in, "PolicyName", 128);
  if (!holder.inline_policies.contains(name) && holder.inline_policies.size() >= 10) {
    throw ApiError(409, "LimitExceeded", "Cannot exceed quota of inline policies: 10");
  }
  holder.inline_policies[name] = policy_parameter(call.in, "PolicyDocument", PolicyKind::kIdentity);
}
template <typename Holder>
void delete_policy(const Call& call, Holder& holder) {
  if (holder.inline_policies.erase(call.in.require("PolicyName")) == 0) {
    no_such("policy", call.in.require("PolicyName"));
  }
}
template <typename Holder>
void list_attached(Call& call, const Holder& holder) {
  call.out.leaf("IsTruncated", "false").open("AttachedPolicies");
  for (const auto& policy : holder.attached) {
    call.out.open("member")
        .leaf("PolicyName", policy.substr(policy.rfind('/') + 1))
        .leaf("PolicyArn", policy)
        .close();
  }
  call.out.close();
}

void create_profile(Call& call) {
  const std::string name = checked_name(call.in, "InstanceProfileName", 128);
  if (call.account.profiles.contains(name)) exists("Instance Profile", name);
  check_quota(call.account.profiles, "InstanceProfiles");
  const InstanceProfile& profile = call.account.profiles[name] =
      InstanceProfile{name, new_unique_id("AIPA"), "", std::time(nullptr)};
  profile_xml(call, profile);
}

void delete_profile(Call& call) {
  const InstanceProfile& profile = profile_of(call);
  if (!profile.role.empty()) in_use("remove roles from instance profile");
  call.account.profiles.erase(std::string(profile.name));
}

void add_role(Call& call) {
  InstanceProfile& profile = profile_of(call);
  const Role& role = role_of(call);
  if (!profile.role.empty()) {
    throw ApiError(409, "LimitExceeded",
                   "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1");
  }
  profile.role = role.name;
}

void remove_role(Call& call) {
  InstanceProfile& profile = profile_of(call);
  if (profile.role != call.in.require("RoleName")) no_such("role", call.in.require("RoleName"));
  profile.role.clear();
}

void create_mfa(Call& call) {
  const std::string name = checked_name(call.in, "VirtualMFADeviceName", 226);
  if (call.account.mfa.contains(name)) exists("MFADevice", name);
  check_quota(call.account.mfa, "VirtualMFADevices");
  const MfaDevice device{name, random_text(64, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), false};
  call.account.mfa[name] = device;
  call.out.open("VirtualMFADevice")
      .leaf("SerialNumber", arn(call, "mfa/" + name))
      .leaf("Base32StringSeed", device.seed)
      .close();
}

MfaDevice& mfa_of(Call& call) {
  const std::string serial = call.in.require("SerialNumber"), prefix = arn(call, "mfa/");
  if (!serial.starts_with(prefix)) no_such("MFA device", serial);
  return find(call.account.mfa, "MFA device", serial.substr(prefix.size()));
}

void enable_mfa(Call& call) {
  MfaDevice& device = mfa_of(call);
  if (second_factor(call.account)) exists("MFADevice", device.name);
  const auto step =
      totp_step(device.seed, call.in.require("AuthenticationCode1"), std::time(nullptr));
  // Two that follow each other.
  if (!step || totp(device.seed, *step + 1) != call.in.require("AuthenticationCode2")) {
    throw ApiError(403, "InvalidAuthenticationCode", "Authentication code for device is not valid");
  }
  device.enabled = true;
}

void deactivate_mfa(Call& call) {
  MfaDevice& device = mfa_of(call);
  if (!device.enabled) no_such("enabled MFA device", device.name);
  device.enabled = false;
}

void delete_mfa(Call& call) {
  const MfaDevice& device = mfa_of(call);
  if (device.enabled) in_use("deactivate the MFA device");
  call.account.mfa.erase(std::string(device.name));
}

struct Operation {
  std::function<void(Call&)> run;
  bool has_result;  // an empty answer has no <...Result> element
};

const std::map<std::string, Operation>& operations() {
  static const std::map<std::string, Operation> kOperations = {
      {"CreateUser", {create_user, true}},
      {"GetUser", {[](Call& c) { user_xml(c, user_of(c, true)); }, true}},
      {"DeleteUser", {delete_user, false}},
      {"CreateAccessKey", {create_access_key, true}},
      {"UpdateAccessKey", {update_access_key, false}},
      {"DeleteAccessKey",
       {[](Call& c) { c.account.keys.erase(std::string(key_of(c).id)); }, false}},
      {"ListAccessKeys", {list_access_keys, true}},
      {"AttachUserPolicy", {[](Call& c) { attach(c, user_of(c)); }, false}},
      {"DetachUserPolicy", {[](Call& c) { detach(c, user_of(c)); }, false}},
      {"PutUserPolicy", {[](Call& c) { put_policy(c, user_of(c)); }, false}},
      {"DeleteUserPolicy", {[](Call& c) { delete_policy(c, user_of(c)); }, false}},
      {"ListAttachedUserPolicies", {[](Call& c) { list_attached(c, user_of(c)); }, true}},
      {"CreateRole", {create_role, true}},
      {"GetRole", {[](Call& c) { role_xml(c, role_of(c)); }, true}},
      {"ListRoles", {list_roles, true}},
      {"DeleteRole", {delete_role, false}},
      {"AttachRolePolicy", {[](Call& c) { attach(c, role_of(c)); }, false}},
      {"DetachRolePolicy", {[](Call& c) { detach(c, role_of(c)); }, false}},
      {"PutRolePolicy", {[](Call& c) { put_policy(c, role_of(c)); }, false}},
      {"DeleteRolePolicy", {[](Call& c) { delete_policy(c, role_of(c)); }, false}},
      {"ListAttachedRolePolicies", {[](Call& c) { list_attached(c, role_of(c)); }, true}},
      {"CreateInstanceProfile", {create_profile, true}},
      {"GetInstanceProfile", {[](Call& c) { profile_xml(c, profile_of(c)); }, true}},
      {"DeleteInstanceProfile", {delete_profile, false}},
      {"AddRoleToInstanceProfile", {add_role, false}},
      {"RemoveRoleFromInstanceProfile", {remove_role, false}},
      {"CreateVirtualMFADevice", {create_mfa, true}},
      {"EnableMFADevice", {enable_mfa, false}},
      {"DeactivateMFADevice", {deactivate_mfa, false}},
      {"DeleteVirtualMFADevice", {delete_mfa, false}},
  };
  return kOperations;
}

/// The ARN a policy names for this call.
std::string resource_of(const Parameters& in, const std::string& account_id) {
  const std::string prefix = "arn:aws:iam::" + account_id + ":";
  if (const auto name = in.get("InstanceProfileName")) return prefix + "instance-profile/" + *name;
  if (const auto name = in.get("RoleName")) return prefix + "role/" + *name;
  if (const auto serial = in.get("SerialNumber")) return *serial;
  if (const auto name = in.get("VirtualMFADeviceName")) return prefix + "mfa/" + *name;
  if (const auto name = in.get("UserName")) return prefix + "user/" + *name;
  return prefix + "user/*";
}

}  // namespace

Response handle_iam(const Request& request, const Caller& caller, Directory& directory,
                    const std::string& request_id) {
  const Parameters parameters(request, Service::kIam);
  const std::string& action = parameters.action();
  const auto found = operations().find(action);
  if (found == operations().end()) {
    throw ApiError(400, "InvalidAction",
                   "Could not find operation " + action + " for version " +
                       parameters.get("Version", "NO_VERSION_SPECIFIED"));
  }
  const std::string& account_id = caller.principal.account_id;
  require_allowed(directory, caller, Service::kIam, "iam:" + action,
                  resource_of(parameters, account_id));
  Xml xml(2, false);
  xml.open(action + "Response", "xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"");
  if (found->second.has_result) xml.open(action + "Result");
  directory.update(account_id, [&](Account& account) {
    Call call{parameters, account, caller, xml, directory.lags().role_s};
    found->second.run(call);
  });
  if (found->second.has_result) xml.close();
  xml.open("ResponseMetadata").leaf("RequestId", request_id);
  Response response;
  response.headers.emplace_back("Content-Type", "text/xml");
  response.body = xml.finish();
  return response;
}

}  // namespace flexroom::cloud
