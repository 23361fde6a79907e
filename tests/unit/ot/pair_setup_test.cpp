#include "ot/pair_setup.h"

#include <gtest/gtest.h>
#include <sodium.h>

#include "support/deal_epoch.h"
#include "support/parties.h"

namespace flexroom::ot {
namespace {

Block delta_of(PartyId i) {
  Block delta(0x1122334455667788 * (i + 1), 0x99aabbccddeeff00 + 16 * i);
  delta.set_bit(0, true);
  delta.set_bit(1, i == 0);
  return delta;
}

auto run_setup(size_t n, unsigned k, net::Tamper tamper = nullptr) {
  return support::run_parties(
      n, [k](net::Party& party) { return setup_pairs(party, delta_of(party.id()), k); }, tamper);
}

class PairSetupTest : public ::testing::TestWithParam<unsigned /* k */> {};

TEST_P(PairSetupTest, SenderHoldsAllLeavesButAlpha) {
  const unsigned k = GetParam();
  const auto run = run_setup(k == 4 ? 3 : 2, k);
  for (PartyId j = 0; j < run.outcomes.size(); ++j) {
    for (PartyId i = 0; i < run.outcomes.size(); ++i) {
      if (i == j) continue;
      const PairSetup& at_sender = (*run.outcomes[j].value)[i];
      const PairSetup& at_receiver = (*run.outcomes[i].value)[j];
      const BlockVec expected =
          support::punctured(at_receiver.seeds.receiver_leaves.span(), k, delta_of(j));
      ASSERT_EQ(at_sender.seeds.sender_leaves.size(), PprfShape{k}.num_leaves());
      for (size_t x = 0; x < expected.size(); ++x) {
        ASSERT_EQ(at_sender.seeds.sender_leaves[x], expected[x]);
        ASSERT_NE(at_receiver.seeds.receiver_leaves[x], Block());
      }
      EXPECT_EQ(at_sender.transcripts.as_sender, at_receiver.transcripts.as_receiver);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(SubfieldBits, PairSetupTest, ::testing::Values(2, 4, 8));

// Two sets of trees of one pair share no oracle: lane and batch id are fields of every call (§4.1).
TEST(PairSetup, TreesOfAnotherLaneOrBatchAreOthersFromEqualRoots) {
  constexpr PprfShape shape{2};
  BaseOtSenderKeys keys{BlockVec(kBaseOts), BlockVec(kBaseOts)};
  std::vector<PprfOwner> made;
  for (const auto& [lane, batch_id] : {std::pair<uint16_t, uint64_t>{0, 0}, {1, 0}, {0, 1}}) {
    Prg prg(Block(1, 2));
    made.push_back(grow_trees(shape, {RoScope{}, 0, 1, lane, batch_id}, keys, prg));
  }
  for (size_t other : {size_t{1}, size_t{2}}) {
    for (size_t x = 0; x < shape.num_leaves(); ++x) {
      ASSERT_NE(made[0].leaves[x], made[other].leaves[x]);
    }
  }
  for (size_t x = 0; x < shape.num_leaves(); ++x) {
    ASSERT_NE(made[1].leaves[x], made[2].leaves[x]);
  }
}

TEST(PairSetup, CostsWhatTheSpecificationSays) {
  const auto run = run_setup(2, 4);
  size_t bytes = 0;
  for (const auto& message : run.trace) {
    if (message.sender == 0) bytes += message.bytes;
  }
  EXPECT_EQ(bytes, 128 * 64 + 32 + 128 * 32 + 32 * 32 + 32);
}

// The checks of the set-up of one pair, in rooms of two and three: the last member is the cheat,
// what it alters goes to member 0, and whatever else it sends is honest.
class PairSetupCheat : public ::testing::TestWithParam<size_t /* n */> {
 protected:
  const size_t n_ = GetParam();
  const PartyId cheat_ = static_cast<PartyId>(n_ - 1);
  template <typename Change>
  auto run_with(std::string_view label, Change change) const {
    return run_setup(n_, 4, [&, label](const net::MessageId& m, Bytes& payload) {
      if (m.sender == cheat_ && m.receiver == 0 && m.label == label) change(payload);
    });
  }
  template <typename R>
  void expect_abort(const R& run, AbortCode code, std::string_view what) const {
    EXPECT_EQ(run.outcomes[0].code(), code) << what;
    if (run.outcomes[0].abort) {
      EXPECT_EQ(run.outcomes[0].abort->peer(), cheat_) << what;
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Rooms, PairSetupCheat, ::testing::Values(2, 3));

// A tree owner that alters the masked level sum a puncturer does use is caught; for the other one
// the puncturer never looks at it: the check's verdict is one bit of Delta, and only a wrong guess
// is noticed.
TEST_P(PairSetupCheat, BadLevelSumFailsExactlyWhereTheSenderUsesIt) {
  const Block delta = delta_of(0);
  for (const unsigned instance : {0u, 1u, 6u, 127u}) {
    const unsigned v = instance / 4, level = instance % 4;
    const bool path = delta.bit(4 * v + 3 - level);
    for (const bool b : {false, true}) {
      const auto run =
          run_with("setup/trees", [&](Bytes& trees) { trees[32 * instance + (b ? 16 : 0)] ^= 1; });
      if (b != path) {
        expect_abort(run, AbortCode::kPprf, std::to_string(instance));
      } else {
        EXPECT_TRUE(run.outcomes[0].value.has_value()) << instance << b;
      }
    }
  }
}

TEST_P(PairSetupCheat, BadTreeSumOrDigestFails) {
  const PprfShape shape{4};
  for (const size_t at : {size_t{4096}, size_t{4096 + 31 * 32}, shape.message_bytes() - 32,
                          shape.message_bytes() - 1}) {
    expect_abort(run_with("setup/trees", [&](Bytes& trees) { trees[at] ^= 0x80; }),
                 AbortCode::kPprf, std::to_string(at));
  }
}

TEST_P(PairSetupCheat, InvalidPointsAndLengthsFail) {
  for (const std::string_view label : {"setup/base OT points", "setup/base OT sender point"}) {
    for (const int fill : {0x00, 0xff}) {  // the identity, no point
      const auto run = run_with(label, [&](Bytes& points) {
        std::fill_n(points.begin(), 32, static_cast<uint8_t>(fill));
      });
      expect_abort(run, AbortCode::kBaseOt, label);
    }
    expect_abort(run_with(label, [](Bytes& points) { points.pop_back(); }),
                 AbortCode::kUnexpectedMessage, label);
  }
}

// Another valid point is another instance of the OT: the keys differ, and the trees do not open.
TEST_P(PairSetupCheat, AnotherPointThanTheOneUsedFails) {
  const auto run = run_with("setup/base OT sender point", [](Bytes& point) {
    std::array<uint8_t, 64> wide{};
    wide[5] = 1;
    crypto_core_ristretto255_from_hash(point.data(), wide.data());
  });
  expect_abort(run, AbortCode::kPprf, "another B");
}

}  // namespace
}  // namespace flexroom::ot
