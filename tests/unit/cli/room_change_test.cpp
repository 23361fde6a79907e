#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/epoch_change.h"
#include "store/epoch_store.h"
#include "store/room_register.h"
#include "support/room_rig.h"

// Members come and go (members.md §2, 4): `flexroom room change` in processes of its own, as a user
// runs it; killed in between; what is left on the disks of before.

namespace flexroom {
namespace {

using support::RoomRig;
using ::testing::HasSubstr;

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
  store::RegisterRow registered(PartyId i) const {
    const MemberConfig member = MemberConfig::load(rig.dir(i) / "member.toml");
    const auto db = session::open_state_db(member);
    store::OnceDb once(member.state_dir / "once.db", member.once_key_file, true, {8, 64});
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

// members.md §1.1, §4.2 (`rows = no`): a name and the courier change through the switch; room.toml
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

// M16, M20 (members.md §4.2, §4.4): killed behind each durable step; nothing else runs meanwhile;
// the same command finishes it at all members.
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

// Before anybody is bound who is ready takes it back, alone where nobody leaves (members.md §4.2).
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

// M21 (members.md §4.4): state.db of before the change put back is refused by that name.
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

// What needs new rows is refused by name before anything is shown, and the room goes on.
TEST(RoomChangeTest, AMemberMoreIsRefusedAndTheRoomGoesOn) {
  ChangeRig r;
  const std::vector<PartyId> old_ones = {0, 1}, all = {0, 1, 2};
  r.write(all, "room.toml", r.text(old_ones, "m1"));
  expect_codes(r.init(old_ones), old_ones, cli::kOk);
  r.write(all, "then.toml", r.text(all, "m1"));
  const auto refused = r.change(all, to_file());
  expect_codes(refused, all, cli::kBadInput);
  expect_codes(r.init(old_ones), old_ones, cli::kOk);
}

}  // namespace
}  // namespace flexroom
