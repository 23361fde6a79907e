#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/sha256_block.h"
#include "session/secret_import.h"
#include "session/share_commitments.h"
#include "session/signing_keys.h"
#include "support/room_rig.h"
#include "support/sweeps.h"

// Import as XOR shares (tls-in-mpc.md §5.13): a member that alters its share, or that tries again,
// learns nothing from the answer. And what is derived from a secret dies with it.

namespace flexroom {
namespace {

using support::RoomRig;
using Ended = RoomRig::Ended;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ImportTest : public ::testing::TestWithParam<size_t> {
 protected:
  void SetUp() override {
    rig_ = std::make_unique<RoomRig>(GetParam());
    rig_->write_room("[provider.sandbox]\nhosts = [\"*.amazonaws.com\"]\n");
    all_ok(rig_->init());
  }
  static void all_ok(const std::vector<Ended>& ended) {
    for (const Ended& e : ended) ASSERT_EQ(e.code, cli::kOk) << e.out;
  }
  json file(PartyId i, const std::string& name) const {
    std::ifstream in(rig_->dir(i) / name);
    return json::parse(in);
  }
  /// All import; the last member's program is its own and checks nothing.
  std::vector<Ended> import_with(const std::function<void(session::SecretFile&)>& alter) {
    return rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
      session::SecretFile file =
          session::SecretFile::load(rig_->dir(i) / "k.json", "m" + std::to_string(i));
      if (i == last()) alter(file);
      support::Inside joined(out, common);
      joined.joined().run("import", [&] {
        joined.session().start();
        const Digest digest = joined.approve(session::import_proposal(joined.state().room(), file));
        (void)session::import_secret(joined.session(), file, digest);
      });
      out.result({{"ok", true}});
      return cli::kOk;
    });
  }
  PartyId last() const { return static_cast<PartyId>(rig_->size() - 1); }
  size_t stored(PartyId i) {
    return rig_
        ->run_one(i, [](PartyId, cli::Output& out,
                        cli::Common& common) { return cli::secret_list(out, common); })
        .last()["secrets"]
        .size();
  }
  /// Nothing was stored, nothing burned, and the member is named.
  void expect_refused(const std::vector<Ended>& ended, const std::string& why) {
    for (PartyId i = 0; i < rig_->size(); ++i) {
      EXPECT_TRUE(ended[i].code == cli::kRefused || ended[i].code == cli::kNetworkFailed)
          << ended[i].out;
      EXPECT_EQ(stored(i), 0u);
      const json status =
          rig_->run_one(i, [](PartyId, cli::Output& out,
                              cli::Common& common) { return cli::status(out, common); })
              .last();
      EXPECT_EQ(status["burned"], false);
      EXPECT_EQ(status["strikes"], 0);
    }
    EXPECT_THAT(ended[0].error(), HasSubstr(why));
  }

  std::unique_ptr<RoomRig> rig_;
  std::string kin_;
};

TEST_P(ImportTest, AnAlteredShareIsRefusedWhateverTheClassWouldSay) {
  rig_->write_shares("k.json", "k", "wJalrXUtnFEMI/K7MDENG", "b64");
  // One bit: the value would stay in its class ("w" to "v"), or leave it. Neither is asked.
  for (const uint8_t bit : {uint8_t{1}, uint8_t{0x80}}) {
    const auto ended = import_with([&](session::SecretFile& file) {
      Bytes altered(file.material.reveal().begin(), file.material.reveal().end());
      altered[0] ^= bit;
      file.material = SecretBytes(std::move(altered));
    });
    expect_refused(ended, "share of m" + std::to_string(last()) + " is not the one");
    EXPECT_THAT(ended[0].error(), Not(HasSubstr("class")));
  }
  const auto salted =
      import_with([](session::SecretFile& file) { file.salt = SecretBytes(Bytes(16, 1)); });
  expect_refused(salted, "is not the one");
  // The issuer's own files still go in.
  all_ok(rig_->import("k.json"));
  EXPECT_EQ(stored(0), 1u);
}

TEST_P(ImportTest, ListsThatDifferAreRefusedBeforeAnyShareIsUsed) {
  rig_->write_shares("k.json", "k", "wJalrXUtnFEMI/K7MDENG", "b64");
  expect_refused(import_with([](session::SecretFile& file) { file.commitments[0][0] ^= 1; }),
                 "commitments");
}

TEST_P(ImportTest, SharesOfTwoIssuesDoNotMix) {
  rig_->write_shares("k.json", "k", "wJalrXUtnFEMI/K7MDENG", "b64");
  const json first = file(0, "k.json");
  rig_->write_shares("k.json", "kk", "wJalrXUtnFEMI/K7MDENG", "b64");  // drawn anew
  json second = file(last(), "k.json");
  rig_->write_shares("k.json", "k", "wJalrXUtnFEMI/K7MDENG", "b64");
  second["name"] = "k";
  second["commitments"] = first["commitments"];
  rig_->write(last(), "k.json", second.dump());
  const Ended alone = rig_->run_one(last(), [&](PartyId i, cli::Output& out, cli::Common& common) {
    return cli::secret_import(out, common, rig_->dir(i) / "k.json");
  });
  EXPECT_EQ(alone.code, cli::kBadInput) << alone.out;
  EXPECT_THAT(alone.error(), HasSubstr("of the same issue"));
}

// Each class is one more question about the value: a list is asked about one only.
TEST_P(ImportTest, AListIsAskedAboutOneClass) {
  rig_->write_shares("k.json", "k", "not-hex!", "hex");
  const auto outside = import_with([](session::SecretFile&) {});
  expect_refused(outside, "outside class hex");
  for (PartyId i = 0; i < rig_->size(); ++i) {
    json other = file(i, "k.json");
    other["class"] = "digits";
    rig_->write(i, "k.json", other.dump());
  }
  expect_refused(import_with([](session::SecretFile&) {}), "tried with class hex before");
}

TEST_P(ImportTest, WhoKnowsTheValueIsSaid) {
  for (PartyId i = 0; i < rig_->size(); ++i) {
    json owned = {{"name", "o"}, {"class", "hex"}, {"length", 4}, {"owner", "m0"}};
    if (i == 0) owned["value"] = "beef";
    rig_->write(i, "k.json", owned.dump());
  }
  for (const Ended& e : rig_->import("k.json")) {
    ASSERT_EQ(e.code, cli::kOk) << e.out;
    EXPECT_EQ(e.last()["known_to"], "m0");
  }
  rig_->write_shares("k.json", "s", "0123");
  for (const Ended& e : rig_->import("k.json")) {
    ASSERT_EQ(e.code, cli::kOk) << e.out;
    EXPECT_EQ(e.last()["known_to"], "issuer");
  }
}

// The file of before and its successor have the same name and version.
TEST_P(ImportTest, AKeyDerivedFromARemovedSecretSignsNothing) {
  const auto obtain = [&](bool expected_cached) {
    for (const Ended& e : rig_->run([](PartyId, cli::Output&out, cli::Common&common) {
           support::Inside joined(out, common);
           joined.session().guard([&] {
             joined.session().start();
             const auto key = session::obtain_signing_key(
                 joined.session(), joined.state().secret("k"), "us-east-1", "ec2");
             out.result({{"cached", key.cached},
                         {"kin", to_hex(sha256_state_bytes(key.key.kin))},
                         {"held", joined.state().secrets().list().size() +
                                      joined.state().loaded().list().size()}});
           });
           return cli::kOk;
         })) {
      EXPECT_EQ(e.code, cli::kOk) << e.out;
      EXPECT_EQ(e.last()["cached"], expected_cached);
      EXPECT_EQ(e.last()["held"], 2);
      kin_ = e.last()["kin"].get<std::string>();
    }
    return kin_;
  };
  rig_->write_shares("k.json", "k", "0123456789012345678901234567890123456789", "raw",
                     RoomRig::signs());
  all_ok(rig_->import("k.json"));
  const std::string first = obtain(false);
  EXPECT_EQ(obtain(true), first);
  all_ok(rig_->run([](PartyId, cli::Output& out, cli::Common& common) {
    return cli::secret_remove(out, common, "k");
  }));
  for (PartyId i = 0; i < rig_->size(); ++i) {
    const Ended held = rig_->run_one(i, [](PartyId, cli::Output& out, cli::Common& common) {
      out.result({{"held", room::open_state(common.member_file, nullptr)->loaded().list().size()}});
      return cli::kOk;
    });
    EXPECT_EQ(held.last()["held"], 0) << "the key died with its secret";
  }
  rig_->write_shares("k.json", "k", "9876543210987654321098765432109876543210", "raw",
                     RoomRig::signs());
  all_ok(rig_->import("k.json"));
  EXPECT_NE(obtain(false), first);
}

INSTANTIATE_TEST_SUITE_P(Rooms, ImportTest, ::testing::Values(2));
INSTANTIATE_TEST_SUITE_P(LongSweep, ImportTest, ::testing::ValuesIn(support::in_long_runs({3})));

}  // namespace
}  // namespace flexroom
