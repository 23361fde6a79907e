#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/room_rig.h"

// `slots` and `cover` of a provider (tls-complete.md §8.3): calls wait for their slot, the courier
// fills the others with connections that look like them.

namespace flexroom {
namespace {

using support::RoomRig;
using Ended = RoomRig::Ended;
using ::testing::HasSubstr;

constexpr const char* kCoverUrl = "https://sts.us-east-1.amazonaws.com/";
constexpr PartyId kCoverCourier = 1;

class CoverTest : public ::testing::Test {
 protected:
  /// A room whose requests are padded, in slots of a second, with cover.
  void set_up(const std::string& terms) {
    rig_.start_sandbox();
    const std::string room = RoomRig::read(rig_.dir(0) / "room.toml");
    for (PartyId i = 0; i < 2; ++i) rig_.write(i, "room.toml", room + terms);
    for (const Ended& e : rig_.init()) ASSERT_EQ(e.code, cli::kOk) << e.out;
  }
  std::vector<Ended> get() {
    return rig_.run([](PartyId, cli::Output& out, cli::Common& common) {
      return cli::get_url(out, common, kCoverUrl, "");
    });
  }
  Ended cover(PartyId i, const std::string& time) {
    return rig_.run_one(i, [&](PartyId, cli::Output& out, cli::Common& common) {
      return cli::cover(out, common, time);
    });
  }
  nlohmann::json status() {
    return rig_
        .run_one(kCoverCourier, [](PartyId, cli::Output& out,
                                   cli::Common& common) { return cli::status(out, common); })
        .last();
  }
  RoomRig rig_{2};
};

TEST_F(CoverTest, FillsTheSlotsThatNoCallHas) {
  set_up("pad = \"256\"\nslots = \"every 1 s\"\ncover = \"HEAD /\"\n");
  // Nothing is known yet of how a call looks.
  const Ended none = cover(kCoverCourier, "1s");
  EXPECT_EQ(none.code, cli::kBadInput) << none.out;
  EXPECT_THAT(none.error(), HasSubstr("knows of no connection"));
  for (const Ended& e : get()) {
    ASSERT_EQ(e.last().value("status", 0), 403) << e.out;  // it wants a signature
    const auto notes = e.events("note");
    EXPECT_TRUE(std::any_of(notes.begin(), notes.end(), [](const nlohmann::json& note) {
      return note["text"].get<std::string>().find("waits") != std::string::npos;
    })) << e.out;
  }
  // Members that do not open connections make none.
  EXPECT_THAT(cover(0, "1s").error(), HasSubstr("by the courier alone"));
  const Ended made = cover(kCoverCourier, "6s");
  ASSERT_EQ(made.code, cli::kOk) << made.out;
  EXPECT_GE(made.last()["made"].get<int>(), 1);
  EXPECT_EQ(made.last()["failed"], 0) << made.out;
  // No trace of them: neither a fact nor a record.
  EXPECT_EQ(status()["newest_connections"].size(), 1u);
}

// A courier that would have the others wait for nothing they agreed on is not waited for.
TEST_F(CoverTest, AWaitThatIsNoSlotIsRefused) {
  set_up("slots = \"every 1 s\"\n");
  const auto ended = rig_.run([](PartyId i, cli::Output& out, cli::Common& common) {
    if (i == kCoverCourier) {
      common.connected = [](net::Party& party) {
        party.set_tamper([](const net::MessageId& id, Bytes& payload) {
          if (id.label == "slot/wait") payload.at(3) ^= 1;
        });
      };
    }
    return cli::get_url(out, common, kCoverUrl, "");
  });
  EXPECT_NE(ended[0].code, cli::kOk);
  EXPECT_THAT(ended[0].error(), HasSubstr("would wait"));
  EXPECT_NE(ended[kCoverCourier].code, cli::kOk);
}

// One member alone has a timetable: nobody is connected to.
TEST_F(CoverTest, IsATermOfTheRoom) {
  set_up("");
  rig_.write(0, "room.toml", RoomRig::read(rig_.dir(0) / "room.toml") + "slots = \"every 1 s\"\n");
  const auto ended = get();
  for (const Ended& e : ended) EXPECT_EQ(e.code, cli::kRefused) << e.out;
  EXPECT_THAT(ended[1].error(), HasSubstr("slots of provider sandbox"));
}

}  // namespace
}  // namespace flexroom
