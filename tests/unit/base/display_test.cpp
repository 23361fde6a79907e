#include "base/display.h"

#include <gtest/gtest.h>

namespace flexroom {
namespace {

TEST(DisplayTest, WordsOfAllLanguagesStay) {
  for (const std::string text : {"plain words", "Käse für 3 €", "Ώρα", "病院", "😀", ""}) {
    EXPECT_EQ(display(text), text);
  }
}

TEST(DisplayTest, WhatMovesColoursOrHidesDoesNot) {
  EXPECT_EQ(display("\x1b[2Jgone\x07"), "?[2Jgone?");
  EXPECT_EQ(display("a\nb\rc\td\x7f"), "a?b?c?d?");
  EXPECT_EQ(display("\xc2\x9b"
                    "31m"),
            "?31m");  // CSI as one C1 character
  for (const char* hidden : {"\u202e", "\u2066", "\u2069", "\u200f", "\u061c", "\u200b", "\u2028",
                             "\u2060", "\ufeff", "\u00ad", "\U000e0041", "\ufe0f"}) {
    EXPECT_EQ(display(std::string("a") + hidden + "b"), "a?b");
  }
}

TEST(DisplayTest, BytesThatAreNoUtf8) {
  EXPECT_EQ(display("\xff\xfe"), "??");
  EXPECT_EQ(display("\xc0\xaf"), "??");            // overlong '/'
  EXPECT_EQ(display("\xe0\x80\xaf"), "???");       // overlong
  EXPECT_EQ(display("\xed\xa0\x80"), "???");       // a surrogate
  EXPECT_EQ(display("\xf4\x90\x80\x80"), "????");  // beyond U+10FFFF
  EXPECT_EQ(display("a\xe2\x82"), "a??");          // cut short
  EXPECT_EQ(display(std::string_view("a\0b", 3)), "a?b");
}

TEST(DisplayTest, LinesKeepTheirNewlinesOnly) {
  EXPECT_EQ(display_lines("a\r\n\tb\x1b\n"), "a?\n b?\n");
}

TEST(DisplayTest, LongTextIsCutAtACharacter) {
  EXPECT_EQ(display_short("abcdef", 6), "abcdef");
  EXPECT_EQ(display_short("abcdefg", 6), "abcdef...");
  EXPECT_EQ(display_short("abcde\u20acx", 6), "abcde...");
}

}  // namespace
}  // namespace flexroom
