#include "room/own_inputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <ctime>
#include <filesystem>

#include "agreement/member_statements.h"
#include "base/codec.h"
#include "call/links_text.h"
#include "room/waiting.h"
#include "room/waiting_script.h"

namespace flexroom::room {
namespace {

using ::testing::HasSubstr;

std::string link(int64_t seconds_ago = 0) {
  const std::time_t at = std::time(nullptr) - seconds_ago;
  char date[32];
  std::strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", std::gmtime(&at));
  return "https://data.example/private-object?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=" +
         std::string(date) +
         "&X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature=" + std::string(64, 'b');
}

std::string links_text(const std::string& url) {
  return "data_url = \"" + url + "\"\nresult_url = \"" + url + "\"\nresult_get_url = \"" + url +
         "\"\n";
}

/// A member's state in a room of two.
class OwnInputsTest : public ::testing::Test {
 protected:
  OwnInputsTest() {
    char name[] = "/tmp/flexroom-inputs-XXXXXX";
    root_ = mkdtemp(name);
    RoomConfig room;
    room.name = "test";
    room.courier = "m1";
    MemberConfig member;
    for (const std::string one : {"m0", "m1"}) {
      const net::Identity identity = net::Identity::make(one);
      room.members.push_back({one, {"127.0.0.1", 9}, to_hex(identity.fingerprint())});
      if (one == "m1") continue;
      identity.save(root_ / "identity");
      member.name = one;
    }
    (void)store::SealKey::create(root_ / "state.key");
    member.state_dir = root_ / "state";
    member.identity_dir = root_ / "identity";
    member.state_key_file = root_ / "state.key";
    member.once_key_file = root_ / "once.key";
    state_ = std::make_unique<session::MemberState>(room, member);
    state_->db().transaction([&] { state_->found(store::RoomId{5}, {{1}, {2}}); });
    proposal_[0] = 7;
    job_.deadline_minutes = 30;
  }
  ~OwnInputsTest() override {
    state_.reset();
    std::filesystem::remove_all(root_);
  }
  agreement::GivenInput given(const OwnInput& input) const {
    agreement::GivenInput out;
    out.member = state_->mids()[0];
    out.body = {proposal_, input.slot, input.public_part, input.commitment()};
    return out;
  }
  void refuses(const Inputs& inputs, const std::string& words) {
    try {
      (void)own_links_given(*state_, proposal_, job_, inputs);
      ADD_FAILURE() << words;
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), HasSubstr(words));
    }
  }
  std::filesystem::path root_;
  std::unique_ptr<session::MemberState> state_;
  Digest proposal_{};
  JobConfig job_;
};

TEST_F(OwnInputsTest, KeepsWhatItsMemberGaveAndFindsItAgain) {
  const OwnInput input = input_of_links(*state_, links_text(link()), job_);
  OwnInputs(*state_).put(proposal_, input);
  const StoredLinks found = own_links_given(*state_, proposal_, job_, {given(input)});
  EXPECT_EQ(public_links_text(found.own("test").public_part(state_->member().name)),
            to_text(input.public_part));
  EXPECT_EQ(OwnInputs(*state_).proposals(), std::vector{proposal_});
  OwnInputs(*state_).forget(proposal_);
  EXPECT_TRUE(OwnInputs(*state_).proposals().empty());
  refuses({given(input)}, "whose private part is not here");
}

// M35: what is committed to is what runs, or nothing does.
TEST_F(OwnInputsTest, OtherLinksThanItGaveAreNotUsed) {
  const OwnInput first = input_of_links(*state_, links_text(link()), job_);
  const OwnInput other = input_of_links(*state_, links_text(link()), job_);
  EXPECT_NE(first.commitment(), other.commitment());
  OwnInputs(*state_).put(proposal_, other);
  refuses({given(first)}, "whose private part is not here");
  agreement::GivenInput mixed = given(other);
  mixed.body.public_part = first.public_part;
  refuses({mixed}, "are not those that it gave");
}

TEST_F(OwnInputsTest, LinksThatEndTooSoonAreRefusedBeforeTheyAreGivenAndBeforeTheRun) {
  EXPECT_THROW((void)input_of_links(*state_, links_text(link(2400)), job_), InputError);
  job_.deadline_minutes = 1;
  const OwnInput input = input_of_links(*state_, links_text(link(2400)), job_);
  OwnInputs(*state_).put(proposal_, input);
  job_.deadline_minutes = 30;
  refuses({given(input)}, "");
}

// Everybody's part is looked at, and of everybody there is one.
TEST_F(OwnInputsTest, LinksOfAllAreThereAndAreLinks) {
  const OwnInput input = input_of_links(*state_, links_text(link()), job_);
  agreement::GivenInput own = given(input), other = given(input);
  EXPECT_THROW((void)links_given(*state_, {own}), InputError);
  other.member = state_->mids()[1];
  EXPECT_EQ(links_given(*state_, {own, other}).size(), 2);
  other.body.public_part = to_bytes("{}");
  EXPECT_THROW((void)links_given(*state_, {own, other}), InputError);
}

// One run, one machine: the token says which.
TEST(ClientTokenTest, IsOfTheRun) {
  Digest run{}, other{};
  other[31] = other[0] = 1;
  EXPECT_EQ(client_token_of(run).size(), 36);
  EXPECT_NE(client_token_of(run), client_token_of(other));
}

}  // namespace
}  // namespace flexroom::room
