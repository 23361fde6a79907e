#include <gtest/gtest.h>

#include "ot/cot.h"
#include "support/deal_epoch.h"
#include "support/parties.h"

// boolean-engine.md §2.1, §4.2: rows 0 and 1 of every COT are pinned, so that bits 0 and 1 of a
// global key are what they must be whatever its holder used.

namespace flexroom::ot {
namespace {

struct Cots {
  BlockVec mac, key;
  Block delta;  // the sender's, as it should be
};

/// COTs of a sender that uses its Delta + `lie`, and whose leaves fit that.
Cots cots_of(PartyId sender, const Block& lie, bool chosen) {
  constexpr size_t kCount = 300;
  auto epoch = support::deal_epoch(2);
  const PartyId receiver = 1 - sender;
  Cots out;
  out.delta = epoch[sender].delta;
  epoch[sender].delta = out.delta ^ lie;
  epoch[sender].pairs[receiver].sender_leaves =
      LockedBlocks(support::punctured(epoch[receiver].pairs[sender].receiver_leaves.span(), 4,
                                      epoch[sender].delta)
                       .span());
  const auto run = support::run_parties(2, [&](net::Party& party) {
    const prep::EpochState& own = epoch[party.id()];
    if (party.id() == sender) {
      CotSender end(party, receiver, own.pairs[receiver], own.delta, 0);
      end.receive_corrections(kCount, chosen);
      end.receive_answer();
      out.key = end.finish();
    } else {
      CotReceiver end(party, sender, own.pairs[sender], 0);
      const Bytes choices((kCount + 7) / 8, 0x5a);
      end.send_corrections(kCount, chosen ? std::optional<ByteView>(choices) : std::nullopt);
      out.mac = end.answer();
    }
    return true;
  });
  for (const auto& outcome : run.outcomes) EXPECT_TRUE(outcome.value.has_value());
  return out;
}

TEST(Pin, BothRowsAreThoseOfTheRightDeltaWhateverTheSenderUsed) {
  for (const PartyId sender : {0u, 1u}) {
    for (const uint64_t lie : {0u, 1u, 2u, 3u}) {
      for (const bool chosen : {false, true}) {
        const Cots cots = cots_of(sender, Block(0, lie), chosen);
        ASSERT_FALSE(cots.mac.empty());
        for (size_t t = 0; t < cots.mac.size(); ++t) {
          const bool u = cots.mac[t].lsb();
          ASSERT_FALSE(cots.key[t].bit(0) || cots.key[t].bit(1)) << sender << " lie " << lie;
          ASSERT_EQ(cots.mac[t].bit(1), u && sender == 0) << sender << " lie " << lie;
          ASSERT_EQ(cots.mac[t], cots.key[t] ^ select(u, cots.delta)) << sender << " lie " << lie;
        }
      }
    }
  }
}

}  // namespace
}  // namespace flexroom::ot
