#include "base/base64.h"

#include <gtest/gtest.h>

#include "base/prg.h"

namespace flexroom {
namespace {

// RFC 4648 §10 without padding, and the two characters of §5.
TEST(Base64url, EncodesAsTheRfcDoes) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
      {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff", "-_8"}};
  for (const auto& [bytes, text] : cases) {
    EXPECT_EQ(base64url_encode(as_bytes(bytes)), text);
    EXPECT_EQ(base64url_decode(text), to_bytes(bytes));
  }
}

TEST(Base64url, DecodesWhatItEncodesAndNothingElse) {
  Prg prg(Block(3, 3));
  for (size_t size = 0; size < 80; ++size) {
    Bytes bytes(size);
    prg.fill(std::span<uint8_t>(bytes));
    EXPECT_EQ(base64url_decode(base64url_encode(bytes)), bytes);
  }
  for (const std::string_view wrong :
       {"Zg=", "Zg==", "Zh", "Zm9", "Z", "Zm9vZ", "Zm 9v", "+_8", "-/8", "Zm9v\n"}) {
    EXPECT_FALSE(base64url_decode(wrong)) << wrong;
  }
}

TEST(Base64, DecodesWhatItEncodesAndNothingElse) {
  EXPECT_EQ(base64_encode(as_bytes("fooba")), "Zm9vYmE=");
  EXPECT_EQ(base64_encode(as_bytes("\xfb\xff")), "+/8=");
  Prg prg(Block(3, 4));
  for (size_t size = 0; size < 80; ++size) {
    Bytes bytes(size);
    prg.fill(std::span<uint8_t>(bytes));
    EXPECT_EQ(base64_encode(bytes).size(), (size + 2) / 3 * 4);
    EXPECT_EQ(base64_decode(base64_encode(bytes)), bytes);
  }
  for (const std::string_view wrong : {"Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Z", "=",
                                       "====", "Zm9v=", "Zm 9", "-_8=", "Zm9v\n", "Zg==Zg=="}) {
    EXPECT_FALSE(base64_decode(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace flexroom
