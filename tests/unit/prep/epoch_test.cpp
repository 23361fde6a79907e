#include "prep/epoch.h"

#include <gtest/gtest.h>

#include <mutex>
#include <set>
#include <thread>

#include "base/error.h"
#include "math/gf128.h"
#include "prep/auth_bits.h"
#include "prep/session_hello.h"
#include "support/deal_epoch.h"
#include "support/noted_safety.h"
#include "support/parties.h"
#include "unit/prep/relations.h"

namespace flexroom::prep {
namespace {

EpochParameters parameters(size_t n, unsigned k = 4) {
  EpochParameters out;
  out.subfield_bits = k;
  for (size_t i = 0; i < n; ++i) out.identities.push_back(to_bytes("member " + std::to_string(i)));
  return out;
}

class EpochTest : public ::testing::TestWithParam<size_t> {
 protected:
  const size_t n_ = GetParam();
  auto run_setup(net::Tamper tamper = nullptr) const {
    return support::run_parties(
        n_, [&](net::Party& party) { return setup_epoch(party, parameters(n_)); }, tamper);
  }
};

// boolean-engine.md §10.2, open mark: a lie that fails a check of the set-up leaves its note.
TEST_P(EpochTest, VerdictsOfTheSetUpAreNotedUntilTheyPassed) {
  std::vector<std::string> lies = {"", "setup/trees"};
  if (n_ > 2) lies.emplace_back("setup/delta consistency open M");
  for (const std::string& lie : lies) {
    std::vector<support::NotedSafety> noted(n_);
    (void)support::run_parties(
        n_,
        [&](net::Party& party) {
          return setup_epoch(party, parameters(n_), &noted[party.id()]).num_parties;
        },
        [&](const net::MessageId& m, Bytes& payload) {
          if (m.sender == 1 && m.label == lie) payload.back() ^= 1;
        });
    EXPECT_GE(noted[0].awaited, 1u) << lie;
    EXPECT_EQ(noted[0].awaited - noted[0].passed, lie.empty() ? 0u : 1u) << lie;
  }
}

TEST_P(EpochTest, SetUpGivesAnEpochThatMakesBitsAlsoAfterStorage) {
  const auto run = run_setup();
  std::vector<EpochState> loaded;
  for (PartyId i = 0; i < n_; ++i) {
    const EpochState& state = *run.outcomes[i].value;
    EXPECT_EQ(state.eid, run.outcomes[0].value->eid);
    EXPECT_TRUE(state.delta.bit(0));
    EXPECT_EQ(state.delta.bit(1), i == 0);
    loaded.push_back(EpochState::deserialise(state.serialise().reveal()));
    EXPECT_EQ(Block(loaded[i].delta), Block(state.delta));
    for (PartyId j = 0; j < n_; ++j) {
      if (n_ > 2 && i != j) {
        EXPECT_EQ(state.zero_keys[j], run.outcomes[j].value->zero_keys[i]);
      }
    }
  }
  const auto session = support::run_parties(n_, [&](net::Party& party) {
    session_hello(party, loaded[party.id()], kProtocol);
    BitGenerator generator(party, loaded[party.id()], 256);
    return generator.random_bits(200);
  });
  std::vector<const AuthBits*> views;
  for (const auto& outcome : session.outcomes) views.push_back(&*outcome.value);
  expect_relations(views, deltas_of(loaded));
}

// Whatever single message of party 0's set-up is altered, somebody aborts. (A wrong zero-sharing
// key of n > 2 shows in the Delta check.)
TEST_P(EpochTest, NoAlteredMessageYieldsAnEpoch) {
  std::set<std::string> seen;
  for (const auto& m : run_setup().trace) {
    if (m.sender != 0 || !seen.insert(m.label).second) continue;
    const size_t at = m.label == "setup/nonces" ? 20 : 3;  // behind the protocol number
    const auto run = run_setup(support::flip_bit_of(m, at));
    bool all = true;
    for (const auto& outcome : run.outcomes) all = all && outcome.value.has_value();
    EXPECT_FALSE(all) << m.label;
    if (m.label == "setup/transcripts") {
      EXPECT_EQ(run.outcomes[m.receiver].code(), AbortCode::kEcho);
    }
  }
  EXPECT_GE(seen.size(), 5u);
}

INSTANTIATE_TEST_SUITE_P(Sizes, EpochTest, ::testing::Values(2, 3));

// With one peer there is nothing to be different from.
using EpochEchoTest = EpochTest;

// Two nonces would be two identifiers of the set-up; that no OT fits then is not the check.
TEST_P(EpochEchoTest, DifferentNoncesToDifferentPeersFailTheEcho) {
  const auto code = support::decided_code([&] {
    return run_setup(support::flip_bit_of({0, 1, "setup/nonces"}, 20)).outcomes[1].code();
  });
  EXPECT_EQ(code, AbortCode::kEcho);
}

INSTANTIATE_TEST_SUITE_P(Sizes, EpochEchoTest, ::testing::Values(3));

TEST(Epoch, DamagedStateIsRefused) {
  const auto epoch = support::deal_epoch(3);
  const SecretBytes good = epoch[1].serialise();
  EXPECT_EQ(EpochState::deserialise(good.reveal()).self, PartyId{1});
  const ByteView bytes = good.reveal();
  for (const size_t length : {size_t{0}, size_t{10}, bytes.size() - 1}) {
    EXPECT_THROW(EpochState::deserialise(bytes.first(length)), InputError);
  }
  Bytes longer(bytes.begin(), bytes.end());
  longer.push_back(0);
  EXPECT_THROW(EpochState::deserialise(longer), InputError);
  Bytes other(bytes.begin(), bytes.end());
  other[5] ^= 1;
  EXPECT_THROW(EpochState::deserialise(other), InputError);
}

TEST(SessionHello, OtherEpochIsARefusalNotACheat) {
  const auto epoch = support::deal_epoch(2, 4, 11);
  const auto other = support::deal_epoch(2, 4, 12);
  const auto run = support::run_parties(2, [&](net::Party& party) {
    session_hello(party, party.id() == 0 ? epoch[0] : other[1], kProtocol);
    return true;
  });
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kDisagreement);
  EXPECT_EQ(run.outcomes[1].code(), AbortCode::kDisagreement);
  EXPECT_EQ(run.outcomes[0].abort->abort_class(), AbortClass::kRefuse);
}

TEST(SessionHello, DifferentNoncesToDifferentPeersFailTheEcho) {
  const auto epoch = support::deal_epoch(3);
  const auto run = support::run_parties(
      3,
      [&](net::Party& party) {
        session_hello(party, epoch[party.id()], kProtocol);
        return true;
      },
      [](const net::MessageId& m, Bytes& payload) {
        if (m.sender == 0 && m.receiver == 1 && m.label == "session hello") payload[40] ^= 1;
      });
  EXPECT_EQ(run.outcomes[1].code(), AbortCode::kEcho);
}

class DeltaConsistencyTest : public ::testing::TestWithParam<size_t> {
 protected:
  const size_t n_ = GetParam();
  const std::vector<EpochState> epoch_ = support::deal_epoch(n_);
  std::vector<AuthBits> bits_ = dealt_bits(deltas_of(epoch_), 128 * n_);

  auto run_check(net::Tamper tamper = nullptr) const {
    return support::run_parties(
        n_,
        [&](net::Party& party) {
          check_delta_consistency(party, epoch_[party.id()].delta, bits_[party.id()]);
          return true;
        },
        tamper);
  }
};

TEST_P(DeltaConsistencyTest, OneKeyPasses) {
  for (const auto& outcome : run_check().outcomes) EXPECT_TRUE(outcome.value.has_value());
}

// P_0 used another key towards P_2: P_0 cannot open a T_0 that fits.
TEST_P(DeltaConsistencyTest, AnotherKeyTowardsOnePeerFails) {
  const Block difference(0x1234, 0x10);
  for (size_t t = 0; t < bits_[2].size(); ++t) {
    Block& mac = bits_[2].mac[0][t];
    mac ^= select(mac.lsb(), difference);
  }
  std::set<std::string> sent_by_0;
  const auto run = run_check();
  EXPECT_EQ(run.outcomes[0].code(), AbortCode::kDeltaConsistency);
  for (const auto& outcome : run.outcomes) EXPECT_FALSE(outcome.value.has_value());
  // T_0 must not leave on a mismatch: it would show a function of Delta_0.
  for (const auto& m : run.trace) {
    EXPECT_FALSE(m.sender == 0 && m.label == "setup/delta consistency open T");
  }
}

TEST_P(DeltaConsistencyTest, EveryAlteredMessageFails) {
  for (const auto& m : run_check().trace) {
    if (m.sender != 0) continue;
    // A byte that somebody other than the sender evaluates.
    const auto run = run_check(support::flip_bit_of(m, 16 * m.receiver + 1));
    bool all = true;
    for (const auto& outcome : run.outcomes) all = all && outcome.value.has_value();
    EXPECT_FALSE(all) << m.label;
  }
}

// Steps 3 and 5: an opening must be what was committed to, down to its nonce.
TEST_P(DeltaConsistencyTest, OpeningsAreThoseCommittedTo) {
  for (const char* what : {"M", "T"}) {
    const auto code = support::decided_code([&] {
      return run_check(
                 support::flip_bit_of({0, 1, std::string("setup/delta consistency open ") + what}))
          .outcomes[1]
          .code();
    });
    EXPECT_EQ(code, AbortCode::kDeltaConsistency) << what;
  }
}

// Step 5: P_0 commits to and opens another T_0 (and hides that from the echo). Its honest step 4
// does not look at what it sends; the others must.
TEST_P(DeltaConsistencyTest, ATagThatDoesNotFitTheOpenedMacsFails) {
  for (PartyId honest = 1; honest < n_; ++honest) {
    const auto code = support::decided_code([&] {
      std::mutex mutex;
      Bytes echo_of_0, echo_of_others;
      const auto run = support::run_parties(n_, [&](net::Party& party) {
        const RoScope scope = party.scope();
        const auto wait_for = [&](const Bytes& digest) {
          for (;; std::this_thread::yield()) {
            const std::lock_guard lock(mutex);
            if (!digest.empty()) return digest;
          }
        };
        if (party.id() != 0) {
          party.set_tamper([&, wait_for](const net::MessageId& m, Bytes& payload) {
            if (!m.label.ends_with("/echo") || m.index != 0) return;
            {
              const std::lock_guard lock(mutex);
              echo_of_others = payload;
            }
            if (m.receiver == 0) payload = wait_for(echo_of_0);  // P_0 does not mind its own lie
          });
        }
        if (party.id() == 0) {
          party.set_tamper([&, scope, wait_for](const net::MessageId& m, Bytes& payload) {
            const Bytes opening(48, 7);  // nonce and T
            if (m.label == "setup/delta consistency commit") {
              const Digest lie =
                  RandomOracle("dcons", scope, 0, 0).field("T").field(opening).digest();
              std::copy(lie.begin(), lie.end(), payload.begin());
            } else if (m.label == "setup/delta consistency open T") {
              payload = opening;
            } else if (m.label.ends_with("/echo") && m.index == 0) {
              {
                const std::lock_guard lock(mutex);
                echo_of_0 = payload;
              }
              payload = wait_for(echo_of_others);
            }
          });
        }
        check_delta_consistency(party, epoch_[party.id()].delta, bits_[party.id()]);
        return true;
      });
      return run.outcomes[honest].code();
    });
    EXPECT_EQ(code, AbortCode::kDeltaConsistency);
  }
}

// Step 2: P_0 commits to its right T_0 twice, with another nonce for P_2, and opens to each what it
// told it: every opening fits and every T is right. Only the echo sees two commitments.
TEST_P(DeltaConsistencyTest, TwoCommitmentsToDifferentPeersFailTheEcho) {
  Block tag;  // T_0, the sum of M_0[R^j]
  for (PartyId j = 1; j < n_; ++j) tag ^= math::gf_pack(bits_[j].mac[0].span().first(128));
  Bytes opening(48, 9);
  store_block(opening.data() + 32, tag);
  const auto code = support::decided_code([&] {
    const auto run = run_check([&](const net::MessageId& m, Bytes& payload) {
      if (m.sender != 0 || m.receiver != 2) return;
      if (m.label == "setup/delta consistency commit") {
        RoScope scope;
        scope.eid[0] = 1;
        scope.sid[0] = 2;
        const Digest lie = RandomOracle("dcons", scope, 0, 0).field("T").field(opening).digest();
        std::copy(lie.begin(), lie.end(), payload.begin());
      }
      if (m.label == "setup/delta consistency open T") payload = opening;
    });
    for (const auto& outcome : run.outcomes) EXPECT_FALSE(outcome.value.has_value());
    for (const auto& m : run.trace) {
      EXPECT_FALSE(m.sender != 0 && m.label == "setup/delta consistency open M");
    }
    return run.outcomes[2].code();
  });
  EXPECT_EQ(code, AbortCode::kEcho);
}

// The D of single parties are hidden by the sharing of zero; with keys that do not cancel their sum
// is wrong.
TEST_P(DeltaConsistencyTest, SharesAreHiddenByTheSharingOfZero) {
  const auto run = support::run_parties(n_, [&](net::Party& party) {
    if (party.id() == 1) {
      auto keys = party.zero_keys();
      keys[2] ^= Block(1, 1);
      party.set_zero_keys(keys);
    }
    check_delta_consistency(party, epoch_[party.id()].delta, bits_[party.id()]);
    return true;
  });
  for (const auto& outcome : run.outcomes) EXPECT_FALSE(outcome.value.has_value());
}

INSTANTIATE_TEST_SUITE_P(Sizes, DeltaConsistencyTest, ::testing::Values(3, 4));

}  // namespace
}  // namespace flexroom::prep
