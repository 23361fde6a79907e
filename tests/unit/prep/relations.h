#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "base/prg.h"
#include "prep/epoch.h"
#include "prep/prep.h"

namespace flexroom::prep {

/// All MAC relations of a sharing, and the embedding of shares, hold (boolean-engine.md §1, §2.1).
/// `views` by party.
inline void expect_relations(const std::vector<const AuthBits*>& views,
                             const std::vector<Block>& deltas) {
  const size_t n = views.size();
  for (PartyId i = 0; i < n; ++i) {
    for (PartyId j = 0; j < n; ++j) {
      if (i == j) continue;
      for (size_t t = 0; t < views[i]->size(); ++t) {
        const Block mac = views[i]->mac[j][t];
        const Block key = views[j]->key[i][t];
        ASSERT_FALSE(key.lsb()) << "party " << i << " bit " << t;
        ASSERT_EQ(mac.lsb(), views[i]->share(t)) << "party " << i << " bit " << t;
        ASSERT_EQ(mac, key ^ select(mac.lsb(), deltas[j])) << "party " << i << " bit " << t;
        ASSERT_FALSE(key.bit(1)) << "party " << i << " bit " << t;
        ASSERT_EQ(mac.bit(1), j == 0 && mac.lsb()) << "party " << i << " bit " << t;
      }
    }
  }
}

/// Random shares of random bits, dealt.
inline std::vector<AuthBits> dealt_bits(const std::vector<Block>& deltas, size_t count,
                                        uint64_t seed = 5) {
  const size_t n = deltas.size();
  Prg prg(Block(seed, 0xb1));
  std::vector<AuthBits> out;
  for (PartyId i = 0; i < n; ++i) out.emplace_back(i, n, count);
  for (PartyId i = 0; i < n; ++i) {
    for (size_t t = 0; t < count; ++t) {
      const bool x = (prg.next_u64() & 1) != 0;
      for (PartyId j = 0; j < n; ++j) {
        if (i == j) continue;
        Block key = prg.next_block();
        key.set_bit(0, false);
        key.set_bit(1, false);
        out[j].key[i][t] = key;
        out[i].mac[j][t] = key ^ select(x, deltas[j]);
      }
    }
  }
  return out;
}

inline std::vector<Block> deltas_of(const std::vector<EpochState>& epoch) {
  std::vector<Block> out;
  for (const auto& state : epoch) out.push_back(state.delta);
  return out;
}

}  // namespace flexroom::prep
