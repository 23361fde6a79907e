#include "prep/refresh.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "math/gf128.h"
#include "prep/open.h"
#include "prep/session_hello.h"
#include "support/deal_epoch.h"
#include "support/noted_safety.h"
#include "support/parties.h"
#include "support/relations.h"
#include "unit/prep/relations.h"

namespace flexroom::prep {
namespace refresh_test {

constexpr size_t kCount = 128;  // with the masks of the check two blocks and no padding
constexpr size_t kRowBytes = 32;
constexpr size_t kTrees = 32;
constexpr size_t kOld = 0, kNew = 1;  // index of an instance's messages within a batch
const Block kBit5(0, uint64_t{1} << 5);

class RefreshTest : public ::testing::TestWithParam<size_t /* num_parties */> {
 protected:
  const size_t n_ = GetParam();
  const std::vector<EpochState> from_ = support::deal_epoch(n_, 4, 11);
  const std::vector<EpochState> to_ = support::deal_epoch(n_, 4, 12);
  const std::vector<AuthBits> bits_ = dealt_bits(deltas_of(from_), 2000);

  auto refresh_slices(std::vector<size_t> sizes, net::Tamper tamper = nullptr) const {
    return support::run_parties(
        n_,
        [&](net::Party& party) {
          const PartyId i = party.id();
          BitRefresh refresh(party, from_[i], to_[i], nullptr, kProtocol);
          std::vector<AuthBits> out;
          for (const size_t size : sizes) out.push_back(refresh.refresh(bits_[i].slice(0, size)));
          return out;
        },
        std::move(tamper));
  }
  auto refresh(net::Tamper tamper = nullptr) const {
    return refresh_slices({kCount}, std::move(tamper));
  }
  std::vector<uint8_t> values(size_t size) const {
    std::vector<uint8_t> out(size);
    for (const AuthBits& view : bits_) {
      for (size_t t = 0; t < size; ++t) out[t] ^= static_cast<uint8_t>(view.share(t));
    }
    return out;
  }
  /// How `receiver` ends when `tamper` (made anew for every try) alters messages.
  template <typename MakeTamper>
  std::optional<AbortCode> code_of(PartyId receiver, MakeTamper make_tamper) const {
    return support::decided_code([&] { return refresh(make_tamper()).outcomes[receiver].code(); });
  }
};

TEST_P(RefreshTest, ValuesStayAndAreAuthenticUnderTheNewKeys) {
  const std::vector<size_t> sizes = {1, 37, kCount, 0, 1000};
  const auto run = refresh_slices(sizes);
  for (size_t which = 0; which < sizes.size(); ++which) {
    support::Views<AuthBits> views;
    for (const auto& outcome : run.outcomes) {
      ASSERT_TRUE(outcome.value.has_value()) << outcome.abort->what();
      views.push_back(&(*outcome.value)[which]);
      ASSERT_EQ(views.back()->size(), sizes[which]);
    }
    expect_relations(views, deltas_of(to_));
    EXPECT_EQ(support::secret_bits(views), values(sizes[which]));
  }
  for (PartyId i = 0; i < n_; ++i) {  // in other shares
    const Bytes before = bits_[i].slice(0, 1000).packed_shares();
    EXPECT_NE(run.outcomes[i].value->back().packed_shares(), before);
  }
}

TEST_P(RefreshTest, WhatWasMovedOpensInASessionOfTheNewEpoch) {
  const auto run = support::run_parties(n_, [&](net::Party& party) {
    const PartyId i = party.id();
    const AuthBits moved =
        BitRefresh(party, from_[i], to_[i], nullptr, kProtocol).refresh(bits_[i].slice(0, 50));
    session_hello(party, to_[i], kProtocol);
    return open_bits(party, to_[i].delta, moved, "test");
  });
  for (const auto& outcome : run.outcomes) EXPECT_EQ(outcome.value, values(50));
}

// A sharing that one party owns may be moved: what is opened has random shares of everybody, and so
// has the result (boolean-engine.md §3.5).
TEST_P(RefreshTest, OwnedBitsBecomeRandomShares) {
  std::vector<AuthBits> owned;
  for (PartyId i = 0; i < n_; ++i) {
    owned.emplace_back(i, n_, 1000);
    if (i != 0) owned[i].key[0] = bits_[i].slice(0, 1000).key[0].slice(0, 1000);
  }
  const AuthBits at_owner = bits_[0].slice(0, 1000);
  for (PartyId j = 1; j < n_; ++j) owned[0].mac[j] = at_owner.mac[j].slice(0, 1000);
  const auto run = support::run_parties(n_, [&](net::Party& party) {
    const PartyId i = party.id();
    return BitRefresh(party, from_[i], to_[i], nullptr, kProtocol).refresh(owned[i]);
  });
  const auto views = support::views_of<AuthBits>(run);
  expect_relations(views, deltas_of(to_));
  const Bytes bits = at_owner.packed_shares();
  for (size_t t = 0; t < 1000; ++t) {
    ASSERT_EQ(support::secret_bits(views)[t], bits[t / 8] >> (t % 8) & 1);
  }
  for (const auto* view : views) {
    size_t ones = 0;
    for (size_t t = 0; t < 1000; ++t) ones += view->share(t);
    EXPECT_GT(ones, 400u);
    EXPECT_LT(ones, 600u);
  }
}

/// P_0 uses another bit 5 in one instance towards party 1, answers that row check for it and, if
/// asked to, names the X and the tag that fit that instance.
class OtherBit {
 public:
  OtherBit(size_t instance, bool fit_value, const RoScope& scope)
      : instance_(instance), fit_value_(fit_value), scope_(scope) {}

  void operator()(const net::MessageId& m, Bytes& payload) {
    if (m.sender == 1 && m.receiver == 0 && m.label == "cot/check seed" && m.index == instance_) {
      math::ChiStream(load_block(payload.data())).fill(0, {&chi_row_, 1});
    }
    if (m.label == "bits/consistency/coin open" && m.receiver == (m.sender == 0 ? 1u : 0u)) {
      for (size_t b = 0; b < seed_.size(); ++b) seed_[b] ^= payload[b];
    }
    if (m.sender != 0 || m.receiver != 1) return;
    if (m.label == "cot/corrections" && m.index == instance_) {
      for (size_t v = 0; v < kTrees; ++v) payload[v * kRowBytes] ^= 1 << 5;
    }
    if (m.label == "cot/check answer" && m.index == instance_) {
      add(payload, 0, math::gf_mul(chi_row_, kBit5));
    }
    if (!fit_value_) return;
    if (m.label == "bits/consistency value") {
      const Digest coin =
          RandomOracle("coin", scope_, 0).field("bits/consistency").field(seed_).digest();
      math::ChiStream(load_block(coin.data())).fill(5, {&chi_5_, 1});
      add(payload, 0, chi_5_);
    }
    if (m.label == "bits/consistency tag") add(payload, 16 * instance_, chi_5_);
  }

 private:
  static void add(Bytes& payload, size_t at, const Block& lie) {
    store_block(payload.data() + at, load_block(payload.data() + at) ^ lie);
  }
  size_t instance_;
  bool fit_value_;
  const RoScope& scope_;
  Block chi_row_, chi_5_;
  Digest seed_{};
};

TEST_P(RefreshTest, OtherBitsInOneInstanceFail) {
  for (const size_t instance : {kOld, kNew}) {
    const RoScope unused;
    const auto code = code_of(1, [&] { return OtherBit(instance, false, unused); });
    EXPECT_EQ(code, AbortCode::kBitConsistency) << instance;
  }
}

// The X of the lie fits one instance, and for n = 2 there is no other peer: the other instance does
// not fit it.
TEST_P(RefreshTest, OtherBitsWithTheirFittingValueFailAtTheOtherInstance) {
  for (const size_t instance : {kOld, kNew}) {
    const auto code = support::decided_code([&] {
      RoScope scope;
      const auto run = support::run_parties(
          n_,
          [&](net::Party& party) {
            const PartyId i = party.id();
            BitRefresh refresh(party, from_[i], to_[i], nullptr, kProtocol);
            if (i == 0) scope = party.scope();
            return refresh.refresh(bits_[i].slice(0, kCount)).size();
          },
          OtherBit(instance, true, scope));
      return run.outcomes[1].code();
    });
    EXPECT_EQ(code, AbortCode::kBitConsistency) << instance;
  }
}

// boolean-engine.md §10.2, open mark: a row check that fails leaves its note.
TEST(RefreshOfThree, VerdictsAreNotedUntilTheyPassed) {
  const auto from = support::deal_epoch(3, 4, 11), to = support::deal_epoch(3, 4, 12);
  const auto bits = dealt_bits(deltas_of(from), kCount);
  for (const bool cheat : {false, true}) {
    std::vector<support::NotedSafety> noted(3);
    (void)support::run_parties(
        3,
        [&](net::Party& party) {
          const PartyId i = party.id();
          return BitRefresh(party, from[i], to[i], &noted[i], kProtocol).refresh(bits[i]).size();
        },
        [&](const net::MessageId& m, Bytes& payload) {
          if (cheat && m.sender == 1 && m.label == "cot/check answer") payload[0] ^= 1;
        });
    EXPECT_GE(noted[0].awaited, 1u);
    EXPECT_EQ(noted[0].awaited - noted[0].passed, cheat ? 1u : 0u);
  }
}

TEST(RefreshOfThree, DifferentNoncesToDifferentPeersFailTheEcho) {
  const auto from = support::deal_epoch(3, 4, 11), to = support::deal_epoch(3, 4, 12);
  const auto code = support::decided_code([&] {
    const auto run = support::run_parties(
        3,
        [&](net::Party& party) {
          BitRefresh(party, from[party.id()], to[party.id()], nullptr, kProtocol);
          return true;
        },
        [](const net::MessageId& m, Bytes& payload) {
          if (m.sender == 0 && m.receiver == 1 && m.label == "refresh hello") payload[40] ^= 1;
        });
    return run.outcomes[1].code();
  });
  EXPECT_EQ(code, AbortCode::kEcho);
}

// The same lie in both instances of one peer is consistent there; it gives the others other bits.
TEST(RefreshOfThree, OtherBitsToOnePeerInBothInstancesFail) {
  const auto from = support::deal_epoch(3, 4, 11), to = support::deal_epoch(3, 4, 12);
  const auto bits = dealt_bits(deltas_of(from), kCount);
  const auto code = support::decided_code([&] {
    RoScope scope;
    OtherBit old_lie(kOld, false, scope), new_lie(kNew, false, scope);
    const auto run = support::run_parties(
        3,
        [&](net::Party& party) {
          const PartyId i = party.id();
          return BitRefresh(party, from[i], to[i], nullptr, kProtocol).refresh(bits[i]).size();
        },
        [&](const net::MessageId& m, Bytes& payload) {
          old_lie(m, payload);
          new_lie(m, payload);
        });
    return run.outcomes[1].code();
  });
  EXPECT_EQ(code, AbortCode::kBitConsistency);
}

TEST_P(RefreshTest, EveryCheckStopsItsLie) {
  struct Lie {
    std::string label;
    size_t index, byte;
    AbortCode expected;
  };
  const std::vector<Lie> lies = {
      {"cot/corrections", kOld, 0, AbortCode::kRowCheck},
      {"cot/corrections", kNew, 0, AbortCode::kRowCheck},
      {"cot/check answer", kOld, 3, AbortCode::kRowCheck},
      {"cot/check answer", kNew, 3, AbortCode::kRowCheck},
      {"bits/consistency value", 0, 0, AbortCode::kBitConsistency},
      {"bits/consistency tag", 0, 1, AbortCode::kBitConsistency},   // old
      {"bits/consistency tag", 0, 17, AbortCode::kBitConsistency},  // new
      {"refresh/open", 0, 2, AbortCode::kMac},                      // a share of e
      {"refresh/open", 0, kCount / 8, AbortCode::kMac},             // its tag
      {"refresh hello", 0, 1, AbortCode::kDisagreement},
  };
  for (const Lie& lie : lies) {
    for (const PartyId liar : {PartyId{0}, static_cast<PartyId>(n_ - 1)}) {
      const PartyId victim = liar == 0 ? 1 : 0;
      size_t bytes = 0;
      const auto code = code_of(victim, [&]() -> net::Tamper {
        return [&](const net::MessageId& m, Bytes& payload) {
          if (m.sender != liar || m.receiver != victim || m.label != lie.label) return;
          bytes = payload.size();
          if (m.index == lie.index) payload[lie.byte] ^= 1;
        };
      });
      EXPECT_GT(bytes, lie.byte) << lie.label;
      EXPECT_EQ(code, lie.expected) << lie.label << " " << lie.index << "/" << lie.byte;
    }
  }
}

// Whatever single message is altered, not everybody ends with bits of the new epoch.
TEST_P(RefreshTest, NoAlteredMessageYieldsARefresh) {
  std::set<std::string> labels;
  for (const auto& m : refresh().trace) {
    labels.insert(m.label);
    const size_t nonce = m.label == "refresh hello" ? 40 : 3;
    const auto run = refresh(support::flip_bit_of(m, nonce));
    const bool all = std::all_of(run.outcomes.begin(), run.outcomes.end(),
                                 [](const auto& outcome) { return outcome.value.has_value(); });
    EXPECT_FALSE(all) << m.label << " " << m.sender << " to " << m.receiver << " " << m.index;
  }
  EXPECT_GE(labels.size(), 9u);
}

// §4.2 [V]: verifiers that share sacrificed columns and choose related seeds read choice bits. All
// peers ask with one seed in both instances; equal answers would mean shared columns.
TEST_P(RefreshTest, SacrificedColumnsAreFreshForEveryPeerAndInstance) {
  std::map<std::pair<PartyId, size_t>, Bytes> answers;
  for (unsigned tries = 0; tries < 50 && answers.size() < 2 * (n_ - 1); ++tries) {
    answers.clear();
    Bytes seed;
    refresh([&](const net::MessageId& m, Bytes& payload) {
      if (m.receiver == 0 && m.label == "cot/check seed") {
        if (seed.empty()) seed = payload;
        payload = seed;
      }
      if (m.sender == 0 && m.label == "cot/check answer") {
        answers[{m.receiver, m.index}] = Bytes(payload.begin(), payload.begin() + 16);
      }
    });
  }
  ASSERT_EQ(answers.size(), 2 * (n_ - 1));
  std::set<Bytes> different;
  for (const auto& [who, answer] : answers) different.insert(answer);
  EXPECT_EQ(different.size(), answers.size());
}

TEST_P(RefreshTest, NothingGoesOnAfterAnAbort) {
  const auto run = support::run_parties(
      n_,
      [&](net::Party& party) {
        const PartyId i = party.id();
        BitRefresh refresh(party, from_[i], to_[i], nullptr, kProtocol);
        try {
          refresh.refresh(bits_[i].slice(0, kCount));
        } catch (const ProtocolAbort&) {
          if (i != 1) throw;
        }
        return refresh.refresh(bits_[i].slice(0, kCount)).size();
      },
      support::flip_bit_of({0, 1, "cot/check answer", 0, 0}));
  EXPECT_EQ(run.outcomes[1].code(), AbortCode::kCancelled);
}

INSTANTIATE_TEST_SUITE_P(Sizes, RefreshTest, ::testing::Values(2, 3, 4));

}  // namespace refresh_test
}  // namespace flexroom::prep
