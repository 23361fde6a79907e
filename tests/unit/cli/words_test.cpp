#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "agreement/words.h"
#include "session/room_terms.h"
#include "support/room_rig.h"

// members.md 1.1: no room is set up with members whose words nobody compared.

namespace flexroom::cli {
namespace {

using support::RoomRig;
using ::testing::HasSubstr;

/// Nobody is there who could answer.
int init_alone(Output& out, const Common& common, const std::vector<std::string>& words) {
  const int nobody = open("/dev/null", O_RDONLY);
  dup2(nobody, STDIN_FILENO);
  return init_room(out, common, false, words);
}

TEST(WordsTest, NoRoomIsSetUpBeforeTheyWereCompared) {
  RoomRig rig(2);
  const auto member = rig.dir(0) / "member.toml";
  std::ofstream(member, std::ios::app) << "words_file = \"words.toml\"\n";
  const auto init = [&](const std::vector<std::string>& words) {
    return rig.run_one(
        0, [&](PartyId, Output& out, Common& common) { return init_alone(out, common, words); });
  };
  const RoomRig::Ended none = init({});
  EXPECT_EQ(none.code, kRefused);
  EXPECT_THAT(none.error(), HasSubstr("the words of m1 were not compared yet"));
  const RoomRig::Ended wrong = init({"m1=abandon ability able about"});
  EXPECT_EQ(wrong.code, kRefused);
  EXPECT_THAT(wrong.error(), HasSubstr("do not fit the entry of m1"));
  EXPECT_FALSE(std::filesystem::exists(rig.dir(0) / "state"));
  // With the right ones it goes on, to the other member, and asks no more. Of two, no name is said.
  const std::string right = agreement::words(
      session::member_text(RoomConfig::load(rig.dir(0) / "room.toml"), 1), agreement::kKeyWords);
  for (const RoomRig::Ended& ended : rig.run([&](PartyId i, Output&out, Common&common) {
         return init_alone(out, common, i == 0 ? std::vector{right} : std::vector<std::string>());
       })) {
    EXPECT_EQ(ended.code, kOk) << ended.out;
  }
}

}  // namespace
}  // namespace flexroom::cli
