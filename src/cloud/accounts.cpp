#include "cloud/accounts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/fd.h"
#include "cloud/json_text.h"
#include "cloud/policy.h"

namespace flexroom::cloud {

namespace {

constexpr std::string_view kIdAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr std::string_view kSecretAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr size_t kMaxSessions = 50000;

std::string new_secret() { return random_text(40, kSecretAlphabet); }

}  // namespace

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(AccessKey, id, secret, user, active, created)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(User, name, id, created, inline_policies, attached)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Role, name, id, trust, description, created, inline_policies,
                                   attached)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(InstanceProfile, name, id, role, created)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(MfaDevice, name, seed, enabled)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Account, id, name, vcpus, users, keys, roles, profiles, mfa)

std::string new_unique_id(std::string_view prefix) {
  return std::string(prefix) + random_text(20 - prefix.size(), kIdAlphabet);
}

void write_private_file(const std::filesystem::path& path, std::string_view text) {
  const std::string temporary = path.string() + ".new";
  const Fd fd(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) {
    throw InputError(path.string(), "cannot be written", "choose a state folder you may write to");
  }
  ::fchmod(fd.get(), 0600);
  if (!write_all(fd.get(), as_bytes(text))) {
    throw InputError(path.string(), "could not be written in full");
  }
  std::filesystem::rename(temporary, path);
}

std::string Principal::arn() const {
  if (kind == Kind::kAnonymous) return "";
  if (kind == Kind::kUser) return "arn:aws:iam::" + account_id + ":user/" + name;
  return "arn:aws:sts::" + account_id + ":assumed-role/" + name + "/" + session;
}

std::string Principal::user_id() const {
  return kind == Kind::kRoleSession ? unique_id + ":" + session : unique_id;
}

Directory::Directory(std::filesystem::path state_dir) : state_dir_(std::move(state_dir)) {
  std::ifstream file(state_dir_ / "iam.json");
  if (!file) return;
  auto json = nlohmann::json::parse(file, nullptr, false);
  if (json.is_discarded()) {
    throw InputError((state_dir_ / "iam.json").string(), "is not JSON",
                     "remove the state folder to begin anew");
  }
  // Files from before there were devices and quotas.
  for (auto& account : json.at("accounts")) {
    account.emplace("mfa", nlohmann::json::object());
    account.emplace("vcpus", kDefaultVcpus);
  }
  accounts_ = json.at("accounts").get<std::map<std::string, Account>>();
}

AccessKey new_access_key(const std::string& user) {
  return {new_unique_id("AKIA"), new_secret(), user, true, std::time(nullptr)};
}

size_t count_keys(const Account& account, const std::string& user) {
  size_t count = 0;
  for (const auto& [id, key] : account.keys) count += key.user == user;
  return count;
}

std::optional<MfaDevice> second_factor(const Account& account) {
  for (const auto& [name, device] : account.mfa) {
    if (device.enabled) return device;
  }
  return std::nullopt;
}

Account Directory::new_account(const std::string& name, const std::string& admin) const {
  Account account;
  do {
    account.id = random_text(1, "123456789") + random_text(11, "0123456789");
  } while (accounts_.contains(account.id));
  account.name = name;
  account.users[admin] = User{admin,
                              new_unique_id("AIDA"),
                              std::time(nullptr),
                              {},
                              {"arn:aws:iam::aws:policy/AdministratorAccess"}};
  return account;
}

AccessKey Directory::create_account(const std::string& name, std::string key_id,
                                    std::string secret) {
  const std::lock_guard lock(mutex_);
  Account account = new_account(name, name);
  AccessKey key = new_access_key(name);
  if (!key_id.empty()) key.id = std::move(key_id);
  if (!secret.empty()) key.secret = std::move(secret);
  account.keys[key.id] = key;
  commit(std::move(account));
  return key;
}

std::string Directory::open_account(const std::string& name, const std::string& admin) {
  const std::lock_guard lock(mutex_);
  Account account = new_account(name, admin);
  account.vcpus = kFirstVcpus;
  std::string id = account.id;
  commit(std::move(account));
  return id;
}

bool Directory::has_account(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, account] : accounts_) {
    if (account.name == name) return true;
  }
  return false;
}

std::string Directory::account_of_key(const std::string& key_id) const {
  const auto credential = find_key(key_id);
  return credential ? credential->principal.account_id : "";
}

std::optional<Credential> Directory::find_key(const std::string& key_id) const {
  const std::lock_guard lock(mutex_);
  if (const auto session = sessions_.find(key_id); session != sessions_.end()) {
    return session->second;
  }
  for (const auto& [id, account] : accounts_) {
    const auto found = account.keys.find(key_id);
    if (found == account.keys.end()) continue;
    const AccessKey& key = found->second;
    if (std::time(nullptr) - key.created < std::time_t{lags_.key_s}) return std::nullopt;
    const auto user = account.users.find(key.user);
    if (user == account.users.end()) return std::nullopt;
    Credential credential;
    credential.secret = key.secret;
    credential.active = key.active;
    credential.principal = {Principal::Kind::kUser, id, key.user, "", user->second.id};
    return credential;
  }
  return std::nullopt;
}

std::optional<Role> Directory::find_role(const std::string& account_id,
                                         const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto& roles = accounts_.at(account_id).roles;
  const auto found = roles.find(name);
  if (found == roles.end()) return std::nullopt;
  const bool known = std::time(nullptr) - found->second.created >= std::time_t{lags_.role_s};
  return known ? std::optional(found->second) : std::nullopt;
}

SessionKey Directory::create_session(const Principal& principal, std::chrono::seconds lifetime) {
  const std::lock_guard lock(mutex_);
  const std::time_t now = std::time(nullptr);
  // An hour after its end a session is forgotten; until then it is refused as expired.
  std::erase_if(sessions_, [&](const auto& item) { return item.second.expires + 3600 < now; });
  if (sessions_.size() >= kMaxSessions) {
    throw ApiError(400, "Throttling", "Rate exceeded");
  }
  SessionKey key{new_unique_id("ASIA"), new_secret(), random_text(356, kSecretAlphabet),
                 now + static_cast<std::time_t>(lifetime.count())};
  sessions_[key.id] = {key.secret, key.token, key.expires, true, principal};
  return key;
}

Account Directory::snapshot(const std::string& account_id) const {
  const std::lock_guard lock(mutex_);
  return accounts_.at(account_id);
}

std::vector<std::string> Directory::documents(const Principal& principal) const {
  std::vector<std::string> out;
  const auto account = accounts_.find(principal.account_id);
  if (account == accounts_.end()) return out;
  const auto collect = [&](const auto& holders) {
    const auto holder = holders.find(principal.name);
    if (holder == holders.end() || holder->second.id != principal.unique_id) return;
    for (const auto& [name, document] : holder->second.inline_policies) out.push_back(document);
    for (const auto& arn : holder->second.attached) {
      if (auto document = managed_policy(arn)) out.push_back(std::move(*document));
    }
  };
  if (principal.kind == Principal::Kind::kUser) collect(account->second.users);
  if (principal.kind == Principal::Kind::kRoleSession) collect(account->second.roles);
  return out;
}

bool Directory::denied(const Principal& principal, const std::string& action,
                       const std::string& resource) const {
  const std::lock_guard lock(mutex_);
  for (const auto& document : documents(principal)) {
    if (evaluate_policy(document, action, resource) == Decision::kDeny) return true;
  }
  return false;
}

bool Directory::allowed(const Principal& principal, const std::string& action,
                        const std::string& resource) const {
  const std::lock_guard lock(mutex_);
  bool allow = false;
  for (const auto& document : documents(principal)) {
    const Decision decision = evaluate_policy(document, action, resource);
    if (decision == Decision::kDeny) return false;
    allow = allow || decision == Decision::kAllow;
  }
  return allow;
}

void Directory::commit(Account&& account) {
  auto next = accounts_;
  const std::string id = account.id;
  next[id] = std::move(account);
  // What could not be saved has not happened.
  save(next);
  accounts_.swap(next);
}

void Directory::save(const std::map<std::string, Account>& accounts) const {
  auto list = nlohmann::json::array();
  for (const auto& [id, account] : accounts) {
    for (const auto& [key_id, key] : account.keys) {
      list.push_back({{"account_id", id},
                      {"account", account.name},
                      {"user", key.user},
                      {"access_key_id", key_id},
                      {"secret_access_key", key.secret}});
    }
  }
  // The list is for people; iam.json, which the next start reads, comes last.
  write_private_file(state_dir_ / "accounts.json", json_text(list, 1) + "\n");
  write_private_file(state_dir_ / "iam.json", json_text(nlohmann::json{{"accounts", accounts}}, 1));
}

}  // namespace flexroom::cloud
