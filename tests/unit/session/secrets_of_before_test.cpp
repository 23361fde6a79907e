#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "secret_refresh_fixture.h"

// Secrets as they lay before there were rows, bound to an epoch: they become rows, or move to a new
// epoch where too many batches hang in this one of theirs; killed anywhere, all are in one.

namespace flexroom::session {
namespace {

TEST_F(SecretRefreshTest, SecretsOfBeforeBecomeRowsAtTheFirstSession) {
  for (const size_t n : {2u, 3u}) {
    make_room_of_before(n);
    EXPECT_EQ(state(0)->secrets_of_before().size(), 2u);
    const Digest epoch = epoch_of(0);
    expect_all(kOk, contact([](MemberSession& session) { session.start(); }));
    for (PartyId i = 0; i < n; ++i) {
      const auto member = state(i);
      EXPECT_TRUE(member->secrets_of_before().empty());
      EXPECT_EQ(member->secrets().list().size(), 2u);
      EXPECT_EQ(member->secret("joint/key").version, 2u);
      EXPECT_EQ(member->loaded().list().size(), 1u);
    }
    EXPECT_EQ(epoch_of(0), epoch);
    expect_all(kOk, contact(open_everything));
    expect_all(kOk, contact(new_epoch));
    expect_all(kOk, contact(open_everything));
  }
}

TEST_F(SecretRefreshTest, SecretsOfBeforeThatNotAllHaveStay) {
  make_room_of_before(2);
  {
    const auto member = state(1);
    member->loaded().remove(member->secrets_of_before().front().id, 2);
  }
  expect_all(kOk, contact([](MemberSession& session) { session.start(); }));
  for (PartyId i = 0; i < 2; ++i) {
    EXPECT_EQ(state(i)->secrets().list().size(), 1u);
    EXPECT_EQ(state(i)->secrets().list().front().version, 1u);
  }
  EXPECT_EQ(state(0)->secrets_of_before().size(), 1u);
}

TEST_F(SecretRefreshTest, KilledWhileSecretsOfBeforeBecomeRows) {
  make_room_of_before(2);
  for (const std::string step : {"begin", "staged", "exchanged", "committed"}) {
    for (const PartyId victim : {PartyId{0}, PartyId{1}}) {
      back();
      EXPECT_EQ(contact(open_everything, {victim, step, {}})[victim], -SIGKILL);
      expect_all(kOk, contact(open_everything));
      for (PartyId i = 0; i < 2; ++i) {
        EXPECT_TRUE(state(i)->secrets_of_before().empty()) << step;
        EXPECT_EQ(state(i)->secrets().list().size(), 2u);
      }
    }
  }
}

// They are bound to their epoch: a whole one is not left before they are rows, a burned one takes
// them along.
TEST_F(SecretRefreshTest, SecretsOfBeforeStayInTheWayOfANewEpoch) {
  make_room_of_before(2);
  const Digest before = epoch_of(0);
  expect_all(abort_status(AbortCode::kRefusedByRule), contact(new_epoch));
  EXPECT_EQ(epoch_of(0), before);
  EXPECT_EQ(state(0)->secrets_of_before().size(), 2u);
  state(1)->once().burn(AbortCode::kMac);
  expect_all(kOk, contact(new_epoch));
  EXPECT_TRUE(state(0)->secrets_of_before().empty());
  EXPECT_TRUE(state(0)->secrets().list().empty());
}

TEST_F(SecretRefreshTest, AFullDirtyCounterMovesSecretsOfBeforeAndThenTheyBecomeRows) {
  for (const size_t n : {2u, 3u}) {
    make_full_room_of_before(n);
    const Digest before = epoch_of(0);
    expect_all(kOk, contact(refresh));
    EXPECT_EQ(state(0)->secrets_of_before().size(), 2u);
    EXPECT_TRUE(expect_one_epoch(before));
    EXPECT_TRUE(state(0)->secrets_of_before().empty());
    EXPECT_EQ(state(0)->secrets().list().size(), 2u);
  }
}

TEST_F(SecretRefreshTest, KilledAnywhereAllAreInOneEpochAfterTheNextContact) {
  for (const size_t n : {2u, 3u}) {
    make_full_room_of_before(n);
    const Digest before = epoch_of(0);
    for (const std::string step : {"begin", "staged", "confirmed", "committed"}) {
      for (PartyId victim = 0; victim < n; ++victim) {
        back();
        EXPECT_EQ(contact(refresh, {victim, step, {}})[victim], -SIGKILL);
        const bool moved = expect_one_epoch(before);
        if (step == "begin") {
          EXPECT_FALSE(moved);
        } else if (step != "staged") {
          EXPECT_TRUE(moved) << step << victim;
        }
      }
    }
  }
}

TEST_F(SecretRefreshTest, KilledWhileTheNextContactSettles) {
  for (const size_t n : {2u, 3u}) {
    make_full_room_of_before(n);
    const Digest before = epoch_of(0);
    expect_all(-SIGKILL, contact(refresh, {kEverybody, "staged", {}}));
    keep();
    for (const std::string step : {"settle exchanged", "committed"}) {
      for (const PartyId victim : {PartyId{0}, static_cast<PartyId>(n - 1)}) {
        back();
        EXPECT_EQ(contact(open_everything, {victim, step, {}})[victim], -SIGKILL);
        EXPECT_TRUE(expect_one_epoch(before));
      }
    }
  }
}

// Only one member had staged: the half-made epoch goes, and a later refresh works.
TEST_F(SecretRefreshTest, AHalfMadeEpochIsErased) {
  make_full_room_of_before(2);
  const Digest before = epoch_of(0);
  contact(refresh, {0, "begin", {}});  // member 1 stages and misses member 0
  EXPECT_TRUE(store::EpochChange(state(1)->db(), state(1)->rid()).staged());
  EXPECT_EQ(contact(open_everything, {1, "discarded", {}})[1], -SIGKILL);
  EXPECT_FALSE(expect_one_epoch(before));
  EXPECT_TRUE(state(1)->db().ids("epoch/next").empty());
  expect_all(kOk, contact(refresh));
  EXPECT_TRUE(expect_one_epoch(before));
}

// boolean-engine.md §10.3: what only a guess of bits of a global key fails ends the set-ups of new
// epochs too, until the operator decides; a failure of another kind does not.
TEST_F(SecretRefreshTest, NoEpochFollowsAGuessBeforeTheOperatorDecides) {
  make_room(2);
  const Digest before = epoch_of(0);
  for (PartyId i = 0; i < 2; ++i) state(i)->once().burn(AbortCode::kMac);
  state(0)->once().burn(AbortCode::kPprf, 0);
  EXPECT_EQ(contact(new_epoch)[0], abort_status(AbortCode::kTooManyUnfinished));
  EXPECT_EQ(epoch_of(0), before);
  state(0)->once().operator_accepts();
  expect_all(kOk, contact(new_epoch));
  EXPECT_NE(epoch_of(0), before);
}

// A failed tree of a peer, seen in the set-up that follows a burned epoch, counts at once.
TEST_F(SecretRefreshTest, AGuessInASetUpIsCounted) {
  make_room(2);
  for (PartyId i = 0; i < 2; ++i) {
    state(i)->once().operator_accepts();
    state(i)->once().burn(AbortCode::kMac);
  }
  EXPECT_EQ(state(0)->once().counters().life, 1u);
  const auto lie = [](PartyId i, net::Party& party) {
    if (i != 1) return;
    party.set_tamper([](const net::MessageId& m, Bytes& payload) {
      if (m.label == "setup/trees") payload.back() ^= 1;
    });
  };
  const auto ends =
      contact([](MemberSession& session) { (void)session.ensure_epoch(true); }, {0, "", lie});
  EXPECT_EQ(ends[0], abort_status(AbortCode::kPprf));
  EXPECT_GE(state(0)->once().counters().life, 64u);
}

TEST_F(SecretRefreshTest, ACheatBurnsTheOldEpochAndMovesNothing) {
  struct Lie {
    std::string label;
    size_t index;
    AbortCode expected;
  };
  for (const size_t n : {2u, 3u}) {
    make_full_room_of_before(n);
    const Digest before = epoch_of(0);
    for (const Lie& lie :
         {Lie{"refresh/open", 1, AbortCode::kMac},
          Lie{"bits/consistency tag", n == 2 ? 0u : 1u, AbortCode::kBitConsistency},
          Lie{"setup/transcripts", 0, AbortCode::kEcho}}) {
      // The slower of two that notice may see the other's abort first: then again.
      for (unsigned tries = 0; tries < 20; ++tries) {
        back();
        const auto ends = contact(refresh, {0, "", [&](PartyId i, net::Party& party) {
                                              if (i != 0) return;
                                              party.set_tamper(flip_bit_of(lie.label, lie.index));
                                            }});
        EXPECT_NE(ends[0], kOk);
        if (ends[1] == abort_status(lie.expected)) break;
      }
      EXPECT_TRUE(state(1)->once().counters().burned) << lie.label;
      EXPECT_EQ(epoch_of(1), before);
      EXPECT_FALSE(store::EpochChange(state(1)->db(), state(1)->rid()).staged());
    }
  }
}

}  // namespace
}  // namespace flexroom::session
