#include "call/another_attempt.h"

#include <fmt/core.h>

#include <algorithm>

namespace flexroom {
namespace {

bool one_of(std::string_view code, std::initializer_list<std::string_view> codes) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

/// A new instance profile is seen by IAM before it is seen by EC2.
bool profile_is_not_seen_yet(const ServiceError& error) {
  return one_of(error.code, {"InvalidParameterValue", "InvalidIamInstanceProfile.NotFound"}) &&
         error.message.find("Invalid IAM Instance Profile") != std::string::npos;
}

}  // namespace

Refusal refusal_of(int status, const ServiceError& error) {
  if (status < 400) return Refusal::kFinal;
  const bool throttled =
      status == 429 ||
      one_of(error.code, {"RequestLimitExceeded", "Throttling", "ThrottlingException",
                          "ThrottledException", "EC2ThrottledException", "RequestThrottled",
                          "RequestThrottledException", "TooManyRequestsException", "SlowDown"});
  if (throttled || profile_is_not_seen_yet(error)) return Refusal::kPassing;
  // Nothing was started, and seconds do not make a machine free.
  if (one_of(error.code, {"InsufficientInstanceCapacity", "InsufficientHostCapacity"})) {
    return Refusal::kFinal;
  }
  return status >= 500 ? Refusal::kUnclear : Refusal::kFinal;
}

std::chrono::seconds wait_before_attempt(unsigned attempt) {
  return std::chrono::seconds(attempt == 0 ? 0 : 1u << std::min(attempt - 1, 5u));
}

std::string retry_rule() {
  return fmt::format(
      "a request that the service throttles, answers with 5xx, or whose instance profile it does "
      "not see yet is made again with the same client token, at most {} times in all, after 1, 2, "
      "4, 8 s; none for want of capacity, on another day (UTC), or without a whole answer",
      kMaxAttempts);
}

}  // namespace flexroom
