#include <gtest/gtest.h>

#include "base/ct.h"
#include "ot/pair_setup.h"
#include "support/parties.h"

// No branch and no index depends on a global key in the set-up with a peer. Run under valgrind:
//   valgrind --error-exitcode=1 unit_ot --gtest_filter=ConstantTime.*
// What leaves is the peer's to see and declassified on its way.

namespace flexroom::ot {
namespace {

TEST(ConstantTime, SetUpOfAPair) {
  for (const unsigned k : {2u, 4u}) {
    const auto run = support::run_parties(
        2,
        [&](net::Party& party) {
          LockedBlock delta(party.prg().next_block());
          delta.set_bit(0, true);
          delta.set_bit(1, party.id() == 0);
          mark_secret(&delta.writable(), sizeof(Block));
          return setup_pairs(party, delta, k).size();
        },
        [](const net::MessageId&, Bytes& payload) { declassify(payload.data(), payload.size()); });
    for (const auto& outcome : run.outcomes) EXPECT_TRUE(outcome.value.has_value());
  }
}

}  // namespace
}  // namespace flexroom::ot
