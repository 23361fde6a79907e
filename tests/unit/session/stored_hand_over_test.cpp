#include "session/stored_hand_over.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "support/memory_hand_over.h"

// The hand-over over real state: rows in state.db, LIFE in once.db (members.md 3.2, 4.4).

namespace flexroom::session {
namespace stored_hand_over_test {

namespace fs = std::filesystem;
using support::HandOverRig;

const Bytes kCode = to_bytes("492817");
constexpr store::OnceDb::Limits kLimits{16, 64};

store::MemberId mid(PartyId i) {
  store::MemberId out{};
  out[0] = static_cast<uint8_t>(i + 1);
  return out;
}

/// Member 1 leaves, member 2 joins.
class StoredHandOverTest : public ::testing::Test {
 protected:
  StoredHandOverTest() : rig_({0, 1}, {0, 2}, {kCode, to_bytes("7")}) {
    char name[] = "/tmp/flexroom-hand-over-XXXXXX";
    root_ = mkdtemp(name);
    rid_[0] = 9;
    for (PartyId i = 0; i < rig_.n; ++i) open(i);
    for (const PartyId i : rig_.terms.from) {
      store::SecretStore secrets(*members_[i]->db, rid_);
      for (size_t s = 0; s < rig_.values.size(); ++s) {
        secrets.put_committed({rig_.carried.metas[s], SecretBytes::copy_of(rig_.row(i, s))});
      }
    }
  }
  ~StoredHandOverTest() override {
    members_.clear();
    fs::remove_all(root_);
  }

  struct Member {
    std::unique_ptr<store::SealedDb> db;
    std::unique_ptr<store::OnceDb> once;
    size_t frozen = 0;
  };
  void open(PartyId i) {
    if (members_.size() <= i) members_.resize(i + 1);
    members_[i] = std::make_unique<Member>();
    const std::string who = "m" + std::to_string(i);
    const fs::path key = root_ / (who + ".key");
    members_[i]->db =
        std::make_unique<store::SealedDb>(root_ / who / "state.db", [key](bool, Bytes&) {
          return fs::exists(key) ? store::SealKey::load(key) : store::SealKey::create(key);
        });
    std::vector<store::MemberId> peers;  // of the room as it is
    for (const PartyId j : rig_.terms.from) {
      if (j != i) peers.push_back(mid(j));
    }
    members_[i]->once = std::make_unique<store::OnceDb>(
        root_ / who / "once.db", root_ / (who + ".once"), false, kLimits, std::move(peers));
  }
  StoredHandOver state(PartyId i, store::OpenMark* mark = nullptr) {
    return {{*members_[i]->db, *members_[i]->once, rid_, mark},
            rig_.terms,
            i,
            {mid(0), mid(1), mid(2)},
            [this, i] { ++members_[i]->frozen; }};
  }
  struct Ended {
    std::optional<Digest> metas;
    std::string input_error;
  };
  auto run(net::Tamper tamper = nullptr) {
    return support::run_parties(
        rig_.n,
        [&](net::Party& party) {
          StoredHandOver own = state(party.id());
          Ended out;
          try {
            out.metas = hand_over(party, rig_.terms, rig_.carried, own).metas;
          } catch (const InputError& error) {
            out.input_error = error.what();
          }
          return out;
        },
        std::move(tamper));
  }
  uint32_t life(PartyId of, PartyId towards) {
    for (uint32_t most = 0; most <= kLimits.life_max; ++most) {
      const store::MemberId member[] = {mid(towards)};
      try {
        members_[of]->once->require_room_in_life(member, kLimits.life_max - most);
        return most;
      } catch (const ProtocolAbort&) {
      }
    }
    return kLimits.life_max + 1;
  }
  store::HandedRows handed(PartyId i) { return {*members_[i]->db, rid_}; }
  std::vector<store::RecordMeta> in_use(PartyId i) {
    return store::SecretStore(*members_[i]->db, rid_).list();
  }
  std::optional<Bytes> value_in_use(const std::vector<PartyId>& members, size_t s) {
    std::vector<Bytes> rows;
    for (const PartyId i : members) {
      const store::RecordMeta& meta = rig_.carried.metas[s];
      const SecretBytes row = store::SecretStore(*members_[i]->db, rid_).row(meta.id, meta.version);
      rows.emplace_back(row.reveal().begin(), row.reveal().end());
    }
    return HandOverRig::value_of(rows, rig_.values[s].size());
  }

  HandOverRig rig_;
  fs::path root_;
  store::RoomId rid_{};
  std::vector<std::unique_ptr<Member>> members_;
};

TEST_F(StoredHandOverTest, NewRowsLieBesideTheOldOnesAndTakeTheirPlace) {
  const auto ended = run();
  for (PartyId i = 0; i < 3; ++i) ASSERT_TRUE(ended.outcomes[i].value->metas.has_value());
  EXPECT_EQ(members_[1]->frozen, 1u);
  EXPECT_EQ(members_[0]->frozen + members_[2]->frozen, 0u);
  EXPECT_EQ(value_in_use({0, 1}, 0), kCode) << "nothing was changed yet";
  EXPECT_TRUE(in_use(2).empty());
  EXPECT_TRUE(handed(1).attempts().empty());
  for (const PartyId i : {0u, 2u}) open(i);  // it was on the disk
  for (const PartyId i : {0u, 2u}) {
    store::HandedRows rows = handed(i);
    EXPECT_EQ(rows.attempts(), std::vector<Digest>{rig_.terms.attempt});
    const Carried carried = Carried::decode(rows.carried(rig_.terms.attempt).value());
    EXPECT_EQ(carried.digest(), *ended.outcomes[i].value->metas);
    EXPECT_EQ(carried.facts, rig_.carried.facts);
    ASSERT_EQ(rows.list(rig_.terms.attempt).size(), 2u);
    // What else lies there, of a run that is over or of another attempt, is erased with the old
    // rows.
    store::RecordMeta other = rig_.carried.metas[0];
    other.version = 7;
    const SecretBytes row(prep::row_bytes(other.bits));
    store::SecretStore(*members_[i]->db, rid_).put_committed({other, row.clone()});
    const store::Record more[] = {{other, row.clone()}};
    Digest another{};
    another[0] = 3;
    rows.stage(another, more, Bytes(1));
    EXPECT_EQ(rows.attempts().size(), 2u);
    rows.move_in(rig_.terms.attempt);
    EXPECT_TRUE(rows.attempts().empty());
    EXPECT_EQ(in_use(i).size(), 2u);
    EXPECT_EQ(in_use(i)[0].set, carried.metas[0].set);
    EXPECT_EQ(store::SecretStore(*members_[i]->db, rid_).num_staged(), 0u);
  }
  for (size_t s = 0; s < 2; ++s) EXPECT_EQ(value_in_use({0, 2}, s), rig_.values[s]);
  for (PartyId i = 0; i < 3; ++i) EXPECT_EQ(members_[i]->once->counters().life, 0u);
}

TEST_F(StoredHandOverTest, WhatIsDroppedIsGoneAndOldRowsStay) {
  (void)run();
  handed(0).drop(rig_.terms.attempt);
  EXPECT_TRUE(handed(0).attempts().empty());
  EXPECT_TRUE(handed(0).list(rig_.terms.attempt).empty());
  EXPECT_FALSE(handed(0).carried(rig_.terms.attempt).has_value());
  EXPECT_THROW(handed(0).move_in(rig_.terms.attempt), InputError);
  EXPECT_EQ(value_in_use({0, 1}, 0), kCode);
}

// 3.2: a failing test is a cheat of E_U alone. LIFE counts towards all who were there, in the room
// or not; the room's epoch is not burned and its counters stay.
TEST_F(StoredHandOverTest, AFailingTestCostsLifeAndNothingElse) {
  const store::RecordMeta& meta = rig_.carried.metas[1];
  Bytes bad = rig_.row(1, 1);
  bad[17] ^= 2;
  store::SecretStore(*members_[1]->db, rid_).put_committed({meta, SecretBytes::copy_of(bad)});
  const auto ended = run();
  size_t noticed = 0;
  for (PartyId i = 0; i < 3; ++i) {
    EXPECT_FALSE(ended.outcomes[i].value.has_value());
    const store::OnceDb::Counters counters = members_[i]->once->counters();
    EXPECT_FALSE(counters.burned);
    EXPECT_EQ(counters.dirty, 0u);
    EXPECT_EQ(counters.strikes, 0u);
    EXPECT_TRUE(handed(i).attempts().empty());
    if (ended.outcomes[i].code() != AbortCode::kRowTag) continue;
    ++noticed;
    for (PartyId j = 0; j < 3; ++j) {
      if (j != i) {
        EXPECT_EQ(life(i, j), 1u);
      }
    }
  }
  EXPECT_GT(noticed, 0u);
  // And again, with the right row: the old room lost nothing.
  store::SecretStore(*members_[1]->db, rid_)
      .put_committed({meta, SecretBytes::copy_of(rig_.row(1, 1))});
  const auto again = run();
  for (PartyId i = 0; i < 3; ++i) EXPECT_TRUE(again.outcomes[i].value->metas.has_value());
}

// A check that only a cheat fails, of a message of the joiner: LIFE is full towards it, and towards
// nobody else; the room's own sessions go on.
TEST_F(StoredHandOverTest, ACheatOfTheJoinerIsNotTheRoomsMatter) {
  const auto ended = run(support::flip_bit_of({2, 0, "cot/check answer", 0, 0}, 1, 1));
  ASSERT_EQ(ended.outcomes[0].code(), AbortCode::kRowCheck);
  EXPECT_EQ(ended.outcomes[0].abort->peer(), PartyId{2});
  EXPECT_FALSE(members_[0]->once->counters().burned);
  EXPECT_EQ(life(0, 2), kLimits.life_max);
  EXPECT_EQ(life(0, 1), 0u);
  EXPECT_NO_THROW(members_[0]->once->require_preprocessing_allowed());
}

// M13.
TEST_F(StoredHandOverTest, AFullLifeTowardsAnyOfThemRefuses) {
  const store::MemberId joiner[] = {mid(2)};
  members_[0]->once->begin_in_life(joiner, kLimits.life_max);
  const auto ended = run();
  EXPECT_EQ(ended.outcomes[0].code(), AbortCode::kTooManyUnfinished);
  for (PartyId i = 0; i < 3; ++i) EXPECT_FALSE(ended.outcomes[i].value.has_value());
  EXPECT_EQ(members_[1]->frozen, 0u);
  EXPECT_NO_THROW(members_[0]->once->require_preprocessing_allowed()) << "the old room goes on";
}

// M15.
TEST_F(StoredHandOverTest, AFullDiskLeavesNothingStagedAndTheOldRows) {
  rig_.carried.facts["large"] = Bytes(100'000);
  members_[2]->db->set_max_pages(8);
  const auto ended = run();
  EXPECT_NE(ended.outcomes[2].value->input_error, "");
  EXPECT_FALSE(ended.outcomes[0].value.has_value()) << "not ready";
  EXPECT_TRUE(handed(2).attempts().empty());
  EXPECT_TRUE(handed(2).list(rig_.terms.attempt).empty());
  EXPECT_EQ(value_in_use({0, 1}, 0), kCode);
}

TEST_F(StoredHandOverTest, ALeaverThatCannotFreezeGivesNothing) {
  const auto ended = support::run_parties(3, [&](net::Party& party) {
    const PartyId i = party.id();
    StoredHandOver own({*members_[i]->db, *members_[i]->once, rid_, nullptr}, rig_.terms, i,
                       {mid(0), mid(1), mid(2)}, [] { throw InputError("once.db", "disk full"); });
    try {
      return hand_over(party, rig_.terms, rig_.carried, own).metas != Digest{};
    } catch (const InputError&) {
      return false;
    }
  });
  EXPECT_FALSE(ended.outcomes[1].value.value());
  EXPECT_FALSE(ended.outcomes[0].value.has_value() || ended.outcomes[2].value.has_value());
  EXPECT_TRUE(handed(0).attempts().empty() && handed(2).attempts().empty());
  for (const net::MessageId& message : ended.trace) {
    EXPECT_FALSE(message.sender == 1 && message.label == "rows/re-mask");
  }
}

// A check that failed is known at the next start even where once.db could not be written: in the
// mark of the session, which is of no epoch of the room.
TEST_F(StoredHandOverTest, AFailureThatOnceDbCannotTakeIsLeftInTheMark) {
  const fs::path folder = root_ / "marks";
  fs::create_directories(folder);
  const Digest members = store::marked_members({mid(0), mid(1), mid(2)});
  {
    store::OpenMark mark(folder, rid_, rig_.terms.attempt, members);
    StoredHandOver own = state(0, &mark);
    own.safety(HandOverEpoch::kUnion).before_verdict();
    own.failed(HandOverEpoch::kUnion, ProtocolAbort(AbortCode::kRowTag, "rows", "do not fit"));
    own.failed(HandOverEpoch::kNext, ProtocolAbort(AbortCode::kServer, "x", "no cheat"));
  }
  EXPECT_TRUE(store::OpenMark::left(folder).empty()) << "entered";
  EXPECT_EQ(life(0, 2), 1u);
  {
    store::OpenMark mark(folder, rid_, rig_.terms.attempt, members);
    StoredHandOver own = state(0, &mark);
    sqlite3* lock = nullptr;
    ASSERT_EQ(sqlite3_open((root_ / "m0" / "once.db").c_str(), &lock), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(lock, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
    own.safety(HandOverEpoch::kNext).before_verdict();
    own.failed(HandOverEpoch::kNext, ProtocolAbort(AbortCode::kMac, "open", "wrong", PartyId{2}));
    sqlite3_close(lock);
  }
  const auto left = store::OpenMark::left(folder);
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].state, store::OpenMark::State::kBurn);
  EXPECT_EQ(left[0].epoch, rig_.terms.attempt);
}

TEST_F(StoredHandOverTest, CountersOfThePassingEpochAreItsOwn) {
  store::PassingEpoch epoch(*members_[0]->once, {mid(1), mid(2)});
  epoch.begin_batches(3);
  EXPECT_EQ(life(0, 1), 3u);
  EXPECT_EQ(life(0, 2), 3u);
  EXPECT_EQ(members_[0]->once->counters().dirty, 0u) << "of the room's epoch";
  epoch.finish_batches(3);
  EXPECT_EQ(life(0, 2), 0u);
  epoch.begin_batches(kLimits.dirty_max);
  EXPECT_THROW(epoch.begin_batches(1), ProtocolAbort);
  epoch.finish_batches(kLimits.dirty_max);
  // Class A, of the second of them.
  epoch.failed(ProtocolAbort(AbortCode::kRowCheck, "cot", "wrong", PartyId{2}), 1);
  EXPECT_EQ(life(0, 2), kLimits.life_max);
  EXPECT_EQ(life(0, 1), 0u);
  EXPECT_THROW(epoch.require_preprocessing_allowed(), ProtocolAbort);
  // Burned: a second epoch with the first of them alone is not.
  store::PassingEpoch next(*members_[0]->once, {mid(1)});
  EXPECT_NO_THROW(next.require_preprocessing_allowed());
  next.failed(ProtocolAbort(AbortCode::kRowTag, "rows", "x"), std::nullopt);
  next.failed(ProtocolAbort(AbortCode::kRowTag, "rows", "x"), std::nullopt);
  EXPECT_EQ(life(0, 1), 1u) << "once an epoch";
  EXPECT_THROW(next.begin_batches(1), ProtocolAbort);
}

}  // namespace stored_hand_over_test
}  // namespace flexroom::session
