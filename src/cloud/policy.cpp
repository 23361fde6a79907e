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

/// No policy nests deeper than a few levels; the depth of a foreign document bounds recursion.
Json parse_policy(const std::string& document) {
  static constexpr int kMaxDepth = 16;
  bool too_deep = false;
  Json policy = Json::parse(
      document,
      [&](int depth, Json::parse_event_t, Json&) {
        too_deep = too_deep || depth > kMaxDepth;
        return !too_deep;
      },
      false);
  return too_deep ? Json(Json::value_t::discarded) : policy;
}

/// The statements, be they a list or a single object.
Json statements_of(const Json& policy) {
  if (!policy.is_object() || !policy.contains("Statement")) return Json::array();
  const Json& listed = policy["Statement"];
  return listed.is_array() ? listed : Json::array({listed});
}

/// arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION -> arn:aws:iam::ACCOUNT:role/NAME; else "".
std::string role_of_session(const std::string& arn, const std::string& account) {
  const std::string prefix = "arn:aws:sts::" + account + ":assumed-role/";
  if (account.empty() || !arn.starts_with(prefix)) return "";
  const std::string rest = arn.substr(prefix.size());
  return "arn:aws:iam::" + account + ":role/" + rest.substr(0, rest.find('/'));
}

bool listed_principal(const Json& listed, const std::string& arn, const std::string& account) {
  const std::string role = role_of_session(arn, account);
  const auto matches = [&](const std::string& pattern) {
    return pattern == "*" || (!arn.empty() && pattern == arn) ||
           (!role.empty() && pattern == role) ||
           (!account.empty() &&
            (pattern == account || pattern == "arn:aws:iam::" + account + ":root"));
  };
  if (listed.is_string()) return matches(listed.get<std::string>());
  if (!listed.is_object()) return false;
  // A service has a name where others have an ARN.
  const auto is_service = [&](const std::string& name) { return !arn.empty() && name == arn; };
  return (listed.contains("AWS") && any_string(listed["AWS"], matches)) ||
         (listed.contains("Service") && any_string(listed["Service"], is_service));
}

bool principal_matches(const Json& statement, const std::string& arn, const std::string& account) {
  if (const auto found = statement.find("Principal"); found != statement.end()) {
    return listed_principal(*found, arn, account);
  }
  const auto others = statement.find("NotPrincipal");
  return others != statement.end() && !listed_principal(*others, arn, account);
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

namespace {

bool has_effect(const Json& statement, const char* effect) {
  const auto found = statement.find("Effect");
  return found != statement.end() && *found == effect;
}

/// Without `resource` the statements' resources are not looked at, without `principal_arn` not
/// their principals.
Decision evaluate(const std::string& document, const std::string& action,
                  const std::optional<std::string>& resource,
                  const std::optional<std::string>& principal_arn,
                  const std::string& principal_account) {
  Decision decision = Decision::kNone;
  for (const Json& statement : statements_of(parse_policy(document))) {
    if (!statement.is_object()) continue;
    if (principal_arn && !principal_matches(statement, *principal_arn, principal_account)) continue;
    if (!element_matches(statement, "Action", "NotAction", action, true)) continue;
    if (resource && !element_matches(statement, "Resource", "NotResource", *resource, false)) {
      continue;
    }
    if (has_effect(statement, "Deny")) return Decision::kDeny;
    if (has_effect(statement, "Allow") && !statement.contains("Condition") &&
        !statement.contains("NotPrincipal")) {
      decision = Decision::kAllow;
    }
  }
  return decision;
}

bool is_string_list(const Json& value) {
  return value.is_string() || (value.is_array() && !value.empty() &&
                               std::all_of(value.begin(), value.end(),
                                           [](const Json& item) { return item.is_string(); }));
}

/// Exactly one of the two elements, made of strings.
bool has_one_of(const Json& statement, const char* name, const char* negated) {
  if (statement.contains(name) == statement.contains(negated)) return false;
  return is_string_list(statement.contains(name) ? statement[name] : statement[negated]);
}

bool is_principal(const Json& value) {
  if (value.is_string()) return value == "*";
  if (!value.is_object() || value.empty()) return false;
  for (const auto& [kind, names] : value.items()) {
    // Other kinds of principals do not call the sandbox, and could not be denied here.
    if ((kind != "AWS" && kind != "Service") || !is_string_list(names)) return false;
  }
  return true;
}

bool is_statement(const Json& statement, PolicyKind kind) {
  if (!statement.is_object()) return false;
  const bool deny = has_effect(statement, "Deny");
  if (!deny && !has_effect(statement, "Allow")) return false;
  if (!has_one_of(statement, "Action", "NotAction")) return false;
  const bool names_resource = statement.contains("Resource") || statement.contains("NotResource");
  if (kind == PolicyKind::kTrust ? names_resource
                                 : !has_one_of(statement, "Resource", "NotResource")) {
    return false;
  }
  const bool positive = statement.contains("Principal");
  const bool negative = statement.contains("NotPrincipal");
  if (kind == PolicyKind::kIdentity) return !positive && !negative;
  // As at the provider: NotPrincipal only together with Deny.
  if (positive == negative || (negative && !deny)) return false;
  return is_principal(positive ? statement["Principal"] : statement["NotPrincipal"]);
}

}  // namespace

Decision evaluate_policy(const std::string& document, const std::string& action,
                         const std::string& resource,
                         const std::optional<std::string>& principal_arn,
                         const std::string& principal_account) {
  return evaluate(document, action, resource, principal_arn, principal_account);
}

Decision evaluate_trust(const std::string& document, const std::string& action,
                        const std::string& principal_arn, const std::string& principal_account) {
  return evaluate(document, action, std::nullopt, principal_arn, principal_account);
}

bool is_policy_document(const std::string& document, PolicyKind kind) {
  const Json statements = statements_of(parse_policy(document));
  return !statements.empty() &&
         std::all_of(statements.begin(), statements.end(),
                     [&](const Json& statement) { return is_statement(statement, kind); });
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
      {"ServiceQuotasFullAccess", R"("servicequotas:*")"},
      {"AWSSupportAccess", R"("support:*")"},
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
