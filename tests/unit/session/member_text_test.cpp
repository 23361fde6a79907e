#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "config/config.h"
#include "config/toml.h"
#include "session/room_terms.h"

// What four words stand for (members.md 1.1).

namespace flexroom::session {
namespace {

constexpr const char* kRoom = R"([room]
name = "study"
size = 3
triples = "masked"
account_opened_by = "hospital-a"
account_root = "its director"

[provider.aws]
hosts = ["*.amazonaws.com"]
trust = "exact"
ca_file = "ca.pem"
spki_pin = "1111111111111111111111111111111111111111111111111111111111111111"
connect_to = ["*:443=127.0.0.1:1", "*:444=127.0.0.1:2"]
open_calls = ["POST https://x.amazonaws.com/ header authorization"]

[[member]]
name = "hospital-a"
address = "a.example:7100"
certificate = "6d1f0c7f8d0a4f6fb1f5c2a63c0b7ba1e5b9df2a94ac0cf7d1c9f2c6a2f3e401"

[[member]]
name = "hospital-b"
address = "b.example:7100"
certificate = "0b8c52dd95a94cbb0f7f2ac1e4b7e1f0e3b8d1cf64c9a65bd6a6d3a3f0d9c812"
)";

Bytes text_of(const std::string& toml, PartyId member = 0) {
  return member_text(RoomConfig::draft(TomlTable::parse(toml, "room"), "room"), member);
}

std::string altered(const std::string& from, const std::string& to) {
  std::string out = kRoom;
  const size_t at = out.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return out.replace(at, from.size(), to);
}

TEST(MemberText, IsAnotherOneForEveryAlteredPlace) {
  std::set<Bytes> seen = {text_of(kRoom), text_of(kRoom, 1)};
  size_t count = 2;
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"study\"", "\"studi\""},
           {"size = 3", "size = 4"},
           {"size = 3", ""},
           {"\"masked\"", "\"bucket\""},
           {"size = 3", "size = 3\nprofile = \"high\""},
           {"size = 3", "size = 3\nlink = \"slow\""},
           {"size = 3", "size = 3\nmesh_pq = \"required\""},
           {"size = 3", "size = 3\ntimeout_seconds = 61"},
           {"\"hospital-a\"", "\"hospital-x\""},
           {"its director", "its directors"},
           {"provider.aws", "provider.awt"},
           {"*.amazonaws.com", "*.amazonaws.org"},
           {"\"exact\"", "\"roots\""},
           {"\"ca.pem\"", "\"cb.pem\""},
           {"\"1111", "\"1112"},
           {"127.0.0.1:1\"", "127.0.0.2:1\""},
           {"127.0.0.1:2\"", "127.0.0.1:3\""},
           {"header authorization", "header authorisation"},
           {"ca_file", "pad = \"256\"\nca_file"},
           {"ca_file", "suite = \"chacha20\"\nca_file"},
           {"a.example:7100", "a.example:7101"},
           {"a.example:7100", "b.exampla:7100"},
           {"6d1f", "6d1e"},
           {"f3e401", "f3e400"}}) {
    seen.insert(text_of(altered(from, to)));
    EXPECT_EQ(seen.size(), ++count) << from << " -> " << to;
  }
  // The name of a member, in its entry.
  std::string renamed = kRoom;
  renamed.replace(renamed.rfind("hospital-b"), 10, "hospital-c");
  seen.insert(text_of(renamed, 1));
  EXPECT_EQ(seen.size(), ++count);
}

// Otherwise whoever sends the files could look for two rooms with the same words, in both of which
// it has a say (2^22 tries); so it must find an entry for words that are given.
TEST(MemberText, HoldsNothingOfAnotherMember) {
  std::string other = kRoom;
  other.replace(other.find("0b8c"), 4, "0b8d");
  other.replace(other.find("b.example:7100"), 14, "c.example:7199");
  EXPECT_EQ(text_of(kRoom), text_of(other));
  EXPECT_NE(text_of(kRoom, 1), text_of(other, 1));
  EXPECT_EQ(text_of(kRoom), text_of(altered("size = 3", "size = 3\ncourier = \"hospital-b\"")));
  std::string third = kRoom;
  third += "\n[[member]]\nname = \"hospital-c\"\naddress = \"c.example:7100\"\ncertificate = \"" +
           std::string(64, 'c') + "\"\n";
  EXPECT_EQ(text_of(kRoom), text_of(third));
}

}  // namespace
}  // namespace flexroom::session
