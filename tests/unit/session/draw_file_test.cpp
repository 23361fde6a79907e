#include "session/draw_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "session/secret_draw.h"

// operations.md (b): what may be born, and every refusal with its line.

namespace flexroom::session {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class DrawFileTest : public ::testing::Test {
 protected:
  DrawFileTest() {
    char name[] = "/tmp/flexroom-draw-XXXXXX";
    root_ = mkdtemp(name);
    write("names/given.txt", "Abner\nBerta\nCelia\nDorea\n");
  }
  ~DrawFileTest() override { fs::remove_all(root_); }
  fs::path write(const std::string& name, const std::string& text) {
    const fs::path path = root_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  DrawFile load(const std::string& text) { return DrawFile::load(write("draw.toml", text)); }
  std::string error(const std::string& text) {
    try {
      (void)load(text);
    } catch (const InputError& e) {
      return e.what();
    }
    return "no error";
  }
  static std::string born(const std::string& lines) { return "[born.x]\n" + lines; }
  std::string list_error(const std::string& list) {
    write("l.txt", list);
    return error(born("list = \"l.txt\"\n"));
  }

  fs::path root_;
};

const std::string kAddress =
    "provider = \"sandbox\"\n[born.\"mail/address\"]\nalphabet = \"base32\"\nlength = 26\n"
    "suffix = \"@example-mail.test\"\nidentifies = true\n"
    "purposes = [\"POST https://mail.flexroom.example/accounts json /address={{}}\"]\n";

TEST_F(DrawFileTest, WholeFilesAreRead) {
  const DrawFile file = load(kAddress +
                             "[born.\"account/password\"]\nalphabet = \"base64url\"\nlength = 22\n"
                             "suffix = \"Aa1!\"\nkind = \"password\"\nreplaces = 3\n"
                             "[born.given]\nlist = \"names/given.txt\"\n"
                             "[born.code]\nalphabet = \"digits\"\nlength = 6\n"
                             "[born.hex]\nalphabet = \"hex\"\nlength = 1\n");
  EXPECT_EQ(file.provider, "sandbox");
  ASSERT_EQ(file.births.size(), 5u);
  std::map<std::string, const Birth*> by_name;
  for (const Birth& birth : file.births) by_name[birth.name] = &birth;
  const Birth& address = *by_name.at("mail/address");
  EXPECT_EQ(address.entropy(), 130u);
  EXPECT_EQ(address.value_class(), "cookie");  // its suffix has '@'
  EXPECT_EQ(address.description(), "26 characters of base32, then @example-mail.test");
  EXPECT_TRUE(address.identifies);
  const Birth& password = *by_name.at("account/password");
  EXPECT_EQ(password.entropy(), 132u);
  EXPECT_EQ(password.kind, "password");
  EXPECT_EQ(password.replaces, 3u);
  EXPECT_EQ(password.value_class(), "cookie");
  EXPECT_EQ(by_name.at("given")->entropy(), 2u);
  EXPECT_EQ(by_name.at("given")->sampler.length, 5u);
  EXPECT_EQ(by_name.at("given")->value_class(), "base32");
  EXPECT_EQ(by_name.at("given")->description(),
            "one of the 4 entries of names/given.txt, 5 bytes each");
  EXPECT_EQ(by_name.at("code")->entropy(), 19u);
  EXPECT_EQ(by_name.at("code")->value_class(), "digits");
  EXPECT_EQ(by_name.at("hex")->value_class(), "hex");
}

// Equal at members whose files mean the same, whatever comments say; another with any other
// meaning.
TEST_F(DrawFileTest, TheDigestIsOfAllThatIsDrawnBy) {
  const std::string text = kAddress + "[born.given]\nlist = \"names/given.txt\"\n";
  const Digest digest = load(text).digest;
  EXPECT_EQ(load("# mine\n" + text).digest, digest);
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"base32", "base64url"},
           {"26", "27"},
           {"@example-mail", "@example"},
           {"identifies = true", "identifies = false"},
           {"json /address", "json /a"},
           {"\"sandbox\"", "\"aws\""},
           {"mail/address", "mail/b"},
           {"identifies", "replaces = 1\nidentifies"},
           {"identifies", "kind = \"k\"\nidentifies"}}) {
    std::string other = text;
    other.replace(other.find(from), from.size(), to);
    EXPECT_NE(load(other).digest, digest) << to;
  }
  write("names/given.txt", "Abner\nBerta\nCelia\nDores\n");
  EXPECT_NE(load(text).digest, digest);
}

TEST_F(DrawFileTest, WhatIsWrongIsNamedWithItsLine) {
  EXPECT_THAT(error("provider = \"x\"\n"), HasSubstr("1 to 32 tables"));
  EXPECT_THAT(error(born("alphabet = \"base58\"\nlength = 20\n")),
              AllOf(HasSubstr("draw.toml:2:"), HasSubstr("none of hex, base32")));
  EXPECT_THAT(error(born("alphabet = \"hex\"\n")), HasSubstr("length"));
  EXPECT_THAT(error(born("alphabet = \"hex\"\nlength = 0\n")), HasSubstr("length"));
  EXPECT_THAT(error(born("alphabet = \"hex\"\nlength = 257\n")), HasSubstr("length"));
  EXPECT_THAT(error(born("alphabet = \"digits\"\nlength = 65\n")), HasSubstr("length"));
  EXPECT_THAT(error(born("alphabet = \"hex\"\nlength = 2\nlist = \"names/given.txt\"\n")),
              HasSubstr("beside `alphabet`"));
  EXPECT_THAT(error(born("alphabet = \"hex\"\nlength = 2\nsuffix = \"{{x}}\"\n")),
              HasSubstr("no literal"));
  EXPECT_THAT(error(born("alphabet = \"hex\"\nlength = 2\nsuffix = \"\\n\"\n")),
              HasSubstr("no literal"));
  EXPECT_THAT(error(born("alphabet = \"base32\"\nlength = 25\nidentifies = true\n")),
              HasSubstr("names the identity with 125 bits, needs 128"));
  EXPECT_THAT(error(born("list = \"names/given.txt\"\nidentifies = true\n")),
              HasSubstr("with 2 bits"));
  EXPECT_THAT(error(born("alphabet = \"hex\"\nlength = 2\nentropy = 8\n")), HasSubstr("entropy"));
  EXPECT_THAT(error("[born.\"account:x\"]\nalphabet = \"hex\"\nlength = 2\n"),
              HasSubstr("no name"));
  EXPECT_THAT(error("[born.\"run/x\"]\nalphabet = \"hex\"\nlength = 2\n"), HasSubstr("no name"));
  EXPECT_THAT(error(born("alphabet = \"hex\"\nlength = 2\npurposes = [\"anywhere\"]\n")),
              HasSubstr("purpose 'anywhere'"));
  EXPECT_THAT(error(born("alphabet = \"hex\"\nlength = 2\nkind = \"\"\n")), HasSubstr("kind"));
}

TEST_F(DrawFileTest, ListsAreSortedDifferentAndOfOneLengthAndLieBesideTheFile) {
  const std::string shape = "2^k sorted, different, printable lines of one length";
  EXPECT_EQ(list_error("a\nb\n"), "no error");
  EXPECT_EQ(list_error("a\nb"), "no error");
  EXPECT_THAT(list_error(""), HasSubstr(shape));
  EXPECT_THAT(list_error("a\n"), HasSubstr(shape));
  EXPECT_THAT(list_error("a\nb\nc\n"), HasSubstr(shape));
  EXPECT_THAT(list_error("b\na\n"), HasSubstr(shape));
  EXPECT_THAT(list_error("a\na\n"), HasSubstr(shape));
  EXPECT_THAT(list_error("a\nbb\n"), HasSubstr(shape));
  EXPECT_THAT(list_error("\n\n"), HasSubstr(shape));
  EXPECT_THAT(list_error("a\r\nb\r\n"), HasSubstr(shape));
  EXPECT_THAT(list_error("\x80\n\x81\n"), HasSubstr(shape));
  EXPECT_THAT(list_error(std::string(4096 * 65 + 1, 'a')), HasSubstr("larger than"));
  for (const std::string name : {"../l.txt", "/etc/l.txt", "l", "a//b.txt", "L.txt", ".txt"}) {
    EXPECT_THAT(error(born("list = \"" + name + "\"\n")), HasSubstr("no name of a list")) << name;
  }
  EXPECT_THAT(error(born("list = \"none.txt\"\n")), HasSubstr("cannot be read"));
  ASSERT_EQ(mkfifo((root_ / "pipe.txt").c_str(), 0600), 0);  // and nothing waits for a writer
  EXPECT_THAT(error(born("list = \"pipe.txt\"\n")),
              AllOf(HasSubstr("draw.toml:2:8"), HasSubstr("pipe.txt, which is not a file")));
}

// A birth obeys what holds for every secret: hosts of its provider, 128 bits to sign.
TEST_F(DrawFileTest, TheRoomsRulesHoldForBirths) {
  RoomConfig room;
  room.name = "r";
  Provider provider;
  provider.name = "sandbox";
  provider.hosts = {"*.flexroom.example", "*.amazonaws.com"};
  room.providers.push_back(provider);
  const auto problem = [&](const std::string& text) {
    try {
      (void)draw_proposal(room, load(text));
    } catch (const InputError& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(problem(kAddress), "no error");
  EXPECT_THAT(problem(kAddress.substr(kAddress.find('\n') + 1)), HasSubstr("names no provider"));
  std::string elsewhere = kAddress;
  elsewhere.replace(elsewhere.find("mail.flexroom.example"), 21, "mail.elsewhere.exampl");
  EXPECT_THAT(problem(elsewhere), HasSubstr("which is none of provider"));
  const std::string signs =
      "provider = \"sandbox\"\n[born.k]\nalphabet = \"hex\"\n"
      "purposes = [\"sigv4 ec2 us-east-1\"]\nlength = ";
  EXPECT_EQ(problem(signs + "32\n"), "no error");
  EXPECT_THAT(problem(signs + "31\n"), HasSubstr("124 bits of entropy"));
  // operations.md (b): what opens a mailbox is not guessed.
  room.providers.front().mailbox = true;
  std::string guessed = kAddress;
  guessed.replace(guessed.find("length = 26"), 11, "length = 25");
  guessed.replace(guessed.find("identifies = true\n"), 18, "");
  EXPECT_THAT(problem(guessed),
              HasSubstr("goes to the mailbox mail.flexroom.example with 125 bits"));
  EXPECT_EQ(problem(kAddress), "no error");
  room.providers.front().mailbox = false;
  EXPECT_EQ(problem(guessed), "no error");
  const auto meta = planned_record(room, load(kAddress), load(kAddress).births[0]);
  EXPECT_EQ(meta.descent, store::Descent::kBorn);
  EXPECT_EQ(meta.bits, 8u * 44);
  EXPECT_EQ(meta.entropy, 130u);
  EXPECT_EQ(meta.owner, "");
}

}  // namespace
}  // namespace flexroom::session
