#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "cloud/ec2_filters.h"
#include "cloud/iam.h"
#include "cloud/metadata.h"
#include "cloud/vm_host.h"

namespace flexroom::cloud {

struct Instance {
  std::string id, reservation_id, account_id, type, key_name, client_token;
  std::string group_id, group_name;
  std::string profile_name, profile_arn, profile_id;
  bool terminate_on_shutdown = false;
  unsigned launch_index = 0;
  unsigned slot = 0;
  int state = 0;  // 0 pending, 16 running, 32 shutting-down, 48 terminated, 64 stopping, 80 stopped
  std::string state_reason;
  std::time_t launched = 0;
  Pairs tags;
  std::shared_ptr<MetadataService> metadata;
};

/// EC2 query API 2016-11-15, as far as running scripts goes. Instances, key pairs and groups live
/// in memory: they end with the sandbox. Thread-safe.
class Ec2 {
 public:
  /// The first `throttled_runs` RunInstances are refused as too many.
  Ec2(Directory& directory, VmHost& vms, std::string region, unsigned throttled_runs = 0);

  Response handle(const Request& request, const Caller& caller, const std::string& request_id);
  /// Once all instances have ended.
  void stop();

 private:
  struct KeyPair {
    std::string id, name, fingerprint, type;
    std::time_t created = 0;
  };
  struct Group {
    std::string id, name, description;
    std::time_t created = 0;
  };
  /// What one account owns.
  struct Estate {
    std::map<std::string, KeyPair> keys;  // by name
    std::map<std::string, Group> groups;  // by id
    struct Token {
      std::string parameters_hash;
      std::string reservation_id;
    };
    std::map<std::string, Token> tokens;  // by ClientToken
  };
  struct Launch;  // the checked parameters of a RunInstances

  void run_instances(const Parameters& in, const Caller& caller, Xml& out);
  Launch check_launch(const Parameters& in, const Caller& caller, Estate& estate);
  void check_access(Launch& launch, const Parameters& in, const Caller& caller);
  /// So many of the wanted ones as the account's quota leaves room for.
  long within_quota(const std::string& account_id, long least, long most) const;
  void check_group(Launch& launch, const Parameters& in, const Estate& estate);
  /// Makes room among the terminated ones.
  void forget_old();
  bool answer_again(const Estate& estate, const std::string& token, const std::string& hash,
                    Xml& out) const;
  std::vector<unsigned> acquire_slots(size_t least, size_t most);
  void start(const Launch& launch, const Caller& caller, const std::string& reservation,
             std::span<const unsigned> slots);
  void boot(Instance& instance, const Launch& launch);
  void describe_instances(const Parameters& in, const Caller& caller, Xml& out);
  void change_instances(const Parameters& in, const Caller& caller, Xml& out);
  void console_output(const Parameters& in, const Caller& caller, Xml& out);
  void describe_images(const Parameters& in, Xml& out);
  void describe_key_pairs(const Parameters& in, const Caller& caller, Xml& out);
  void create_key_pair(const Parameters& in, const Caller& caller, Xml& out);
  void delete_key_pair(const Parameters& in, const Caller& caller, Xml& out);
  void create_group(const Parameters& in, const Caller& caller, Xml& out);
  void describe_groups(const Parameters& in, const Caller& caller, Xml& out);
  void delete_group(const Parameters& in, const Caller& caller, Xml& out);
  bool any_passes(const std::string& reservation_id, const Ec2Filters& filters) const;
  Instance& find(const std::string& id, const std::string& account_id);
  void ended(const std::string& id, VmEnd end);
  void reservation_xml(const std::string& reservation_id, Xml& out) const;
  void instance_xml(const Instance& instance, Xml& out) const;

  Directory& directory_;
  VmHost& vms_;
  std::string region_;
  unsigned throttled_runs_;
  std::mutex mutex_;
  std::map<std::string, Estate> estates_;  // by account
  std::map<std::string, Instance> instances_;
};

}  // namespace flexroom::cloud
