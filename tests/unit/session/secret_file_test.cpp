#include "session/secret_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <tuple>

#include "base/error.h"
#include "session/share_commitments.h"
#include "store/limits.h"
#include "store/secret_store.h"

namespace flexroom::session {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class SecretFileTest : public ::testing::Test {
 protected:
  SecretFileTest() {
    char name[] = "/tmp/flexroom-secret-XXXXXX";
    root_ = mkdtemp(name);
  }
  ~SecretFileTest() override { fs::remove_all(root_); }
  SecretFile load(const std::string& text, std::string_view self = "m0") {
    const fs::path path = root_ / "k.json";
    std::ofstream(path, std::ios::binary) << text;
    chmod(path.c_str(), 0600);
    return SecretFile::load(path, self);
  }
  std::string error_of_text(const std::string& text, std::string_view self = "m0") {
    try {
      (void)load(text, self);
    } catch (const InputError& e) {
      return e.what();
    }
    return "no error";
  }
  std::string error(const json& file, std::string_view self = "m0") {
    return error_of_text(file.dump(), self);
  }
  static json shares() {
    return {{"name", "k"}, {"class", "raw"}, {"length", 2}, {"share", "beef"}};
  }
  static json owned() {
    return {{"name", "k"}, {"class", "hex"}, {"length", 4}, {"owner", "m0"}, {"value", "beef"}};
  }
  static json committed(uint32_t members = 2) {
    json file = shares();
    file["class"] = "b64";
    file["salt"] = std::string(32, '0');
    file["commitments"] = json::array();
    for (uint32_t i = 0; i < members; ++i) {
      file["commitments"].push_back(
          to_hex(Sha256().update(Bytes(16)).update(from_hex("beef")).digest()));
    }
    return file;
  }
  static json with(json file, const std::string& key, const json& value) {
    file[key] = value;
    return file;
  }
  static json without(json file, const std::string& key) {
    file.erase(key);
    return file;
  }
  fs::path root_;
};

TEST_F(SecretFileTest, WholeFilesAreRead) {
  EXPECT_EQ(load(shares().dump()).material.size(), 2u);
  EXPECT_EQ(load(shares().dump()).kind, "secret");
  EXPECT_EQ(load(owned().dump()).material.size(), 4u);
  EXPECT_TRUE(load(without(owned(), "value").dump(), "m1").material.empty());
  const SecretFile file = load(committed().dump());
  EXPECT_EQ(file.commitments.size(), 2u);
  EXPECT_EQ(file.salt.size(), kSaltBytes);
  EXPECT_NO_THROW(check_own_commitment(file, 1, 2, "k.json"));
}

// What is read by the store must fit what may be written: also a key derived from the longest name.
TEST_F(SecretFileTest, NameKindAndLengthAreBounded) {
  const std::string longest(store::kMaxNameBytes, 'n');
  EXPECT_EQ(load(with(shares(), "name", longest).dump()).name, longest);
  for (const std::string& name :
       {std::string(), longest + "n", std::string(240, 'n'), std::string(300, 'n'),
        std::string("a b"), std::string("a\nb"), std::string("account:keys/secret"),
        std::string("a\x1b[2J"), std::string("\xe2\x80\xae")}) {
    EXPECT_THAT(error(with(shares(), "name", name)), HasSubstr("`name`"));
  }
  EXPECT_THAT(error(with(shares(), "name", "run/x")), HasSubstr("run/"));
  EXPECT_THAT(error(with(shares(), "kind", "")), HasSubstr("`kind`"));
  EXPECT_THAT(error(with(shares(), "kind", std::string(65, 'k'))), HasSubstr("`kind`"));
  EXPECT_THAT(error(with(shares(), "kind", "sigv4-signing-key")), HasSubstr("derives"));
  for (const json& length : {json(0), json(-1), json(4097), json((uint64_t{1} << 32) + 2),
                             json(2.0), json("2"), json(nullptr)}) {
    EXPECT_THAT(error(with(shares(), "length", length)), HasSubstr("`length`")) << length;
  }
  EXPECT_THAT(error(with(shares(), "length", 3)), HasSubstr("holds 2 bytes"));

  store::RecordMeta meta;
  meta.name = std::string(store::kMaxDerivedNameBytes, 'n');
  meta.kind = std::string(store::kMaxKindBytes, 'k');
  meta.purposes.assign(store::kMaxPurposes, std::string(store::kMaxPurposeBytes, 'p'));
  EXPECT_EQ(store::RecordMeta::decode(meta.encode()).name, meta.name);
}

TEST_F(SecretFileTest, WhatIsWrongIsNamedWithItsLineAndNeverTheMaterial) {
  EXPECT_THAT(error_of_text("{\n  \"name\": \"k\",\n  \"class\" \"raw\"\n}"),
              AllOf(HasSubstr("k.json:3:"), HasSubstr("not JSON")));
  EXPECT_THAT(error_of_text(""), HasSubstr("k.json:1:1"));
  const std::string number =
      error_of_text("{\"name\": \"k\", \"class\": \"raw\", \"length\": 2, \"share\": 12e4567}");
  EXPECT_THAT(number, AllOf(HasSubstr("k.json"), HasSubstr("quotes"), Not(HasSubstr("4567"))));
  EXPECT_THAT(error_of_text("[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(
      error_of_text("{\"name\": \"k\",\n \"class\": \"raw\", \"length\": 2, \"share\": \"beef\",\n"
                    "  \"purpose\": []}"),
      AllOf(HasSubstr("k.json:3:3"), HasSubstr("unknown key `purpose`"),
            HasSubstr("did you mean `purposes`")));
  EXPECT_THAT(error(with(without(shares(), "class"), "clas", "raw")),
              AllOf(HasSubstr("unknown key `clas`"), HasSubstr("did you mean `class`")));
  EXPECT_THAT(error(with(shares(), "note", "x")), HasSubstr("unknown key `note`"));
  for (const char* key : {"name", "class", "length", "share"}) {
    EXPECT_THAT(
        error(without(shares(), key)),
        AllOf(HasSubstr("k.json:1:1: "), HasSubstr(std::string("`") + key + "` is missing")));
  }
  EXPECT_THAT(error_of_text("\n  {\"name\": \"k\"}"),
              AllOf(HasSubstr("k.json:2:3"), HasSubstr("`class` is missing")));
  EXPECT_THAT(error_of_text("{\"name\": \"k\", \"name\": \"l\", \"class\": \"raw\", \"length\": 2,"
                            " \"share\": \"beef\"}"),
              HasSubstr("`name` stands twice"));
  EXPECT_THAT(error(with(shares(), "share", "cafebabeXX")),
              AllOf(HasSubstr("`share`"), Not(HasSubstr("cafebabe"))));
  EXPECT_THAT(error(with(shares(), "class", "b65")), HasSubstr("`class`"));
}

TEST_F(SecretFileTest, OwnersAndSharesAreNotMixed) {
  EXPECT_THAT(error(with(owned(), "share", "beef")), HasSubstr("`share` stands beside `owner`"));
  EXPECT_THAT(error(with(shares(), "value", "be")), HasSubstr("`value` has no `owner`"));
  EXPECT_THAT(error(owned(), "m1"), HasSubstr("not its owner"));
  EXPECT_THAT(error(without(owned(), "value")), HasSubstr("`value` is missing"));
}

TEST_F(SecretFileTest, ANewlineOfTheShellIsNoticed) {
  json file = owned();
  file["value"] = "beef\n";
  EXPECT_THAT(error(file), HasSubstr("ends in a newline"));
  file["length"] = 5;
  EXPECT_TRUE(load(file.dump()).ends_in_newline);
  EXPECT_FALSE(load(owned().dump()).ends_in_newline);
}

TEST_F(SecretFileTest, SharesWithoutCommitmentsAreOfClassRaw) {
  EXPECT_THAT(error(with(shares(), "class", "b64")),
              AllOf(HasSubstr("without commitments"), HasSubstr("issuer")));
  EXPECT_THAT(error(without(committed(), "salt")), HasSubstr("`commitments`"));
  EXPECT_THAT(error(without(committed(), "commitments")), HasSubstr("`salt`"));
  EXPECT_THAT(error(with(committed(), "salt", "00")), HasSubstr("16 bytes"));
  EXPECT_THAT(error(with(committed(), "commitments", json::array({"00"}))), HasSubstr("64 hex"));
  EXPECT_THAT(error(committed(17)), HasSubstr("more than 16"));
}

TEST_F(SecretFileTest, AShareThatIsNotTheOneCommittedToIsSaidBeforeAnybodyIsAsked) {
  const auto refuse = [&](const json& file, size_t members) {
    try {
      check_own_commitment(load(file.dump()), 0, members, "k.json");
    } catch (const InputError& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(refuse(committed(), 2), "no error");
  EXPECT_THAT(refuse(with(committed(), "share", "beee"), 2), HasSubstr("not those"));
  EXPECT_THAT(refuse(with(committed(), "salt", std::string(32, '1')), 2), HasSubstr("not those"));
  EXPECT_THAT(refuse(committed(), 3), HasSubstr("2 entries"));
}

// tls-in-mpc.md §5.13: SHA-256 of salt and share, a member each; within the 22,573 ANDs a block
// that the header promises.
TEST(ShareCommitments, CostsSoManyAndsAMember) {
  const std::vector<std::tuple<uint32_t, uint32_t, uint32_t>> cases = {
      {6, 1, 21'313}, {39, 1, 22'221}, {40, 2, 38'307}, {48, 2, 38'581}, {104, 3, 60'880}};
  for (const auto& [length, blocks, ands] : cases) {
    EXPECT_LE(ands, blocks * 22'573);
    for (const uint32_t n : {2u, 3u}) {
      EXPECT_EQ(commitment_circuit(length, std::vector<Digest>(n)).num_ands, n * ands) << length;
    }
  }
}

}  // namespace
}  // namespace flexroom::session
