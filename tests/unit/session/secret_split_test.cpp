#include "session/secret_split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>

#include "base/error.h"
#include "session/secret_file.h"
#include "session/share_commitments.h"

namespace flexroom::session {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class SecretSplitTest : public ::testing::Test {
 protected:
  SecretSplitTest() {
    char name[] = "/tmp/flexroom-split-XXXXXX";
    root_ = mkdtemp(name);
    options_.name = "joint-key";
    options_.value_class = "b64";
    options_.members = {"m0", "m1", "m2"};
    options_.provider = "aws";
    options_.purposes = {"sigv4 ec2 us-east-1"};
    options_.entropy = 238;
    options_.folder = root_ / "out";
  }
  ~SecretSplitTest() override { fs::remove_all(root_); }

  std::string error(const std::function<void(SplitOptions&)>& change,
                    const std::string& value = "abcd") {
    SplitOptions options = options_;
    change(options);
    try {
      (void)split_secret(options, SecretBytes::copy_of(as_bytes(value)));
    } catch (const InputError& e) {
      return e.what();
    }
    return "no error";
  }
  size_t files() const {
    if (!fs::exists(options_.folder)) return 0;
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(options_.folder), fs::directory_iterator()));
  }

  fs::path root_;
  SplitOptions options_;
};

TEST_F(SecretSplitTest, FilesAreWhatImportTakesAndTheirXorIsTheValue) {
  const std::string value = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
  const auto files = split_secret(options_, SecretBytes::copy_of(as_bytes(value)));
  ASSERT_EQ(files.size(), 3u);
  std::string sum(value.size(), 0);
  std::vector<Digest> commitments;
  std::set<std::string> salts;
  for (PartyId i = 0; i < 3; ++i) {
    struct stat info {};
    ASSERT_EQ(stat(files[i].c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
    const SecretFile file = SecretFile::load(files[i], "m" + std::to_string(i));
    check_own_commitment(file, i, 3, "");
    EXPECT_EQ(file.name, "joint-key");
    EXPECT_EQ(file.entropy, 238u);
    EXPECT_EQ(file.provider, "aws");
    EXPECT_EQ(file.length, value.size());
    if (i > 0) {
      EXPECT_EQ(file.commitments, commitments);
    }
    commitments = file.commitments;
    salts.insert(to_hex(file.salt.reveal()));
    const ByteView share = file.material.reveal();
    EXPECT_NE(as_text(share), value);
    for (size_t k = 0; k < share.size(); ++k) sum[k] = static_cast<char>(sum[k] ^ share[k]);
  }
  EXPECT_EQ(sum, value);
  EXPECT_EQ(salts.size(), 3u);
}

TEST_F(SecretSplitTest, AnotherCutOfTheSameValueHasOtherShares) {
  const SecretBytes value = SecretBytes::copy_of(as_bytes("abcdefghijklmnop"));
  const auto first = split_secret(options_, value);
  options_.folder = root_ / "again";
  const auto second = split_secret(options_, value);
  for (PartyId i = 0; i < 3; ++i) {
    const std::string self = "m" + std::to_string(i);
    EXPECT_NE(to_hex(SecretFile::load(first[i], self).material.reveal()),
              to_hex(SecretFile::load(second[i], self).material.reveal()));
  }
}

TEST_F(SecretSplitTest, WhatAMemberWouldRefuseIsRefusedAndLeavesNoFile) {
  EXPECT_THAT(error([](SplitOptions& o) { o.name = "run/x"; }), HasSubstr("belongs to a run"));
  EXPECT_THAT(error([](SplitOptions& o) { o.purposes = {"nonsense"}; }), Not(HasSubstr("no err")));
  EXPECT_THAT(error([](SplitOptions& o) { o.value_class = "words"; }), HasSubstr("none of the kn"));
  EXPECT_THAT(error([](SplitOptions& o) { o.kind = ""; }), HasSubstr("printable"));
  EXPECT_THAT(error([](SplitOptions& o) { o.members = {"m0", "m0"}; }), HasSubstr("different"));
  EXPECT_THAT(error([](SplitOptions& o) { o.members = {"m0"}; }), HasSubstr("2 to 16"));
  EXPECT_THAT(error([](SplitOptions& o) { o.members = {"m0", "../m1"}; }), HasSubstr("no name"));
  EXPECT_THAT(error([](SplitOptions&) {}, ""), HasSubstr("0 bytes"));
  EXPECT_THAT(error([](SplitOptions&) {}, std::string(4097, 'a')), HasSubstr("4097 bytes"));
  EXPECT_THAT(error([](SplitOptions& o) { o.value_class = "hex"; }, "ab\n"), HasSubstr("printf"));
  const std::string hidden = error([](SplitOptions& o) { o.value_class = "hex"; }, "abZcd");
  EXPECT_THAT(hidden, HasSubstr("byte 3 of 5"));
  EXPECT_THAT(hidden, Not(HasSubstr("Z")));
  EXPECT_EQ(files(), 0u);
}

TEST_F(SecretSplitTest, NothingIsOverwritten) {
  (void)split_secret(options_, SecretBytes::copy_of(as_bytes("abcd")));
  fs::remove(options_.folder / "m0.json");
  // What it made on its way to the one that is there is gone again.
  EXPECT_THAT(error([](SplitOptions&) {}), HasSubstr("never overwritten"));
  EXPECT_EQ(files(), 2u);
}

}  // namespace
}  // namespace flexroom::session
