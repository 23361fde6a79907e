#include "store/epoch_change.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "support/parties.h"
#include "unit/store/store_fixture.h"

namespace flexroom::store {
namespace {

using ::testing::HasSubstr;

Digest named(uint8_t name) {
  Digest out{};
  out[0] = name;
  return out;
}
const Digest kRoom = named(1), kOldEpoch = named(2), kNewEpoch = named(3);

class EpochChangeTest : public StoreTest {
 protected:
  /// Two versions of a secret; the first byte of a mac tells the epochs apart.
  static std::vector<EpochChange::Record> records(PartyId self, size_t n, const Digest& epoch) {
    std::vector<EpochChange::Record> out;
    for (const uint32_t version : {1u, 2u}) {
      prep::AuthBits bits = some_bits(self, n);
      bits.mac[bits.first_peer()][0] = Block(version, 4 * uint64_t{epoch[0]});
      out.push_back({meta(version), encode_auth_bits(bits)});
      out.back().meta.epoch = epoch;
    }
    return out;
  }
  static EpochStore::Saved state_of(const Digest& epoch) {
    return {epoch, SecretBytes::copy_of(epoch), 5};
  }
  /// All members in the old epoch, with its records.
  void begin(size_t n) {
    for (PartyId i = 0; i < n; ++i) {
      fs::remove_all(root_ / name(i));
      const auto db = open(name(i));
      EpochStore(*db).save(kRoom, state_of(kOldEpoch));
      for (const auto& record : records(i, n, kOldEpoch)) {
        db->put(rows_of_room(kRecordKind, kRoom), record_key(record.meta.id, record.meta.version),
                record.meta.encode(), record.shares.reveal());
      }
    }
  }
  void stage(PartyId i, size_t n) {
    const auto db = open(name(i));
    EpochChange(*db, kRoom).stage(state_of(kNewEpoch), records(i, n, kNewEpoch));
  }
  void commit_alone(PartyId i, size_t n) {  // as a member that heard everybody's confirmation
    stage(i, n);
    support::run_parties(2, [&](net::Party& party) {
      if (party.id() == 0) {
        const auto db = open(name(i));
        return EpochChange(*db, kRoom).settle(party);
      }
      Bytes committed(96);
      std::copy(kNewEpoch.begin(), kNewEpoch.end(), committed.begin());
      return party.exchange("epoch change/settle", committed).empty();
    });
  }
  /// The epoch that member i is in, after checking that everything it has belongs to it and that
  /// nothing is staged.
  Digest whole_epoch_of(PartyId i, size_t n) {
    const auto db = open(name(i));
    const auto saved = EpochStore(*db).load(kRoom);
    const Digest epoch = saved->epoch_id;
    EXPECT_TRUE(std::equal(epoch.begin(), epoch.end(), saved->state.reveal().begin()));
    LoadedStore store(*db, kRoom);
    const auto all = store.list();
    EXPECT_EQ(all.size(), 2u);
    const auto expected = records(i, n, epoch);
    for (size_t r = 0; r < all.size(); ++r) {
      EXPECT_EQ(all[r].epoch, epoch);
      EXPECT_EQ(all[r].version, expected[r].meta.version);
      const SecretBytes shares = encode_auth_bits(store.get(all[r].id, all[r].version));
      EXPECT_TRUE(std::equal(shares.reveal().begin(), shares.reveal().end(),
                             expected[r].shares.reveal().begin()));
    }
    EXPECT_TRUE(db->ids("secret/next").empty() && db->ids("epoch/next").empty());
    return epoch;
  }
  /// Runs `protocol` in a child that a member's fault hook may kill. True if it was.
  template <typename Protocol>
  static bool killed(size_t n, Protocol protocol) {
    const pid_t child = fork();
    if (child == 0) {
      support::run_parties(n, protocol);
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  }
  auto kill_at(const net::Party& party, PartyId victim, std::string step) {
    return [self = party.id(), victim, step](std::string_view s) {
      if (self == victim && s == step) kill(getpid(), SIGKILL);
    };
  }
  auto settle(size_t n, net::Tamper tamper = nullptr) {
    return support::run_parties(
        n,
        [&](net::Party& party) {
          const auto db = open(name(party.id()));
          return EpochChange(*db, kRoom).settle(party);
        },
        std::move(tamper));
  }
};

TEST_F(EpochChangeTest, MovesEverythingAtAllMembers) {
  for (const size_t n : {2u, 3u}) {
    begin(n);
    support::run_parties(n, [&](net::Party& party) {
      const auto db = open(name(party.id()));
      EpochChange change(*db, kRoom);
      change.stage(state_of(kNewEpoch), records(party.id(), n, kNewEpoch));
      EXPECT_TRUE(change.staged());
      change.commit_with(party);
      return true;
    });
    for (PartyId i = 0; i < n; ++i) EXPECT_EQ(whole_epoch_of(i, n), kNewEpoch);
    for (const auto& outcome : settle(n).outcomes) EXPECT_EQ(outcome.value, false);
  }
}

TEST_F(EpochChangeTest, KilledAnywhereAllAreInOneEpochAfterTheNextContact) {
  for (const size_t n : {2u, 3u}) {
    for (const std::string step : {"begin", "staged", "confirmed", "committed"}) {
      for (PartyId victim = 0; victim < n; ++victim) {
        begin(n);
        ASSERT_TRUE(killed(n, [&](net::Party& party) {
          const auto db = open(name(party.id()));
          EpochChange change(*db, kRoom, kill_at(party, victim, step));
          change.stage(state_of(kNewEpoch), records(party.id(), n, kNewEpoch));
          change.commit_with(party);
          return true;
        })) << step;
        for (const auto& outcome : settle(n).outcomes) ASSERT_TRUE(outcome.value.has_value());
        const Digest epoch = whole_epoch_of(0, n);
        for (PartyId i = 1; i < n; ++i) EXPECT_EQ(whole_epoch_of(i, n), epoch) << step;
        if (step == "begin") {
          EXPECT_EQ(epoch, kOldEpoch);
        }
        if (step == "confirmed" || step == "committed") {
          EXPECT_EQ(epoch, kNewEpoch);
        }
      }
    }
  }
}

TEST_F(EpochChangeTest, KilledWhileSettlingTheNextContactDecidesAlike) {
  for (const bool all_staged : {true, false}) {
    const Digest expected = all_staged ? kNewEpoch : kOldEpoch;
    for (const std::string step : {"settle exchanged", all_staged ? "committed" : "discarded"}) {
      for (const PartyId victim : {PartyId{0}, PartyId{1}}) {
        begin(3);
        for (PartyId i = 0; i < (all_staged ? 3u : 2u); ++i) stage(i, 3);
        ASSERT_TRUE(killed(3, [&](net::Party& party) {
          const auto db = open(name(party.id()));
          return EpochChange(*db, kRoom, kill_at(party, victim, step)).settle(party);
        })) << step;
        settle(3);
        for (PartyId i = 0; i < 3; ++i) EXPECT_EQ(whole_epoch_of(i, 3), expected) << step;
      }
    }
  }
}

TEST_F(EpochChangeTest, OtherRecordsThereChangeNothing) {
  for (const size_t n : {2u, 3u}) {
    begin(n);
    const auto run = support::run_parties(n, [&](net::Party& party) {
      const auto db = open(name(party.id()));
      auto moved = records(party.id(), n, kNewEpoch);
      if (party.id() == 1) moved[0].meta.name = "another";
      EpochChange change(*db, kRoom);
      change.stage(state_of(kNewEpoch), moved);
      change.commit_with(party);
      return true;
    });
    for (PartyId i = 0; i < n; ++i) {
      EXPECT_EQ(run.outcomes[i].code(), AbortCode::kDisagreement);
      EXPECT_EQ(whole_epoch_of(i, n), kOldEpoch);
    }
  }
}

// A member that tells the others different things leaves them undecided, not divided.
TEST_F(EpochChangeTest, DifferentConfirmationsToDifferentMembersCommitNowhere) {
  begin(3);
  const auto run = support::run_parties(
      3,
      [&](net::Party& party) {
        const auto db = open(name(party.id()));
        EpochChange change(*db, kRoom);
        change.stage(state_of(kNewEpoch), records(party.id(), 3, kNewEpoch));
        change.commit_with(party);
        return true;
      },
      support::flip_bit_of({0, 2, "epoch change/confirm", 0, 0}));
  for (const PartyId honest : {1u, 2u}) {
    EXPECT_FALSE(run.outcomes[honest].value.has_value());
    EXPECT_TRUE(EpochChange(*open(name(honest)), kRoom).staged());
  }
  settle(3);
  for (PartyId i = 0; i < 3; ++i) EXPECT_EQ(whole_epoch_of(i, 3), kNewEpoch);
}

TEST_F(EpochChangeTest, DifferentClaimsToDifferentMembersSettleNothing) {
  begin(3);
  for (PartyId i = 0; i < 3; ++i) stage(i, 3);
  const auto run = settle(3, support::flip_bit_of({0, 2, "epoch change/settle", 0, 0}, 40));
  for (const PartyId honest : {1u, 2u}) {
    EXPECT_FALSE(run.outcomes[honest].value.has_value());
    EXPECT_TRUE(EpochChange(*open(name(honest)), kRoom).staged());
  }
}

// Member 1 was killed before it committed what member 0 has. Member 2 says that it has nothing (a
// lie, or a restored backup): member 1 must not give up the only records that fit member 0's.
TEST_F(EpochChangeTest, NobodyMakesAMemberEraseWhatAnotherCommitted) {
  begin(3);
  commit_alone(0, 3);
  ASSERT_EQ(whole_epoch_of(0, 3), kNewEpoch);
  stage(1, 3);
  stage(2, 3);
  const auto run = support::run_parties(3, [&](net::Party& party) {
    if (party.id() == 2) {
      party.exchange("epoch change/settle", Bytes(96));
      party.echo("epoch change/settle");
      return false;
    }
    const auto db = open(name(party.id()));
    return EpochChange(*db, kRoom).settle(party);
  });
  EXPECT_EQ(run.outcomes[1].code(), AbortCode::kDisagreement);
  EXPECT_THAT(run.outcomes[1].abort->what(), HasSubstr("restore"));
  EXPECT_TRUE(EpochChange(*open(name(1)), kRoom).staged());
  settle(3);
  for (PartyId i = 0; i < 3; ++i) EXPECT_EQ(whole_epoch_of(i, 3), kNewEpoch);
}

TEST_F(EpochChangeTest, AnotherRoomsChangeIsLeftAlone) {
  begin(2);
  stage(0, 2);
  const auto db = open(name(0));
  EpochChange other(*db, named(9));
  EXPECT_FALSE(other.staged());
  support::run_parties(2, [&](net::Party& party) {
    return party.id() == 0 ? other.settle(party)
                           : party.exchange("epoch change/settle", Bytes(96)).empty();
  });
  EpochStore(*db).save(named(9), state_of(named(5)));
  other.stage(state_of(named(6)), {});
  support::run_parties(2, [&](net::Party& party) {
    return party.id() == 0 ? other.settle(party)
                           : party.exchange("epoch change/settle", Bytes(96)).empty();
  });
  EXPECT_FALSE(other.staged());
  EXPECT_TRUE(EpochChange(*db, kRoom).staged());
  EXPECT_EQ(db->ids("secret/next").size(), 2u);
}

TEST_F(EpochChangeTest, WhoChangesTheEpochIsAlone) {
  fs::create_directories(root_ / "a");
  SessionLock first(root_ / "a");
  {
    const SessionLock second(root_ / "a");
    EXPECT_THAT(error_of([&] { first.require_alone(); }), HasSubstr("another command"));
  }
  SessionLock third(root_ / "a");
  EXPECT_THAT(error_of([&] { third.require_alone(); }), HasSubstr("no error"));
  EXPECT_THAT(error_of([&] { SessionLock fourth(root_ / "a"); }), HasSubstr("changing the epoch"));
}

TEST_F(EpochChangeTest, CountersStartAgainOnceForAPreparedEpochOnly) {
  {
    const auto once = open_once("a");
    once->begin_batches(7);
    once->pool().add(as_bytes("b"), {}, 16, Bytes(160));
    once->start_epoch(kNewEpoch);
    EXPECT_EQ(once->counters().dirty, 7u);
    once->prepare_epoch(kNewEpoch);
    once->start_epoch(kOldEpoch);
    EXPECT_EQ(once->counters().dirty, 7u);
  }
  const auto once = open_once("a", true);  // killed in between
  once->start_epoch(kNewEpoch);
  EXPECT_EQ(once->counters().dirty, 0u);
  EXPECT_EQ(once->counters().life, 7u);
  EXPECT_TRUE(once->pool().on_disk().empty());
  once->burn(AbortCode::kMac);
  once->start_epoch(kNewEpoch);
  EXPECT_TRUE(once->counters().burned);
}

}  // namespace
}  // namespace flexroom::store
