#include "base/private_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/bytes.h"
#include "base/error.h"

namespace flexroom {
namespace {

using ::testing::HasSubstr;

class PrivateFile : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  std::filesystem::path write(const std::string& text, mode_t mode) const {
    const std::filesystem::path file = dir_ / "f";
    std::ofstream(file, std::ios::binary) << text;
    EXPECT_EQ(chmod(file.c_str(), mode), 0);
    return file;
  }
  /// The whole message of what reading throws.
  static std::string error_of(const std::filesystem::path& file, size_t max_bytes = 10) {
    try {
      (void)read_private_file(file, max_bytes, "bring it back");
    } catch (const InputError& error) {
      EXPECT_EQ(error.place(), file.string());
      return error.what();
    }
    return "";
  }

  const std::filesystem::path dir_ =
      std::filesystem::temp_directory_path() / ("flexroom-private-" + std::to_string(getpid()));
};

TEST_F(PrivateFile, IsReadWholeUpToTheBound) {
  for (const mode_t mode : {mode_t{0600}, mode_t{0400}}) {
    std::filesystem::remove(dir_ / "f");
    const std::string text("0\0 345678\n", 10);
    EXPECT_EQ(to_text(read_private_file(write(text, mode), 10, "").reveal()), text);
  }
  EXPECT_TRUE(read_private_file(write("", 0600), 10, "").empty());
}

TEST_F(PrivateFile, EveryBitOfOthersIsRefusedWithTheRemedy) {
  for (const mode_t open : {040u, 020u, 010u, 004u, 002u, 001u}) {
    const std::string error = error_of(write("x", 0600 | open));
    EXPECT_THAT(error, HasSubstr("readable by other users"));
    EXPECT_THAT(error, HasSubstr("chmod 600 " + (dir_ / "f").string()));
  }
}

TEST_F(PrivateFile, WhatIsTooLargeIsRefused) {
  EXPECT_THAT(error_of(write("01234567890", 0600)), HasSubstr("larger than 10 bytes"));
}

TEST_F(PrivateFile, MissingFileComesWithTheCallersRemedy) {
  const std::string error = error_of(dir_ / "none");
  EXPECT_THAT(error, HasSubstr("No such file"));
  EXPECT_THAT(error, HasSubstr("bring it back"));
}

TEST_F(PrivateFile, DirectoriesAndPipesAreNoFiles) {
  EXPECT_THAT(error_of(dir_), HasSubstr("is not a file"));
  const std::filesystem::path pipe = dir_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(error_of(pipe), HasSubstr("is not a file"));  // and does not wait for a writer
}

// What everybody runs or agrees on must be nobody else's to change.
TEST_F(PrivateFile, AnOwnFileMayBeReadByOthersButNotChangedByThem) {
  const auto error = [](const std::filesystem::path& file) {
    try {
      (void)read_own_file(file, 10, "bring it back");
    } catch (const InputError& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(read_own_file(write("text", 0644), 10, ""), "text");
  EXPECT_EQ(error(write("text", 0664)), "no error") << "this user's own group";
  EXPECT_THAT(error(write("text", 0646)), HasSubstr("chmod go-w"));
  EXPECT_THAT(error(write("01234567890", 0644)), HasSubstr("larger than 10 bytes"));
  EXPECT_THAT(error(dir_ / "none"), HasSubstr("bring it back"));
  EXPECT_THAT(error(dir_), HasSubstr("is not a file"));
  const std::filesystem::path pipe = dir_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0644), 0);
  EXPECT_THAT(error(pipe), HasSubstr("is not a file"));  // and nothing waits for a writer
}

}  // namespace
}  // namespace flexroom
