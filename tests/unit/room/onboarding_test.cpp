#include "flexroom/onboarding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <functional>

#include "config/config.h"
#include "flexroom/identity.h"
#include "flexroom/session.h"
#include "room/compared_words.h"
#include "room/onboarding_files.h"

// The whole road of three members, their words and their room: tests/e2e/onboarding_test.py.

namespace flexroom {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kNow = 1'800'000'000, kDay = 86'400;

class OnboardingTest : public ::testing::Test {
 protected:
  OnboardingTest() {
    char name[] = "/tmp/flexroom-onboarding-XXXXXX";
    root_ = mkdtemp(name);
    new_.room = "study";
    new_.member = "hospital-a";
    new_.address = "a.example:7100";
    new_.folder = root_ / "a";
    new_.members = 2;
    new_.provider = "aws";
    new_.account_opener = "hospital-a";
    new_.account_root = "its director";
    join_.invitation = a("study.invitation.toml");
    join_.member = "hospital-b";
    join_.address = "b.example:7100";
    join_.folder = root_ / "b";
  }
  ~OnboardingTest() override { fs::remove_all(root_); }

  fs::path a(const std::string& file) const { return root_ / "a" / file; }
  fs::path b(const std::string& file) const { return root_ / "b" / file; }
  static std::string read(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static void write(const fs::path& file, const std::string& text) {
    std::ofstream(file, std::ios::binary) << text;
  }
  /// Another text in a file, for as long as `action` runs; its error.
  static std::string altered(const fs::path& file, const std::string& from, const std::string& to,
                             const std::function<void()>& action) {
    const std::string before = read(file);
    std::string text = before;
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    write(file, text.replace(at, from.size(), to));
    const std::string out = error(action);
    write(file, before);
    return out;
  }
  static std::string error(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& e) {
      exit_ = e.exit();
      return e.what();
    }
    return "no error";
  }
  void found() {
    (void)new_room(new_);
    (void)invite(a("member.toml"), 14 * kDay, kNow);
  }
  void meet() {
    found();
    (void)join_room(join_, kNow);
    (void)add_member(a("member.toml"), b("hospital-b.reply.toml"), kNow);
  }
  void join() { (void)join_room(join_, kNow); }
  void add() { (void)add_member(a("member.toml"), b("hospital-b.reply.toml"), kNow); }
  void seal() { (void)seal_room(a("member.toml")); }
  void finish() { (void)finish_room(b("member.toml"), a("room.toml")); }

  fs::path root_;
  NewRoom new_;
  JoinRoom join_;
  static inline Exit exit_ = Exit::kOk;
};

TEST_F(OnboardingTest, BothEndWithOneRoomAndComparedWords) {
  meet();
  seal();
  finish();
  EXPECT_EQ(read(a("room.toml")), read(b("room.toml")));
  const RoomConfig room = RoomConfig::load(b("room.toml"));
  EXPECT_EQ(room.members.size(), 2u);
  EXPECT_EQ(room.account_root, "its director");
  EXPECT_EQ(room.courier, "hospital-b");
  const WordsOfRoom of_a = words_of_room(a("member.toml"));
  EXPECT_THAT(of_a.missing, ElementsAre("hospital-b"));
  EXPECT_THAT(words_missing(b("member.toml")), ElementsAre("hospital-a"));
  // As people write it down; what is wrong is kept nowhere, and the right words are not told.
  const std::string wrong = error([&] {
    compare_words(b("member.toml"), {{"hospital-a", "abandon ability able about"}});
  });
  EXPECT_EQ(exit_, Exit::kRefused);
  EXPECT_THAT(wrong, HasSubstr("do not fit the entry of hospital-a"));
  EXPECT_EQ(wrong.find(of_a.own), std::string::npos);
  EXPECT_THAT(words_missing(b("member.toml")), ElementsAre("hospital-a"));
  compare_words(b("member.toml"), {{"hospital-a", "  " + of_a.own + "."}});
  EXPECT_THAT(words_missing(b("member.toml")), IsEmpty());
  // Until the room is set up any altered byte asks for them again, then another certificate.
  const std::string before = read(b("room.toml"));
  std::string moved = before, other = before;
  moved.replace(moved.find("a.example"), 9, "x.example");
  other.replace(other.find(room.members[0].certificate_sha256), 2, "zz");
  other.replace(other.find("zz"), 2, room.members[0].certificate_sha256[0] == '0' ? "10" : "00");
  write(b("room.toml"), moved);
  EXPECT_THAT(words_missing(b("member.toml")), ElementsAre("hospital-a"));
  room::note_set_up(MemberConfig::load(b("member.toml")));
  EXPECT_THAT(words_missing(b("member.toml")), IsEmpty());
  write(b("room.toml"), other);
  EXPECT_THAT(words_missing(b("member.toml")), ElementsAre("hospital-a"));
}

TEST_F(OnboardingTest, AnInterruptedStepGoesOnAndARepeatedOneChangesNothing) {
  meet();
  const std::string draft = read(a("room.draft.toml")), reply = read(b("hospital-b.reply.toml"));
  EXPECT_TRUE(invite(a("member.toml"), kDay, kNow).was_there);
  EXPECT_TRUE(add_member(a("member.toml"), b("hospital-b.reply.toml"), kNow).was_there);
  // As a kill leaves it between the keys and the files behind them.
  fs::remove(b("hospital-b.reply.toml"));
  fs::remove(b("invitation.toml"));
  join();
  EXPECT_EQ(read(b("hospital-b.reply.toml")), reply);
  seal();
  const std::string sealed = read(a("room.toml"));
  EXPECT_TRUE(seal_room(a("member.toml")).was_there);
  EXPECT_EQ(read(a("room.toml")), sealed);
  EXPECT_EQ(read(a("room.draft.toml")), draft);
  write(a("room.toml"), sealed + "# other\n");
  EXPECT_THAT(error([&] { seal(); }), HasSubstr("never overwritten"));
}

TEST_F(OnboardingTest, KeysAreForOneInvitationThatWasReadBefore) {
  found();
  join();
  std::string other = read(a("study.invitation.toml"));
  other.replace(other.find("*.amazonaws.com"), 15, "*.amazonaws.org");
  write(root_ / "other.toml", other);
  join_.invitation = root_ / "other.toml";
  EXPECT_THAT(error([&] { join(); }), HasSubstr("another invitation"));
  // Nor keys that somebody may know already.
  (void)make_identity({"hospital-b", root_ / "c", ""});
  join_.folder = root_ / "c";
  EXPECT_THAT(error([&] { join(); }), HasSubstr("made for something else"));
  EXPECT_FALSE(fs::exists(root_ / "c" / "hospital-b.reply.toml"));
}

TEST_F(OnboardingTest, WhatWasAlteredOnItsWayIsNamed) {
  found();
  const fs::path invitation = a("study.invitation.toml"), reply = b("hospital-b.reply.toml");
  EXPECT_THAT(altered(invitation, "size = 2", "sice = 2", [&] { join(); }),
              AllOf(HasSubstr("study.invitation.toml:"), ContainsRegex("[0-9]+:[0-9]+"),
                    HasSubstr("unknown key `sice`")));
  EXPECT_THAT(altered(invitation, "format = 1", "format = 2", [&] { join(); }),
              HasSubstr("`format` is not an integer from 1 to 1"));
  EXPECT_THAT(altered(invitation, "a.example:7100", "a\\\"x.example:7100", [&] { join(); }),
              HasSubstr("neither a name nor an address"));
  EXPECT_THAT(
      altered(invitation, "[room]", std::string(300'000, '#') + "\n[room]", [&] { join(); }),
      HasSubstr("larger than"));
  EXPECT_FALSE(fs::exists(root_ / "b"));
  join();
  EXPECT_THAT(altered(reply, "certificate = \"", "certificate = \"00:", [&] { add(); }),
              HasSubstr("is not 64 hex digits"));
  const std::string digest = read(reply).substr(read(reply).find("invitation = \"") + 14, 64);
  EXPECT_THAT(altered(reply, digest, std::string(64, '0'), [&] { add(); }),
              HasSubstr("answers another invitation"));
  EXPECT_THAT(altered(reply, "certificate_der = \"MII", "certificate_der = \"MIJ", [&] { add(); }),
              HasSubstr("is not the fingerprint"));
  EXPECT_THAT(altered(reply, "\"b.example:7100\"", "\"a.example:7100\"", [&] { add(); }),
              HasSubstr("has the address of hospital-a"));
  EXPECT_THAT(altered(reply, "\"hospital-b\"\naddress", "\"hospital-a\"\naddress", [&] { add(); }),
              HasSubstr("has the name of hospital-a"));
  EXPECT_THAT(altered(a("room.draft.toml"), "*.amazonaws.com", "*.amazonaws.org", [&] { add(); }),
              HasSubstr("differs from the invitation that was sent"));
  EXPECT_THAT(error([&] { seal(); }), HasSubstr("1 of 2 members"));
  add();
  seal();
  const fs::path sealed = a("room.toml");
  EXPECT_THAT(altered(sealed, "*.amazonaws.com", "*.amazonaws.org", [&] { finish(); }),
              AllOf(HasSubstr("differs from the invitation"), HasSubstr("*.amazonaws.org")));
  EXPECT_THAT(altered(sealed, "a.example:7100", "x.example:7100", [&] { finish(); }),
              HasSubstr("has not the entry of hospital-a"));
  const std::string own = RoomConfig::load(sealed).members[1].certificate_sha256;
  EXPECT_THAT(altered(sealed, own, std::string(64, 'd'), [&] { finish(); }),
              HasSubstr("another certificate of hospital-b"));
  EXPECT_FALSE(fs::exists(b("room.toml")));
}

TEST_F(OnboardingTest, AnInvitationEnds) {
  found();
  EXPECT_THAT(error([&] { (void)join_room(join_, kNow + 15 * kDay); }), HasSubstr("ended 20"));
  join();
  EXPECT_THAT(error([&] {
                (void)add_member(a("member.toml"), b("hospital-b.reply.toml"), kNow + 15 * kDay);
              }),
              HasSubstr("comes late"));
  EXPECT_THAT(error([&] { (void)invite(a("member.toml"), kDay, kNow + 15 * kDay); }),
              HasSubstr("has ended"));
  fs::remove(a("study.invitation.toml"));
  EXPECT_THAT(error([&] { (void)invite(a("member.toml"), 91 * kDay, kNow); }),
              HasSubstr("90 days"));
}

TEST_F(OnboardingTest, ADraftIsJudgedBeforeKeysAreMade) {
  const auto refused = [&](const std::function<void(NewRoom&)>& change) {
    NewRoom options = new_;
    change(options);
    const std::string out = error([&] { (void)new_room(options); });
    EXPECT_FALSE(fs::exists(root_ / "a")) << out;
    return out;
  };
  EXPECT_THAT(refused([](NewRoom& o) { o.room = "a/b"; }), HasSubstr("not a name"));
  EXPECT_THAT(refused([](NewRoom& o) { o.members = 17; }), HasSubstr("2 to 16"));
  EXPECT_THAT(refused([](NewRoom& o) { o.provider = "azure"; }), HasSubstr("neither aws nor"));
  EXPECT_THAT(refused([](NewRoom& o) { o.address = "x"; }), HasSubstr("HOST:PORT"));
  EXPECT_THAT(refused([](NewRoom& o) { o.address = "x\"\n:1"; }), HasSubstr("neither a name"));
  EXPECT_THAT(refused([](NewRoom& o) { o.account_root = ""; }), HasSubstr("--root"));
  EXPECT_THAT(refused([](NewRoom& o) { o.account_opener = "a\nb"; }), HasSubstr("--opens"));
  EXPECT_THAT(refused([](NewRoom& o) {
                o.provider = "sandbox";
                o.connect_to = "nowhere";
              }),
              HasSubstr("connect_to"));
}

/// Who would say yes to everything.
class Careless final : public Decider {
 public:
  Answer approve(const Summary&) override { return Answer::kYes; }
  std::optional<std::string> human_input(const Question&) override { return "yes"; }
};

TEST_F(OnboardingTest, TheLibrarySetsUpNoRoomBeforeWordsWereCompared) {
  meet();
  seal();
  finish();
  RoomOptions options;
  options.member_file = b("member.toml");
  std::atomic<bool> stop{true};  // whoever joins the others all the same does not wait
  options.cancel = &stop;
  Room room(options);
  Careless decider;
  EXPECT_THAT(error([&] { (void)Session(room, decider).init(false); }),
              HasSubstr("the words of hospital-a were not compared yet"));
  EXPECT_EQ(exit_, Exit::kRefused);
}

TEST(RoomWarning, SaysWhatIsLostAndWhoHoldsTheRoot) {
  const std::string born = room_warning(3, kBornInRoom, kBornInRoom);
  EXPECT_THAT(born, HasSubstr("All 3 members are needed for every run"));
  EXPECT_THAT(born, HasSubstr("an account whose password only this room knows IS lost with it"));
  EXPECT_THAT(born, HasSubstr("Nobody holds it"));
  EXPECT_THAT(
      room_warning(2, "hospital-a", "its director"),
      AllOf(HasSubstr("Who opens the account: hospital-a. Who holds its root: its director"),
            HasSubstr("can use, change and close the account alone")));
}

}  // namespace
}  // namespace flexroom
