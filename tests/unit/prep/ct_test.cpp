#include <gtest/gtest.h>

#include "base/ct.h"
#include "prep/auth_bits.h"
#include "prep/field_products.h"
#include "prep/joint_input.h"
#include "prep/memory_safety.h"
#include "prep/refresh.h"
#include "prep/rows.h"
#include "prep/session_hello.h"
#include "prep/session_prep.h"
#include "support/deal_epoch.h"
#include "support/parties.h"

// No branch and no index depends on a global key, a leaf, a share or a choice in what is made of
// them. Run under valgrind:
//   valgrind --error-exitcode=1 unit_prep --gtest_filter=ConstantTime.*
// What leaves is the peer's to see and declassified on its way.

namespace flexroom::prep {
namespace {

void declassify_message(const net::MessageId&, Bytes& payload) {
  declassify(payload.data(), payload.size());
}

std::vector<EpochState> secret_epoch(size_t n, uint64_t seed) {
  std::vector<EpochState> out = support::deal_epoch(n, 4, seed);
  for (EpochState& state : out) {
    mark_secret(&state.delta.writable(), sizeof(Block));
    for (ot::PairSeeds& pair : state.pairs) {
      for (const LockedBlocks* leaves : {&pair.sender_leaves, &pair.receiver_leaves}) {
        mark_secret(leaves->data(), leaves->size() * sizeof(Block));
      }
    }
  }
  return out;
}

TEST(ConstantTime, BitsAndRandomOt) {
  for (const size_t n : {2u, 3u}) {
    const auto epoch = secret_epoch(n, 11);
    const auto run = support::run_parties(
        n,
        [&](net::Party& party) {
          session_hello(party, epoch[party.id()], kProtocol);
          BitGenerator generator(party, epoch[party.id()], 512);
          size_t made = generator.random_bits(100).size();
          std::vector<uint8_t> own(20, 1);
          mark_secret(own.data(), own.size());
          made += generator.owned_bits_of(0, own.size(), own).size();
          if (party.id() == 0) made += generator.rot_send(1, 20).seed0.size();
          if (party.id() == 1) made += generator.rot_receive(0, 20, own).seed.size();
          return made;
        },
        declassify_message);
    for (const auto& outcome : run.outcomes) EXPECT_TRUE(outcome.value.has_value());
  }
}

// The words of the coin h are public, and the only indices (engine-v2.md §2.5).
TEST(ConstantTime, MaskedTriples) {
  for (const size_t n : {2u, 3u}) {
    for (const unsigned bits : {64u, 128u}) {
      const auto epoch = secret_epoch(n, 11);
      const auto run = support::run_parties(
          n,
          [&](net::Party& party) {
            session_hello(party, epoch[party.id()], kProtocol);
            MemorySafety safety;
            SessionPrep prep(party, epoch[party.id()], safety,
                             {1, 256, bits, true, TripleProtocol::kMasked});
            return prep.and_triples(200).size();
          },
          declassify_message);
      for (const auto& outcome : run.outcomes) EXPECT_EQ(outcome.value, 200u);
    }
  }
}

TEST(ConstantTime, FieldProducts) {
  const auto epoch = secret_epoch(3, 11);
  const auto run = support::run_parties(
      3,
      [&](net::Party& party) {
        session_hello(party, epoch[party.id()], kProtocol);
        MemorySafety safety;
        SessionPrep prep(party, epoch[party.id()], safety, {5, 1024, 64, true});
        return prep.vec_triple(2).a.size();
      },
      declassify_message);
  for (const auto& outcome : run.outcomes) EXPECT_EQ(outcome.value, 2u);
}

TEST(ConstantTime, RefreshOfStoredBits) {
  for (const size_t n : {2u, 3u}) {
    const auto from = secret_epoch(n, 11), to = secret_epoch(n, 12);
    const auto run = support::run_parties(
        n,
        [&](net::Party& party) {
          session_hello(party, from[party.id()], kProtocol);
          AuthBits bits;
          {
            BitGenerator generator(party, from[party.id()], 512);
            bits = generator.random_bits(100);
          }
          bits.pin_bit1();
          return BitRefresh(party, from[party.id()], to[party.id()], nullptr, kProtocol)
              .refresh(bits)
              .size();
        },
        declassify_message);
    for (const auto& outcome : run.outcomes) EXPECT_EQ(outcome.value, 100u);
  }
}

TEST(ConstantTime, RowsStoredAndLoaded) {
  for (const size_t n : {2u, 3u}) {
    const auto epoch = secret_epoch(n, 11);
    const auto run = support::run_parties(
        n,
        [&](net::Party& party) {
          session_hello(party, epoch[party.id()], kProtocol);
          MemorySafety safety;
          SessionPrep prep(party, epoch[party.id()], safety, {5, 1024, 64, true});
          Bytes own(20, static_cast<uint8_t>(party.id()));
          mark_secret(own.data(), own.size());
          const AuthBits value =
              joint_input(party, prep, std::vector<bool>(n, true), own, 160, "test");
          const AuthBits* given[] = {&value};
          std::vector<SecretBytes> rows = store_rows(party, prep, given);
          mark_secret(rows[0].writable().data(), rows[0].size());
          const HeldRow held[] = {{160, rows[0].reveal()}};
          return load_rows(party, prep, safety, held)[0].size();
        },
        declassify_message);
    for (const auto& outcome : run.outcomes) EXPECT_EQ(outcome.value, 160u);
  }
}

TEST(ConstantTime, ConsistencyOfGlobalKeys) {
  const auto epoch = secret_epoch(3, 11);
  const auto run = support::run_parties(
      3,
      [&](net::Party& party) {
        session_hello(party, epoch[party.id()], kProtocol);
        BitGenerator generator(party, epoch[party.id()], 512);
        check_delta_consistency(party, epoch[party.id()].delta, generator.random_bits(128 * 3));
        return true;
      },
      declassify_message);
  for (const auto& outcome : run.outcomes) EXPECT_TRUE(outcome.value.has_value());
}

}  // namespace
}  // namespace flexroom::prep
