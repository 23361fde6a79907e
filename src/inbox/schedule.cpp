#include "inbox/schedule.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "base/display.h"
#include "base/error.h"

namespace flexroom::inbox {
namespace {

constexpr int64_t kDay = 86400, kWeek = 7 * kDay;
constexpr int kThursday = 3;  // 1970-01-01
constexpr std::array<std::string_view, 7> kDays = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

[[noreturn]] void fail(std::string_view place, std::string_view text, std::string_view form) {
  throw InputError(place, fmt::format("\"{}\" are no hours", display_short(text, 60)),
                   fmt::format("write them like {}", form));
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Exactly `count` digits at the front of `text`, which loses them.
std::optional<int> digits(std::string_view& text, size_t count) {
  if (text.size() < count || !std::all_of(text.begin(), text.begin() + count, is_digit)) {
    return std::nullopt;
  }
  int out = 0;
  for (const char c : text.substr(0, count)) out = 10 * out + (c - '0');
  text.remove_prefix(count);
  return out;
}

bool skip(std::string_view& text, std::string_view what) {
  if (!text.starts_with(what)) return false;
  text.remove_prefix(what.size());
  return true;
}

std::optional<uint8_t> day_name(std::string_view& text) {
  for (uint8_t d = 0; d < kDays.size(); ++d) {
    if (skip(text, kDays[d])) return d;
  }
  return std::nullopt;
}

/// "08:00"; minutes.
std::optional<int> minutes(std::string_view& text) {
  const auto hour = digits(text, 2);
  if (!hour || !skip(text, ":")) return std::nullopt;
  const auto minute = digits(text, 2);
  if (!minute || *minute > 59 || *hour > 24 || (*hour == 24 && *minute != 0)) return std::nullopt;
  return *hour * 60 + *minute;
}

int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

// Howard Hinnant's days_from_civil, and back (public domain).
int64_t days_of(int64_t y, int64_t m, int64_t d) {
  y -= m <= 2;
  const int64_t era = floor_div(y, 400), yoe = y - era * 400;
  const int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}
void civil(int64_t days, int64_t& y, int64_t& m, int64_t& d) {
  days += 719468;
  const int64_t era = floor_div(days, 146097), doe = days - era * 146097;
  const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
  d = doy - (153 * mp + 2) / 5 + 1;
  m = mp + (mp < 10 ? 3 : -9);
  y = yoe + era * 400 + (m <= 2);
}

std::optional<int64_t> parse_day(std::string_view& text) {
  const auto year = digits(text, 4);
  if (!year || !skip(text, "-")) return std::nullopt;
  const auto month = digits(text, 2);
  if (!month || !skip(text, "-")) return std::nullopt;
  const auto day = digits(text, 2);
  if (!day || *year < 1970) return std::nullopt;
  const int64_t days = days_of(*year, *month, *day);
  int64_t y = 0, m = 0, d = 0;
  civil(days, y, m, d);
  if (*month < 1 || *month > 12 || y != *year || m != *month || d != *day) return std::nullopt;
  return days;
}

}  // namespace

WeeklyHours WeeklyHours::parse(std::string_view text, std::string_view place) {
  constexpr std::string_view kForm = "\"Mon 08:00-10:00\" or \"Mon-Fri 08:00-18:00 +01:00\"";
  std::string_view in = text;
  WeeklyHours out;
  const auto first = day_name(in);
  if (!first) fail(place, text, kForm);
  out.first_day = out.last_day = *first;
  if (skip(in, "-")) {
    const auto last = day_name(in);
    if (!last || *last <= *first) fail(place, text, kForm);
    out.last_day = *last;
  }
  const bool blank = skip(in, " ");
  const auto begin = minutes(in);
  const bool dash = skip(in, "-");
  const auto end = minutes(in);
  if (!blank || !begin || !dash || !end || *begin >= *end) fail(place, text, kForm);
  out.begin = static_cast<uint16_t>(*begin);
  out.end = static_cast<uint16_t>(*end);
  if (!in.empty()) {
    const bool east = skip(in, " +");
    if (!east && !skip(in, " -")) fail(place, text, kForm);
    const auto offset = minutes(in);
    // UTC is written without an offset; there is one way to write each.
    if (!offset || *offset == 0 || *offset > 14 * 60 || !in.empty()) fail(place, text, kForm);
    out.offset = static_cast<int16_t>(east ? *offset : -*offset);
  }
  return out;
}

std::string WeeklyHours::text() const {
  std::string out(kDays[first_day]);
  if (last_day != first_day) out += "-" + std::string(kDays[last_day]);
  out += fmt::format(" {:02}:{:02}-{:02}:{:02}", begin / 60, begin % 60, end / 60, end % 60);
  if (offset != 0) {
    const int minutes = std::abs(offset);
    out += fmt::format(" {}{:02}:{:02}", offset < 0 ? '-' : '+', minutes / 60, minutes % 60);
  }
  return out;
}

int64_t WeeklyHours::day_of(uint64_t at) const {
  return floor_div(static_cast<int64_t>(at) + offset * 60, kDay);
}

std::optional<Window> WeeklyHours::around(uint64_t at) const {
  const int64_t day = day_of(at);
  const int64_t of_week = (day % 7 + 7 + kThursday) % 7;
  if (of_week < first_day || of_week > last_day) return std::nullopt;
  const int64_t midnight = day * kDay - offset * 60;
  const int64_t first = midnight + begin * 60, last = midnight + end * 60 - 1;
  const auto now = static_cast<int64_t>(at);
  if (now < first || now > last || first < 0) return std::nullopt;
  return Window{static_cast<uint64_t>(first), static_cast<uint64_t>(last)};
}

std::optional<uint32_t> Repetition::slot_at(uint64_t at, uint64_t not_before) const {
  if (!every || at < not_before || !every->around(at)) return std::nullopt;
  // Weeks begin on Monday at the offset of the hours; slots have one day, so that no slot lies in
  // two weeks.
  const auto week = [&](uint64_t t) {
    return floor_div(static_cast<int64_t>(t) + every->offset * 60 + kThursday * kDay, kWeek);
  };
  return static_cast<uint32_t>(week(at) - week(not_before));
}

std::string utc_text(uint64_t at) {
  int64_t y = 0, m = 0, d = 0;
  civil(static_cast<int64_t>(at / kDay), y, m, d);
  const uint64_t s = at % kDay;
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", y, m, d, s / 3600, s / 60 % 60,
                     s % 60);
}

uint64_t parse_utc(std::string_view text, std::string_view place) {
  std::string_view in = text;
  const auto day = parse_day(in);
  const bool t = skip(in, "T");
  const auto minute = minutes(in);
  const bool colon = skip(in, ":");
  const auto second = digits(in, 2);
  if (!day || !t || !minute || *minute >= 1440 || !colon || !second || *second > 59 || in != "Z") {
    throw InputError(place, fmt::format("\"{}\" is no time", display_short(text, 60)),
                     "write it like 2027-06-30T08:00:00Z");
  }
  return static_cast<uint64_t>(*day * kDay + *minute * 60 + *second);
}

uint64_t parse_date(std::string_view text, std::string_view place) {
  std::string_view in = text;
  const auto day = parse_day(in);
  if (!day || !in.empty()) {
    throw InputError(place, fmt::format("\"{}\" is no date", display_short(text, 60)),
                     "write it like 2027-06-30");
  }
  return static_cast<uint64_t>(*day * kDay);
}

}  // namespace flexroom::inbox
