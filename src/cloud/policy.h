#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace flexroom::cloud {

enum class Decision { kNone, kAllow, kDeny };

/// Evaluates one policy document (version 2012-10-17): Effect, Action/NotAction,
/// Resource/NotResource, Principal ("*", {"AWS": ...}; only looked at when `principal` is given).
/// An explicit Deny wins. Conditions are not evaluated: a conditional Allow grants nothing and a
/// conditional Deny always denies, so that the sandbox errs towards refusing.
Decision evaluate_policy(const std::string& document, const std::string& action,
                         const std::string& resource,
                         const std::optional<std::string>& principal_arn = std::nullopt,
                         const std::string& principal_account = "");

/// True if the text is a JSON object with statements this evaluator understands.
bool is_policy_document(const std::string& document);

/// '*' any characters, '?' one character.
bool wildcard_match(std::string_view pattern, std::string_view text);

/// The document of a managed policy (arn:aws:iam::aws:policy/...) the sandbox knows.
std::optional<std::string> managed_policy(const std::string& arn);

}  // namespace flexroom::cloud
