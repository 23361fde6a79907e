#include <gtest/gtest.h>

#include <array>

#include "ot/base_ot.h"
#include "ot/pprf.h"
#include "prep/memory_safety.h"
#include "prep/protocol.h"
#include "prep/refresh.h"
#include "prep/rows.h"
#include "prep/session_hello.h"
#include "prep/session_prep.h"
#include "support/deal_epoch.h"
#include "support/memory_image.h"
#include "support/parties.h"

// boolean-engine.md §10.3: a global key is gone from the process when those that worked with it
// are.

namespace flexroom::prep {
namespace {

using support::copies_of;
using support::kMask;

TEST(MemoryImage, TheSearchFindsWhatIsThere) {
  Prg prg(Block(8, 9));
  Block masked;
  {
    const LockedBlock there(prg.next_block());
    masked = there ^ kMask;
    EXPECT_GE(copies_of(masked), 1u);
  }
}

TEST(MemoryImage, BaseOtChoicesAreWipedWithTheirReceiver) {
  Prg prg(Block(3, 4));
  LockedBlock choices;
  prg.fill(std::span<Block>(&choices.writable(), 1));
  const Block masked = choices ^ kMask;
  { const ot::BaseOtReceiver receiver({}, std::move(choices), prg); }
  EXPECT_EQ(copies_of(masked), 0u);
}

// Set-up, a session with bits, products, triples, random OT and rows, and a refresh to another key.
class MemoryOfASession : public ::testing::TestWithParam<TripleProtocol> {};

TEST_P(MemoryOfASession, HoldsNoGlobalKeyWhenItIsOver) {
  const uint16_t protocol = protocol_number(GetParam());
  EpochParameters parameters;
  parameters.identities = {to_bytes("a"), to_bytes("b")};
  std::array<Block, 2> deltas, next_deltas, choices;
  {
    const auto run = support::run_parties(2, [&](net::Party& party) {
      const PartyId self = party.id();
      EpochState epoch = setup_epoch(party, parameters);
      const EpochState next = setup_epoch(party, parameters);
      deltas[self] = epoch.delta ^ kMask;
      next_deltas[self] = next.delta ^ kMask;
      choices[self] = ot::pprf_choices(ot::PprfShape{4}, epoch.delta) ^ kMask;
      const EpochState loaded = EpochState::deserialise(epoch.serialise().reveal());
      epoch = EpochState();
      session_hello(party, loaded, protocol);
      AuthBits bits;
      {
        MemorySafety safety;
        const size_t buckets = GetParam() == TripleProtocol::kMasked ? 1 : 5;
        SessionPrep prep(party, loaded, safety, {buckets, 1024, 64, true, GetParam()});
        bits = prep.random_bits(40);
        EXPECT_EQ(prep.and_triples(10).size(), 10u);
        EXPECT_EQ(prep.vec_triple(1).a.size(), 1u);
        const std::vector<uint8_t> own(8, 1);
        EXPECT_EQ(prep.owned_bits_of(0, 8, own).size(), 8u);
        const AuthBits kept = prep.random_bits(256);
        const AuthBits* const given[] = {&kept};
        const auto rows = store_rows(party, prep, given);
        const HeldRow row{256, rows[0].reveal()};
        EXPECT_EQ(load_rows(party, prep, safety, {&row, 1}).size(), 1u);
        if (self == 0) (void)prep.rot_send(1, 5);
        if (self == 1) (void)prep.rot_receive(0, 5, {});
      }
      return BitRefresh(party, loaded, next, nullptr, protocol).refresh(bits).size();
    });
    for (const auto& outcome : run.outcomes) ASSERT_EQ(outcome.value, 40u);
  }
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(copies_of(deltas[i]), 0u) << "member " << i;
    EXPECT_EQ(copies_of(next_deltas[i]), 0u) << "member " << i;
    EXPECT_EQ(copies_of(choices[i]), 0u) << "member " << i << ", base-OT choices";
  }
}
INSTANTIATE_TEST_SUITE_P(Triples, MemoryOfASession,
                         ::testing::Values(TripleProtocol::kBucket, TripleProtocol::kMasked));

}  // namespace
}  // namespace flexroom::prep
