#include "base/named_group.h"

#include <gtest/gtest.h>

namespace flexroom {
namespace {

TEST(NamedGroup, AllAreOfferedThatWithMlKemFirst) {
  EXPECT_EQ(to_string(all_groups()), "x25519mlkem768, x25519, p256");
  EXPECT_TRUE(has_kem(all_groups()));
  EXPECT_FALSE(has_kem(all_curves()));
  EXPECT_EQ(curves_of(all_groups()), all_curves());
  EXPECT_EQ(curves_of({NamedGroup::kP256}), Groups{NamedGroup::kP256});
  EXPECT_EQ(curves_of({NamedGroup::kX25519MlKem768}), Groups{NamedGroup::kX25519});
  EXPECT_EQ(to_string(Groups{NamedGroup::kP256}), "p256");
}

TEST(NamedGroup, IsWrittenAsRoomTomlWritesItAndComesBack) {
  EXPECT_EQ(to_string(NamedGroup::kX25519), "x25519");
  EXPECT_EQ(to_string(NamedGroup::kP256), "p256");
  EXPECT_EQ(to_string(NamedGroup::kX25519MlKem768), "x25519mlkem768");
  for (const NamedGroup group : all_groups()) {
    EXPECT_EQ(parse_named_group(to_string(group)), group);
  }
  for (const auto* other : {"", "X25519", "P-256", "p256 ", "secp256r1"}) {
    EXPECT_EQ(parse_named_group(other), std::nullopt) << other;
  }
}

}  // namespace
}  // namespace flexroom
