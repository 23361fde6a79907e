#include "ot/base_ot.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include <optional>

#include "base/error.h"

namespace flexroom::ot {
namespace {

class BaseOtTest : public ::testing::Test {
 protected:
  Prg receiver_prg_{Block(0, 1)}, sender_prg_{Block(0, 2)};
  PairContext pair_{RoScope{}, 0, 1};
  Block choices_{0x0123456789abcdef, 0xf0f0aa5500ff3c96};
  BaseOtReceiver receiver_{pair_, LockedBlock(choices_), receiver_prg_};
  BaseOtSender sender_{pair_, sender_prg_};

  template <typename F>
  static void expect_abort(F f, PartyId peer) {
    try {
      f();
      ADD_FAILURE() << "accepted";
    } catch (const ProtocolAbort& abort) {
      EXPECT_EQ(abort.code(), AbortCode::kBaseOt);
      EXPECT_EQ(abort.abort_class(), AbortClass::kBooleanCheat);
      EXPECT_EQ(abort.peer(), peer);
    }
  }
};

TEST_F(BaseOtTest, ReceiverGetsTheChosenKeyOfEachInstance) {
  const BaseOtSenderKeys sent = sender_.keys(receiver_.message());
  const BlockVec got = receiver_.keys(sender_.message());
  for (unsigned q = 0; q < kBaseOts; ++q) {
    EXPECT_EQ(got[q], choices_.bit(q) ? sent.key1[q] : sent.key0[q]);
    EXPECT_NE(got[q], choices_.bit(q) ? sent.key0[q] : sent.key1[q]);
  }
}

TEST_F(BaseOtTest, KeysOfAnotherPairDiffer) {
  Prg same(Block(0, 1));
  const PairContext other{RoScope{}, 1, 0};
  const BaseOtReceiver receiver(other, LockedBlock(choices_), same);
  EXPECT_NE(receiver.keys(sender_.message())[0], receiver_.keys(sender_.message())[0]);
}

TEST_F(BaseOtTest, IdentityAndNonPointsAreRefused) {
  Bytes not_a_point(32, 0xff);
  expect_abort([&] { receiver_.keys(not_a_point); }, 1);
  expect_abort([&] { receiver_.keys(Bytes(32)); }, 1);
  for (const size_t at : {size_t{0}, size_t{32}, kBaseOtReceiverBytes - 32}) {
    for (const int fill : {0x00, 0xff}) {
      Bytes message = receiver_.message();
      std::fill_n(message.begin() + static_cast<ptrdiff_t>(at), 32, static_cast<uint8_t>(fill));
      expect_abort([&] { sender_.keys(message); }, 0);
    }
  }
}

// R_x = -h(q, x, R_{1-x}) would make A_x, and with it the product b A_x, the identity.
TEST_F(BaseOtTest, PointThatCancelsItsBlindingIsRefused) {
  Bytes message = receiver_.message();
  const ByteView r1 = ByteView(message).subspan(32, 32);
  const uint8_t choice[1] = {0};
  const auto wide = RandomOracle::wide("bot", pair_.scope, 0, 0, 1, {ByteView(choice), r1});
  uint8_t h[32], zero[32] = {};
  ASSERT_EQ(crypto_core_ristretto255_from_hash(h, wide.data()), 0);
  ASSERT_EQ(crypto_core_ristretto255_sub(message.data(), zero, h), 0);
  expect_abort([&] { sender_.keys(message); }, 0);
}

}  // namespace
}  // namespace flexroom::ot
