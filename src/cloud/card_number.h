#pragma once

#include <string>

namespace flexroom::cloud {

/// Throws ApiError(400, BadCard) unless there are sixteen digits whose check digit is right
/// (ISO/IEC 7812, Luhn).
void check_card_number(const std::string& number);
/// A random number of sixteen digits that begins with `prefix` and has the right check digit.
std::string new_card_number(const std::string& prefix);
/// Throws ApiError(400, Malformed) unless it is 32 lower-case hex digits.
void check_idempotency_key(const std::string& key);

}  // namespace flexroom::cloud
