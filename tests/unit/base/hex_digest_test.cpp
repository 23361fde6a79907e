#include "base/hex_digest.h"

#include <gtest/gtest.h>

#include <string>

namespace flexroom {
namespace {

TEST(HexDigest, IsSixtyFourHexDigitsAndNothingElse) {
  const Digest digest = sha256({});
  const std::string hex = to_hex(digest);
  EXPECT_EQ(digest_of_hex(hex), digest);
  EXPECT_EQ(digest_of_hex(std::string(64, 'F')), digest_of_hex(std::string(64, 'f')));
  for (const std::string& other :
       {std::string(), hex.substr(2), hex + "00", hex.substr(1), hex.substr(0, 63) + "g"}) {
    EXPECT_EQ(digest_of_hex(other), std::nullopt) << other;
  }
}

}  // namespace
}  // namespace flexroom
