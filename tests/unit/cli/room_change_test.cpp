#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "prep/rows.h"
#include "store/epoch_change.h"
#include "store/epoch_store.h"
#include "store/room_register.h"
#include "support/room_rig.h"

// Members come and go (members.md 2, 4): `flexroom room change` in processes of its own, as a user
// runs it; killed in between; what is left on the disks of before.

namespace flexroom {
namespace room_change_test {

using support::RoomRig;
using ::testing::HasSubstr;

constexpr uint32_t kLife = 64;
constexpr std::string_view kValue = "a secret that outlives its members!!";

/// Three identities; who of them is in the room is what room.toml of each says.
class ChangeRig {
 public:
  ChangeRig() : rig(3) {
    const std::string& all = rig.room_text();
    size_t at = all.find("[[member]]");
    head = all.substr(0, at);
    while (at != std::string::npos) {
      const size_t next = all.find("[[member]]", at + 1);
      entries.push_back(all.substr(at, next - at));
      at = next;
    }
  }
  std::string text(const std::vector<PartyId>& members, const std::string& courier) const {
    std::string out = head + "courier = \"" + courier + "\"\n";
    for (const PartyId i : members) out += entries[i];
    return out;
  }
  void write(const std::vector<PartyId>& who, const std::string& name, const std::string& text) {
    for (const PartyId i : who) rig.write(i, name, text);
  }
  std::vector<RoomRig::Ended> change(const std::vector<PartyId>& who, RoomChangeRequest request,
                                     const std::string& kill_at = "", PartyId victim = 99) {
    return rig.run_some(who, [=, this](PartyId i, cli::Output& out, cli::Common& common) {
      if (i == victim) {
        common.fault = [kill_at](std::string_view step) {
          if (step == kill_at) kill(getpid(), SIGKILL);
        };
      }
      RoomChangeRequest own = request;
      if (!own.file.empty()) own.file = rig.dir(i) / own.file;
      return cli::room_change(out, common, own);
    });
  }
  std::vector<RoomRig::Ended> init(const std::vector<PartyId>& who) {
    return rig.run_some(who, [](PartyId, cli::Output& out, cli::Common& common) {
      return cli::init_room(out, common, false);
    });
  }
  void import(const std::vector<PartyId>& who) {
    std::vector<Bytes> shares(who.size(), to_bytes(kValue));
    for (size_t k = 0; k + 1 < who.size(); ++k) {
      for (size_t b = 0; b < kValue.size(); ++b) {
        shares[k][b] = static_cast<uint8_t>(17 * b + k);
        shares.back()[b] ^= shares[k][b];
      }
    }
    for (size_t k = 0; k < who.size(); ++k) {
      const nlohmann::json json = {{"name", "joint"},
                                   {"kind", "test"},
                                   {"class", "raw"},
                                   {"length", kValue.size()},
                                   {"share", to_hex(shares[k])}};
      rig.write(who[k], "secret.json", json.dump());
    }
    for (const auto& ended : rig.run_some(who, [&](PartyId i, cli::Output&out, cli::Common&common) {
           return cli::secret_import(out, common, rig.dir(i) / "secret.json");
         })) {
      EXPECT_TRUE(ended.out.empty() || ended.code == cli::kOk) << ended.out;
    }
  }
  /// This member's row of the secret as it lies in that folder's state.db; empty: none.
  Bytes row(const std::filesystem::path& folder) const {
    const MemberConfig member = MemberConfig::load(folder / "member.toml");
    const auto db = session::open_state_db(member);
    const auto record = store::RoomStore(*db).find("rig");
    if (!record) return {};
    store::SecretStore secrets(*db, record->rid);
    for (const store::RecordMeta& meta : secrets.list()) {
      const SecretBytes bytes = secrets.row(meta.id, meta.version);
      return {bytes.reveal().begin(), bytes.reveal().end()};
    }
    return {};
  }
  /// The value in the XOR of rows: blocks 1.. of x (members.md 3.1).
  static std::string opened(const std::vector<Bytes>& rows) {
    Bytes sum(rows.front().size());
    for (const Bytes& one : rows) {
      if (one.size() != sum.size()) return "";
      for (size_t b = 0; b < sum.size(); ++b) sum[b] ^= one[b];
    }
    return to_text(ByteView(sum).subspan(16, kValue.size()));
  }
  std::string value(const std::vector<PartyId>& who) const {
    std::vector<Bytes> rows;
    for (const PartyId i : who) rows.push_back(row(rig.dir(i)));
    return opened(rows);
  }
  store::RegisterRow registered(PartyId i) const {
    const MemberConfig member = MemberConfig::load(rig.dir(i) / "member.toml");
    const auto db = session::open_state_db(member);
    store::OnceDb once(member.state_dir / "once.db", member.once_key_file, true, {8, kLife});
    const auto record = store::RoomStore(*db).find("rig");
    return store::RoomRegister(once, record->rid).get().value_or(store::RegisterRow{});
  }

  RoomRig rig;
  std::string head;
  std::vector<std::string> entries;
};

RoomChangeRequest to_file() {
  RoomChangeRequest out;
  out.file = "then.toml";
  return out;
}

void expect_codes(const std::vector<RoomRig::Ended>& ended, const std::vector<PartyId>& who,
                  int code) {
  for (const PartyId i : who)
    EXPECT_EQ(ended[i].code, code) << "member " << i << "\n" << ended[i].out;
}

// members.md 1.1, 4.2 (`rows = no`): a name and the courier change through the switch; room.toml
// and member.toml say so afterwards; one that differs is refused with the command (M24).
TEST(RoomChangeTest, NameAndCourierChangeWithoutRows) {
  ChangeRig r;
  const std::vector<PartyId> all = {0, 1, 2};
  r.write(all, "room.toml", r.text(all, "m1"));
  expect_codes(r.init(all), all, cli::kOk);
  RoomChangeRequest request;
  request.rename = {"m0=alpha"};
  request.courier = "m2";
  const auto ended = r.change(all, request);
  expect_codes(ended, all, cli::kOk);
  for (const PartyId i : all) {
    EXPECT_EQ(ended[i].last().value("place", ""), "new");
    EXPECT_TRUE(ended[i].last().value("complete", false));
    const std::string toml = RoomRig::read(r.rig.dir(i) / "room.toml");
    EXPECT_THAT(toml, HasSubstr("courier = \"m2\""));
    EXPECT_THAT(toml, HasSubstr("name = \"alpha\""));
    EXPECT_EQ(r.registered(i).standing.place, agreement::Place::kNew);
  }
  EXPECT_THAT(RoomRig::read(r.rig.dir(0) / "member.toml"), HasSubstr("name = \"alpha\""));
  // The room works, and its log is whole.
  expect_codes(r.init(all), all, cli::kOk);
  const auto log = r.rig.run_one(1, [](PartyId, cli::Output& out, cli::Common& common) {
    return cli::show_log(out, common, true);
  });
  EXPECT_EQ(log.code, cli::kOk) << log.out;
  // M24: an edited room.toml is refused by every command, with the one that changes it.
  std::string other = RoomRig::read(r.rig.dir(1) / "room.toml");
  other.replace(other.find("courier = \"m2\""), 14, "courier = \"m1\"");
  r.rig.write(1, "room.toml", other);
  const auto refused = r.rig.run_one(1, [](PartyId, cli::Output& out, cli::Common& common) {
    return cli::secret_list(out, common);
  });
  EXPECT_EQ(refused.code, cli::kBadInput);
  EXPECT_THAT(refused.error(), HasSubstr("courier m1 here, m2 there"));
  EXPECT_THAT(refused.out, HasSubstr("flexroom room change"));
}

// M16, M20 (members.md 4.2, 4.4): killed behind each durable step; nothing else runs meanwhile; the
// same command finishes it at all members.
TEST(RoomChangeTest, KilledBehindADurableStepTheSameCommandFinishes) {
  ChangeRig r;
  const std::vector<PartyId> two = {0, 1};
  r.write(two, "room.toml", r.text(two, "m1"));
  expect_codes(r.init(two), two, cli::kOk);
  r.rig.save("start");
  for (const std::string step : {"register ready", "signed READY", "register bound", "signed BIND",
                                 "register new", "moved"}) {
    SCOPED_TRACE(step);
    r.rig.restore("start");
    RoomChangeRequest request;
    request.rename = {"m1=beta"};
    const auto first = r.change(two, request, step, 1);
    EXPECT_TRUE(first[1].killed) << first[1].out;
    const auto meanwhile = r.rig.run_one(1, [](PartyId, cli::Output& out, cli::Common& common) {
      return cli::secret_list(out, common);
    });
    EXPECT_EQ(meanwhile.code, cli::kBadInput) << meanwhile.out;
    EXPECT_THAT(meanwhile.out, HasSubstr("flexroom room change"));
    const auto again = r.change(two, request);
    for (const PartyId i : two) {
      // Who is done already and not waited for may come alone.
      EXPECT_EQ(again[i].last().value("place", again[i].error()), "new") << again[i].out;
      EXPECT_THAT(RoomRig::read(r.rig.dir(i) / "room.toml"), HasSubstr("name = \"beta\""));
    }
    expect_codes(r.init(two), two, cli::kOk);
  }
}

// Before anybody is bound who is ready takes it back, alone where nobody leaves (members.md 4.2).
TEST(RoomChangeTest, TakenBackBeforeAnybodyIsBound) {
  ChangeRig r;
  const std::vector<PartyId> two = {0, 1};
  r.write(two, "room.toml", r.text(two, "m1"));
  expect_codes(r.init(two), two, cli::kOk);
  RoomChangeRequest request;
  request.rename = {"m1=beta"};
  const auto first = r.change(two, request, "register ready", 1);
  EXPECT_TRUE(first[1].killed);
  RoomChangeRequest back;
  back.back = true;
  const auto ended = r.rig.run_one(1, [&](PartyId, cli::Output& out, cli::Common& common) {
    return cli::room_change(out, common, back);
  });
  EXPECT_EQ(ended.last().value("place", ""), "old") << ended.out;
  // The other one hears it, and the room is as it was.
  const auto heard = r.change(two, request);
  for (const PartyId i : two) EXPECT_THAT(heard[i].out, HasSubstr("\"old\"")) << heard[i].out;
  expect_codes(r.init(two), two, cli::kOk);
}

// M21 (members.md 4.4): state.db of before the change put back is refused by that name.
TEST(RoomChangeTest, StateOfBeforeIsRefused) {
  ChangeRig r;
  const std::vector<PartyId> two = {0, 1};
  r.write(two, "room.toml", r.text(two, "m1"));
  expect_codes(r.init(two), two, cli::kOk);
  RoomRig::copy(r.rig.dir(0) / "state", r.rig.root() / "before");
  RoomChangeRequest request;
  request.rename = {"m1=beta"};
  expect_codes(r.change(two, request), two, cli::kOk);
  for (const char* suffix : {"", "-wal", "-shm"}) {
    const std::string name = std::string("state.db") + suffix;
    std::filesystem::remove(r.rig.dir(0) / "state" / name);
    if (std::filesystem::exists(r.rig.root() / "before" / name)) {
      std::filesystem::copy(r.rig.root() / "before" / name, r.rig.dir(0) / "state" / name);
    }
  }
  const auto refused = r.rig.run_one(0, [](PartyId, cli::Output& out, cli::Common& common) {
    return cli::secret_list(out, common);
  });
  EXPECT_EQ(refused.code, cli::kBadInput);
  EXPECT_THAT(refused.error(), HasSubstr("is older than the change of"));
}

// Two members become three and two others again; the secret is the same, and what the removed one
// kept opens nothing (M2, M9, M16; members.md 1.3).
TEST(RoomChangeTest, AMemberJoinsAndOneLeavesAndTheSecretStays) {
  ChangeRig r;
  const std::vector<PartyId> old_ones = {0, 1}, all = {0, 1, 2}, new_ones = {1, 2};
  r.write(all, "room.toml", r.text(old_ones, "m1"));
  expect_codes(r.init(old_ones), old_ones, cli::kOk);
  r.import(old_ones);
  ASSERT_EQ(r.value(old_ones), kValue);
  const Bytes first_row = r.row(r.rig.dir(0));

  r.write(all, "then.toml", r.text(all, "m1"));
  const auto joined = r.change(all, to_file());
  expect_codes(joined, all, cli::kOk);
  EXPECT_EQ(r.value(all), kValue);
  EXPECT_NE(r.row(r.rig.dir(0)), first_row);
  expect_codes(r.init(all), all, cli::kOk);
  RoomRig::copy(r.rig.dir(0), r.rig.root() / "kept");

  r.write(all, "then.toml", r.text(new_ones, "m2"));
  // The joiner of before is killed where its rows lie ready, and the change goes on.
  const auto cut = r.change(all, to_file(), "signed READY", 2);
  EXPECT_TRUE(cut[2].killed) << cut[2].out;
  const auto left = r.change(all, to_file());
  EXPECT_EQ(left[0].last().value("place", left[0].error()), "left") << left[0].out;
  for (const PartyId i : new_ones) {
    EXPECT_EQ(left[i].last().value("place", left[i].error()), "new") << left[i].out;
  }
  EXPECT_EQ(r.value(new_ones), kValue);
  EXPECT_TRUE(r.row(r.rig.dir(0)).empty());
  expect_codes(r.init(new_ones), new_ones, cli::kOk);
  // What the removed member kept, with all rows of the new room but one.
  const Bytes kept = r.row(r.rig.root() / "kept");
  ASSERT_FALSE(kept.empty());
  EXPECT_NE(ChangeRig::opened({kept, r.row(r.rig.dir(1))}), kValue);
  EXPECT_NE(ChangeRig::opened({kept, r.row(r.rig.dir(2))}), kValue);
  EXPECT_NE(ChangeRig::opened({kept, r.row(r.rig.dir(1)), r.row(r.rig.dir(2))}), kValue);
  // It is out: its commands say so.
  const auto out = r.rig.run_one(
      0, [](PartyId, cli::Output& o, cli::Common& common) { return cli::secret_list(o, common); });
  EXPECT_THAT(out.error(), HasSubstr("was left by this member")) << out.out;
}

// M13 (members.md 1.1, 3.2): LIFE counts by member id, whatever its certificate is then.
TEST(RoomChangeTest, ANewCertificateKeepsLife) {
  ChangeRig r;
  const std::vector<PartyId> two = {0, 1};
  r.write(two, "room.toml", r.text(two, "m1"));
  expect_codes(r.init(two), two, cli::kOk);
  r.import(two);
  const MemberConfig member = MemberConfig::load(r.rig.dir(0) / "member.toml");
  store::MemberId peer{};
  {
    const auto db = session::open_state_db(member);
    peer = store::RoomStore(*db).find("rig")->members[1].id;
    store::OnceDb once(member.state_dir / "once.db", member.once_key_file, true, {8, kLife});
    const std::vector<store::MemberId> whom = {peer};
    once.begin_in_life(whom, 5);
  }
  // m1 makes new keys: the third identity's files take the place of its own.
  std::filesystem::remove_all(r.rig.dir(1) / "identity-old");
  for (const char* file : {"member.key", "tls.key", "tls.crt"}) {
    std::filesystem::copy_file(r.rig.dir(2) / "identity" / file, r.rig.dir(1) / "identity" / file,
                               std::filesystem::copy_options::overwrite_existing);
  }
  std::string entry = r.entries[1];
  const auto certificate = [](const std::string& text) {
    const size_t at = text.find("certificate = \"") + 15;
    return text.substr(at, 64);
  };
  RoomChangeRequest request;
  request.certificate = {"m1=" + certificate(r.entries[2])};
  expect_codes(r.change(two, request), two, cli::kOk);
  EXPECT_EQ(r.value(two), kValue);
  expect_codes(r.init(two), two, cli::kOk);
  store::OnceDb once(member.state_dir / "once.db", member.once_key_file, true, {8, kLife});
  // Five more are all that is left of it.
  const std::vector<store::MemberId> whom = {peer};
  EXPECT_THROW(once.require_room_in_life(whom, kLife - 4), ProtocolAbort);
  EXPECT_NO_THROW(once.require_room_in_life(whom, kLife - 5));
}

}  // namespace room_change_test
}  // namespace flexroom
