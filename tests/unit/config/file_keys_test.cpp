#include "config/file_keys.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/hex_digest.h"
#include "config/config.h"

// Issue 13, packages: the tables behind the schemas are held against the loaders, key by key.

namespace flexroom::config {
namespace {

namespace fs = std::filesystem;
using F = FileTable;

/// Values by key; of a table that may be there several times (member, provider) those of all.
using Values = std::map<std::string, std::string>;

constexpr const char* kHex = "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"";

/// One that the loader takes, of every key of every table.
const std::map<FileTable, Values>& samples() {
  static const std::map<FileTable, Values> all = {
      {F::kRoom,
       {{"name", "\"r\""},
        {"courier", "\"b\""},
        {"profile", "\"high\""},
        {"triples", "\"masked\""},
        {"link", "\"slow\""},
        {"mesh_pq", "\"required\""},
        {"timeout_seconds", "60"},
        {"size", "2"},
        {"account_opened_by", "\"bank-a\""},
        {"account_root", "\"nobody\""}}},
      {F::kRoomMember,
       {{"name", "\"b\""}, {"address", "\"127.0.0.1:7100\""}, {"certificate", kHex}}},
      {F::kProvider,
       {{"hosts", "[\"*.x.example\"]"},
        {"groups", "[\"x25519mlkem768\", \"p256\"]"},
        {"pq", "\"prefer\""},
        {"suite", "\"chacha20\""},
        {"client_auth", "\"none\""},
        {"receive", "\"open\""},
        {"await_close", "true"},
        {"max_answer", "2048"},
        {"trust", "\"exact\""},
        {"revocation", "\"staple\""},
        {"spki_pin", kHex},
        {"ca_file", "\"ca.pem\""},
        {"crl_file", "\"ca.pem\""},
        {"connect_to", "[\"a.x.example:443=127.0.0.1:8443\"]"},
        {"mailbox", "true"},
        {"pad", "\"1024\""},
        {"slots", "\"every 10 min\""},
        {"cover", "\"HEAD /\""},
        {"open_calls", "[\"GET https://a.x.example/ header authorization\"]"}}},
      {F::kHost,
       {{"mailbox", "true"},
        {"suite", "\"aes256\""},
        {"client_auth", "\"refuse\""},
        {"groups", "[\"x25519mlkem768\"]"},
        {"pq", "\"required\""},
        {"pad", "\"padme\""},
        {"slots", "\"every 1 h\""},
        {"cover", "\"GET /a\""}}},
      {F::kMemberFile,
       {{"name", "\"a\""},
        {"room", "\"room.toml\""},
        {"state_dir", "\"state\""},
        {"identity_dir", "\"identity\""},
        {"state_key_file", "\"identity/state.key\""},
        {"state_passphrase", "\"prompt\""},
        {"once_key_file", "\"identity/once.key\""},
        {"words_file", "\"words.toml\""},
        {"listen", "\"0.0.0.0:7100\""},
        {"auto_approve", "false"}}},
      {F::kNode,
       {{"socket", "\"node.sock\""},
        {"stock_max_mib", "512"},
        {"stock_hours", "[\"Mon-Fri 20:00-23:00 +01:00\"]"}}},
      {F::kPerson, {{"name", "\"ann\""}, {"unix", "\"ann\""}, {"roles", "[\"see\", \"propose\"]"}}},
      {F::kConsole, {{"port", "7180"}, {"address", "\"localhost\""}}},
      {F::kJob,
       {{"name", "\"j\""},
        {"provider", "\"p\""},
        {"region", "\"us-east-1\""},
        {"image_id", "\"ami-1\""},
        {"instance_type", "\"t3.large\""},
        {"instance_profile", "\"role\""},
        {"access_key_id", "\"AKIA\""},
        {"secret", "\"joint/key\""},
        {"deadline_minutes", "15"},
        {"price_per_hour", "\"0.0832 USD\""}}},
      {F::kScript,
       {{"url", "\"https://a.example/s.py\""},
        {"sha256", "\"" + to_hex(sha256(as_bytes(std::string("print(1)\n")))) + "\""},
        {"interpreter", "\"python3\""},
        {"arguments", "[\"-a\"]"},
        {"failure_output", "\"to all\""},
        {"file", "\"s.py\""}}},
      {F::kLinksFile,
       {{"data_url", "\"https://a.example/d\""},
        {"result_url", "\"https://a.example/r\""},
        {"result_get_url", "\"https://a.example/r\""},
        {"loader_url", "\"https://a.example/l\""},
        {"loader_put_url", "\"https://a.example/l\""}}},
  };
  return all;
}

/// What a key goes with, or not: rules between keys, which no schema has.
const std::map<std::string, std::set<std::string>>& companions() {
  static const std::map<std::string, std::set<std::string>> all = {
      {"ca_file", {"hosts"}},        {"access_key_id", {"secret"}},
      {"secret", {"access_key_id"}}, {"loader_url", {"loader_put_url"}},
      {"cover", {"slots", "pad"}},   {"loader_put_url", {"loader_url"}},
  };
  return all;
}
constexpr const char* kOneOfTwo = "state_passphrase";  // or state_key_file

class FileKeys : public ::testing::TestWithParam<FileTable> {
 protected:
  void SetUp() override {
    dir_ = fs::temp_directory_path() / ("flexroom-keys-" + std::to_string(getpid()));
    fs::create_directories(dir_);
    std::ofstream(dir_ / "ca.pem") << "";
    std::ofstream(dir_ / "s.py") << "print(1)\n";
  }
  void TearDown() override { fs::remove_all(dir_); }

  static std::string lines(const Values& values) {
    std::string out;
    for (const auto& [key, value] : values) out += fmt::format("{} = {}\n", key, value);
    return out;
  }
  /// What is required, and no more.
  static Values least(FileTable table) {
    Values out;
    for (const FileKey& key : keys_of(table)) {
      const std::string name(key.name);
      if (key.required) out[name] = samples().at(table).at(name);
    }
    return out;
  }
  static Values with(FileTable table, const std::string& key, const std::string& value) {
    Values out = least(table);
    const auto others = companions().find(key);
    if (others != companions().end()) {
      for (const std::string& other : others->second) out[other] = samples().at(table).at(other);
    }
    out[key] = value;
    return out;
  }
  /// Whether the loader takes a file in which this table has these values; why not goes to `why`.
  bool takes(FileTable table, const Values& values, std::string* why = nullptr) const {
    const auto of = [&](FileTable part) { return lines(part == table ? values : least(part)); };
    const fs::path file = dir_ / "f.toml";
    const auto write = [&](const std::string& text) { std::ofstream(file) << text; };
    try {
      switch (table) {
        case F::kRoom:
        case F::kRoomMember:
        case F::kProvider:
        case F::kHost:
          write("[room]\n" + of(F::kRoom) + "[[member]]\nname = \"a\"\naddress = \"h:1\"\n" +
                "certificate = " + kHex + "\n[[member]]\n" + of(F::kRoomMember) + "[provider.p]\n" +
                of(F::kProvider) + "[provider.p.host.\"a.x.example\"]\n" + of(F::kHost));
          (void)RoomConfig::load(file);
          return true;
        case F::kMemberFile:
        case F::kNode:
        case F::kPerson:
        case F::kConsole:
          write(of(F::kMemberFile) + "[node]\n" + of(F::kNode) + "[[person]]\n" + of(F::kPerson) +
                "[console]\n" + of(F::kConsole));
          (void)MemberConfig::load(file);
          return true;
        case F::kJob:
        case F::kScript:
          write("[job]\n" + of(F::kJob) + "[script]\n" + of(F::kScript));
          (void)JobConfig::load(file);
          return true;
        default:
          write(of(table));
          fs::permissions(file, fs::perms(0600));
          (void)LinksConfig::load(file);
          return true;
      }
    } catch (const InputError& error) {
      if (why != nullptr) *why = error.what();
      return false;
    }
  }

  fs::path dir_;
};

std::string value_of(FileTable table, const FileKey& key) {
  return samples().at(table).at(std::string(key.name));
}
bool is_table(const FileKey& key) {
  return key.type == KeyType::kTable || key.type == KeyType::kNamed || key.type == KeyType::kList;
}

TEST_P(FileKeys, TheLoaderTakesEveryKeyOfTheSchema) {
  std::string why;
  for (const FileKey& key : keys_of(GetParam())) {
    if (is_table(key)) continue;
    const std::string name(key.name);
    EXPECT_TRUE(takes(GetParam(), with(GetParam(), name, value_of(GetParam(), key)), &why))
        << name << ": " << why;
  }
}

TEST_P(FileKeys, AllOfThemTogether) {
  Values all = samples().at(GetParam());
  all.erase(kOneOfTwo);
  std::string why;
  EXPECT_TRUE(takes(GetParam(), all, &why)) << why;
  all["nobodys"] = "1";
  EXPECT_FALSE(takes(GetParam(), all, &why));
  EXPECT_NE(why.find("unknown key `nobodys`"), std::string::npos) << why;
}

TEST_P(FileKeys, WhatTheSchemaRequiresIsMissedAndNothingElse) {
  Values all = samples().at(GetParam());
  all.erase(kOneOfTwo);
  for (const FileKey& key : keys_of(GetParam())) {
    if (is_table(key) || key.name == kOneOfTwo) continue;
    Values fewer = all;
    fewer.erase(std::string(key.name));
    for (const auto& [one, others] : companions()) {
      if (!key.required && others.contains(std::string(key.name))) fewer.erase(one);
    }
    std::string why;
    EXPECT_EQ(takes(GetParam(), fewer, &why), !key.required) << key.name << ": " << why;
  }
}

TEST_P(FileKeys, OtherTypesAreRefused) {
  const std::map<KeyType, std::string> forms = {{KeyType::kText, "\"x\""},
                                                {KeyType::kInteger, "7"},
                                                {KeyType::kFlag, "true"},
                                                {KeyType::kTexts, "[\"x\"]"},
                                                {KeyType::kTable, "{}"}};
  for (const FileKey& key : keys_of(GetParam())) {
    if (is_table(key)) continue;
    for (const auto& [type, form] : forms) {
      if (type == key.type) continue;
      EXPECT_FALSE(takes(GetParam(), with(GetParam(), std::string(key.name), form)))
          << key.name << " = " << form;
    }
  }
}

TEST_P(FileKeys, ValuesAndBoundsAreTheLoaders) {
  const auto fits = [&](const FileKey& key, const std::string& value) {
    return takes(GetParam(), with(GetParam(), std::string(key.name), value));
  };
  for (const FileKey& key : keys_of(GetParam())) {
    if (is_table(key)) continue;
    for (const std::string_view part : parts_of(key.values)) {
      const bool list = key.type == KeyType::kTexts;
      const auto written = [&](std::string_view text) {
        return list ? fmt::format("[\"{}\"]", text) : fmt::format("\"{}\"", text);
      };
      const std::string value = written(part);
      EXPECT_TRUE(fits(key, value)) << key.name << " = " << value;
      const std::string longer = written(std::string(part) + "x");
      EXPECT_FALSE(fits(key, longer)) << key.name << " = " << longer;
    }
    // `size` is as many as there are entries.
    if (key.type != KeyType::kInteger || key.name == "size") continue;
    ASSERT_NE(key.max, 0) << key.name;
    EXPECT_TRUE(fits(key, std::to_string(key.min))) << key.name;
    EXPECT_TRUE(fits(key, std::to_string(key.max))) << key.name;
    EXPECT_FALSE(fits(key, std::to_string(key.min - 1))) << key.name;
    EXPECT_FALSE(fits(key, std::to_string(key.max + 1))) << key.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, FileKeys,
                         ::testing::Values(F::kRoom, F::kRoomMember, F::kProvider, F::kHost,
                                           F::kMemberFile, F::kNode, F::kPerson, F::kConsole,
                                           F::kJob, F::kScript, F::kLinksFile));

TEST(FileSchema, HasEveryTableAndRefusesWhatIsNotThere) {
  for (const std::string_view file : kSchemaFiles) {
    const nlohmann::json schema = nlohmann::json::parse(json_schema(file));
    EXPECT_EQ(schema.at("title"), fmt::format("Flexroom {}.toml", file));
    EXPECT_EQ(schema.at("additionalProperties"), false) << file;
  }
  const nlohmann::json room = nlohmann::json::parse(json_schema("room"));
  EXPECT_EQ(room.at("properties").at("member").at("maxItems"), 16);
  EXPECT_EQ(room.at("definitions").at("provider").at("properties").at("suite").at("enum").size(),
            3u);
  EXPECT_TRUE(room.at("definitions").at("host").at("properties").contains("cover"));
}

// The other way round: a loader cannot ask for a key that its schema lacks.
TEST(FileSchema, AKeyThatIsReadAndNotListedStopsTheProcess) {
  const auto read = [](const char* key) {
    const TomlTable toml = TomlTable::parse("name = \"x\"\n", "f.toml");
    (void)toml.text("name");
    (void)toml.has(key);
    finish(toml, F::kMemberFile);
  };
  read("listen");
  EXPECT_DEATH(read("unlisted"), "lists `unlisted`");
}

}  // namespace
}  // namespace flexroom::config
