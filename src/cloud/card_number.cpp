#include "cloud/card_number.h"

#include "cloud/web.h"

namespace flexroom::cloud {

namespace {

constexpr size_t kDigits = 16;

bool all_of(std::string_view text, std::string_view alphabet) {
  return text.find_first_not_of(alphabet) == std::string_view::npos;
}

unsigned luhn_sum(const std::string& number) {
  unsigned sum = 0;
  for (size_t i = 0; i < number.size(); ++i) {
    const unsigned doubled = static_cast<unsigned>(number[i] - '0') * (i % 2 == 0 ? 2 : 1);
    sum += doubled / 10 + doubled % 10;
  }
  return sum;
}

}  // namespace

void check_card_number(const std::string& number) {
  if (number.size() != kDigits || !all_of(number, "0123456789") || luhn_sum(number) % 10 != 0) {
    throw ApiError(400, "BadCard", "This is no card's number.");
  }
}

std::string new_card_number(const std::string& prefix) {
  std::string number = prefix + random_text(kDigits - 1 - prefix.size(), "0123456789") + "0";
  number.back() = static_cast<char>('0' + (10 - luhn_sum(number) % 10) % 10);
  return number;
}

void check_idempotency_key(const std::string& key) {
  if (key.size() != 32 || !all_of(key, "0123456789abcdef")) {
    malformed("Idempotency-Key is not 32 hex digits.");
  }
}

}  // namespace flexroom::cloud
