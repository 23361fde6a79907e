#include "room/link_expiry.h"

#include <charconv>
#include <cstdint>
#include <string>

namespace flexroom::room {
namespace {

std::optional<std::string_view> parameter(std::string_view url, std::string_view name) {
  size_t at = url.find('?');
  while (at != std::string_view::npos) {
    std::string_view rest = url.substr(at + 1);
    const size_t end = rest.find('&');
    const std::string_view pair = rest.substr(0, end);
    if (pair.starts_with(name) && pair.size() > name.size() && pair[name.size()] == '=') {
      return pair.substr(name.size() + 1);
    }
    at = end == std::string_view::npos ? end : at + 1 + end;
  }
  return std::nullopt;
}

std::optional<int64_t> number(std::string_view digits) {
  int64_t out = 0;
  const char* const end = digits.data() + digits.size();
  if (digits.empty() || digits.size() > 12 || digits.front() == '-' || std::from_chars(digits.data(), end, out).ptr != end) {
    return std::nullopt;
  }
  return out;
}

/// "20260102T030405Z"
std::optional<std::time_t> amz_time(std::string_view text) {
  if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') return std::nullopt;
  const auto year = number(text.substr(0, 4)), month = number(text.substr(4, 2)),
             day = number(text.substr(6, 2)), hour = number(text.substr(9, 2)),
             minute = number(text.substr(11, 2)), second = number(text.substr(13, 2));
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  std::tm when{};
  when.tm_year = static_cast<int>(*year) - 1900;
  when.tm_mon = static_cast<int>(*month) - 1;
  when.tm_mday = static_cast<int>(*day);
  when.tm_hour = static_cast<int>(*hour);
  when.tm_min = static_cast<int>(*minute);
  when.tm_sec = static_cast<int>(*second);
  return timegm(&when);
}

}  // namespace

std::optional<std::time_t> link_expiry(std::string_view url) {
  if (const auto date = parameter(url, "X-Amz-Date")) {
    const auto start = amz_time(*date);
    const auto seconds = number(parameter(url, "X-Amz-Expires").value_or(""));
    if (start && seconds) return *start + *seconds;
    return std::nullopt;
  }
  if (const auto end = number(parameter(url, "Expires").value_or(""))) return *end;
  return std::nullopt;
}

}  // namespace flexroom::room
