#include "cloud/policy.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cloud/encoding.h"

namespace flexroom::cloud {

namespace {

using Json = nlohmann::json;

template <typename Predicate>
bool any_string(const Json& value, Predicate predicate) {
  if (value.is_string()) return predicate(value.get<std::string>());
  if (!value.is_array()) return false;
  return std::any_of(value.begin(), value.end(), [&](const Json& item) {
    return item.is_string() && predicate(item.get<std::string>());
  });
}

bool principal_matches(const Json& statement, const std::string& arn, const std::string& account) {
  const auto found = statement.find("Principal");
  if (found == statement.end()) return false;
  const auto matches = [&](const std::string& pattern) {
    return pattern == "*" || (!arn.empty() && pattern == arn) ||
           (!account.empty() &&
            (pattern == account || pattern == "arn:aws:iam::" + account + ":root"));
  };
  if (found->is_string()) return matches(found->get<std::string>());
  return found->is_object() && found->contains("AWS") && any_string((*found)["AWS"], matches);
}

bool element_matches(const Json& statement, const char* name, const char* negated,
                     const std::string& text, bool fold_case) {
  const auto matches = [&](const std::string& pattern) {
    return fold_case ? wildcard_match(lower(pattern), lower(text)) : wildcard_match(pattern, text);
  };
  if (statement.contains(name)) return any_string(statement[name], matches);
  if (statement.contains(negated)) return !any_string(statement[negated], matches);
  return false;
}

}  // namespace

bool wildcard_match(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, mark = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

Decision evaluate_policy(const std::string& document, const std::string& action,
                         const std::string& resource,
                         const std::optional<std::string>& principal_arn,
                         const std::string& principal_account) {
  const Json policy = Json::parse(document, nullptr, false);
  if (!policy.is_object() || !policy.contains("Statement")) return Decision::kNone;
  const Json& listed = policy["Statement"];
  const Json statements = listed.is_array() ? listed : Json::array({listed});
  Decision decision = Decision::kNone;
  for (const Json& statement : statements) {
    if (!statement.is_object()) continue;
    const bool deny = statement.value("Effect", "") == "Deny";
    if (principal_arn && !principal_matches(statement, *principal_arn, principal_account)) continue;
    if (!element_matches(statement, "Action", "NotAction", action, true)) continue;
    if (!element_matches(statement, "Resource", "NotResource", resource, false)) continue;
    if (deny) return Decision::kDeny;
    if (statement.value("Effect", "") == "Allow" && !statement.contains("Condition")) {
      decision = Decision::kAllow;
    }
  }
  return decision;
}

bool is_policy_document(const std::string& document) {
  const Json policy = Json::parse(document, nullptr, false);
  if (!policy.is_object() || !policy.contains("Statement")) return false;
  const Json& listed = policy["Statement"];
  const Json statements = listed.is_array() ? listed : Json::array({listed});
  return !statements.empty() &&
         std::all_of(statements.begin(), statements.end(), [](const Json& statement) {
           if (!statement.is_object() || !statement.contains("Effect")) return false;
           return (statement["Effect"] == "Allow" || statement["Effect"] == "Deny") &&
                  (statement.contains("Action") || statement.contains("NotAction"));
         });
}

std::optional<std::string> managed_policy(const std::string& arn) {
  struct Managed {
    const char* name;
    const char* actions;
  };
  static constexpr Managed kManaged[] = {
      {"AdministratorAccess", R"("*")"},
      {"AmazonS3FullAccess", R"("s3:*")"},
      {"AmazonS3ReadOnlyAccess", R"("s3:Get*","s3:List*")"},
      {"AmazonEC2FullAccess", R"("ec2:*")"},
      {"AmazonEC2ReadOnlyAccess", R"("ec2:Describe*","ec2:GetConsoleOutput")"},
      {"AmazonSSMReadOnlyAccess", R"("ssm:Get*","ssm:Describe*","ssm:List*")"},
      {"AmazonSSMManagedInstanceCore", R"("ssm:GetParameter","ssm:GetParameters")"},
      {"AmazonSageMakerFullAccess", R"("sagemaker:*")"},
      {"IAMFullAccess", R"("iam:*")"},
  };
  static constexpr std::string_view kPrefix = "arn:aws:iam::aws:policy/";
  if (!arn.starts_with(kPrefix)) return std::nullopt;
  for (const Managed& managed : kManaged) {
    if (arn.substr(kPrefix.size()) != managed.name) continue;
    return R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[)" +
           std::string(managed.actions) + R"(],"Resource":"*"}]})";
  }
  return std::nullopt;
}

}  // namespace flexroom::cloud
