#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// When something may run: hours of the week at a fixed offset from UTC, slots counted in weeks
// (members.md §6.4, §6.5). Times are seconds since 1970. No zone names, no summer time.

namespace flexroom::inbox {

/// From `first` on, up to and including `last`.
struct Window {
  uint64_t first = 0, last = 0;
  bool contains(uint64_t at) const { return first <= at && at <= last; }
  bool operator==(const Window&) const = default;
};

/// "Mon 08:00-10:00", "Mon-Fri 08:00-18:00 +01:00": hours of one day of the week, or of several
/// that follow each other; without an offset those of UTC. The end is not part of it; 24:00 is the
/// end of the day, and no hours go past it.
struct WeeklyHours {
  uint8_t first_day = 0, last_day = 0;  // 0: Monday
  uint16_t begin = 0, end = 0;          // minutes of the day
  int16_t offset = 0;                   // minutes east of UTC

  /// Throws InputError at `place` unless it is what text() writes.
  static WeeklyHours parse(std::string_view text, std::string_view place);
  std::string text() const;
  /// The hours that `at` lies in; nothing outside of them.
  std::optional<Window> around(uint64_t at) const;
  /// Days since 1970 at this offset.
  int64_t day_of(uint64_t at) const;
  bool operator==(const WeeklyHours&) const = default;
};

/// Which runs a proposal means.
struct Repetition {
  static constexpr uint32_t kMaxRuns = 1000;
  uint32_t times = 1;                // at most so many runs
  std::optional<WeeklyHours> every;  // of one day: once in each such slot; otherwise one by one

  /// The slot of `at`: weeks since the week of `not_before`, at the offset of `every`. Nothing
  /// where `at` is in no slot.
  std::optional<uint32_t> slot_at(uint64_t at, uint64_t not_before) const;
  bool operator==(const Repetition&) const = default;
};

/// "2027-06-30T08:00:00Z", exactly; and back. Throws InputError at `place`.
std::string utc_text(uint64_t at);
uint64_t parse_utc(std::string_view text, std::string_view place);
/// "2027-06-30": its first second at UTC.
uint64_t parse_date(std::string_view text, std::string_view place);

}  // namespace flexroom::inbox
