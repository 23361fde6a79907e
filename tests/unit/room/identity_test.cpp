#include "flexroom/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/codec.h"
#include "config/config.h"
#include "net/identity.h"
#include "session/member_state.h"
#include "store/sealed_db.h"

namespace flexroom {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class IdentityTest : public ::testing::Test {
 protected:
  IdentityTest() {
    char name[] = "/tmp/flexroom-identity-XXXXXX";
    root_ = mkdtemp(name);
  }
  ~IdentityTest() override { fs::remove_all(root_); }

  /// A source of a passphrase for machines.
  std::string passphrase(const std::string& name, const std::string& text) const {
    const fs::path file = root_ / name;
    std::ofstream(file) << text << '\n';
    fs::permissions(file, fs::perms::owner_read | fs::perms::owner_write);
    return "file:" + file.string();
  }
  fs::path member() const { return root_ / "a" / "member.toml"; }
  MemberConfig config() const { return MemberConfig::load(member()); }
  void name_source(const std::string& source) const {
    std::ifstream in(member());
    std::string text((std::istreambuf_iterator<char>(in)), {});
    const size_t key = text.find("state_", text.find("state_dir") + 1);
    ASSERT_NE(key, std::string::npos);
    text.replace(key, text.find('\n', key) - key, "state_passphrase = \"" + source + "\"");
    std::ofstream(member()) << text;
  }
  template <typename Action>
  static Error::Fields error_of(Action action) {
    try {
      action();
    } catch (const Error& error) {
      return error.fields();
    }
    ADD_FAILURE() << "no error";
    return {};
  }
  fs::path root_;
};

TEST_F(IdentityTest, IsWhatMemberTomlNames) {
  const IdentityMade made = make_identity({"hospital-a", root_ / "a", ""});
  EXPECT_EQ(made.keys, root_ / "a" / "identity");
  EXPECT_EQ(made.certificate, to_hex(net::Identity::load(made.keys).fingerprint()));
  EXPECT_EQ(config().name, "hospital-a");
  EXPECT_FALSE(config().state_passphrase);
  (void)session::open_state_db(config());
  for (const auto& entry : fs::recursive_directory_iterator(root_ / "a")) {
    const bool shown =
        entry.path().filename() == "member.toml" || entry.path().filename() == "tls.crt";
    const fs::perms others = fs::perms::group_all | fs::perms::others_all;
    if (shown) continue;
    EXPECT_EQ(entry.status().permissions() & others, fs::perms::none) << entry.path();
  }
}

TEST_F(IdentityTest, IsNeverOverwritten) {
  const IdentityMade made = make_identity({"a", root_ / "a", ""});
  EXPECT_EQ(error_of([&] { make_identity({"a", root_ / "a", ""}); }).exit, Exit::kBadInput);
  EXPECT_EQ(made.certificate, to_hex(net::Identity::load(made.keys).fingerprint()));
}

TEST_F(IdentityTest, WhatIsWrongLeavesNoHalfIdentity) {
  const auto name = error_of([&] { make_identity({"bad\"name", root_ / "b", ""}); });
  EXPECT_EQ(name.exit, Exit::kBadInput);
  EXPECT_THAT(name.problem, HasSubstr("is not a name"));
  EXPECT_FALSE(fs::exists(root_ / "b"));
  const auto weak = error_of([&] {
    make_identity({"c", root_ / "c", passphrase("weak", "short")});
  });
  EXPECT_EQ(weak.exit, Exit::kBadInput);
  EXPECT_THAT(weak.problem, HasSubstr("shorter"));
  EXPECT_FALSE(fs::exists(root_ / "c" / "identity"));
  EXPECT_FALSE(fs::exists(root_ / "c" / "member.toml"));
  const auto source = error_of([&] { make_identity({"c", root_ / "c", "hunter2 hunter2"}); });
  EXPECT_EQ(source.exit, Exit::kBadInput);
  EXPECT_THAT(source.text, ::testing::Not(HasSubstr("hunter2")));
}

TEST_F(IdentityTest, ANewPassphraseTakesThePlaceOfTheOld) {
  const std::string old = passphrase("old", "correct horse battery");
  const std::string next = passphrase("new", "another horse battery");
  (void)make_identity({"a", root_ / "a", old});
  (void)session::open_state_db(config());
  const PassphraseChanged changed = change_passphrase(member(), next);
  EXPECT_EQ(changed.source, next);
  EXPECT_TRUE(changed.key_file.empty());
  EXPECT_THROW((void)session::open_state_db(config()), InputError);  // member.toml names the old
  name_source(next);
  (void)session::open_state_db(config());
  EXPECT_THAT(error_of([&] { change_passphrase(member(), passphrase("weak", "short")); }).problem,
              HasSubstr("shorter"));
  (void)session::open_state_db(config());
}

TEST_F(IdentityTest, AFirstPassphraseLeavesTheKeyFileToBeErased) {
  (void)make_identity({"a", root_ / "a", ""});
  (void)session::open_state_db(config());
  const std::string source = passphrase("p", "correct horse battery");
  const PassphraseChanged changed = change_passphrase(member(), source);
  EXPECT_EQ(changed.key_file, root_ / "a" / "identity" / "state.key");
  name_source(source);
  fs::remove(changed.key_file);
  (void)session::open_state_db(config());
}

}  // namespace
}  // namespace flexroom
