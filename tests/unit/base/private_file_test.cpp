#include "base/private_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
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

TEST_F(PrivateFile, ANewFileHasItsModeWhateverTheUmask) {
  for (const mode_t mask : {mode_t{0}, mode_t{0777}}) {
    const mode_t before = umask(mask);
    const std::filesystem::path folder = dir_ / ("d" + std::to_string(mask));
    make_private_folder(folder);
    make_private_folder(folder);  // it may be there
    const bool made = write_new_file(folder / "f", as_bytes("text"));
    umask(before);
    EXPECT_TRUE(made);
    struct stat info {};
    ASSERT_EQ(stat(folder.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0700u);
    ASSERT_EQ(stat((folder / "f").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0600u);
    EXPECT_EQ(to_text(read_private_file(folder / "f", 10, "").reveal()), "text");
    EXPECT_FALSE(write_new_file(folder / "f", as_bytes("other")));
    EXPECT_EQ(errno, EEXIST);
    EXPECT_EQ(to_text(read_private_file(folder / "f", 10, "").reveal()), "text");
  }
}

// On a full disk no half of it stays. (RLIMIT_FSIZE is one of the process's own.)
TEST_F(PrivateFile, AFileThatCannotBeWrittenToItsEndIsNotThere) {
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit few{3, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &few);
  const bool made = write_new_file(dir_ / "f", as_bytes("text"));
  const int reason = errno;
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_FALSE(made);
  EXPECT_EQ(reason, EFBIG);
  EXPECT_FALSE(std::filesystem::exists(dir_ / "f"));
}

// A name that is not on disk is a key, or a mark, that a power cut takes away: never passed over.
TEST_F(PrivateFile, AFolderThatCannotBeSyncedIsAnError) {
  const auto error = [](const std::filesystem::path& folder) -> std::string {
    try {
      sync_directory(folder);
    } catch (const InputError& e) {
      EXPECT_EQ(e.place(), folder.string());
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(error(dir_), "");
  EXPECT_THAT(error(dir_ / "gone"), HasSubstr("cannot be written to disk"));
  EXPECT_THAT(error(write("x", 0600)), HasSubstr("check the disk"));  // no folder
}

}  // namespace
}  // namespace flexroom
