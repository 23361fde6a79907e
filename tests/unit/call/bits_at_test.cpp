#include "call/bits_at.h"

#include <gtest/gtest.h>

#include "support/dealer.h"

// Secret bits of a request come from several circuits; each stands where its source said.

namespace flexroom {
namespace {

TEST(BitsAt, SourcesAreMergedByTheirPlaces) {
  EXPECT_EQ(moved({0, 5, 9}, 2), (std::vector<uint32_t>{16, 21, 25}));
  const std::vector<uint32_t> a = {0, 1, 40, 41}, b = {8, 9, 10}, c = {64};
  EXPECT_EQ(merged_places({a, b, c}), (std::vector<uint32_t>{0, 1, 8, 9, 10, 40, 41, 64}));
  EXPECT_TRUE(merged_places({}).empty());
  support::Dealer dealer(2);
  const std::vector<uint8_t> of_a = {1, 0, 1, 1}, of_b = {0, 1, 1}, of_c = {1};
  std::vector<uint8_t> got(8);
  for (PartyId i = 0; i < 2; ++i) {
    const prep::AuthBits x = dealer.share_bits(i, 1, of_a), y = dealer.share_bits(i, 2, of_b),
                         z = dealer.share_bits(i, 3, of_c);
    const prep::AuthBits all = merged_bits({{a, &x}, {b, &y}, {c, &z}});
    ASSERT_EQ(all.size(), 8u);
    for (size_t k = 0; k < 8; ++k) got[k] ^= static_cast<uint8_t>(all.share(k));
  }
  EXPECT_EQ(got, (std::vector<uint8_t>{1, 0, 0, 1, 1, 1, 1, 1}));
}

}  // namespace
}  // namespace flexroom
