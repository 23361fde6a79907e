#pragma once

#include <chrono>
#include <string>

#include "call/service_error.h"

namespace flexroom {

/// What an answer to RunInstances means for one more attempt in the same run (tls-in-mpc.md §5.8).
enum class Refusal : uint8_t {
  kFinal,    // another attempt would be answered alike; or it is no refusal
  kPassing,  // nothing was started, and in a few seconds it may be
  kUnclear   // the service does not say whether it was started; its client token makes one more
             // attempt harmless
};
/// Pure: every member decides alike from the answer that all of them have.
Refusal refusal_of(int status, const ServiceError& error);

inline constexpr unsigned kMaxAttempts = 5;
/// Before attempt 1, 2, ..: the first one, 0, waits for nothing.
std::chrono::seconds wait_before_attempt(unsigned attempt);

/// The rule in words, as a proposal states it.
std::string retry_rule();

}  // namespace flexroom
