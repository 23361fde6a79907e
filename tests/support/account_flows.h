#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <optional>
#include <set>

#include "support/room_rig.h"
#include "support/sandbox_reader.h"
#include "support/sightings.h"

namespace flexroom::support {

/// An account of the sandbox and its key come to be, two members through the product
/// (operations.md (d)): a base of fixtures. The sandbox keeps what it saw and gave in the clear.
class AccountFlows {
 protected:
  inline static const std::string kTelephone = "491701234567";
  inline static const std::string kOwnCard = "4111111111111111";
  inline static const std::string kPostal = "1 Long Road, Cambridge";
  /// Of a longer message its beginning is searched: the rest is of one kind with it.
  static constexpr size_t kMostOfMessage = 64 * 1024;

  using json = nlohmann::json;
  using Ended = RoomRig::Ended;
  using Prepare = std::function<void(PartyId, cli::Common&)>;

  void start(std::vector<std::string> sandbox = {}) {
    rig_ = std::make_unique<RoomRig>(2);
    sandbox.insert(sandbox.end(), {"--record", record().string()});
    seen_.emplace(record());
    rig_->start_sandbox(sandbox);
    all_ok(rig_->init());
  }
  std::filesystem::path record() const { return rig_->root() / "seen"; }
  /// Standard error of that member, questions too.
  std::filesystem::path shown_to(PartyId i) const {
    return rig_->root() / ("shown-" + std::to_string(i));
  }
  /// What that member sent to the other one.
  std::filesystem::path traffic_of(PartyId i) const {
    return rig_->root() / ("traffic-" + std::to_string(i));
  }
  static void all_ok(const std::vector<Ended>& ended) {
    for (const Ended& e : ended) ASSERT_EQ(e.code, cli::kOk) << e.out;
  }
  json cloud(const std::string& file) const {
    return json::parse(RoomRig::read(rig_->root() / "cloud" / file));
  }
  using Mine = std::optional<std::filesystem::path>;
  using Command = std::function<int(cli::Output&, cli::Common&, PartyId, const Mine&)>;
  /// At both members; `inputs`: what each gives.
  std::vector<Ended> at_both(const std::vector<json>& inputs, const Command& command) {
    std::vector<Ended> ended = rig_->run([&](PartyId i, cli::Output& out, cli::Common& common) {
      Mine mine;
      if (!inputs[i].is_null()) mine = rig_->write(i, "mine.json", inputs[i].dump());
      std::ofstream traffic(traffic_of(i), std::ios::binary | std::ios::app);
      common.connected = [&traffic](net::Party& party) {
        party.set_observer([&traffic](const net::MessageId&, ByteView payload) {
          const ByteView begin = payload.first(std::min(payload.size(), kMostOfMessage));
          traffic.write(reinterpret_cast<const char*>(begin.data()),
                        static_cast<std::streamsize>(begin.size()));
        });
      };
      const int shown = open(shown_to(i).c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
      FLEXROOM_ASSERT(shown >= 0 && dup2(shown, STDERR_FILENO) >= 0);
      const SandboxReader person(*seen_, types_, beside_ ? beside_(i) : nullptr);
      return command(out, common, i, mine);
    });
    for (PartyId i = 0; i < rig_->size(); ++i) {
      for (const char* const file : {"mine.json", "card.json"}) {
        std::filesystem::remove(rig_->dir(i) / file);
      }
      told_[i] += ended[i].out;
    }
    return ended;
  }
  using Arguments = std::map<std::string, std::string>;
  /// A shipped flow; `abandon`: that run of it.
  std::vector<Ended> flow(const std::string& name, const Arguments& arguments = {},
                          const std::vector<json>& inputs = std::vector<json>(2),
                          const Prepare& prepare = nullptr, const std::string& abandon = "") {
    const std::filesystem::path file =
        std::filesystem::path(FLEXROOM_SOURCE_DIR) / "share/flows" / (name + ".toml");
    return at_both(inputs, [&](cli::Output& out, cli::Common& common, PartyId i, const Mine& mine) {
      if (prepare) prepare(i, common);
      return cli::run_flow(out, common, file, arguments, "", abandon, {}, mine);
    });
  }
  /// Who gives what, but for the card.
  static Arguments people() {
    return {{"person", "m0"}, {"phone", "m0"}, {"payer", "m1"}, {"postal", "m1"}};
  }
  static std::vector<json> given() {
    std::string postal = kPostal;
    postal.resize(96, ' ');
    return {{{"phone-number", kTelephone}}, {{"postal-address", postal}}};
  }
  /// create-account.toml, charged to m1's own card.
  std::vector<Ended> sign_up(const Prepare& prepare = nullptr, const std::string& abandon = "") {
    Arguments arguments = people();
    arguments["claimant"] = "m1";
    std::vector<json> inputs = given();
    inputs[1]["card-number"] = kOwnCard;
    return flow("create-account", arguments, inputs, prepare, abandon);
  }
  /// With a card that m1's own one buys first, unless the room has one.
  std::vector<Ended> create_account(const Prepare& prepare = nullptr) {
    return at_both(
        given(), [&](cli::Output& out, cli::Common& common, PartyId i, const Mine& mine) {
          if (prepare) prepare(i, common);
          cli::CardPurchase card;
          const json own = {{"payer-card", kOwnCard}};
          if (i == 1) card.inputs = rig_->write(i, "card.json", own.dump());
          return cli::create_account(out, common, {"create-account", people(), "", "", mine}, card);
        });
  }
  std::vector<std::string> log_of(PartyId i) {
    std::vector<std::string> out;
    const json last =
        rig_->run_one(i, [](PartyId, cli::Output& to,
                            cli::Common& common) { return cli::show_log(to, common, true); })
            .last();
    for (const json& entry : last["entries"]) out.push_back(entry["text"]);
    return out;
  }
  /// As `secret list` shows them.
  json secrets_of(PartyId i) {
    return rig_
        ->run_one(i, [](PartyId, cli::Output& to,
                        cli::Common& common) { return cli::secret_list(to, common); })
        .last()["secrets"];
  }
  /// Of the account's secret of that name.
  std::vector<uint64_t> versions_of(PartyId i, const std::string& name) {
    std::vector<uint64_t> out;
    const json all = secrets_of(i);
    for (const json& one : all) {
      if (one["name"] == "account:" + name) out.push_back(one["version"]);
    }
    return out;
  }
  /// One account, one mailbox, one charge: what the sandbox has is what it was sent, and nobody
  /// else's.
  void expect_one_account(const std::string& account_id, const std::string& card) const {
    const json people = cloud("people.json"), boxes = cloud("mailboxes.json");
    ASSERT_EQ(people.size(), 1u) << people;
    const std::string address = people.begin().key();
    const json person = people.begin().value();
    EXPECT_THAT(address, ::testing::MatchesRegex("[a-z2-7]+@example-mail.test"));
    EXPECT_EQ(person["account_id"], account_id);
    EXPECT_THAT(person["password"].get<std::string>(),
                ::testing::MatchesRegex("[A-Za-z0-9_-]+Aa1!"));
    EXPECT_EQ(person["phone"], kTelephone);
    EXPECT_THAT(person["address"].get<std::string>(), ::testing::HasSubstr(kPostal));
    EXPECT_EQ(person["phone_verified"], true);
    EXPECT_TRUE(boxes.contains(address)) << boxes;
    EXPECT_EQ(seen_->values("charge", account_id), std::vector<std::string>{card});
    EXPECT_EQ(seen_->values("otp").back(), seen_->values("one-time code", address).back());
    const std::set<std::string> addresses = [&] {
      const auto all = seen_->values("email");
      return std::set<std::string>(all.begin(), all.end());
    }();
    EXPECT_EQ(addresses, std::set<std::string>{address});
  }
  /// Nothing of it stands in what the members printed or sent to each other, or in any of their
  /// files. The same search finds each at the sandbox.
  void expect_nobody_knows() const {
    const auto all = seen_->secrets();
    ASSERT_GT(all.size(), 5u);
    const Canaries canaries = seen_->canaries();
    for (PartyId i = 0; i < rig_->size(); ++i) {
      const std::string told = told_[i] + RoomRig::read(shown_to(i));
      EXPECT_EQ(canaries.find(as_bytes(told)), std::nullopt) << "told by m" << i;
      const std::string sent = RoomRig::read(traffic_of(i));
      EXPECT_GT(sent.size(), size_t{1} << 20);
      EXPECT_EQ(canaries.find(as_bytes(sent)), std::nullopt) << "sent by m" << i;
      for (const auto& entry : std::filesystem::recursive_directory_iterator(rig_->dir(i))) {
        if (!entry.is_regular_file()) continue;
        EXPECT_EQ(canaries.find(as_bytes(RoomRig::read(entry.path()))), std::nullopt)
            << entry.path();
      }
    }
    const std::string kept = RoomRig::read(record());
    for (const auto& [what, value] : all) {
      Canaries one;
      one.add(what, as_bytes(value));
      EXPECT_EQ(one.find(as_bytes(kept)), what);
    }
  }

  std::unique_ptr<RoomRig> rig_;
  std::optional<Sightings> seen_;
  std::array<std::string, 2> told_;
  SandboxReader::Types types_;                            // of both members' persons
  std::function<std::function<void()>(PartyId)> beside_;  // what runs in that member's process
};

}  // namespace flexroom::support
