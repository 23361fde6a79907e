#include "cloud/service_quotas.h"

#include <algorithm>

#include "cloud/iam.h"
#include "cloud/json_text.h"

namespace flexroom::cloud {

namespace {

constexpr const char* kServiceCode = "ec2";
constexpr const char* kServiceName = "Amazon Elastic Compute Cloud (Amazon EC2)";
constexpr const char* kQuotaCode = "L-1216C47A";
constexpr const char* kQuotaName =
    "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances";
constexpr size_t kMaxChanges = 5000;
constexpr double kMostVcpus = 100000;

[[noreturn]] void no_such(const std::string& what) {
  throw ApiError(400, "NoSuchResourceException", "The request failed because " + what);
}

bool is_decision(const std::string& status) { return status == "APPROVED" || status == "DENIED"; }

void check_quota(const Members& in) {
  if (in.text("ServiceCode", 63) != kServiceCode) no_such("the service code does not exist.");
  if (in.text("QuotaCode", 128) != kQuotaCode) no_such("the quota code does not exist.");
}

}  // namespace

Response ServiceQuotas::handle(const Request& request, const Caller& caller) {
  const JsonCall call(request, "ServiceQuotasV20190624.");
  using Page = nlohmann::json (ServiceQuotas::*)(const Members&, const Caller&);
  static const std::map<std::string, Page> kPages = {
      {"RequestServiceQuotaIncrease", &ServiceQuotas::request_increase},
      {"GetRequestedServiceQuotaChange", &ServiceQuotas::get_change},
      {"ListRequestedServiceQuotaChangeHistory", &ServiceQuotas::list_changes},
      {"ListRequestedServiceQuotaChangeHistoryByQuota", &ServiceQuotas::list_changes_by_quota},
      {"GetServiceQuota", &ServiceQuotas::get_quota},
      {"GetAWSDefaultServiceQuota", &ServiceQuotas::get_default},
      {"ListServiceQuotas", &ServiceQuotas::list_quotas},
  };
  const auto page = kPages.find(call.action());
  if (page == kPages.end()) unknown_operation(call.action());
  // Only a request to raise a quota is about a resource.
  const bool raise = call.action() == "RequestServiceQuotaIncrease";
  require_allowed(core_.directory, caller, Service::kServiceQuotas,
                  "servicequotas:" + call.action(), raise ? arn(caller.principal.account_id) : "*");
  return json_rpc_answer((this->*page->second)(call.in(), caller));
}

std::string ServiceQuotas::arn(const std::string& account) const {
  return "arn:aws:servicequotas:" + region_ + ":" + account + ":" + kServiceCode + "/" + kQuotaCode;
}

nlohmann::json ServiceQuotas::quota_json(double value, const std::string& account) const {
  return {{"ServiceCode", kServiceCode},
          {"ServiceName", kServiceName},
          {"QuotaArn", arn(account)},
          {"QuotaCode", kQuotaCode},
          {"QuotaName", kQuotaName},
          {"Value", value},
          {"Unit", "None"},
          {"Adjustable", true},
          {"GlobalQuota", false}};
}

nlohmann::json ServiceQuotas::change_json(const Change& change) const {
  nlohmann::json out = {{"Id", change.id},
                        {"ServiceCode", kServiceCode},
                        {"ServiceName", kServiceName},
                        {"QuotaCode", kQuotaCode},
                        {"QuotaName", kQuotaName},
                        {"DesiredValue", change.desired},
                        {"Status", change.status},
                        {"Created", json_time(change.created)},
                        {"LastUpdated", json_time(change.updated)},
                        {"Requester", change.requester},
                        {"QuotaArn", arn(change.account)},
                        {"GlobalQuota", false},
                        {"Unit", "None"}};
  if (!change.case_id.empty()) out["CaseId"] = change.case_id;
  return out;
}

nlohmann::json ServiceQuotas::request_increase(const Members& in, const Caller& caller) {
  in.only({"ServiceCode", "QuotaCode", "DesiredValue"});
  check_quota(in);
  const double desired = in.amount("DesiredValue");
  const std::string& account = caller.principal.account_id;
  const auto same = [&](const Change& change) {
    return change.account == account && change.open();
  };
  if (std::any_of(changes_.begin(), changes_.end(), same)) {
    throw ApiError(400, "ResourceAlreadyExistsException",
                   "Only one open service quota increase request is allowed per quota.");
  }
  if (desired <= core_.directory.snapshot(account).vcpus) {
    throw ApiError(400, "IllegalArgumentException",
                   "You must provide a quota value greater than the current quota value.");
  }
  if (desired > kMostVcpus || changes_.size() >= kMaxChanges) {
    throw ApiError(400, "QuotaExceededException", "No such request can be made any more.");
  }
  Change change;
  change.id =
      random_hex(32) + random_text(8, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
  change.account = account;
  change.requester =
      json_text(nlohmann::json{{"accountId", account}, {"callerArn", caller.principal.arn()}});
  change.status = "PENDING";
  change.desired = desired;
  change.created = change.updated = core_.now;
  sightings_.add({"saw", "servicequotas", "quota request", change.id, account});
  changes_.push_back(change);
  return {{"RequestedQuota", change_json(change)}};
}

nlohmann::json ServiceQuotas::get_change(const Members& in, const Caller& caller) {
  in.only({"RequestId"});
  const std::string id = in.text("RequestId", 128);
  for (const Change& change : changes_) {
    if (change.id == id && change.account == caller.principal.account_id) {
      return {{"RequestedQuota", change_json(change)}};
    }
  }
  no_such("the request does not exist.");
}

/// Newest first.
nlohmann::json ServiceQuotas::page(const Members& in, const std::string& account) {
  static const std::vector<std::string> kStatuses = {
      "PENDING",     "CASE_OPENED",  "APPROVED",       "DENIED",
      "CASE_CLOSED", "NOT_APPROVED", "INVALID_REQUEST"};
  const std::string status = in.text_or("Status", "");
  if (!status.empty() && std::find(kStatuses.begin(), kStatuses.end(), status) == kStatuses.end()) {
    in.refuse("Status", "Member must be a known one");
  }
  std::vector<const Change*> chosen;
  for (auto change = changes_.rbegin(); change != changes_.rend(); ++change) {
    if (change->account == account && (status.empty() || change->status == status)) {
      chosen.push_back(&*change);
    }
  }
  const ListPage page =
      list_page(chosen.size(), static_cast<size_t>(in.whole_or("MaxResults", 1, 100, 100)),
                in.text_or("NextToken", ""), "InvalidPaginationTokenException");
  nlohmann::json out = {{"RequestedQuotas", nlohmann::json::array()}};
  for (size_t i = page.begin; i < page.end; ++i) {
    out["RequestedQuotas"].push_back(change_json(*chosen[i]));
  }
  if (!page.next.empty()) out["NextToken"] = page.next;
  return out;
}

nlohmann::json ServiceQuotas::list_changes(const Members& in, const Caller& caller) {
  in.only({"ServiceCode", "Status", "NextToken", "MaxResults"});
  if (in.text_or("ServiceCode", kServiceCode) != kServiceCode) {
    no_such("the service code does not exist.");
  }
  return page(in, caller.principal.account_id);
}

nlohmann::json ServiceQuotas::list_changes_by_quota(const Members& in, const Caller& caller) {
  in.only({"ServiceCode", "QuotaCode", "Status", "NextToken", "MaxResults"});
  check_quota(in);
  return page(in, caller.principal.account_id);
}

nlohmann::json ServiceQuotas::get_quota(const Members& in, const Caller& caller) {
  in.only({"ServiceCode", "QuotaCode"});
  check_quota(in);
  const std::string& account = caller.principal.account_id;
  return {{"Quota", quota_json(core_.directory.snapshot(account).vcpus, account)}};
}

nlohmann::json ServiceQuotas::get_default(const Members& in, const Caller& caller) {
  in.only({"ServiceCode", "QuotaCode"});
  check_quota(in);
  return {{"Quota", quota_json(kFirstVcpus, caller.principal.account_id)}};
}

nlohmann::json ServiceQuotas::list_quotas(const Members& in, const Caller& caller) {
  in.only({"ServiceCode", "NextToken", "MaxResults"});
  if (in.text("ServiceCode", 63) != kServiceCode) no_such("the service code does not exist.");
  const std::string& account = caller.principal.account_id;
  return {{"Quotas", {quota_json(core_.directory.snapshot(account).vcpus, account)}}};
}

void ServiceQuotas::close(Change& change, const std::string& status, std::time_t at) {
  if (status == "APPROVED") {
    core_.directory.update(change.account, [&](Account& account) {
      account.vcpus = std::max(account.vcpus, static_cast<unsigned>(change.desired));
    });
  }
  change.status = status;
  change.updated = at;
  if (!change.case_id.empty()) support_.say(change.case_id, "Your request is " + status + ".");
}

bool ServiceQuotas::decide(const std::string& id, const std::string& status) {
  if (!is_decision(status)) return false;
  for (Change& change : changes_) {
    if (change.id != id || !change.open()) continue;
    close(change, status, core_.now);
    return true;
  }
  return false;
}

void ServiceQuotas::settle() {
  const WebBehaviour& behaviour = core_.behaviour;
  for (Change& change : changes_) {
    if (change.status == "PENDING" && core_.now - change.created >= behaviour.quota_case_s) {
      try {
        change.case_id = support_.open_case(change.account, "Limit increase: EC2 instances",
                                            "A higher quota was asked for.");
      } catch (const ApiError&) {
        continue;  // the desk has too many cases: later
      }
      change.status = "CASE_OPENED";
      change.updated = core_.now;
    }
    if (change.status == "CASE_OPENED" && is_decision(behaviour.quota_answer) &&
        core_.now - change.created >= behaviour.quota_answer_s) {
      close(change, behaviour.quota_answer, core_.now);
    }
  }
}

}  // namespace flexroom::cloud
