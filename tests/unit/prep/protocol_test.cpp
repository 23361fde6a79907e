#include "prep/protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "prep/refresh.h"
#include "prep/session_hello.h"
#include "support/deal_epoch.h"
#include "support/parties.h"
#include "unit/prep/relations.h"

namespace flexroom::prep {
namespace {

using ::testing::HasSubstr;

/// What party 0 says when party 1's first message of that label is altered.
template <typename Protocol>
ProtocolAbort abort_of(std::string_view label, Protocol protocol,
                       const std::function<void(Bytes&)>& alter) {
  const auto run = support::run_parties(2, protocol, [&](const net::MessageId& m, Bytes& payload) {
    if (m.sender == 1 && m.label == label) alter(payload);
  });
  EXPECT_TRUE(run.outcomes[0].abort.has_value()) << label;
  return run.outcomes[0].abort.value_or(ProtocolAbort(AbortCode::kCancelled, "", ""));
}

void expect_refusal(const ProtocolAbort& abort, const std::string& theirs) {
  EXPECT_EQ(abort.code(), AbortCode::kDisagreement);
  EXPECT_EQ(abort.abort_class(), AbortClass::kRefuse);  // nothing is burned
  EXPECT_EQ(abort.peer(), PartyId{1});
  EXPECT_THAT(abort.what(), HasSubstr("protocol " + theirs + ","));
  EXPECT_THAT(abort.what(), HasSubstr("protocol " + std::to_string(kProtocol) + ";"));
}

// A member of another protocol is refused by number before any tree, stream or MAC of it is looked
// at: in sessions, in refreshes and in set-ups.
TEST(ProtocolNumber, AnotherOneIsRefusedByNameEverywhere) {
  const auto from = support::deal_epoch(2, 4, 11), to = support::deal_epoch(2, 4, 12);
  EpochParameters parameters;
  parameters.identities = {to_bytes("a"), to_bytes("b")};
  const auto session = [&](net::Party& party) {
    session_hello(party, from[party.id()], kProtocol);
    return true;
  };
  const auto refresh = [&](net::Party& party) {
    return BitRefresh(party, from[party.id()], to[party.id()], nullptr, kProtocol)
        .refresh(AuthBits())
        .size();
  };
  const auto setup = [&](net::Party& party) { return setup_epoch(party, parameters).num_parties; };
  struct Way {
    std::string_view label;
    size_t at;  // of the nonce
    std::function<size_t(net::Party&)> protocol;
  };
  for (const Way& way : {Way{"session hello", 32, session}, Way{"refresh hello", 32, refresh},
                         Way{"setup/nonces", 0, setup}}) {
    expect_refusal(abort_of(way.label, way.protocol,
                            [&](Bytes& payload) {
                              for (size_t b = 0; b < 32; ++b) payload[way.at + b] = 0x77;
                            }),
                   "1");  // 32 random bytes, as protocol 1 sends them
    expect_refusal(
        abort_of(way.label, way.protocol, [&](Bytes& payload) { payload[way.at + 7] += 1; }),
        std::to_string(kProtocol + 1));
  }
}

// A room of masked triples speaks 8 (boolean-engine.md §8.3): a member whose room.toml says
// otherwise, or whose program is of before, is refused by number, in whatever it begins.
TEST(ProtocolNumber, RoomsOfOtherTriplesAreRefusedByNumber) {
  const auto from = support::deal_epoch(2, 4, 11), to = support::deal_epoch(2, 4, 12);
  uint16_t theirs = 0;
  const auto speaks = [&](PartyId party) {
    return party == 0 ? protocol_number(TripleProtocol::kMasked) : theirs;
  };
  const std::vector<std::function<size_t(net::Party&)>> ways = {
      [&](net::Party& party) {
        session_hello(party, from[party.id()], speaks(party.id()));
        return size_t{1};
      },
      [&](net::Party& party) {
        return BitRefresh(party, from[party.id()], to[party.id()], nullptr, speaks(party.id()))
            .refresh(AuthBits())
            .size();
      },
      [&](net::Party& party) {
        EpochParameters parameters;
        parameters.identities = {to_bytes("a"), to_bytes("b")};
        parameters.protocol = speaks(party.id());
        return setup_epoch(party, parameters).num_parties;
      }};
  for (uint16_t number = kFirstBucketProtocol; number < kMaskedProtocol; ++number) {
    theirs = number;
    for (const auto& way : ways) {
      const auto run = support::run_parties(2, way);
      ASSERT_TRUE(run.outcomes[0].abort.has_value());
      EXPECT_EQ(run.outcomes[0].abort->abort_class(), AbortClass::kRefuse);  // nothing is burned
      EXPECT_THAT(run.outcomes[0].abort->what(),
                  HasSubstr("protocol " + std::to_string(number) + ", this one protocol 9;"));
    }
  }
}

// Members of a room of masked triples find each other.
TEST(ProtocolNumber, ARoomOfMaskedTriplesMeets) {
  const auto epoch = support::deal_epoch(2);
  const auto run = support::run_parties(2, [&](net::Party& party) {
    session_hello(party, epoch[party.id()], kMaskedProtocol);
    return party.scope().sid;
  });
  EXPECT_EQ(*run.outcomes[0].value, *run.outcomes[1].value);
}

// The hello keeps the length that protocol 1 expects, so that its members too hear a refusal and
// not a malformed message.
TEST(ProtocolNumber, TheHelloKeepsItsLength) {
  const auto epoch = support::deal_epoch(2);
  const auto run = support::run_parties(2, [&](net::Party& party) {
    session_hello(party, epoch[party.id()], kProtocol);
    return party.scope().sid;
  });
  EXPECT_EQ(run.trace.front().bytes, 64u);
  EXPECT_EQ(*run.outcomes[0].value, *run.outcomes[1].value);
}

// --- Pinned bits (§2.1, §8.1) -------------------------------------------------------------------

TEST(PinnedBits, EveryOneOfThemIsLookedAt) {
  const std::vector<Block> deltas = deltas_of(support::deal_epoch(3));
  const std::vector<AuthBits> dealt = dealt_bits(deltas, 20);
  for (PartyId i = 0; i < 3; ++i) {
    EXPECT_TRUE(dealt[i].pinned(0, 20));
    for (PartyId j = 0; j < 3; ++j) {
      if (j == i) continue;
      for (const uint64_t bit : {1u, 2u}) {
        for (const auto array : {&AuthBits::mac, &AuthBits::key}) {
          AuthBits bits = dealt[i].clone();
          (bits.*array)[j][7].lo ^= bit;
          EXPECT_FALSE(bits.pinned(0, 20)) << i << " " << j << " " << bit;
          EXPECT_FALSE(bits.pinned(7, 1));
          EXPECT_TRUE(bits.pinned(8, 12));
        }
      }
    }
  }
}

// Shares as protocol 1 left them under the right Delta: bit 1 of K is random, that of M follows.
TEST(PinnedBits, PinningKeepsTheSharesAndTheRelations) {
  const std::vector<Block> deltas = deltas_of(support::deal_epoch(3));
  std::vector<AuthBits> dealt = dealt_bits(deltas, 20);
  const std::vector<AuthBits> expected = dealt_bits(deltas, 20);
  for (PartyId i = 0; i < 3; ++i) {
    for (PartyId j = 0; j < 3; ++j) {
      if (j == i) continue;
      for (size_t t = 0; t < 20; t += 3) {
        dealt[i].mac[j][t].lo ^= 2;
        dealt[j].key[i][t].lo ^= 2;
      }
    }
  }
  std::vector<const AuthBits*> views;
  for (PartyId i = 0; i < 3; ++i) {
    EXPECT_FALSE(dealt[i].pinned(0, 20));
    dealt[i].pin_bit1();
    EXPECT_TRUE(dealt[i].pinned(0, 20));
    EXPECT_EQ(dealt[i].packed_shares(), expected[i].packed_shares());
    views.push_back(&dealt[i]);
  }
  expect_relations(views, deltas);
}

}  // namespace
}  // namespace flexroom::prep
