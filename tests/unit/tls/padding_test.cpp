#include "tls/padding.h"

#include <gtest/gtest.h>

#include <set>

namespace flexroom::tls {
namespace {

constexpr Padding kPaddings[] = {Padding::kNone, Padding::kPadme, Padding::k256, Padding::k512,
                                 Padding::k1024};

// tls-complete.md §8.2: "sizes left up to 16 KB", of requests from 200 bytes on.
TEST(PaddingTest, LeavesAsManySizesAsTheDesignSays) {
  const auto sizes = [](Padding padding) {
    std::set<size_t> out;
    for (size_t content = 200; content <= kMaxPlaintext; ++content) {
      out.insert(padded_bytes(padding, content + 1));
    }
    return out.size();
  };
  EXPECT_EQ(sizes(Padding::kPadme), 101u);
  EXPECT_EQ(sizes(Padding::k256), 65u);
  EXPECT_EQ(sizes(Padding::k1024), 17u);
}

// No length shrinks, none gets over what a record may hold, and a longer one never comes out
// shorter.
TEST(PaddingTest, OnlyAddsAndKeepsTheLimit) {
  for (const Padding padding : kPaddings) {
    for (const size_t most : {kMaxInner, size_t{513}, size_t{41}}) {
      size_t before = 0;
      for (size_t inner = 1; inner <= most; ++inner) {
        const size_t padded = padded_bytes(padding, inner, most);
        EXPECT_GE(padded, inner);
        EXPECT_LE(padded, most);
        EXPECT_GE(padded, before);
        if (padding == Padding::kNone) {
          EXPECT_EQ(padded, inner);
        }
        before = padded;
      }
    }
  }
  EXPECT_EQ(padded_bytes(Padding::k1024, 1), 1024u);
  EXPECT_EQ(padded_bytes(Padding::k1024, 1024), 1024u);
  EXPECT_EQ(padded_bytes(Padding::k1024, 1025), 2048u);
  EXPECT_EQ(padded_bytes(Padding::k256, kMaxInner), kMaxInner);
}

// At most 12 %: the example of its authors is 9 -> 10, and powers of two stay.
TEST(PaddingTest, PadmeKeepsTheLeadingDigits) {
  EXPECT_EQ(padded_bytes(Padding::kPadme, 9), 10u);
  EXPECT_EQ(padded_bytes(Padding::kPadme, 101), 104u);
  EXPECT_EQ(padded_bytes(Padding::kPadme, 1024), 1024u);
  EXPECT_EQ(padded_bytes(Padding::kPadme, 1025), 1088u);
  for (size_t inner = 1; inner < kMaxInner; ++inner) {
    EXPECT_LE(padded_bytes(Padding::kPadme, inner) * 100, inner * 112 + 100) << inner;
  }
}

TEST(PaddingTest, IsReadAsItIsWritten) {
  for (const Padding padding : kPaddings) EXPECT_EQ(parse_padding(to_string(padding)), padding);
  EXPECT_FALSE(parse_padding("128").has_value());
  EXPECT_FALSE(parse_padding("").has_value());
  EXPECT_EQ(known_paddings(), "none, padme, 256, 512, 1024");
}

}  // namespace
}  // namespace flexroom::tls
