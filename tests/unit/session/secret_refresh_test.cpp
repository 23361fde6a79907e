#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "secret_refresh_fixture.h"

// `secret refresh`: new rows of the same secrets, at all members or at none.

namespace flexroom::session {
namespace {

TEST(ReasonToRefresh, IsHalfOfTheDirtyCounterOrAMonth) {
  constexpr uint64_t kMade = 1'700'000'000, kDay = 86400;
  EXPECT_EQ(reason_to_refresh(7, 16, kMade, kMade + 29 * kDay), "");
  EXPECT_EQ(reason_to_refresh(8, 16, kMade, kMade), "8 batches ended without a verdict");
  EXPECT_EQ(reason_to_refresh(0, 16, kMade, kMade + 30 * kDay), "the epoch is older than 30 days");
  EXPECT_EQ(reason_to_refresh(0, 16, 0, kMade), "");     // not known
  EXPECT_EQ(reason_to_refresh(0, 16, kMade, kDay), "");  // a clock set back
}

TEST_F(SecretRefreshTest, GivesNewRowsInTheSameEpoch) {
  for (const size_t n : {2u, 3u}) {
    make_room(n);
    const Digest epoch = epoch_of(0);
    std::set<store::RowSet> each;  // two imports of one session
    for (const auto& meta : state(0)->secrets().list()) each.insert(meta.set);
    EXPECT_EQ(each.size(), 2u);
    std::set<store::RowSet> sets = {set_of_all()};
    for (int again = 0; again < 2; ++again) {
      expect_all(kOk, contact(refresh));
      sets.insert(set_of_all());
      EXPECT_EQ(epoch_of(0), epoch);
      expect_all(kOk, contact(open_everything));
    }
    EXPECT_EQ(sets.size(), 3u);
    EXPECT_EQ(state(0)->loaded().list().size(), 1u) << "the signing key of the day";
  }
}

TEST_F(SecretRefreshTest, KilledAnywhereAllHaveOneSetAfterTheNextContact) {
  for (const size_t n : {2u, 3u}) {
    make_room(n);
    const store::RowSet before = set_of_all();
    for (const std::string step : {"begin", "staged", "exchanged", "committed"}) {
      for (const PartyId victim : {PartyId{0}, static_cast<PartyId>(n - 1)}) {
        back();
        EXPECT_EQ(contact(refresh, {victim, step, {}})[victim], -SIGKILL);
        expect_all(kOk, contact(open_everything));
        const store::RowSet set = set_of_all();
        if (step == "begin") {
          EXPECT_EQ(set, before);
        } else if (step != "staged") {
          EXPECT_NE(set, before) << step << victim;
        }
      }
    }
  }
}

TEST_F(SecretRefreshTest, KilledWhileTheNextContactSettlesRows) {
  make_room(3);
  const store::RowSet before = set_of_all();
  expect_all(-SIGKILL, contact(refresh, {kEverybody, "staged", {}}));
  keep();
  for (const std::string step : {"reconcile exchanged", "reconciled one"}) {
    for (const PartyId victim : {PartyId{0}, PartyId{2}}) {
      back();
      EXPECT_EQ(contact(open_everything, {victim, step, {}})[victim], -SIGKILL);
      expect_all(kOk, contact(open_everything));
      EXPECT_NE(set_of_all(), before);
    }
  }
}

// members.md, M12: a burned epoch costs no secret; nor does any other new one.
TEST_F(SecretRefreshTest, ANewEpochLosesNoSecret) {
  for (const size_t n : {2u, 3u}) {
    for (const bool burn : {false, true}) {
      make_room(n);
      const store::RowSet set = set_of_all();
      const Digest before = epoch_of(0);
      if (burn) {
        state(0)->once().burn(AbortCode::kMac);
        EXPECT_EQ(contact(open_everything)[0], abort_status(AbortCode::kEpochBurned));
      }
      expect_all(kOk, contact(new_epoch));
      EXPECT_NE(epoch_of(0), before);
      EXPECT_EQ(set_of_all(), set);
      EXPECT_TRUE(state(0)->loaded().list().empty()) << "signing keys die with their epoch";
      expect_all(kOk, contact(open_everything));
      expect_all(kOk, contact(refresh));
    }
  }
}

// `room.link`: fewer bytes for more work is a matter of how the epoch's trees were made.
TEST_F(SecretRefreshTest, ASlowLinkHoldsFromTheNextEpochOn) {
  const auto in_epoch_of = [](unsigned bits) {
    return [bits](MemberSession& session) {
      open_everything(session);
      EXPECT_EQ(session.epoch().pairs[1 - session.party().id()].subfield_bits, bits);
    };
  };
  make_room(2);
  room_.link = "slow";
  expect_all(kOk, contact(in_epoch_of(4)));
  expect_all(kOk, contact(new_epoch));
  expect_all(kOk, contact(in_epoch_of(8)));
}

/// One that found the lie of member 0: another may hear of its abort before it finds it too.
class LieInALoad : public SecretRefreshTest {
 protected:
  std::optional<PartyId> honest_burned(size_t n) {
    for (PartyId i = 1; i < n; ++i) {
      if (state(i)->once().counters().burned) return i;
    }
    return std::nullopt;
  }
};

// M3, M7, M12: a lie in a load burns the epoch and touches no row.
TEST_F(LieInALoad, BurnsTheEpochAndCostsNoSecret) {
  for (const size_t n : {2u, 3u}) {
    make_room(n);
    const store::RowSet set = set_of_all();
    for (const std::string label : {"rows/re-mask", "rows/product", "rows/zero verdict"}) {
      back();
      (void)contact(open_everything, {0, "", [&](PartyId i, net::Party& party) {
                                        if (i != 0) return;
                                        party.set_tamper(flip_bit_of(label, 0));
                                      }});
      EXPECT_TRUE(honest_burned(n)) << label;
      expect_all(kOk, contact(new_epoch));
      EXPECT_EQ(set_of_all(), set);
      expect_all(kOk, contact(open_everything));
    }
    back();
    alter_row(0, [](std::span<uint8_t> row) { row[17] ^= 4; });
    for (const int end : contact(open_everything)) {
      EXPECT_TRUE(end == abort_status(AbortCode::kRowTag) ||
                  end == abort_status(AbortCode::kCancelled) ||
                  end == abort_status(AbortCode::kPeerLost))
          << end;
    }
    const auto burned = honest_burned(n);
    ASSERT_TRUE(burned);
    EXPECT_EQ(state(*burned)->once().counters().life, 1u);
    alter_row(0, [](std::span<uint8_t> row) { row[17] ^= 4; });
    expect_all(kOk, contact(new_epoch));
    expect_all(kOk, contact(open_everything));
  }
}

// M4: a row of another set is a refusal by name, as an honest restore is none of a cheat.
TEST_F(SecretRefreshTest, AStateDbOfBeforeARefreshIsRefusedByName) {
  make_room(2);
  expect_all(kOk, contact(refresh));
  fs::copy(root_ / "kept" / "m0" / "state.db", root_ / "live" / "m0" / "state.db",
           fs::copy_options::overwrite_existing);
  for (const char* beside : {"state.db-wal", "state.db-shm"}) {
    fs::remove(root_ / "live" / "m0" / beside);
  }
  const auto ends = contact(open_everything);
  for (const int end : ends) EXPECT_NE(end, kOk);
  EXPECT_TRUE(ends[0] == abort_status(AbortCode::kDisagreement) ||
              ends[1] == abort_status(AbortCode::kDisagreement))
      << ends[0] << " " << ends[1];
  for (PartyId i = 0; i < 2; ++i) EXPECT_FALSE(state(i)->once().counters().burned);
}

// Each of the room's members is killed at each durable step; the others go on until they miss it.
// §5.1, names: `new` or `replaces NAME vK`; anything else under the name is another secret. An
// import by one owner became the next version of a joint key once, and was announced as known to
// nobody.
TEST_F(SecretRefreshTest, AnImportSaysWhatItReplacesAndReplacesTheSameSecretOnly) {
  make_room(2);
  const auto member = state(0);
  SecretFile file;
  file.name = "joint/key";
  file.kind = "test";
  file.value_class = "raw";
  file.length = 2;
  file.replaces = 2;
  const auto problem = [&](const std::function<void(SecretFile&)>& change) {
    SecretFile other;
    other.name = file.name;
    other.kind = file.kind;
    other.value_class = file.value_class;
    other.length = file.length;
    other.replaces = file.replaces;
    change(other);
    try {
      check_import(*member, other);
    } catch (const InputError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  using ::testing::HasSubstr;
  EXPECT_EQ(problem([](SecretFile&) {}), "");
  EXPECT_THAT(problem([](SecretFile& f) { f.replaces = 0; }), HasSubstr("exists already"));
  EXPECT_THAT(problem([](SecretFile& f) { f.replaces = 1; }), HasSubstr("is version 2 here"));
  EXPECT_THAT(problem([](SecretFile& f) { f.replaces = 3; }), HasSubstr("is version 2 here"));
  EXPECT_THAT(problem([](SecretFile& f) { f.owner = "m1"; }), HasSubstr("another owner"));
  EXPECT_THAT(problem([](SecretFile& f) { f.value_class = "hex"; }), HasSubstr("another class"));
  EXPECT_THAT(problem([](SecretFile& f) { f.kind = "other"; }), HasSubstr("another kind"));
  EXPECT_THAT(problem([](SecretFile& f) { f.entropy = 8; }), HasSubstr("another entropy"));
  EXPECT_THAT(problem([](SecretFile& f) { f.entropy = 17; }), HasSubstr("hold 16 at most"));
  EXPECT_THAT(problem([](SecretFile& f) { f.purposes = {"POST https://a.example/ body"}; }),
              HasSubstr("names no provider"));
  EXPECT_THAT(problem([](SecretFile& f) { f.name = "joint/new"; }), HasSubstr("no version 2"));
  EXPECT_EQ(problem([](SecretFile& f) {
              f.name = "joint/new";
              f.replaces = 0;
            }),
            "");
  // What the members approve says so.
  const auto said = [&](const SecretFile& f) {
    for (const auto& field : import_proposal(room_, f).fields) {
      if (field.name == "stored as") return to_text(field.value);
    }
    return std::string();
  };
  EXPECT_EQ(said(file), "replaces joint/key v2");
  file.replaces = 0;
  EXPECT_EQ(said(file), "new");
}

TEST_F(SecretRefreshTest, ABurnedEpochOrLostCountersRefuse) {
  make_room(2);
  const Digest before = epoch_of(0);
  for (PartyId i = 0; i < 2; ++i) state(i)->once().burn(AbortCode::kMac);
  expect_all(abort_status(AbortCode::kEpochBurned), contact(refresh));
  EXPECT_EQ(epoch_of(0), before);

  back();
  fs::remove(members_[0].once_key_file);
  EXPECT_EQ(contact(refresh)[0], abort_status(AbortCode::kTooManyUnfinished));
  EXPECT_EQ(epoch_of(0), before);
  state(0)->once().operator_accepts();
  EXPECT_EQ(state(0)->once().counters().dirty, kDirtyMax);
  // Rows are made with products, of which this epoch makes no more: a new one first.
  EXPECT_EQ(contact(refresh)[0], abort_status(AbortCode::kTooManyUnfinished));
  expect_all(kOk, contact(new_epoch));
  EXPECT_EQ(state(0)->once().counters().dirty, 0u);
  expect_all(kOk, contact(refresh));
  expect_all(kOk, contact(open_everything));
}

TEST_F(SecretRefreshTest, AnotherSetOfRecordsIsRefused) {
  make_room(2);
  const Digest before = epoch_of(0);
  {
    const auto member = state(1);  // restored from an older backup
    member->secrets().remove(member->secret("joint/key").id, 2);
  }
  expect_all(abort_status(AbortCode::kDisagreement), contact(refresh));
  for (PartyId i = 0; i < 2; ++i) {
    EXPECT_EQ(epoch_of(i), before);
    EXPECT_FALSE(state(i)->once().counters().burned);
  }
}

TEST_F(SecretRefreshTest, AnotherSessionOfAMemberKeepsTheRows) {
  make_room(2);
  const store::RowSet before = set_of_all();
  {
    const store::SessionLock other(members_[0].state_dir);
    EXPECT_EQ(contact(refresh)[0], kInput);
  }
  EXPECT_EQ(set_of_all(), before);
}

// A key derived before a refresh serves on: it belongs to the version, whatever its rows.
TEST_F(SecretRefreshTest, ASigningKeyIsCachedAcrossARefresh) {
  make_room(2);
  Provider provider;
  provider.name = "p";
  provider.hosts = {"*"};
  room_.providers = {provider};
  expect_all(kOk, contact([](MemberSession& session) {
               session.start();
               SecretFile file;
               file.name = "joint/signs";
               file.kind = "test";
               file.value_class = "raw";
               file.length = 40;
               file.provider = "p";
               file.entropy = 128;
               file.purposes = {"sigv4 ec2 eu-1"};
               file.material = SecretBytes::copy_of(
                   Bytes(40, static_cast<uint8_t>(session.state().self() + 1)));
               (void)import_secret(session, file, Digest{});
             }));
  const auto key_is = [](bool cached) {
    return [cached](MemberSession& session) {
      session.start();
      const store::RecordMeta secret = session.state().secret("joint/signs");
      const ObtainedKey key = obtain_signing_key(session, secret, "eu-1", "ec2");
      const auto kout =
          prep::open_bits(session.party(), session.source().delta(), key.key.kout, "test");
      Bytes bytes = to_bytes(key.date);
      append(bytes, Bytes(kout.begin(), kout.end()));
      append(bytes, sha256_state_bytes(key.key.kin));
      const fs::path file = session.state().member().state_dir / "key of the day";
      const Bytes before = read_file(file);
      if (before.empty()) {
        std::ofstream(file, std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()),
                   static_cast<std::streamsize>(bytes.size()));
      } else if (std::equal(before.begin(), before.begin() + 8, bytes.begin())) {  // the same day
        EXPECT_EQ(key.cached, cached);
        EXPECT_EQ(bytes, before);
      }
    };
  };
  expect_all(kOk, contact(key_is(false)));
  expect_all(kOk, contact(refresh));
  expect_all(kOk, contact(key_is(true)));
  // It dies with its epoch; the same comes out of the secret in the next one.
  expect_all(kOk, contact(new_epoch));
  expect_all(kOk, contact(key_is(false)));
}

}  // namespace
}  // namespace flexroom::session
