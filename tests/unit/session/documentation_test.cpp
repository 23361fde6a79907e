#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "call/recipe.h"
#include "config/config.h"
#include "session/draw_file.h"
#include "session/secret_import.h"

// What docs/ shows as a file is one that the product reads.

namespace flexroom {
namespace {

namespace fs = std::filesystem;

std::string text_of(const std::string& page) {
  std::ifstream in(fs::path(FLEXROOM_SOURCE_DIR) / "docs" / page);
  return {std::istreambuf_iterator<char>(in), {}};
}

class Documentation : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(dir_);
    fs::create_directories(dir_);
    std::ofstream(dir_ / "ca.pem") << "";
  }
  void TearDown() override { fs::remove_all(dir_); }

  /// The fenced blocks of that language, in order; with a heading only those below it.
  static std::vector<std::string> blocks(std::string page, const std::string& language,
                                         const std::string& heading = "") {
    if (!heading.empty()) {
      const size_t begin = page.find("\n## " + heading + "\n");
      if (begin == std::string::npos) return {};
      page = page.substr(begin + 1, page.find("\n## ", begin + 1) - begin - 1);
    }
    std::vector<std::string> out;
    const std::string fence = "```" + language + "\n";
    for (size_t at = page.find(fence); at != std::string::npos; at = page.find(fence, at)) {
      at += fence.size();
      const size_t end = page.find("```", at);
      out.push_back(page.substr(at, end - at));
    }
    return out;
  }
  fs::path write(const std::string& text) const {
    const fs::path file = dir_ / "f";
    std::ofstream(file) << text;
    chmod(file.c_str(), 0600);
    return file;
  }
  fs::path file_of(const std::string& heading) const {
    const auto found = blocks(text_of("files.md"), "toml", heading);
    EXPECT_EQ(found.size(), 1u) << heading;
    return write(found.at(0));
  }

  const fs::path dir_ = fs::temp_directory_path() / ("flexroom-docs-" + std::to_string(getpid()));
};

TEST_F(Documentation, RoomIsReadAsItStandsThere) {
  const RoomConfig room = RoomConfig::load(file_of("room.toml"));
  EXPECT_EQ(room.members.size(), 2u);
  EXPECT_EQ(room.courier, "hospital-b");
  EXPECT_EQ(room.provider("models").open_calls.size(), 1u);
  EXPECT_EQ(room.provider("sandbox").resolve("ec2.flexroom.example", 443).port, 8443);
  EXPECT_EQ(room.provider_of("ec2.us-east-1.amazonaws.com").name, "aws");
}

TEST_F(Documentation, MemberLinksAndJobAreReadAsTheyStandThere) {
  EXPECT_EQ(MemberConfig::load(file_of("member.toml")).name, "hospital-a");
  const LinksConfig links = LinksConfig::load(file_of("links.toml"));
  EXPECT_EQ(split_private_url(links.data_url, "").tail, "5f1d");
  EXPECT_TRUE(links.result_get_url.has_value());
  EXPECT_EQ(JobConfig::load(file_of("job.toml")).deadline_minutes, 15);
}

// Every key that a table of the page lists is one the product knows, and every key that the
// product's messages could ask for stands there.
TEST_F(Documentation, EveryKeyStandsInATable) {
  const std::string page = text_of("files.md");
  for (const char* key : {"room.name",
                          "room.courier",
                          "room.profile",
                          "room.triples",
                          "room.link",
                          "room.timeout_seconds",
                          "member.certificate",
                          "provider.NAME.hosts",
                          "room.mesh_pq",
                          "room.size",
                          "room.account_opened_by",
                          "room.account_root",
                          "words_file",
                          "provider.NAME.groups",
                          "provider.NAME.pq",
                          "provider.NAME.pad",
                          "provider.NAME.slots",
                          "provider.NAME.cover",
                          "provider.NAME.ca_file",
                          "provider.NAME.connect_to",
                          "provider.NAME.open_calls",
                          "name",
                          "room",
                          "state_dir",
                          "identity_dir",
                          "state_key_file",
                          "state_passphrase",
                          "once_key_file",
                          "listen",
                          "auto_approve",
                          "data_url",
                          "result_url",
                          "result_get_url",
                          "job.name",
                          "job.provider",
                          "job.region",
                          "image_id",
                          "instance_type",
                          "instance_profile",
                          "job.access_key_id",
                          "job.secret",
                          "job.deadline_minutes",
                          "script.url",
                          "script.sha256",
                          "script.interpreter",
                          "script.file"}) {
    EXPECT_NE(page.find("`" + std::string(key) + "`"), std::string::npos) << key;
  }
}

TEST_F(Documentation, RecipeIsReadAsItStandsThere) {
  const auto found = blocks(text_of("recipes.md"), "toml");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(Recipe::load(write(found[0])).name, "ask-model");
}

TEST_F(Documentation, SecretFilesAreReadAsTheyStandThere) {
  const auto found = blocks(text_of("secrets.md"), "json");
  ASSERT_EQ(found.size(), 2u);
  std::string shares = found[0], whole = found[1];
  for (const size_t digits : {80, 32, 64, 64}) {
    const std::string place = "<" + std::to_string(digits) + " hex digits>";
    shares.replace(shares.find(place), place.size(), std::string(digits, 'a'));
  }
  whole.replace(whole.find("\"...\""), 5, "\"" + std::string(40, 'x') + "\"");
  EXPECT_EQ(session::SecretFile::load(write(shares), "hospital-a").length, 40u);
  EXPECT_EQ(session::SecretFile::load(write(whole), "hospital-a").owner, "hospital-a");
}

TEST_F(Documentation, ADrawFileIsReadAsItStandsThere) {
  const auto found = blocks(text_of("secrets.md"), "toml");
  ASSERT_EQ(found.size(), 1u);
  const session::DrawFile file = session::DrawFile::load(write(found[0]));
  ASSERT_EQ(file.births.size(), 2u);
  EXPECT_EQ(file.births[0].entropy() + file.births[1].entropy(), 130u + 132u);
}

}  // namespace
}  // namespace flexroom
