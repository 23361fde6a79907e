#include "session/secret_refresh.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <set>

#include "prep/open.h"
#include "session/secret_import.h"
#include "session/signing_keys.h"
#include "support/tcp_members.h"

// Members with state directories of their own; in every contact each is a process, as for a user.

namespace flexroom::session {
namespace {

namespace fs = std::filesystem;

constexpr int kOk = 0, kInput = 1, kFailedExpectation = 2, kAbort = 50;  // + AbortCode
constexpr uint32_t kDirtyMax = 16;
constexpr PartyId kEverybody = 1000;

/// Flips a bit of the index-th message with that label, to everybody.
net::Tamper flip_bit_of(std::string label, size_t index) {
  return [label, index](const net::MessageId& m, Bytes& payload) {
    if (m.label == label && m.index == index) payload[1] ^= 1;
  };
}

Bytes read_file(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return Bytes((std::istreambuf_iterator<char>(in)), {});
}

int abort_status(AbortCode code) { return kAbort + static_cast<int>(code); }

class SecretRefreshTest : public ::testing::Test {
 protected:
  SecretRefreshTest() {
    char name[] = "/tmp/flexroom-refresh-XXXXXX";
    root_ = mkdtemp(name);
  }
  ~SecretRefreshTest() override { fs::remove_all(root_); }

  using Body = std::function<void(MemberSession&)>;
  struct Options {
    PartyId victim = 0;  // is killed at `step`
    std::string step;
    std::function<void(PartyId, net::Party&)> prepare;  // a corrupted member
  };

  /// A room of n: its epoch, two versions of one secret, a cached signing key.
  void make_room(size_t n) {
    n_ = n;
    fs::remove_all(root_ / "live");
    fs::create_directory(root_ / "live");
    room_ = RoomConfig();
    room_.name = "test";
    members_.clear();
    for (size_t i = 0; i < n; ++i) {
      const std::string name = "m" + std::to_string(i);
      const fs::path dir = root_ / name;
      fs::remove_all(dir);
      fs::create_directories(dir);
      fs::permissions(dir, fs::perms::owner_all);
      const net::Identity identity = net::Identity::make(name);
      identity.save(dir / "identity");
      (void)store::SealKey::create(dir / "state.key");
      const auto [fd, port] = support::listen_on_loopback();
      ::close(fd);
      room_.members.push_back({name, {"127.0.0.1", port}, to_hex(identity.fingerprint())});
      MemberConfig member;
      member.name = name;
      member.state_dir = root_ / "live" / name;
      member.identity_dir = dir / "identity";
      member.state_key_file = dir / "state.key";
      member.once_key_file = root_ / "live" / (name + ".once");
      members_.push_back(member);
    }
    room_.courier = "m1";
    expect_all(kOk, contact([](MemberSession& session) {
                 session.ensure_epoch(false);
                 session.start();
                 for (const uint8_t version : {uint8_t{1}, uint8_t{2}}) import(session, version);
                 keep_signing_key(session);
               }));
    keep();
  }
  /// The same with the secrets as they lay before there were rows.
  void make_room_of_before(size_t n) {
    make_room(n);
    expect_all(kOk, contact([](MemberSession& session) {
                 session.start();
                 MemberState& state = session.state();
                 for (store::RecordMeta meta : state.secrets().list()) {
                   const prep::AuthBits bits = session.shares(meta);
                   state.secrets().remove(meta.id, meta.version);
                   meta.set = {};
                   meta.epoch = session.party().scope().eid;
                   state.loaded().put(session.party(), meta, bits);
                 }
               }));
    keep();
  }
  /// And so many unfinished batches that nothing is made in its epoch any more.
  void make_full_room_of_before(size_t n) {
    make_room_of_before(n);
    for (PartyId i = 0; i < n; ++i) state(i)->once().begin_batches(kDirtyMax);
    keep();
  }
  static void import(MemberSession& session, uint8_t version) {
    const PartyId self = session.state().self();
    SecretFile file;
    file.name = "joint/key";
    file.kind = "test";
    file.value_class = "raw";
    file.length = 2;
    file.replaces = version - 1u;
    file.material =
        SecretBytes::copy_of(Bytes{self == 0 ? version : uint8_t{0}, static_cast<uint8_t>(self)});
    EXPECT_EQ(import_secret(session, file, Digest{}).version, version);
  }
  static void keep_signing_key(MemberSession& session) {
    store::RecordMeta meta;
    meta.epoch = session.party().scope().eid;
    meta.id[0] = 9;
    meta.name = "joint/key v2/r/s/20260101";
    meta.kind = kSigningKeyKind;
    meta.bits = 256;
    meta.provenance = session.state().secret("joint/key").origin();  // else nobody's, and erased
    session.state().loaded().put(session.party(), meta, session.source().random_bits(256));
  }
  /// Snapshot of all state, and back to it.
  void keep() {
    fs::remove_all(root_ / "kept");
    fs::copy(root_ / "live", root_ / "kept", fs::copy_options::recursive);
  }
  void back() {
    fs::remove_all(root_ / "live");
    fs::copy(root_ / "kept", root_ / "live", fs::copy_options::recursive);
  }

  std::unique_ptr<MemberState> state(PartyId i) {
    return std::make_unique<MemberState>(room_, members_[i]);
  }

  /// Runs `body` at all members, a process each; how each ended.
  std::vector<int> contact(const Body& body) { return contact(body, Options()); }
  std::vector<int> contact(const Body& body, const Options& options) {
    std::vector<pid_t> children;
    for (PartyId i = 0; i < n_; ++i) {
      const pid_t child = fork();
      if (child == 0) _exit(run_member(i, body, options));
      children.push_back(child);
    }
    std::vector<int> out;
    for (const pid_t child : children) {
      int status = 0;
      waitpid(child, &status, 0);
      out.push_back(WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status));
    }
    return out;
  }
  int run_member(PartyId i, const Body& body, const Options& options) {
    alarm(240);  // a hang is a failure
    try {
      SessionOptions session_options;
      session_options.fault = [&](std::string_view step) {
        const bool victim = options.victim == i || options.victim == kEverybody;
        if (victim && step == options.step) kill(getpid(), SIGKILL);
      };
      MemberState state(room_, members_[i], session_options.fault);
      MemberSession session(state, session_options);
      if (options.prepare) options.prepare(i, session.party());
      session.guard([&] { body(session); });
    } catch (const ProtocolAbort& abort) {
      return abort_status(abort.code());
    } catch (const InputError& error) {
      std::cerr << members_[i].name << ": " << error.what() << "\n";
      return kInput;
    }
    return HasFailure() ? kFailedExpectation : kOk;
  }
  static void refresh(MemberSession& session) {
    session.start();
    const RefreshPlan plan = plan_refresh(session);
    EXPECT_GE(plan.dirty, 0u);
    MemberState& state = session.state();
    (void)agreement::approve(session.party(), state.identity(), state.signing_keys(),
                             refresh_proposal(state.room(), plan));
    EXPECT_EQ(refresh_secrets(session, plan) == plan.epoch, plan.of_before.empty());
  }
  static void new_epoch(MemberSession& session) { EXPECT_TRUE(session.ensure_epoch(true)); }
  /// Every version has its value, as a row or as before, under the keys of the epoch that all are
  /// in.
  static void open_everything(MemberSession& session) {
    session.start();
    MemberState& state = session.state();
    std::set<uint32_t> versions;
    const auto expect_value = [&](const store::RecordMeta& meta, const prep::AuthBits& shares) {
      const auto bits = prep::open_bits(session.party(), session.source().delta(), shares, "test");
      if (meta.kind == kSigningKeyKind) return;
      EXPECT_TRUE(versions.insert(meta.version).second);
      uint8_t second = 0;
      for (size_t i = 0; i < session.party().num_parties(); ++i) {
        second = static_cast<uint8_t>(second ^ i);
      }
      for (unsigned b = 0; b < 8; ++b) {
        EXPECT_EQ(bits[b], meta.version >> b & 1);
        EXPECT_EQ(bits[8 + b], second >> b & 1);
      }
    };
    for (const store::RecordMeta& meta : state.secrets().list()) {
      expect_value(meta, session.shares(meta));
    }
    for (const store::RecordMeta& meta : state.loaded().list()) {
      expect_value(meta, state.loaded().get(meta.id, meta.version));
    }
    EXPECT_EQ(versions, (std::set<uint32_t>{1, 2}));
  }
  static void expect_all(int expected, const std::vector<int>& ends) {
    for (size_t i = 0; i < ends.size(); ++i) EXPECT_EQ(ends[i], expected) << "member " << i;
  }
  /// After the next contact everything is in one epoch at all members, with that epoch's counters.
  /// Returns true if it is another one than `before`.
  bool expect_one_epoch(const Digest& before) {
    expect_all(kOk, contact(open_everything));
    const Digest epoch = epoch_of(0);
    for (PartyId i = 0; i < n_; ++i) {
      const auto member = state(i);
      EXPECT_EQ(epoch_of(i), epoch);
      for (const auto& meta : member->loaded().list()) EXPECT_EQ(meta.epoch, epoch);
      EXPECT_FALSE(store::EpochChange(member->db(), member->rid()).staged());
      // A killed session, of which a test has at most two, counts as one batch more
      // (store/open_mark.h).
      const auto counters = member->once().counters();
      EXPECT_GE(counters.dirty, epoch == before ? kDirtyMax : 0u);
      EXPECT_LE(counters.dirty, epoch == before ? kDirtyMax + 2 : 0u);
      EXPECT_GE(counters.life, kDirtyMax);
      EXPECT_LE(counters.life, kDirtyMax + 2);
    }
    return epoch != before;
  }
  /// The set of all rows, which is one at all members.
  store::RowSet set_of_all() {
    std::set<store::RowSet> sets;
    for (PartyId i = 0; i < n_; ++i) {
      const auto member = state(i);
      EXPECT_EQ(member->secrets().num_staged(), 0u);
      for (const auto& meta : member->secrets().list()) {
        // Two imports are two sets; what is asked here is whether members differ.
        if (meta.version == 2) sets.insert(meta.set);
        EXPECT_EQ(meta.epoch, Digest{});
      }
    }
    EXPECT_EQ(sets.size(), 1u);
    return *sets.begin();
  }
  /// Alters member i's row of version 2.
  void alter_row(PartyId i, const std::function<void(std::span<uint8_t>)>& change) {
    const auto member = state(i);
    const std::string kind = store::rows_of_room("row", member->rid());
    const auto under = [](ByteView meta) {
      return store::row_associated_data(store::RecordMeta::decode(meta));
    };
    const Bytes key = store::record_key(member->secret("joint/key").id, 2);
    auto row = member->db().get(kind, key, under);
    change(row->secret.writable());
    member->db().put(kind, key, row->meta, row->secret.reveal(), under);
  }
  Digest epoch_of(PartyId i) {
    const auto member = state(i);
    return store::EpochStore(member->db()).load(member->rid())->epoch_id;
  }

  fs::path root_;
  size_t n_ = 0;
  RoomConfig room_;
  std::vector<MemberConfig> members_;
};

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

// M3, M7, M12: a lie in a load burns the epoch and touches no row.
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

TEST_F(SecretRefreshTest, ALieInALoadBurnsTheEpochAndCostsNoSecret) {
  for (const size_t n : {2u, 3u}) {
    make_room(n);
    const store::RowSet set = set_of_all();
    for (const std::string label : {"rows/re-mask", "rows/product", "rows/zero verdict"}) {
      back();
      (void)contact(open_everything, {0, "", [&](PartyId i, net::Party& party) {
                                        if (i != 0) return;
                                        party.set_tamper(flip_bit_of(label, 0));
                                      }});
      EXPECT_TRUE(state(1)->once().counters().burned) << label;
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
    EXPECT_TRUE(state(1)->once().counters().burned);
    EXPECT_EQ(state(1)->once().counters().life, 1u);
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

// --- Secrets as they lay before there were rows --------------------------------------------------

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
