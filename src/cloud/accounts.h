#pragma once

#include <atomic>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "cloud/message.h"

namespace flexroom::cloud {

/// Who signed. Anonymous has no account.
struct Principal {
  enum class Kind { kAnonymous, kUser, kRoleSession };
  Kind kind = Kind::kAnonymous;
  std::string account_id;
  std::string name;     // user or role
  std::string session;  // of a role
  std::string unique_id;
  std::string arn() const;
  /// UserId of GetCallerIdentity: AIDA..., or AROA...:session.
  std::string user_id() const;
};

/// What the signature check needs to know about an access key.
struct Credential {
  std::string secret;
  std::string session_token;  // empty: a long-term key
  std::time_t expires = 0;    // of the session
  bool active = true;
  Principal principal;
};

struct AccessKey {
  std::string id, secret, user;
  bool active = true;
  std::time_t created = 0;
};

/// Keys of one user, as at the provider.
constexpr size_t kMaxUserKeys = 2;

struct User {
  std::string name, id;
  std::time_t created = 0;
  std::map<std::string, std::string> inline_policies;  // name -> document
  std::set<std::string> attached;                      // ARNs of managed policies
};

struct Role {
  std::string name, id, trust, description;
  std::time_t created = 0;
  std::map<std::string, std::string> inline_policies;
  std::set<std::string> attached;
};

struct InstanceProfile {
  std::string name, id, role;  // at most one role, as at the provider
  std::time_t created = 0;
};

/// A virtual one (RFC 6238).
struct MfaDevice {
  std::string name, seed;  // base32
  bool enabled = false;
};

/// How many vCPUs an account runs at once where nothing else was said: what 32 instances have.
constexpr unsigned kDefaultVcpus = 64;
/// ... of an account that somebody signed up for.
constexpr unsigned kFirstVcpus = 8;

struct Account {
  std::string id, name;
  unsigned vcpus = kDefaultVcpus;
  std::map<std::string, User> users;
  std::map<std::string, AccessKey> keys;  // by id
  std::map<std::string, Role> roles;
  std::map<std::string, InstanceProfile> profiles;
  std::map<std::string, MfaDevice> mfa;  // by name
};

/// What is made is not known everywhere at once: so many seconds late are keys at all services,
/// roles at IAM and SageMaker, security groups in EC2's list; what ended is in no list any more.
struct Lags {
  std::atomic<unsigned> key_s{0}, role_s{0}, group_s{0};
  std::atomic<bool> no_instances{false};  // EC2's list, asked by filters, has none
};

/// Temporary credentials as STS and the metadata service hand them out.
struct SessionKey {
  std::string id, secret, token;
  std::time_t expires = 0;
};

/// All accounts, users, keys, roles and temporary sessions; thread-safe.
/// Long-term state is kept in accounts.json (key list for people) and iam.json in the state folder,
/// both mode 0600; sessions live in memory and end with the process. Secrets stand there in clear:
/// this is a sandbox, its keys open nothing but the sandbox.
class Directory {
 public:
  explicit Directory(std::filesystem::path state_dir);

  /// A new account with one administrator (user `name`, AdministratorAccess) and its key. Empty
  /// key arguments: made at random.
  AccessKey create_account(const std::string& name, std::string key_id = "",
                           std::string secret = "");
  /// A new account with an administrator `admin` who has no key. Returns its id.
  std::string open_account(const std::string& name, const std::string& admin);
  bool has_account(const std::string& name) const;
  std::string account_of_key(const std::string& key_id) const;

  std::optional<Credential> find_key(const std::string& key_id) const;
  Lags& lags() { return lags_; }
  /// The role, unless it is too new to be known.
  std::optional<Role> find_role(const std::string& account_id, const std::string& name) const;
  SessionKey create_session(const Principal& principal, std::chrono::seconds lifetime);

  /// Runs `change(account)` under the lock and saves. If either throws, nothing has changed.
  template <typename Change>
  auto update(const std::string& account_id, Change change) {
    const std::lock_guard lock(mutex_);
    Account copy = accounts_.at(account_id);
    if constexpr (std::is_void_v<std::invoke_result_t<Change, Account&>>) {
      change(copy);
      commit(std::move(copy));
    } else {
      auto result = change(copy);
      commit(std::move(copy));
      return result;
    }
  }
  /// A copy of the account as it is now.
  Account snapshot(const std::string& account_id) const;

  /// May the principal do this, by its identity policies? (The account's own; resource policies
  /// are S3's business.)
  bool allowed(const Principal& principal, const std::string& action,
               const std::string& resource) const;
  /// True if a policy denies it explicitly: that wins over any resource policy.
  bool denied(const Principal& principal, const std::string& action,
              const std::string& resource) const;

 private:
  Account new_account(const std::string& name, const std::string& admin) const;
  void commit(Account&& account);
  void save(const std::map<std::string, Account>& accounts) const;
  std::vector<std::string> documents(const Principal& principal) const;

  std::filesystem::path state_dir_;
  Lags lags_;
  mutable std::mutex mutex_;
  std::map<std::string, Account> accounts_;
  std::map<std::string, Credential> sessions_;  // by access key id
};

/// A new long-term key for the user, not yet of any account.
AccessKey new_access_key(const std::string& user);
/// The device that is switched on, or nothing.
std::optional<MfaDevice> second_factor(const Account& account);
size_t count_keys(const Account& account, const std::string& user);

/// AKIA... or AIDA... and so on: the provider's 20-character identifiers.
std::string new_unique_id(std::string_view prefix);

/// Writes a file so that a reader sees the old or the new one, mode 0600.
void write_private_file(const std::filesystem::path& path, std::string_view text);

}  // namespace flexroom::cloud
