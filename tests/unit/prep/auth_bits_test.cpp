#include "prep/auth_bits.h"

#include <gtest/gtest.h>

#include <atomic>

#include "math/gf128.h"
#include "prep/memory_safety.h"
#include "prep/session_hello.h"
#include "support/deal_epoch.h"
#include "support/noted_safety.h"
#include "support/parties.h"
#include "unit/prep/relations.h"

namespace flexroom::prep {
namespace {

constexpr size_t kBatch = 1000;

struct Made {
  std::vector<AuthBits> bits;
  Source::RotSender rot_sent;
  Source::RotReceiver rot_received, rot_chosen;
  Source::RotSender rot_sent_chosen;
};

class AuthBitsTest : public ::testing::TestWithParam<size_t /* num_parties */> {
 protected:
  const size_t n_ = GetParam();
  const std::vector<EpochState> epoch_ = support::deal_epoch(n_);

  template <typename F>
  auto run_with(F f, net::Tamper tamper = nullptr) const {
    return support::run_parties(
        n_,
        [&](net::Party& party) {
          session_hello(party, epoch_[party.id()], kProtocol);
          BitGenerator generator(party, epoch_[party.id()], kBatch);
          return f(party, generator);
        },
        tamper);
  }
  template <typename R>
  void expect_bits(const R& run, size_t which) const {
    std::vector<const AuthBits*> views;
    for (const auto& outcome : run.outcomes) {
      ASSERT_TRUE(outcome.value.has_value()) << (outcome.abort ? outcome.abort->what() : "");
      ASSERT_LT(which, outcome.value->bits.size());
      views.push_back(&outcome.value->bits[which]);
    }
    expect_relations(views, deltas_of(epoch_));
  }
};

TEST_P(AuthBitsTest, RandomOwnedAndChosenBitsSatisfyAllRelations) {
  const std::vector<uint8_t> mine = {1, 0, 1, 1, 0, 0, 0, 1, 1, 1};
  // Sizes that leave rests, empty the stock exactly and exceed the batch.
  const auto run = run_with([&](net::Party&, BitGenerator& generator) {
    Made out;
    out.bits.push_back(generator.random_bits(300));
    out.bits.push_back(generator.owned_bits(1, 50));
    out.bits.push_back(generator.random_bits(700));
    out.bits.push_back(generator.owned_bits_of(0, mine.size(), mine));
    out.bits.push_back(generator.random_bits(2500));
    out.bits.push_back(generator.random_bits(0));
    return out;
  });
  for (size_t which = 0; which < 6; ++which) expect_bits(run, which);
  for (PartyId i = 0; i < n_; ++i) {
    const auto& bits = run.outcomes[i].value->bits;
    EXPECT_EQ(bits[4].size(), 2500u);
    size_t ones = 0;
    for (size_t t = 0; t < 2500; ++t) ones += bits[4].share(t);
    EXPECT_GT(ones, 1000u);
    EXPECT_LT(ones, 1500u);
    for (size_t t = 0; t < mine.size(); ++t) {
      EXPECT_EQ(bits[3].share(t), i == 0 && mine[t] != 0);
    }
    if (i != 1) {
      EXPECT_EQ(bits[1].packed_shares(), Bytes(7));
    }
  }
}

// Parts of a batch are its memory; a request that the rest of one batch cannot serve goes to the
// next, and what is left over serves smaller ones.
TEST_P(AuthBitsTest, LargePartsOfABatchAreNotCopied) {
  const auto run = run_with([&](net::Party& party, BitGenerator&) {
    BitGenerator generator(party, epoch_[party.id()], 30'000, 1);
    Made out;
    for (const size_t count : {10'000, 15'000, 20'000, 5'000, 10'000, 700}) {
      out.bits.push_back(generator.random_bits(count));
    }
    const auto follows = [&](const AuthBits& a, const AuthBits& b) {
      const PartyId j = a.first_peer();
      return a.mac[j].data() + a.size() == b.mac[j].data() &&
             a.key[j].data() + a.size() == b.key[j].data();
    };
    EXPECT_TRUE(follows(out.bits[0], out.bits[1]));
    EXPECT_TRUE(follows(out.bits[1], out.bits[3]));
    EXPECT_TRUE(follows(out.bits[2], out.bits[4]));
    return out;
  });
  for (size_t which = 0; which < 6; ++which) expect_bits(run, which);
}

// What was begun has left before it is asked for, and nothing of it leaves again.
TEST_P(AuthBitsTest, BitsThatWereBegunAreThoseHandedOutNext) {
  const auto run = run_with([&](net::Party& party, BitGenerator& generator) {
    const auto corrections = [&] {
      return party.traffic().bytes_sent_by_label.contains("cot/corrections")
                 ? party.traffic().bytes_sent_by_label.at("cot/corrections")
                 : 0;
    };
    Made out;
    out.bits.push_back(generator.random_bits(400));  // 600 are left
    const uint64_t before = corrections();
    generator.begin_random_bits(600);  // they are there
    EXPECT_EQ(corrections(), before);
    out.bits.push_back(generator.random_bits(600));
    generator.begin_random_bits(900);
    const uint64_t begun = corrections();
    EXPECT_GT(begun, before);
    out.bits.push_back(generator.random_bits(900));
    EXPECT_EQ(corrections(), begun);
    out.bits.push_back(generator.owned_bits(0, 2000));
    generator.begin_random_bits(5000);  // larger than a batch
    const uint64_t large = corrections();
    EXPECT_GT(large, begun);
    out.bits.push_back(generator.random_bits(5000));
    EXPECT_EQ(corrections(), large);
    // Step by step, between messages of another protocol.
    generator.begin_random_bits(700);
    for (size_t k = 1; k < BitGenerator::kStepsAhead; ++k) {
      party.broadcast("other", Bytes(1));
      generator.continue_random_bits();
      for (const PartyId j : party.peers()) (void)party.receive_broadcast(j, "other", 1);
    }
    generator.continue_random_bits();
    generator.continue_random_bits();  // nothing is left to do
    const uint64_t stepped = corrections();
    out.bits.push_back(generator.random_bits(700));
    EXPECT_EQ(corrections(), stepped);
    return out;
  });
  for (size_t which = 0; which < 6; ++which) expect_bits(run, which);
}

TEST_P(AuthBitsTest, RandomOtGivesTheChosenSeed) {
  const std::vector<uint8_t> choices = {1, 1, 0, 1, 0, 0, 1, 0, 1, 1, 0};
  const auto run = run_with([&](net::Party& party, BitGenerator& generator) {
    Made out;
    if (party.id() == 0) {
      out.rot_sent = generator.rot_send(1, 100);
      out.rot_sent_chosen = generator.rot_send(1, choices.size());
    } else if (party.id() == 1) {
      out.rot_received = generator.rot_receive(0, 100, {});
      out.rot_chosen = generator.rot_receive(0, choices.size(), choices);
    }
    return out;
  });
  const Made& sender = *run.outcomes[0].value;
  const Made& receiver = *run.outcomes[1].value;
  for (size_t t = 0; t < 100; ++t) {
    const bool c = receiver.rot_received.choice[t] != 0;
    EXPECT_EQ(receiver.rot_received.seed[t],
              c ? sender.rot_sent.seed1[t] : sender.rot_sent.seed0[t]);
    EXPECT_NE(sender.rot_sent.seed0[t], sender.rot_sent.seed1[t]);
  }
  EXPECT_EQ(receiver.rot_chosen.choice, choices);
  for (size_t t = 0; t < choices.size(); ++t) {
    EXPECT_EQ(receiver.rot_chosen.seed[t],
              choices[t] != 0 ? sender.rot_sent_chosen.seed1[t] : sender.rot_sent_chosen.seed0[t]);
  }
}

// One flipped bit in any message of a session: the run ends, or only random choices of the
// tampering party itself changed. No honest party keeps a bit that violates a relation with
// another honest party's data unless somebody aborted.
TEST_P(AuthBitsTest, ChecksNameTheirAbort) {
  const auto make = [](net::Party&, BitGenerator& generator) {
    return generator.random_bits(500).size();
  };
  for (const auto& m : run_with(make).trace) {
    if (m.sender != 0) continue;
    AbortCode expected = AbortCode::kRowCheck;
    if (m.label == "cot/check answer") {
    } else if (m.label == "bits/consistency value" || m.label == "bits/consistency tag") {
      expected = AbortCode::kBitConsistency;
    } else if (m.label.find("coin open") != std::string::npos) {
      expected = AbortCode::kCoin;
    } else if (m.label.find("echo") != std::string::npos) {
      expected = AbortCode::kEcho;
    } else {
      continue;
    }
    const auto code = support::decided_code(
        [&] { return run_with(make, support::flip_bit_of(m)).outcomes[m.receiver].code(); });
    EXPECT_EQ(code, expected) << m.label;
  }
}

// The row check in rooms of every size: a correction altered towards one peer shows there, unless
// alpha_v is 0, where that peer never uses it (probability 2^-k); no other bit is made of it.
TEST_P(AuthBitsTest, AlteredCorrectionsFailTheRowCheckOfThatPeer) {
  const auto make = [](net::Party&, BitGenerator& generator) {
    return generator.random_bits(500).size();
  };
  const auto liar = static_cast<PartyId>(n_ - 1);
  const size_t skipped = n_ == 2 ? 1 : 0;  // chosen bits correct tree 0 too
  for (const size_t v : {size_t{1}, size_t{9}, size_t{31}}) {
    const auto run = run_with(make, [&](const net::MessageId& m, Bytes& payload) {
      if (m.sender != liar || m.receiver != 0 || m.label != "cot/corrections") return;
      const size_t columns = payload.size() / (32 - skipped) / 16 - 1;  // but the sacrificed one
      payload[16 * (v - skipped) * columns + 3] ^= 8;
    });
    size_t alpha = 0;
    for (unsigned b = 0; b < 4; ++b) {
      alpha |= size_t{epoch_[0].delta.bit(static_cast<unsigned>(4 * v + b))} << b;
    }
    EXPECT_EQ(run.outcomes[0].code(),
              alpha != 0 ? std::optional(AbortCode::kRowCheck) : std::nullopt)
        << v;
  }
}

TEST_P(AuthBitsTest, SessionsNeverRepeatBits) {
  const auto make = [](net::Party&, BitGenerator& generator) {
    Made out;
    out.bits.push_back(generator.random_bits(64));
    return out;
  };
  const auto first = run_with(make);
  const auto second = support::run_parties(
      n_,
      [&](net::Party& party) {
        session_hello(party, epoch_[party.id()], kProtocol);
        BitGenerator generator(party, epoch_[party.id()], kBatch);
        return make(party, generator);
      },
      nullptr, std::chrono::seconds(60), 2);  // other nonces
  EXPECT_NE(first.outcomes[0].value->bits[0].key[1][0],
            second.outcomes[0].value->bits[0].key[1][0]);
}

// Tweaks of H go on from call to call: two OTs at once are the same as one after the other. (Equal
// seeds of the parties give equal COTs.)
TEST_P(AuthBitsTest, RandomOtTweaksGoOnFromCallToCall) {
  const auto seeds_of = [&](const std::vector<size_t>& counts) {
    const auto run = run_with([&](net::Party& party, BitGenerator& generator) {
      std::vector<Block> seeds;
      for (const size_t count : counts) {
        if (party.id() == 0) {
          const auto sent = generator.rot_send(1, count);
          seeds.insert(seeds.end(), sent.seed0.begin(), sent.seed0.end());
        } else if (party.id() == 1) {
          generator.rot_receive(0, count, {});
        }
      }
      return seeds;
    });
    return *run.outcomes[0].value;
  };
  EXPECT_EQ(seeds_of({2, 3}), seeds_of({5}));
}

// boolean-engine.md §2.3, §4.2: lanes share neither streams nor the key of H, for each of them
// counts its tweaks from 0.
TEST_P(AuthBitsTest, LanesShareNeitherBitsNorHashKeys) {
  const auto run = support::run_parties(n_, [&](net::Party& party) {
    session_hello(party, epoch_[party.id()], kProtocol);
    BitGenerator first(party, epoch_[party.id()], kBatch, 0);
    BitGenerator second(party, epoch_[party.id()], kBatch, 1);
    EXPECT_NE(first.hash().s(), second.hash().s());
    const AuthBits a = first.random_bits(64), b = second.random_bits(64);
    const PartyId peer = a.first_peer();
    EXPECT_NE(a.mac[peer][0], b.mac[peer][0]);
    EXPECT_NE(a.packed_shares(), b.packed_shares());
    return true;
  });
  for (const auto& outcome : run.outcomes) EXPECT_TRUE(outcome.value.has_value());
}

// A second generator of one session and lane would hand out the same bits again.
TEST(BitGeneratorDeathTest, ALaneHasOneGenerator) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  const auto twice = [] {
    const auto epoch = support::deal_epoch(2);
    support::run_parties(2, [&](net::Party& party) {
      session_hello(party, epoch[party.id()], kProtocol);
      const BitGenerator first(party, epoch[party.id()], kBatch, 3);
      const BitGenerator second(party, epoch[party.id()], kBatch, 3);
      return true;
    });
  };
  EXPECT_DEATH(twice(), "first_of_its_session_and_lane");
}

INSTANTIATE_TEST_SUITE_P(Sizes, AuthBitsTest, ::testing::Values(2, 3, 4));

// P_0 uses another bit 5 towards P_2 and answers P_2's row check for that vector: 4.2 alone is
// satisfied, 4.3 is not.
TEST(BitConsistency, DifferentBitsToDifferentPeersFail) {
  const auto epoch = support::deal_epoch(3);
  Block chi_0;
  const auto run = support::run_parties(
      3,
      [&](net::Party& party) {
        session_hello(party, epoch[party.id()], kProtocol);
        BitGenerator generator(party, epoch[party.id()], kBatch);
        return generator.owned_bits(0, 100).size();
      },
      [&](const net::MessageId& m, Bytes& payload) {
        if (m.sender == 2 && m.label == "cot/check seed") {
          math::ChiStream(load_block(payload.data())).fill(0, {&chi_0, 1});
        }
        if (m.sender != 0 || m.receiver != 2) return;
        if (m.label == "cot/corrections") {
          const size_t row_bytes = 16 * ((kBatch + 128 + 127) / 128);
          for (size_t v = 0; v < 32; ++v) payload[v * row_bytes] ^= 1 << 5;
        }
        if (m.label == "cot/check answer") {
          store_block(payload.data(),
                      load_block(payload.data()) ^ math::gf_mul(chi_0, Block(0, uint64_t{1} << 5)));
        }
      });
  EXPECT_EQ(run.outcomes[2].code(), AbortCode::kBitConsistency);
  EXPECT_EQ(run.outcomes[2].abort->peer(), PartyId{0});
}

// boolean-engine.md §10.2, open mark: noted before the row check and §4.3, until both passed.
TEST(BitConsistency, TheVerdictIsNotedUntilItPassed) {
  for (const size_t n : {2u, 3u}) {
    const auto epoch = support::deal_epoch(n);
    for (const bool cheat : {false, true}) {
      std::vector<support::NotedSafety> noted(n);
      (void)support::run_parties(
          n,
          [&](net::Party& party) {
            session_hello(party, epoch[party.id()], kProtocol);
            BitGenerator generator(party, epoch[party.id()], kBatch, 0, &noted[party.id()]);
            return generator.random_bits(100).size();
          },
          [&](const net::MessageId& m, Bytes& payload) {
            if (cheat && m.sender == 1 && m.label == "cot/check answer") payload[0] ^= 1;
          });
      EXPECT_GE(noted[0].awaited, 1u);
      EXPECT_EQ(noted[0].awaited - noted[0].passed, cheat ? 1u : 0u);
    }
  }
}

// The same, and P_0 also tells P_2 the X and the tag that fit P_2's bits: every tag is right, and
// only the echo sees two values of X.
TEST(BitConsistency, TwoFittingValuesFailTheEcho) {
  const auto epoch = support::deal_epoch(3);
  const auto code = support::decided_code([&] {
    Block chi_0, chi_5;
    Digest seed{};
    RoScope scope;
    size_t lies = 0;
    const auto run = support::run_parties(
        3,
        [&](net::Party& party) {
          session_hello(party, epoch[party.id()], kProtocol);
          if (party.id() == 0) scope = party.scope();
          BitGenerator generator(party, epoch[party.id()], kBatch);
          return generator.owned_bits(0, 100).size();
        },
        [&](const net::MessageId& m, Bytes& payload) {
          if (m.sender == 2 && m.label == "cot/check seed") {
            math::ChiStream(load_block(payload.data())).fill(0, {&chi_0, 1});
          }
          if (m.label == "bits/consistency/coin open" && m.receiver == (m.sender == 0 ? 1u : 0u)) {
            for (size_t b = 0; b < seed.size(); ++b) seed[b] ^= payload[b];
          }
          if (m.sender != 0 || m.receiver != 2) return;
          const auto add = [&](const Block& lie) {
            store_block(payload.data(), load_block(payload.data()) ^ lie);
            ++lies;
          };
          if (m.label == "cot/corrections") {
            const size_t row_bytes = 16 * ((kBatch + 128 + 127) / 128);
            for (size_t v = 0; v < 32; ++v) payload[v * row_bytes] ^= 1 << 5;
          }
          if (m.label == "cot/check answer") {
            add(math::gf_mul(chi_0, Block(0, uint64_t{1} << 5)));
          }
          if (m.label == "bits/consistency value") {
            const Digest coin =
                RandomOracle("coin", scope, 0).field("bits/consistency").field(seed).digest();
            math::ChiStream(load_block(coin.data())).fill(5, {&chi_5, 1});
            add(chi_5);
          }
          if (m.label == "bits/consistency tag") add(chi_5);  // bit0 of its mac
        });
    EXPECT_EQ(lies, 3u);
    for (const auto& outcome : run.outcomes) EXPECT_FALSE(outcome.value.has_value());
    return run.outcomes[2].code();
  });
  EXPECT_EQ(code, AbortCode::kEcho);
}

// §4.3: what is broadcast of the bits is masked by 128 that are never used: without them it is 128
// equations on bits that go on to be used.
TEST(BitConsistency, WhatIsBroadcastIsMasked) {
  const auto epoch = support::deal_epoch(3);
  RoScope scope;
  Digest seed{};
  Block said;
  std::vector<Block> tags;
  const auto run = support::run_parties(
      3,
      [&](net::Party& party) {
        session_hello(party, epoch[party.id()], kProtocol);
        if (party.id() == 0) scope = party.scope();
        BitGenerator generator(party, epoch[party.id()], kBatch);
        return generator.owned_bits(0, kBatch);
      },
      [&](const net::MessageId& m, Bytes& payload) {
        if (m.label == "bits/consistency/coin open" && m.receiver == (m.sender == 0 ? 1u : 0u)) {
          for (size_t b = 0; b < seed.size(); ++b) seed[b] ^= payload[b];
        }
        if (m.sender != 0) return;
        if (m.label == "bits/consistency value") said = load_block(payload.data());
        if (m.label == "bits/consistency tag" && m.receiver == 1) {
          tags.push_back(load_block(payload.data()));
        }
      });
  ASSERT_TRUE(run.outcomes[0].value.has_value());
  const AuthBits& bits = *run.outcomes[0].value;
  const math::ChiStream chi(load_block(
      RandomOracle("coin", scope, 0).field("bits/consistency").field(seed).digest().data()));
  EXPECT_NE(said, chi.combine_lsbs(0, bits.mac[1].span()));
  math::GfSum sum;
  chi.accumulate(sum, 0, bits.mac[1].span());
  ASSERT_EQ(tags.size(), 1u);
  EXPECT_NE(tags[0], sum.value());
}

TEST(BitConsistency, DifferentChoicesToDifferentPeersFailTheEcho) {
  const auto epoch = support::deal_epoch(3);
  const std::vector<uint8_t> bits(20, 1);
  for (const PartyId honest : {1u, 2u}) {
    const auto code = support::decided_code([&] {
      const auto run = support::run_parties(
          3,
          [&](net::Party& party) {
            session_hello(party, epoch[party.id()], kProtocol);
            BitGenerator generator(party, epoch[party.id()], kBatch);
            return generator.owned_bits_of(0, 20, bits).size();
          },
          [](const net::MessageId& m, Bytes& payload) {
            if (m.label == "bits/choices" && m.receiver == 2) payload[0] ^= 1;
          });
      for (const auto& outcome : run.outcomes) EXPECT_FALSE(outcome.value.has_value());
      return run.outcomes[honest].code();
    });
    EXPECT_EQ(code, AbortCode::kEcho);
  }
}

// The last to commit repeats P_0's commitment and would open the same seed.
TEST(Coin, CopiedCommitmentFails) {
  Bytes copied;
  std::atomic<bool> have_it = false;
  const auto run = support::run_parties(
      3,
      [&](net::Party& party) {
        while (party.id() == 2 && !have_it) std::this_thread::yield();
        return party.coin("test");
      },
      [&](const net::MessageId& m, Bytes& payload) {
        if (m.label != "test/coin commit") return;
        if (m.sender == 0) {
          copied = payload;
          have_it = true;
        } else if (m.sender == 2) {
          payload = copied;
        }
      });
  for (const PartyId honest : {0, 1}) {
    EXPECT_EQ(run.outcomes[honest].code(), AbortCode::kCoin);
    EXPECT_EQ(run.outcomes[honest].abort->peer(), PartyId{2});
  }
}

}  // namespace
}  // namespace flexroom::prep
