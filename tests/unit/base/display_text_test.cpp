#include "base/display.h"

#include <gtest/gtest.h>

#include <random>

#include "support/sweeps.h"

namespace flexroom {
namespace {

// What the text was, from what is shown: the escapes are unambiguous (members.md M36).
std::string undo(std::string_view shown) {
  std::string out;
  for (size_t at = 0; at < shown.size();) {
    if (shown[at] != '\\') {
      out.push_back(shown[at++]);
      continue;
    }
    size_t run = 0;
    while (at + run < shown.size() && shown[at + run] == '\\') ++run;
    at += run;
    const bool before_escape =
        at + 1 < shown.size() && (shown[at] == 'u' || shown[at] == 'x') && shown[at + 1] == '{';
    out.append(before_escape ? run / 2 : run, '\\');
    if (!before_escape || run % 2 == 0) continue;
    const bool whole = shown[at] == 'u';
    const size_t end = shown.find('}', at);
    const auto code = static_cast<uint32_t>(
        std::stoul(std::string(shown.substr(at + 2, end - at - 2)), nullptr, 16));
    at = end + 1;
    const auto put = [&](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (!whole || code < 0x80) {
      put(code);
    } else if (code < 0x800) {
      put(0xc0 | code >> 6), put(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
      put(0xe0 | code >> 12), put(0x80 | (code >> 6 & 0x3f)), put(0x80 | (code & 0x3f));
    } else {
      put(0xf0 | code >> 18), put(0x80 | (code >> 12 & 0x3f)), put(0x80 | (code >> 6 & 0x3f)),
          put(0x80 | (code & 0x3f));
    }
  }
  return out;
}

TEST(DisplayTextTest, NothingThatActsOnATerminalPasses) {
  EXPECT_EQ(display_text("usual \\n text, 100 %"), "usual \\n text, 100 %");
  EXPECT_EQ(display_text("a\x1b[31mb\r\n\t"), "a\\u{1b}[31mb\\u{d}\\u{a}\\u{9}");
  EXPECT_EQ(display_text("\xe2\x80\xae"
                         "cod.exe"),
            "\\u{202e}cod.exe");                                               // bidi
  EXPECT_EQ(display_text("p\xd0\xb0ypal \xc2\x9b"), "p\\u{430}ypal \\u{9b}");  // look-alike, C1
  EXPECT_EQ(display_text("\xff\xc0\xaf\xed\xa0\x80"), "\\x{ff}\\x{c0}\\x{af}\\x{ed}\\x{a0}\\x{80}");
  EXPECT_EQ(display_text("\\u{202e}"), "\\\\u{202e}");
  EXPECT_EQ(display_text("\\\xe2\x80\xae"), "\\\\\\u{202e}");
  EXPECT_EQ(display_text("abcdef", 3), "abc ... (6 bytes)");
  EXPECT_EQ(display_text("abc", 3), "abc");
}

TEST(DisplayTextSweep, OtherBytesGiveAnotherText) {
  std::mt19937 random(1);
  const std::string_view pieces[] = {"\\", "\\", "u{",           "x{",   "41}",
                                     "a",  "\n", "\xe2\x80\xae", "\x80", "\xf0\x9f\x98\x80",
                                     "{",  "u",  "\xc3\xa9",     "\x7f"};
  for (size_t k = 0; k < support::tries(20'000); ++k) {
    std::string text;
    for (size_t n = random() % 8; n > 0; --n) text += pieces[random() % std::size(pieces)];
    const std::string shown = display_text(text);
    for (const char c : shown) ASSERT_TRUE(c >= 0x20 && c < 0x7f);
    ASSERT_EQ(undo(shown), text) << shown;
  }
}

}  // namespace
}  // namespace flexroom
