#include "inbox/schedule.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace flexroom::inbox {
namespace {

constexpr uint64_t kMondayMidnight = 1'767'571'200;  // 2026-01-05T00:00:00Z
constexpr uint64_t kHours = 3600, kDays = 86400;

TEST(WeeklyHoursTest, AreReadAsTheyAreWrittenAndInNoOtherWay) {
  for (const char* text : {"Mon 08:00-10:00", "Mon-Fri 08:00-18:00 +01:00", "Sun 00:00-24:00",
                           "Sat-Sun 09:30-09:31 -11:30", "Tue 23:00-24:00 +14:00"}) {
    EXPECT_EQ(WeeklyHours::parse(text, "x").text(), text);
  }
  for (const char* text :
       {"", "Mon", "mon 08:00-10:00", "Mon 8:00-10:00", "Mon 08:00-08:00", "Mon 10:00-08:00",
        "Fri-Mon 08:00-10:00", "Mon-Mon 08:00-10:00", "Mon 08:00-24:01", "Mon 08:60-10:00",
        "Mon 08:00-10:00 +00:00", "Mon 08:00-10:00 +14:01", "Mon 08:00-10:00 CET",
        "Mon 08:00-10:00 ", "Mon  08:00-10:00", "Mon 08:00-10:00+01:00", "Mon,Tue 08:00-10:00"}) {
    EXPECT_THROW(WeeklyHours::parse(text, "x"), InputError) << text;
  }
}

TEST(WeeklyHoursTest, LieWhereTheirOffsetPutsThem) {
  const auto utc = WeeklyHours::parse("Mon-Fri 08:00-18:00", "x");
  EXPECT_FALSE(utc.around(kMondayMidnight + 8 * kHours - 1));
  const auto first = utc.around(kMondayMidnight + 8 * kHours);
  ASSERT_TRUE(first);
  EXPECT_EQ(*first, (Window{kMondayMidnight + 8 * kHours, kMondayMidnight + 18 * kHours - 1}));
  EXPECT_TRUE(utc.around(kMondayMidnight + 18 * kHours - 1));
  EXPECT_FALSE(utc.around(kMondayMidnight + 18 * kHours));
  EXPECT_FALSE(utc.around(kMondayMidnight + 5 * kDays + 9 * kHours));  // Saturday
  const auto east = WeeklyHours::parse("Mon 00:00-01:00 +12:00", "x");
  EXPECT_TRUE(east.around(kMondayMidnight - 12 * kHours));  // it is Sunday noon at UTC
  EXPECT_FALSE(east.around(kMondayMidnight));
}

// A working day at +12:00 lies in two days of UTC: counted at the offset it is one (M50).
TEST(WeeklyHoursTest, ADayIsOneOfItsOwnOffset) {
  const auto east = WeeklyHours::parse("Mon-Fri 08:00-18:00 +12:00", "x");
  const uint64_t eight = kMondayMidnight - 4 * kHours;
  ASSERT_TRUE(east.around(eight));
  for (uint64_t hour = 0; hour < 10; ++hour) {
    EXPECT_EQ(east.day_of(eight + hour * kHours), east.day_of(eight)) << hour;
  }
  EXPECT_NE(east.day_of(eight + 16 * kHours), east.day_of(eight));
}

// The index is the week, whatever was missed (M31).
TEST(RepetitionTest, SlotsAreWeeksSinceNotBefore) {
  Repetition r{3, WeeklyHours::parse("Mon 08:00-10:00", "x")};
  const uint64_t begin = kMondayMidnight + 9 * kHours;  // in the middle of a slot
  EXPECT_FALSE(r.slot_at(begin - 1, begin));
  EXPECT_EQ(r.slot_at(begin, begin), 0U);
  EXPECT_FALSE(r.slot_at(kMondayMidnight + 10 * kHours, begin));
  EXPECT_EQ(r.slot_at(kMondayMidnight + 7 * kDays + 8 * kHours, begin), 1U);
  EXPECT_EQ(r.slot_at(kMondayMidnight + 28 * kDays + 9 * kHours, begin), 4U);
  // A slot that touches midnight is one slot, also where the offset moves it into two days of UTC.
  Repetition late{3, WeeklyHours::parse("Sun 22:00-24:00 -02:00", "x")};
  const uint64_t sunday = kMondayMidnight + 6 * kDays;
  EXPECT_EQ(late.slot_at(sunday + 24 * kHours, kMondayMidnight),
            late.slot_at(sunday + 26 * kHours - 1, kMondayMidnight));
}

TEST(UtcTextTest, IsReadAsItIsWritten) {
  for (const char* text :
       {"1970-01-01T00:00:00Z", "2024-02-29T23:59:59Z", "2027-06-30T08:00:00Z"}) {
    EXPECT_EQ(utc_text(parse_utc(text, "x")), text);
  }
  EXPECT_EQ(parse_utc("2026-01-05T00:00:00Z", "x"), kMondayMidnight);
  EXPECT_EQ(parse_date("2026-01-05", "x"), kMondayMidnight);
  for (const char* text : {"2023-02-29T00:00:00Z", "2024-13-01T00:00:00Z", "2024-01-00T00:00:00Z",
                           "2024-01-01 00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:00:60Z",
                           "2024-01-01T00:00:00", "2024-01-01T00:00:00Z "}) {
    EXPECT_THROW(parse_utc(text, "x"), InputError) << text;
  }
  EXPECT_THROW(parse_date("2024-02-30", "x"), InputError);
}

}  // namespace
}  // namespace flexroom::inbox
