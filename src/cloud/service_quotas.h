#pragma once

#include <string>
#include <vector>

#include "cloud/support.h"

namespace flexroom::cloud {

/// Service Quotas API 2019-06-24: the one quota that the sandbox has (vCPUs of an account's running
/// instances) and the requests to raise it, each of which becomes a case of the desk and is decided
/// by the behaviour or by an admin. Requests are in memory, what was granted is the account's. Not
/// thread-safe.
class ServiceQuotas {
 public:
  ServiceQuotas(WebCore& core, Support& support, Sightings& sightings, std::string region)
      : core_(core), support_(support), sightings_(sightings), region_(std::move(region)) {}
  Response handle(const Request& request, const Caller& caller);

  /// The request's state becomes that; APPROVED raises the quota. False: no open request of that
  /// id, or no such state.
  bool decide(const std::string& id, const std::string& status);
  /// What became of the requests by now.
  void settle();

 private:
  struct Change {
    std::string id, case_id, account, requester, status;
    double desired = 0;
    std::time_t created = 0, updated = 0;
    bool open() const { return status == "PENDING" || status == "CASE_OPENED"; }
  };
  nlohmann::json request_increase(const Members& in, const Caller& caller);
  nlohmann::json get_change(const Members& in, const Caller& caller);
  nlohmann::json list_changes(const Members& in, const Caller& caller);
  nlohmann::json list_changes_by_quota(const Members& in, const Caller& caller);
  nlohmann::json get_quota(const Members& in, const Caller& caller);
  nlohmann::json get_default(const Members& in, const Caller& caller);
  nlohmann::json list_quotas(const Members& in, const Caller& caller);

  nlohmann::json page(const Members& in, const std::string& account);
  nlohmann::json change_json(const Change& change) const;
  nlohmann::json quota_json(double value, const std::string& account) const;
  std::string arn(const std::string& account) const;
  void close(Change& change, const std::string& status, std::time_t at);

  WebCore& core_;
  Support& support_;
  Sightings& sightings_;
  std::string region_;
  std::vector<Change> changes_;  // in the order in which they were made
};

}  // namespace flexroom::cloud
