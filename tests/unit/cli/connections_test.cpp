#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "session/member_state.h"
#include "store/connection_store.h"
#include "support/room_rig.h"

// What members keep of connections to services: tls-complete.md §1.1 (host facts) and, for
// `status`, which connections somebody who recorded all lines reads one day.

namespace flexroom {
namespace {

using support::RoomRig;
using Ended = RoomRig::Ended;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kStatusUrl = "https://sts.us-east-1.amazonaws.com/";
constexpr const char* kStatusHost = "sts.us-east-1.amazonaws.com";

class ConnectionsTest : public ::testing::Test {
 protected:
  void set_up(const std::string& groups) {
    rig_.start_sandbox({"--groups", groups});
    for (const Ended& e : rig_.init()) ASSERT_EQ(e.code, cli::kOk) << e.out;
  }
  void get() {
    for (const Ended& e : rig_.run([](PartyId, cli::Output&out, cli::Common&common) {
           return cli::get_url(out, common, kStatusUrl, "");
         })) {
      ASSERT_EQ(e.last().value("status", 0), 403) << e.out;  // it wants a signature
    }
  }
  nlohmann::json status_of(PartyId i) {
    return rig_
        .run_one(i, [](PartyId, cli::Output& out,
                       cli::Common& common) { return cli::status(out, common); })
        .last();
  }
  RoomRig rig_{2};
};

TEST_F(ConnectionsTest, WhatAHostChoseSavesARoundTripAndIsComparedFirst) {
  set_up("P-256");
  EXPECT_EQ(status_of(0)["connections"].size(), 0u);
  get();
  get();
  for (PartyId i = 0; i < 2; ++i) {
    const auto newest = status_of(i)["newest_connections"];
    ASSERT_EQ(newest.size(), 2u);
    EXPECT_EQ(newest[0]["group"], "p256");
    EXPECT_EQ(newest[0]["retried"], true);   // it had to ask for the key
    EXPECT_EQ(newest[1]["retried"], false);  // which is in the first hello now
    EXPECT_EQ(newest[1]["what"], std::string("get ") + kStatusUrl);
    EXPECT_EQ(newest[1]["host"], kStatusHost);
    EXPECT_NE(newest[0]["session"], newest[1]["session"]);
    const auto counts = status_of(i)["connections"];
    ASSERT_EQ(counts.size(), 1u);
    EXPECT_EQ(counts[0]["count"], 2);
    EXPECT_EQ(counts[0]["last"]["outlasts_recording"], false);
  }

  // A member that lost its memory of the host is no reason to refuse: nobody uses it then.
  rig_.run_one(0, [](PartyId, cli::Output& out, cli::Common& common) {
    const MemberConfig member = MemberConfig::load(common.member_file);
    session::MemberState state(RoomConfig::load(member.room_file), member);
    store::ConnectionStore(state.db(), state.rid()).forget_curve(kStatusHost);
    out.result({{"ok", true}});
    return int{cli::kOk};
  });
  get();
  get();
  for (PartyId i = 0; i < 2; ++i) {
    const auto newest = status_of(i)["newest_connections"];
    ASSERT_EQ(newest.size(), 4u);
    EXPECT_EQ(newest[2]["retried"], true);
    EXPECT_EQ(newest[3]["retried"], false);
  }
}

// In words, for an operator.
TEST_F(ConnectionsTest, StatusSaysWhichAreReadOneDay) {
  set_up("X25519:P-256");
  const auto words = [&] {
    return rig_
        .run_one(0,
                 [](PartyId, cli::Output&, cli::Common& common) {
                   cli::Output text(false);
                   return cli::status(text, common);
                 })
        .out;
  };
  EXPECT_THAT(words(), HasSubstr("no connection to a service was made yet"));
  get();
  EXPECT_THAT(words(), HasSubstr("READS what was sent and answered on 1 connection to " +
                                 std::string(kStatusHost) + " by x25519, the last "));
  EXPECT_THAT(words(), HasSubstr("for get " + std::string(kStatusUrl)));
  EXPECT_THAT(words(), Not(HasSubstr("reads nothing of")));
}

}  // namespace
}  // namespace flexroom
