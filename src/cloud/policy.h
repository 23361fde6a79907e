#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace flexroom::cloud {

enum class Decision { kNone, kAllow, kDeny };

/// Where a document stands, which decides what its statements must have.
enum class PolicyKind {
  kIdentity,  // of a user or role: a Resource, no Principal
  kBucket,    // both
  kTrust,     // of a role: a Principal, no Resource
};

/// Evaluates one policy document (version 2012-10-17): Effect, Action/NotAction,
/// Resource/NotResource, Principal/NotPrincipal ("*", {"AWS": ...}; only looked at when
/// `principal_arn` is given; a role stands for its sessions). NotPrincipal only denies. An explicit
/// Deny wins. Conditions are not evaluated: a conditional Allow grants nothing and a
/// conditional Deny always denies, so that the sandbox errs towards refusing.
Decision evaluate_policy(const std::string& document, const std::string& action,
                         const std::string& resource,
                         const std::optional<std::string>& principal_arn = std::nullopt,
                         const std::string& principal_account = "");

/// The same for a role's trust policy, whose statements name no resource. A service that assumes
/// the role stands as its name (sagemaker.amazonaws.com) in place of an ARN, of no account.
Decision evaluate_trust(const std::string& document, const std::string& action,
                        const std::string& principal_arn, const std::string& principal_account);

/// True if the text is a JSON object all of whose statements this evaluator understands: a Deny
/// that it could not match would be one that is not there.
bool is_policy_document(const std::string& document, PolicyKind kind);

/// '*' any characters, '?' one character.
bool wildcard_match(std::string_view pattern, std::string_view text);

/// The document of a managed policy (arn:aws:iam::aws:policy/...) the sandbox knows.
std::optional<std::string> managed_policy(const std::string& arn);

}  // namespace flexroom::cloud
