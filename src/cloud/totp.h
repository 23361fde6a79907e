#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace flexroom::cloud {

/// The six digits of RFC 6238 (SHA-1, 30 seconds) for the step of that number; nothing for a seed
/// that is not base32 without padding.
std::optional<std::string> totp(std::string_view seed, int64_t step);

/// The step, within one of now, whose code it is.
std::optional<int64_t> totp_step(std::string_view seed, std::string_view code, std::time_t now);

}  // namespace flexroom::cloud
